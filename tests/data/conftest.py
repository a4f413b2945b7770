"""Folders of small images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import ImageSet, open_images, write_image
from reconscale.study import Images


def picture(seed: int, height: int = 40, width: int = 36, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    """A random picture, (height, width, channels), unlike every other."""
    values = np.random.default_rng(seed).random((height, width, channels))
    if dtype == "float32":
        return values.astype(np.float32)
    return (values * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with 12 RGB pictures in 4 sub-folders."""
    for index in range(12):
        write_image(tmp_path / "data" / f"scene{index % 4}" / f"{index:02d}.png", picture(index))
    return tmp_path / "data"


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., ImageSet]:
    """Open images of a data folder with few options."""

    def make(data: Path | None, **options: Any) -> ImageSet:
        given = {"source": "folder", "val": 1, "test": 1, "patch": 16} | options
        return open_images(Images(**given), data=data, cache=tmp_path / "cache")

    return make
