"""One law through the points, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from reconscale.laws.findings import Finding, finding, merged
from reconscale.laws.levels import Levels, from_working, levels
from reconscale.laws.named.bootstrap import Bootstrap, bootstrap, fit_levels, residuals, rms
from reconscale.laws.named.forms import LAWS, Law, checked_sizes, key_of
from reconscale.laws.points import METRICS, Points
from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """A law through the points.

    Attributes:
        law: key in :data:`~reconscale.laws.named.forms.LAWS`.
        parameters: name -> (least-squares value, low, high), the latter at 90 %.
        draws: (D, P) parameters of the resampled data sets, in the order of ``parameters``.
        residual_sd: spread of the size means about the law, in ln(error); 0 where the law passes through all of them.
        seed_sd: spread of one run about its size's mean, in ln(error) (root mean square over sizes).
        findings: cautions.
        metric: the metric of the points, in which :meth:`evaluate` and :meth:`interval` answer.
        sizes: (K,) the distinct n (merged where there are very many).
    """

    law: str
    parameters: dict[str, tuple[float, float, float]]
    draws: Floats
    residual_sd: float
    seed_sd: float
    findings: tuple[Finding, ...]
    metric: str
    sizes: Floats
    _bootstrap: Bootstrap

    def evaluate(self, n: ArrayLike) -> Floats:
        """(N,) the law's value of the metric at n (N,).

        Raises:
            Mistake: some n is not a number above 0.
        """
        x = np.log(checked_sizes(n))
        return METRICS[self.metric].from_error(np.exp(self._bootstrap.log_error(x, self._bootstrap.theta)[0]))

    def interval(self, n: ArrayLike, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) central interval of the law's value at n, as if this law were true; see ``forecast`` otherwise.

        Raises:
            Mistake: some n is not a number above 0, or ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - checked_level(level))
        values = METRICS[self.metric].from_error(np.exp(self._bootstrap.log_error(np.log(checked_sizes(n)))))
        low, high = np.quantile(values, [tail, 1.0 - tail], axis=0)
        return low, high

    def __str__(self) -> str:
        lines = [
            f"law {self.law} of {self.metric}, {len(self.sizes)} sizes from n = {self.sizes[0]:g} to {self.sizes[-1]:g}"
        ]
        for name, (value, low, high) in self.parameters.items():
            lines.append(f"  {name:<8} {value:.5g}   90 % interval {low:.5g} to {high:.5g}")
        lines.append(f"  scatter about the law {self.residual_sd:.2%}, between seeds {self.seed_sd:.2%} of the error")
        return "\n".join([*lines, *(f"  {item}" for item in self.findings)])


@dataclass(frozen=True, eq=False)
class PointFit:
    """A law through the points, without intervals.

    Attributes:
        law: key in :data:`~reconscale.laws.named.forms.LAWS`.
        parameters: name -> least-squares value.
        residual_sd: spread of the size means about the law, in ln(error); 0 where the law passes through all of them.
        metric: the metric of the points, in which :meth:`evaluate` answers.
    """

    law: str
    parameters: dict[str, float]
    residual_sd: float
    metric: str

    def evaluate(self, n: ArrayLike) -> Floats:
        """(N,) the law's value of the metric at n (N,).

        Raises:
            Mistake: some n is not a number above 0.
        """
        law, theta = LAWS[self.law], np.array(list(self.parameters.values()))
        log_error = from_working(law.working(np.log(checked_sizes(n)), theta), law.of, self.metric)
        return METRICS[self.metric].from_error(np.exp(log_error))


def point_fit(points: Points, law: str = "power+floor") -> PointFit:
    """The least-squares fit of :func:`fit` alone, for thousands of curves: no draws, no intervals, no cautions.

    Args:
        points: the measurements.
        law: as for :func:`fit`.

    Raises:
        Mistake: as for :func:`fit`.
    """
    key, level = _checked(points, law)
    found = fit_levels(LAWS[key], level)
    residual = residuals(found, level)
    names = LAWS[key].parameters
    parameters = dict(zip(names, found.theta[0].tolist(), strict=True))
    return PointFit(key, parameters, rms(residual, max(len(residual) - len(names), 0)), level.metric)


def fit(points: Points, law: str = "power+floor", draws: int = 400, seed: int = 0) -> Fit:
    """Fit one law to the points, by weighted least squares on the logarithm, with a hierarchical bootstrap.

    Several widths at the same n are first reduced by :func:`~reconscale.laws.frontier.frontier`. Each draw takes
    seeds again within each n and, where ``points.images`` is given, test images again jointly for all n.

    Args:
        points: the measurements.
        law: ``power`` (also called M1), ``power+floor`` (M2), ``shifted`` (M3), ``M4``, ``bnsl-1``, ``bnsl-2``,
            ``paper`` or ``paper-2``.
        draws: number of resampled data sets, 20 or more.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: the law is unknown, or there are too few distinct n for it.
    """
    if draws < 20:
        raise Mistake("draws", f"found {draws}", "20 or more are needed for an interval")
    key, level = _checked(points, law)
    form = LAWS[key]
    result = bootstrap(form, level, draws, np.random.default_rng(seed), images=True)
    low, high = np.quantile(result.draws, [0.05, 0.95], axis=0)
    columns = zip(form.parameters, result.theta[0].tolist(), low.tolist(), high.tolist(), strict=True)
    parameters = {name: (value, min(value, below), max(value, above)) for name, value, below, above in columns}
    seed_sd = float(np.sqrt((level.sd**2).mean()))
    findings = merged(level.findings, tuple(_cautions(result, form, level)))
    return Fit(
        key, parameters, result.draws, result.residual_sd, seed_sd, findings, level.metric, np.exp(level.x), result
    )


def _checked(points: Points, law: str) -> tuple[str, Levels]:
    """The key of the law and the levels of the points, which do not depend on the order of rows."""
    key = key_of(law)
    columns = [points.n, points.y, points.seed, points.width, points.p, points.validation]
    order = np.lexsort([column for column in reversed(columns) if column is not None])
    level = levels(points.rows(order))
    if len(level.x) < LAWS[key].least:
        needed = f"the law '{law}' needs at least {LAWS[key].least}"
        raise Mistake("points", f"found {len(level.x)} distinct n", needed)
    return key, level


def checked_level(level: float) -> float:
    """``level`` if it is a probability strictly between 0 and 1.

    Raises:
        Mistake: it is not.
    """
    if not 0.0 < level < 1.0:
        raise Mistake("level", f"found {level}", "a number between 0 and 1 is expected, e.g. 0.9")
    return level


def floor_share(draws: Floats, x: float) -> tuple[float, float]:
    """The floor's share of the error at ln n = x, 5 % and 95 % quantile over draws (D, 3) of ``power+floor``."""
    share = draws[:, 0] / np.exp(LAWS["power+floor"].working(np.array([x]), draws)[:, 0])
    low, high = np.quantile(share, [0.05, 0.95])
    return float(low), float(min(high, 1.0))


