"""The posterior curve averaged with two naive forecasts, and with the named laws that were asked for.

They are weighted by how well each predicted the last sizes.

What is averaged is the forecast of ln(error) itself (stacking in the sense of Breiman 1996), not its distribution:
a curve that bends too much and a straight line that bends too little err to opposite sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.curve.calibration import conformal_stretch
from reconscale.laws.curve.member_weights import PLACES, MemberWeights, weigh_members
from reconscale.laws.curve.posterior import Posterior, infer_posterior
from reconscale.laws.grouping import SizeMeans
from reconscale.laws.named.fit import Bootstrap, bootstrap
from reconscale.laws.named.law import bounded
from reconscale.laws.named.registry import LAWS, keys_of

LAW_DRAWS = 1000
"""Resampled data sets that a named law is fitted to."""
TOLERANCE, LEARNING = 4.0, 0.5
"""A member whose held-out log density falls behind the best by more than the first loses weight, e-fold for each
excess of 1 / the second. A little behind proves nothing: one or a few levels are held back, and a member that is
right about the next level may be wrong about the ones after."""
ONSET = 0.25
"""Naive members and named laws enter beyond the data, over this much of ln n."""
ALWAYS_WRONG = 0.004
"""No curve continues exactly as expected: spread of ln(error) for each factor e beyond the data, at least."""
BENDS = 0.15
"""Beyond the data the slope in log-log may differ from the expected one by this part of the last slope."""
BEND_TAILS = 3
"""Degrees of freedom of that discrepancy: mostly smaller, now and then much larger."""


@dataclass(frozen=True, eq=False)
class LinearExtrapolation:
    """A straight line in log-log with the uncertainty of its two coefficients.

    Attributes:
        centre: ln n where level and slope are uncorrelated.
        mean: level there, and slope.
        sd: of both.
    """

    centre: float
    mean: tuple[float, float]
    sd: tuple[float, float]

    def at(self, x: Floats) -> Floats:
        """(N,) expected ln(error) at x = ln n."""
        return np.asarray(self.mean[0] + self.mean[1] * (x - self.centre))

    def variance(self, x: Floats) -> Floats:
        """(N,) of the expected ln(error) at x."""
        return np.asarray(self.sd[0] ** 2 + (self.sd[1] * (x - self.centre)) ** 2)

    def drawn(self, x: Floats, count: int, rng: np.random.Generator) -> Floats:
        """(count, N) lines at x."""
        normal = rng.standard_normal((2, count, 1))
        return np.asarray(self.at(x) + self.sd[0] * normal[0] + self.sd[1] * normal[1] * (x - self.centre))


@dataclass(frozen=True, eq=False)
class NamedMember:
    """A named law with the uncertainty of its parameters.

    Attributes:
        fitted: the least-squares fit and the fits to resampled data sets.
    """

    fitted: Bootstrap

    def at(self, x: Floats) -> Floats:
        """(N,) ln(error) of the least-squares fit at x = ln n."""
        return bounded(self.fitted.log_error(x, self.fitted.theta)[0])

    def variance(self, x: Floats) -> Floats:
        """(N,) of ln(error) at x, from the central 90 % of the resampled fits: some of them run off beyond the data."""
        low, high = np.quantile(bounded(self.fitted.log_error(x)), [0.05, 0.95], axis=0)
        return np.asarray(((high - low) / (2 * 1.645)) ** 2)

    def drawn(self, x: Floats, count: int) -> Floats:
        """(count, N) resampled fits at x, in order, so that no random number is used."""
        curves = bounded(self.fitted.log_error(x))
        return np.asarray(curves[np.arange(count) % len(curves)])


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members and their weights.

    Attributes:
        curve: the posterior over curves.
        last, line: the naive members.
        weights: shares of the members beyond the data.
        drift: spread of the discrepancy of ln(error) for each factor e of n beyond the data.
        laws: the named laws that were asked for, by name.
    """

    curve: Posterior
    last: LinearExtrapolation
    line: LinearExtrapolation
    weights: MemberWeights
    drift: float
    laws: dict[str, NamedMember] = field(default_factory=dict)

    @property
    def level(self) -> SizeMeans:
        """What all of it was learnt from."""
        return self.curve.level

    def curves(
        self, x: Floats, count: int, rng: np.random.Generator, *, calibrated: bool = True
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Draws of the expected ln(error), each row one coherent curve.

        Args:
            x: (N,) ln n.
            count: number of rows (C).
            rng: source of the draws.
            calibrated: stretch them as :mod:`~reconscale.laws.curve.calibration` says.

        Returns:
            (C, N) curves, and (C,) the draw of the posterior that each belongs to.
        """
        last, stops = float(self.level.x[-1]), self.weights.stops and bool((x > self.level.x[-1]).any())
        every = np.concatenate([x, last + PLACES]) if stops else x
        drawn, owner = self.curve.curves(every, count, rng)
        away = distance_outside(x, self.level)
        trust = 1.0 - np.exp(-np.maximum(every - last, 0.0) / ONSET)
        others = {name: law.drawn(every, count) for name, law in self.laws.items()}
        others |= {"last value": self.last.drawn(every, count, rng), "line": self.line.drawn(every, count, rng)}
        share = self.weights.near
        drawn = drawn + trust * np.sum([share[name] * (other - drawn) for name, other in others.items()], axis=0)
        if stops:
            drawn = self.weights.stop(drawn[:, : len(x)], x - last, drawn[:, len(x) :], rng)
        drawn = drawn + self.drift * rng.standard_t(BEND_TAILS, (count, 1)) * away
        return (conformal_stretch(drawn, x, self.level) if calibrated else drawn), owner

    def apart(self, x: float) -> float:
        """How far the naive forecasts of ln(error) at x lie apart, beyond what the line is unsure of."""
        place = np.array([x])
        line, last = float(self.line.at(place)[0]), float(self.last.at(place)[0])
        unsure = 1.645 * float(np.hypot(self.line.sd[0], self.line.sd[1] * (x - self.line.centre)))
        return max(0.0, abs(line - last) - unsure)


def fit_ensemble(level: SizeMeans, rng: np.random.Generator, laws: str | Sequence[str] = ()) -> Ensemble:
    """Infer the curve, and weigh it against the other members by their forecasts of the last levels.

    Args:
        level: two or more levels.
        rng: source of the sampler's moves; the named laws have a stream of their own, which leaves this one as it is.
        laws: names of laws that become members.

    Raises:
        UserError: there is no such law, or there are too few levels to fit it and to hold some back.
    """
    keys, many = keys_of(laws), len(level.x)
    for key in keys:
        if not can_weigh(key, many):
            least = next(number for number in count(LAWS[key].least) if can_weigh(key, number))
            why = ", because the largest are held back to weigh it" if held_back(least) else ""
            remedy = f"in a forecast it needs at least {least}{why}"
            raise UserError(f"law '{key}'", f"found {many} distinct n", remedy)
    held = held_back(many)
    curve = infer_posterior(level, held, rng=rng)
    streams = dict(zip(keys, rng.spawn(len(keys)), strict=True)) if keys else {}
    trust = np.ones(3 + len(keys))
    if held:
        seen = level.until(many - held)
        others: list[LinearExtrapolation | NamedMember] = [last_value(seen), extrapolate_line(seen)]
        others += [_named(key, seen, streams[key]) for key in keys]
        scores = np.array([curve.held_out / held, *(_score(member, level, held) for member in others)])
        behind = np.clip(scores.max() - scores - TOLERANCE, 0.0, 60.0)
        trust = np.exp(-LEARNING * behind)
    shares = weigh_members(level, keys, trust.tolist())
    named = {key: _named(key, level, streams[key]) for key in keys}
    return Ensemble(curve, last_value(level), extrapolate_line(level), shares, extrapolation_sd(level), named)


def held_back(many: int) -> int:
    """How many of ``many`` levels are held back to weigh the members; none where there are three or fewer."""
    return max(1, many // 6) if many > 3 else 0


def can_weigh(law: str, many: int) -> bool:
    """Whether a law, by its key, can be fitted to ``many`` levels without those that are held back."""
    return many - held_back(many) >= LAWS[law].least


def _named(key: str, level: SizeMeans, rng: np.random.Generator) -> NamedMember:
    return NamedMember(bootstrap(LAWS[key], level, LAW_DRAWS, rng))


def last_value(level: SizeMeans) -> LinearExtrapolation:
    """What one forecasts who believes that nothing will change."""
    return LinearExtrapolation(float(level.x[-1]), (float(level.z[-1]), 0.0), (float(np.sqrt(level.variance[-1])), 0.0))


def extrapolate_line(level: SizeMeans) -> LinearExtrapolation:
    """The straight line through the last third of the levels, at least three of them (two where there are but two)."""
    x, z, variance = (column[last_third(len(level.x))] for column in (level.x, level.z, level.variance))
    weight = 1.0 / variance
    centre = float(weight @ x / weight.sum())
    away = x - centre
    spread = float(weight @ away**2)
    mean = (float(weight @ z / weight.sum()), float((weight * away) @ z / spread))
    return LinearExtrapolation(centre, mean, (float(weight.sum() ** -0.5), spread**-0.5))


def last_third(count: int) -> slice:
    """Which of ``count`` ascending levels are the last third, at least three."""
    return slice(max(0, count - max(3, -(-count // 3))), count)


def extrapolation_sd(level: SizeMeans) -> float:
    """How fast the expected curve may go wrong beyond the data: spread of ln(error) for each factor e of n."""
    return float(np.hypot(ALWAYS_WRONG, BENDS * np.clip(extrapolate_line(level).mean[1], -2.0, 2.0)))


def distance_outside(x: Floats, level: SizeMeans) -> Floats:
    """How far ln n = x lies outside the data, 0 inside."""
    return np.asarray(np.maximum(np.maximum(x - level.x[-1], level.x[0] - x), 0.0))


def _score(member: LinearExtrapolation | NamedMember, level: SizeMeans, held: int) -> float:
    """Mean log density (Student t5) of the last ``held`` levels."""
    x, z = level.x[-held:], level.z[-held:]
    away = x - level.x[-held - 1]
    slope = float(np.abs(np.diff(level.z) / np.diff(level.x)).mean())
    scale = np.sqrt(member.variance(x) + level.variance[-held:] + (ALWAYS_WRONG**2 + (BENDS * slope) ** 2) * away**2)
    return float((-np.log(scale) - 3.0 * np.log1p(((z - member.at(x)) / scale) ** 2 / 5.0)).mean() - 0.968)
