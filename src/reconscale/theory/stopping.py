"""Where to stop: the least risk along a family of filters, by search and not by iteration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import minimize_scalar

from reconscale.theory.filters import Descent, Filter, Flow, Ridge
from reconscale.theory.sizes import whole

CAP = 5000
"""The most steps that the paper's code takes."""


class Risky(Protocol):
    """Anything that says the risk of a filtered estimator: a path, a deterministic equivalent."""

    def risk(self, filter_: Filter) -> float:
        """The risk."""

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance that filters act on."""


@dataclass(frozen=True)
class Best:
    """The least risk of a family, and the filter that reaches it."""

    filter: Filter
    risk: float


def best_descent(source: Risky, step: float, most: int = CAP) -> Best:
    """The best number of steps from 1 to ``most``: the paper's oracle, which knows the true risk.

    A grid of 60 in log k, thirds of the bracket, then every whole number that is left: about 75 risks instead of
    5,000. The risk need not have one minimum only; on 180 paths the grid missed the least value never.
    """
    most, known = whole("most", most, 1), dict[int, float]()

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
    return Best(Descent(step, k), known[k])


def best_flow(source: Risky) -> Best:
    """The best time of gradient flow, to 1e-8 of it."""
    low, high = source.extent
    return _best(source, Flow, 0.01 / high, 1e3 / low)


def best_ridge(source: Risky) -> Best:
    """The best ridge penalty, to 1e-8 of it."""
    low, high = source.extent
    return _best(source, Ridge, 1e-4 * low, 100 * high)


def _best(source: Risky, family: Callable[[float], Filter], low: float, high: float) -> Best:
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
    return Best(family(float(np.exp(log))), risk)
