"""Image files: what is read faithfully, and what is refused in one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from reconscale.data.image_files import read_header, read_image, write_image
from reconscale.errors import UserError

from .conftest import picture


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "ending"),
    [("uint8", "png"), ("uint16", "png"), ("uint8", "tif"), ("uint16", "tiff"), ("float32", "tif")],
)
def test_a_round_trip_is_exact(tmp_path: Path, dtype: str, ending: str, channels: int) -> None:
    image = picture(1, 21, 17, channels, dtype)
    write_image(tmp_path / f"a.{ending}", image)
    back = read_image(tmp_path / f"a.{ending}")
    assert back.dtype == image.dtype and np.array_equal(back, image)
    header = read_header(tmp_path / f"a.{ending}")
    assert (header.height, header.width, header.channels, header.dtype) == (21, 17, channels, dtype)


def test_float_images_are_rounded_to_16_bit_in_png(tmp_path: Path) -> None:
    image = picture(2, 9, 9, 1, "float32")
    write_image(tmp_path / "a.png", image)
    assert np.abs(read_image(tmp_path / "a.png") / 65535 - image).max() <= 0.5 / 65535 + 1e-7


def test_other_endings_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has the ending '.jpg'; images are written as .png or .tif"):
        write_image(tmp_path / "a.jpg", picture(0))


def test_other_kinds_of_png_become_grey_or_rgb(tmp_path: Path) -> None:
    image = picture(3, 12, 10)
    palette = Image.fromarray(image).quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), np.asarray(palette.convert("RGB")))
    Image.fromarray(image).convert("RGBA").save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    Image.fromarray(image).convert("LA").save(tmp_path / "la.png")
    assert np.array_equal(read_image(tmp_path / "la.png")[..., 0], np.asarray(Image.fromarray(image).convert("L")))
    Image.fromarray(image[..., 0] > 128).save(tmp_path / "b.png")
    assert np.array_equal(read_image(tmp_path / "b.png")[..., 0], (image[..., 0] > 128) * np.uint8(255))
    deep = np.dstack([picture(4, 8, 8, 3, "uint16"), np.full((8, 8, 1), 65535, np.uint16)])
    cv2.imwrite(str(tmp_path / "d.png"), deep[..., [2, 1, 0, 3]])
    assert np.array_equal(read_image(tmp_path / "d.png"), deep[..., :3])


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits"])
def test_tiff_compressions(tmp_path: Path, compression: str) -> None:
    image = picture(5, 30, 20)
    Image.fromarray(image).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)


def test_planar_tiff_and_tiff_with_alpha(tmp_path: Path) -> None:
    image = picture(6, 11, 13)
    tifffile.imwrite(tmp_path / "p.tif", np.moveaxis(image, -1, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "p.tif"), image)
    opaque = np.dstack([image, np.full((11, 13, 1), 255, np.uint8)])
    tifffile.imwrite(tmp_path / "a.tif", opaque, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read_image(tmp_path / "a.tif"), image)


def _png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _saved(image: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **options)
    return buffer.getvalue()


def _cmyk() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture(0)).convert("CMYK").save(buffer, "JPEG")
    return buffer.getvalue()


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


_RGBA = np.dstack([picture(0), np.full((40, 36, 1), 100, np.uint8)])
_NAN = np.full((9, 9), np.nan, np.float32)

BAD = {
    "text": (
        b"not an image at all",
        "is not a PNG, JPEG, TIFF, BMP or WebP image, whatever its name says; replace or remove",
    ),
    "empty": (b"", "is empty; replace or remove the file"),
    "bomb": (_png(30000, 30000), "claims 30000 x 30000 pixels; images may have at most 200 million"),
    "no pixels": (_png(0, 5), "claims to have no pixels; remove"),
    "lying png": (_png(8, 8), "cannot be decoded"),
    "cut png": (_saved(picture(0), "PNG")[:-400], "is cut short; replace"),
    "cut png header": (_saved(picture(0), "PNG")[:14], "is cut short; replace"),
    "damaged png": (_damaged(_saved(picture(0), "PNG")), "is damaged \\(a checksum does not match\\); replace"),
    "cut jpeg": (_saved(picture(0), "JPEG")[:-300], "cannot be decoded \\(image file is truncated.*; replace"),
    "jpeg without its end": (
        _saved(picture(0), "JPEG")[:-2],
        "cannot be decoded \\(image file is truncated.*; replace",
    ),
    "jpeg header alone": (_saved(picture(0), "JPEG")[:30], "cannot be decoded"),
    "cmyk": (_cmyk(), "is a CMYK JPEG; convert it to RGB or grey"),
    "transparent": (_saved(_RGBA, "PNG"), "has transparent pixels; flatten it onto a background"),
    "nan": (_tiff(_NAN), "holds NaN or infinite values; replace them"),
    "range": (_tiff(picture(0, 9, 9, 1, "float32")[..., 0] * 300), "holds values from .*; scale floating-point images"),
    "pages": (_tiff(np.zeros((5, 20, 20), np.uint8), photometric="minisblack"), "holds 5 pages; save every page"),
    "int32": (_tiff(np.zeros((9, 9), np.int32)), "holds 32-bit int32 values; save it as 8 or 16 bit unsigned"),
    "inverted": (_tiff(np.zeros((9, 9), np.uint8), photometric="miniswhite"), "neither grey .* nor RGB; convert"),
    "cut tiff": (_tiff(picture(0))[:-500], "cannot be decoded"),
    "cut lzw tiff": (_saved(picture(0), "TIFF", compression="tiff_lzw")[:300], "cannot be decoded"),
    "tiff header alone": (b"II*\x00\x08\x00\x00\x00", "cannot be decoded"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a.png: {'.*' if 'neither' in message else ''}{message}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.png"):
        read_image(tmp_path / "none.png")
