"""Files of magnitude images: NIfTI and DICOM, whose claims are checked before anything is allocated for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.imaging.volumes.scan import DEFLATE, check_claims, first_line, regular
from reconscale.mistakes import Mistake

MOST_VOXELS = 1 << 30
"""Values of a NIfTI volume, which is read as a whole."""
MOST_HEADER = 1 << 24
"""Bytes before the values of a NIfTI file."""
DEFLATED = "1.2.840.10008.1.2.1.99"
"""The DICOM transfer syntax that is compressed as a whole."""


@dataclass(frozen=True)
class Header:
    """What is asked of the header of a DICOM file.

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
        Mistake: nibabel is not installed, the file is damaged, or it claims to be no volume or too large a one.
    """
    image = _nifti(path)
    shape, zooms = tuple(image.shape), tuple(float(zoom) for zoom in image.header.get_zooms())
    return (shape[0], shape[1], shape[2]), (zooms[0], zooms[1], zooms[2])


def nifti_volume(path: Path) -> np.ndarray:
    """The magnitudes of a NIfTI file, in the order of the file.

    Raises:
        Mistake: as :func:`nifti_header`, or its numbers are complex.
    """
    image = _nifti(path)
    try:
        values = np.asarray(image.dataobj)
    except Exception as error:  # nibabel raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if values.dtype.kind == "c":
        raise Mistake(path, "holds complex numbers", 'save them as .npy for source = "complex"')
    if values.dtype.kind not in "fiu":
        raise Mistake(path, f"holds values of type {values.dtype}", "save it with one number a voxel")
    return values.astype(np.float32)


def _nifti(path: Path) -> Any:
    """The image of a file, of which the header alone has been read."""
    nibabel = _library("nibabel")
    try:
        kinds = (nibabel.Nifti1Image, nibabel.Nifti2Image)  # not nibabel.load, which also reads kinds that hold XML
        kind = next((kind for kind in kinds if kind.path_maybe_image(regular(path))[0]), None)
        if kind is None:
            raise ValueError("it is no NIfTI file")
        _check_header(path, kind.header_class)
        image = kind.from_filename(path)
        shape, dtype = tuple(image.shape), image.get_data_dtype()
    except Mistake:
        raise
    except Exception as error:  # as above
        raise Mistake(path, f"cannot be read as NIfTI ({first_line(error)})", "replace or remove the file") from error
    if len(shape) != 3 or min(shape) < 1:
        raise Mistake(path, f"holds an array of shape {shape}", "expected one magnitude volume of three axes")
    size = math.prod(shape)
    smaller = DEFLATE if path.suffix.lower() == ".gz" else 1
    if size > MOST_VOXELS:
        raise Mistake(path, f"claims to hold {size:,} values", f"volumes have at most {MOST_VOXELS:,}")
    if size * dtype.itemsize > smaller * path.stat().st_size:
        found = f"cannot be read as NIfTI (a file of its size cannot hold the shape {shape} that it claims)"
        raise Mistake(path, found, "replace or remove the file")
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
        Mistake: pydicom is not installed, or the file is damaged, holds more than one slice, or is compressed as a
            whole.
    """
    pydicom = _library("pydicom")
    try:
        meta = pydicom.filereader.read_file_meta_info(regular(path))
        if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
            raise Mistake(path, "is a deflated DICOM file", "save it in another transfer syntax")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        frames, samples = header.get("NumberOfFrames", 1) or 1, header.get("SamplesPerPixel", 1) or 1
        if int(frames) != 1 or int(samples) != 1:
            raise Mistake(path, "holds several frames or colours", "save every slice as a file of its own, in grey")
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
    except Mistake:
        raise
    except Exception as error:  # pydicom raises classes of every kind on damaged files
        raise Mistake(path, f"cannot be read as DICOM ({first_line(error)})", "replace or remove the file") from error
    check_claims(path, 1, *size)
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
        Mistake: pydicom is not installed, or the file is damaged.
    """
    size = dicom_header(path).size
    try:
        dataset = _library("pydicom").dcmread(path)
        slope, intercept = float(dataset.get("RescaleSlope", 1) or 1), float(dataset.get("RescaleIntercept", 0) or 0)
        values = np.asarray(dataset.pixel_array.astype(np.float32) * slope + intercept, np.complex64)
        if values.shape != size:
            raise ValueError(f"it holds values of shape {values.shape}")
    except Exception as error:  # as above
        raise Mistake(path, f"cannot be decoded ({first_line(error)})", "replace or remove the file") from error
    return values


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise Mistake("images.source", f"needs the package {name}, which is not installed",
                      "pip install 'reconscale[mri]'") from error  # fmt: skip
