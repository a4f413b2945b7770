"""Volumes of images, whose acquisition is simulated: complex images, and magnitudes in NIfTI and DICOM files."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.imaging.folder import data_folder, files_of, stamp
from reconscale.imaging.volumes.kspace import HDF5, check_links, opened_array
from reconscale.imaging.volumes.magnitudes import Header, dicom_header, dicom_image, nifti_header, nifti_volume
from reconscale.imaging.volumes.scan import Scan, check_claims, first_line, patient_of, regular
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
        with h5py.File(regular(path)) as file:
            check_links(path, file)
            key = _dataset(path, file)
            count, *side = _complex_shape(path, file[key].shape, file[key].dtype)
            arrays = {word: held for word in file if isinstance(held := file[word], h5py.Dataset)}
            labels = {word: held[()] for word, held in arrays.items() if held.shape == (count,)}
    except Mistake:
        raise
    except Exception as error:  # h5py raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as HDF5 ({first_line(error)})", "replace or remove the file") from error
    patients = _labels(labels, PATIENTS, count)
    acquisitions = _labels(labels, ACQUISITIONS, count)
    peaks = labels.get("max")
    if peaks is not None and (peaks.dtype.kind not in "fiu" or not np.isfinite(peaks).all()):
        raise Mistake(path, f"holds 'max' of type {peaks.dtype}", "give a finite number for every slice")
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
    plain = dtype.kind == "c" and len(shape) == 3
    if plain or (dtype.kind in "fiu" and len(shape) == 4 and shape[1] == 2):
        check_claims(path, *shape)
        return shape[0], shape[-2], shape[-1]
    kind = "magnitude images? " if dtype.kind in "fiu" and len(shape) == 3 else ""
    expected = "expected complex images (slices, H, W), or their real and imaginary parts (slices, 2, H, W)"
    raise Mistake(path, f"holds {dtype} numbers of shape {shape}", f"{kind}{expected}")


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
        raise Mistake(path, f"cannot be read at slice {row} ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip
    peak = float(np.abs(image).max())
    return image if peaks is None or peak == 0 else image * np.float32(peaks[row] / peak)


def _labels(found: dict[str, np.ndarray], names: tuple[str, ...], count: int) -> list[str]:
    values = next((found[word] for word in names if word in found), None)
    if values is None:
        return [""] * count
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def list_nifti(images: Images, data: Path | None, key: str = "images.folders") -> list[Scan]:
    """Magnitude volumes in NIfTI files, cut along the axis of the thickest slices (the last one where all are equal).

    Raises:
        Mistake: no data folder, no such file, nibabel is not installed, or a file that is damaged or no volume.
    """
    root = data_folder(key, data)
    return [_nifti_scan(name, path, images) for name, path in files_of(images, root, NIFTI, key)]


def _nifti_scan(name: str, path: Path, images: Images) -> Scan:
    shape, zooms = nifti_header(path)
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


def list_dicom(images: Images, data: Path | None, key: str = "images.folders") -> list[Scan]:
    """Magnitude volumes in DICOM files (also without an ending): a volume is a series, sorted along its normal.

    Raises:
        Mistake: no data folder, no such file, pydicom is not installed, or a file that is damaged or no MR image.
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
            raise Mistake(files[0][2], f"lies in a series of slices of several sizes ({spelt})", "separate them")
        part = f"series-{first.number or uid[-6:]}"
        name = f"{folder}/{part}" if folder else part
        read = lambda index, files=files: dicom_image(files[index][2])  # noqa: E731
        identity = [stamp(file, path) for _, file, path, _ in files]
        height, width = next(iter(sizes))
        labels = (patient_of(name, images, first.patient), first.acquisition)
        scans.append(_scan(name, labels, identity, (len(files), height, width), read, kind="magnitude"))
    return scans


def _contrast(name: str, images: Images) -> str:
    """The first of the acquisitions asked for that a file's name holds as a word."""
    words = name.replace("/", "_").replace("-", "_").split(".")[0].split("_")
    return next((wanted for wanted in images.acquisition if wanted in words), "")


def _scan(
    name: str, labels: tuple[str, str], identity: Any, shape: tuple[int, int, int],
    read: Callable[[int], np.ndarray], kind: str = "complex",
) -> Scan:  # fmt: skip
    count, height, width = shape
    if math.prod(shape) == 0:
        raise Mistake(name, f"holds no image (shape {shape})", "remove it")
    return Scan(name, *labels, [kind, identity], count, (1, height, width), kind, read)
