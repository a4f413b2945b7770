"""How a budget is split among sources: a grid of shares, and the best of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from reconscale.arrays import Floats

STEPS = {2: 40, 3: 20, 4: 10, 5: 8}
"""Steps of a share from 0 to 1, by the number of sources."""


@dataclass(frozen=True, eq=False)
class WeighedAllocations:
    """Which split is best.

    Attributes:
        best: its row: the one with the least expected logarithm of the error.
        low, high: (K,) 90 % interval of the best share of each source, over laws.
    """

    best: int
    low: Floats
    high: Floats


def allocations(sources: int) -> Floats:
    """(N, K) shares of the budget that sum to 1, all in equal steps.

    >>> allocations(2)[[0, 1, -1]].tolist()
    [[0.0, 1.0], [0.025, 0.975], [1.0, 0.0]]
    """
    steps = STEPS[sources]
    parts = [part for part in product(range(steps + 1), repeat=sources - 1) if sum(part) <= steps]
    return np.array([[*part, steps - sum(part)] for part in parts]) / steps


def weigh_allocations(error: Floats, shares: Floats) -> WeighedAllocations:
    """The best of the splits ``shares`` (N, K), by the errors (D, 1 + N) before and after each."""
    after = np.log(error[:, 1:])
    chosen = shares[after.argmin(1)]
    low, high = np.quantile(chosen, [0.05, 0.95], axis=0)
    return WeighedAllocations(int(after.mean(0).argmin()), low, high)
