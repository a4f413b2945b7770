"""The levels of a population, few enough to compute with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.theory.population import Population

Floats = NDArray[np.float64]

MOST_LEVELS = 1000
"""Populations of more distinct variances are binned."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Distinct variances s_j in rising order with what belongs to them; all (L,).

    Attributes:
        variance: s_j.
        count: number of directions m_j.
        signal: b_j, sum of ||V u||^2 over them.
        leverage: m_j, or what the population says instead.
    """

    variance: Floats
    count: Floats
    signal: Floats
    leverage: Floats


def levels_of(population: Population, most: int = MOST_LEVELS) -> Levels:
    """Merge equal variances, and all within a bin of the logarithm where more than ``most`` are distinct.

    A bin keeps the number of its directions, their total variance, signal power and noise. At a thousand bins over
    12 decades a bin is 3 % wide; what that does to the risk is second order in it (below 1e-4 of the risk on
    power-law spectra; ``benchmarks/theory_equivalents.py`` measures it).
    """
    order = np.argsort(population.variances)
    variance, count, signal = (a[order] for a in (population.variances, population.counts, population.signal))
    leverage = count if population.leverage is None else population.leverage[order]
    new = np.diff(variance, prepend=-1.0) != 0
    if new.sum() > most:
        log = np.log(variance)
        bins = np.floor((log - log[0]) / (log[-1] - log[0]) * most * (1 - 1e-12))
        new = np.diff(bins, prepend=-1.0) != 0
    label, first = np.cumsum(new) - 1, variance[new]
    if len(first) == len(variance):
        return Levels(variance, count, signal, leverage)

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(label, values), dtype=np.float64)

    merged = total(count * variance) / total(count)
    return Levels(merged, total(count), total(signal * variance) / merged, total(leverage * variance) / merged)
