"""Fixed words for uncertain things."""

from __future__ import annotations

import math
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


LIKELY, UNLIKELY = 0.8, 0.2
"""A gain counts as worthwhile from the first probability on, and as ruled out below the second."""


def wording(probability: float) -> str:
    """``very likely`` from 95 %, ``likely`` from 80 %, ``undecided`` from 20 %, else ``unlikely``."""
    for least, word in ((0.95, "very likely"), (LIKELY, "likely"), (UNLIKELY, "undecided")):
        if probability >= least:
            return word
    return "unlikely"


def chance(probability: float) -> str:
    """In per cent, never closer to certainty than 1 %."""
    if probability > 0.99:
        return "above 99 %"
    return "below 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def short(p: float) -> str:
    """A number of parameters with its unit letter."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if p >= size:
            return f"{p / size:.3g}{letter}"
    return f"{p:.3g}"


def rounded(value: float, digits: int = 2) -> str:
    """An amount with ``digits`` leading digits and no exponent; ``never`` where it is infinite.

    >>> rounded(1234.0), rounded(0.0321), rounded(float("inf"))
    ('1,200', '0.032', 'never')
    """
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def between(amount: Range) -> str:
    """The 90 % interval in words."""
    return f"90 % interval {rounded(amount.low)} to {rounded(amount.high)}"
