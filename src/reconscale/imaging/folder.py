"""Images that the user has: folders of image files, and arrays."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from reconscale.imaging.decode import SUFFIXES, Header, checked_size, checked_values, read_header, read_image
from reconscale.imaging.listing import Listing
from reconscale.mistakes import Mistake
from reconscale.study import Images


def list_folder(images: Images, data: Path | None) -> Listing:
    """The image files below ``images.folders``, except those below a test set.

    Every PNG, JPEG and TIFF file counts, at any depth, sorted by path; other and hidden files do not. Files that lie
    in one of ``images.test_sets`` belong to that test set alone.

    Args:
        images: the options; ``folders``, ``test_sets`` and ``unit`` are read.
        data: the folder that all places are below.

    Raises:
        Mistake: no data folder; a place is missing, holds no image, leads out of the data folder, or is named twice.
    """
    root = data_folder(images, data)
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    files: dict[str, Path] = {}
    for place in images.folders:
        folder = place_below(root, place, "images.folders")
        if not folder.is_dir():
            raise Mistake(
                folder, "is not a folder", "images.folders names folders of images; for .npy use an array source"
            )
        found = _files(folder, SUFFIXES, held_out - {folder})
        if not found:
            count = sum(len(names) for _, _, names in os.walk(folder))
            raise Mistake(
                folder, f"holds no PNG, JPEG or TIFF image ({count} other files)", "check images.folders and --data"
            )
        _add(files, found, folder, root)
    names = tuple(sorted(files))
    paths = [files[name] for name in names]
    return Listing(
        place=str(root),
        identity=["folder", [_stamp(name, files[name]) for name in names]],
        names=names,
        unit=images.unit,
        header=lambda index: read_header(paths[index]),
        load=lambda index: read_image(paths[index]),
    )


def list_arrays(images: Images, data: Path | None) -> Listing:
    """The images in ``.npy`` and ``.npz`` files: every row of (N, H, W) or (N, H, W, C) is an image.

    Args:
        images: the options; ``folders`` names array files, or folders that hold them. ``unit = "folder"`` makes all
            rows of an array one unit.
        data: the folder that all places are below.

    Raises:
        Mistake: no data folder; a place is missing, holds no array, leads out of the data folder, or is named twice;
            an array has another shape or type.
    """
    root = data_folder(images, data)
    files: dict[str, Path] = {}
    for place in images.folders:
        where = place_below(root, place, "images.folders")
        held_out = {place_below(root, p, f"images.test_sets.{n}") for n, p in images.test_sets.items()} - {where}
        found = [where] if where.is_file() else _files(where, (".npy", ".npz"), held_out)
        if not found or found[0].suffix.lower() not in (".npy", ".npz"):
            raise Mistake(where, "holds no .npy or .npz array", "check images.folders and --data")
        _add(files, found, where, root)
    rows: list[tuple[str, np.ndarray, int]] = []
    for name in sorted(files):
        for stack, array in _stacks(name, files[name]):
            rows += [(f"{stack}/{index:07d}", array, index) for index in range(len(array))]
    if not rows:
        raise Mistake(root, "the arrays hold no image", "check images.folders and --data")

    def load(index: int) -> np.ndarray:
        name, array, row = rows[index]
        return checked_values(
            name, np.array(array[row], order="C").reshape(_header(array).height, _header(array).width, -1)
        )

    return Listing(
        place=str(root),
        identity=["array", [_stamp(name, files[name]) for name in sorted(files)]],
        names=tuple(name for name, _, _ in rows),
        unit=images.unit,
        header=lambda index: checked_size(rows[index][0], _header(rows[index][1])),
        load=load,
    )


def data_folder(images: Images, data: Path | None) -> Path:
    """The resolved folder that the user's images are below.

    Raises:
        Mistake: it was not given, or is not a folder.
    """
    if data is None:
        found = f"source = '{images.source}' needs a data folder" if not images.test_sets else "a data folder is needed"
        raise Mistake("images", found, "give it with --data or set RECONSCALE_DATA")
    root = data.expanduser().resolve()
    if not root.is_dir():
        raise Mistake(data, "is not a folder", "give an existing one with --data or RECONSCALE_DATA")
    return root


def place_below(root: Path, place: str, key: str) -> Path:
    """The resolved path of a place that a study file names.

    Raises:
        Mistake: it is absolute, climbs with ``..``, is or passes through a link that leads out of ``root``, or does
            not exist.
    """
    remedy = "name places below the data folder, and give that with --data"
    if Path(place).is_absolute() or place.startswith("~") or ".." in PurePosixPath(place.replace("\\", "/")).parts:
        raise Mistake(key, f"found '{place}', which is not below the data folder", remedy)
    path = (root / place).resolve()
    if not path.is_relative_to(root):
        raise Mistake(key, f"found '{place}', a link that leads out of the data folder", remedy)
    if not path.exists():
        raise Mistake(key, f"found '{place}', which does not exist below {root}", "check the name and --data")
    return path


def _files(folder: Path, suffixes: tuple[str, ...], held_out: set[Path]) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and here / name not in held_out)
        linked = next((name for name in folders if (here / name).is_symlink()), None)
        if linked is not None:
            raise Mistake(
                here / linked, "is a link to a folder", "name the real folder in images.folders, or remove the link"
            )
        found += [here / name for name in names if not name.startswith(".") and name.lower().endswith(suffixes)]
    return found


def _add(files: dict[str, Path], found: list[Path], place: Path, root: Path) -> None:
    for path in found:
        name = path.relative_to(root).as_posix()
        if name in files:
            raise Mistake("images.folders", f"'{name}' is named twice (again through {place})", "list every place once")
        files[name] = path


def _stamp(name: str, path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError as error:
        raise Mistake(path, f"cannot be read ({error.strerror})", "repair or remove it") from error
    return [name, status.st_size, round(status.st_mtime * 1000)]


def _stacks(name: str, path: Path) -> list[tuple[str, np.ndarray]]:
    try:
        opened = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(opened, np.ndarray):
            stacks = [(name, opened)]
        else:
            with opened:
                stacks = [(f"{name}/{key}", opened[key]) for key in sorted(opened.files)]
    except (MemoryError, Mistake):
        raise
    except Exception as error:  # numpy and zipfile raise classes of every kind on damaged files
        reason = "it holds Python objects" if "bject" in str(error) else str(error).split("\n")[0].rstrip(".")
        raise Mistake(path, f"cannot be read ({reason})", "save numbers with numpy.save or numpy.savez") from error
    for stack, array in stacks:
        _check_stack(stack, array)
    return stacks


def _check_stack(name: str, array: np.ndarray) -> None:
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise Mistake(name, f"has the shape {array.shape}", "expected (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    if array.dtype.kind != "f" and array.dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise Mistake(name, f"has the type {array.dtype}", "expected uint8, uint16, or floating point in [0, 1]")


def _header(array: np.ndarray) -> Header:
    dtype = "float32" if array.dtype.kind == "f" else array.dtype.newbyteorder("=").name
    return Header(array.shape[1], array.shape[2], 1 if array.ndim == 3 else array.shape[3], dtype)
