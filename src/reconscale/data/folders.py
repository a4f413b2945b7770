"""Images from the user's folders: which files there are, and those that hold images."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from reconscale.data.image_files import KINDS, SUFFIXES, read_header, read_image
from reconscale.data.listing import Listing, in_words, page_name
from reconscale.data.tiff_files import may_be_stack, tiff_pages
from reconscale.errors import UserError
from reconscale.machine import cores
from reconscale.study import Images

ZARR = ".zarr"
"""Folders with this ending are one image of OME-Zarr each."""
PassedOver = dict[str, tuple[int, str]]
"""Files that are not read: ending -> how many, and the name of the first."""


def list_folder(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The image files below ``images.folders``, except those below a test set.

    Every PNG, JPEG, TIFF, BMP and WebP file counts, at any depth, sorted by path; of a TIFF file of several pages every
    page is an image. Other files are counted and named, but for hidden ones. Files that lie in one of
    ``images.test_sets`` belong to that test set alone.

    Args:
        images: the options; ``folders``, ``test_sets``, ``unit``, ``counts`` and ``range`` are read.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; a place is missing, holds no image, leads out of the data folder, or is named twice.
    """
    root = data_folder(key, data)
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    prefix = len(os.path.join(root, ""))
    stamps: dict[str, str] = {}
    others: PassedOver = {}
    for place in images.folders:
        folder = place_below(root, place, key)
        found = _image_entries(folder, held_out - {folder}, key, others)
        here = [entry.path[prefix:].replace(os.sep, "/") for entry in found]
        if not ("".join(here).isprintable() and stamps.keys().isdisjoint(here)):
            for name in here:
                _checked_name(name, stamps, folder)
        stamps.update(zip(here, _stamps(found), strict=True))
    files = sorted(stamps)
    names, pages = with_pages(files, [root / name for name in files])
    limits = images.range
    return Listing(
        place=str(root),
        identity=["folder", 2, list(limits)] if limits else ["folder", 2],
        names=tuple(names),
        unit=images.unit,
        header=lambda index: read_header(root / pages[index][0], pages[index][1], limits),
        load=lambda index: read_image(root / pages[index][0], pages[index][1], limits),
        stamps=[stamps[name] for name, _ in pages],
        passed_over=others,
        remarks=_about_pages(images, pages),
    )


Pages = list[tuple[str, int | None]]
"""The file of every image, and which of its pages it is; none: the only one."""


def with_pages(names: Sequence[str], paths: Sequence[Path]) -> tuple[list[str], Pages]:
    """The names of all images in files, sorted, and where each of them is.

    Args:
        names: of the files.
        paths: where they are.
    """
    stacks = {name: path for name, path in zip(names, paths, strict=True) if name.lower().endswith((".tif", ".tiff"))}
    pages: dict[str, list[int]] = {}
    if stacks:
        with ThreadPoolExecutor(min(16, cores())) as pool:
            pages = {
                name: found for name, found in zip(stacks, pool.map(_pages, stacks.values()), strict=True) if found
            }
    if not pages:
        return list(names), [(name, None) for name in names]
    held: dict[str, tuple[str, int | None]] = {}
    for name in names:
        found = pages.get(name)
        held |= {page_name(name, page): (name, page) for page in found} if found else {name: (name, None)}
    return sorted(held), [held[name] for name in sorted(held)]


def _pages(path: Path) -> list[int]:
    """The pages of a stack; empty where there is one, or what there is cannot be told: reading it says why."""
    if not may_be_stack(path):
        return []
    try:
        found = tiff_pages(path)
    except MemoryError:
        raise
    except Exception:  # tifffile raises classes of every kind on damaged files
        return []
    return found if len(found) > 1 else []


def _about_pages(images: Images, pages: Pages) -> tuple[str, ...]:
    """What n counts where files hold several images."""
    files = {name for name, page in pages if page is not None}
    if not files or images.counts == "images":
        return ()
    held = sum(page is not None for _, page in pages)
    what = "files" if images.unit == "file" else "folders"
    return (f"{len(files)} files hold {held} pages, and n counts {what}: every page is an image, and the pages of a "
            'file stay on one side of the split; set images.counts = "images" to count pages',)  # fmt: skip


