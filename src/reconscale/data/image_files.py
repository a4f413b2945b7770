"""Read and write one image file: PNG, JPEG, TIFF, BMP and WebP, grey and RGB.

What a file claims is checked from its header before anything is decoded, and what cannot be read faithfully is refused:
nothing is padded, rescaled or composited. Images come as they are seen: an orientation that the file states is applied.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.data.image_checks import Header, Limits, check_size, check_values, refuse_undecodable
from reconscale.data.photo_files import (
    BMP,
    JPEG,
    bmp_header,
    is_webp,
    jpeg_header,
    read_bmp,
    read_jpeg,
    read_webp,
    webp_header,
)
from reconscale.data.png_files import SIGNATURE, png_header, read_png
from reconscale.data.tiff_files import SIGNATURES, read_tiff, tiff_header
from reconscale.errors import UserError
from reconscale.files import write_atomic

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".dib", ".webp")
"""Files with these endings, in either case, are taken for images."""
KINDS = "PNG, JPEG, TIFF, BMP or WebP image"
"""What these are, for messages."""

__all__ = ["KINDS", "SUFFIXES", "Header", "Limits", "check_size", "check_values", "encoded_png", "read_header",
           "read_image", "read_pixels", "write_image"]  # fmt: skip

_HEADERS: dict[str, Callable[[Path, Any], Header]] = {
    "png": png_header, "jpeg": jpeg_header, "bmp": bmp_header, "webp": webp_header
}  # fmt: skip
_READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "png": read_png, "jpeg": read_jpeg, "bmp": read_bmp, "webp": read_webp
}  # fmt: skip


def read_header(path: Path, page: int | None = None, limits: Limits = None) -> Header:
    """Size, channels and depth of an image file, without decoding it.

    Args:
        path: the file.
        page: of a TIFF file; none: its only one.
        limits: black and white, where ``images.range`` says so.

    Raises:
        UserError: the file is not an image of a supported kind, or claims more than ``MOST_PIXELS``.
    """
    if path.exists() and not path.is_file():
        raise UserError(path, "is not a regular file", "replace or remove it")
    try:
        with path.open("rb") as stream:
            kind = _kind(path, stream.read(12))
            stream.seek(0)
            header = tiff_header(path, page, limits) if kind == "tiff" else _HEADERS[kind](path, stream)
    except (UserError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        _lacking(path, error)
    except Exception as error:  # decoders raise classes of every kind on damaged files
        refuse_undecodable(path, error)
    if limits is not None:
        header = Header(header.height, header.width, header.channels, "float32")
    return check_size(path, header)


def read_pixels(path: Path, page: int | None = None, limits: Limits = None) -> np.ndarray:
    """The pixels of an image file as they are stored.

    Args:
        path: the file.
        page: of a TIFF file; none: its only one.
        limits: black and white; what their values mean is not looked at, only whether their type can be read.

    Returns:
        (H, W, C), C 1 or 3, of the type of the file. An opaque alpha channel is dropped, palettes are resolved.

    Raises:
        UserError: the file cannot be read, is damaged or cut short, has transparent pixels, is CMYK or an animation, or
            holds several pages and none is named.
    """
    header = read_header(path, page, limits)
    try:
        kind = _kind(path, _start(path))
        image = read_tiff(path, page) if kind == "tiff" else _READERS[kind](path)
    except (UserError, MemoryError):
        raise
    except ModuleNotFoundError as error:
        _lacking(path, error)
    except Exception as error:  # as above
        refuse_undecodable(path, error)
    if image.shape != (header.height, header.width, header.channels):
        raise UserError(
            path, "is damaged (its header and its pixels disagree on its size)", "replace or remove the file"
        )
    return image


def read_image(path: Path, page: int | None = None, limits: Limits = None) -> np.ndarray:
    """The pixels of an image file as they are used.

    Args:
        path: the file.
        page: of a TIFF file; none: its only one.
        limits: black and white, where ``images.range`` says so.

    Returns:
        (H, W, C), C 1 or 3; uint8, uint16, or float32 in [0, 1]; with ``limits`` always float32.

    Raises:
        UserError: as :func:`read_pixels`; or it holds floating-point values outside [0, 1], and no ``limits`` are
            given.
    """
    where: object = path if page is None else f"{path}, page {page}"
    return check_values(where, read_pixels(path, page, limits), limits)


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image losslessly.

    Args:
        path: ends in ``.png`` (floating-point images are rounded to 16 bit) or ``.tif``, ``.tiff``.
        image: (H, W, C), C 1 or 3; uint8, uint16, or float32 in [0, 1].

    Raises:
        UserError: another ending, or the file cannot be written.
    """
    if path.suffix.lower() in (".tif", ".tiff"):
        import tifffile

        buffer = io.BytesIO()
        flat = image[..., 0] if image.shape[2] == 1 else image
        tifffile.imwrite(buffer, flat, photometric="rgb" if image.shape[2] == 3 else "minisblack")
        return write_atomic(path, buffer.getvalue())
    if path.suffix.lower() != ".png":
        raise UserError(path, f"has the ending '{path.suffix}'", "images are written as .png or .tif")
    return write_atomic(path, encoded_png(image))


def encoded_png(image: np.ndarray) -> bytes:
    """A PNG file of an image.

    Args:
        image: (H, W, C), C 1 or 3; uint8, uint16, or floating point in [0, 1], which is rounded to 16 bit.
    """
    flat = image[..., 0] if image.shape[2] == 1 else image
    if image.dtype == np.uint8:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(flat).save(buffer, "PNG")
        return buffer.getvalue()
    import cv2

    deep = flat if image.dtype == np.uint16 else np.rint(flat.clip(0, 1) * 65535).astype(np.uint16)
    _, encoded = cv2.imencode(".png", deep[..., ::-1] if deep.ndim == 3 else deep)
    return bytes(encoded.tobytes())


def _lacking(path: Path, error: ModuleNotFoundError) -> NoReturn:
    found = f"needs the package {error.name}, which is not installed"
    raise UserError(path, found, "pip install 'reconscale[train]'") from error


def _start(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(12)


def _kind(path: Path, start: bytes) -> str:
    """What a file is by its first 12 bytes, whatever its name says."""
    kinds = {SIGNATURE: "png", JPEG: "jpeg", BMP: "bmp", **dict.fromkeys(SIGNATURES, "tiff")}
    for signature, kind in kinds.items():
        if start.startswith(signature):
            return kind
    if is_webp(start):
        return "webp"
    found = "is empty" if not start else f"is not a {KINDS}, whatever its name says"
    raise UserError(path, found, "replace or remove the file")
