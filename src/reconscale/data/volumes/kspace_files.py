"""Measured k-space from fastMRI's HDF5 files, MATLAB files and .npy arrays, read one slice at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.arrays import (
    HDF5,
    MATLAB,
    array_part,
    check_links,
    held_in_hdf5,
    is_matlab,
    matlab_header,
    number_type,
    opened_array,
)
from reconscale.data.volumes.ismrmrd_files import read_acquired
from reconscale.data.volumes.scan import (
    LEAST_SIDE,
    MOST_COILS,
    KSpaceLocation,
    VolumeInfo,
    VolumeListing,
    check_claimed_size,
    counted,
    first_line,
    patient_of,
    require_file,
    scan_each,
)
from reconscale.errors import UserError, suggest
from reconscale.study import Images

KSPACE = "kspace"
"""The data set of measured k-space, unless ``images.dataset`` names another."""
OF_COILS, OF_ONE_COIL = "reconstruction_rss", "reconstruction_esc"
"""Data sets of fastMRI files with the magnitude images of the fully sampled k-space: the root sum of squares of all
coils; and, beside it in single-coil files, the image of the emulated single coil that their k-space belongs to."""


def list_fastmri(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """The volumes of fastMRI HDF5 files: ``kspace``, and ``reconstruction_rss`` or ``reconstruction_esc``.

    Where there is no HDF5 file, those of MATLAB files.

    Raises:
        UserError: no data folder, no such file, or a file that is damaged or of another layout.
    """
    files, beside = with_matlab(files_of(images, data_folder(key, data), (*HDF5, *MATLAB), key))
    scans, left_out = scan_each(files, images, lambda name, path: scan_hdf5(name, path, images))
    return VolumeListing(tuple(scans), (*counted(beside), *left_out))


def with_matlab(files: list[tuple[str, Path]]) -> tuple[list[tuple[str, Path]], list[tuple[str, str]]]:
    """The files to read: those of MATLAB only where there are no others; and (name, reason) of those passed over."""
    others = [(name, path) for name, path in files if not is_matlab(path)]
    beside = [(name, "is a MATLAB file beside files of another kind") for name, path in files if is_matlab(path)]
    return (others, beside) if others else (files, [])


def scan_hdf5(name: str, path: Path, images: Images) -> VolumeInfo:
    """One fastMRI file, or one of MATLAB, from its header.

    Raises:
        UserError: it is damaged, or of another layout.
    """
    import h5py

    if is_matlab(path):
        return _scan_matlab(name, path, images)
    key = images.dataset or KSPACE
    try:
        with h5py.File(require_file(path)) as file:
            dataset = _kspace_in(path, file, key)
            dtype = number_type(dataset.dtype)
            axes = axes_of(path, dataset.shape, dtype, images, dataset.dtype)
            sizes = dict(zip(axes, dataset.shape, strict=True))
            truth = _truth_of(path, file, sizes)
            plain = dataset.dtype == np.complex64 and axes in ("schw", "shw") and dataset.chunks is None
            place = KSpaceLocation(path, key, axes, dataset.id.get_offset() if plain else None, sizes.get("t", 1))
            stated = {word: _text(file.attrs.get(word, "")) for word in ("patient_id", "acquisition")}
            maximum = _maximum(path, file.attrs.get("max"))
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    shape = (sizes.get("c", 1), sizes["h"], sizes["w"])
    return VolumeInfo(
        name=name,
        patient=patient_of(name, images, stated["patient_id"]),
        acquisition=stated["acquisition"],
        identity=[*stamp(name, path), axes, *([key] if images.dataset else [])],
        count=_count(sizes),
        shape=shape,
        kind="kspace",
        read=lambda index: read_slice(place, shape, index),
        truth=None if truth is None else lambda index: _read_truth(path, truth, index),
        maximum=maximum,
        place=place,
        dtype=dtype.name,
    )


def _kspace_in(path: Path, file: Any, key: str) -> Any:
    """The data set of k-space in an opened file."""
    check_links(path, file)
    if key == KSPACE and KSPACE not in file:
        _without_kspace(path, file)
    return held_in_hdf5(path, file, key)


def _scan_matlab(name: str, path: Path, images: Images) -> VolumeInfo:
    """One MATLAB file of k-space; its axes are in the order in which MATLAB's ``size`` shows them."""
    header = matlab_header(path, images.dataset, (KSPACE,))
    axes = axes_of(path, header.shape, header.dtype, images, header.stored)
    sizes = dict(zip(axes, header.shape, strict=True))
    shape = (sizes.get("c", 1), sizes["h"], sizes["w"])
    place = KSpaceLocation(path, header.key, axes[::-1] if header.reverse else axes, None, sizes.get("t", 1))
    return VolumeInfo(
        name=name,
        patient=patient_of(name, images),
        acquisition="",
        identity=[*stamp(name, path), axes, header.key],
        count=_count(sizes),
        shape=shape,
        kind="kspace",
        read=lambda index: read_slice(place, shape, index),
        place=place,
        dtype=header.dtype.name,
    )


