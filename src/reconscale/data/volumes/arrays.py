"""Arrays in .npy, HDF5 and MATLAB files: their headers, and parts of their values. Nothing is unpickled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.volumes.scan import DEFLATE, first_line, require_file
from reconscale.errors import UserError, suggest

HDF5 = (".h5", ".hdf5")
MATLAB = (".mat",)
PARTS = ({"real", "imag"}, {"r", "i"}, {"re", "im"})
"""Names of the two fields of a compound type that holds complex numbers; MATLAB writes ``real`` and ``imag``."""
MOST_BYTES = 4 << 30
"""Bytes that a variable of a MATLAB file before version 7.3 may have: it is read as a whole."""
INTERNAL = ("#refs#", "#subsystem#")
"""What MATLAB keeps in its files for itself."""


@dataclass(frozen=True)
class ArrayHeader:
    """An array in a file, before its values are read.

    Attributes:
        key: its name in the file; empty for .npy.
        shape: as MATLAB's ``size`` shows it for MATLAB files, else as numpy does.
        dtype: of its numbers; complex where a compound type holds real and imaginary parts.
        stored: the type in the file.
        reverse: whether HDF5 has its axes in the reverse order of ``shape``: MATLAB writes columns first.
        offset: where its values begin in the file; none where they are compressed, or in parts.
    """

    key: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    reverse: bool = False
    offset: int | None = None


def opened_array(path: Path) -> Any:
    """A .npy file, memory-mapped.

    Raises:
        UserError: it is damaged, or holds Python objects.
    """
    try:
        array = np.load(require_file(path), mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it is a .npz archive")
        return array
    except UserError:
        raise
    except Exception as error:  # numpy raises classes of every kind on damaged files
        reason = "it holds Python objects" if "bject" in str(error) else first_line(error)
        raise UserError(path, f"cannot be read ({reason})", "save numbers with numpy.save") from error


def number_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type of the numbers of a stored type: complex for a compound of real and imaginary parts, else itself."""
    if not _parts(stored):
        return stored
    assert stored.names is not None
    double = any(stored[name].itemsize > 4 for name in stored.names)
    return np.dtype(np.complex128 if double else np.complex64)


def plain_numbers(values: np.ndarray) -> np.ndarray:
    """Values as read, with a compound of real and imaginary parts put together."""
    parts = _parts(values.dtype)
    if not parts:
        return values
    found = np.empty(values.shape, number_type(values.dtype))
    found.real, found.imag = values[parts[0]], values[parts[1]]
    return found


def _parts(stored: np.dtype[Any]) -> tuple[str, str] | None:
    """The fields with the real and the imaginary part, or None."""
    names = stored.names or ()
    if len(names) != 2 or {name.lower() for name in names} not in PARTS:
        return None
    if any(stored[name].kind not in "fiu" or stored[name].shape for name in names):
        return None
    real = next(name for name in names if name.lower() in ("real", "r", "re"))
    return real, next(name for name in names if name != real)


def is_matlab(path: Path) -> bool:
    """Whether a file is one of MATLAB's, by its ending."""
    return path.name.lower().endswith(MATLAB)


def held_in_hdf5(path: Path, file: Any, key: str) -> Any:
    """The data set of a name (with ``/`` for groups) in an opened HDF5 file.

    Raises:
        UserError: it is not there, is a group, or lies in another file.
    """
    import h5py

    place = file
    for word in [word for word in key.split("/") if word]:
        check_links(path, place)
        if not isinstance(place, h5py.Group) or word not in place:
            known = [name for name, _ in datasets_of(file)] if key != word else sorted(file)
            likely = f"; {suggest(key, known)}" if known else ""
            raise UserError(path, f"has no data set '{key}' (it has: {', '.join(known[:6]) or 'nothing'})",
                          f"name the data set with images.dataset{likely}")  # fmt: skip
        place = place[word]
    if not isinstance(place, h5py.Dataset):
        raise UserError(path, f"holds a group '{key}'", "expected an array; name it with images.dataset")
    if place.file.filename != file.file.filename:
        raise UserError(path, f"holds '{key}', whose data lie in another file", "copy them into the file")
    return place


def datasets_of(file: Any) -> Iterator[tuple[str, Any]]:
    """Name and data set of every array in an opened HDF5 file, also in groups; links are not followed."""
    import h5py

    found: list[tuple[str, Any]] = []

    def visit(name: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset) and not name.startswith(INTERNAL):
            found.append((name, held))

    file.visititems(visit)
    yield from sorted(found, key=lambda pair: pair[0])


