"""Common array types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Real numbers in double precision."""
Complex = NDArray[np.complex128]
"""Complex numbers in double precision."""
Array = NDArray[Any]
"""Real or complex numbers."""

Shape = tuple[int, int, int]
"""Channels, height, width of an image."""
