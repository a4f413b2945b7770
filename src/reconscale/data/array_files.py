"""Images from the user's arrays: ``.npy``, ``.npz`` and HDF5 files."""

from __future__ import annotations

import io
import re
from functools import lru_cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from reconscale.data.array_stacks import ArrayStack, stack_header
from reconscale.data.folders import PassedOver, add_files, data_folder, files_below, place_below, stamp
from reconscale.data.hdf5_images import HDF5, hdf5_stacks, write_hdf5
from reconscale.data.image_checks import Limits, check_size, check_values
from reconscale.data.listing import Listing, in_words
from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.study import Images

MOST_UNPACKED = 4 << 30
"""Bytes that the arrays of one .npz file may have in all."""
ARRAYS = (".npy", ".npz", *HDF5)
"""Files with these endings are taken for arrays."""
_NAMED = (".npz", *HDF5)
"""Those whose arrays have names."""
_INSIDE = re.compile(r"\.(?:npz|h5|hdf5)/", re.IGNORECASE)


def list_arrays(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The images in ``.npy``, ``.npz`` and HDF5 files: every row of (N, H, W) or (N, H, W, C) is an image.

    Rows of ``.npy`` and HDF5 files are read as they are needed; a ``.npz`` file is held in memory while its images are
    packed. HDF5 files in folders of other arrays are passed over, unless ``dataset`` is given.

    Args:
        images: the options; ``folders`` names array files, folders that hold them, or one array of a file as
            ``file.npz/name`` or ``file.h5/group/name``; ``dataset`` the array to read in every file that has names.
            ``unit = "folder"`` makes all rows of an array one unit.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; a place is missing, holds no array, leads out of the data folder, or is named twice;
            an array has another shape or type, or one that may mean two things.
    """
    root, limits = data_folder(key, data), images.range
    if key == "images.folders":
        _check_dataset_is_read(images)
    others: PassedOver = {}
    files, chosen = _array_files(images, root, key, others)
    stacks, stamps, remarks = _open_arrays(files, chosen, images)
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
                if not in_array_file(place)[1]}  # fmt: skip
    files: dict[str, Path] = {}
    chosen: dict[str, set[str]] = {}
    for place in images.folders:
        file, array = in_array_file(place)
        where = place_below(root, file, key)
        name = where.relative_to(root).as_posix() if array else ""
        if array and name in chosen:  # another array of the same file
            chosen[name].add(array)
            continue
        chosen |= {name: {array}} if array else {}
        found = [where] if where.is_file() else _in_folder(where, images.dataset, held_out, others)
        if not found or not found[0].name.lower().endswith(ARRAYS):
            more = f" ({in_words(others)})" if others else ""
            kinds = "named array (.npz, .h5)" if images.dataset else ".npy, .npz or HDF5 array"
            raise UserError(where, f"holds no {kinds}{more}", f"check {key} and --data")
        add_files(files, [path for path in found if path not in held_out], where, root)
    return files, chosen


def _check_dataset_is_read(images: Images) -> None:
    """Refuse ``dataset`` where every place names an array of its own, so that nothing would read it."""
    named = [(place, in_array_file(place)[1]) for place in (*images.folders, *images.test_sets.values())]
    if images.dataset is None or not all(array for _, array in named):
        return
    for place, array in named:
        if array != images.dataset:
            found = f"is '{images.dataset}', but '{place}' names the array '{array}'"
            raise UserError("images.dataset", found, "leave dataset out, or name the file alone")


def _in_folder(folder: Path, dataset: str | None, held_out: set[Path], others: PassedOver) -> list[Path]:
    """The array files below a folder: HDF5 files only where there are no others, or ``dataset`` names what to read."""
    if dataset is not None:
        return files_below(folder, _NAMED, held_out, others)
    return files_below(folder, (".npy", ".npz"), held_out, others) or files_below(folder, HDF5, held_out)


def in_array_file(place: str) -> tuple[str, str]:
    """A place as a file and the array in it, which is empty where none is named.

    >>> in_array_file("a/b.npz/x"), in_array_file("b.h5/raw/images"), in_array_file("a.npy")
    (('a/b.npz', 'x'), ('b.h5', 'raw/images'), ('a.npy', ''))
    """
    found = _INSIDE.search(place)
    return (place[: found.end() - 1], place[found.end() :]) if found else (place, "")


def _open_arrays(
    files: dict[str, Path], chosen: dict[str, set[str]], images: Images
) -> tuple[list[ArrayStack], list[str], list[str]]:
    """The arrays in files, by the names of these, the stamp of every image in them, and what a user should know."""
    stacks: list[ArrayStack] = []
    stamps: list[str] = []
    remarks: list[str] = []
    for name, path in sorted(files.items()):
        changed = " ".join(str(part) for part in stamp(name, path)[1:])
        named = chosen.get(name) or ({images.dataset} if images.dataset else None)
        found = _stacks(name, path, changed, named, images.range)
        if len(found) > 1 and named is None:
            listed = ", ".join(f"{stack.name} ({stack.count})" for stack in found)
            remarks.append(f"{name} holds {len(found)} arrays, and the images of all of them are used: {listed}; name "
                           f'one in images.folders to use it alone, as "{found[0].name}"')  # fmt: skip
        stacks += found
        stamps += [changed] * sum(stack.count for stack in found)
    return stacks, stamps, remarks


def _stacks(name: str, path: Path, changed: str, chosen: set[str] | None, limits: Limits) -> list[ArrayStack]:
    if path.name.lower().endswith(HDF5):
        wanted_here = [None] if chosen is None else sorted(chosen)
        return [stack for key in wanted_here for stack in hdf5_stacks(name, path, changed, key, limits)]
    if chosen is not None and path.name.lower().endswith(".npy"):
        raise UserError(path, "holds one array, which has no name", "leave images.dataset out, or name other files")
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                header = stack_header(name, array, limits)
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
            ArrayStack(f"{name}/{key}", stack_header(f"{name}/{key}", array, limits, several), len(array),
                       array.__getitem__, array.ndim)
            for key, array in arrays.items()
        ]  # fmt: skip
    except (MemoryError, UserError):
        raise
    except Exception as error:  # numpy and zipfile raise classes of every kind on damaged files
        reason = "it holds Python objects" if "bject" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise UserError(path, f"cannot be read ({reason})", "save numbers with numpy.save or numpy.savez") from error


def open_stacks(path: Path, dataset: str | None = None) -> list[ArrayStack]:
    """The arrays of a file, whatever their numbers mean.

    Args:
        path: the file.
        dataset: the array to read in a file that has names; none: all of ``.npz``, the only one of HDF5.

    Raises:
        UserError: it cannot be read, or an array has a shape that images do not have.
    """
    chosen = {dataset} if dataset is not None and path.name.lower().endswith(_NAMED) else None
    return _stacks(path.name, path, " ".join(str(part) for part in stamp(path.name, path)[1:]), chosen, (0.0, 1.0))


def write_arrays(path: Path, arrays: dict[str, np.ndarray], like: Path) -> list[str]:
    """Write one array as ``.npy``, or arrays by their names as ``.npz`` or HDF5, as the ending says.

    Args:
        path: the file to write.
        arrays: by their names.
        like: the file that they come from: of HDF5, attributes are kept.

    Returns:
        What is not kept, one sentence each.
    """
    if path.suffix.lower() in HDF5:
        return write_hdf5(path, arrays, like)
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, next(iter(arrays.values())))
    else:
        with ZipFile(buffer, "w") as archive:  # not numpy.savez, which has names of its own
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    write_atomic(path, buffer.getvalue())
    return []


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
