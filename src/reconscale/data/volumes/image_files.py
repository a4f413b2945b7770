"""Magnitude images from NIfTI and DICOM, with headers checked before memory is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.kspace_files import HDF5, check_links, opened_array
from reconscale.data.volumes.scan import DEFLATE, VolumeInfo, check_claimed_size, first_line, patient_of, require_file
from reconscale.errors import UserError
from reconscale.study import Images

MOST_VOXELS = 1 << 30
"""Values of a NIfTI volume, which is read as a whole."""
MOST_HEADER = 1 << 24
"""Bytes before the values of a NIfTI file."""
DEFLATED = "1.2.840.10008.1.2.1.99"
"""The DICOM transfer syntax that is compressed as a whole."""


@dataclass(frozen=True)
class Header:
    """The header of a DICOM file.

    Attributes:
        series, number: of the series, as text.
        patient, acquisition: empty where the file does not say.
        along: position along the normal of the series; the instance number where positions are not given.
        size: (rows, columns).
    """

    series: str
    number: str
    patient: str
    acquisition: str
    along: float
    size: tuple[int, int]


def nifti_header(path: Path) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Shape and voxel sizes of a NIfTI file.

    Raises:
        UserError: nibabel is not installed, the file is damaged, or it claims to be no volume or too large a one.
    """
    image = _nifti(path)
    shape, zooms = tuple(image.shape), tuple(float(zoom) for zoom in image.header.get_zooms())
    return (shape[0], shape[1], shape[2]), (zooms[0], zooms[1], zooms[2])


def nifti_volume(path: Path) -> np.ndarray:
    """The magnitudes of a NIfTI file, in the order of the file.

    Raises:
        UserError: as :func:`nifti_header`, or its numbers are complex.
    """
    image = _nifti(path)
    try:
        values = np.asarray(image.dataobj)
    except Exception as error:  # nibabel raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if values.dtype.kind == "c":
        raise UserError(path, "holds complex numbers", 'save them as .npy for source = "complex"')
    if values.dtype.kind not in "fiu":
        raise UserError(path, f"holds values of type {values.dtype}", "save it with one number a voxel")
    return values.astype(np.float32)


def _nifti(path: Path) -> Any:
    """The image of a file, of which the header alone has been read."""
    nibabel = _library("nibabel")
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
    if len(shape) != 3 or min(shape) < 1:
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


def dicom_header(path: Path) -> Header:
    """The header of a DICOM file of one grey slice.

    Raises:
        UserError: pydicom is not installed, or the file is damaged, holds more than one slice, or is compressed as a
            whole.
    """
    pydicom = _library("pydicom")
    try:
        meta = pydicom.filereader.read_file_meta_info(require_file(path))
        if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
            raise UserError(path, "is a deflated DICOM file", "save it in another transfer syntax")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        frames, samples = header.get("NumberOfFrames", 1) or 1, header.get("SamplesPerPixel", 1) or 1
        if int(frames) != 1 or int(samples) != 1:
            raise UserError(path, "holds several frames or colours", "save every slice as a file of its own, in grey")
        size = int(header.Rows), int(header.Columns)
        number = header.get("SeriesNumber", None)
        found = Header(
            series=str(header.get("SeriesInstanceUID", "")),
            number="" if number is None else str(number),
            patient=str(header.get("PatientID", "")),
            acquisition=str(header.get("SeriesDescription", "") or header.get("ProtocolName", "")),
            along=_along(header),
            size=size,
        )
        if not math.isfinite(found.along):
            raise ValueError("its position is not finite")
    except UserError:
        raise
    except Exception as error:  # pydicom raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as DICOM ({first_line(error)})", "replace or remove the file") from error
    check_claimed_size(path, 1, *size)
    return found


def _along(header: Any) -> float:
    position, axes = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    if position is None or axes is None:
        return float(header.get("InstanceNumber", 0) or 0)
    normal = np.cross(np.array(axes[:3], float), np.array(axes[3:], float))
    return float(np.dot(normal, np.array(position, float)))


