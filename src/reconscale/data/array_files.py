"""Images from the user's arrays: ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from reconscale.data.folders import PassedOver, add_files, data_folder, files_below, place_below, stamp
from reconscale.data.image_checks import Limits, say_range
from reconscale.data.image_files import Header, check_size, check_values
from reconscale.data.listing import Listing, in_words
from reconscale.data.store import SCALES
from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.study import Images

MOST_UNPACKED = 4 << 30
"""Bytes that the arrays of one .npz file may have in all."""
ARRAYS = (".npy", ".npz")
"""Files with these endings are taken for arrays."""


@dataclass(frozen=True)
class ArrayStack:
    """An array of images.

    Attributes:
        name: the file, and the array in it.
        header: of every image.
        count: how many.
        row: the pixels of one.
        axes: of the array, 3 or 4.
    """

    name: str
    header: Header
    count: int
    row: Callable[[int], np.ndarray]
    axes: int


def list_arrays(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The images in ``.npy`` and ``.npz`` files: every row of (N, H, W) or (N, H, W, C) is an image.

    Rows of ``.npy`` files are read one by one; a ``.npz`` file is held in memory while its images are packed.

    Args:
        images: the options; ``folders`` names array files, folders that hold them, or one array of a ``.npz`` file as
            ``file.npz/name``. ``unit = "folder"`` makes all rows of an array one unit.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; a place is missing, holds no array, leads out of the data folder, or is named twice;
            an array has another shape or type, or one that may mean two things.
    """
    root, limits = data_folder(key, data), images.range
    others: PassedOver = {}
    files, chosen = _array_files(images, root, key, others)
    stacks, stamps, remarks = _open_arrays(files, chosen, limits)
    names = [f"{stack.name}/{index:07d}" for stack in stacks for index in range(stack.count)]
    if not names:
        raise UserError(root, "the arrays hold no image", f"check {key} and --data")
    owner = np.repeat(np.arange(len(stacks)), [stack.count for stack in stacks])
    row = np.concatenate([np.arange(stack.count) for stack in stacks])
    order = sorted(range(len(names)), key=names.__getitem__)
    names, stamps = [names[i] for i in order], [stamps[i] for i in order]
    owner, row = owner[order], row[order]

    def load(index: int) -> np.ndarray:
        stack = stacks[owner[index]]
        image = stack.row(int(row[index])).reshape(stack.header.height, stack.header.width, stack.header.channels)
        return check_values(names[index], image.astype(image.dtype.newbyteorder("=")), limits)

    return Listing(
        place=str(root),
        identity=["array", list(limits)] if limits else ["array"],
        names=tuple(names),
        unit=images.unit,
        header=lambda index: check_size(names[index], stacks[owner[index]].header),
        load=load,
        stamps=stamps,
        passed_over=others,
        remarks=tuple(remarks),
    )


def _array_files(
    images: Images, root: Path, key: str, others: PassedOver
) -> tuple[dict[str, Path], dict[str, set[str]]]:
    """The array files of a study by their names, less those of its test sets; and the arrays that are named in some."""
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()
                if not _split(place)[1]}  # fmt: skip
    files: dict[str, Path] = {}
    chosen: dict[str, set[str]] = {}
    for place in images.folders:
        file, array = _split(place)
        where = place_below(root, file, key)
        name = where.relative_to(root).as_posix() if array else ""
        if array and name in chosen:  # another array of the same file
            chosen[name].add(array)
            continue
        chosen |= {name: {array}} if array else {}
        found = [where] if where.is_file() else files_below(where, ARRAYS, held_out, others)
        if not found or not found[0].name.lower().endswith(ARRAYS):
            more = f" ({in_words(others)})" if others else ""
            raise UserError(where, f"holds no .npy or .npz array{more}", f"check {key} and --data")
        add_files(files, [path for path in found if path not in held_out], where, root)
    return files, chosen


def _split(place: str) -> tuple[str, str]:
    """A place as a file and the array in it, which is empty where none is named."""
    at = place.lower().find(".npz/")
    return (place, "") if at < 0 else (place[: at + 4], place[at + 5 :])


