"""Measured k-space from fastMRI's HDF5 files and .npy arrays, read one slice at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.scan import (
    LEAST_SIDE,
    MOST_COILS,
    KSpaceLocation,
    VolumeInfo,
    check_claimed_size,
    first_line,
    patient_of,
    require_file,
)
from reconscale.errors import UserError, suggest
from reconscale.study import Images

HDF5 = (".h5", ".hdf5")
TRUTHS = ("reconstruction_rss", "reconstruction_esc")
"""Data sets of fastMRI files that hold the magnitude images of the fully sampled k-space."""


def list_fastmri(images: Images, data: Path | None, key: str = "images.folders") -> list[VolumeInfo]:
    """The volumes of fastMRI HDF5 files: ``kspace``, and ``reconstruction_rss`` or ``reconstruction_esc``.

    Raises:
        UserError: no data folder, no such file, or a file that is damaged or of another layout.
    """
    root = data_folder(key, data)
    return [scan_hdf5(name, path, images) for name, path in files_of(images, root, HDF5, key)]


def scan_hdf5(name: str, path: Path, images: Images) -> VolumeInfo:
    """One fastMRI file, from its header.

    Raises:
        UserError: it is damaged, or of another layout.
    """
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            check_links(path, file)
            if "kspace" not in file:
                _without_kspace(path, file)
            dataset = file["kspace"]
            if not isinstance(dataset, h5py.Dataset):
                raise UserError(path, "holds a group 'kspace'", "expected an array (slices, coils, rows, columns)")
            axes = axes_of(path, dataset.shape, dataset.dtype, images)
            truth = _truth_of(path, file, len(dataset))
            plain = dataset.dtype == np.complex64 and axes in ("schw", "shw") and dataset.chunks is None
            place = KSpaceLocation(path, "kspace", axes, dataset.id.get_offset() if plain else None)
            stated = {word: _text(file.attrs.get(word, "")) for word in ("patient_id", "acquisition")}
            maximum = _maximum(path, file.attrs.get("max"))
            shape = dict(zip(axes, dataset.shape, strict=True))
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    return VolumeInfo(
        name=name,
        patient=patient_of(name, images, stated["patient_id"]),
        acquisition=stated["acquisition"],
        identity=[*stamp(name, path), axes],
        count=shape["s"],
        shape=(shape.get("c", 1), shape["h"], shape["w"]),
        kind="kspace",
        read=lambda index: read_slice(place, (shape.get("c", 1), shape["h"], shape["w"]), index),
        truth=None if truth is None else lambda index: _read_truth(path, truth, index),
        maximum=maximum,
        place=place,
    )


def _truth_of(path: Path, file: Any, slices: int) -> str | None:
    """The name of the reconstruction in a file, if there is one; it must fit the k-space."""
    name = next((word for word in TRUTHS if word in file), None)
    if name is None:
        return None
    truth = file[name]
    if truth.ndim != 3 or len(truth) != slices:
        raise UserError(path, f"holds {slices} k-space slices and {name} of shape {truth.shape}",
                      "write one reconstruction (rows, columns) for every slice")  # fmt: skip
    check_claimed_size(path, *truth.shape)
    if truth.dtype.kind not in "fiu":
        raise UserError(path, f"holds {name} of type {truth.dtype}", "give real magnitudes")
    return name


def check_links(path: Path, file: Any) -> None:
    """Refuse an HDF5 file whose data lie in other files: a study reads what is given to it, and nothing else.

    Args:
        path: the file.
        file: it, opened.

    Raises:
        UserError: a link, a virtual data set or external storage leads out of it.
    """
    import h5py

    for word in file:
        outside = isinstance(file.get(word, getlink=True), h5py.ExternalLink)
        if not outside and isinstance(held := file.get(word), h5py.Dataset):
            outside = held.is_virtual or bool(held.external)
        if outside:
            raise UserError(path, f"holds '{word}', whose data lie in another file", "copy them into the file")


def list_kspace_arrays(images: Images, data: Path | None, key: str = "images.folders") -> list[VolumeInfo]:
    """The volumes of .npy files of complex k-space: one volume a file, axes as in ``images.axes``.

    An array of one axis less than ``images.axes`` is one slice.

    Raises:
        UserError: no data folder, no such file, or an array of another kind.
    """
    root, scans = data_folder(key, data), []
    for name, path in files_of(images, root, (".npy",), key):
        array = opened_array(path)
        axes = axes_of(path, array.shape, array.dtype, images)
        sizes = dict(zip(axes, array.shape, strict=True))
        shape = (sizes.get("c", 1), sizes["h"], sizes["w"])
        plain = array.dtype == np.complex64 and array.flags.c_contiguous and axes in ("schw", "shw", "chw")
        place = KSpaceLocation(path, "", axes, int(getattr(array, "offset", 0)) if plain else None)
        scans.append(
            VolumeInfo(
                name=name,
                patient=patient_of(name, images),
                acquisition="",
                identity=[*stamp(name, path), axes],
                count=sizes.get("s", 1),
                shape=shape,
                kind="kspace",
                read=lambda index, place=place, shape=shape: read_slice(place, shape, index),  # type: ignore[misc]
                place=place,
            )
        )
    return scans


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


def axes_of(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], images: Images) -> str:
    """The order of the axes of an array of k-space.

    Raises:
        UserError: it is not complex, or its axes cannot be those that the study states.
    """
    if dtype.kind != "c":
        raise UserError(path, f"holds {dtype} numbers of shape {shape} where complex k-space is expected",
                      'give magnitude images through source = "nifti" or "dicom", complex ones through "complex"'
                      )  # fmt: skip
    stated = images.axes
    if len(shape) == 3:
        axes = stated.replace("c", "") if images.source == "fastmri" or "c" not in stated else stated.replace("s", "")
    else:
        axes = stated
    if len(shape) != len(axes):
        raise UserError(path, f"holds k-space of shape {shape}, which has {len(shape)} axes",
                      f'expected {len(stated)} axes in the order images.axes = "{stated}" '
                      "(s slices, c coils, h rows, w columns)")  # fmt: skip
    sizes = dict(zip(axes, shape, strict=True))
    if 0 in shape:
        raise UserError(path, f"holds k-space of shape {shape}, which is none", "remove the file")
    check_claimed_size(path, sizes.get("s", 1), sizes.get("c", 1), sizes["h"], sizes["w"])
    misplaced = sizes.get("c", 1) > MOST_COILS or min(sizes["h"], sizes["w"]) < LEAST_SIDE
    if misplaced and _likely(shape) != axes:
        raise UserError(path, f'holds k-space of shape {shape}, which in the order "{axes}" means {_spelt(sizes)}',
                      f'state the order of its axes, for instance images.axes = "{_likely(shape)}"')  # fmt: skip
    if misplaced:
        found = f"holds k-space of {_spelt(sizes)}"
        raise UserError(
            path, found, f"slices have at least {LEAST_SIDE} x {LEAST_SIDE} pixels and {MOST_COILS} coils at most"
        )
    return axes


def _likely(shape: tuple[int, ...]) -> str:
    """The order of axes that a shape suggests: the shortest axis after the first is the coils'."""
    if len(shape) != 4:
        return "shw"
    coils, others = min(range(1, 4), key=shape.__getitem__), iter("hw")
    return "s" + "".join("c" if axis == coils else next(others) for axis in range(1, 4))


