"""Power laws with one exponent, and a constant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.laws.named.law import (
    STEEPEST,
    bounded,
    constant,
    floored,
    grid,
    log1p_grid,
    log_floor_from_unit,
    log_grid,
    middle,
    sinh_grid,
    split,
)


@dataclass(frozen=True)
class Power:
    """error = b n^-c; c above 0 means that the error falls. With ``tail`` through the last third of the sizes only.

    Source: Hestness et al. 2017; called M1 by Alabdulmohsin et al. 2022.
    """

    name: str = "power"
    tail: bool = False
    parameters: tuple[str, ...] = ("b", "c")
    formula: str = "error = b n^−c"
    of: str = "error"
    least: int = 3
    curved: tuple[str, ...] = ()

    def window(self, count: int) -> slice:
        """All levels, or the last third of them (at least three)."""
        return slice(max(0, count - max(3, -(-count // 3))) if self.tail else 0, count)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level and a slope about the last size."""
        away = np.broadcast_to(x - x[-1], (*t.shape[:-1], len(x)))
        return np.zeros_like(away), np.stack([np.ones_like(away), away], axis=-1)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:  # noqa: ARG002
        """(..., 2): b and c."""
        c = np.clip(-linear[..., 1], -STEEPEST, STEEPEST)
        return np.stack([np.exp(bounded(linear[..., 0] + c * x[-1])), c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(b) - c ln(n)."""
        b, c = split(theta)
        return bounded(np.log(b) - c * np.asarray(x))


@dataclass(frozen=True)
class PowerFloor:
    """error = a + b n^-c with a floor a >= 0 that no amount of data goes below, and c from 0.02 to 4.

    This is the shape of the paper's theorem on early-stopped gradient descent: an irreducible part plus a part
    that falls with the number of training examples. Called M2 by Alabdulmohsin et al. 2022.
    """

    name: str = "power+floor"
    parameters: tuple[str, ...] = ("a", "b", "c")
    formula: str = "error = a + b n^−c"
    of: str = "error"
    least: int = 3
    curved: tuple[str, ...] = ("c", "a")

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, x: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
        c = log_grid(t[..., 0:1], 0.02, 4.0)
        falling = -c * (x - middle(x))
        return c, falling, log_floor_from_unit(t[..., 1:2], falling)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """ln(r + (n / m)^-c), r being the floor relative to the falling part at mid size m; a level."""
        _, falling, floor = self._shape(x, t)
        known = np.logaddexp(floor, falling)
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 3): a, b and c."""
        c, _, floor = self._shape(x, t)
        return np.concatenate([floored(linear + floor), np.exp(bounded(linear + c * middle(x))), c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(a + b n^-c)."""
        a, b, c = split(theta)
        with np.errstate(divide="ignore"):
            return bounded(np.logaddexp(np.log(a), np.log(b) - c * np.asarray(x)))


@dataclass(frozen=True)
class Shifted:
    """error = b (1/n + g)^c with g >= 0: a power law of n until n is near 1/g, and constant from there on.

    c is from -5 to 5; below 0 the error rises. Source: called M3 by Alabdulmohsin et al. 2022.
    """

    name: str = "shifted"
    parameters: tuple[str, ...] = ("b", "g", "c")
    formula: str = "error = b (1/n + g)^c"
    of: str = "error"
    least: int = 3
    curved: tuple[str, ...] = ("c", "g")

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        half = np.exp(0.5 * (x[-1] - x[0]))
        return sinh_grid(t[..., 0:1]), log1p_grid(t[..., 1:2], 1e-3 / half, 1e3 * half)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """C ln(m / n + g m) with the mid size m, less its value at the last size; a level."""
        c, shift = self._shape(x, t)
        away = x - middle(x)
        known = c * np.log((np.exp(-away) + shift) / (np.exp(-away[-1]) + shift))
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 3): b, g and c."""
        c, shift = self._shape(x, t)
        last = np.log(np.exp(middle(x) - x[-1]) + shift) - middle(x)
        return np.concatenate([np.exp(bounded(linear - c * last)), shift * np.exp(-middle(x)), c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(b) + c ln(1 / n + g)."""
        b, g, c = split(theta)
        return bounded(np.log(b) + c * np.log(np.exp(-np.asarray(x)) + g))


@dataclass(frozen=True)
class LastValue:
    """error = b, the mean at the largest n: what one forecasts who believes that nothing will change."""

    name: str = "last value"
    parameters: tuple[str, ...] = ("b",)
    formula: str = "error = that of the largest n"
    of: str = "error"
    least: int = 1
    curved: tuple[str, ...] = ()

    def window(self, count: int) -> slice:
        """The last level."""
        return slice(count - 1, count)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level."""
        known = np.zeros((*t.shape[:-1], len(x)))
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:  # noqa: ARG002
        """(..., 1): b."""
        return np.exp(bounded(linear))

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(b), whatever n."""
        (b,) = split(theta)
        return bounded(np.log(b) + np.zeros_like(np.asarray(x, dtype=np.float64)))


@dataclass(frozen=True)
class M4:
    """(error - e) / (e0 - error)^a = b n^-c: from chance e0 at small n to the floor e >= 0 at large n.

    c is from 0.02 to 5 and a from 0.05 to 5. With few data the curve is flat at e0, later it is a power law above a
    floor. e0 is above the whole curve; a measured mean may exceed it by its noise. The fit is of ln(error), as
    for every law: the sum of squares of the logarithm of the left-hand side, which the source minimises, rewards
    e near the smallest error and has its global optimum elsewhere.
    Source: M4 of Alabdulmohsin, Neyshabur and Zhai 2022, Revisiting Neural Scaling Laws in Language and Vision.
    """

    name: str = "M4"
    parameters: tuple[str, ...] = ("e", "e0", "a", "b", "c")
    formula: str = "(error − e) / (e0 − error)^a = b n^−c"
    of: str = "error"
    least: int = 5
    curved: tuple[str, ...] = ("c", "e", "e0", "a")

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, x: Floats, t: Floats) -> tuple[Floats, ...]:
        """c, a, the right-hand side at mid size, ln w (..., K) of :meth:`terms`, and ln of e / (e0 - e)."""
        c, a = log_grid(t[..., 0:1], 0.02, 5.0), log_grid(t[..., 3:4], 0.05, 5.0)
        place = 10.0 - 22.0 * t[..., 2:3]
        at_middle = a * np.logaddexp(0.0, place) - np.logaddexp(0.0, -place)
        fraction = log_fraction(at_middle - c * (x - middle(x)), a)
        return c, a, at_middle, fraction, log_floor_from_unit(t[..., 1:2], fraction)

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """ln(r + w), w from 0 to 1 being the part of the distance from e to e0, r = e / (e0 - e); a level."""
        fraction, floor = self._shape(x, t)[3:]
        known = np.logaddexp(floor, fraction)
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 5): e, e0, a, b and c."""
        c, a, at_middle, _, floor = self._shape(x, t)
        b = np.exp(bounded(at_middle + c * middle(x) + (1.0 - a) * linear))
        e = floored(linear + floor)
        return np.concatenate([e, e + np.exp(bounded(linear)), a, b, c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """Ln of the error that solves the equation."""
        e, e0, a, b, c = split(theta)
        room = np.log(np.maximum(e0 - e, np.finfo(np.float64).tiny))
        fraction = log_fraction(np.log(b) + (a - 1.0) * room - c * np.asarray(x), a)
        with np.errstate(divide="ignore"):
            return bounded(np.logaddexp(np.log(e), room + fraction))


def log_fraction(right: Floats, a: Floats) -> Floats:
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
