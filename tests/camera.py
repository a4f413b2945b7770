"""Real pairs of a camera: Poisson and Gaussian noise, an offset, 16 bit, several copies of every scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reconscale.data import write_image
from reconscale.data.sources import draw_leaves

BLACK, WHITE = 100, 1160
"""Values of the files: the offset of the camera, and what 424 electrons give."""
GAIN, ELECTRONS, READING = 2.5, 400.0, 4.0
"""Values for each electron; electrons of white; standard deviation of the noise of reading."""


def scene(index: int, side: int, channels: int = 1) -> np.ndarray:
    """(side, side, channels) float64: the values of a scene without noise."""
    return BLACK + GAIN * (ELECTRONS * draw_leaves(3, index, side, channels) / 255 + 20)


def photograph(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A noisy copy of a scene, as the camera stores it: uint16."""
    counts = rng.poisson((values - BLACK) / GAIN)
    return stored(BLACK + GAIN * counts + READING * rng.normal(size=values.shape))


def stored(values: np.ndarray) -> np.ndarray:
    """Rounded to uint16."""
    return np.rint(values).clip(0, 65535).astype(np.uint16)


def reduced(values: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks of factor x factor pixels."""
    rows, columns, channels = values.shape
    return values.reshape(rows // factor, factor, columns // factor, factor, channels).mean((1, 3))


def write_pairs(
    folder: Path,
    *,
    scenes: int = 6,
    copies: int = 1,
    side: int = 40,
    factor: int = 1,
    channels: int = 1,
    first: int = 0,
) -> None:
    """``clean/00.tif`` and ``noisy/00.tif``, or with several copies ``noisy/00/0.tif``, for every scene."""
    rng = np.random.default_rng(first)
    for index in range(first, first + scenes):
        values = scene(index, side, channels)
        write_image(folder / "clean" / f"{index:02d}.tif", stored(values))
        for copy in range(copies):
            name = f"{index:02d}/{copy}.tif" if copies > 1 else f"{index:02d}.tif"
            write_image(folder / "noisy" / name, photograph(reduced(values, factor), rng))
