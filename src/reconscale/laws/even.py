"""Places and normal draws that are evenly spread, the same every time.

An additive recurrence with the powers of the root of s^(Q + 1) = s + 1 (Roberts 2018, The unreasonable effectiveness
of quasirandom sequences). It needs no tables, and spares the import of ``scipy.stats``, which takes a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]


def places(count: int, dimensions: int) -> Floats:
    """(count, Q) places in the unit cube; the first is its middle."""
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    return np.asarray((0.5 + np.outer(np.arange(count), steps)) % 1.0)


def normal(count: int, dimensions: int) -> Floats:
    """(count, Q) standard normal draws."""
    return np.asarray(ndtri(places(count + 1, dimensions)[1:]))
