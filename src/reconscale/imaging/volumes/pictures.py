"""Volumes of images, whose acquisition is simulated: complex images, and magnitudes in NIfTI and DICOM files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.imaging.folder import data_folder, files_of, stamp
from reconscale.imaging.volumes.kspace import HDF5, opened_array
from reconscale.imaging.volumes.scan import Scan, first_line, patient_of
from reconscale.mistakes import Mistake
from reconscale.study import Images

NIFTI, DICOM = (".nii", ".nii.gz"), (".dcm", ".dicom", ".ima")
IMAGES = ("image", "images", "image_ri", "complex", "data")
"""Names that the data set of complex images may have, unless it is the only candidate."""
PATIENTS, ACQUISITIONS = ("patient_id", "patient", "subject"), ("acquisition", "contrast", "plane")
"""Names of one-dimensional data sets that label every slice."""


def list_complex(images: Images, data: Path | None, key: str = "images.folders") -> list[Scan]:
    """Volumes of complex images: HDF5 files, and .npy files of one volume each.

    An array is complex (slices, H, W), or real (slices, 2, H, W) with real and imaginary parts. In an HDF5 file, data
    sets of one entry a slice may name its ``patient_id`` (or ``patient``, ``subject``), its ``acquisition`` (or
    ``contrast``, ``plane``), and the peak magnitude that it is scaled to (``max``); slices of one patient and
    acquisition, in the order of the file, are a volume.

    Raises:
        Mistake: no data folder, no such file, or a file that is damaged or of another layout.
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


def _complex_hdf5(name: str, path: Path, images: Images) -> list[Scan]:
    import h5py

    try:
        with h5py.File(path) as file:
            key = _dataset(path, file)
            count, *side = _complex_shape(path, file[key].shape, file[key].dtype)
            labels = {word: file[word][()] for word in file if file[word].shape == (count,)}
    except Mistake:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    patients = _labels(labels, PATIENTS, count)
    acquisitions = _labels(labels, ACQUISITIONS, count)
    peaks = labels.get("max")
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
        raise Mistake(path, f"holds no data set of images among: {', '.join(file) or 'nothing'}",
                      "name it 'image': complex (slices, H, W), or real (slices, 2, H, W)")  # fmt: skip
    return str((named or candidates)[0])


def _complex_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int, int]:
    if dtype.kind == "c" and len(shape) == 3:
        return shape[0], shape[1], shape[2]
    if dtype.kind in "fiu" and len(shape) == 4 and shape[1] == 2:
        return shape[0], shape[2], shape[3]
    kind = "magnitude images? " if dtype.kind in "fiu" and len(shape) == 3 else ""
    expected = "expected complex images (slices, H, W), or their real and imaginary parts (slices, 2, H, W)"
    raise Mistake(path, f"holds {dtype} numbers of shape {shape}", f"{kind}{expected}")


def _as_complex(values: np.ndarray) -> np.ndarray:
    return np.asarray(
        values if values.dtype.kind == "c" else values[0] + 1j * values[1].astype(np.float32), np.complex64
    )


def _hdf5_image(path: Path, key: str, row: int, peaks: np.ndarray | None) -> np.ndarray:
    import h5py

    with h5py.File(path) as file:
        image = _as_complex(np.asarray(file[key][row]))
    peak = float(np.abs(image).max())
    return image if peaks is None or peak == 0 else image * np.float32(peaks[row] / peak)


def _labels(found: dict[str, np.ndarray], names: tuple[str, ...], count: int) -> list[str]:
    values = next((found[word] for word in names if word in found), None)
    if values is None:
        return [""] * count
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()]


def list_nifti(images: Images, data: Path | None, key: str = "images.folders") -> list[Scan]:
    """Magnitude volumes in NIfTI files, cut along the axis of the thickest slices (the last one where all are equal).

    Raises:
        Mistake: no data folder, no such file, nibabel is not installed, or a file that is damaged or no volume.
    """
    root = data_folder(key, data)
    return [_nifti(name, path, images) for name, path in files_of(images, root, NIFTI, key)]


def _nifti(name: str, path: Path, images: Images) -> Scan:
    nibabel = _library("nibabel")
    try:
        header = nibabel.load(path).header
        shape, zooms = tuple(header.get_data_shape()), tuple(float(z) for z in header.get_zooms())
    except Exception as error:  # nibabel raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if len(shape) != 3 or min(shape) < 1:
        raise Mistake(path, f"holds an array of shape {shape}", "expected one magnitude volume of three axes")
    axis = max(range(3), key=lambda a: (round(zooms[a], 2), a))
    count = shape[axis]
    height, width = (length for a, length in enumerate(shape) if a != axis)
    read = lambda index: np.take(_nifti_values(path), index, axis).astype(np.complex64)  # noqa: E731
    labels = (patient_of(name, images), _contrast(name, images))
    return _scan(name, labels, stamp(name, path), (count, height, width), read, kind="magnitude")


