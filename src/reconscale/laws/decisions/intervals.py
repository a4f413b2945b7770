"""Fixed words for uncertain things."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats


@dataclass(frozen=True)
class Interval:
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


def summarise(draws: Floats) -> Interval:
    """The range of equally likely draws (D,); a quantile is a draw, so that infinite ones do no harm."""
    ordered = np.sort(draws)
    low, median, high = (float(ordered[round(q * (len(ordered) - 1))]) for q in (0.05, 0.5, 0.95))
    return Interval(median, low, high, float(np.isinf(ordered).mean()))


LIKELY, UNLIKELY = 0.8, 0.2
"""A gain counts as worthwhile from the first probability on, and as ruled out below the second."""


def likelihood_words(probability: float) -> str:
    """``very likely`` from 95 %, ``likely`` from 80 %, ``undecided`` from 20 %, else ``unlikely``."""
    for least, word in ((0.95, "very likely"), (LIKELY, "likely"), (UNLIKELY, "undecided")):
        if probability >= least:
            return word
    return "unlikely"


def format_chance(probability: float) -> str:
    """In per cent, never closer to certainty than 1 %."""
    if probability > 0.99:
        return "above 99 %"
    return "below 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def format_short(p: float) -> str:
    """A number of parameters with its unit letter."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if p >= size:
            return f"{p / size:.3g}{letter}"
    return f"{p:.3g}"


def round_interval(value: float, digits: int = 2) -> str:
    """An amount with ``digits`` leading digits and no exponent; ``never`` where it is infinite.

    >>> round_interval(1234.0), round_interval(0.0321), round_interval(float("inf"))
    ('1,200', '0.032', 'never')
    """
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def format_interval(amount: Interval) -> str:
    """The 90 % interval in words."""
    return f"90 % interval {round_interval(amount.low)} to {round_interval(amount.high)}"
