"""Spectral filters: the effect of an estimator as a function of the variance in a direction.

All estimators of this room but one are W = X Y^T / n g(Y Y^T / n). In a direction in which the n measurements have the
variance v the filter leaves the residual r(v) = 1 - v g(v): 1 is untouched, 0 is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import minimize_scalar

from reconscale.arrays import Array, Floats
from reconscale.errors import UserError, check_int, check_real

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
        UserError: ``step`` or ``k`` is out of range.
    """

    step: float
    k: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", check_real("step", self.step, open_end=True))
        try:
            object.__setattr__(self, "k", check_int("k", self.k, 0, LONGEST))
        except (UserError, OverflowError):
            if isinstance(self.k, int) and self.k > LONGEST:
                remedy = f"at most {LONGEST}; a longer descent has converged: use Converged()"
                raise UserError("k", f"found a number of {len(str(abs(self.k)))} digits", remedy) from None
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
        UserError: ``time`` is out of range.
    """

    time: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", check_real("time", self.time))

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
        UserError: ``penalty`` is out of range; for none use ``Converged``.
    """

    penalty: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "penalty", check_real("penalty", self.penalty, open_end=True))

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


CAP = 5000
"""The most steps that the paper's code takes."""


class HasRisk(Protocol):
    """Anything with the risk of a filtered estimator: a path, a deterministic equivalent."""

    def risk(self, filter_: Filter) -> float:
        """The risk."""

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance that filters act on."""


@dataclass(frozen=True)
class Optimum:
    """The least risk of a family, and the filter that reaches it."""

    filter: Filter
    risk: float


def best_descent(source: HasRisk, step: float, most: int = CAP) -> Optimum:
    """The best number of steps from 1 to ``most``: the paper's oracle, which knows the true risk.

    A grid of 60 in log k, thirds of the bracket, then every whole number that is left: about 75 risks instead of
    5,000. The risk need not have one minimum only; on 180 paths the grid missed the least value never.
    """
    most, known = check_int("most", most, 1), dict[int, float]()

    def at(k: int) -> float:
        if k not in known:
            known[k] = source.risk(Descent(step, k))
        return known[k]

    grid = sorted({int(k) for k in np.round(np.geomspace(1, most, 60))})
    values = [at(k) for k in grid]
    i = int(np.argmin(values))
    low, high = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    while high - low > 8:
        third = (high - low) // 3
        if at(low + third) <= at(high - third):
            high -= third
        else:
            low += third
    for k in range(low, high + 1):
        at(k)
    k = min(known, key=lambda k: (known[k], k))
    return Optimum(Descent(step, k), known[k])


def best_flow(source: HasRisk) -> Optimum:
    """The best time of gradient flow, to 1e-8 of it."""
    low, high = source.extent
    return _best(source, Flow, 0.01 / high, 1e3 / low)


def best_ridge(source: HasRisk) -> Optimum:
    """The best ridge penalty, to 1e-8 of it."""
    low, high = source.extent
    return _best(source, Ridge, 1e-4 * low, 100 * high)


def _best(source: HasRisk, family: Callable[[float], Filter], low: float, high: float) -> Optimum:
    """A grid of ten a decade, then Brent's method in the bracket of its least value."""

    def at(log: float) -> float:
        return source.risk(family(float(np.exp(log))))

    span = np.log(high) - np.log(low)
    grid = np.linspace(np.log(low), np.log(high), int(np.clip(span * 4.4, 30, 250)))
    values = [at(log) for log in grid]
    i = int(np.argmin(values))
    bounds = (grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)])
    found = minimize_scalar(at, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    log, risk = (found.x, float(found.fun)) if found.fun < values[i] else (grid[i], values[i])
    return Optimum(family(float(np.exp(log))), risk)
