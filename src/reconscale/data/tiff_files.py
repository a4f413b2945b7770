"""Read TIFF files: grey and RGB, one page or a stack of pages, among them those of ImageJ and OME."""

from __future__ import annotations

import logging
import zlib
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reconscale.data.image_checks import (
    Header,
    Limits,
    check_size,
    refuse_small_file,
    rgb_from_bgr,
    say_range,
    turned,
    turned_size,
    without_alpha,
)
from reconscale.data.png_files import DEFLATE
from reconscale.errors import UserError

SIGNATURES = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
MOST_PAGES = 10_000
"""Pages that a TIFF file may have."""

_SMALLER = {1: 1, 8: DEFLATE, 32773: 64, 32946: DEFLATE}
"""TIFF compressions (none, deflate, PackBits, old deflate) that tifffile reads without further packages, and how many
times smaller they can make an image."""
_PIECE = 1 << 20
"""Bytes of a deflated piece from which on it is measured before it is decoded: smaller ones cannot fill the memory."""
_USUAL = {"uint8": "uint8", "uint16": "uint16", "float16": "float32", "float32": "float32", "float64": "float32"}
"""Types whose range is known, and what they are used as."""
_BLACK_IS_ZERO, _RGB = 1, 2
_SEPARATE = 2
_NODATA = 42113
"""The tag by which GDAL says which value means that there are no data."""
_FEW = 4
"""A stack of pages as narrow as this is an image whose colours were taken for columns."""
_ONE_FILE_EACH = "save every page as a file of its own, or all of them as one .npy array"


