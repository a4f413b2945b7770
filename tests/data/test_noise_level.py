"""The noise of images, found where it is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from reconscale.data.noise_level import ImageNoise, measure_noise
from reconscale.errors import UserError

Floats = NDArray[np.float64]


def pictures(count: int, side: int = 384) -> Iterator[Floats]:
    """Smooth scenes that use most of the range, with edges."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        rough = gaussian_filter(rng.normal(size=(side, side, 1)), (20, 20, 0))
        rough = 0.1 + 0.7 * (rough - rough.min()) / np.ptp(rough)
        rough[side // 3 : side // 2, side // 4 : side // 2] = (
            0.85 - 0.5 * rough[side // 3 : side // 2, side // 4 : side // 2]
        )
        yield rough


def noisy(image: Floats, sigma: float, photons: float | None, rng: np.random.Generator) -> Floats:
    """A camera of 8 bit: photons are counted, read noise is added, values are rounded and cut off."""
    counted = rng.poisson(image * photons) / photons if photons else image
    return (np.round(255 * counted + sigma * rng.standard_normal(image.shape)) / 255).clip(0, 1)


def measured(sigma: float, photons: float | None, copies: int, scenes: int = 6) -> ImageNoise:
    rng = np.random.default_rng(1)
    return measure_noise([[noisy(image, sigma, photons, rng) for _ in range(copies)] for image in pictures(scenes)])


@pytest.mark.parametrize(("sigma", "photons"), [(25, None), (10, None), (3, None), (5, 500), (2, 2000), (1, 100)])
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_known_noise_is_found(sigma: float, photons: float | None, copies: int) -> None:
    """Rounding to 8 bit adds a variance of 1/12 of a grey level."""
    found = measured(sigma, photons, copies)
    for mean in (0.2, 0.5, 0.8):
        true = np.sqrt((sigma**2 + 1 / 12) / 255**2 + (mean / photons if photons else 0))
        assert found.deviation(mean) == pytest.approx(true, rel=0.03 if copies > 1 else 0.06)
    assert (found.photons is None) == (photons is None)
    if photons:
        assert found.photons == pytest.approx(photons, rel=0.04 if copies > 1 else 0.15)
    assert found.is_white and found.copies == copies and found.images == 6


def test_intervals_hold_the_truth() -> None:
    rng, inside = np.random.default_rng(2), []
    for _ in range(20):
        found = measure_noise([[noisy(image, 4, 400, rng) for _ in range(2)] for image in pictures(4, 128)])
        assert found.photons_interval is not None
        low, high = found.photons_interval
        inside.append(low <= 400 <= high)
    assert sum(inside) >= 12  # four scenes: narrower than they should be, but not by much


def test_one_image_has_no_interval() -> None:
    assert measured(10, None, 1, scenes=1).sigma_interval is None


def test_texture_counts_as_noise_of_one_copy_and_not_of_two() -> None:
    rng = np.random.default_rng(3)
    woven = [image + 0.03 * rng.standard_normal(image.shape) for image in pictures(4)]
    once = measure_noise([[noisy(image, 3, None, rng)] for image in woven])
    twice = measure_noise([[noisy(image, 3, None, rng) for _ in range(2)] for image in woven])
    assert 255 * once.sigma > 7 and 255 * twice.sigma == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize("copies", [1, 3])
def test_noise_that_neighbours_share_is_not_white(copies: int) -> None:
    rng = np.random.default_rng(4)
    smooth = lambda image: image + 0.1 * gaussian_filter(rng.standard_normal(image.shape), (0.7, 0.7, 0))  # noqa: E731
    assert not measure_noise([[smooth(image) for _ in range(copies)] for image in pictures(4)]).is_white


def test_a_mosaic_of_colours_is_refused() -> None:
    rng = np.random.default_rng(6)
    mosaics = []
    for image in pictures(3):
        raw = noisy(image, 3, None, rng)
        raw[::2, ::2] *= 0.6
        raw[1::2, 1::2] *= 0.7
        mosaics.append(raw)
    with pytest.raises(UserError, match="mosaic of colours"):
        measure_noise([[raw] for raw in mosaics])


def test_what_cannot_be_measured() -> None:
    flat = np.ones((64, 64, 1))
    with pytest.raises(UserError, match="there are none"):
        measure_noise([])
    with pytest.raises(UserError, match="too few pixels between black and white"):
        measure_noise([[flat]])
    with pytest.raises(UserError, match="differ in shape"):
        measure_noise([[flat, flat[:32]]])
    with pytest.raises(UserError, match="one copy here and several there"):
        measure_noise([[flat / 2], [flat / 2, flat / 2]])


def test_of_one_image_a_poisson_part_is_found_where_there_is_one() -> None:
    rng, without, with_one = np.random.default_rng(3), 0, 0
    for image in pictures(12, 512):
        without += measure_noise([[noisy(image, 10, None, rng)]]).photons is not None
        with_one += measure_noise([[noisy(image, 4, 300, rng)]]).photons is not None
    assert without <= 2 and with_one == 12


@pytest.mark.parametrize("step", [1, 3])
def test_copies_that_moved_by_a_pixel_are_found(step: int) -> None:
    """They differ at edges; in averages over regions they hardly do."""
    rng = np.random.default_rng(7)
    sharp = [image + 0.1 * (rng.random((48, 48, 1)).repeat(8, 0).repeat(8, 1) - 0.5) for image in pictures(4)]
    still = measure_noise([[noisy(image, 6, 800, rng) for _ in range(2)] for image in sharp])
    moved = measure_noise([[noisy(np.roll(image, shift, 1), 6, 800, rng) for shift in (0, step)] for image in sharp])
    assert still.is_steady and still.at_edges == pytest.approx(1, abs=0.03)
    assert not moved.is_steady and (moved.at_edges or 0) > 1.2
