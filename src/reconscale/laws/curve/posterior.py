"""The posterior over curves of the nested family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.curve.calibration import domain_of
from reconscale.laws.curve.model import (
    DIMENSIONS,
    FORMS,
    HEADS,
    TAILS,
    CurveDraws,
    DiscrepancyGP,
    build_discrepancy,
    curves_from_normals,
    marginalise,
    noise_nodes,
    predict,
)
from reconscale.laws.curve.prior import MANY, Belief, mix_beliefs, read_beliefs
from reconscale.laws.grouping import SizeMeans
from reconscale.laws.seed_noise import falling_variance

BETWEEN = (6.0, 12.0)
"""Up to the first many levels a curve counts as one of few, each a training of its own; from the second on as one of
many, mostly checkpoints of one training. Between them the beliefs pass over gradually."""
START, CLOUD, MOVES = 16000, 2000, 2
"""Draws of the prior, draws of the posterior, and moves of each after every step."""
MOST_LEVELS = 20
"""More sizes are merged with their neighbours: what is learnt from a dense curve is its shape."""
LEAST_CHANGE = 0.02
"""Departures from the family are a part of the curve's whole change of ln(error), taken to be this at least."""
JOINT = 48
"""Up to this many sizes are drawn jointly; between them curves are straight in log-log."""