def dicom_image(path: Path) -> np.ndarray:
    """The magnitudes of a DICOM file: complex64 (rows, columns).

    Raises:
        UserError: pydicom is not installed, or the file is damaged.
    """
    size = dicom_header(path).size
    try:
        dataset = _library("pydicom").dcmread(path)
        slope, intercept = float(dataset.get("RescaleSlope", 1) or 1), float(dataset.get("RescaleIntercept", 0) or 0)
        values = np.asarray(dataset.pixel_array.astype(np.float32) * slope + intercept, np.complex64)
        if values.shape != size:
            raise ValueError(f"it holds values of shape {values.shape}")
    except Exception as error:  # as above
        raise UserError(path, f"cannot be decoded ({first_line(error)})", "replace or remove the file") from error
    return values


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UserError("images.source", f"needs the package {name}, which is not installed",
                      "pip install 'reconscale[mri]'") from error  # fmt: skip


NIFTI, DICOM = (".nii", ".nii.gz"), (".dcm", ".dicom", ".ima")
IMAGES = ("image", "images", "image_ri", "complex", "data")
"""Names that the data set of complex images may have, unless it is the only candidate."""
PATIENTS, ACQUISITIONS = ("patient_id", "patient", "subject"), ("acquisition", "contrast", "plane")
"""Names of one-dimensional data sets that label every slice."""


def list_complex(images: Images, data: Path | None, key: str = "images.folders") -> list[VolumeInfo]:
    """Volumes of complex images: HDF5 files, and .npy files of one volume each.

    An array is complex (slices, H, W), or real (slices, 2, H, W) with real and imaginary parts. In an HDF5 file, data
    sets of one entry a slice may name its ``patient_id`` (or ``patient``, ``subject``), its ``acquisition`` (or
    ``contrast``, ``plane``), and the peak magnitude that it is scaled to (``max``); slices of one patient and
    acquisition, in the order of the file, are a volume.

    Raises:
        UserError: no data folder, no such file, or a file that is damaged or of another layout.
    """
    root, scans = data_folder(key, data), []
    for name, path in files_of(images, root, (*HDF5, ".npy"), key):
        if path.suffix.lower() != ".npy":
            scans += _complex_hdf5(name, path, images)
            continue
        array = opened_array(path)
        shape = _complex_shape(path, array.shape, array.dtype)
        read = lambda index, path=path: _as_complex(np.asarray(opened_array(path)[index]))  # noqa: E731
        scans.append(_scan(name, (patient_of(name, images), ""), stamp(name, path), shape, read))
    return scans


def _complex_hdf5(name: str, path: Path, images: Images) -> list[VolumeInfo]:
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            check_links(path, file)
            key = _dataset(path, file)
            count, *side = _complex_shape(path, file[key].shape, file[key].dtype)
            arrays = {word: held for word in file if isinstance(held := file[word], h5py.Dataset)}
            labels = {word: held[()] for word, held in arrays.items() if held.shape == (count,)}
    except UserError:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    patients = _labels(labels, PATIENTS, count)
    acquisitions = _labels(labels, ACQUISITIONS, count)
    peaks = labels.get("max")
    if peaks is not None and (peaks.dtype.kind not in "fiu" or not np.isfinite(peaks).all()):
        raise UserError(path, f"holds 'max' of type {peaks.dtype}", "give a finite number for every slice")
    rows: dict[tuple[str, str], list[int]] = {}
    for row in range(count):
        rows.setdefault((patients[row], acquisitions[row]), []).append(row)
    scans = []
    for (patient, acquisition), members in rows.items():
        part = "-".join(word for word in (patient, acquisition) if word)
        stated = patient_of(f"{name}/{part}" if part else name, images, patient)
        read = lambda i, members=members: _hdf5_image(path, key, members[i], peaks)  # noqa: E731
        identity = [*stamp(name, path), part]
        shape = (len(members), side[0], side[1])
        scans.append(_scan(f"{name}/{part}" if part else name, (stated, acquisition), identity, shape, read))
    return scans


def _dataset(path: Path, file: Any) -> str:
    candidates = [word for word in file if getattr(file[word], "ndim", 0) >= 3]
    named = [word for word in IMAGES if word in candidates]
    if not named and len(candidates) != 1:
        raise UserError(path, f"holds no data set of images among: {', '.join(file) or 'nothing'}",
                      "name it 'image': complex (slices, H, W), or real (slices, 2, H, W)")  # fmt: skip
    return str((named or candidates)[0])


def _complex_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int, int]:
    plain = dtype.kind == "c" and len(shape) == 3
    if plain or (dtype.kind in "fiu" and len(shape) == 4 and shape[1] == 2):
        check_claimed_size(path, *shape)
        return shape[0], shape[-2], shape[-1]
    kind = "magnitude images? " if dtype.kind in "fiu" and len(shape) == 3 else ""
    expected = "expected complex images (slices, H, W), or their real and imaginary parts (slices, 2, H, W)"
    raise UserError(path, f"holds {dtype} numbers of shape {shape}", f"{kind}{expected}")


