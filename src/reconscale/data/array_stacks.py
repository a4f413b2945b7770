"""An array of images in a file, whatever the kind of the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reconscale.data.image_checks import Header, Limits, say_range
from reconscale.data.store import SCALES
from reconscale.errors import UserError


@dataclass(frozen=True)
class ArrayStack:
    """An array of images.

    Attributes:
        name: the file, and the array in it.
        header: of every image.
        count: how many.
        row: the pixels of one.
        axes: of the array, 3 or 4.
    """

    name: str
    header: Header
    count: int
    row: Callable[[int], np.ndarray]
    axes: int


def stack_header(name: str, array: np.ndarray, limits: Limits, several: bool = False) -> Header:
    """The header of every image of an array.

    Raises:
        UserError: the array has another shape or type, or its shape may mean images or colours.
    """
    other = f', or name the array that counts in images.folders, as "{name}"' if several else ""
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise UserError(
            name, f"has the shape {array.shape}", f"expected (N, H, W), (N, H, W, 1) or (N, H, W, 3){other}"
        )
    if array.ndim == 3 and (array.shape[0] == 3 or array.shape[2] == 3) and min(array.shape[:2]) > 0:
        found = f"has the shape {array.shape}, and 3 may count images or colours"
        remedy = "save one RGB image as (1, H, W, 3), and 3 grey images as (3, H, W, 1)"
        raise UserError(name, found, remedy + other)
    dtype = "float32" if array.dtype.kind == "f" else array.dtype.newbyteorder("=").name
    if limits is not None and array.dtype.kind in "iuf":
        dtype = "float32"
    if dtype not in SCALES:
        known = f", or {say_range('the same for all')}" if array.dtype.kind in "iu" else ""
        raise UserError(
            name, f"has the type {array.dtype}", f"expected uint8, uint16, or floating point in [0, 1]{known}{other}"
        )
    return Header(array.shape[1], array.shape[2], 1 if array.ndim == 3 else array.shape[3], dtype)
