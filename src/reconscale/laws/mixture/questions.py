"""Everything that can be asked about measured mixtures: the laws are inferred once, every question is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_real, suggest
from reconscale.laws.decisions.gains import Gain
from reconscale.laws.decisions.intervals import summarise
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.metrics import METRICS
from reconscale.laws.mixture.answers import BestMix, ExchangeRate, SourceGain
from reconscale.laws.mixture.budget import allocations, weigh_allocations
from reconscale.laws.mixture.cells import MixtureCells, group_cells
from reconscale.laws.mixture.design import design_findings, untold
from reconscale.laws.mixture.forms import MixtureDraws
from reconscale.laws.mixture.points import Mixture
from reconscale.laws.mixture.posterior import MixturePosterior, infer_posterior, prior_laws
from reconscale.laws.named.registry import bounded
from reconscale.laws.surface.surface import ALWAYS_WRONG, BENDS

STEP = 0.01
"""An exchange rate is of this part more images."""
RATE_WRONG = 0.1
"""No law is exact: the rate departs from it by this part (Student t, ``TAILS`` degrees of freedom)."""
CLEARLY = 0.6
"""A rate is identified where its interval is narrower than this part of that before any data."""
FAR = 4.0
"""Beyond this multiple of the measured images a finding is raised."""
REACH = 0.5
"""Over this change of ln n of some source the departure of a cell from the law becomes another one."""
TAILS = 3
"""Degrees of freedom of how slopes go wrong beyond the data."""
LIKELY = 0.8
MISFIT = 2.0
"""The laws are called too simple where cells depart by more than this many times the noise of their means."""


@dataclass(frozen=True, eq=False)
class MixtureCurve:
    """Quality over the images of several sources, inferred once by :func:`infer_mixture`, with all that can be asked.

    Attributes:
        points: the measurements.
        cells: their means.
        posterior: the laws.
        seed: of everything that is drawn.
        findings: cautions about the rows, the mixes and the fit.
    """

    points: Mixture
    cells: MixtureCells
    posterior: MixturePosterior
    seed: int
    findings: tuple[Finding, ...] = field(default=())

    def __repr__(self) -> str:
        return f"MixtureCurve({self.points.words})"

    @property
    def base(self) -> dict[str, float]:
        """The mix that questions start from: that with most images, of those with all sources if there are any."""
        mixes = self.cells.mixes
        whole = (mixes > 0).all(1)
        mixes = mixes[whole] if whole.any() else mixes
        best = mixes[np.lexsort((mixes[:, 0], mixes.sum(1)))[-1]]
        return dict(zip(self.points.sources, best.tolist(), strict=True))

    def log_error(self, mixes: ArrayLike, *, law: bool = False) -> Floats:
        """(D, N) draws of ln of the expected error at mixes (N, K), the target first; a row is one coherent law.

        For the largest p of those measured, where there are several. A cell departs from the law by what cells were
        seen to, and beyond the data slopes may be others than the law's; with ``law`` neither counts.
        """
        places = np.asarray(mixes, dtype=np.float64)
        p = None if self.cells.p is None else np.full(len(places), self.cells.p.max())
        value = self.posterior.log_error(places, p)
        if law:
            return bounded(value)
        rng = np.random.default_rng((self.seed, 1))
        edge = self.cells.mixes.max(0)
        inside = self.posterior.log_error(np.minimum(places, edge), p)
        ahead = np.log(np.maximum(places / np.maximum(edge, 1.0), 1.0)).max(1)
        slope = np.abs(value - inside) * BENDS
        value = value + rng.standard_t(TAILS, (len(value), 1)) * np.hypot(ALWAYS_WRONG * ahead, slope)
        return bounded(value + self.posterior.tau * _departures(places, len(value), rng))

    def median(self, mixes: ArrayLike, *, law: bool = False) -> Floats:
        """(N,) the expected metric at mixes (N, K): the middle of its distribution; ``law`` as in :meth:`log_error`."""
        return METRICS[self.points.metric].from_error(np.exp(np.median(self.log_error(mixes, law=law), axis=0)))

    def interval(self, mixes: ArrayLike, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) central interval of the expected metric at mixes (N, K)."""
        ends = np.quantile(self.log_error(mixes), [0.5 - level / 2, 0.5 + level / 2], axis=0)
        low, high = np.sort(METRICS[self.points.metric].from_error(np.exp(ends)), axis=0)
        return low, high

    def exchange_rates(self, have: Mapping[str, float] | None = None) -> tuple[ExchangeRate, ...]:
        """How many images of each other source are worth one of the target.

        Args:
            have: source -> images, where this is asked; none: :attr:`base`.

        Raises:
            UserError: ``have`` names another source, or holds no number of images.
        """
        mix = self._mix(have)
        after, before = (np.concatenate(_rates(parts, mix)) for parts in (self.posterior.parts, prior_laws(self.cells)))
        after = after * np.exp(RATE_WRONG * np.random.default_rng((self.seed, 2)).standard_t(TAILS, after.shape))
        dark, names = untold(self.points.sources, self.cells.mixes), self.points.sources
        found = []
        for k, name in enumerate(names[1:]):
            sure = name not in dark and _narrower(after[:, k], before[:, k])
            harm = float(np.isinf(after[:, k]).mean())
            found.append(ExchangeRate(name, names[0], summarise(after[:, k]), harm, bool(sure), _named(names, mix)))
        return tuple(found)

    def gains(self, worthwhile: float | None = None, have: Mapping[str, float] | None = None) -> tuple[SourceGain, ...]:
        """What doubling the images of each source adds, the others as they are.

        Args:
            worthwhile: the smallest gain worth paying for, in the metric's unit; none: that of the metric.
            have: source -> images; none: :attr:`base`.

        Raises:
            UserError: as in :meth:`exchange_rates`, or ``worthwhile`` cannot be meant.
        """
        mix = self._mix(have)
        added = np.diag(mix)
        gains = [replace(gain, factor=2.0) for gain in self._gains(mix, added, self._worthwhile(worthwhile))]
        return tuple(
            SourceGain(name, float(mix[k]), gains[k] if mix[k] > 0 else None, self.points.metric)
            for k, name in enumerate(self.points.sources)
        )

    def best_mix(
        self,
        costs: Mapping[str, float] | None = None,
        budget: float | None = None,
        *,
        worthwhile: float | None = None,
        have: Mapping[str, float] | None = None,
    ) -> BestMix:
        """What to collect for a budget, on top of what there is.

        Args:
            costs: source -> cost of an image, above 0; none: all cost 1. A source that is left out costs 1.
            budget: what may be spent, in the unit of ``costs``; none: what doubling all that there is would cost.
            worthwhile: the smallest gain worth paying for, in the metric's unit; none: that of the metric.
            have: source -> images; none: :attr:`base`.

        Raises:
            UserError: as in :meth:`gains`, a cost or the budget is not above 0, or the budget buys no image.
        """
        mix, price = self._mix(have), self._costs(costs or {})
        money = check_real("budget", float(price @ mix) if budget is None else budget, open_end=True)
        if money < price.min():
            cheapest = self.points.sources[int(price.argmin())]
            raise UserError("budget", f"found {money:g}", f"one image of {cheapest} alone costs {price.min():g}")
        names, least = self.points.sources, self._worthwhile(worthwhile)
        shares = allocations(len(names))
        added = shares * money / price
        error = np.exp(self.log_error(np.vstack([mix, mix + added]), law=True))
        told = weigh_allocations(error, shares)
        alone = [int(np.flatnonzero(shares[:, k] == 1.0)[0]) for k in range(len(names))]
        first = np.bincount(error[:, 1:][:, alone].argmin(1), minlength=len(names)) / len(error)
        gains = self._gains(mix, added[[told.best, *alone]], least)
        whole = money / price
        return BestMix(
            money,
            _named(names, price),
            _named(names, shares[told.best] * whole),
            _named(names, told.low * whole),
            _named(names, told.high * whole),
            gains[0],
            dict(zip(names, gains[1:], strict=True)),
            _named(names, first),
            self.points.metric,
        )

    def cautions(self, mixes: ArrayLike) -> tuple[Finding, ...]:
        """A finding where some of the mixes (N, K) lie more than four times beyond the measured images of a source."""
        asked, known = np.asarray(mixes, dtype=np.float64).max(0), self.cells.mixes.max(0)
        factors = asked / np.maximum(known, 1.0)
        k = int(factors.argmax())
        if factors[k] <= FAR * (1.0 + 1e-9):
            return ()
        name = self.points.sources[k]
        return (
            finding("far-in-source", source=name, n=float(asked[k]), factor=float(factors[k]), high=float(known[k])),
        )

    def _gains(self, mix: Floats, added: Floats, worthwhile: float) -> list[Gain]:
        """What each of the additions (N, K) adds to a mix (K,)."""
        error = np.exp(self.log_error(np.vstack([mix, mix + added])))
        found = []
        for k in range(1, error.shape[1]):
            gain = METRICS[self.points.metric].gain(error[:, 0], error[:, k])
            low, middle, high = np.quantile(gain, [0.05, 0.5, 0.95]).tolist()
            factor = float(1.0 + added[k - 1].sum() / mix.sum())
            found.append(Gain(middle, low, high, float((gain > worthwhile).mean()), factor))
        return found

    def _worthwhile(self, value: float | None) -> float:
        return METRICS[self.points.metric].check_worthwhile(value, float(self.points.y[-1]))

    def _mix(self, have: Mapping[str, float] | None) -> Floats:
        """(K,) a mix; what is not named is not there."""
        if have is None:
            return np.array(list(self.base.values()))
        known = self._known("have", have)
        mix = np.array([check_real(f"have, {name}", known.get(name, 0.0)) for name in self.points.sources])
        if not mix.any():
            raise UserError("have", "found no images", "say how many images of some source there are")
        return mix

    def _costs(self, costs: Mapping[str, float]) -> Floats:
        known = self._known("cost", costs)
        names = self.points.sources
        return np.array([check_real(f"cost, {name}", known.get(name, 1.0), open_end=True) for name in names])

    def _known(self, what: str, values: Mapping[str, float]) -> Mapping[str, float]:
        for name in values:
            if name not in self.points.sources:
                raise UserError(what, f"there is no source '{name}'", suggest(name, self.points.sources))
        return values


