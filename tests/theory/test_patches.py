"""Patches as the theory room takes them."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory.operators import Patches


def test_counts_and_selects():
    patches = Patches(np.linspace(0, 1, 24).reshape(6, 4), np.array([5, 5, 2, 2, 2, 9]), (2, 2, 1))
    assert (len(patches), patches.images) == (6, 3)
    some = patches.only(patches.image == 2)
    assert (len(some), some.images, some.shape) == (3, 1, (2, 2, 1))
    np.testing.assert_array_equal(some.values, patches.values[2:5])


def test_cannot_be_changed_but_leaves_the_callers_array_alone():
    values, image = np.zeros((3, 4)), np.arange(3)
    patches = Patches(values, image, (2, 2, 1))
    for array in (patches.values, patches.image):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    values[0], image[0] = 1, 7
    assert values.flags.writeable


def test_integers_become_floats():
    assert Patches(np.ones((1, 4), int), np.zeros(1), (2, 2, 1)).values.dtype == np.float64


@pytest.mark.parametrize(
    ("values", "image", "shape", "said"),
    [
        (np.zeros((0, 4)), np.zeros(0), (2, 2, 1), "shape"),
        (np.zeros((3, 5)), np.zeros(3), (2, 2, 1), "shape"),
        (np.zeros(4), np.zeros(1), (2, 2, 1), "shape"),
        (np.zeros((3, 4)), np.zeros(2), (2, 2, 1), "2 labels"),
        (np.full((3, 4), np.nan), np.zeros(3), (2, 2, 1), "not finite"),
        (np.full((3, 4), np.inf), np.zeros(3), (2, 2, 1), "not finite"),
        (np.zeros((3, 4)), np.zeros(3), (4, 1), "height, width and channels"),
        (np.zeros((3, 4)), np.zeros(3), (-2, -2, 1), "height, width and channels"),
    ],
)
def test_what_is_none(values, image, shape, said):
    with pytest.raises(UserError, match=said):
        Patches(values, image, shape)