def floor_is_identified(draws: Floats, x: Floats) -> bool:
    """Whether the points say where the error stops: over 1.5 decades of n, and a share that is surely not 0."""
    low, _ = floor_share(draws, float(x[-1]))
    return bool(x[-1] - x[0] >= 1.5 * np.log(10.0) and low > 0.05)


def misfit(result: Bootstrap, level: Levels) -> list[Finding]:
    """The finding that residuals are larger than seeds explain, where a chi-square test at 1 % says so."""
    if result.spare == 0 or not len(level.pool):
        return []
    chi2 = result.ratio * (3.0 + result.spare) - 3.0
    if float(chdtrc(result.spare, chi2)) > 0.01:
        return []
    seed = float(np.sqrt(level.variance.mean()))
    return [finding("misfit", law=f"'{result.law.name}'", residual=100 * result.residual_sd, seed=100 * seed)]


def _cautions(result: Bootstrap, form: Law, level: Levels) -> list[Finding]:
    found = misfit(result, level)
    # the floor has a caution of its own
    loose = [name for name in result.loose if (form.name, name) != ("power+floor", "a")]
    if loose:
        found.append(finding("not-identified", names=", ".join(loose), law=f"'{form.name}'"))
    if form.name == "power+floor" and not floor_is_identified(result.draws, level.x):
        found.append(finding("floor-unidentified", share=floor_share(result.draws, float(level.x[-1]))[1]))
    if form.of == "metric" and level.metric == "error":
        found.append(finding("psnr-of-error"))
    return found
