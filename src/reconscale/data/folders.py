"""Images from the user's folders: image files and arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn
from zipfile import ZipFile

import numpy as np

from reconscale.data.image_files import SUFFIXES, Header, check_size, check_values, read_header, read_image
from reconscale.data.listing import Listing
from reconscale.data.store import SCALES
from reconscale.errors import UserError
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
    """

    name: str
    header: Header
    count: int
    row: Callable[[int], np.ndarray]


def list_folder(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The image files below ``images.folders``, except those below a test set.

    Every PNG, JPEG and TIFF file counts, at any depth, sorted by path; other and hidden files do not. Files that lie
    in one of ``images.test_sets`` belong to that test set alone.

    Args:
        images: the options; ``folders``, ``test_sets`` and ``unit`` are read.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; a place is missing, holds no image, leads out of the data folder, or is named twice.
    """
    root = data_folder(key, data)
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    prefix = len(os.path.join(root, ""))
    stamps: dict[str, str] = {}
    for place in images.folders:
        folder = place_below(root, place, key)
        found = _image_entries(folder, held_out - {folder}, key)
        here = [entry.path[prefix:].replace(os.sep, "/") for entry in found]
        if not ("".join(here).isprintable() and stamps.keys().isdisjoint(here)):
            for name in here:
                _checked_name(name, stamps, folder)
        stamps.update(zip(here, _stamps(found), strict=True))
    names = tuple(sorted(stamps))
    return Listing(
        place=str(root),
        identity=["folder"],
        names=names,
        unit=images.unit,
        header=lambda index: read_header(root / names[index]),
        load=lambda index: read_image(root / names[index]),
        stamps=[stamps[name] for name in names],
    )


def _image_entries(folder: Path, held_out: set[Path], key: str) -> list[os.DirEntry[str]]:
    """The image files below a folder; none is refused."""
    if not folder.is_dir():
        raise UserError(
            folder, "is not a folder", "images.folders names folders of images; for .npy use an array source"
        )
    found = _entries(folder, SUFFIXES, held_out)
    if not found:
        count = sum(len(names) for _, _, names in os.walk(folder))
        raise UserError(folder, f"holds no PNG, JPEG or TIFF image ({count} other files)", f"check {key} and --data")
    return found


def list_arrays(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The images in ``.npy`` and ``.npz`` files: every row of (N, H, W) or (N, H, W, C) is an image.

    Rows of ``.npy`` files are read one by one; a ``.npz`` file is held in memory while its images are packed.

    Args:
        images: the options; ``folders`` names array files, or folders that hold them. ``unit = "folder"`` makes all
            rows of an array one unit.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; a place is missing, holds no array, leads out of the data folder, or is named twice;
            an array has another shape or type.
    """
    root = data_folder(key, data)
    stacks, stamps = _open_arrays(_array_files(images, root, key))
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
        return check_values(names[index], image.astype(image.dtype.newbyteorder("=")))

    return Listing(
        place=str(root),
        identity=["array"],
        names=tuple(names),
        unit=images.unit,
        header=lambda index: check_size(names[index], stacks[owner[index]].header),
        load=load,
        stamps=stamps,
    )


def _array_files(images: Images, root: Path, key: str) -> dict[str, Path]:
    """The array files of a study by their names, less those of its test sets."""
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    files: dict[str, Path] = {}
    for place in images.folders:
        where = place_below(root, place, key)
        found = [where] if where.is_file() else _files(where, ARRAYS, held_out)
        if not found or not found[0].name.lower().endswith(ARRAYS):
            raise UserError(where, "holds no .npy or .npz array", f"check {key} and --data")
        _add(files, [path for path in found if path not in held_out], where, root)
    return files


def _open_arrays(files: dict[str, Path]) -> tuple[list[ArrayStack], list[str]]:
    """The arrays in files, by the names of these, and the stamp of every image in them."""
    stacks: list[ArrayStack] = []
    stamps: list[str] = []
    for name, path in sorted(files.items()):
        changed = " ".join(str(part) for part in stamp(name, path)[1:])
        found = _stacks(name, path, changed)
        stacks += found
        stamps += [changed] * sum(stack.count for stack in found)
    return stacks, stamps


def image_files(folder: Path) -> list[Path]:
    """Every PNG, JPEG and TIFF file below a folder, at any depth, sorted by path; hidden ones do not count.

    Raises:
        UserError: a folder cannot be read, or is a link.
    """
    return sorted(_files(folder, SUFFIXES, set()))


def files_of(
    images: Images,
    root: Path,
    suffixes: tuple[str, ...],
    key: str,
    *,
    also: Callable[[Path], bool] | None = None,
) -> list[tuple[str, Path]]:
    """Name and path of every file with one of ``suffixes`` in or below ``images.folders``, sorted by name.

    Files below one of ``images.test_sets`` belong to that test set alone.

    Args:
        images: the options.
        root: the data folder.
        suffixes: endings in lower case, with their dots.
        key: what messages call ``images.folders``.
        also: whether a file that ends in none of them counts, too; none: it does not.

    Raises:
        UserError: a place is missing, holds no such file, leads out of the data folder, or is named twice.
    """
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    files: dict[str, Path] = {}
    for place in images.folders:
        where = place_below(root, place, key)
        found = [where] if where.is_file() else _files(where, ("",), held_out - {where})
        fitting = [path for path in found if path.name.lower().endswith(suffixes) or (also is not None and also(path))]
        found = [path for path in fitting if path not in held_out]
        if not found:
            raise UserError(where, f"holds no file that ends in {' or '.join(suffixes)}", f"check {key} and --data")
        _add(files, found, where, root)
    return sorted(files.items())


def data_folder(key: str, data: Path | None) -> Path:
    """The resolved folder that the user's images are below.

    Args:
        key: what asks for it, for messages.
        data: as given.

    Raises:
        UserError: it was not given, or is not a folder.
    """
    if data is None:
        raise UserError(key, "needs a data folder", "give it with --data or set RECONSCALE_DATA")
    root = data.expanduser().resolve()
    if not root.is_dir():
        raise UserError(data, "is not a folder", "give an existing one with --data or RECONSCALE_DATA")
    return root


def place_below(root: Path, place: str, key: str) -> Path:
    """The resolved path of a place that a study file names.

    Raises:
        UserError: it is absolute, climbs with ``..``, is or passes through a link that leads out of ``root``, or does
            not exist.
    """
    remedy = "name places below the data folder, and give that with --data"
    if Path(place).is_absolute() or place.startswith("~") or ".." in PurePosixPath(place.replace("\\", "/")).parts:
        raise UserError(key, f"found '{place}', which is not below the data folder", remedy)
    path = (root / place).resolve()
    if not path.is_relative_to(root):
        raise UserError(key, f"found '{place}', a link that leads out of the data folder", remedy)
    if not path.exists():
        raise UserError(key, f"found '{place}', which does not exist below {root}", "check the name and --data")
    return path


def _files(folder: Path, suffixes: tuple[str, ...], held_out: set[Path]) -> list[Path]:
    return [Path(entry.path) for entry in _entries(folder, suffixes, held_out)]


def _entries(folder: Path, suffixes: tuple[str, ...], held_out: set[Path]) -> list[os.DirEntry[str]]:
    """The files below a folder that end in one of ``suffixes``: a folder's own first, both sorted by name."""
    found: list[os.DirEntry[str]] = []
    waiting, left_out = [str(folder)], {str(path) for path in held_out}
    while waiting:
        place, deeper = waiting.pop(), []
        try:
            with os.scandir(place) as entries:
                here = sorted((entry for entry in entries if entry.name[0] != "."), key=attrgetter("name"))
        except OSError as error:
            _unreadable(error)
        for entry in [entry for entry in here if entry.is_dir()]:
            if entry.path in left_out:
                continue
            if entry.is_symlink():
                raise UserError(
                    entry.path, "is a link to a folder", "name the real folder in images.folders, or remove the link"
                )
            deeper.append(entry.path)
        found += [entry for entry in here if entry.name.lower().endswith(suffixes) and not entry.is_dir()]
        waiting += reversed(deeper)
    return found


def _stamps(entries: list[os.DirEntry[str]]) -> list[str]:
    """Size and time of change of every file, to the nanosecond."""
    try:
        return [f"{(status := entry.stat()).st_size} {status.st_mtime_ns}" for entry in entries]
    except OSError as error:
        raise UserError(error.filename, f"cannot be read ({error.strerror})", "repair or remove it") from error


def _unreadable(error: OSError) -> NoReturn:
    raise UserError(error.filename, f"cannot be read ({error.strerror})", "check its permissions") from error


def _add(files: dict[str, Path], found: list[Path], place: Path, root: Path) -> None:
    for path in found:
        files[_checked_name(path.relative_to(root).as_posix(), files, place)] = path


def _checked_name(name: str, known: Container[str], place: Path) -> str:
    if not name.isprintable():
        raise UserError(repr(name), "has a name that cannot be printed", "rename it")
    if name in known:
        raise UserError("images.folders", f"'{name}' is named twice (again through {place})", "list every place once")
    return name


def stamp(name: str, path: Path) -> list[Any]:
    """Name, size and time of change of a file: what tells that it is still the same.

    Raises:
        UserError: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "repair or remove it") from error
    return [name, status.st_size, round(status.st_mtime * 1000)]


def _stacks(name: str, path: Path, changed: str) -> list[ArrayStack]:
    try:
        with path.open("rb") as stream:
            if stream.read(4) != b"PK\x03\x04":
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                return [
                    ArrayStack(
                        name, _stack_header(name, array), len(array), lambda row: np.array(_mapped(path, changed)[row])
                    )
                ]
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as opened:
                _refuse_bombs(path, opened.zip)
                arrays = {key: opened[key] for key in sorted(opened.files)}
        return [
            ArrayStack(f"{name}/{key}", _stack_header(f"{name}/{key}", array), len(array), array.__getitem__)
            for key, array in arrays.items()
        ]
    except (MemoryError, UserError):
        raise
    except Exception as error:  # numpy and zipfile raise classes of every kind on damaged files
        reason = "it holds Python objects" if "bject" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise UserError(path, f"cannot be read ({reason})", "save numbers with numpy.save or numpy.savez") from error


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


def _stack_header(name: str, array: np.ndarray) -> Header:
    """The header of every image of an array.

    Raises:
        UserError: the array has another shape or type.
    """
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise UserError(name, f"has the shape {array.shape}", "expected (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    dtype = "float32" if array.dtype.kind == "f" else array.dtype.newbyteorder("=").name
    if dtype not in SCALES:
        raise UserError(name, f"has the type {array.dtype}", "expected uint8, uint16, or floating point in [0, 1]")
    return Header(array.shape[1], array.shape[2], 1 if array.ndim == 3 else array.shape[3], dtype)
