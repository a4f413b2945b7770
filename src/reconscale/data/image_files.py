"""Read and write one image file: PNG, JPEG and TIFF, 8 and 16 bit, grey and RGB.

What a file claims is checked from its header before anything is decoded, and what cannot be read faithfully is refused:
nothing is padded, rotated, rescaled or composited. Orientation tags are ignored: pixels come as they are stored.
"""

from __future__ import annotations

import io
import logging
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.errors import UserError
from reconscale.files import write_atomic

MOST_PIXELS = 200_000_000
"""Images that claim more pixels than this are refused unread."""

MOST_PAGES = 32
"""Pages of a TIFF file that are looked at: an image and its reduced copies."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Files with these endings, in either case, are taken for images."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_DEFLATE = 1032
"""Deflate makes data at most this many times smaller."""
_SMALLER = {1: 1, 8: _DEFLATE, 32773: 64, 32946: _DEFLATE}
"""TIFF compressions (none, deflate, PackBits, old deflate) that tifffile reads without further packages, and how many
times smaller they can make an image."""
_PIECE = 1 << 20
"""Bytes of a deflated piece from which on it is measured before it is decoded: smaller ones cannot fill the memory."""
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> values of a pixel."""


@dataclass(frozen=True)
class Header:
    """Size, channels and type of an image, from the header of its file.

    Attributes:
        height, width: in pixels.
        channels: 1 (grey) or 3 (RGB), without alpha.
        dtype: ``uint8``, ``uint16`` or ``float32``.
    """

    height: int
    width: int
    channels: int
    dtype: str


