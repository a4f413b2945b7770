"""Kinds of real image files that are easily read wrongly: each is read as it is seen, or refused in one sentence."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from reconscale.data import ImageSet
from reconscale.data.folders import list_folder
from reconscale.data.image_files import read_header, read_image
from reconscale.errors import UserError
from reconscale.study import Images

from .conftest import picture

Open = Callable[..., ImageSet]
DEEP = picture(1, 24, 30, 3, "uint16")
FLAT = picture(2, 24, 30, 3)


def tiff(path: Path, image: np.ndarray, **how: Any) -> Path:
    tifffile.imwrite(path, image, **how)
    return path


def agree(path: Path, image: np.ndarray, page: int | None = None) -> bool:
    """Whether a file is read as an image, and its header says so."""
    found, header = read_image(path, page), read_header(path, page)
    said = header.height, header.width, header.channels
    return found.shape == said == image.shape and found.dtype == image.dtype and bool((found == image).all())


def refusal(path: Path, page: int | None = None) -> str:
    for read in (read_header, read_image):
        try:
            read(path, page)
        except UserError as error:
            assert "\n" not in str(error)
            return str(error)
    raise AssertionError("it was read")


class TestOrientation:
    @pytest.mark.parametrize("kind", ["jpg", "png", "tif", "lzw.tif", "webp"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_images_are_read_as_they_are_seen(self, tmp_path: Path, kind: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        how: dict[str, Any] = {"lzw.tif": {"compression": "tiff_lzw"}, "webp": {"lossless": True}}.get(kind, {})
        path = tmp_path / f"a.{kind}"
        Image.fromarray(FLAT).save(path, exif=exif, **how)
        with Image.open(path) as image:
            seen = ImageOps.exif_transpose(image)
            assert agree(path, np.asarray(seen.convert("RGB")))

    def test_of_a_deep_png_whose_exif_lies_behind_the_pixels(self, tmp_path: Path) -> None:
        _, plain = cv2.imencode(".png", DEEP[..., ::-1])
        exif = Image.Exif()
        exif[0x0112] = 6
        body = exif.tobytes()[6:]
        chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
        data = plain.tobytes()
        (tmp_path / "a.png").write_bytes(data[:-12] + chunk + data[-12:])
        assert agree(tmp_path / "a.png", np.ascontiguousarray(DEEP.transpose(1, 0, 2)[:, ::-1]))

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_damaged_exif_says_nothing(self, tmp_path: Path) -> None:
        Image.fromarray(FLAT).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff nonsense")
        assert read_image(tmp_path / "a.jpg").shape == (24, 30, 3)


class TestSamples:
    @pytest.mark.parametrize("how", ["contig", "separate"])
    @pytest.mark.parametrize("compression", [None, "deflate"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_three_grey_samples_are_rgb(self, tmp_path: Path, how: str, compression: str | None, dtype: type) -> None:
        image = DEEP.astype(dtype) / (65535 if dtype is np.float32 else 1)
        image = image.astype(dtype)
        written = image if how == "contig" else image.transpose(2, 0, 1)
        path = tiff(tmp_path / "a.tif", written, photometric="minisblack", planarconfig=how, compression=compression)
        assert agree(path, image)

    def test_three_grey_samples_that_opencv_decodes(self, tmp_path: Path) -> None:
        stream = io.BytesIO()
        Image.fromarray(FLAT).save(stream, "TIFF", compression="tiff_lzw")
        data = bytearray(stream.getvalue())
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            at = file.pages[0].tags["PhotometricInterpretation"].valueoffset
        data[at : at + 2] = (1).to_bytes(2, "little")
        (tmp_path / "a.tif").write_bytes(data)
        assert agree(tmp_path / "a.tif", FLAT)

    @pytest.mark.parametrize("count", [2, 4, 5])
    def test_other_numbers_of_grey_samples_are_refused(self, tmp_path: Path, count: int) -> None:
        image = np.concatenate([DEEP, DEEP], 2)[..., :count]
        path = tiff(tmp_path / "a.tif", image, photometric="minisblack", planarconfig="contig")
        assert f"has {count} channels" in refusal(path) and "convert it to grey or RGB" in refusal(path)

    def test_colours_that_were_taken_for_columns_are_refused(self, tmp_path: Path) -> None:
        assert "probably colours" in refusal(tiff(tmp_path / "a.tif", DEEP, photometric="minisblack"))

    @pytest.mark.parametrize("colour", [0, 2, 4])
    def test_deep_png_with_a_transparent_pixel(self, tmp_path: Path, colour: int) -> None:
        pixels = np.dstack([DEEP[..., 0], np.full((24, 30), 65535)]) if colour == 4 else DEEP[..., : colour + 1]
        pixels = pixels.astype(np.uint16).copy()
        extra = b""
        if colour == 4:
            pixels[3, 4, 1] = 7
        else:
            key = pixels[3, 4].astype(">u2").tobytes()
            extra = struct.pack(">I", len(key)) + b"tRNS" + key + struct.pack(">I", zlib.crc32(b"tRNS" + key))
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        (tmp_path / "a.png").write_bytes(_png(30, 24, 16, colour, rows, extra))
        assert "has transparent pixels" in refusal(tmp_path / "a.png")

    def test_deep_grey_png_with_opaque_alpha(self, tmp_path: Path) -> None:
        pixels = np.dstack([DEEP[..., 0], np.full((24, 30), 65535)]).astype(np.uint16)
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        (tmp_path / "a.png").write_bytes(_png(30, 24, 16, 4, rows))
        assert agree(tmp_path / "a.png", DEEP[..., :1])

    @pytest.mark.parametrize(("mode", "ending"), [("1", "tif"), ("CMYK", "tif"), ("P", "tif"), ("CMYK", "jpg")])
    def test_other_kinds_are_refused(self, tmp_path: Path, mode: str, ending: str) -> None:
        Image.fromarray(FLAT).convert(mode).save(tmp_path / f"a.{ending}")
        assert "; " in refusal(tmp_path / f"a.{ending}")

    @pytest.mark.parametrize("ending", ["png", "webp"])
    def test_animations_are_refused(self, tmp_path: Path, ending: str) -> None:
        others = [Image.fromarray(FLAT[::-1].copy())]
        Image.fromarray(FLAT).save(tmp_path / f"a.{ending}", save_all=True, append_images=others)
        assert "is an animation" in refusal(tmp_path / f"a.{ending}")


def _png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class TestOtherFormats:
    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
    def test_bmp(self, tmp_path: Path, mode: str) -> None:
        image = Image.fromarray(FLAT).quantize(16) if mode == "P" else Image.fromarray(FLAT).convert(mode)
        image.save(tmp_path / "a.bmp")
        expected = np.asarray(image.convert("L" if mode in "1L" else "RGB"))
        assert agree(tmp_path / "a.bmp", expected if expected.ndim == 3 else expected[..., None])

    def test_webp(self, tmp_path: Path) -> None:
        Image.fromarray(FLAT).save(tmp_path / "a.webp", lossless=True)
        assert agree(tmp_path / "a.webp", FLAT)
        transparent = np.dstack([FLAT, np.full((24, 30), 255, np.uint8)])
        transparent[0, 0, 3] = 9
        Image.fromarray(transparent).save(tmp_path / "b.webp", lossless=True)
        assert "has transparent pixels" in refusal(tmp_path / "b.webp")
        Image.fromarray(FLAT).save(tmp_path / "c.webp", quality=80)
        with Image.open(tmp_path / "c.webp") as image:
            assert agree(tmp_path / "c.webp", np.asarray(image.convert("RGB")))

    def test_files_that_are_not_read_are_named(self, tmp_path: Path, opened: Open) -> None:
        data = tmp_path / "data"
        data.mkdir()
        for index in range(3):
            Image.fromarray(picture(index)).save(data / f"{index}.png")
            Image.fromarray(picture(10 + index)).save(data / f"{index}.gif")
        images = opened(data)
        assert images.describe()["files"] == "not read: 3 .gif (such as 0.gif)"
        with pytest.raises(UserError, match=r"hold out 1 \+ 2 of 3 units \(not read: 3 .gif \(such as 0.gif\)\)"):
            opened(data, val=1, test=2)


class TestStacks:
    def stack(self, data: Path, name: str, count: int = 4, **how: Any) -> np.ndarray:
        pages = np.stack([picture(zlib.crc32(name.encode()) + i, 24, 20, 1, "uint16")[..., 0] for i in range(count)])
        data.mkdir(exist_ok=True)
        tiff(data / name, pages, **({"photometric": "minisblack", "metadata": {"axes": "ZYX"}} | how))
        return pages

    @pytest.mark.parametrize(
        "how",
        [{}, {"imagej": True, "photometric": "minisblack"}, {"metadata": {"axes": "TYX"}}, {"bigtiff": True},
         {"byteorder": ">"}, {"metadata": None}],
        ids=["shaped", "imagej", "time", "big", "big-endian", "plain"],
    )  # fmt: skip
    def test_a_page_is_an_image(self, tmp_path: Path, how: dict[str, Any]) -> None:
        pages = self.stack(tmp_path / "d", "a.tif", **how)
        listing = list_folder(Images(source="folder", val=1, test=1), tmp_path / "d")
        assert listing.names == tuple(f"a.tif#{page:04d}" for page in range(4))
        assert all(np.array_equal(listing.load(i)[..., 0], page) for i, page in enumerate(pages))

    def test_ome(self, tmp_path: Path) -> None:
        pages = self.stack(tmp_path / "d", "a.ome.tif")
        assert agree(tmp_path / "d" / "a.ome.tif", pages[2][..., None], 2)
        assert "holds 4 pages" in refusal(tmp_path / "d" / "a.ome.tif")

    def test_compressed_pages(self, tmp_path: Path) -> None:
        first, second = Image.fromarray(FLAT), Image.fromarray(FLAT[::-1].copy())
        first.save(tmp_path / "a.tif", save_all=True, append_images=[second], compression="tiff_lzw")
        assert agree(tmp_path / "a.tif", FLAT[::-1], 1) and agree(tmp_path / "a.tif", FLAT, 0)

    def test_the_file_is_the_unit(self, tmp_path: Path, opened: Open) -> None:
        for index in range(6):
            self.stack(tmp_path / "d", f"{index}.tif")
        images = opened(tmp_path / "d")
        units = [set(pixels.units) for pixels in images.sets.values()]
        assert images.units == images.available == 4 and len(images.train) == 16 and not units[0] & units[1]
        assert set.union(*units) == {f"{index}.tif" for index in range(6)}
        assert len(images.training(2, 0)) == 8
        assert "6 files hold 24 pages, and n counts files" in images.cautions[0]
        singly = opened(tmp_path / "d", counts="images")
        assert singly.available == 16 and len(singly.training(3, 0)) == 3 and not singly.cautions

    @pytest.mark.parametrize("axes", ["CYX", "ZCYX"])
    @pytest.mark.parametrize("kind", ["a.tif", "a.ome.tif"])
    def test_channels_are_not_images(self, tmp_path: Path, axes: str, kind: str) -> None:
        shape = {"C": 2, "Z": 3, "Y": 20, "X": 20}
        image = np.zeros([shape[axis] for axis in axes], np.uint16)
        path = tiff(tmp_path / kind, image, photometric="minisblack", metadata={"axes": axes})
        assert "holds 2 channels as pages" in refusal(path)

    def test_three_of_something_are_refused(self, tmp_path: Path) -> None:
        path = tiff(tmp_path / "a.tif", np.zeros((3, 20, 20), np.uint8), photometric="minisblack")
        assert "does not say whether these are 3 images or colours" in refusal(path)

    def test_pages_of_different_sizes_may_be_a_pyramid(self, tmp_path: Path) -> None:
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(FLAT, photometric="rgb")
            file.write(FLAT[::2, ::2].copy(), photometric="rgb")
        assert "others may be reduced copies" in refusal(tmp_path / "a.tif")

    def test_pages_that_are_not_listed(self, tmp_path: Path) -> None:
        path = tiff(tmp_path / "a.tif", np.zeros((6, 20, 20), np.uint16), photometric="minisblack", truncate=True)
        assert "says that it holds 6 pages, and lists 1" in refusal(path)


class TestRange:
    def cells(self, data: Path, low: float = 100, high: float = 4095, dtype: str = "uint16") -> None:
        data.mkdir()
        for index in range(6):
            values = low + (high - low) * picture(index, 32, 32, 1, "float32")[..., 0]
            tiff(data / f"{index}.tif", values.astype(dtype))

    @pytest.mark.parametrize(("top", "loss"), [(1000, 36), (4000, 24), (16300, 12)])
    def test_a_corner_of_the_range_is_told(self, tmp_path: Path, opened: Open, top: int, loss: int) -> None:
        self.cells(tmp_path / "d", high=top)
        (said,) = opened(tmp_path / "d").cautions
        assert f"PSNR is {loss} dB too high" in said and "images.range" in said

    def test_a_band_of_the_range_is_told(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d", 40000, 45000)
        assert "all pixels of the images lie between" in opened(tmp_path / "d").cautions[0]

    def test_the_whole_range_is_no_matter(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d", 0, 60000)
        assert opened(tmp_path / "d").cautions == ()

    def test_a_dark_image_among_others_of_its_type_is_no_matter(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d", 0, 60000)
        tiff(tmp_path / "d" / "dark.tif", picture(9, 32, 32, 1, "uint16")[..., 0] // 30)
        assert opened(tmp_path / "d").cautions == ()

    def test_a_bright_image_among_those_of_12_bits_hides_nothing(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d")
        tiff(tmp_path / "d" / "bright.tif", picture(9, 32, 32, 1, "uint16")[..., 0])
        assert "6 of 7 uint16 images" in opened(tmp_path / "d").cautions[0]

    def test_bright_images_of_another_type_hide_nothing(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d")
        for index in range(3):
            Image.fromarray(picture(20 + index, 32, 32, 1)[..., 0]).save(tmp_path / "d" / f"{index}.png")
        first, second = opened(tmp_path / "d").cautions
        assert "of 65535" in first and "are of different depths" in second

    def test_black_and_white_are_mapped(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d")
        images = opened(tmp_path / "d", range=(100, 4095))
        assert images.cautions == () and images.train.store.dtype == "float32"
        raw = tifffile.imread(tmp_path / "d" / images.train.names[0])
        assert np.allclose(images.train.image(0)[..., 0], (raw - 100.0) / 3995, atol=1e-6)

    def test_what_is_clipped_is_told(self, tmp_path: Path, opened: Open) -> None:
        self.cells(tmp_path / "d")
        images = opened(tmp_path / "d", range=(0, 2048))
        assert images.train.image(0).max() == 1 and "were clipped" in images.cautions[0]

    @pytest.mark.parametrize("dtype", ["int16", "float32", "float64", "int32", "uint32"])
    def test_other_numbers_need_a_range(self, tmp_path: Path, opened: Open, dtype: str) -> None:
        self.cells(tmp_path / "d", -1000, 3000, dtype) if dtype != "uint32" else self.cells(tmp_path / "d", dtype=dtype)
        with pytest.raises(UserError, match=r"images.range = \[black, white\]"):
            opened(tmp_path / "d")
        assert opened(tmp_path / "d", range=(-1000, 4095)).train.store.dtype == "float32"

    @pytest.mark.parametrize("dtype", ["int16", "int64", "float32"])
    def test_arrays_too(self, tmp_path: Path, opened: Open, dtype: str) -> None:
        values = np.stack([2000 * picture(i, 24, 24, 1, "float32")[..., 0] - 1000 for i in range(6)])
        np.save(tmp_path / "a.npy", values.astype(dtype))
        with pytest.raises(UserError, match=r"images.range = \[black, white\]"):
            opened(tmp_path, source="array")
        images = opened(tmp_path, source="array", range=(-1000, 1000))
        row = int(images.train.names[0].rpartition("/")[2])
        assert np.allclose(images.train.image(0)[..., 0], (values[row] + 1000) / 2000, atol=1e-3)

    def test_it_is_part_of_what_a_run_is(self) -> None:
        plain = Images(source="folder", val=1, test=1)
        assert "range" not in plain.model_dump(exclude_defaults=True)
        with pytest.raises(ValueError, match="give black and white, the smaller one first"):
            Images(source="folder", val=1, test=1, range=(5, 5))
        with pytest.raises(ValueError, match="is for image files and arrays"):
            Images(source="bundled", val=1, test=1, range=(0, 5))


class TestArrays:
    @pytest.mark.parametrize("shape", [(3, 24, 24), (24, 24, 3)])
    def test_images_or_colours(self, tmp_path: Path, opened: Open, shape: tuple[int, ...]) -> None:
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        with pytest.raises(UserError, match=r"3 may count images or colours; save one RGB image as \(1, H, W, 3\)"):
            opened(tmp_path, source="array")

    def test_arrays_of_one_file_are_named_and_may_be_chosen(self, tmp_path: Path, opened: Open) -> None:
        clean, noisy = (np.stack([picture(s + i, 24, 24, 1)[..., 0] for i in range(5)]) for s in (0, 50))
        np.savez(tmp_path / "a.npz", clean=clean, noisy=noisy)
        images = opened(tmp_path, source="array")
        assert "a.npz holds 2 arrays" in images.cautions[0] and "a.npz/clean (5), a.npz/noisy (5)" in images.cautions[0]
        alone = opened(tmp_path, source="array", folders=("a.npz/clean",))
        assert alone.units == 3 and alone.cautions == () and all("clean" in name for name in alone.train.names)
        both = opened(tmp_path, source="array", folders=("a.npz/clean",), test_sets={"other": "a.npz/noisy"})
        assert len(both.tests["other"]) == 5 and both.units == 3
        with pytest.raises(UserError, match="is no array of this file; it has: clean, noisy"):
            opened(tmp_path, source="array", folders=("a.npz/clear",))


class TestAmongOthers:
    def test_hot_pixels_hide_nothing(self, tmp_path: Path, opened: Open) -> None:
        TestRange().cells(tmp_path / "d", high=3000)
        hot = tifffile.imread(tmp_path / "d" / "0.tif")
        hot[3, 4] = 65535
        tiff(tmp_path / "d" / "0.tif", hot)
        (said,) = opened(tmp_path / "d").cautions
        assert "99.9 % of the pixels" in said and "few reach 65535" in said

    def test_masks_beside_images(self, tmp_path: Path, opened: Open) -> None:
        for index in range(6):
            Image.fromarray(picture(index, 32, 32, 1)[..., 0]).save(tmp_path / f"{index}.png")
            Image.fromarray(picture(index, 32, 32, 1)[..., 0] // 128).save(tmp_path / f"{index}_mask.png")
        (said,) = opened(tmp_path, duplicates="skip").cautions
        assert "_mask.png) have no pixel above 16 of 255, others do" in said

    def test_pixels_without_data(self, tmp_path: Path, opened: Open) -> None:
        TestRange().cells(tmp_path / "d", 0, 1000, "float32")
        image = tifffile.imread(tmp_path / "d" / "0.tif")
        image[:3] = -9999
        tiff(tmp_path / "d" / "0.tif", image, extratags=[(42113, "s", 0, "-9999", True)])
        with pytest.raises(UserError, match=r"0.tif: has pixels without data \(marked by -9999\); fill them"):
            opened(tmp_path / "d", range=(0, 1000))

    def test_names_do_not_decide(self, tmp_path: Path) -> None:
        for kind in ("PNG", "WEBP", "BMP", "TIFF"):
            Image.fromarray(FLAT).save(tmp_path / "a.jpg", kind, **({"lossless": True} if kind == "WEBP" else {}))
            assert agree(tmp_path / "a.jpg", FLAT)

    def test_smaller_copies_of_the_images_are_found(self, tmp_path: Path, opened: Open) -> None:
        """As in data sets that hold a folder of images and one of reduced images."""
        for index in range(6):
            image = Image.fromarray(cv2.GaussianBlur(picture(index, 64, 64), (0, 0), 4))
            for place, side in (("hr", 64), ("lr", 32)):
                (tmp_path / place).mkdir(exist_ok=True)
                image.resize((side, side), Image.Resampling.BICUBIC).save(tmp_path / place / f"{index}.png")
        with pytest.raises(UserError, match="nearly the same"):
            opened(tmp_path)
