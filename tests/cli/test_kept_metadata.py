"""``reconstruct`` writes what a file says of itself into the file that it makes, and says what it cannot keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from reconscale.data.image_output import write_like

from .calling import call, refused
from .test_reconstruct import noisy, train


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a small grey run."""
    return train(tmp_path_factory, "gray", 2)


def made(run: Path, source: Path, out: Path) -> str:
    """What the command says besides."""
    code, _, err = call("reconstruct", run, source, "--out", out)
    assert code == 0, err
    return err


def test_resolution_description_and_tags_of_tiff(grey: Path, tmp_path: Path) -> None:
    tags = [(315, 2, 0, "A. Author", True), (33550, 12, 3, (0.5, 0.5, 0.0), True), (65000, 2, 0, "private", True)]
    tifffile.imwrite(
        tmp_path / "a.tif", noisy((20, 24), np.uint16), resolution=(300, 150), resolutionunit=2, software="Camera 3",
        description="cells, 40x", extratags=tags, metadata=None,
    )  # fmt: skip
    said = made(grey, tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        held = {tag.code: tag.value for tag in file.pages[0].tags.values()}
        assert held[282] == (300, 1) and held[283] == (150, 1) and held[296] == 2
        assert held[270] == "cells, 40x" and held[315] == "A. Author" and held[305] == "Camera 3"
        assert held[33550] == (0.5, 0.5, 0.0) and 65000 not in held
        assert file.pages[0].dtype == np.uint16
    assert "65000" in said and "not kept" in said


def test_pages_keep_their_own_descriptions(grey: Path, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in range(5):
            writer.write(noisy((16, 20)), description=f"time {page}", metadata=None)
    made(grey, tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert [page.description for page in file.pages] == [f"time {page}" for page in range(5)]


def test_axes_and_spacing_of_imagej(grey: Path, tmp_path: Path) -> None:
    about = {
        "axes": "TZYX",
        "spacing": 2.5,
        "unit": "um",
        "finterval": 0.1,
        "Info": "stage = 3",
        "min": 2.0,
        "max": 99.0,
    }
    stack = noisy((2, 3, 16, 20), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(4.0, 4.0), metadata=about)
    assert made(grey, tmp_path / "a.tif", tmp_path / "b.tif") == ""
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_imagej and file.series[0].axes == "TZYX" and file.series[0].shape == (2, 3, 16, 20)
        found = file.imagej_metadata
        assert {key: found[key] for key in ("spacing", "unit", "finterval", "Info", "slices", "frames")} == {
            "spacing": 2.5, "unit": "um", "finterval": 0.1, "Info": "stage = 3", "slices": 3, "frames": 2,
        }  # fmt: skip
        assert file.pages[0].tags[282].value[0] / file.pages[0].tags[282].value[1] == 4


def ome(path: Path, stack: np.ndarray, **more: Any) -> None:
    about = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.2,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.2,
        "Name": "nuclei",
        **more,
    }
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=about)


def test_ome_xml(grey: Path, tmp_path: Path) -> None:
    ome(tmp_path / "a.ome.tif", noisy((5, 16, 20), np.uint16))
    assert made(grey, tmp_path / "a.ome.tif", tmp_path / "b.ome.tif") == ""
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.is_ome and file.series[0].axes == "ZYX" and file.series[0].shape == (5, 16, 20)
        root = ElementTree.fromstring(file.ome_metadata)
    pixels = next(element for element in root.iter() if element.tag.endswith("Pixels"))
    assert pixels.attrib["PhysicalSizeX"] == "0.2" and pixels.attrib["PhysicalSizeXUnit"] == "µm"
    assert pixels.attrib["SizeX"] == "20" and pixels.attrib["Type"] == "uint16"
    assert root.tag == "{http://www.openmicroscopy.org/Schemas/OME/2016-06}OME"


def test_ome_xml_of_larger_images(tmp_path: Path) -> None:
    """Twice the pixels: half their size."""
    ome(tmp_path / "a.ome.tif", noisy((3, 16, 20)))
    large = [noisy((32, 40, 1), np.uint16) for _ in range(3)]
    assert write_like(tmp_path / "b.ome.tif", large, tmp_path / "a.ome.tif", 2) == []
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.series[0].shape == (3, 32, 40) and file.series[0].axes == "ZYX"
        assert np.array_equal(file.asarray(), np.stack(large)[..., 0])
        found = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (found["PhysicalSizeX"], found["SizeX"], found["SizeY"], found["Type"]) == (0.1, 40, 32, "uint16")


def test_ome_xml_with_entities_is_not_kept(tmp_path: Path) -> None:
    ome(tmp_path / "a.tif", noisy((16, 20)), axes="YX")
    data = (tmp_path / "a.tif").read_bytes()
    tifffile.tiffcomment(tmp_path / "a.tif", b'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "a">]><OME>&a;</OME>')
    assert (tmp_path / "a.tif").read_bytes() != data
    said = write_like(tmp_path / "b.tif", [noisy((16, 20, 1))], tmp_path / "a.tif")
    assert said == ["its OME-XML is not kept: it declares entities, or has no pixels"]


def test_tags_that_cannot_be_written_are_said(grey: Path, tmp_path: Path) -> None:
    """The reconstruction is written all the same."""
    tifffile.imwrite(tmp_path / "a.tif", noisy((16, 20)), resolution=(3, 3), resolutionunit=2, metadata=None)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        at = file.pages[0].tags[296].valueoffset
    data[at : at + 2] = (77).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(data)
    assert "a.tif says of itself is not kept" in made(grey, tmp_path / "a.tif", tmp_path / "b.tif")
    assert tifffile.imread(tmp_path / "b.tif").shape == (16, 20)


def test_metadata_of_tifffile(grey: Path, tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", noisy((4, 16, 20)), photometric="minisblack", metadata={"axes": "TYX", "exposure": 0.03}
    )
    made(grey, tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.series[0].axes == "TYX" and json.loads(file.pages[0].description)["exposure"] == 0.03


def test_png_keeps_resolution_texts_and_colours(grey: Path, tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "cells")
    for name, dtype in (("a", np.uint8), ("deep", np.uint16)):
        image = Image.fromarray(noisy((16, 20), dtype))
        image.save(tmp_path / f"{name}.png", dpi=(200, 100), pnginfo=texts, icc_profile=b"a profile")
        assert made(grey, tmp_path / f"{name}.png", tmp_path / f"{name}-out.png") == ""
        with Image.open(tmp_path / f"{name}-out.png") as found:
            assert [round(value) for value in found.info["dpi"]] == [200, 100]
            assert found.info["Title"] == "cells" and found.info["icc_profile"] == b"a profile"
            assert found.mode == ("L" if dtype == np.uint8 else "I;16")


def test_a_photograph_keeps_its_profile_and_exif_is_said(grey: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera"
    Image.fromarray(noisy((16, 20))).save(tmp_path / "a.jpg", icc_profile=b"p", dpi=(72, 72), exif=exif)
    said = made(grey, tmp_path / "a.jpg", tmp_path / "b.png")
    assert "EXIF and XMP are not kept" in said
    with Image.open(tmp_path / "b.png") as found:
        assert found.info["icc_profile"] == b"p" and round(found.info["dpi"][0]) == 72 and not found.getexif()


def test_a_png_of_a_tiff_says_what_is_lost(grey: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noisy((16, 20)), description="cells", metadata=None)
    assert "what .tif files say of themselves is not kept in .png files" in made(
        grey, tmp_path / "a.tif", tmp_path / "b.png"
    )
    tifffile.imwrite(tmp_path / "f.tif", np.random.default_rng(0).random((16, 20), np.float32), metadata=None)
    assert "rounded to 16 bit" in made(grey, tmp_path / "f.tif", tmp_path / "f.png")


def test_attributes_of_hdf5(grey: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["microscope"] = "confocal"
        held = file.create_dataset("day1/raw", data=noisy((4, 16, 20), np.uint16))
        held.attrs["element_size_um"] = np.array([1.0, 0.2, 0.2])
        file["day1"].attrs["sample"] = 7
        file["times"] = np.arange(3)
        held.attrs["link"] = file["times"].ref
    said = made(grey, tmp_path / "a.h5", tmp_path / "b.h5")
    assert "without the other data sets of a.h5 (times)" in said and "attribute link of /day1/raw is not kept" in said
    with h5py.File(tmp_path / "b.h5") as file:
        assert file.attrs["microscope"] == "confocal" and file["day1"].attrs["sample"] == 7
        assert file["day1/raw"].dtype == np.uint16 and file["day1/raw"].shape == (4, 16, 20)
        assert file["day1/raw"].attrs["element_size_um"].tolist() == [1.0, 0.2, 0.2]
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["day2"] = noisy((4, 16, 20))
    assert "holds 2 data sets that may be images: day1/raw 4 x 16 x 20, day2 4 x 16 x 20" in refused(
        "reconstruct", grey, tmp_path / "a.h5", "--out", tmp_path / "c.h5"
    )
