"""What the measurements say about exponent, floor and break, beside what was believed without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import even
from reconscale.laws.posterior.family import DIMENSIONS, HEADS, TAILS, Shapes, shapes
from reconscale.laws.posterior.posterior import CLOUD, Posterior, prior_for

Floats = NDArray[np.float64]

COINCIDE = 0.6
"""A quantity is identified when its 90 % interval is narrower than this part of the one before any measurement."""
FLOOR_DECADES = 1.5
"""A floor is not called identified from a narrower range of n."""
FLOOR_SHARE = 0.05
"""Nor when it may be less than this part of the error at the largest n."""
TELLING = 0.25
"""A break counts when the exponent changes there by more than this part of the larger one."""


@dataclass(frozen=True)
class Known:
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

    def scaled(self, scale: Callable[[float], float]) -> Known:
        """The same quantity in other units; ``scale`` must rise."""
        values = (self.median, self.low, self.high, self.prior_low, self.prior_high)
        median, low, high, prior_low, prior_high = (float(scale(value)) for value in values)
        return Known(median, low, high, prior_low, prior_high, self.identified, self.probability)


def known(posterior: Posterior) -> dict[str, Known]:
    """What is known about the curve.

    Returns:
        ``exponent`` of the falling part beyond the last break; ``slope``, -d ln(error) / d ln(n) at the largest n;
        ``floor``, as a part of the error there; ``break``, its n, and the probability that there is one in range.
    """
    drawn, level = posterior.shapes, posterior.level
    first = float(level.x[0] - level.x[-1])
    before = _before(round(first, 6), len(level.x))
    floor = _compared(drawn.share, before.share)
    far = -first / np.log(10.0) >= FLOOR_DECADES
    sure = bool(floor.identified and floor.low > FLOOR_SHARE and far)
    return {
        "exponent": _compared(np.log(drawn.exponents[:, 2]), np.log(before.exponents[:, 2])).scaled(np.exp),
        "slope": _compared(_slope(drawn), _slope(before)),
        "floor": replace(floor, identified=sure, probability=float((drawn.share > 0).mean())),
        "break": _break(drawn, before, first).scaled(lambda place: np.exp(place + level.x[-1])),
    }


@cache
def _before(first: float, levels: int) -> Shapes:
    return shapes(even.normal(CLOUD, DIMENSIONS), first, prior_for(levels))


def _compared(after: Floats, before: Floats) -> Known:
    low, median, high = np.quantile(after, [0.05, 0.5, 0.95]).tolist()
    prior_low, prior_high = np.quantile(before, [0.05, 0.95]).tolist()
    return Known(median, low, high, prior_low, prior_high, high - low < COINCIDE * (prior_high - prior_low))


def _slope(drawn: Shapes) -> Floats:
    step = 1e-3
    return np.asarray(drawn.log_shape(np.array([0.0, step])) @ np.array([1.0, -1.0]) / step)


def _break(drawn: Shapes, before: Shapes, first: float) -> Known:
    """In ln(n / largest n)."""
    there, place = _inside(drawn, first)
    prior_there, prior_place = _inside(before, first)
    probability = float(there.mean())
    if not there.any() or not prior_there.any():
        nan = float("nan")
        return Known(nan, nan, nan, nan, nan, False, probability)
    return replace(_compared(place[there], prior_place[prior_there]), probability=probability)


def _inside(drawn: Shapes, first: float) -> tuple[NDArray[np.bool_], Floats]:
    """Which curves have a telling break within the range of n, and where the largest of their breaks is."""
    change = np.abs(np.diff(drawn.exponents, axis=1)) / drawn.exponents.max(1, keepdims=True)
    within = (drawn.places > first) & (drawn.places < 0.0) & (change > TELLING)
    within &= (drawn.form // len(TAILS) != HEADS.index("power"))[:, None]
    place = np.take_along_axis(drawn.places, np.where(within, change, -1.0).argmax(1)[:, None], axis=1)[:, 0]
    return within.any(1), np.asarray(place)
