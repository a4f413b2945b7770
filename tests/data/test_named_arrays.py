"""Arrays that have names in their files, HDF5 and .npz: which are read, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from reconscale.data import hdf5_images
from reconscale.data.array_files import list_arrays
from reconscale.data.listing import Listing
from reconscale.errors import UserError
from reconscale.study import Images

from .conftest import picture

STACK = np.stack([picture(i, 20, 24, 1)[..., 0] for i in range(7)])


def listing(root: Path, *folders: str, **options: Any) -> Listing:
    return list_arrays(Images(source="array", folders=folders or (".",), val=1, test=1, **options), root)


@pytest.mark.parametrize("how", [{}, {"chunks": (3, 20, 24), "compression": "gzip"}, {"chunks": (1, 8, 8)}], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<f8"])
def test_rows_are_those_of_the_data_set(tmp_path: Path, how: dict[str, Any], dtype: str) -> None:
    stack = STACK / 255 if "f" in dtype else STACK.astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("exp/raw", data=stack.astype(dtype), **how)
        file["times"] = np.arange(7)
    found = listing(tmp_path)
    assert found.names == tuple(f"a.h5/exp/raw/{k:07d}" for k in range(7))
    assert found.header(0).dtype == {"uint8": "uint8", ">u2": "uint16", "<f8": "float32"}[dtype]
    for index in (6, 0, 3):
        np.testing.assert_array_equal(found.load(index)[..., 0], stack[index].astype(found.header(0).dtype))


def test_a_data_set_is_named(tmp_path: Path) -> None:
    """By ``dataset`` in all files, or by the place for one; .npz likewise."""
    for number in range(2):
        with h5py.File(tmp_path / f"{number}.hdf5", "w") as file:
            file["raw"], file["other"] = STACK, STACK[:3, :, :16]
    np.savez(tmp_path / "c.npz", raw=STACK, other=STACK[:4])
    np.save(tmp_path / "d.npy", STACK)
    both = listing(tmp_path, dataset="raw")
    assert {name.rpartition("/")[0] for name in both.names} == {"0.hdf5/raw", "1.hdf5/raw", "c.npz/raw"}
    assert len(listing(tmp_path, "0.hdf5/raw", "c.npz/other").names) == 11
    assert {name.partition(".")[2][:3] for name in listing(tmp_path).names} == {
        "npz",
        "npy",
    }  # as before there was HDF5


def test_several_data_sets_are_asked_about(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["mask"], file["also"] = STACK, STACK > 100, STACK[:2]
    with pytest.raises(UserError, match=r'2 data sets that may be images: also 2 x 20 x 24, raw 7 x 20 x 24; .*"also"'):
        listing(tmp_path)
    with pytest.raises(UserError, match=r"has no data set 'rwa' .*did you mean 'raw'"):
        listing(tmp_path, dataset="rwa")
    with pytest.raises(UserError, match=r"raw/x"):
        listing(tmp_path, dataset="raw/x")


def external(file: Any) -> None:
    file["raw"] = h5py.ExternalLink("/etc/passwd.h5", "raw")


def never_written(file: Any) -> None:
    file.create_dataset("raw", (7, 20, 24), "u1", chunks=(1, 20, 24))


BAD: dict[str, tuple[Callable[[Any], object], dict[str, Any], str]] = {
    "a group": (lambda file: file.create_group("raw"), {"dataset": "raw"}, "holds a group 'raw'"),
    "another file": (external, {"dataset": "raw"}, "whose data lie in another file"),
    "never written": (never_written, {}, "holds 'raw', which was never written"),
    "complex": (lambda file: file.create_dataset("raw", data=STACK + 1j), {"dataset": "raw"}, "the type complex128"),
    "texts": (lambda file: file.create_dataset("raw", data=[["a"]]), {"dataset": "raw"}, r"has the shape \(1, 1\)"),
    "nothing": (lambda file: None, {}, r"no data set of the shape of images \(it has: nothing\)"),
    "an empty one": (lambda file: file.create_dataset("raw", dtype="u1"), {"dataset": "raw"}, "raw: is empty"),
    "one number": (lambda file: file.create_dataset("raw", data=3), {}, r"of the shape of images \(it has: raw"),
    "NaN": (lambda file: file.create_dataset("raw", data=STACK * np.nan), {}, "holds NaN"),
    "whole numbers": (lambda file: file.create_dataset("raw", data=STACK.astype("i8")), {}, "has the type int64"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    write, options, message = BAD[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        write(file)
    with pytest.raises(UserError, match=message) as caught:
        listing(tmp_path, **options).load(0)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = np.tile(STACK, (50, 1, 1))
    data = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"a.h5: cannot be read as HDF5"):
        listing(tmp_path)
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(UserError, match=r"a.h5: cannot be read as HDF5"):
        listing(tmp_path)


def test_rows_of_one_chunk_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("raw", data=STACK, chunks=(7, 20, 24), compression="gzip")
    found = listing(tmp_path)
    hdf5_images._rows.cache_clear()
    for index in range(7):
        found.load(index)
    assert hdf5_images._rows.cache_info().misses == 1


def test_a_data_set_beside_another_in_the_place_is_refused(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["x"], file["y"] = STACK, STACK[:4]
    with pytest.raises(UserError, match=r"images.dataset: is 'y', but 'a.h5/x' names the array 'x'; leave dataset out"):
        listing(tmp_path, "a.h5/x", dataset="y")
    assert len(listing(tmp_path, "a.h5/x", dataset="x").names) == 7
    assert len(listing(tmp_path, "a.h5/x", "b.h5", dataset="y").names) == 11, "the place is for one file"
