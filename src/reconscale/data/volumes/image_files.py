"""Magnitude images from NIfTI, and complex images, with headers checked before memory is allocated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.arrays import (
    HDF5,
    MATLAB,
    ArrayHeader,
    array_part,
    check_links,
    held_in_hdf5,
    is_matlab,
    matlab_header,
    number_type,
    opened_array,
)
from reconscale.data.volumes.kspace_files import read_slice, with_matlab, without_last
from reconscale.data.volumes.scan import (
    DEFLATE,
    MOST_VOXELS,
    KSpaceLocation,
    VolumeInfo,
    VolumeListing,
    check_claimed_size,
    counted,
    first_line,
    library,
    patient_of,
    require_file,
    scan_each,
)
from reconscale.errors import UserError
from reconscale.files import json_digest
from reconscale.study import Images

MOST_HEADER = 1 << 24
"""Bytes before the values of a NIfTI file."""
PHASES = ("ph", "phase", "imaginary", "real", "phasediff", "phase1", "phase2")
"""Last words of the names of NIfTI files that hold no magnitudes, as dcm2niix and BIDS write them."""
LABEL_INTENT = 1002
"""The intent code of label maps."""
LABELS = ("seg", "mask", "label", "labels", "dseg", "segmentation", "brainmask", "roi", "gt")
"""Last words of the names of label maps."""


def nifti_header(path: Path) -> tuple[tuple[int, int, int], tuple[float, float, float], str]:
    """Shape, voxel sizes and type of the numbers of a NIfTI file.

    Raises:
        UserError: nibabel is not installed, the file is damaged, or it claims to be no volume or too large a one.
    """
    image = opened_nifti(path)
    if int(image.header["intent_code"]) == LABEL_INTENT:
        raise UserError(path, "is a label map by its intent code", "name the folders of images alone in images.folders")
    shape, zooms = tuple(image.shape), tuple(float(zoom) for zoom in image.header.get_zooms())
    return (shape[0], shape[1], shape[2]), (zooms[0], zooms[1], zooms[2]), image.get_data_dtype().name


def nifti_volume(path: Path) -> np.ndarray:
    """The magnitudes of a NIfTI file, in the order of the file.

    Raises:
        UserError: as :func:`nifti_header`, or its numbers are complex.
    """
    image = opened_nifti(path)
    try:
        values = np.asarray(image.dataobj)
    except Exception as error:  # nibabel raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if values.dtype.kind == "c":
        raise UserError(path, "holds complex numbers", 'save them as .npy for source = "complex"')
    if values.dtype.kind not in "fiu":
        raise UserError(path, f"holds values of type {values.dtype}", "save it with one number a voxel")
    return values.reshape(values.shape[:3]).astype(np.float32)


def opened_nifti(path: Path) -> Any:
    """The image of a file, of which the header alone has been read."""
    nibabel = library("nibabel")
    try:
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)  # not nibabel.load, which also reads kinds that hold XML
        kind = next((kind for kind in kinds if kind.path_maybe_image(require_file(path))[0]), None)
        if kind is None:
            raise ValueError("it is no NIfTI file")
        _check_header(path, kind.header_class)
        image = kind.from_filename(path)
        shape, dtype = tuple(image.shape), image.get_data_dtype()
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if len(shape) > 3 and math.prod(shape[3:]) > 1:
        found = f"holds {math.prod(shape[3:])} volumes (shape {shape}), such as times, echoes or directions"
        raise UserError(path, found, "expected one magnitude volume of three axes: save each as a file of its own, and "
                        "keep those of a patient together with images.patient")  # fmt: skip
    if len(shape) < 3 or min(shape) < 1:
        raise UserError(path, f"holds an array of shape {shape}", "expected one magnitude volume of three axes")
    size = math.prod(shape)
    smaller = DEFLATE if path.suffix.lower() == ".gz" else 1
    if size > MOST_VOXELS:
        raise UserError(path, f"claims to hold {size:,} values", f"volumes have at most {MOST_VOXELS:,}")
    if size * dtype.itemsize > smaller * path.stat().st_size:
        found = f"cannot be read as NIfTI (a file of its size cannot hold the shape {shape} that it claims)"
        raise UserError(path, found, "replace or remove the file")
    return image


def _check_header(path: Path, header_class: Any) -> None:
    """Refuse a header that claims to be followed by huge extensions, which would be read into memory."""
    from nibabel.openers import ImageOpener

    length = header_class.sizeof_hdr
    with ImageOpener(path) as stream:
        header = header_class(stream.read(length), check=False)
    if not 0 <= float(header["vox_offset"]) <= MOST_HEADER:
        raise ValueError(f"its values begin at byte {float(header['vox_offset']):.0f}")


NIFTI = (".nii", ".nii.gz")
ANY_ORDER = "schw"
"""``images.axes`` of a study that does not state it."""
IMAGES = ("image", "images", "image_ri", "complex", "data")
"""Names that the data set of complex images may have, unless it is the only candidate."""
PATIENTS, ACQUISITIONS = ("patient_id", "patient", "subject"), ("acquisition", "contrast", "plane")
"""Names of one-dimensional data sets that label every slice."""


def list_complex(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """Volumes of complex images: HDF5 files, and .npy files of one volume each; without any, those of MATLAB files.

    An array is complex (slices, H, W), or real (slices, 2, H, W) with real and imaginary parts; or complex in another
    order, which ``images.axes`` states without coils. In an HDF5 file, data sets of one entry a slice may name its
    ``patient_id`` (or ``patient``, ``subject``), its ``acquisition`` (or ``contrast``, ``plane``), and the peak
    magnitude that it is scaled to (``max``); slices of one patient and acquisition, in the order of the file, are a
    volume.

    Raises:
        UserError: no data folder, no such file, or a file that is damaged or of another layout.
    """
    files, beside = with_matlab(files_of(images, data_folder(key, data), (*HDF5, ".npy", *MATLAB), key))
    scans, left_out = scan_each(files, images, lambda name, path: _complex_volumes(name, path, images))
    return VolumeListing(tuple(scan for found in scans for scan in found), (*counted(beside), *left_out))


def _complex_volumes(name: str, path: Path, images: Images) -> list[VolumeInfo]:
    if path.name.lower().endswith(HDF5):
        return _complex_hdf5(name, path, images)
    if is_matlab(path):
        header = matlab_header(path, images.dataset, IMAGES)
        shape, place = _complex_place(path, header, images)
        identity = [*stamp(name, path), header.key, images.axes]
    else:
        array = opened_array(path)
        header = ArrayHeader("", array.shape, number_type(array.dtype), array.dtype)
        shape, place = _complex_place(path, header, images)
        identity = [*stamp(name, path), *([] if images.axes == ANY_ORDER else [images.axes])]
    read = lambda index: _complex_image(place, shape[1:], index)  # noqa: E731
    return [_scan(name, (patient_of(name, images), ""), identity, shape, read, dtype=header.dtype.name)]


def _complex_hdf5(name: str, path: Path, images: Images) -> list[VolumeInfo]:
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            check_links(path, file)
            key = images.dataset or _dataset(path, file)
            held = held_in_hdf5(path, file, key)
            header = ArrayHeader(key, held.shape, number_type(held.dtype), held.dtype)
            (count, *side), place = _complex_place(path, header, images)
            arrays = {word: held for word in file if isinstance(held := file[word], h5py.Dataset)}
            labels = {word: held[()] for word, held in arrays.items() if held.shape == (count,)}
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    patients, acquisitions = _labels(labels, PATIENTS, count), _labels(labels, ACQUISITIONS, count)
    peaks = labels.get("max")
    if peaks is not None and (peaks.dtype.kind not in "fiu" or not np.isfinite(peaks).all()):
        raise UserError(path, f"holds 'max' of type {peaks.dtype}", "give a finite number for every slice")
    rows: dict[tuple[str, str], list[int]] = {}
    for row in range(count):
        rows.setdefault((patients[row], acquisitions[row]), []).append(row)
    more = ([key] if images.dataset else []) + ([] if images.axes == ANY_ORDER else [images.axes])
    scans = []
    for ((patient, acquisition), members), part in zip(rows.items(), _part_names(list(rows)), strict=True):
        full = f"{name}/{part}" if part else name
        read = lambda i, members=members: _peaked(_complex_image(place, tuple(side), members[i]), peaks, members[i])  # noqa: E731
        labelled = (patient_of(full, images, patient), acquisition)
        identity, shape = [*stamp(name, path), part, *more], (len(members), side[0], side[1])
        scans.append(_scan(full, labelled, identity, shape, read, dtype=header.dtype.name))
    return scans


def _part_names(labels: list[tuple[str, str]]) -> list[str]:
    """What the volumes of a file are called; a digest is added where two would be called the same."""
    names = ["-".join(word for word in pair if word) for pair in labels]
    return [
        name if names.count(name) == 1 else f"{name}-{json_digest(list(pair))[:8]}"
        for name, pair in zip(names, labels, strict=True)
    ]


def _dataset(path: Path, file: Any) -> str:
    candidates = [word for word in file if getattr(file[word], "ndim", 0) >= 3]
    named = [word for word in IMAGES if word in candidates]
    if not named and len(candidates) != 1:
        raise UserError(path, f"holds no data set of images among: {', '.join(file) or 'nothing'}",
                      "name it 'image', or with images.dataset: complex (slices, H, W), or real (slices, 2, H, W)"
                      )  # fmt: skip
    return str((named or candidates)[0])


def _complex_place(
    path: Path, header: ArrayHeader, images: Images
) -> tuple[tuple[int, int, int], KSpaceLocation | tuple[Path, str]]:
    """(slices, H, W) of complex images, and where they lie; path and name alone for the usual order.

    Raises:
        UserError: the array is not complex, or of another order than the study states.
    """
    shape, dtype = header.shape, header.dtype
    if images.axes == ANY_ORDER and not is_matlab(path):
        return _complex_shape(path, shape, dtype, header.stored), (path, header.key)
    axes = without_last(images.axes, len(shape)) if is_matlab(path) else images.axes
    axes = "hw" if len(shape) == 2 else axes
    if dtype.kind != "c":
        raise UserError(path, f"holds {header.stored} numbers of shape {shape} in '{header.key}'",
                      "expected complex images; name another array with images.dataset")  # fmt: skip
    if len(shape) != len(axes) or "c" in axes:
        likely = ("hws" if is_matlab(path) else "shw") if len(shape) < 4 else "hwst" if is_matlab(path) else "tshw"
        raise UserError(path, f"holds complex images of shape {shape} in an order that is not known",
                      f'state the order of its axes, for instance images.axes = "{likely}" (h rows, w columns, s '
                      "slices, t frames); coils must be combined first")  # fmt: skip
    sizes = dict(zip(axes, shape, strict=True))
    count, frames = sizes.get("s", 1) * sizes.get("t", 1), sizes.get("t", 1)
    check_claimed_size(path, count, sizes["h"], sizes["w"])
    place = KSpaceLocation(path, header.key, axes[::-1] if header.reverse else axes, None, frames)
    return (count, sizes["h"], sizes["w"]), place


def _complex_shape(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], stored: np.dtype[Any]
) -> tuple[int, int, int]:
    plain = dtype.kind == "c" and len(shape) == 3
    if plain and 4 * shape[2] < min(shape[:2]):
        found = f"holds {shape[0]} images of {shape[1]} x {shape[2]} pixels, which look like {shape[2]} slices"
        raise UserError(
            path, found, 'state the order of its axes: images.axes = "hws", or "shw" if that is what they are'
        )
    if plain or (dtype.kind in "fiu" and len(shape) == 4 and shape[1] == 2):
        check_claimed_size(path, *shape)
        return shape[0], shape[-2], shape[-1]
    kind = "magnitude images? " if dtype.kind in "fiu" and len(shape) == 3 else ""
    expected = "expected complex images (slices, H, W), or their real and imaginary parts (slices, 2, H, W)"
    raise UserError(path, f"holds {stored} numbers of shape {shape}", f"{kind}{expected}")


def _complex_image(place: KSpaceLocation | tuple[Path, str], side: tuple[int, ...], index: int) -> np.ndarray:
    """An image (H, W) complex64."""
    if isinstance(place, KSpaceLocation):
        return np.asarray(read_slice(place, (1, side[0], side[1]), index)[0])
    path, key = place
    try:
        return _as_complex(array_part(path, key, (index,)))
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read at slice {index} ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip


def _peaked(image: np.ndarray, peaks: np.ndarray | None, row: int) -> np.ndarray:
    """An image scaled to the peak that its file states, if it does."""
    peak = float(np.abs(image).max())
    return image if peaks is None or peak == 0 else np.asarray(image * np.float32(peaks[row] / peak))


def _as_complex(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        values if values.dtype.kind == "c" else values[0] + 1j * values[1].astype(np.float32), np.complex64
    )


def _labels(found: dict[str, np.ndarray], names: tuple[str, ...], count: int) -> list[str]:
    values = next((found[word] for word in names if word in found), None)
    if values is None:
        return [""] * count
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def list_nifti(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """Magnitude volumes in NIfTI files, cut along the axis of the thickest slices (the last one where all are equal).

    Files whose names call them phase images or label maps are passed over and counted.

    Raises:
        UserError: no data folder, no such file, nibabel is not installed, or a file that is damaged or no volume.
    """
    library("nibabel")
    files = files_of(images, data_folder(key, data), NIFTI, key)
    passed = [(name, reason) for name, _ in files if (reason := _called(name))]
    scans, left_out = scan_each(
        [(name, path) for name, path in files if not _called(name)], images,
        lambda name, path: _nifti_scan(name, path, images),
    )  # fmt: skip
    return VolumeListing(tuple(scans), (*counted(passed), *left_out))


def _called(name: str) -> str:
    """What the name of a file says that it is, if that is no magnitude image."""
    words = name.rpartition("/")[2].lower().removesuffix(".gz").removesuffix(".nii").split("_")
    if words[-1] in PHASES or {"part-phase", "part-imag", "part-real"} & set(words):
        return "is called a phase image"
    if words[-1] in LABELS or re.fullmatch(r"(label|seg|mask)s?\d*", words[0]):
        return "is called a label map or a mask"
    return ""


def slice_axis(zooms: Sequence[float]) -> int:
    """The axis that a volume is cut along: that of the thickest slices, the last one where all are equal."""
    return max(range(3), key=lambda axis: (round(zooms[axis], 2), axis))


def _nifti_scan(name: str, path: Path, images: Images) -> VolumeInfo:
    shape, zooms, dtype = nifti_header(path)
    axis = slice_axis(zooms)
    count = shape[axis]
    height, width = (length for a, length in enumerate(shape) if a != axis)
    read = lambda index: np.take(_nifti_values(path), index, axis).astype(np.complex64)  # noqa: E731
    labels = (patient_of(name, images), _contrast(name, images))
    return _scan(name, labels, stamp(name, path), (count, height, width), read, kind="magnitude", dtype=dtype)


@lru_cache(maxsize=8)
def _nifti_values(path: Path) -> np.ndarray:
    """The whole volume: compressed files cannot be read in part. Slices are read one after the other."""
    return nifti_volume(path)


def _contrast(name: str, images: Images) -> str:
    """The first of the requested acquisitions that is a word of the file's name."""
    words = name.replace("/", "_").replace("-", "_").split(".")[0].split("_")
    return next((wanted for wanted in images.acquisition if wanted in words), "")


def _scan(
    name: str, labels: tuple[str, str], identity: Any, shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray], kind: str = "complex", dtype: str = "",
) -> VolumeInfo:  # fmt: skip
    count, height, width = shape
    if math.prod(shape) == 0:
        raise UserError(name, f"holds no image (shape {shape})", "remove it")
    return VolumeInfo(name, *labels, [kind, identity], count, (1, height, width), kind, read, dtype=dtype)
