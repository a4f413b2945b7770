"""Near duplicates among photographs: what the threshold finds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from reconscale.imaging import ImageSet
from reconscale.imaging.build import open_store
from reconscale.imaging.duplicates import twins
from reconscale.imaging.folder import list_folder
from reconscale.imaging.store import Store
from reconscale.mistakes import Mistake
from reconscale.study import Images

CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "blur": (lambda image: image.filter(ImageFilter.GaussianBlur(2)), 1.0),
    "half": (lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC), 1.0),
    "bright": (lambda image: image.point(lambda value: value * 0.7 + 20), 1.0),
    "mirror": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1.0),
    "cut": (lambda image: image.crop((4, 3, image.width - 4, image.height - 3)), 0.9),
}


def store_of(folder: Path, cache: Path) -> Store:
    images = Images(source="folder", val=1, test=1)
    return open_store(list_folder(images, folder), cache, channels="rgb", downscale=1, unreadable="refuse")


@pytest.mark.parametrize("change", CHANGES)
def test_changed_photographs_are_found_and_different_ones_are_not(shared: Path, tmp_path: Path, change: str) -> None:
    alter, share = CHANGES[change]
    folder = tmp_path / "photos"
    paths = sorted((shared / "data" / "natural_train" / "ImageNet_sample").glob("*"))[::9]
    for path in paths:
        (folder / "own").mkdir(parents=True, exist_ok=True)
        (folder / "changed").mkdir(parents=True, exist_ok=True)
        image = Image.open(path).convert("RGB")
        image.save(folder / "own" / f"{path.stem}.png", compress_level=1)
        alter(image).save(folder / "changed" / f"{path.stem}.jpg", quality=30)
    own, changed = store_of(folder / "own", tmp_path / "c"), store_of(folder / "changed", tmp_path / "c")
    rows = np.arange(len(paths))
    found = {(twin.left, twin.right) for twin in twins(own, rows, changed, rows)}
    assert found <= {(row, row) for row in rows.tolist()} and len(found) >= share * len(paths)


def test_no_false_alarm_among_standard_sets(shared: Path, opened: Callable[..., ImageSet]) -> None:
    sets = {"kodak": "natural_test/Kodak24", "set14": "natural_test/Set14"}
    images = opened(
        shared / "data", folders=("natural_test/CBSD68",), channels="rgb", test_sets=sets, val=10, test=20, patch=64
    )
    assert images.duplicates == 0 and images.units == 38


def test_the_grey_copies_of_a_colour_set_are_found(shared: Path, opened: Callable[..., ImageSet]) -> None:
    with pytest.raises(Mistake, match=r"is (nearly )?the same as 'natural_test/BSD68/.*' of bsd"):
        opened(
            shared / "data", folders=("natural_test/CBSD68",), channels="gray", test_sets={"bsd": "natural_test/BSD68"}
        )
