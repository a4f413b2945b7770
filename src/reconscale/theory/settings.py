"""The paper's eight settings: sizes, grids of n, and the stretches over which its power laws are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.mistakes import Mistake
from reconscale.theory.baselines import mean_is_infinite
from reconscale.theory.experiments import Experiment
from reconscale.theory.subspace import Subspace

RUNS = 5
"""Training sets for each n."""

_TEN = (1, 2, 4, 8, 10, 12, 14, 16, 18, 22, 24, 30, 36, 44, 64, 100, 256, 512, 1024, 2048, 4096, 8192, 16384)
_TEN_LARGE = tuple(sorted((*_TEN, 80)))  # 80 ends a fit of the published code but is missing from its grid
_FIFTY = (1, 4, 10, 18, 30, 44, 50, 58, 64, 70, 76, 86, 100, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_HUNDRED = (1, 10, 15, 30, 50, 70, 80, 90, 100, 110, 120, 130, 150, 175, 200, 256, 512, 1024, 2048, 4096, 8192, 16384)


@dataclass(frozen=True)
class Setting:
    """One panel of the paper's theory figure.

    Attributes:
        model: the sizes.
        n: the training set sizes.
        early_stopped: first and last n of the power law fitted to early-stopped gradient descent.
        pca: the same for PCA.
        printed: the exponents that the official notebook prints (early-stopped, PCA), where it was run.
    """

    model: Subspace
    n: tuple[int, ...]
    early_stopped: tuple[int, int]
    pca: tuple[int, int]
    printed: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        """As in ``10,100,0.05``: dim, ambient, sigma."""
        return f"{self.model.dim},{self.model.ambient},{self.model.sigma:g}"


SETTINGS = (
    Setting(Subspace(10, 100, 0.2), _TEN, (8, 24), (10, 44)),
    Setting(Subspace(10, 100, 0.1), _TEN, (8, 24), (10, 44)),
    Setting(Subspace(10, 100, 0.05), _TEN, (8, 24), (10, 44), (-3.658, -1.931)),
    Setting(Subspace(10, 1000, 0.1), _TEN_LARGE, (18, 80), (80, 256)),
    Setting(Subspace(10, 10000, 0.1), _TEN_LARGE, (100, 256), (512, 2048)),
    Setting(Subspace(50, 1000, 0.1), _FIFTY, (50, 100), (50, 256)),
    Setting(Subspace(100, 1000, 0.1), _HUNDRED, (80, 175), (80, 175)),
    Setting(Subspace(10, 1000, 0.05), _TEN_LARGE, (10, 44), (10, 100)),
)
"""As published, with n = 80 added where dim is 10 and ambient 1,000 or more."""


@dataclass(frozen=True)
class Summary:
    """The runs of one n.

    Attributes:
        n: training set size.
        early_stopped, converged, pca: mean and standard deviation over runs (divided by their number, as published).
            Where the mean is infinite (n within 1 of ambient) ``converged`` is the median, with no deviation.
        k: median step at which the early-stopped risk is reached.
    """

    n: int
    early_stopped: tuple[float, float]
    converged: tuple[float, float | None]
    pca: tuple[float, float]
    k: float


def summaries(found: Sequence[Experiment]) -> list[Summary]:
    """Mean and spread over the runs, by n."""
    by_n: dict[int, list[Experiment]] = {}
    for item in found:
        by_n.setdefault(item.n, []).append(item)
    return [_summary(n, by_n[n]) for n in sorted(by_n)]


def _summary(n: int, runs: Sequence[Experiment]) -> Summary:
    def spread(values: Sequence[float]) -> tuple[float, float]:
        return float(np.mean(values)), float(np.std(values))

    end = [item.converged for item in runs]
    converged = (float(np.median(end)), None) if mean_is_infinite(runs[0].model, n) else spread(end)
    early, pca = spread([item.early_stopped for item in runs]), spread([item.pca for item in runs])
    return Summary(n, early, converged, pca, float(np.median([item.k for item in runs])))


@dataclass(frozen=True)
class PowerFit:
    """risk = factor n^exponent, by least squares on log10 of mean risk and n, over first <= n <= last."""

    factor: float
    exponent: float
    first: int
    last: int


def power_fit(n: Sequence[float], risk: Sequence[float], first: int, last: int) -> PowerFit:
    """The paper's fit.

    Raises:
        Mistake: ``first`` or ``last`` is not among ``n``, there is one n only, or a risk is 0.

    >>> round(power_fit([1, 10, 100], [8.0, 0.8, 0.08], 1, 100).exponent, 6)
    -1.0
    """
    if missing := {first, last} - set(n):
        raise Mistake("fit", f"n = {min(missing)} was not measured", "the fit begins and ends at measured n")
    chosen = [i for i, size in enumerate(n) if first <= size <= last]
    if len(chosen) < 2:
        raise Mistake("fit", f"holds {len(chosen)} n", "at least two are needed")
    if zero := [n[i] for i in chosen if not risk[i] > 0]:
        raise Mistake("fit", f"the risk at n = {zero[0]} is {risk[n.index(zero[0])]:g}", "a power law has none of 0")
    exponent, log = np.polyfit(np.log10([n[i] for i in chosen]), np.log10([risk[i] for i in chosen]), 1)
    return PowerFit(float(10**log), float(exponent), first, last)
