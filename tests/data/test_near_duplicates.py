"""Near duplicates among photographs: what the threshold finds, and what it leaves alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from reconscale.data import ImageSet
from reconscale.data.build_store import open_store
from reconscale.data.folders import list_folder
from reconscale.data.near_duplicates import find_duplicates
from reconscale.data.store import Store
from reconscale.errors import UserError
from reconscale.study import Images

CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "blur": (lambda image: image.filter(ImageFilter.GaussianBlur(2)), 1.0),
    "half": (lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC), 1.0),
    "bright": (lambda image: image.point(lambda value: value * 0.7 + 20), 1.0),
    "mirror": (lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1.0),
    "shift": (lambda image: image.crop((0, 0, image.width - 8, image.height - 8)), 1.0),
    "side": (lambda image: image.crop((round(0.05 * image.width), 0, image.width, image.height)), 0.9),
    "corner": (
        lambda image: image.crop((round(0.04 * image.width), round(0.04 * image.height), image.width, image.height)),
        0.9,
    ),
    "cut": (lambda image: image.crop((4, 3, image.width - 4, image.height - 3)), 0.9),
}


def store_of(folder: Path, cache: Path) -> Store:
    images = Images(source="folder", val=1, test=1)
    return open_store(list_folder(images, folder), cache, channels="rgb", downscale=1, unreadable="refuse")


@pytest.fixture(scope="module")
def own(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 26 different photographs."""
    folder = tmp_path_factory.mktemp("photos") / "own"
    folder.mkdir()
    for path in sorted((shared / "data" / "natural_train" / "ImageNet_sample").glob("*"))[::10]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.parametrize("change", CHANGES)
def test_changed_photographs_are_found_and_different_ones_are_not(own: Path, tmp_path: Path, change: str) -> None:
    alter, share = CHANGES[change]
    for path in own.iterdir():
        alter(Image.open(path)).save(tmp_path / path.name, "JPEG", quality=30)
    left, right = store_of(own, own.parent / "cache"), store_of(tmp_path, own.parent / "cache")
    rows = np.arange(len(left))
    found = {(twin.left, twin.right) for twin in find_duplicates(left, rows, right, rows)}
    assert left.names == right.names and found <= {(row, row) for row in rows.tolist()}
    assert len(found) >= share * len(rows)


def test_no_false_alarm_among_standard_sets(shared: Path, opened: Callable[..., ImageSet]) -> None:
    sets = {"kodak": "natural_test/Kodak24", "set14": "natural_test/Set14"}
    images = opened(
        shared / "data", folders=("natural_test/CBSD68",), channels="rgb", test_sets=sets, val=10, test=20, patch=64
    )
    assert images.duplicates == 0 and images.units == 38


def test_the_grey_copies_of_a_colour_set_are_found(shared: Path, opened: Callable[..., ImageSet]) -> None:
    with pytest.raises(UserError, match=r"is (nearly )?the same as 'natural_test/BSD68/.*' of bsd"):
        opened(
            shared / "data", folders=("natural_test/CBSD68",), channels="gray", test_sets={"bsd": "natural_test/BSD68"}
        )