@dataclass(frozen=True, eq=False)
class Posterior:
    """Equally likely curves.

    Attributes:
        level: the measurements.
        shapes: D curves of the family.
        which: (D,) the combination of noise and roughness that goes with each.
        departures: these combinations.
        log_evidence: of all levels.
        held_out: log density of the held-back levels, seen from the others; NaN where nothing was held back.
    """

    level: SizeMeans
    shapes: CurveDraws
    which: NDArray[np.int64]
    departures: DiscrepancyGP
    log_evidence: float
    held_out: float

    @property
    def forms(self) -> dict[str, float]:
        """Form -> probability."""
        counts = np.bincount(self.shapes.form, minlength=len(FORMS)) / len(self.which)
        return dict(zip(FORMS, counts.tolist(), strict=True))

    def noise(self, x: Floats) -> Floats:
        """(D, N) standard deviation of ln(error) of one new run at x = ln n."""
        factor = self.departures.noise[self.which][:, None]
        return np.asarray(factor * np.interp(x, self.level.x, unit_sd(self.level)))

    def curves(self, x: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """Draws of the expected ln(error), each row one coherent curve.

        Args:
            x: (N,) ln n.
            count: number of rows (C).
            rng: source of the draws.

        Returns:
            (C, N) curves at x, and (C,) the draw of the posterior that each belongs to.
        """
        places, back = np.unique(x, return_inverse=True)
        if len(places) > JOINT:
            nodes = np.linspace(places[0], places[-1], JOINT)
            drawn, owner = self.curves(nodes, count, rng)
            between = np.array([np.interp(x, nodes, row) for row in np.eye(JOINT)])
            return drawn @ between, owner
        ahead = places - self.level.x[-1]
        owner = np.arange(count) % len(self.which)
        residual = _residual(self.level, self.shapes)[owner]
        drawn = self.shapes.log_shape(ahead)[owner]
        for j in np.unique(self.which):
            mine = np.flatnonzero(self.which[owner] == j)
            mean, root = predict(self.departures, int(j), residual[mine], ahead)
            drawn[mine] += mean + rng.standard_normal((len(mine), len(ahead))) @ root.T
        return drawn[:, back], owner


def many_share(levels: int) -> float:
    """How much a curve that is measured at this many levels counts as one of many, 0 to 1."""
    return float(np.interp(levels, BETWEEN, (0.0, 1.0)))


def belief_about(levels: int, metric: str) -> Belief:
    """What is believed about a curve that is measured at this many levels, in this metric."""
    known = read_beliefs()
    return mix_beliefs(known[f"{domain_of(metric)} few"], known[MANY], many_share(levels))


def infer_posterior(level: SizeMeans, held: int = 0, *, rng: np.random.Generator) -> Posterior:
    """Infer the curve.

    Args:
        level: two or more levels.
        held: this many of the last levels are held back first, to score the forecast of them.
        rng: source of the sampler's moves.
    """
    u = level.x - level.x[-1]
    variance = unit_sd(level) ** 2 / level.count
    change = float(np.hypot(np.ptp(level.z), LEAST_CHANGE))
    typical = float(level.sd[-1]) if level.replicated else 1.0
    believed = belief_about(len(u), level.metric)
    known = level.largest_dof / max(level.seed_dof, 1.0)  # what replicates at other sizes say of the largest
    noise = noise_nodes(level.largest_dof, known * level.seed_squares, typical, believed.noise)
    parts = build_discrepancy(u, variance, change, noise, believed.noise)
    cuts = (len(u) - held, len(u)) if held else (len(u),)
    likelihood = parts.likelihood(cuts)

    def stages(v: Floats) -> Floats:
        return marginalise(likelihood(_residual(level, curves_from_normals(v, float(u[0]), believed.curve))))

    clouds = smc.smc_sample(stages, _start(), rng, moves=MOVES, count=CLOUD)
    drawn = curves_from_normals(rng.permutation(clouds[-1].v), float(u[0]), believed.curve)
    which = pick_combinations(likelihood(_residual(level, drawn))[-1].T, rng)
    score = float("nan")
    if held:
        score = clouds[1].log_evidence - clouds[0].log_evidence - 0.5 * held * np.log(2.0 * np.pi)
    return Posterior(level, drawn, which, parts, clouds[-1].log_evidence, score)


@cache
def _start() -> Floats:
    """Draws of the prior, in standard normal coordinates."""
    drawn = smc.normal_sequence(START, DIMENSIONS)
    drawn.flags.writeable = False
    return drawn


def unit_sd(level: SizeMeans) -> Floats:
    """(K,) standard deviation of one run, in units of the nodes of :func:`.model.noise_nodes`.

    That of trainings falls with n, that of the many checkpoints of one training does not.
    """
    if level.replicated:
        return level.sd
    return np.asarray(falling_variance(level.x) ** (0.5 * (1.0 - many_share(len(level.x)))))


def pick_combinations(logs: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """(D,) a combination for each draw, by its likelihood (D, J)."""
    chance = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares = np.cumsum(chance / chance.sum(axis=1, keepdims=True), axis=1)
    return np.asarray(np.minimum((shares < rng.random((len(shares), 1))).sum(1), shares.shape[1] - 1))


def _residual(level: SizeMeans, drawn: CurveDraws) -> Floats:
    return np.asarray(level.z - drawn.log_shape(level.x - level.x[-1]))


COINCIDE = 0.6
"""A floor is not called identified unless its 90 % interval is narrower than this part of the one before any
measurement."""
CLEARLY = 0.5
"""An exponent, a slope or a break is not called identified unless its 90 % interval, in logarithms, is narrower than
this part of the one before any measurement, and inside it: beyond it there is little but the edge of the prior."""
BREAK_ODDS = 10.0
"""Nor is a break unless its Bayes factor against curves without one in the range of n is larger than this."""
LEAST_SLOPE = 1e-9
"""Smaller slopes, and rises, count as this one."""
FLOOR_ODDS = 10.0
"""A floor is not called identified unless its Bayes factor against a power law without end is larger than this."""
SLOWEST, FASTEST = 0.01, 1.0
"""Between these the exponent of that power law is log-uniform: the errors of image reconstruction have 0.03."""
FLOOR_DECADES = 1.5
"""A floor is not called identified from a narrower range of n."""
FLOOR_SHARE = 0.05
"""Nor when it may be less than this part of the error at the largest n."""
TELLING = 0.25
"""A break counts when the exponent changes there by more than this part of the larger one."""


@dataclass(frozen=True)
class ParameterSummary:
    """A quantity of the curve.

    Attributes:
        median, low, high: posterior median and 90 % interval; NaN where there is no such thing in any draw.
        prior_low, prior_high: 90 % interval before any measurement.
        identified: whether the measurements, not the prior, are behind the interval.
        probability: that there is such a thing (a floor; a break within the range of n); 1 for exponent and slope.
    """

    median: float
    low: float
    high: float
    prior_low: float
    prior_high: float
    identified: bool
    probability: float = 1.0

    def scaled(self, scale: Callable[[float], float]) -> ParameterSummary:
        """The same quantity in other units; ``scale`` must rise."""
        values = (self.median, self.low, self.high, self.prior_low, self.prior_high)
        median, low, high, prior_low, prior_high = (float(scale(value)) for value in values)
        return ParameterSummary(median, low, high, prior_low, prior_high, self.identified, self.probability)


def summarise(posterior: Posterior) -> dict[str, ParameterSummary]:
    """What is known about the curve.

    Returns:
        ``exponent`` of the falling part beyond the last break; ``slope``, -d ln(error) / d ln(n) at the largest n;
        ``floor``, as a part of the error there; ``break``, its n, and the probability that there is one in range.
    """
    drawn, level = posterior.shapes, posterior.level
    first = float(level.x[0] - level.x[-1])
    before = _before(round(first, 6), level)
    floor = _compared(drawn.share, before.share)
    far = -first / np.log(10.0) >= FLOOR_DECADES
    narrow = floor.high - floor.low < COINCIDE * (floor.prior_high - floor.prior_low)
    sure = bool(narrow and floor.low > FLOOR_SHARE and far and floor_odds(posterior) > FLOOR_ODDS)
    slope, logs = _compared(_slope(drawn), _slope(before)), (_log_slope(drawn), _log_slope(before))
    return {
        "exponent": _compared(np.log(drawn.exponents[:, 2]), np.log(before.exponents[:, 2])).scaled(np.exp),
        "slope": replace(slope, identified=_compared(*logs).identified),
        "floor": replace(floor, identified=sure, probability=float((drawn.share > 0).mean())),
        "break": _break(drawn, before, first).scaled(lambda place: np.exp(place + level.x[-1])),
    }


def floor_odds(posterior: Posterior) -> float:
    """Bayes factor of curves with a floor against power laws without end, however slow they are.

    The evidence of the curves with a floor is that of all curves times their probability after over that before.
    """
    level, drawn = posterior.level, posterior.shapes
    u = level.x - level.x[-1]
    exponents = np.exp(np.linspace(np.log(SLOWEST), np.log(FASTEST), 48))
    logs = marginalise(posterior.departures.likelihood((len(u),))(level.z + exponents[:, None] * u))[:, 0]
    endless = float(np.log(np.exp(logs - logs.max()).mean()) + logs.max())
    after, before = float((drawn.share > 0).mean()), belief_about(len(u), level.metric).curve.floor
    floored = posterior.log_evidence + float(np.log(max(after, 1e-6) / before))
    return float(np.exp(np.clip(floored - endless, -50.0, 50.0)))


def _before(first: float, level: SizeMeans) -> CurveDraws:
    belief = belief_about(len(level.x), level.metric).curve
    return curves_from_normals(smc.normal_sequence(CLOUD, DIMENSIONS), first, belief)


def _compared(after: Floats, before: Floats) -> ParameterSummary:
    low, median, high = np.quantile(after, [0.05, 0.5, 0.95]).tolist()
    prior_low, prior_high = np.quantile(before, [0.05, 0.95]).tolist()
    sure = prior_low < low and high < prior_high and high - low < CLEARLY * (prior_high - prior_low)
    return ParameterSummary(median, low, high, prior_low, prior_high, sure)


def _slope(drawn: CurveDraws) -> Floats:
    step = 1e-3
    return np.asarray(drawn.log_shape(np.array([0.0, step])) @ np.array([1.0, -1.0]) / step)


def _log_slope(drawn: CurveDraws) -> Floats:
    return np.log(np.maximum(_slope(drawn), LEAST_SLOPE))


def _break(drawn: CurveDraws, before: CurveDraws, first: float) -> ParameterSummary:
    """In ln(n / largest n)."""
    there, place = _inside(drawn, first)
    prior_there, prior_place = _inside(before, first)
    probability, beforehand = float(there.mean()), float(prior_there.mean())
    if not there.any() or not prior_there.any():
        nan = float("nan")
        return ParameterSummary(nan, nan, nan, nan, nan, False, probability)
    known = _compared(place[there], prior_place[prior_there])
    odds = probability * (1.0 - beforehand) > BREAK_ODDS * beforehand * (1.0 - probability)
    return replace(known, identified=known.identified and odds, probability=probability)


def _inside(drawn: CurveDraws, first: float) -> tuple[NDArray[np.bool_], Floats]:
    """Which curves have a telling break within the range of n, and where the largest of their breaks is."""
    change = np.abs(np.diff(drawn.exponents, axis=1)) / drawn.exponents.max(1, keepdims=True)
    within = (drawn.places > first) & (drawn.places < 0.0) & (change > TELLING)
    within &= (drawn.form // len(TAILS) != HEADS.index("power"))[:, None]
    place = np.take_along_axis(drawn.places, np.where(within, change, -1.0).argmax(1)[:, None], axis=1)[:, 0]
    return within.any(1), np.asarray(place)