def infer_mixture(points: Mixture, *, seed: int = 0) -> MixtureCurve:
    """Infer quality over the images of several sources, once for every question.

    >>> n = {"scanner": [10, 30, 100, 10, 30, 100, 0], "others": [0, 0, 0, 300, 300, 300, 300]}
    >>> curve = infer_mixture(Mixture(n, y=[29.9, 30.9, 31.9, 30.9, 31.3, 32.0, 30.6], metric="psnr"))
    >>> [rate.source for rate in curve.exchange_rates()]
    ['others']

    Args:
        points: the measurements.
        seed: the same seed gives the same bits.

    Raises:
        UserError: there are too few different mixes.
    """
    cells = group_cells(points)
    posterior = infer_posterior(cells, np.random.default_rng(seed))
    curve = MixtureCurve(points, cells, posterior, seed)
    return MixtureCurve(points, cells, posterior, seed, _findings(curve))


def _findings(curve: MixtureCurve) -> tuple[Finding, ...]:
    """What is to be said of rows, mixes and fit."""
    cells, posterior = curve.cells, curve.posterior
    said = list(design_findings(curve.points.sources, cells.mixes))
    if cells.dof == 0:
        said.append(finding("no-seeds"))
    noise = float(np.median(posterior.sigma)) / np.sqrt(cells.count.mean())
    wrong = float(np.median(posterior.tau))
    if wrong > MISFIT * noise and cells.dof:
        said.append(finding("misfit", law="the laws of mixtures", residual=100 * wrong, seed=100 * noise))
    said += [
        finding("source-harms", source=rate.source, chance=f"{100 * rate.harm:.0f} %")
        for rate in curve.exchange_rates()
        if rate.harm > LIKELY
    ]
    return unique_findings(curve.points.findings, cells.findings, tuple(said))


