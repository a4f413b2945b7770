"""Crops and tensors: where they are cut, what they hold, how they become floats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconscale.data import ImageSet, ImageSubset, write_image
from reconscale.errors import UserError

from .conftest import picture

Open = Callable[..., ImageSet]

DTYPES = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32}


@pytest.fixture(params=[(dtype, channels) for dtype in DTYPES for channels in (1, 3)], ids=str)
def pixels(request: pytest.FixtureRequest, tmp_path: Path, opened: Open) -> ImageSubset:
    dtype, channels = request.param
    for index in range(7):
        write_image(tmp_path / "data" / f"{index}.tif", picture(index, 30 + index, 41 - index, channels, dtype))
    return opened(tmp_path / "data").train


def test_images_are_read_only_views(pixels: ImageSubset) -> None:
    image = pixels.image(0)
    assert image.shape[2] == pixels.channels and image.dtype.name == pixels.store.dtype
    with pytest.raises(ValueError, match=r"read-only"):
        image[0, 0, 0] = 0
    name = int(pixels.names[0][:-4])
    assert np.array_equal(image, picture(name, 30 + name, 41 - name, pixels.channels, pixels.store.dtype))


def test_tensors_are_in_the_unit_range(pixels: ImageSubset) -> None:
    for index in range(len(pixels)):
        x = pixels.tensor(index)
        image = pixels.image(index)
        assert x.shape == (1, pixels.channels, *image.shape[:2]) and x.dtype == torch.float32 and x.is_contiguous()
        expected = image.astype(np.float32) / np.float32(pixels.scale)
        assert np.array_equal(x[0].permute(1, 2, 0).numpy(), expected) and 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("crop", [8, 21, 33, 1000])
def test_central_tensors(pixels: ImageSubset, crop: int) -> None:
    from torchvision.transforms.functional import center_crop

    x, whole = pixels.tensor(0, crop), pixels.tensor(0)
    height, width = min(crop, whole.shape[2]), min(crop, whole.shape[3])
    assert torch.equal(x, center_crop(whole, [height, width]))


def test_crops_are_found_in_their_images(pixels: ImageSubset) -> None:
    indices = [0, 2, 2, 1, 0, 3]
    batch = pixels.crops(indices, 9, generator=torch.Generator().manual_seed(0))
    assert batch.shape == (6, pixels.channels, 9, 9) and batch.dtype == DTYPES[pixels.store.dtype]
    assert batch.is_contiguous() and not torch.equal(batch[1], batch[2])
    for crop, index in zip(batch, indices, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(pixels.image(index), (9, 9), (0, 1))
        assert (windows == crop.numpy()).all((2, 3, 4)).sum() == 1


def test_central_crops_agree_with_tensors(pixels: ImageSubset) -> None:
    batch = pixels.to_unit(pixels.crops(range(len(pixels)), 16, generator=None), torch.device("cpu"))
    assert torch.equal(batch, torch.cat([pixels.tensor(i, 16) for i in range(len(pixels))]))


def test_to_unit_leaves_its_input_alone(pixels: ImageSubset) -> None:
    batch = pixels.crops([0, 1], 16, generator=None)
    before = batch.clone()
    unit = pixels.to_unit(batch, torch.device("cpu"))
    assert torch.equal(batch, before) and unit.dtype == torch.float32 and unit.is_contiguous()


def test_crops_follow_the_generator(pixels: ImageSubset) -> None:
    one, other = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    first, second = (pixels.crops([0, 1, 2], 12, generator=g) for g in (one, other))
    assert torch.equal(first, second)
    state = one.get_state()
    third = pixels.crops([0, 1], 12, generator=one)
    one.set_state(state)
    assert torch.equal(third, pixels.crops([0, 1], 12, generator=one))
    pixels.crops([0, 1], 8, generator=other)  # draws as much, whatever the sizes
    assert torch.equal(one.get_state(), other.get_state())


def test_crops_larger_than_an_image(pixels: ImageSubset) -> None:
    with pytest.raises(UserError, match=r"\d.tif: is smaller than 41 pixels; lower images.patch"):
        pixels.crops([0], 41, generator=None)


@settings(derandomize=True, deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patch=st.integers(8, 32), seed=st.integers(0, 999))
def test_positions_are_uniform_over_all_that_fit(opened: Open, patch: int, seed: int) -> None:
    images = opened(None, source="deadleaves", size=32, total=5)
    pixels = images.train
    batch = pixels.crops([0] * 300, patch, generator=torch.Generator().manual_seed(seed))
    whole = pixels.image(0)
    for top, left in ((0, 0), (32 - patch, 32 - patch)):
        corner = torch.from_numpy(whole[top : top + patch, left : left + patch].transpose(2, 0, 1).copy())
        if patch >= 28:  # 25 positions or fewer: both extremes must come up
            assert (batch == corner).all(3).all(2).all(1).any()


def test_units_never_cross(tmp_path: Path, opened: Open) -> None:
    for scene in range(5):
        for index in range(3):
            write_image(tmp_path / "data" / f"s{scene}" / f"{index}.png", picture(scene * 10 + index))
    images = opened(tmp_path / "data", unit="folder", counts="images")
    sets = [images.train, images.val, images.tests["test"]]
    assert [set(p.units) & set(q.units) for p in sets for q in sets if p is not q] == [set()] * 6
    assert images.available == 9 and images.units == 3
    assert images.training(4, 0).units[:3] == (images.training(1, 0).units[0],) * 3