def _count(sizes: dict[str, int]) -> int:
    """Slices of an array: those of all frames count."""
    return sizes.get("s", 1) * sizes.get("t", 1)


def _truth_of(path: Path, file: Any, sizes: dict[str, int]) -> str | None:
    """The name of the reconstruction in a file, if there is one; it must fit the k-space."""
    name = stored_truth(file, sizes.get("c", 1))
    if name is None:
        return None
    truth, slices = file[name], _count(sizes)
    if truth.ndim != 3 or len(truth) != slices:
        raise UserError(path, f"holds {slices} k-space slices and {name} of shape {truth.shape}",
                      "write one reconstruction (rows, columns) for every slice; if it has as many as the k-space has "
                      "coils, state the order of axes with images.axes")  # fmt: skip
    check_claimed_size(path, *truth.shape)
    if truth.dtype.kind not in "fiu":
        raise UserError(path, f"holds {name} of type {truth.dtype}", "give real magnitudes")
    return name


def stored_truth(file: Any, coils: int) -> str | None:
    """The data set of the ground truth in a fastMRI file, as fastMRI's own loader takes it.

    Args:
        file: anything that its names can be looked up in.
        coils: of its k-space. Single-coil files hold the root sum of squares of all coils, too, which is another image.
    """
    names = (OF_ONE_COIL, OF_COILS) if coils == 1 else (OF_COILS, OF_ONE_COIL)
    return next((name for name in names if name in file), None)


def list_kspace_arrays(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """The volumes of .npy files of complex k-space: one volume a file, axes as in ``images.axes``.

    An array of one axis less than ``images.axes`` is one slice. Where there is no .npy file, those of MATLAB files.

    Raises:
        UserError: no data folder, no such file, or an array of another kind.
    """
    files, beside = with_matlab(files_of(images, data_folder(key, data), (".npy", *MATLAB), key))
    scans, left_out = scan_each(files, images, lambda name, path: _scan_array(name, path, images))
    return VolumeListing(tuple(scans), (*counted(beside), *left_out))


def _scan_array(name: str, path: Path, images: Images) -> VolumeInfo:
    if is_matlab(path):
        return _scan_matlab(name, path, images)
    array = opened_array(path)
    dtype = number_type(array.dtype)
    axes = axes_of(path, array.shape, dtype, images, array.dtype)
    sizes = dict(zip(axes, array.shape, strict=True))
    shape = (sizes.get("c", 1), sizes["h"], sizes["w"])
    plain = array.dtype == np.complex64 and array.flags.c_contiguous and axes in ("schw", "shw", "chw")
    place = KSpaceLocation(path, "", axes, int(getattr(array, "offset", 0)) if plain else None, sizes.get("t", 1))
    return VolumeInfo(
        name=name,
        patient=patient_of(name, images),
        acquisition="",
        identity=[*stamp(name, path), axes],
        count=_count(sizes),
        shape=shape,
        kind="kspace",
        read=lambda index: read_slice(place, shape, index),
        place=place,
        dtype=dtype.name,
    )


def axes_of(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], images: Images, stored: np.dtype[Any] | None = None
) -> str:
    """The order of the axes of an array of k-space.

    Args:
        path: the file.
        shape: of the array; for MATLAB files as MATLAB shows it.
        dtype: of its numbers.
        images: the options.
        stored: the type in the file, where that is another one.

    Raises:
        UserError: it is not complex, or its axes cannot be those that the study states.
    """
    if dtype.kind != "c":
        found = f"holds {stored or dtype} numbers of shape {shape} where complex k-space is expected"
        raise UserError(path, found, _instead_of_complex(shape, dtype))
    axes = _stated_axes(len(shape), images, is_matlab(path))
    if len(shape) != len(axes):
        raise UserError(path, f"holds k-space of shape {shape}, which has {len(shape)} axes",
                      f'expected {len(images.axes)} axes in the order images.axes = "{images.axes}" '
                      "(s slices, t frames, c coils, h rows, w columns); state their order, for instance "
                      f'images.axes = "{_likely(shape, is_matlab(path))}"')  # fmt: skip
    sizes = dict(zip(axes, shape, strict=True))
    if 0 in shape:
        raise UserError(path, f"holds k-space of shape {shape}, which is none", "remove the file")
    check_claimed_size(path, _count(sizes), sizes.get("c", 1), sizes["h"], sizes["w"])
    misplaced = sizes.get("c", 1) > MOST_COILS or min(sizes["h"], sizes["w"]) < LEAST_SIDE
    likely = _likely(shape, is_matlab(path))
    if misplaced and likely != axes and min(shape[likely.index("h")], shape[likely.index("w")]) >= LEAST_SIDE:
        raise UserError(path, f'holds k-space of shape {shape}, which in the order "{axes}" means {_spelt(sizes)}',
                      f'state the order of its axes, for instance images.axes = "{likely}"')  # fmt: skip
    if misplaced:
        found = f"holds k-space of {_spelt(sizes)}"
        raise UserError(
            path, found, f"slices have at least {LEAST_SIDE} x {LEAST_SIDE} pixels and {MOST_COILS} coils at most"
        )
    return axes


