"""Forecast new runs at larger n, and back-test the forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, logsumexp

from reconscale.arrays import Floats
from reconscale.errors import check_level
from reconscale.format import amount, general
from reconscale.laws.curve.calibration import out_of_calibration
from reconscale.laws.curve.ensemble import can_weigh
from reconscale.laws.curve.posterior import ParameterSummary, summarise
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.findings import Finding, finding, floor_range, unique_findings
from reconscale.laws.metrics import spell_apart
from reconscale.laws.named.law import LOG_LIMIT
from reconscale.laws.named.registry import check_sizes, keys_of
from reconscale.laws.points import IMAGES, METRICS, Points
from reconscale.laws.repeated_rows import without_repeats
from reconscale.laws.width_selection import select_width
from reconscale.shown import Drawn

FAR = 10.0
"""Beyond this multiple of the largest n a forecast is refused unless the floor is identified."""
TOO_FAR = 1000.0
"""Beyond this multiple it is refused in any case."""
LEAST_FOR_BREAK = 4
"""With fewer sizes nothing says where the curve breaks."""
TAILS = 5.0
"""Degrees of freedom of the noise of a new run."""
LAWS_APART = 0.023
"""Naive forecasts that differ by more ln(error) than this (0.1 dB) are said to disagree."""
DRAWS = 2000
"""Curves drawn."""


@dataclass(frozen=True, eq=False)
class Forecast(Drawn):
    """The distribution of a newly measured value of the metric (one run) at each n.

    Refused sizes have numbers too, so that they can be looked at, but no sentence should be built on them.

    Attributes:
        n: (N,) sizes.
        draws: (D, N) newly measured values, in units of the metric.
        expected: (D, N) the mean over seeds that lies under each draw; a row is one coherent curve.
        refused: (N,) True where n is too far beyond the data.
        reason: why sizes were refused; empty when none was.
        weights: member -> weight in the forecast of the largest of the sizes: the posterior curve, the last value, the
            straight line, and the named laws that were asked for.
        forms: form of the curve -> posterior probability.
        known: what the measurements say about exponent, floor and, with four sizes or more, break.
        findings: cautions.
        metric: name of the metric.
        profile: name of the convention by which it was measured; may be empty.
        unit: what n counts.
    """

    n: Floats
    draws: Floats
    expected: Floats
    refused: NDArray[np.bool_]
    reason: str
    weights: dict[str, float]
    forms: dict[str, float]
    known: dict[str, ParameterSummary]
    findings: tuple[Finding, ...]
    metric: str
    _centre: Floats
    _scale: Floats
    profile: str = ""
    unit: str = IMAGES

    def __repr__(self) -> str:
        low, high = self.interval(0.9)
        said = [
            f"n = {amount(n)}: " + ("refused" if no else f"{general(y)} ({general(a)} to {general(b)})")
            for n, y, a, b, no in zip(self.n, self.median, low, high, self.refused, strict=True)
        ]
        more = f"; and {len(said) - 3} sizes more" if len(said) > 3 else ""
        return f"Forecast({self.metric}, 90 % intervals; {'; '.join(said[:3])}{more})"

    @property
    def median(self) -> Floats:
        """(N,) the middle of the distribution."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> Floats:
        """(N,) the value that a new run stays below with probability ``q``.

        Raises:
            UserError: ``q`` is not between 0 and 1.
        """
        return np.asarray(np.quantile(self.draws, check_level(q), axis=0))

    def interval(self, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) central interval that has a new run in it with probability ``level``; never of zero width.

        Raises:
            UserError: ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - check_level(level))
        middle = self.median
        low = np.minimum(self.quantile(tail), np.nextafter(middle, -np.inf))
        return low, np.maximum(self.quantile(1.0 - tail), np.nextafter(middle, np.inf))

    def logpdf(self, y: ArrayLike) -> Floats:
        """(N,) log density of measuring y (N,) at n, in units of the metric; -inf for a y that cannot be measured.

        An error of 0 or less and an SSIM of 1 or more cannot be measured.
        """
        values = np.broadcast_to(np.asarray(y, dtype=np.float64), self.n.shape)
        metric = METRICS[self.metric]
        with np.errstate(all="ignore"):
            error = metric.to_error(values)
            possible = error > 0
        error = np.where(possible, error, 1.0)
        z = (np.log(error) - self._centre) / self._scale
        constant = gammaln((TAILS + 1) / 2) - gammaln(TAILS / 2) - 0.5 * np.log(TAILS * np.pi)
        kernel = constant - np.log(self._scale) - 0.5 * (TAILS + 1) * np.log1p(z**2 / TAILS)
        density = logsumexp(kernel, axis=0) - np.log(len(kernel)) + np.log(metric.slope(error))
        return np.where(possible, density, -np.inf)


class BacktestRow(NamedTuple):
    """One line of a back-test: what was forecast for a size that was held back, and what was measured there.

    Both are of the mean over as many runs as were made there.

    Attributes:
        n: the size held back.
        measured: mean over seeds of the metric there.
        median: forecast.
        low: 5 % quantile of the forecast.
        high: 95 % quantile of the forecast.
        seen: the largest n that the forecast was allowed to see.
    """

    n: float
    measured: float
    median: float
    low: float
    high: float
    seen: float


