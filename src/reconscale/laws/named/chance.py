"""From the level of chance down to a floor: the law called M4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.laws.named.law import bounded, constant, floored, geometric, grid, log_floor, middle, split

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChanceToFloor:
    """(error - e) / (e0 - error)^a = b n^-c: from chance e0 at small n to the floor e >= 0 at large n.

    c is from 0.02 to 5 and a from 0.05 to 5. With few data the curve is flat at e0, later it is a power law above a
    floor. e0 is above the whole curve; a measured mean may exceed it by its noise. The fit is of ln(error), as
    for every law: the sum of squares of the logarithm of the left-hand side, which the source minimises, rewards
    e near the smallest error and has its global optimum elsewhere.
    Source: M4 of Alabdulmohsin, Neyshabur and Zhai 2022, Revisiting Neural Scaling Laws in Language and Vision.
    """

    name: str = "M4"
    parameters: tuple[str, ...] = ("e", "e0", "a", "b", "c")
    of: str = "error"
    least: int = 5
    curved: tuple[str, ...] = ("c", "e", "e0", "a")

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, x: Floats, t: Floats) -> tuple[Floats, ...]:
        """c, a, the right-hand side at mid size, ln of the way from e to e0 (..., K), and ln of e relative to it."""
        c, a = geometric(t[..., 0:1], 0.02, 5.0), geometric(t[..., 3:4], 0.05, 5.0)
        place = 10.0 - 22.0 * t[..., 2:3]
        half_way = a * np.logaddexp(0.0, place) - np.logaddexp(0.0, -place)
        way = log_way(half_way - c * (x - middle(x)), a)
        return c, a, half_way, way, log_floor(t[..., 1:2], way)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """ln(r + w), w from 0 to 1 being the part of the way from e to e0, r = e / (e0 - e); a level."""
        way, floor = self._shape(x, t)[3:]
        known = np.logaddexp(floor, way)
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 5): e, e0, a, b and c."""
        c, a, half_way, _, floor = self._shape(x, t)
        b = np.exp(bounded(half_way + c * middle(x) + (1.0 - a) * linear))
        e = floored(linear + floor)
        return np.concatenate([e, e + np.exp(bounded(linear)), a, b, c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """Ln of the error that solves the equation."""
        e, e0, a, b, c = split(theta)
        room = np.log(np.maximum(e0 - e, np.finfo(np.float64).tiny))
        way = log_way(np.log(b) + (a - 1.0) * room - c * np.asarray(x), a)
        with np.errstate(divide="ignore"):
            return bounded(np.logaddexp(np.log(e), room + way))


def log_way(right: Floats, a: Floats) -> Floats:
    """ln(w) (..., K) with w / (1 - w)^a = exp(right), by Halley's iteration on the log-odds of w.

    The left-hand side's logarithm is monotone, with slopes between 1 and a, in the log-odds; the start is the root of
    one of its two asymptotes. For a from 0.05 to 5 four steps leave rounding errors only.
    """
    odds = np.where(right < 0, right, right / a)
    for _ in range(4):
        small = np.exp(-np.abs(odds))
        above = np.maximum(odds, 0.0) + np.log(1.0 + small)
        w = np.where(odds > 0, 1.0, small) / (1.0 + small)
        off, slope = (a - 1.0) * above + odds - right, 1.0 + (a - 1.0) * w
        odds = odds - 2.0 * off * slope / (2.0 * slope**2 - off * (a - 1.0) * w * (1.0 - w))
    return -np.logaddexp(0.0, -odds)