def _stated_axes(count: int, images: Images, matlab: bool) -> str:
    """``images.axes``, less the coils (of fastMRI files) or the slices where an array has three axes and not four.

    Of MATLAB files less the last ones, which MATLAB leaves out where they have one entry.
    """
    stated = images.axes
    if matlab:
        return without_last(stated, count)
    if count != 3 or len(stated) != 4:
        return stated
    return stated.replace("c", "") if images.source == "fastmri" or "c" not in stated else stated.replace("s", "")


def without_last(axes: str, count: int) -> str:
    """The first ``count`` axes of MATLAB's, if rows and columns are among them; else all.

    >>> without_last("hwcst", 4), without_last("schw", 3)
    ('hwcs', 'schw')
    """
    return axes if set(axes[count:]) & set("hw") else axes[:count]


def _instead_of_complex(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str:
    """What helps where numbers should be complex and are not."""
    if dtype.names:
        return "a compound type is read where its fields are called real and imag"
    if 2 in shape:
        axis = shape.index(2)
        parts = ", ".join("{0}" if a == axis else ":" for a in range(len(shape)))
        real, imaginary = parts.format(0), parts.format(1)
        return (f"if axis {axis} holds real and imaginary parts, save x[{real}] + 1j * x[{imaginary}]; give magnitude "
                'images through source = "nifti" or "dicom"')  # fmt: skip
    return 'give magnitude images through source = "nifti" or "dicom", complex ones through "complex"'


def _likely(shape: tuple[int, ...], matlab: bool = False) -> str:
    """The order of axes that a shape suggests: the largest two are rows and columns, the others as they mostly come.

    >>> _likely((30, 640, 372, 15)), _likely((246, 120, 10, 12, 25), matlab=True)
    ('shwc', 'hwcst')
    """
    if matlab:
        return {2: "hw", 3: "hws"}.get(len(shape), "hwcst"[: len(shape)])
    if len(shape) == 4:  # the shortest axis after the first is the coils'
        coils, others = min(range(1, 4), key=shape.__getitem__), iter("hw")
        return "s" + "".join("c" if axis == coils else next(others) for axis in range(1, 4))
    return "tschw" if len(shape) > 4 else "shw"


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
    if place.part is not None:
        return read_acquired(place, shape, index)
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
    left = place.axes.replace("s", "").replace("t", "")
    ordered = array.transpose([left.index(axis) for axis in "chw" if axis in left])
    return np.ascontiguousarray(ordered, dtype=np.complex64).reshape(shape)


def _through_library(place: KSpaceLocation, index: int) -> np.ndarray:
    if not ("s" in place.axes or "t" in place.axes):
        return array_part(place.path, place.key, (slice(None),) * len(place.axes))
    where: list[Any] = [slice(None)] * len(place.axes)
    for axis, number in (("s", index // place.frames), ("t", index % place.frames)):
        if axis in place.axes:
            where[place.axes.index(axis)] = number
    return array_part(place.path, place.key, tuple(where))


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
            return KSPACE in file
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error


def _without_kspace(path: Path, file: Any) -> NoReturn:
    names = sorted(file)
    if "dataset" in names and "xml" in file["dataset"]:
        raise UserError(path, "is an ISMRMRD file", 'set images.source = "ismrmrd"')
    likely = f"; {suggest('kspace', names)}" if names else ""
    found = f"has no data set 'kspace' (it has: {', '.join(names[:6]) or 'nothing'})"
    remedy = f"a fastMRI file holds kspace (slices, coils, rows, columns){likely}; name another one with images.dataset"
    raise UserError(path, found, remedy)


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
    words = {"s": "slices", "t": "frames", "c": "coils", "h": "rows", "w": "columns"}
    return ", ".join(f"{size} {words[axis]}" for axis, size in sizes.items())