def read_slice(place: KSpaceLocation, shape: tuple[int, int, int], index: int) -> np.ndarray:
    """The k-space of one slice.

    Args:
        place: where it lies.
        shape: (coils, rows, columns).
        index: number of the slice.

    Returns:
        complex64 (coils, H, W).

    Raises:
        UserError: the file has gone, or was cut short.
    """
    try:
        if place.offset is not None:
            values = np.empty(shape, np.complex64)
            with place.path.open("rb", buffering=0) as stream:
                stream.seek(place.offset + index * values.nbytes)
                if stream.readinto(values.data.cast("B")) != values.nbytes:
                    raise OSError("the file ends before its k-space does")
            return values
        array = _through_library(place, index)
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(place.path, f"cannot be read at slice {index} ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip
    left = place.axes.replace("s", "")
    ordered = array.transpose([left.index(axis) for axis in "chw" if axis in left])
    return np.ascontiguousarray(ordered, dtype=np.complex64).reshape(shape)


def _through_library(place: KSpaceLocation, index: int) -> np.ndarray:
    where: list[Any] = [slice(None)] * len(place.axes)
    if "s" in place.axes:
        where[place.axes.index("s")] = index
    if not place.key:
        return np.array(opened_array(place.path)[tuple(where)])
    import h5py

    with h5py.File(place.path) as file:
        return np.asarray(file[place.key][tuple(where)])


def _read_truth(path: Path, key: str, index: int) -> np.ndarray:
    import h5py

    try:
        with h5py.File(path) as file:
            return np.asarray(file[key][index], np.float32)
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read at slice {index} of '{key}' ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip


def holds_kspace(path: Path) -> bool:
    """Whether an HDF5 file has a data set ``kspace``.

    Raises:
        UserError: it is damaged.
    """
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            return "kspace" in file
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error


def _without_kspace(path: Path, file: Any) -> NoReturn:
    names = sorted(file)
    if "dataset" in names and "xml" in file["dataset"]:
        raise UserError(path, "is an ISMRMRD file", 'convert it to arrays of k-space for source = "kspace-array"')
    likely = f"; {suggest('kspace', names)}" if names else ""
    found = f"has no data set 'kspace' (it has: {', '.join(names[:6]) or 'nothing'})"
    raise UserError(path, found, f"a fastMRI file holds kspace (slices, coils, rows, columns){likely}")


def _maximum(path: Path, stated: Any) -> float | None:
    """The attribute ``max``; none where it is missing, zero or NaN: it is then computed."""
    if stated is None:
        return None
    try:
        value = float(stated)
    except (TypeError, ValueError) as error:
        raise UserError(path, f"has the attribute max = {_text(stated)!r}", "give a number, or leave it out") from error
    return value if 0 < value < float("inf") else None


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _spelt(sizes: dict[str, int]) -> str:
    words = {"s": "slices", "c": "coils", "h": "rows", "w": "columns"}
    return ", ".join(f"{size} {words[axis]}" for axis, size in sizes.items())
