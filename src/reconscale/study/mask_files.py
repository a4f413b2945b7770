"""Masks of k-space that files hold: their lines become part of the study, so that a changed file is another study."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator

from reconscale.errors import UserError
from reconscale.files import read_limited

Mask = np.ndarray
"""(1, W) bool: columns; or (H, W) bool: points."""
GIVEN = re.compile(r"(\d{1,5})x(\d{1,5}):([0-9a-f]+)")
MOST_SIDE = 4096
MOST_BYTES = 1 << 26
REMEDY = "give a .npy array of zeros and ones: one for each column of k-space, or one for each point"
INSTEAD = ("mask", "acceleration", "center_fraction")
"""Keys that masks of a file stand for."""


def _known(value: Any) -> Any:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    for text in values:
        if not isinstance(text, str) or GIVEN.fullmatch(text) is None:
            raise ValueError("is written from mask_file; name the file there")
        mask_of(text)
    return values


MaskLines = Annotated[tuple[str, ...], BeforeValidator(_known)]
"""Masks as text: rows x columns, and their bits in hexadecimal."""


def text_of(mask: Mask) -> str:
    """A mask as text.

    >>> text_of(np.array([[1, 0, 0, 0, 1, 1, 0, 0, 1]], bool))
    '1x9:8c80'
    """
    return f"{mask.shape[0]}x{mask.shape[1]}:{np.packbits(mask).tobytes().hex()}"


def mask_of(text: str) -> Mask:
    """The mask of a text that :func:`text_of` wrote.

    Raises:
        ValueError: it is none.
    """
    found = GIVEN.fullmatch(text)
    if found is None:
        raise ValueError("is no mask")
    rows, columns = int(found[1]), int(found[2])
    bits = np.frombuffer(bytes.fromhex(found[3] + "0" * (len(found[3]) % 2)), np.uint8)
    if not 0 < rows * columns <= MOST_SIDE**2 or len(bits) != -(-rows * columns // 8):
        raise ValueError("is no mask of its size")
    return np.unpackbits(bits, count=rows * columns).astype(bool).reshape(rows, columns)


def columns_of(text: str) -> int:
    """The columns of k-space that a mask is for."""
    return int(mask_of(text).shape[1])


def middle_of(mask: Mask) -> tuple[int, int]:
    """(first, count) of the columns around the middle that are measured without gaps; of points those of a square."""
    if mask.shape[0] > 1:
        return _square(mask)
    line = mask[0]
    first = last = len(line) // 2
    while first > 0 and line[first - 1]:
        first -= 1
    while last + 1 < len(line) and line[last + 1]:
        last += 1
    return first, last - first + 1


def _square(mask: Mask) -> tuple[int, int]:
    """(first column, side) of the largest square in the middle that is measured without gaps."""
    rows, columns = mask.shape
    for side in range(min(rows, columns), 0, -1):
        top, left = (rows - side + 1) // 2, (columns - side + 1) // 2
        if mask[top : top + side, left : left + side].all():
            return left, side
    return columns // 2, 1


def mask_words(masks: Sequence[str]) -> str:
    """How much of k-space the masks of a study take, in words."""
    shares = sorted({round(1 / float(mask_of(text).mean()), 1) for text in masks})
    times = f"{shares[0]:g}" if len(shares) == 1 else f"{shares[0]:g} to {shares[-1]:g}"
    return f"{'a mask' if len(masks) == 1 else f'{len(masks)} masks'} of its own, accelerated {times} times"


def read_masks(content: Any, beside: Path) -> Any:
    """The content of ``[problem]`` with the masks of the files that it names.

    Args:
        content: the table, as read from TOML.
        beside: the folder of the study file, which the files are seen from.

    Raises:
        UserError: a file is missing or holds no mask, masks are for k-space of different widths, or what the files
            stand for is said, too.
    """
    if not isinstance(content, Mapping) or content.get("kind") != "mri" or "mask_file" not in content:
        return content
    names = content["mask_file"]
    names = list(names) if isinstance(names, list | tuple) else [names]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(
            "problem.mask_file", f"found {content['mask_file']!r}", "give the name of a .npy file, or a list"
        )
    said = [key for key in INSTEAD if key in content]
    if said:
        raise UserError(
            f"problem.{said[0]}", "is said beside mask_file, which holds the masks", "leave one of them out"
        )
    masks = [_read(beside / name) for name in names]
    widths = sorted({mask.shape[1] for mask in masks})
    if len(widths) > 1:
        raise UserError(
            "problem.mask_file", f"has masks of {widths[0]} and of {widths[-1]} columns", "give masks of one size"
        )
    kept = {key: value for key, value in content.items() if key != "mask_file"}
    return kept | {"mask_lines": tuple(dict.fromkeys(map(text_of, masks)))}


def _read(path: Path) -> Mask:
    data = read_limited(path, MOST_BYTES, REMEDY)
    try:
        values = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # numpy parses the header as Python, and raises classes of every kind
        raise UserError(path, "is no .npy array", REMEDY) from error
    if (
        not isinstance(values, np.ndarray)
        or values.dtype.kind not in "biuf"
        or values.ndim not in (1, 2)
        or not values.size
    ):
        raise UserError(path, "is no array of one or two dimensions of numbers", REMEDY)
    mask = np.atleast_2d(values)
    if max(mask.shape) > MOST_SIDE or not np.isin(mask, (0, 1)).all():
        raise UserError(path, f"holds {' x '.join(map(str, values.shape))} values that are not all 0 or 1", REMEDY)
    mask = mask.astype(bool)
    if not mask[mask.shape[0] // 2, mask.shape[1] // 2]:
        raise UserError(
            path, "does not measure the middle of k-space", "coil maps and networks need its lowest frequencies"
        )
    if mask.all():
        raise UserError(path, "measures all of k-space", "give a mask that leaves lines out")
    return mask