@lru_cache(maxsize=8)
def _nifti_values(path: Path) -> np.ndarray:
    """The whole volume: compressed files cannot be read in part. Slices are asked for one after the other."""
    return nifti_volume(path)


def nifti_volume(path: Path) -> np.ndarray:
    """The magnitudes of a NIfTI file, in the order of the file.

    Raises:
        Mistake: nibabel is not installed, the file is damaged, or its numbers are complex.
    """
    try:
        values = np.asarray(_library("nibabel").load(path).dataobj)
    except Mistake:
        raise
    except Exception as error:  # as above
        raise Mistake(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if values.dtype.kind == "c":
        raise Mistake(path, "holds complex numbers", 'save them as .npy for source = "complex"')
    return values.astype(np.float32)


def list_dicom(images: Images, data: Path | None, key: str = "images.folders") -> list[Scan]:
    """Magnitude volumes in DICOM files (also without an ending): a volume is a series, sorted along its normal.

    Raises:
        Mistake: no data folder, no such file, pydicom is not installed, or a file that is damaged or no MR image.
    """
    root = data_folder(key, data)
    series: dict[tuple[str, str], list[tuple[float, str, Path, Any]]] = {}
    for name, path in files_of(images, root, DICOM, key, bare=True):
        header = _dicom_header(path)
        place = (name.rpartition("/")[0], str(header.get("SeriesInstanceUID", "")))
        series.setdefault(place, []).append((_along(header), name, path, header))
    scans = []
    for (folder, uid), found in sorted(series.items()):
        files = sorted(found, key=lambda entry: entry[:2])
        first = files[0][3]
        sizes = {(int(header.Rows), int(header.Columns)) for _, _, _, header in files}
        if len(sizes) > 1:
            spelt = ", ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
            raise Mistake(files[0][2], f"lies in a series of slices of several sizes ({spelt})", "separate them")
        acquisition = str(first.get("SeriesDescription", "") or first.get("ProtocolName", ""))
        stated = str(first.get("PatientID", ""))
        number = first.get("SeriesNumber", None)
        part = f"series-{number}" if number is not None else f"series-{uid[-6:]}"
        name = f"{folder}/{part}" if folder else part
        read = lambda index, files=files: _dicom_image(files[index][2])  # noqa: E731
        identity = [stamp(file, path) for _, file, path, _ in files]
        height, width = next(iter(sizes))
        labels = (patient_of(name, images, stated), acquisition)
        scans.append(_scan(name, labels, identity, (len(files), height, width), read, kind="magnitude"))
    return scans


def _dicom_header(path: Path) -> Any:
    pydicom = _library("pydicom")
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        _ = header.Rows, header.Columns
    except Exception as error:  # pydicom raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as DICOM ({first_line(error)})", "replace or remove the file") from error
    if int(header.get("NumberOfFrames", 1) or 1) != 1 or int(header.get("SamplesPerPixel", 1)) != 1:
        raise Mistake(path, "holds several frames or colours", "save every slice as a file of its own, in grey")
    return header


def _along(header: Any) -> float:
    """Position of a slice along the normal of its series; the instance number where positions are not given."""
    position, axes = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    if position is None or axes is None:
        return float(header.get("InstanceNumber", 0) or 0)
    normal = np.cross(np.array(axes[:3], float), np.array(axes[3:], float))
    return float(np.dot(normal, np.array(position, float)))


def _dicom_image(path: Path) -> np.ndarray:
    try:
        dataset = _library("pydicom").dcmread(path)
        slope, intercept = float(dataset.get("RescaleSlope", 1) or 1), float(dataset.get("RescaleIntercept", 0) or 0)
        return np.asarray(dataset.pixel_array.astype(np.float32) * slope + intercept, np.complex64)
    except Exception as error:  # as above
        raise Mistake(path, f"cannot be decoded ({first_line(error)})", "replace or remove the file") from error


def _contrast(name: str, images: Images) -> str:
    """The first of the acquisitions asked for that a file's name holds as a word."""
    words = name.replace("/", "_").replace("-", "_").split(".")[0].split("_")
    return next((wanted for wanted in images.acquisition if wanted in words), "")


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Mistake("images.source", f"needs the package {name}, which is not installed",
                      "pip install 'reconscale[mri]'") from error  # fmt: skip


def _scan(
    name: str, labels: tuple[str, str], identity: Any, shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray], kind: str = "complex",
) -> Scan:  # fmt: skip
    count, height, width = shape
    if math.prod(shape) == 0:
        raise Mistake(name, f"holds no image (shape {shape})", "remove it")
    return Scan(name, *labels, [kind, identity], count, (1, height, width), kind, read)
