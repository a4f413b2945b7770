"""Images in a data set of an HDF5 file, read in parts."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.array_stacks import ArrayStack, stack_header
from reconscale.data.image_checks import Limits
from reconscale.data.volumes.arrays import HDF5, check_links, datasets_of, held_in_hdf5
from reconscale.data.volumes.scan import DEFLATE, first_line, require_file
from reconscale.errors import UserError
from reconscale.files import write_atomic

MOST_CHUNK = 1 << 29
"""Bytes that a chunk of a data set may have: a chunk is read as a whole."""
BLOCK = 1 << 26
"""Bytes of rows of one chunk that are read together and kept."""
LISTED = 8
"""Data sets that a message lists at most."""

__all__ = ["HDF5", "MOST_CHUNK", "hdf5_stacks", "write_hdf5"]


def hdf5_stacks(name: str, path: Path, changed: str, dataset: str | None, limits: Limits) -> list[ArrayStack]:
    """The array of images in an HDF5 file.

    Args:
        name: of the file, for messages and for the names of images.
        path: the file.
        changed: another text where the file has changed.
        dataset: the data set, with ``/`` for groups; none: the only one that has the shape of images.
        limits: black and white, where ``images.range`` says so.

    Raises:
        UserError: the file is damaged, has several data sets or none that may be meant, or one of another shape or
            type.
    """
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            check_links(path, file)
            key = dataset.strip("/") if dataset is not None else _only_one(path, file)
            held = held_in_hdf5(path, file, key)
            if held.shape is None:
                raise UserError(f"{name}/{key}", "is empty", "name another data set with images.dataset")
            header, axes = stack_header(f"{name}/{key}", held, limits), int(held.ndim)
            _check_claims(path, key, held)
            count, together = len(held), _rows_together(held)
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    return [ArrayStack(f"{name}/{key}", header, count, _row_of(path, key, changed, together), axes)]


def _only_one(path: Path, file: Any) -> str:
    """The name of the only data set that may hold images."""
    known = list(datasets_of(file))
    fitting = [name for name, held in known if _may_be_images(held)]
    if len(fitting) == 1:
        return fitting[0]
    listed = fitting or [name for name, _ in known]
    shown = ", ".join(f"{name} {' x '.join(map(str, file[name].shape or ()))}" for name in listed[:LISTED])
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    if fitting:
        found = f"holds {len(fitting)} data sets that may be images: {shown}{more}"
        raise UserError(path, found, f'name the one that counts, such as images.dataset = "{fitting[0]}"')
    found = f"holds no data set of the shape of images (it has: {shown + more or 'nothing'})"
    raise UserError(path, found, "expected numbers (N, H, W), (N, H, W, 1) or (N, H, W, 3)")


def _may_be_images(held: Any) -> bool:
    shape: tuple[int, ...] = tuple(held.shape or ())
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))
    return bool(fits and held.dtype.kind in "iuf" and min(shape[1:3]) > 3)


def _check_claims(path: Path, key: str, held: Any) -> None:
    """Refuse a data set that the file cannot hold, was never written, or comes in parts too large to be unpacked."""
    size, stored = held.size * held.dtype.itemsize, held.id.get_storage_size()
    if not stored:
        raise UserError(path, f"holds '{key}', which was never written", "replace or remove the file")
    if size > DEFLATE * path.stat().st_size:
        found = f"cannot be read as HDF5 (a file of its size cannot hold the shape {held.shape} that it claims)"
        raise UserError(path, found, "replace or remove the file")
    part = held.dtype.itemsize * math.prod(held.chunks or ())
    if held.chunks and part > MOST_CHUNK:
        found = f"holds '{key}' in parts of {part / 1e9:.1f} GB"
        raise UserError(path, found, f"write it in chunks of at most {MOST_CHUNK >> 20} MiB")


def _rows_together(held: Any) -> int:
    """Rows that lie in one chunk, and are read together where they are not too many."""
    rows = int(held.chunks[0]) if held.chunks else 1
    row = int(held.dtype.itemsize * math.prod(held.shape[1:]))
    return max(1, min(rows, BLOCK // max(1, row)))


def _row_of(path: Path, key: str, changed: str, together: int) -> Callable[[int], np.ndarray]:
    def row(index: int) -> np.ndarray:
        first = index // together * together
        try:
            return np.asarray(_rows(path, key, first, together, changed)[index - first])
        except Exception as error:  # as above
            raise UserError(path, f"cannot be read at image {index} of '{key}' ({first_line(error)})",
                          "replace or remove the file") from error  # fmt: skip

    return row


@lru_cache(maxsize=4)
def _rows(path: Path, key: str, first: int, count: int, changed: str) -> np.ndarray:
    """Rows of a data set; images are read one after the other."""
    import h5py

    del changed  # decides, with the path, whether the file is still the same
    with h5py.File(path) as file:
        return np.asarray(file[key][first : first + count])


def write_hdf5(path: Path, arrays: dict[str, np.ndarray], like: Path) -> list[str]:
    """Write arrays by their names, with the attributes of the file that they come from.

    Args:
        path: the file to write.
        arrays: by the names of their data sets.
        like: the file whose attributes are kept: its own, those of groups on the way, and those of the data sets.

    Returns:
        What is not kept, one sentence each.
    """
    import h5py

    buffer, left_out = io.BytesIO(), []
    with h5py.File(like) as given, h5py.File(buffer, "w") as file:
        left_out += copy_attributes(given, file)
        for name, array in arrays.items():
            held = file.create_dataset(name, data=array, compression="gzip", chunks=(1, *array.shape[1:]))
            words = name.split("/")
            for place in ["/".join(words[: i + 1]) for i in range(len(words) - 1)]:
                left_out += copy_attributes(given[place], file[place])
            left_out += copy_attributes(given[name], held)
        others = sorted({name for name, _ in datasets_of(given)} - set(arrays))
    if others:
        named = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        left_out.append(f"{path.name} holds the reconstructions, without the other data sets of {like.name} ({named})")
    write_atomic(path, buffer.getvalue())
    return left_out


def copy_attributes(given: Any, to: Any) -> list[str]:
    """Copy attributes that are values; references into the other file are named."""
    import h5py

    left_out = []
    for name in given.attrs:
        try:
            value = given.attrs[name]
            if isinstance(value, h5py.Reference) or getattr(value, "dtype", np.dtype("f4")).kind == "O":
                texts = np.asarray(value, object).ravel()
                if not all(isinstance(text, str | bytes) for text in texts):
                    raise TypeError("it is a reference")
            to.attrs[name] = value
        except Exception as error:  # as above
            left_out.append(f"the attribute {name} of {given.name} is not kept ({first_line(error)})")
    return left_out
