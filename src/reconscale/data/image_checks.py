"""What every reader of image files checks: size, values, transparency and orientation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.errors import UserError

MOST_PIXELS = 200_000_000
"""Images that claim more pixels than this are refused unread."""

Limits = tuple[float, float] | None
"""The values that are black and white, from ``images.range``; none: 0 and the largest of the type, or 1."""


@dataclass(frozen=True)
class Header:
    """Size, channels and type of an image, from the header of its file.

    Attributes:
        height, width: in pixels, as the image is seen.
        channels: 1 (grey) or 3 (RGB), without alpha.
        dtype: ``uint8``, ``uint16`` or ``float32``; as stored where ``images.range`` says what the values mean.
    """

    height: int
    width: int
    channels: int
    dtype: str


def check_size(where: object, header: Header) -> Header:
    """The header, if it does not claim too much.

    Raises:
        UserError: it claims no pixels, or more than ``MOST_PIXELS``.
    """
    if header.height < 1 or header.width < 1:
        raise UserError(where, "claims to have no pixels", "remove the file")
    if header.height * header.width > MOST_PIXELS:
        raise UserError(
            where,
            f"claims {header.width} x {header.height} pixels",
            f"images may have at most {MOST_PIXELS // 10**6} million; cut it into pieces",
        )
    return header


def check_values(where: object, image: np.ndarray, limits: Limits = None) -> np.ndarray:
    """The image as it is used: as it is stored, or mapped so that black is 0 and white is 1.

    Args:
        where: what messages call it.
        image: (H, W, C) of numbers.
        limits: black and white; values outside them are clipped, as those outside [0, 1] have no meaning for metrics.

    Returns:
        (H, W, C): uint8 and uint16 unchanged, all others and all with ``limits`` as float32 in [0, 1].

    Raises:
        UserError: it holds NaN, or without ``limits`` floating-point values outside [0, 1], or is of a type whose
            range is not known.
    """
    if limits is None and image.dtype in (np.uint8, np.uint16):
        return image
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(where, "holds NaN or infinite values", "replace them, or remove the image")
    if limits is not None:
        black, white = limits
        return np.asarray(((image.astype(np.float64) - black) / (white - black)).clip(0, 1), np.float32)
    if image.dtype.kind != "f" or low < 0 or high > 1:
        found = f"holds values from {low:.4g} to {high:.4g}"
        raise UserError(where, found, f"scale floating-point images to [0, 1], or {say_range('the same for all')}")
    return image.astype(np.float32)


def say_range(more: str) -> str:
    """The remedy for values whose meaning is not known."""
    return f"say which values are black and white, {more}, with images.range = [black, white]"


ORIENTATION = 0x0112
"""The tag of TIFF and EXIF that says how an image is turned."""

_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: image.transpose(1, 0, 2)[:, ::-1],
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: image.transpose(1, 0, 2)[::-1],
}


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """The image (H, W, C) as it is seen: an orientation of 1 to 8 as TIFF and EXIF define them; others mean 1."""
    return np.ascontiguousarray(_TURNS[orientation](image)) if orientation in _TURNS else image


def turned_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Height and width of the image as it is seen."""
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def orientation_of(image: Any) -> int:
    """The orientation that the EXIF or XMP data of a Pillow image state; 1 where there is none.

    Damaged EXIF data say nothing, as in every viewer: the pixels are whole.
    """
    from PIL import Image

    try:
        value = Image.Image.getexif(image).get(ORIENTATION, 1)
    except Exception:  # Pillow raises classes of every kind on damaged data
        return 1
    return value if isinstance(value, int) else 1


def without_alpha(path: Path, image: np.ndarray, channels: int) -> np.ndarray:
    """(H, W, channels) of (H, W), or of (H, W, channels or channels and alpha).

    Raises:
        UserError: a pixel is transparent, or there are other channels.
    """
    planes = image if image.ndim == 3 else image[..., None]
    if planes.shape[2] in (2, 4):
        alpha = planes[..., -1]
        opaque = 1.0 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
        if alpha.min() < opaque:
            raise UserError(path, "has transparent pixels", "flatten it onto a background")
        planes = planes[..., :-1]
    elif planes.shape[2] not in (1, 3):
        raise UserError(path, f"has {planes.shape[2]} channels", "convert it to grey or RGB")
    return np.ascontiguousarray(planes[..., :channels])


def rgb_from_bgr(image: np.ndarray) -> np.ndarray:
    """The channels of OpenCV, (H, W) or (H, W, C), in the usual order."""
    if image.ndim == 2:
        return image
    return image[..., [2, 1, 0, *range(3, image.shape[2])]]


def refuse_undecodable(path: Path, error: Exception) -> NoReturn:
    """Say that a decoder failed, and why."""
    reason = str(error).split("\n")[0].strip().rstrip(".") or type(error).__name__
    raise UserError(path, f"cannot be decoded ({reason})", "replace or remove the file") from error


def refuse_small_file(path: Path, height: int, width: int) -> NoReturn:
    """Say that a file is too small for what it claims to hold."""
    check_size(path, Header(height, width, 1, ""))
    found = f"cannot be decoded (a file of its size cannot hold the {width} x {height} pixels that it claims)"
    raise UserError(path, found, "replace or remove the file")
