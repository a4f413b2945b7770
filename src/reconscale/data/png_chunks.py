"""What PNG files say besides their pixels: copied into another one."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from reconscale.data.png_files import SIGNATURE

KEPT = (b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"tIME")
"""Colours, the size of a pixel, texts and the time."""
_TURNING = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")
"""Keywords of texts that may say how an image is turned: it is written as it is seen."""
MOST_CHUNK = 1 << 24
"""Bytes of a chunk that is kept at most."""
INCH = 0.0254


def said_by(path: Path, factor: float = 1) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The chunks that are kept of an image file, and whether there is EXIF or XMP, which is not.

    Args:
        path: PNG, JPEG, WebP, BMP; of others but PNG the resolution and the colour profile are kept.
        factor: how many times more pixels the image has in each direction than the file.
    """
    with path.open("rb") as stream:
        start = stream.read(8)
    if start == SIGNATURE:
        found = list(_chunks(path.read_bytes()))
        kept = [(kind, _scaled(data, factor) if kind == b"pHYs" else data) for kind, data in found
                if kind in KEPT and len(data) <= MOST_CHUNK and not data.startswith(_TURNING)]  # fmt: skip
        return kept, any(kind == b"eXIf" or data.startswith(_TURNING) for kind, data in found)
    from PIL import Image

    kept = []
    with Image.open(path) as image:
        profile, dots = image.info.get("icc_profile"), image.info.get("dpi")
        exif = bool(image.info.get("exif") or image.info.get("xmp"))
    if isinstance(profile, bytes) and 0 < len(profile) <= MOST_CHUNK:
        kept.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(profile)))
    if dots and len(dots) == 2 and min(dots) > 0:
        across, down = (min(round(factor * float(value) / INCH), 2**31 - 1) for value in dots)
        kept.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    return kept, exif


def with_chunks(data: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file with chunks put behind its header."""
    own = {kind for kind, _ in _chunks(data)} - {b"tEXt", b"zTXt", b"iTXt"}
    stream = io.BytesIO()
    stream.write(data[:33])  # signature and header
    for kind, content in chunks:
        if kind not in own:
            stream.write(
                struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
            )
    stream.write(data[33:])
    return stream.getvalue()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _scaled(data: bytes, factor: float) -> bytes:
    if len(data) != 9:
        return data
    across, down, unit = struct.unpack(">IIB", data)
    return struct.pack(">IIB", *(min(round(factor * value), 2**31 - 1) for value in (across, down)), unit)