def _rates(parts: Sequence[MixtureDraws], mix: Floats) -> list[Floats]:
    """Of each part (D, K - 1) images of the other sources that lower the error as much as one of the target."""
    step = max(STEP * float(mix.sum()), 1e-9)
    places = np.vstack([mix, mix + step * np.eye(len(mix))])
    found = []
    for part in parts:
        error = np.exp(part.log(places))
        lower = error[:, :1] - error[:, 1:]
        own = np.maximum(lower[:, :1], 0.0)  # none, where a larger share of the target would only be a loss
        with np.errstate(divide="ignore", over="ignore"):
            found.append(np.where(lower[:, 1:] > 0, own / np.maximum(lower[:, 1:], 1e-300), np.inf))
    return found


def _departures(places: Floats, count: int, rng: np.random.Generator) -> Floats:
    """(count, N) how far cells depart from the law, over tau: near ones by the same."""
    x = np.log(places + 1.0)
    apart = np.abs(x[:, None] - x[None]).max(2)
    covariance = np.exp(-0.5 * (apart / REACH) ** 2) + 1e-9 * np.eye(len(x))
    strength, turn = np.linalg.eigh(covariance)
    root = turn * np.sqrt(np.maximum(strength, 0.0))
    return np.asarray(rng.standard_normal((count, len(x))) @ root.T)


def _narrower(after: Floats, before: Floats) -> bool:
    """Whether rates are known better than before any data: as ratios, or as parts of 1, so that a bound counts, too.

    The part is rate / (rate + middle), from 0 to 1, where the middle is the median before any data.
    """
    middle = float(np.median(before[np.isfinite(before)]))
    parts = [1.0 - middle / (rates + middle) for rates in (after, before)]
    logs = [np.log(np.clip(rates, 1e-6, 1e6)) for rates in (after, before)]
    widths = [[float(np.subtract(*np.quantile(rates, [0.95, 0.05]))) for rates in pair] for pair in (parts, logs)]
    return any(width < CLEARLY * wide for width, wide in widths)


def _named(names: tuple[str, ...], values: Floats) -> dict[str, float]:
    return dict(zip(names, np.asarray(values).tolist(), strict=True))
