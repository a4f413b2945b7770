"""Every measurement of the registry: what all keep, and what each one measures."""

import dataclasses

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory.operators import (
    OPERATORS,
    compressed_sensing,
    denoising,
    inpainting,
    masked_fourier,
    operator_of,
    superresolution,
)

SHAPES = [(8, 8, 1), (4, 8, 1), (8, 4, 3), (16, 16, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPERATORS)
class TestEveryOperator:
    def test_is_a_matrix_of_full_rank_on_the_patch(self, name, shape):
        operator = operator_of(name, shape, 0.1)
        assert operator.matrix.shape == (operator.measurements, operator.pixels)
        assert operator.pixels == np.prod(shape)
        assert 1 <= operator.measurements <= operator.pixels
        assert np.linalg.matrix_rank(operator.matrix) == operator.measurements
        assert operator.matrix.dtype == np.float64

    def test_says_what_it_is(self, name, shape):
        operator = operator_of(name, shape, 0.1)
        assert (operator.name, operator.shape, operator.sigma) == (name, shape, 0.1)
        assert "0.1" in operator.words
        assert not operator.words.endswith(".")

    def test_is_the_same_twice_and_cannot_be_changed(self, name, shape):
        operator = operator_of(name, shape, 0.0)
        np.testing.assert_array_equal(operator.matrix, operator_of(name, shape, 0.0).matrix)
        with pytest.raises(ValueError, match="read-only"):
            operator.matrix[0, 0] = 1
        with pytest.raises(dataclasses.FrozenInstanceError):
            operator.sigma = 1.0

    def test_refuses_noise_that_is_none(self, name, shape):
        for sigma in (-0.1, float("nan"), float("inf"), "0.1"):
            with pytest.raises(UserError, match="sigma"):
                operator_of(name, shape, sigma)


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 1), (8, 8, 0), (8.5, 8, 1), (8, -8, 1)])
@pytest.mark.parametrize("name", OPERATORS)
def test_shapes_that_are_none(name, shape):
    with pytest.raises(UserError):
        operator_of(name, shape, 0.1)


def test_unknown_name_names_the_nearest():
    with pytest.raises(UserError, match="superresolution"):
        operator_of("superesolution", (8, 8, 1), 0.1)


def test_denoising_measures_every_pixel():
    np.testing.assert_array_equal(denoising((3, 4, 2), 0.1).matrix, np.eye(24))


def test_inpainting_keeps_whole_pixels():
    operator = inpainting((8, 8, 3), 0.0, keep=0.25)
    image = np.arange(8 * 8 * 3.0).reshape(8, 8, 3)
    kept = (operator.matrix @ image.ravel()).reshape(-1, 3)
    assert len(kept) == 16
    assert {tuple(pixel) for pixel in kept} <= {tuple(pixel) for pixel in image.reshape(-1, 3)}
    assert inpainting((8, 8, 1), 0.0, keep=1e-9).measurements == 1
    assert inpainting((8, 8, 1), 0.0, keep=1.0).measurements == 64


def test_another_seed_is_another_mask():
    for make in (inpainting, compressed_sensing, masked_fourier):
        assert not np.array_equal(make((16, 16, 1), 0.0, seed=0).matrix, make((16, 16, 1), 0.0, seed=1).matrix)


def test_compressed_sensing_keeps_energy_on_average():
    energy = [(compressed_sensing((8, 8, 1), 0.0, seed=seed).matrix ** 2).sum(0).mean() for seed in range(50)]
    assert np.mean(energy) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("channels", [1, 2])
def test_superresolution_is_the_mean_of_blocks(channels):
    image = np.random.default_rng(0).random((6, 4, channels))
    small = (superresolution((6, 4, channels), 0.0).matrix @ image.ravel()).reshape(3, 2, channels)
    np.testing.assert_allclose(small, image.reshape(3, 2, 2, 2, channels).mean((1, 3)), rtol=1e-13)


class TestMaskedFourier:
    def test_rows_are_orthonormal(self):
        matrix = masked_fourier((8, 16, 1), 0.0, acceleration=4).matrix
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-12)

    def test_sees_its_columns_and_no_others(self):
        """A wave in a measured column is kept whole, one in another column is lost; the middle is always measured."""
        width = 16
        matrix = masked_fourier((width, width, 1), 0.0, acceleration=4, center=0.125).matrix
        column = np.arange(width)
        kept = {}
        for frequency in range(width // 2 + 1):
            wave = np.tile(np.cos(2 * np.pi * frequency * column / width), (width, 1)).ravel()
            kept[frequency] = ((matrix @ wave) ** 2).sum() / (wave**2).sum()
        assert kept[0] == pytest.approx(1)
        assert kept[1] == pytest.approx(1)
        assert all(min(abs(value), abs(value - 1)) < 1e-9 for value in kept.values())
        assert 0 < sum(value > 0.5 for value in kept.values()) < width // 2 + 1

    def test_without_acceleration_loses_nothing(self):
        operator = masked_fourier((4, 8, 1), 0.0, acceleration=1)
        assert operator.measurements == operator.pixels

    @pytest.mark.parametrize(
        ("options", "named"),
        [
            ({"acceleration": 0.5}, "acceleration"),
            ({"acceleration": 9}, "acceleration"),
            ({"acceleration": float("inf")}, "acceleration"),
            ({"center": 0.5}, "center"),
            ({"center": -0.1}, "center"),
        ],
    )
    def test_masks_that_are_none(self, options, named):
        with pytest.raises(UserError, match=named):
            masked_fourier((8, 8, 1), 0.0, **options)


@pytest.mark.parametrize("factor", [0, 1, 3, 16, -2, 2.5, "2"])
def test_factors_that_do_not_divide(factor):
    with pytest.raises(UserError, match="factor"):
        superresolution((8, 8, 1), 0.0, factor=factor)


@pytest.mark.parametrize("keep", [0, 1.5, -0.5, float("nan")])
@pytest.mark.parametrize("make", [inpainting, compressed_sensing])
def test_parts_that_are_none(make, keep):
    with pytest.raises(UserError, match="keep"):
        make((8, 8, 1), 0.0, keep=keep)