def read_header(path: Path) -> Header:
    """Size, channels and depth of an image file, without decoding it.

    Raises:
        UserError: the file is not a PNG, JPEG or TIFF image of a supported kind, or claims more than ``MOST_PIXELS``.
    """
    if path.exists() and not path.is_file():
        raise UserError(path, "is not a regular file", "replace or remove it")
    try:
        with path.open("rb") as stream:
            kind = _kind(path, stream.read(8))
            stream.seek(0)
            header = {"png": _png_header, "jpeg": _jpeg_header, "tiff": _tiff_header}[kind](path, stream)
    except (UserError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        _lacking(path, error)
    except Exception as error:  # decoders raise classes of every kind on damaged files
        _undecodable(path, error)
    return check_size(path, header)


def read_image(path: Path) -> np.ndarray:
    """The pixels of an image file.

    Returns:
        (H, W, C), C 1 or 3; uint8, uint16, or float32 in [0, 1]. An opaque alpha channel is dropped, palettes are
        resolved.

    Raises:
        UserError: the file cannot be read, is damaged or cut short, has transparent pixels, is CMYK, holds several
            pages, or holds floating-point values outside [0, 1].
    """
    header = read_header(path)
    try:
        if (kind := _kind(path, _start(path))) == "tiff":
            image = _read_tiff(path)
        elif kind == "png":
            image = _read_png(path, path.read_bytes(), header)
        else:
            image = _read_jpeg(path)
    except (UserError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        _lacking(path, error)
    except Exception as error:  # as above
        _undecodable(path, error)
    if image.shape[:2] != (header.height, header.width):
        raise UserError(
            path, "is damaged (its header and its pixels disagree on its size)", "replace or remove the file"
        )
    return check_values(path, image)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image losslessly.

    Args:
        path: ends in ``.png`` (floating-point images are rounded to 16 bit) or ``.tif``, ``.tiff``.
        image: (H, W, C), C 1 or 3; uint8, uint16, or float32 in [0, 1].

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    flat = image[..., 0] if image.shape[2] == 1 else image
    buffer = io.BytesIO()
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        tifffile.imwrite(buffer, flat, photometric="rgb" if image.shape[2] == 3 else "minisblack")
        return write_atomic(path, buffer.getvalue())
    if path.suffix.lower() != ".png":
        raise UserError(path, f"has the ending '{path.suffix}'", "images are written as .png or .tif")
    if image.dtype == np.uint8:
        from PIL import Image

        Image.fromarray(flat).save(buffer, "PNG")
        return write_atomic(path, buffer.getvalue())
    import cv2

    deep = flat if image.dtype == np.uint16 else np.rint(flat.clip(0, 1) * 65535).astype(np.uint16)
    _, encoded = cv2.imencode(".png", deep[..., ::-1] if deep.ndim == 3 else deep)
    return write_atomic(path, encoded.tobytes())


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


def check_values(where: object, image: np.ndarray) -> np.ndarray:
    """The image; floating-point ones as float32.

    Raises:
        UserError: a floating-point image holds NaN or values outside [0, 1].
    """
    if image.dtype.kind != "f":
        return image
    low, high = float(image.min()), float(image.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(where, "holds NaN or infinite values", "replace them, or remove the image")
    if low < 0 or high > 1:
        raise UserError(where, f"holds values from {low:.4g} to {high:.4g}", "scale floating-point images to [0, 1]")
    return image.astype(np.float32)


def _undecodable(path: Path, error: Exception) -> NoReturn:
    reason = str(error).split("\n")[0].strip().rstrip(".") or type(error).__name__
    raise UserError(path, f"cannot be decoded ({reason})", "replace or remove the file") from error


def _lacking(path: Path, error: ModuleNotFoundError) -> NoReturn:
    found = f"needs the package {error.name}, which is not installed"
    raise UserError(path, found, "pip install 'reconscale[train]'") from error


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _kind(path: Path, start: bytes) -> str:
    if start.startswith(_PNG):
        return "png"
    if start.startswith(_JPEG):
        return "jpeg"
    if start.startswith(_TIFF):
        return "tiff"
    found = "is empty" if not start else "is not a PNG, JPEG or TIFF image, whatever its name says"
    raise UserError(path, found, "replace or remove the file")


def _png_header(path: Path, stream: Any) -> Header:
    start = stream.read(26)
    if len(start) < 26 or start[12:16] != b"IHDR":
        raise UserError(path, "is cut short", "replace or remove the file")
    width, height = int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
    depth, colour = start[24], start[25]
    if height * width * depth * _PNG_SAMPLES.get(colour, 4) > 8 * _DEFLATE * stream.seek(0, io.SEEK_END):
        _cannot_hold(path, height, width)
    return Header(height, width, 1 if colour in (0, 4) else 3, "uint16" if depth == 16 else "uint8")


def _cannot_hold(path: Path, height: int, width: int) -> NoReturn:
    check_size(path, Header(height, width, 1, ""))
    found = f"cannot be decoded (a file of its size cannot hold the {width} x {height} pixels that it claims)"
    raise UserError(path, found, "replace or remove the file")


def _jpeg_header(path: Path, stream: Any) -> Header:
    from PIL import JpegImagePlugin

    image = JpegImagePlugin.JpegImageFile(stream)  # not Image.open, which has a size limit and warnings of its own
    if image.mode not in ("L", "RGB"):
        raise UserError(path, f"is a {image.mode} JPEG", "convert it to RGB or grey")
    return Header(image.height, image.width, len(image.mode), "uint8")


def _tiff_header(path: Path, stream: Any) -> Header:
    import tifffile

    tifffile.logger().setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by a UserError
    with tifffile.TiffFile(stream) as file:
        page = _tiff_page(path, file)
        return Header(page.imagelength, page.imagewidth, 1 if page.photometric == 1 else 3, _tiff_dtype(path, page))


def _tiff_page(path: Path, file: Any) -> Any:
    first = list(islice(file.pages, MOST_PAGES))
    pages = [page for page in first if not page.is_reduced]
    if not pages:
        raise UserError(path, "cannot be decoded (it holds no page)", "replace or remove the file")
    if len(pages) != 1 or pages[0].imagedepth != 1:
        found = f"holds {len(pages)} pages" if len(pages) != 1 else "holds a volume"
        raise UserError(path, found, "save every page as a file of its own, or all of them as one .npy array")
    page = pages[0]
    if page.photometric not in (1, 2):
        raise UserError(path, "is a TIFF that is neither grey (black is zero) nor RGB", "convert it to grey or RGB")
    if page.samplesperpixel > 4:
        raise UserError(path, f"has {page.samplesperpixel} channels", "convert it to grey or RGB")
    _check_claims(path, file, page)
    return page


def _check_claims(path: Path, file: Any, page: Any) -> None:
    """Refuse a TIFF page whose pieces cannot hold, or hold far more than, what it claims."""
    height, width = page.imagelength, page.imagewidth
    if page.is_tiled and page.tilelength * page.tilewidth > height * width + (1 << 24):
        found = f"claims tiles of {page.tilewidth} x {page.tilelength} pixels"
        raise UserError(path, found, "replace or remove the file")
    smaller = _SMALLER.get(int(page.compression))
    if smaller is not None and page.nbytes > smaller * file.filehandle.size:
        _cannot_hold(path, height, width)
    if smaller != _DEFLATE:
        return
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if length > _PIECE:
            file.filehandle.seek(offset)
            opened = zlib.decompressobj().decompress(file.filehandle.read(length), page.nbytes + 1)
            if len(opened) > page.nbytes:
                raise UserError(path, "holds more than the pixels that it claims", "replace or remove the file")


def _tiff_dtype(path: Path, page: Any) -> str:
    kinds = {"uint8": "uint8", "uint16": "uint16", "float16": "float32", "float32": "float32", "float64": "float32"}
    if str(page.dtype) not in kinds or page.bitspersample not in (8, 16, 32, 64):
        found = f"holds {page.bitspersample}-bit {page.dtype} values"
        raise UserError(path, found, "save it as 8 or 16 bit unsigned, or as floating point in [0, 1]")
    return kinds[str(page.dtype)]


def _read_jpeg(path: Path) -> np.ndarray:
    from PIL import JpegImagePlugin

    with path.open("rb") as stream:
        image = np.asarray(JpegImagePlugin.JpegImageFile(stream))
    return image if image.ndim == 3 else image[..., None]


def _read_png(path: Path, data: bytes, header: Header) -> np.ndarray:
    _check_png(path, data)
    if header.dtype == "uint16":  # Pillow would quietly keep 8 of the 16 bits
        import cv2

        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if deep is None or deep.dtype != np.uint16:
            raise UserError(path, "is a 16-bit PNG that cannot be decoded", "replace or remove the file")
        return _without_alpha(path, _rgb_from_bgr(deep), header.channels)
    from PIL import PngImagePlugin

    image = PngImagePlugin.PngImageFile(io.BytesIO(data))
    image.load()
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return _without_alpha(path, np.asarray(image.convert("RGBA")), header.channels)
    return _without_alpha(path, np.asarray(image.convert("L" if header.channels == 1 else "RGB")), header.channels)


def _check_png(path: Path, data: bytes) -> None:
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
        at = end


def _read_tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = _tiff_page(path, file)
        channels = 1 if page.photometric == 1 else 3
        if page.compression in _SMALLER and page.predictor != 3:
            image = page.asarray()
            planes = image if page.axes != "SYX" else np.moveaxis(image, 0, -1)
            return _without_alpha(path, planes, channels)
        data = bytearray(path.read_bytes())
        orientation = page.tags.get("Orientation")
        if orientation is not None:  # OpenCV would turn the image
            data[orientation.valueoffset : orientation.valueoffset + 2] = (1).to_bytes(
                2, "little" if file.byteorder == "<" else "big"
            )
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise UserError(path, "is a TIFF that cannot be decoded", "save it uncompressed, or replace or remove the file")
    return _without_alpha(path, _rgb_from_bgr(image), channels)


def _rgb_from_bgr(image: np.ndarray) -> np.ndarray:
    if image.ndim == 2:
        return image
    return image[..., [2, 1, 0, *range(3, image.shape[2])]]


def _without_alpha(path: Path, image: np.ndarray, channels: int) -> np.ndarray:
    """(H, W, channels) of (H, W), or of (H, W, channels or channels and alpha)."""
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
