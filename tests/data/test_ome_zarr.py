"""OME-Zarr as a source: which planes are images, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reconscale.data import ImageSubset, open_images, write_image
from reconscale.data import zarr_arrays as arrays
from reconscale.data.folders import list_folder
from reconscale.data.ome_zarr import list_ome_zarr
from reconscale.errors import UserError
from reconscale.study import Images
from tests.zarr_images import write_zarr

zarr = pytest.importorskip("zarr")

VALUES = np.random.default_rng(0).integers(0, 60_000, (2, 3, 4, 20, 24), np.uint16)
"""Of the axes t, c, z, y, x."""


def listing(root: Path, *folders: str, **options: Any) -> Any:
    return list_ome_zarr(Images(source="ome-zarr", folders=folders or (".",), val=1, test=1, **options), root)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["tczyx", "zyx", "yx", "cyx", "tyx"])
def test_planes_are_those_of_the_array(tmp_path: Path, version: str, axes: str) -> None:
    values = VALUES[tuple(slice(None) if axis in axes else 0 for axis in "tczyx")]
    write_zarr(tmp_path / "a.zarr", values, axes, version, chunks=(*(2 for _ in axes[:-2]), 16, 16))
    found = listing(tmp_path, channel=2 if "c" in axes else None)
    plain = np.take(values, 2, axes.index("c")) if "c" in axes else values
    planes = plain.reshape(-1, 20, 24)
    assert found.names == (("a.zarr",) if len(planes) == 1 else tuple(f"a.zarr#{k:04d}" for k in range(len(planes))))
    assert all(np.array_equal(found.load(k)[..., 0], plane) for k, plane in enumerate(planes))


COMPRESSION: dict[str, Callable[[], dict[str, Any]]] = {
    "none": lambda: {"compressors": None},
    "gzip": lambda: {"compressors": zarr.codecs.GzipCodec()},
    "blosc": lambda: {"compressors": zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")},
    "zstd with a checksum": lambda: {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    "shards": lambda: {"shards": (4, 32, 32)},
    "big-endian": lambda: {"serializer": zarr.codecs.BytesCodec(endian="big")},
    "transposed": lambda: {"filters": [zarr.codecs.TransposeCodec(order=(2, 1, 0))]},
}


@pytest.mark.parametrize("name", COMPRESSION)
def test_kinds_of_chunks(tmp_path: Path, name: str) -> None:
    write_zarr(tmp_path / "a.zarr", VALUES[0, 0], "zyx", "0.5", chunks=(2, 16, 16), **COMPRESSION[name]())
    found = listing(tmp_path)
    assert all(np.array_equal(found.load(k)[..., 0], plane) for k, plane in enumerate(VALUES[0, 0]))


@pytest.mark.parametrize("codec", ["zlib", "lz4", "blosc", "gzip", "zstd", None])
def test_compressors_of_format_2(tmp_path: Path, codec: str | None) -> None:
    import numcodecs

    packed = numcodecs.get_codec({"id": codec}) if codec else None
    write_zarr(tmp_path / "a.zarr", VALUES[0, 0], "zyx", chunks=(2, 16, 16), compressors=packed)
    assert np.array_equal(listing(tmp_path).load(3)[..., 0], VALUES[0, 0, 3])


def test_three_channels_as_the_colours_of_one_image(tmp_path: Path) -> None:
    write_zarr(tmp_path / "a.zarr", (VALUES[0, :, 0] >> 8).astype(np.uint8), "cyx")
    found = listing(tmp_path, channel="rgb")
    assert found.names == ("a.zarr",) and np.array_equal(found.load(0), np.moveaxis(VALUES[0, :, 0] >> 8, 0, -1))


def test_series_of_bio_formats_are_one_unit(tmp_path: Path) -> None:
    for number in range(4):
        place = tmp_path / f"slide{number}.zarr"
        zarr.open_group(str(place), mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
        (place / "OME").mkdir()
        for series in range(2):
            rng = np.random.default_rng([number, series])
            write_zarr(place / str(series), rng.integers(0, 255, (2, 32, 32), np.uint8), "zyx")
    images = Images(source="ome-zarr", val=1, test=1, patch=16)
    found = open_images(images, data=tmp_path, cache=tmp_path / "cache")
    assert found.available == 2 and isinstance(found.train, ImageSubset) and len(found.train) == 8
    assert {name.partition("#")[0] for name in found.train.names} == set(found.train.units)
    counted = open_images(images.model_copy(update={"counts": "images"}), data=tmp_path, cache=tmp_path / "cache")
    assert counted.available == 8


def test_a_changed_image_is_read_again(tmp_path: Path) -> None:
    for number in range(4):
        rng = np.random.default_rng(number)
        write_zarr(tmp_path / f"{number}.zarr", rng.integers(0, 60_000, (2, 20, 24), np.uint16), "zyx")
    images = Images(source="ome-zarr", val=1, test=1, patch=16)
    before = open_images(images, data=tmp_path, cache=tmp_path / "cache").digest
    write_zarr(tmp_path / "0.zarr", VALUES[1, 1], "zyx")
    assert open_images(images, data=tmp_path, cache=tmp_path / "cache").digest != before


def test_a_test_set_of_another_kind(tmp_path: Path) -> None:
    for number in range(4):
        rng = np.random.default_rng(number)
        write_zarr(tmp_path / "train" / f"{number}.zarr", rng.integers(0, 60_000, (2, 32, 32), np.uint16), "zyx")
    write_zarr(tmp_path / "other.zarr", VALUES[0, 0], "zyx")
    images = Images(source="ome-zarr", folders=("train",), val=1, test=0, patch=16, test_sets={"other": "other.zarr"})
    assert len(open_images(images, data=tmp_path, cache=tmp_path / "cache").tests["other"]) == 4


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    """A change of a JSON file of an image of version 0.4."""

    def edit(place: Path) -> None:
        content = json.loads((place / name).read_text())
        (place / name).write_text(json.dumps(content | changes))

    return edit


def multiscales(**changes: Any) -> Callable[[Path], None]:
    def edit(place: Path) -> None:
        content = json.loads((place / ".zattrs").read_text())
        content["multiscales"][0] |= changes
        (place / ".zattrs").write_text(json.dumps(content))

    return edit


def cut(place: Path) -> None:
    path = place / "0" / "0" / "0" / "0"
    path = path if path.is_file() else place / "0" / "0.0.0"
    path.write_bytes(path.read_bytes()[:40])


def without_chunks(place: Path) -> None:
    for path in (place / "0").iterdir():
        if path.name != ".zarray":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a codec that unpickles": (edited("0/.zarray", compressor={"id": "pickle"}), "that is not read here .pickle"),
    "a filter that unpickles": (edited("0/.zarray", filters=[{"id": "pickle"}]), "a codec that is not read here"),
    "Python objects": (edited("0/.zarray", dtype="|O"), r"values of type \|O"),
    "complex numbers": (edited("0/.zarray", dtype="<c8"), "values of type <c8; expected numbers"),
    "too large a chunk": (edited("0/.zarray", chunks=[4, 40_000, 40_000]), "claims chunks of 12.8 GB"),
    "too many pixels": (edited("0/.zarray", shape=[4, 60_000, 60_000]), "claims 60000 x 60000 pixels"),
    "too many planes": (edited("0/.zarray", shape=[10**9, 20, 24]), "claims 1,000,000,000 planes"),
    "nothing": (edited("0/.zarray", shape=[0, 20, 24]), r"claims the shape \(0, 20, 24\)"),
    "other axes than those of the array": (edited("0/.zarray", shape=[20, 24], chunks=[8, 8]), "and its array 2"),
    "axes in another order": (multiscales(axes=[{"name": n} for n in "yxz"]), "the axes 'yxz'; expected t, c, z, y, x"),
    "no axes": (multiscales(axes=[]), "without axes; versions 0.4 and 0.5 are read"),
    "another version": (multiscales(version="0.1"), "is OME-Zarr 0.1"),
    "no levels": (multiscales(datasets=[]), "'multiscales' that are not those"),
    "an array elsewhere": (multiscales(datasets=[{"path": "../b"}]), "names the array '../b', which is not in it"),
    "a plate": (edited(".zattrs", plate={}), r'is a plate, whose fields are images; name .*a.zarr/A/1/0'),
    "no image": (lambda place: (place / ".zattrs").write_text("{}"), "holds no image of OME-Zarr"),
    "no JSON": (lambda place: (place / ".zattrs").write_text("{"), "is not valid JSON"),
    "no group": (lambda place: [(place / name).unlink() for name in (".zattrs", ".zgroup")], "is no group of Zarr"),
    "a group in the array's place": (lambda place: (place / "0" / ".zarray").unlink(), "holds no Zarr array"),
    "a chunk that is cut": (cut, "cannot be decoded|is cut short"),
    "no chunks": (without_chunks, "a copy that is not complete"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    write_zarr(tmp_path / "a.zarr", VALUES[0, 0], "zyx", chunks=(2, 16, 16))
    spoil, message = BAD[name]
    spoil(tmp_path / "a.zarr")
    with pytest.raises(UserError, match=message) as caught:
        found = listing(tmp_path)
        found.header(0), found.load(0)
    assert "\n" not in str(caught.value)


def test_what_is_asked_back(tmp_path: Path) -> None:
    labels = {"channels": [{"label": "DAPI"}, {"label": "GFP"}, {"label": "Cy5"}]}
    write_zarr(tmp_path / "a.zarr", VALUES, "tczyx", omero=labels)
    with pytest.raises(UserError, match=r'holds 3 channels \(DAPI, GFP, Cy5\); .*images.channel = 0, or "rgb"'):
        listing(tmp_path)
    with pytest.raises(UserError, match="counted from 0, and none is 3"):
        listing(tmp_path, channel=3)
    with pytest.raises(UserError, match=r"has no level '1' \(it has: 0\)"):
        listing(tmp_path, channel=0, dataset="1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no folder that ends in .zarr"):
        listing(tmp_path, "empty")
    (tmp_path / "a.zarr.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="a zipped one is unpacked first"):
        listing(tmp_path, "a.zarr.zip")


def test_numbers_whose_range_is_not_known(tmp_path: Path) -> None:
    write_zarr(tmp_path / "i.zarr", VALUES[0, 0].astype(np.int32), "zyx")
    write_zarr(tmp_path / "f.zarr", np.where(VALUES[0, 0] > 30_000, np.nan, 0.5).astype(np.float32), "zyx")
    with pytest.raises(UserError, match=r"holds int32 values.*images.range = \[black, white\]"):
        listing(tmp_path, "i.zarr").header(0)
    found = listing(tmp_path, "i.zarr", range=(0.0, 60_000.0))
    np.testing.assert_allclose(found.load(0)[..., 0], VALUES[0, 0, 0] / 60_000, atol=1e-6)
    with pytest.raises(UserError, match="holds NaN"):
        listing(tmp_path, "f.zarr").load(0)


def test_a_folder_of_files_passes_them_over(tmp_path: Path) -> None:
    """Their chunks are no files of anybody's."""
    for number in range(2):
        write_zarr(tmp_path / f"{number}.zarr", VALUES[0, 0], "zyx", chunks=(1, 4, 4))
    with pytest.raises(UserError, match=r'2 other files; not read: 2 .zarr .*images.source = "ome-zarr"'):
        list_folder(Images(source="folder", val=1, test=1), tmp_path)
    write_image(tmp_path / "a.png", np.zeros((9, 9, 1), np.uint8))
    found = list_folder(Images(source="folder", val=1, test=1), tmp_path)
    assert found.names == ("a.png",) and found.passed_over[".zarr"][0] == 2


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zarr(tmp_path / "a.zarr", VALUES[0, 0], "zyx")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(UserError, match=r"needs the package zarr, .*pip install 'reconscale\[zarr\]'"):
        listing(tmp_path)


def test_planes_of_a_chunk_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_zarr(tmp_path / "a.zarr", VALUES[0, 0], "zyx", chunks=(4, 20, 24))
    opened = []
    monkeypatch.setattr(zarr, "open_array", lambda *a, real=zarr.open_array, **k: opened.append(a) or real(*a, **k))
    arrays._block.cache_clear()
    found = listing(tmp_path)
    for index in range(4):
        found.load(index)
    assert len(opened) == 1
