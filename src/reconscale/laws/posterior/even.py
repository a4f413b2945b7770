"""Evenly spread normal draws, the same every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]


def even(dimensions: int, count: int) -> Floats:
    """(count, dimensions) standard normal draws, more evenly spread than random ones.

    An additive recurrence whose steps are powers of the generalised golden ratio (Roberts 2018), which needs no
    tables and no import of ``scipy.stats``.
    """
    ratio = 2.0
    for _ in range(60):
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    steps = ratio ** -np.arange(1, dimensions + 1)
    return np.asarray(ndtri((0.5 + np.outer(np.arange(1, count + 1), steps)) % 1.0))