def check_links(path: Path, file: Any) -> None:
    """Refuse an HDF5 file whose data lie in other files: a study reads what is given to it, and nothing else.

    Args:
        path: the file.
        file: it, or a group in it, opened.

    Raises:
        UserError: a link, a virtual data set or external storage leads out of it.
    """
    import h5py

    if not isinstance(file, h5py.Group):
        return
    for word in file:
        outside = isinstance(file.get(word, getlink=True), h5py.ExternalLink)
        if not outside and isinstance(held := file.get(word), h5py.Dataset):
            outside = held.is_virtual or bool(held.external)
        if outside:
            raise UserError(path, f"holds '{word}', whose data lie in another file", "copy them into the file")


def matlab_header(path: Path, key: str | None, usual: tuple[str, ...]) -> ArrayHeader:
    """The array of a MATLAB file: the one named, else one of a usual name, else the only complex one.

    Args:
        path: the file: of version 7.3, which is HDF5, or of an earlier one.
        key: ``images.dataset``: its name, with ``/`` for the fields of a structure; none: it is not stated.
        usual: names that it may have.

    Raises:
        UserError: the file is damaged, or no array, or several, can be meant.
    """
    import h5py

    try:
        if h5py.is_hdf5(require_file(path)):
            with h5py.File(path) as file:
                check_links(path, file)
                known = {name: _hdf5_header(name, held) for name, held in datasets_of(file)}
        else:
            known = {name: ArrayHeader(name, array.shape, array.dtype, array.dtype)
                     for name, array in _variables(path, key).items()}  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # h5py and scipy raise classes of every kind on damaged files
        raise UserError(path, f"cannot be read as a MATLAB file ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip
    return _chosen(path, known, key, usual)


def _hdf5_header(name: str, held: Any) -> ArrayHeader:
    return ArrayHeader(name, tuple(held.shape or ())[::-1], number_type(held.dtype), held.dtype, reverse=True)


def _chosen(path: Path, known: dict[str, ArrayHeader], key: str | None, usual: tuple[str, ...]) -> ArrayHeader:
    if key is not None:
        if key.strip("/") not in known:
            likely = suggest(key, known) if known else "the file is empty"
            raise UserError(path, f"has no variable '{key}'", f"correct images.dataset; {likely}")
        return known[key.strip("/")]
    named = [word for word in usual if word in known]
    arrays = [name for name, header in known.items() if header.dtype.kind == "c" and len(header.shape) >= 2]
    if not named and len(arrays) != 1:
        words = ", ".join(f"{name} {' x '.join(map(str, header.shape))}" for name, header in list(known.items())[:8])
        found = f"holds {'several arrays' if arrays else 'no array'} of complex numbers (it has: {words or 'nothing'})"
        raise UserError(path, found, "name the one to read with images.dataset")
    return known[(named or arrays)[0]]


def _variables(path: Path, key: str | None) -> dict[str, np.ndarray]:
    """The numeric variables of a MATLAB file before version 7.3; their values alone say whether they are complex."""
    import scipy.io

    sizes = {name: shape for name, shape, kind in scipy.io.whosmat(path) if kind not in ("cell", "struct", "object")}
    wanted = [key] if key in sizes else [name for name, shape in sizes.items() if len(shape) >= 2]
    total = sum(16 * math.prod(sizes[name]) for name in wanted)
    if total > min(MOST_BYTES, 16 * DEFLATE * path.stat().st_size):
        found = f"claims to hold {total / 16:.3g} values"
        raise UserError(path, found, "save larger arrays with MATLAB's -v7.3, which is read in parts")
    return _loaded(path, tuple(wanted), path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, names: tuple[str, ...], changed: int) -> dict[str, np.ndarray]:
    """The variables of a file, as long as it is the same; slices are read one after the other."""
    import scipy.io

    del changed
    found = scipy.io.loadmat(path, variable_names=names, chars_as_strings=False)
    return {name: found[name] for name in names if isinstance(found.get(name), np.ndarray)
            and found[name].dtype.kind in "fiuc"}  # fmt: skip


def matlab_part(path: Path, key: str, where: tuple[Any, ...]) -> np.ndarray:
    """A part of an array of a MATLAB file before version 7.3; ``where`` is in the order of MATLAB's ``size``."""
    return np.asarray(_loaded(path, (key,), path.stat().st_mtime_ns)[key][where])


def array_part(path: Path, key: str, where: tuple[Any, ...]) -> np.ndarray:
    """A part of an array, with complex numbers put together.

    Args:
        path: a .npy, HDF5 or MATLAB file.
        key: the name of the array; empty for .npy.
        where: an index or a slice for every axis, in the order in which the file has them.

    Raises:
        Exception: of every kind, where the file has gone or is damaged.
    """
    import h5py

    if not key:
        return np.array(opened_array(path)[where])
    if is_matlab(path) and not h5py.is_hdf5(path):
        return matlab_part(path, key, where)
    with h5py.File(path) as file:
        return plain_numbers(np.asarray(file[key][where]))