def _as_complex(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        values if values.dtype.kind == "c" else values[0] + 1j * values[1].astype(np.float32), np.complex64
    )


def _hdf5_image(path: Path, key: str, row: int, peaks: np.ndarray | None) -> np.ndarray:
    import h5py

    try:
        with h5py.File(path) as file:
            image = _as_complex(np.asarray(file[key][row]))
    except Exception as error:  # as above
        raise UserError(path, f"cannot be read at slice {row} ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip
    peak = float(np.abs(image).max())
    return image if peaks is None or peak == 0 else image * np.float32(peaks[row] / peak)


def _labels(found: dict[str, np.ndarray], names: tuple[str, ...], count: int) -> list[str]:
    values = next((found[word] for word in names if word in found), None)
    if values is None:
        return [""] * count
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def list_nifti(images: Images, data: Path | None, key: str = "images.folders") -> list[VolumeInfo]:
    """Magnitude volumes in NIfTI files, cut along the axis of the thickest slices (the last one where all are equal).

    Raises:
        UserError: no data folder, no such file, nibabel is not installed, or a file that is damaged or no volume.
    """
    root = data_folder(key, data)
    return [_nifti_scan(name, path, images) for name, path in files_of(images, root, NIFTI, key)]


def _nifti_scan(name: str, path: Path, images: Images) -> VolumeInfo:
    shape, zooms = nifti_header(path)
    axis = max(range(3), key=lambda a: (round(zooms[a], 2), a))
    count = shape[axis]
    height, width = (length for a, length in enumerate(shape) if a != axis)
    read = lambda index: np.take(_nifti_values(path), index, axis).astype(np.complex64)  # noqa: E731
    labels = (patient_of(name, images), _contrast(name, images))
    return _scan(name, labels, stamp(name, path), (count, height, width), read, kind="magnitude")


@lru_cache(maxsize=8)
def _nifti_values(path: Path) -> np.ndarray:
    """The whole volume: compressed files cannot be read in part. Slices are read one after the other."""
    return nifti_volume(path)


def list_dicom(images: Images, data: Path | None, key: str = "images.folders") -> list[VolumeInfo]:
    """Magnitude volumes in DICOM files (also without an ending): a volume is a series, sorted along its normal.

    Raises:
        UserError: no data folder, no such file, pydicom is not installed, or a file that is damaged or no MR image.
    """
    root = data_folder(key, data)
    series: dict[tuple[str, str], list[tuple[float, str, Path, Header]]] = {}
    for name, path in files_of(images, root, DICOM, key, bare=True):
        header = dicom_header(path)
        series.setdefault((name.rpartition("/")[0], header.series), []).append((header.along, name, path, header))
    scans = []
    for (folder, uid), found in sorted(series.items()):
        files = sorted(found, key=lambda entry: entry[:2])
        first = files[0][3]
        sizes = {header.size for _, _, _, header in files}
        if len(sizes) > 1:
            spelt = ", ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
            raise UserError(files[0][2], f"lies in a series of slices of several sizes ({spelt})", "separate them")
        part = f"series-{first.number or uid[-6:]}"
        name = f"{folder}/{part}" if folder else part
        read = lambda index, files=files: dicom_image(files[index][2])  # noqa: E731
        identity = [stamp(file, path) for _, file, path, _ in files]
        height, width = next(iter(sizes))
        labels = (patient_of(name, images, first.patient), first.acquisition)
        scans.append(_scan(name, labels, identity, (len(files), height, width), read, kind="magnitude"))
    return scans


def _contrast(name: str, images: Images) -> str:
    """The first of the requested acquisitions that is a word of the file's name."""
    words = name.replace("/", "_").replace("-", "_").split(".")[0].split("_")
    return next((wanted for wanted in images.acquisition if wanted in words), "")


def _scan(
    name: str, labels: tuple[str, str], identity: Any, shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray], kind: str = "complex",
) -> VolumeInfo:  # fmt: skip
    count, height, width = shape
    if math.prod(shape) == 0:
        raise UserError(name, f"holds no image (shape {shape})", "remove it")
    return VolumeInfo(name, *labels, [kind, identity], count, (1, height, width), kind, read)