def may_be_stack(path: Path) -> bool:
    """Whether a file is a TIFF file of more than one page; only its first few bytes are read.

    What cannot be read is no stack: it is refused when its header is read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
            if not start.startswith(SIGNATURES):
                return False
            order = _order(start[:2] == b"II")
            big = int.from_bytes(start[2:4], order) == 43
            stream.seek(int.from_bytes(start[8:16] if big else start[4:8], order))
            entries = int.from_bytes(stream.read(8 if big else 2), order)
            stream.seek((20 if big else 12) * entries, 1)
            return int.from_bytes(stream.read(8 if big else 4), order) != 0
    except (OSError, ValueError, OverflowError):
        return False


def _order(little: bool) -> Literal["little", "big"]:
    return "little" if little else "big"


def tiff_pages(path: Path) -> list[int]:
    """The numbers of the pages that are images: all but reduced copies.

    Raises:
        UserError: the pages differ in size or type, or what they are is not certain.
    """
    with opened_tiff(path) as file:
        return _image_pages(path, file)


def tiff_header(path: Path, page: int | None, limits: Limits) -> Header:
    """Size, channels and type of a page; none: of the only one."""
    with opened_tiff(path) as file:
        found = _page(path, file, page)
        height, width = turned_size(found.imagelength, found.imagewidth, _orientation(found))
        return Header(height, width, _channels(found), _dtype(path, found, limits))


def read_tiff(path: Path, page: int | None) -> np.ndarray:
    """The pixels of a page, (H, W, C) of the type of the file, as the image is seen; none: of the only one."""
    with opened_tiff(path) as file:
        found = _page(path, file, page)
        channels, orientation = _channels(found), _orientation(found)
        if found.compression in _SMALLER and found.predictor != 3:
            image = found.asarray()
            _check_nodata(path, found, image)
            planes = image if found.axes != "SYX" else np.moveaxis(image, 0, -1)
            return turned(without_alpha(path, planes, channels), orientation)
        data = _alone(path.read_bytes(), file, found)
    import cv2

    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    planes = 1 if decoded is None or decoded.ndim == 2 else decoded.shape[2]
    if decoded is None or decoded.dtype != np.dtype(found.dtype) or planes != found.samplesperpixel:
        raise UserError(path, "is a TIFF that cannot be decoded", "save it uncompressed, or replace or remove the file")
    return turned(without_alpha(path, rgb_from_bgr(decoded), channels), orientation)


def _check_nodata(path: Path, page: Any, image: np.ndarray) -> None:
    """Refuse pixels that a file of numbers declares to be missing: clipped to a range, they would be black or white."""
    tag = page.tags.get(_NODATA)
    if tag is None or image.dtype in (np.uint8, np.uint16):
        return
    try:
        missing = float(str(tag.value).strip("\0 "))
    except ValueError:
        return
    if (image == missing).any():
        found = f"has pixels without data (marked by {missing:g})"
        raise UserError(path, found, "fill them or cut them off, or remove the image")


def opened_tiff(path: Path) -> Any:
    """The file, on its own: OME files may name others."""
    import tifffile

    tifffile.logger().setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by a UserError
    return tifffile.TiffFile(path, _multifile=False)


def _alone(content: bytes, file: Any, page: Any) -> bytearray:
    """The file with this page as its first one, as OpenCV is to read it.

    That is without its orientation, which would be applied, and with three samples a pixel said to be RGB.
    """
    data = bytearray(content)
    order = _order(file.byteorder == "<")
    first = slice(8, 16) if file.is_bigtiff else slice(4, 8)
    data[first] = page.offset.to_bytes(first.stop - first.start, order)
    for name, value in {"Orientation": 1, "PhotometricInterpretation": _RGB if _channels(page) == 3 else 1}.items():
        tag = page.tags.get(name)
        if tag is not None:
            data[tag.valueoffset : tag.valueoffset + 2] = value.to_bytes(2, order)
    return data


def _page(path: Path, file: Any, number: int | None) -> Any:
    """A page, checked; none: the only one."""
    if number is None:
        pages = _image_pages(path, file)
        if len(pages) != 1:
            raise UserError(path, f"holds {len(pages)} pages", _ONE_FILE_EACH)
        number = pages[0]
    elif not 0 <= number < MOST_PAGES:
        raise UserError(path, f"holds no page {number}", "run the command again")
    page = file.pages[number]
    _check_kind(path, page)
    _check_claims(path, file, page)
    return page


def _image_pages(path: Path, file: Any) -> list[int]:
    first = list(islice(file.pages, MOST_PAGES + 1))
    numbers = [number for number, page in enumerate(first) if not page.is_reduced]
    if not numbers:
        raise UserError(path, "cannot be decoded (it holds no page)", "replace or remove the file")
    if len(first) > MOST_PAGES:
        raise UserError(path, f"holds more than {MOST_PAGES} pages", _ONE_FILE_EACH)
    pages = [first[number] for number in numbers]
    if pages[0].imagedepth != 1:
        raise UserError(path, "holds a volume", _ONE_FILE_EACH)
    if len(pages) > 1 or pages[0].is_imagej or pages[0].is_shaped or pages[0].is_ome:
        _check_axes(path, file, pages)
    return numbers


def _check_axes(path: Path, file: Any, pages: list[Any]) -> None:
    """Refuse stacks whose pages are not images of one kind, or may be the channels of an image."""
    kinds = {(page.imagelength, page.imagewidth, page.samplesperpixel, str(page.dtype)) for page in pages}
    if len(kinds) > 1:
        sizes = sorted({f"{page.imagewidth} x {page.imagelength}" for page in pages})
        found = f"holds {len(pages)} pages of different kinds ({', '.join(sizes[:3])} pixels)"
        raise UserError(path, found, "save those that count as files of their own: others may be reduced copies")
    check_size(path, Header(pages[0].imagelength, pages[0].imagewidth, 1, ""))
    if len(pages) > 1 and pages[0].imagewidth <= _FEW:
        found = f"holds {len(pages)} pages of {pages[0].imagewidth} columns, which are probably colours"
        raise UserError(path, found, "save it with photometric = RGB, colours as the last axis")
    for series in file.series:
        lengths = dict(zip(series.axes, series.shape, strict=True))
        held = prod(length for axis, length in lengths.items() if axis not in "YXS")
        if held > len(pages):
            found = f"says that it holds {held} pages, and lists {len(pages)}"
            raise UserError(path, found, _ONE_FILE_EACH)
        channels = lengths.get("C", 1)
        if channels > 1 and pages[0].samplesperpixel == 1:
            found = f"holds {channels} channels as pages (axes {series.axes}), which are not said to be colours"
            raise UserError(path, found, "save the channel that counts, or an RGB image, with colours as the last axis")
        if pages[0].samplesperpixel == 1 and lengths.get("Q") in (3, 4):
            found = f"has the shape {series.shape}, and does not say whether these are {lengths['Q']} images or colours"
            remedy = "save images with the axes 'ZYX' in the file, and an RGB image with colours as the last axis"
            raise UserError(path, found, remedy)


def _check_kind(path: Path, page: Any) -> None:
    if page.imagedepth != 1:
        raise UserError(path, "holds a volume", _ONE_FILE_EACH)
    if page.photometric not in (_BLACK_IS_ZERO, _RGB):
        raise UserError(path, "is a TIFF that is neither grey (black is zero) nor RGB", "convert it to grey or RGB")
    if page.bitspersample not in (8, 16, 32, 64):
        found = f"holds {page.bitspersample}-bit values"
        raise UserError(path, found, "save it as 8 or 16 bit unsigned, or as floating point in [0, 1]")
    grey, samples = page.photometric == _BLACK_IS_ZERO, page.samplesperpixel
    alpha = any(kind in (1, 2) for kind in page.extrasamples)
    unclear = grey and (samples > 3 or (samples == 2 and not alpha) or (samples == 3 and alpha))
    if samples > 4 or unclear or (not grey and samples < 3):
        found = f"has {samples} channels" + " that are not said to be colours" * (grey and samples < 5)
        raise UserError(path, found, "convert it to grey or RGB")
    if page.planarconfig == _SEPARATE and samples > 1 and page.compression not in _SMALLER:
        raise UserError(path, "holds compressed planes, one a colour", "save it uncompressed, or with interleaved RGB")


def _channels(page: Any) -> int:
    """Of grey pages with three samples a pixel, which some writers make of RGB images: three."""
    return 3 if page.photometric == _RGB or page.samplesperpixel == 3 else 1


def _orientation(page: Any) -> int:
    tag = page.tags.get("Orientation")
    return int(tag.value) if tag is not None else 1


def _check_claims(path: Path, file: Any, page: Any) -> None:
    """Refuse a TIFF page whose pieces cannot hold, or hold far more than, what it claims."""
    height, width = page.imagelength, page.imagewidth
    if page.is_tiled and page.tilelength * page.tilewidth > height * width + (1 << 24):
        found = f"claims tiles of {page.tilewidth} x {page.tilelength} pixels"
        raise UserError(path, found, "replace or remove the file")
    smaller = _SMALLER.get(int(page.compression))
    if smaller is not None and page.nbytes > smaller * file.filehandle.size:
        refuse_small_file(path, height, width)
    if smaller != DEFLATE:
        return
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if length > _PIECE:
            file.filehandle.seek(offset)
            opened = zlib.decompressobj().decompress(file.filehandle.read(length), page.nbytes + 1)
            if len(opened) > page.nbytes:
                raise UserError(path, "holds more than the pixels that it claims", "replace or remove the file")


def _dtype(path: Path, page: Any, limits: Limits) -> str:
    """The type that a page is used as, or the one that it has where ``limits`` say what its values mean."""
    name, found = str(page.dtype), f"holds {page.bitspersample}-bit {page.dtype} values"
    if name in _USUAL:
        return "float32" if limits else _USUAL[name]
    remedy = "save it as 8 or 16 bit unsigned, or as floating point in [0, 1]"
    if np.dtype(page.dtype).kind not in "iu":
        raise UserError(path, found, remedy)
    if not limits:
        raise UserError(path, found, f"{remedy}, or {say_range('the same for all')}")
    return "float32"
