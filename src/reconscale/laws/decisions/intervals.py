"""Intervals, and fixed words for probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.format import round_count, round_interval


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


def format_interval(amount: Interval) -> str:
    """The 90 % interval in words."""
    return f"90 % interval {round_interval(amount.low)} to {round_interval(amount.high)}"


def format_counts(amount: Interval) -> str:
    """The 90 % interval of a number of things that come whole, in words."""
    return f"90 % interval {round_count(amount.low)} to {round_count(amount.high)}"