def _image_entries(folder: Path, held_out: set[Path], key: str, others: PassedOver) -> list[os.DirEntry[str]]:
    """The image files below a folder; none is refused. Other files are added to ``others``."""
    if not folder.is_dir():
        raise UserError(
            folder, "is not a folder", "images.folders names folders of images; for .npy use an array source"
        )
    found = _entries(folder, SUFFIXES, held_out, others)
    if not found:
        count, named = sum(count for count, _ in others.values()), f"; {in_words(others)}" * bool(others)
        remedy = 'set images.source = "ome-zarr"' if ZARR in others else f"check {key} and --data"
        raise UserError(folder, f"holds no {KINDS} ({count} other files{named})", remedy)
    return found


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, at any depth, sorted by path; hidden ones do not count.

    Raises:
        UserError: a folder cannot be read, or is a link.
    """
    return sorted(files_below(folder, SUFFIXES, set()))


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
        found = [where] if where.is_file() else files_below(where, ("",), held_out - {where})
        fitting = [path for path in found if path.name.lower().endswith(suffixes) or (also is not None and also(path))]
        found = [path for path in fitting if path not in held_out]
        if not found:
            raise UserError(where, f"holds no file that ends in {' or '.join(suffixes)}", f"check {key} and --data")
        add_files(files, found, where, root)
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


def files_below(
    folder: Path, suffixes: tuple[str, ...], held_out: set[Path], others: PassedOver | None = None
) -> list[Path]:
    """The files below a folder that end in one of ``suffixes``; others are added to ``others``.

    Raises:
        UserError: a folder cannot be read, or is a link.
    """
    return [Path(entry.path) for entry in _entries(folder, suffixes, held_out, others)]


def _pass_over(entries: Iterable[os.DirEntry[str]], others: PassedOver) -> None:
    for entry in entries:
        ending = PurePosixPath(entry.name).suffix.lower()
        ending = ending if ending.isprintable() and len(ending) <= 12 else ""
        count, name = others.get(ending, (0, entry.name))
        others[ending] = count + 1, name


def _entries(
    folder: Path, suffixes: tuple[str, ...], held_out: set[Path], others: PassedOver | None = None
) -> list[os.DirEntry[str]]:
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
            if entry.name.lower().endswith(ZARR):  # thousands of chunks, which are no files of their own
                if others is not None:
                    _pass_over([entry], others)
                continue
            if entry.is_symlink():
                raise UserError(
                    entry.path, "is a link to a folder", "name the real folder in images.folders, or remove the link"
                )
            deeper.append(entry.path)
        files = [entry for entry in here if not entry.is_dir()]
        found += [entry for entry in files if entry.name.lower().endswith(suffixes)]
        if others is not None:
            _pass_over((entry for entry in files if not entry.name.lower().endswith(suffixes)), others)
        waiting += reversed(deeper)
    return found


def _stamps(entries: list[os.DirEntry[str]]) -> list[str]:
    """Size and both times of change of every file, see :func:`stamp`."""
    try:
        return [f"{(s := entry.stat()).st_size} {s.st_mtime_ns} {s.st_ctime_ns}" for entry in entries]
    except OSError as error:
        raise UserError(error.filename, f"cannot be read ({error.strerror})", "repair or remove it") from error


def _unreadable(error: OSError) -> NoReturn:
    raise UserError(error.filename, f"cannot be read ({error.strerror})", "check its permissions") from error


def add_files(files: dict[str, Path], found: list[Path], place: Path, root: Path) -> None:
    """Add files by their names below the data folder.

    Raises:
        UserError: a name cannot be printed, or is there already.
    """
    for path in found:
        files[_checked_name(path.relative_to(root).as_posix(), files, place)] = path


def _checked_name(name: str, known: Container[str], place: Path) -> str:
    if not name.isprintable():
        raise UserError(repr(name), "has a name that cannot be printed", "rename it")
    if name in known:
        raise UserError("images.folders", f"'{name}' is named twice (again through {place})", "list every place once")
    return name


def stamp(name: str, path: Path) -> list[Any]:
    """Name, size and times of change of a file, in nanoseconds: what tells that it is still the same.

    The time of its content may be set by anybody: unpacked archives, ``rsync -t`` and ``cp -p`` set it, so that the
    same name, size and time may be another variant of a data set. The time of its status (``st_ctime``) cannot be set.

    Raises:
        UserError: it cannot be read.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "repair or remove it") from error
    return [name, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