def forecast_curve(curve: CurvePosterior, n: ArrayLike, runs: ArrayLike = 1) -> Forecast:
    """Forecast the measured value of the metric at other training-set sizes, on the same test set.

    The posterior over one nested family of curves (power laws with or without a floor, saturating, with up to two
    breaks), averaged with two naive members, the last value and the straight line through the last third of the
    sizes, and with the named laws that the curve was inferred with, plus a discrepancy that grows with the distance
    from the data; stretched as the calibration says.
    Several widths at the same n are first reduced by :func:`~reconscale.laws.width_selection.select_width`.

    Args:
        curve: the curve, inferred from points.
        n: one or more sizes.
        runs: what is forecast at each is the mean of the logarithms of the errors of as many new runs as are given.

    Raises:
        UserError: some n is not a number above 0.
    """
    sizes, made, rng = check_sizes(n), curve.ensemble, curve.generator()
    x = np.log(sizes)
    centre, owner = curve.curves(x, DRAWS, rng)
    centre = np.clip(centre, -LOG_LIMIT, LOG_LIMIT)
    sd = made.curve.noise(x)[owner] / np.sqrt(np.asarray(runs, dtype=np.float64))
    noise = rng.standard_t(TAILS, centre.shape) * np.sqrt((TAILS - 2) / TAILS)
    to_metric = METRICS[curve.points.metric].from_error
    about = summarise(made.curve)
    if len(curve.level.x) < LEAST_FOR_BREAK:
        about.pop("break", None)
    refused, reason = _refusals(about, sizes, curve.largest)
    found = _cautions(about, curve, x)
    if reason:
        found.append(finding("too-far", count=int(refused.sum()), n=curve.largest, why=reason))
    return Forecast(
        n=sizes,
        draws=to_metric(np.exp(np.clip(centre + sd * noise, -LOG_LIMIT, LOG_LIMIT))),
        expected=to_metric(np.exp(centre)),
        refused=refused,
        reason=reason,
        weights=made.weights.at(float(x.max()) - curve.last),
        forms=made.curve.forms,
        known=about,
        findings=unique_findings(made.level.findings, tuple(found)),
        metric=curve.points.metric,
        _centre=centre,
        _scale=np.hypot(sd * np.sqrt((TAILS - 2) / TAILS), 0.15 * centre.std(0)),
        profile=curve.points.profile,
        unit=curve.points.unit,
    )


def backtest(points: Points, *, seed: int = 0, laws: str | Sequence[str] = ()) -> list[BacktestRow]:
    """Hold back the largest n, then the two largest, forecast them from the rest, and compare.

    Args:
        points: the measurements; four or more distinct n for the first comparison, five for the second.
        seed: the same seed gives the same bits.
        laws: names of laws that become members of the ensemble.

    Returns:
        One line for the largest n seen from all others, then two for the two largest seen from the rest; empty
        where there are too few sizes, for the laws too.

    Raises:
        UserError: there is no such law.
    """
    keys = keys_of(laws)
    sizes = points.sizes
    lines: list[BacktestRow] = []
    for back in (1, 2):
        if len(sizes) - back < 3 or not all(can_weigh(key, len(sizes) - back) for key in keys):
            break
        held = sizes[-back:]
        measured, runs = _means(points, held)
        made = forecast_curve(CurvePosterior.infer(points.rows(points.n < held[0]), seed, keys), held, runs)
        low, high = made.interval(0.9)
        seen = [sizes[-back - 1]] * back
        rows = zip(held, measured, made.median, low, high, seen, strict=True)
        lines += [BacktestRow(*(float(value) for value in row)) for row in rows]
    return lines


def _means(points: Points, sizes: Floats) -> tuple[list[float], list[int]]:
    """The mean over seeds at each size, and of how many runs it is."""
    best = select_width(without_repeats(points))
    there = [best.y[best.n == n] for n in sizes]
    return [float(values.mean()) for values in there], [len(values) for values in there]


def _refusals(about: dict[str, ParameterSummary], sizes: Floats, largest: float) -> tuple[NDArray[np.bool_], str]:
    identified = about["floor"].identified
    refused = sizes > (TOO_FAR if identified else FAR) * largest * (1 + 1e-9)
    if not refused.any():
        return refused, ""
    if identified:
        return refused, f"more than {TOO_FAR:g} times the largest n is beyond any forecast"
    return refused, f"more than {FAR:g} times the largest n needs a floor that the points identify, and these do not"


def _cautions(about: dict[str, ParameterSummary], curve: CurvePosterior, x: Floats) -> list[Finding]:
    found = []
    if not about["floor"].identified:
        found.append(finding("floor-unidentified", **floor_range(about["floor"].low, about["floor"].high)))
    if not about["exponent"].identified:
        found.append(finding("exponent-unidentified", low=about["exponent"].low, high=about["exponent"].high))
    apart = curve.ensemble.apart(float(x.max()))
    if apart > LAWS_APART:
        found.append(finding("laws-disagree", n=float(np.exp(x.max())), spread=spell_apart(apart, curve.points.metric)))
    return found + out_of_calibration(curve.level, float(x.max()))
