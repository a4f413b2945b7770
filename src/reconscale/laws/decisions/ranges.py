"""An uncertain amount that may be infinite."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """An uncertain amount; each of the three numbers may be inf.

    Attributes:
        median: as likely more as less.
        low: 5 % quantile.
        high: 95 % quantile.
        never: probability that it is infinite.
    """

    median: float
    low: float
    high: float
    never: float


def ranged(draws: Floats) -> Range:
    """The range of equally likely draws (D,); a quantile is a draw, so that infinite ones do no harm."""
    ordered = np.sort(draws)
    low, median, high = (float(ordered[round(q * (len(ordered) - 1))]) for q in (0.05, 0.5, 0.95))
    return Range(median, low, high, float(np.isinf(ordered).mean()))
