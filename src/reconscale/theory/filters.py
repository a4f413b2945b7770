"""Spectral filters: what an estimator does in a direction of the data, as a function of its variance there.

All estimators of this room but one are W = X Y^T / n g(Y Y^T / n). In a direction in which the n measurements have the
variance v the filter leaves the residual r(v) = 1 - v g(v): 1 is untouched, 0 is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reconscale.mistakes import Mistake
from reconscale.theory.sizes import real, whole

Floats = NDArray[np.float64]
Array = NDArray[Any]

LONGEST = 2**53
"""Largest number of steps: beyond it a float no longer counts."""


class Filter(Protocol):
    """A spectral filter."""

    def residual(self, variance: Array) -> Array:
        """r, what is left; real or complex, the shape of ``variance``."""

    def gain(self, variance: Floats) -> Floats:
        """The gain g = (1 - r) / variance without cancellation, for real variances above 0."""


@dataclass(frozen=True)
class Descent:
    """Gradient descent from W = 0 on ||W Y - X||_F^2 / (2 n), stopped after k steps: r = (1 - step v)^k.

    Attributes:
        step: the step size, above 0; the descent is stable where step times the largest variance is below 2.
        k: number of steps, 0 to 2^53.

    Raises:
        Mistake: ``step`` or ``k`` is out of range.
    """

    step: float
    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", real("step", self.step, open_end=True))
        try:
            object.__setattr__(self, "k", whole("k", self.k, 0, LONGEST))
        except (Mistake, OverflowError):
            if isinstance(self.k, int) and self.k > LONGEST:
                remedy = f"at most {LONGEST}; a longer descent has converged: use Converged()"
                raise Mistake("k", f"found a number of {len(str(abs(self.k)))} digits", remedy) from None
            raise

    def residual(self, variance: Array) -> Array:
        """(1 - step v)^k; for real variances the sign that step v > 1 brings is kept."""
        if np.iscomplexobj(variance):
            return np.asarray(np.exp(self.k * np.log1p(-self.step * variance)))
        left = 1 - self.step * variance
        with np.errstate(divide="ignore"):
            size = np.exp(self.k * np.log(np.abs(left))) if self.k else np.ones_like(left)
        return np.asarray(np.where((left < 0) & (self.k % 2 == 1), -size, size))

    def gain(self, variance: Floats) -> Floats:
        """(1 - (1 - step v)^k) / v; k step where v vanishes."""
        moved = self.step * variance
        below = moved < 1
        fitted = -np.expm1(self.k * np.log1p(-np.where(below, moved, 0.0)))
        return _over(np.where(below, fitted, 1 - self.residual(variance)), variance, self.k * self.step)


@dataclass(frozen=True)
class Flow:
    """Gradient flow, the limit of many small steps, stopped at a time: r = exp(-time v).

    Attributes:
        time: step size times number of steps, 0 or more.

    Raises:
        Mistake: ``time`` is out of range.
    """

    time: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", real("time", self.time))

    def residual(self, variance: Array) -> Array:
        """exp(-time v)."""
        return np.asarray(np.exp(-self.time * variance))

    def gain(self, variance: Floats) -> Floats:
        """(1 - exp(-time v)) / v; the time itself where v vanishes."""
        return _over(-np.expm1(-self.time * variance), variance, self.time)


@dataclass(frozen=True)
class Ridge:
    """Least squares with the penalty ``penalty`` ||W||_F^2 beside ||W Y - X||_F^2 / n: r = penalty / (v + penalty).

    Attributes:
        penalty: above 0.

    Raises:
        Mistake: ``penalty`` is out of range; for none use ``Converged``.
    """

    penalty: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "penalty", real("penalty", self.penalty, open_end=True))

    def residual(self, variance: Array) -> Array:
        """The residual penalty / (v + penalty)."""
        return np.asarray(self.penalty / (variance + self.penalty))

    def gain(self, variance: Floats) -> Floats:
        """1 / (v + penalty)."""
        return np.asarray(1 / (variance + self.penalty))


@dataclass(frozen=True)
class Converged:
    """The end of gradient descent: the least-squares solution of least norm, r = 0 wherever the data vary."""

    def residual(self, variance: Array) -> Array:
        """0."""
        return np.zeros_like(variance)

    def gain(self, variance: Floats) -> Floats:
        """1 / v."""
        return np.asarray(1 / variance)


def _over(fitted: Floats, variance: Floats, limit: float) -> Floats:
    """The quotient fitted / variance, and its limit where the variance is 0."""
    zero = variance == 0
    return np.asarray(np.where(zero, limit, fitted / np.where(zero, 1.0, variance)))
