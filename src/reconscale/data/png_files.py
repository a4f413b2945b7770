"""Read PNG files."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.image_checks import (
    Header,
    orientation_of,
    refuse_small_file,
    rgb_from_bgr,
    turned,
    turned_size,
    without_alpha,
)
from reconscale.errors import UserError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEFLATE = 1032
"""Deflate makes data at most this many times smaller."""
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> values of a pixel."""
_NOTES = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")
"""Keywords of texts that may say how the image is turned."""


def png_header(path: Path, stream: Any) -> Header:
    """Size, channels and depth.

    Raises:
        UserError: the file is cut short, or cannot hold what it claims.
    """
    start = stream.read(26)
    if len(start) < 26 or start[12:16] != b"IHDR":
        raise UserError(path, "is cut short", "replace or remove the file")
    width, height = int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    depth, colour = start[24], start[25]
    size = stream.seek(0, io.SEEK_END)
    if height * width * depth * _SAMPLES.get(colour, 4) > 8 * DEFLATE * size:
        refuse_small_file(path, height, width)
    height, width = turned_size(height, width, _orientation(stream, size))
    return Header(height, width, 1 if colour in (0, 4) else 3, "uint16" if depth == 16 else "uint8")


def read_png(path: Path) -> np.ndarray:
    """The pixels, (H, W, C) of uint8 or uint16, as the image is seen.

    Raises:
        UserError: the file is damaged, has transparent pixels, or is an animation.
    """
    data = path.read_bytes()
    _check(path, data)
    stream = io.BytesIO(data)
    return turned(_decoded(path, data, png_header(path, stream)), _orientation(stream, len(data)))


def _decoded(path: Path, data: bytes, header: Header) -> np.ndarray:
    if header.dtype == "uint16":  # Pillow would quietly keep 8 of the 16 bits
        import cv2

        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if deep is None or deep.dtype != np.uint16:
            raise UserError(path, "is a 16-bit PNG that cannot be decoded", "replace or remove the file")
        if deep.ndim == 2 and (deep == _transparent_grey(data)).any():  # OpenCV passes over it
            raise UserError(path, "has transparent pixels", "flatten it onto a background")
        return without_alpha(path, rgb_from_bgr(deep), header.channels)
    from PIL import PngImagePlugin

    image = PngImagePlugin.PngImageFile(io.BytesIO(data))
    image.load()
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return without_alpha(path, np.asarray(image.convert("RGBA")), header.channels)
    return without_alpha(path, np.asarray(image.convert("L" if header.channels == 1 else "RGB")), header.channels)


def _transparent_grey(data: bytes) -> int:
    """The grey level that the file declares transparent; -1 where there is none."""
    for name, at, _ in _chunks(io.BytesIO(data), len(data)):
        if name == b"tRNS":
            return int.from_bytes(data[at : at + 2], "big")
    return -1


def _check(path: Path, data: bytes) -> None:
    """Walk the chunks and their checksums: decoders differ in what they forgive."""
    at, name = 8, b""
    while name != b"IEND":
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            raise UserError(path, "is cut short", "replace or remove the file")
        if name == b"IHDR" and at > 8:  # decoders would take the size from the second one
            raise UserError(path, "is damaged (it has two headers)", "replace or remove the file")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UserError(path, "is damaged (a checksum does not match)", "replace or remove the file")
        if name == b"acTL" and (frames := int.from_bytes(data[at + 8 : at + 12], "big")) > 1:
            found = f"is an animation of {frames} frames"
            raise UserError(path, found, "save every frame as a file of its own, or the one that counts")
        at = end


def _chunks(stream: Any, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of the data of every chunk, as far as the file is whole."""
    at, name = 8, b""
    while name != b"IEND" and at + 12 <= size:
        stream.seek(at)
        start = stream.read(8)
        length, name = int.from_bytes(start[:4], "big"), start[4:]
        yield name, at + 8, length
        at += 12 + length


def _orientation(stream: Any, size: int) -> int:
    """The orientation of EXIF data, which may lie behind the pixels; found without decoding."""
    exif: bytes | None = None
    noted = False
    for name, at, length in _chunks(stream, size):
        if name == b"eXIf":
            stream.seek(at)
            exif = stream.read(length)
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            stream.seek(at)
            noted = noted or stream.read(min(length, 24)).startswith(_NOTES)
    if exif is None and not noted:
        return 1
    from PIL import Image, PngImagePlugin

    image: Image.Image = Image.new("L", (1, 1))
    if exif is None:
        stream.seek(0)
        try:
            image = PngImagePlugin.PngImageFile(stream)
        except Exception:  # it is decoded again for its pixels, and then what is wrong is said
            return 1
    else:
        image.info["exif"] = b"Exif\x00\x00" + exif
    return orientation_of(image)