def _open_arrays(
    files: dict[str, Path], chosen: dict[str, set[str]], limits: Limits
) -> tuple[list[ArrayStack], list[str], list[str]]:
    """The arrays in files, by the names of these, the stamp of every image in them, and what a user should know."""
    stacks: list[ArrayStack] = []
    stamps: list[str] = []
    remarks: list[str] = []
    for name, path in sorted(files.items()):
        changed = " ".join(str(part) for part in stamp(name, path)[1:])
        found = _stacks(name, path, changed, chosen.get(name), limits)
        if len(found) > 1 and name not in chosen:
            listed = ", ".join(f"{stack.name} ({stack.count})" for stack in found)
            remarks.append(f"{name} holds {len(found)} arrays, and the images of all of them are used: {listed}; name "
                           f'one in images.folders to use it alone, as "{found[0].name}"')  # fmt: skip
        stacks += found
        stamps += [changed] * sum(stack.count for stack in found)
    return stacks, stamps, remarks


def _stacks(name: str, path: Path, changed: str, chosen: set[str] | None, limits: Limits) -> list[ArrayStack]:
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                header = _stack_header(name, array, limits)
                return [
                    ArrayStack(name, header, len(array), lambda row: np.array(_mapped(path, changed)[row]), array.ndim)
                ]
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as opened:
                _refuse_bombs(path, opened.zip)
                wanted = sorted(opened.files if chosen is None else chosen)
                for key in wanted:
                    if key not in opened.files:
                        raise UserError(f"{name}/{key}", "is no array of this file",
                                        f"it has: {', '.join(opened.files)}")  # fmt: skip
                arrays = {key: opened[key] for key in wanted}
        several = len(arrays) > 1
        return [
            ArrayStack(f"{name}/{key}", _stack_header(f"{name}/{key}", array, limits, several), len(array),
                       array.__getitem__, array.ndim)
            for key, array in arrays.items()
        ]  # fmt: skip
    except (MemoryError, UserError):
        raise
    except Exception as error:  # numpy and zipfile raise classes of every kind on damaged files
        reason = "it holds Python objects" if "bject" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise UserError(path, f"cannot be read ({reason})", "save numbers with numpy.save or numpy.savez") from error


def open_stacks(path: Path) -> list[ArrayStack]:
    """The arrays of a file, whatever their numbers mean.

    Raises:
        UserError: it cannot be read, or an array has a shape that images do not have.
    """
    return _stacks(path.name, path, " ".join(str(part) for part in stamp(path.name, path)[1:]), None, (0.0, 1.0))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write one array as ``.npy``, or arrays by their names as ``.npz``, as the ending says."""
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, next(iter(arrays.values())))
    else:
        with ZipFile(buffer, "w") as archive:  # not numpy.savez, which has names of its own
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    write_atomic(path, buffer.getvalue())


def _refuse_bombs(path: Path, archive: ZipFile) -> None:
    """Archives are unpacked in memory: refuse what would not fit there.

    Raises:
        UserError: it holds more than ``MOST_UNPACKED`` bytes.
    """
    size = sum(info.file_size for info in archive.infolist())
    if size > MOST_UNPACKED:
        raise UserError(path, f"unpacks to {size / 1e9:.0f} GB, and at most {MOST_UNPACKED / 1e9:.0f} GB are unpacked",
                      "save its arrays as .npy files, which are read row by row")  # fmt: skip


@lru_cache(maxsize=64)  # not more: every memory-mapped file counts as an open one, and there may be thousands
def _mapped(path: Path, changed: str) -> np.ndarray:
    del changed  # decides, with the path, whether the file is still the same
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _stack_header(name: str, array: np.ndarray, limits: Limits, several: bool = False) -> Header:
    """The header of every image of an array.

    Raises:
        UserError: the array has another shape or type, or its shape may mean images or colours.
    """
    other = f', or name the array that counts in images.folders, as "{name}"' if several else ""
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise UserError(
            name, f"has the shape {array.shape}", f"expected (N, H, W), (N, H, W, 1) or (N, H, W, 3){other}"
        )
    if array.ndim == 3 and (array.shape[0] == 3 or array.shape[2] == 3) and min(array.shape[:2]) > 0:
        found = f"has the shape {array.shape}, and 3 may count images or colours"
        remedy = "save one RGB image as (1, H, W, 3), and 3 grey images as (3, H, W, 1)"
        raise UserError(name, found, remedy + other)
    dtype = "float32" if array.dtype.kind == "f" else array.dtype.newbyteorder("=").name
    if limits is not None and array.dtype.kind in "iuf":
        dtype = "float32"
    if dtype not in SCALES:
        known = f", or {say_range('the same for all')}" if array.dtype.kind in "iu" else ""
        raise UserError(
            name, f"has the type {array.dtype}", f"expected uint8, uint16, or floating point in [0, 1]{known}{other}"
        )
    return Header(array.shape[1], array.shape[2], 1 if array.ndim == 3 else array.shape[3], dtype)
