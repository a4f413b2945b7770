"""Opening images: every bad file in a folder, copies of a folder, old stores, photographs from outside."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reconscale.data import ImageSet, open_images, write_image
from reconscale.errors import UserError
from reconscale.physics.metrics import psnr_y

from .conftest import picture
from .test_image_files import BAD

Open = Callable[..., ImageSet]


@pytest.mark.parametrize("name", BAD)
def test_bad_files_among_good_ones(data: Path, opened: Open, name: str) -> None:
    """Refused with the file named, or left out and named; the same when the store is found again."""
    content, _ = BAD[name]
    (data / "scene1" / "bad.png").write_bytes(content)
    with pytest.raises(UserError, match=r'scene1/bad\.png: .*, or set images\.unreadable = "skip"$') as caught:
        opened(data, channels="rgb")
    for _ in range(2):
        images = opened(data, channels="rgb", unreadable="skip")
        assert [left for left, _ in images.skipped] == ["scene1/bad.png"] and images.units == 10
        assert images.skipped[0][1] in str(caught.value)


def test_a_copy_of_the_folder_has_the_same_digest(data: Path, opened: Open) -> None:
    """Where the folder and the cache lie does not matter, nor when files were written."""
    first = opened(data)
    shutil.copytree(data, data.parent / "moved", copy_function=shutil.copyfile)
    second = open_images(first.images, data=data.parent / "moved", cache=data.parent / "other")
    assert second.digest == first.digest and second.train.names == first.train.names
    assert second.training(5, 3).names == first.training(5, 3).names


def test_a_replaced_file_of_the_same_time_is_seen_by_its_size(data: Path, opened: Open) -> None:
    first, path = opened(data), data / "scene0" / "00.png"
    status = path.stat()
    write_image(path, picture(77, 44, 36))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size != status.st_size and opened(data).digest != first.digest


def test_another_folder_of_equal_names_sizes_and_times_is_read(tmp_path: Path, opened: Open) -> None:
    """As two variants of a data set that one archive tool unpacked, of files whose size says nothing of the content."""
    digests = []
    for variant in ("one", "other"):
        for number in range(8):
            image = picture(number + 100 * (variant == "other"), 40, 36)
            path = tmp_path / variant / f"{number}.bmp"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(image).save(path)
            os.utime(path, (5, 5))
        digests.append(opened(tmp_path / variant, val=2, test=2).digest)
    assert digests[0] != digests[1]


def test_more_images_than_there_are(data: Path, opened: Open) -> None:
    images = opened(data, unit="folder", counts="images")
    assert images.available == 6
    with pytest.raises(UserError, match=r"sweep.n: found 7; the images allow 1 to 6 images for training"):
        images.training(7, 0)


def test_every_position_is_drawn_equally_often(tmp_path: Path, opened: Open) -> None:
    for index in range(3):
        write_image(tmp_path / "data" / f"{index}.png", picture(index, 10, 12))
    pixels = opened(tmp_path / "data", patch=8).train
    image = pixels.image(0)
    place = {image[i : i + 8, j : j + 8].tobytes(): (i, j) for i in range(3) for j in range(5)}
    batch = pixels.crops([0] * 3000, 8, generator=torch.Generator().manual_seed(1))
    drawn = Counter(place[np.ascontiguousarray(crop.transpose(1, 2, 0)).tobytes()] for crop in batch.numpy())
    expected = 3000 / 15
    assert len(drawn) == 15
    assert sum((count - expected) ** 2 / expected for count in drawn.values()) < 36.1  # chi-square, 14, 0.999


def test_psnr_of_luma_by_hand() -> None:
    """MATLAB: rgb2ycbcr of [0, 1], Y = (65.481 R + 128.553 G + 24.966 B + 16) / 255, then psnr with peak 1."""
    x_hat, x = (np.random.default_rng(seed).random((21, 17, 3)) for seed in (0, 1))
    luma, luma_hat = ((65.481 * v[..., 0] + 128.553 * v[..., 1] + 24.966 * v[..., 2] + 16) / 255 for v in (x, x_hat))
    reference = 10 * np.log10(1 / np.mean((luma - luma_hat) ** 2))
    ours, truth = (torch.from_numpy(v.transpose(2, 0, 1)[None].copy()) for v in (x_hat, x))
    assert float(psnr_y(ours, truth)) == pytest.approx(reference, abs=1e-9)


def test_training_photographs_and_a_standard_test_set(shared: Path, tmp_path: Path, opened: Open) -> None:
    for place in ("natural_train/BSDS500_train", "natural_test/CBSD68"):
        paths = sorted((shared / "data" / place).glob("*.[jp][pn]g"))[::5]  # a fifth, for speed
        if not paths:
            pytest.skip(f"{place} is not here")
        (tmp_path / "data" / place).mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, tmp_path / "data" / place / path.name)
    sets = {"cbsd68": "natural_test/CBSD68"}
    images = opened(tmp_path / "data", folders=("natural_train",), test_sets=sets, val=4, test=4, patch=64)
    assert images.channels == 3 and images.units == 32 and len(images.tests["cbsd68"]) == 14
    assert images.duplicates == 0 and not images.skipped
    assert {tuple(sorted(image.shape)) for image in map(images.train.image, range(32))} == {(3, 321, 481)}
