"""Read JPEG, BMP and WebP files: 8 bits a colour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.image_checks import (
    Header,
    check_size,
    orientation_of,
    refuse_small_file,
    turned,
    turned_size,
    without_alpha,
)
from reconscale.errors import UserError

JPEG, BMP = b"\xff\xd8\xff", b"BM"
_RUN = 255
"""Pixels that two bytes of a BMP file can stand for, at most."""
_ANIMATED, _ALPHA = 0x02, 0x10
"""Flags of a WebP file."""


def is_webp(start: bytes) -> bool:
    """Whether a file that begins with these 12 bytes is WebP."""
    return start[:4] == b"RIFF" and start[8:12] == b"WEBP"


def jpeg_header(path: Path, stream: Any) -> Header:
    """Size and channels."""
    image = _jpeg(path, stream)
    height, width = turned_size(image.height, image.width, orientation_of(image))
    return Header(height, width, len(image.mode), "uint8")


def read_jpeg(path: Path) -> np.ndarray:
    """The pixels, (H, W, C) of uint8, as the image is seen."""
    with path.open("rb") as stream:
        image = _jpeg(path, stream)
        pixels = np.asarray(image)
        return turned(pixels if pixels.ndim == 3 else pixels[..., None], orientation_of(image))


def _jpeg(path: Path, stream: Any) -> Any:
    from PIL import JpegImagePlugin

    image = JpegImagePlugin.JpegImageFile(stream)  # not Image.open, which has a size limit and warnings of its own
    if image.mode not in ("L", "RGB"):
        raise UserError(path, f"is a {image.mode} JPEG", "convert it to RGB or grey")
    return image


def bmp_header(path: Path, stream: Any) -> Header:
    """Size and channels: grey where its palette is."""
    image = _bmp(path, stream)
    return Header(image.height, image.width, 1 if image.mode in ("1", "L") else 3, "uint8")


def read_bmp(path: Path) -> np.ndarray:
    """The pixels, (H, W, C) of uint8; palettes are resolved."""
    with path.open("rb") as stream:
        image = _bmp(path, stream)
        if image.mode == "RGBA":
            return without_alpha(path, np.asarray(image), 3)
        channels = 1 if image.mode in ("1", "L") else 3
        return without_alpha(path, np.asarray(image.convert("L" if channels == 1 else "RGB")), channels)


def _bmp(path: Path, stream: Any) -> Any:
    from PIL import BmpImagePlugin

    image = BmpImagePlugin.BmpImageFile(stream)
    check_size(path, Header(image.height, image.width, 1, ""))
    if image.width * image.height > _RUN * path.stat().st_size:
        refuse_small_file(path, image.height, image.width)
    return image


def webp_header(path: Path, stream: Any) -> Header:
    """Size; WebP is always in colour.

    Raises:
        UserError: it is an animation, or no WebP after all.
    """
    width, height = _webp_size(path, stream.read(30))
    check_size(path, Header(height, width, 3, ""))
    stream.seek(0)
    height, width = turned_size(height, width, orientation_of(_webp(stream)))
    return Header(height, width, 3, "uint8")


def read_webp(path: Path) -> np.ndarray:
    """The pixels, (H, W, 3) of uint8, as the image is seen."""
    with path.open("rb") as stream:
        image = _webp(stream)
        pixels = np.asarray(image if image.mode == "RGBA" else image.convert("RGB"))
        return turned(without_alpha(path, pixels, 3), orientation_of(image))


def _webp(stream: Any) -> Any:
    from PIL import WebPImagePlugin

    return WebPImagePlugin.WebPImageFile(stream)


def _webp_size(path: Path, start: bytes) -> tuple[int, int]:
    """Width and height, from the first 30 bytes: nothing is allocated for what is not looked at first."""

    def number(at: int, count: int) -> int:
        return int.from_bytes(start[at : at + count], "little")

    kind = start[12:16]
    if len(start) == 30 and kind == b"VP8X":
        if start[20] & _ANIMATED:
            found = "is an animation"
            raise UserError(path, found, "save every frame as a file of its own, or the one that counts")
        return 1 + number(24, 3), 1 + number(27, 3)
    if len(start) >= 25 and kind == b"VP8L":
        return 1 + (number(21, 4) & 0x3FFF), 1 + (number(21, 4) >> 14 & 0x3FFF)
    if len(start) == 30 and kind == b"VP8 ":
        return number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF
    raise UserError(path, "is cut short", "replace or remove the file")
