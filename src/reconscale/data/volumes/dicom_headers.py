"""DICOM files one by one: what their headers say, and their pixels. What headers claim is checked before it is read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.volumes.scan import MOST_VOXELS, check_claimed_size, first_line, library, require_file
from reconscale.errors import UserError

DICOM = (".dcm", ".dicom", ".ima")
DEFLATED = "1.2.840.10008.1.2.1.99"
"""The DICOM transfer syntax that is compressed as a whole."""
UID = re.compile(r"([A-Za-z]+\.)?\d+(\.\d+){3,}")
"""A file name that is a unique identifier, as archives export it."""
NO_IMAGES = ("SEG", "SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "RTDOSE", "REG", "DOC")
"""Modalities of objects that are no images of a scanner."""
SCANNERS = ("", "MR", "CT", "PT", "NM", "US")
"""Modalities of scanners; the empty one is not stated."""
PARTS = {"P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "VELOCITY": "velocity", "VELOCITY MAP": "velocity",
         "R": "real", "REAL": "real", "I": "imaginary", "IMAGINARY": "imaginary"}  # fmt: skip
"""The third and fourth word of ImageType in images that are no magnitudes."""
GE_PART = (0x0043, 0x102F)
"""GE's private tag for the same: 0 magnitude, 1 phase, 2 real, 3 imaginary."""
GE_PARTS = {"1": "phase", "2": "real", "3": "imaginary"}
CONTRASTS = {"echo": "EchoNumbers", "te": "EchoTime", "ti": "InversionTime", "b": "DiffusionBValue"}
"""What tells volumes of one series apart that lie in the same place."""
REPEATS = {
    "time": "TemporalPositionIdentifier", "acq": "AcquisitionNumber", "trigger": "TriggerTime", "type": "ImageType",
}  # fmt: skip
"""What tells them apart where nothing of ``CONTRASTS`` does, and every value has a slice in every place."""


@dataclass(frozen=True)
class Header:
    """The header of a DICOM file.

    Attributes:
        instance, study, series: identifiers; empty where the file does not say.
        number: of the series, as text.
        patient, acquisition: empty where the file does not say.
        along: position along the normal of the series; the instance number where positions are not given.
        located: whether positions are given.
        place: position and directions, rounded; empty where positions are not given.
        contrasts: the values of ``CONTRASTS``, as text; empty where the file does not say.
        repeats: the same of ``REPEATS``.
        size: (rows, columns).
        frames: numbers of the frames, sorted along their normal.
        dtype: of its numbers, in a word.
    """

    instance: str
    study: str
    series: str
    number: str
    patient: str
    acquisition: str
    along: float
    located: bool
    place: tuple[float, ...]
    contrasts: tuple[str, ...]
    repeats: tuple[str, ...]
    size: tuple[int, int]
    frames: tuple[int, ...]
    dtype: str


def may_be_dicom(path: Path) -> bool:
    """Whether a file that has none of the endings of DICOM files may be one all the same.

    Its name has no ending, or is a unique identifier, or its content begins as DICOM does.
    """
    return "." not in path.name or UID.fullmatch(path.name) is not None or _begins_as_dicom(path)


def _begins_as_dicom(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def dicom_header(path: Path) -> Header | str:
    """The header of a DICOM file of grey slices; or, of a file without a magnitude image, what it is instead.

    Raises:
        UserError: pydicom is not installed, or the file is damaged, holds colours, mosaics or several contrasts, or is
            compressed as a whole.
    """
    pydicom = library("pydicom")
    if "." not in path.name and path.is_file() and not _begins_as_dicom(path):
        return "is no DICOM file"
    try:
        meta = pydicom.filereader.read_file_meta_info(require_file(path))
        if str(meta.get("TransferSyntaxUID", "")) == DEFLATED:
            raise UserError(path, "is a deflated DICOM file", "save it in another transfer syntax")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        other = _instead_of_magnitudes(header)
        if other:
            return other
        _refuse_kinds(path, header)
        found = _header(path, header)
    except UserError:
        raise
    except Exception as error:  # pydicom raises classes of every kind on damaged files
        raise UserError(path, f"cannot be read as DICOM ({first_line(error)})", "replace or remove the file") from error
    return found


def _header(path: Path, header: Any) -> Header:
    size, count = (int(header.Rows), int(header.Columns)), int(header.get("NumberOfFrames", 1) or 1)
    check_claimed_size(path, count, *size)
    if count * size[0] * size[1] > MOST_VOXELS:
        raise UserError(path, f"claims to hold {count * size[0] * size[1]:,} values",
                        f"volumes have at most {MOST_VOXELS:,}")  # fmt: skip
    number, along = header.get("SeriesNumber", None), _along(header)
    if not math.isfinite(along):
        raise ValueError("its position is not finite")
    signed = "" if int(header.get("PixelRepresentation", 0) or 0) else "u"
    return Header(
        instance=str(header.get("SOPInstanceUID", "")),
        study=str(header.get("StudyInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        number="" if number is None else str(number),
        patient=str(header.get("PatientID", "") or ""),
        acquisition=str(header.get("SeriesDescription", "") or header.get("ProtocolName", "")),
        along=along,
        located=_position(header) is not None,
        place=_place(header),
        contrasts=tuple(_text(header.get(keyword, None)) for keyword in CONTRASTS.values()),
        repeats=tuple(_joined_text(header.get(keyword, None)) for keyword in REPEATS.values()),
        size=size,
        frames=_order(path, header, count) if count > 1 else (0,),
        dtype=f"{signed}int{int(header.get('BitsAllocated', 16) or 16)}",
    )


def _instead_of_magnitudes(header: Any) -> str:
    """What a file holds instead of a magnitude image; empty where it holds one."""
    modality = _text(header.get("Modality", None))
    if "DirectoryRecordSequence" in header:
        return "holds no image (DICOMDIR)"
    if modality in SCANNERS and "Rows" not in header and _is_of_images(header):
        raise ValueError("it ends before it says how large its image is")
    if modality in NO_IMAGES or "Rows" not in header:
        return f"holds no image of a scanner ({modality or 'no modality stated'})"
    words = [str(word).upper() for word in _values(header.get("ImageType", None))]
    component = _text(header.get("ComplexImageComponent", None)).upper()
    ge = _text(header[GE_PART].value) if GE_PART in header else ""
    if {"SCREEN SAVE", "SCREENSHOT"} & set(words):
        return "is a screenshot"
    part = next((PARTS[word] for word in (*words[2:4], component) if word in PARTS), GE_PARTS.get(ge, ""))
    return f"is a {part} image, no magnitude image" if part else ""


def _is_of_images(header: Any) -> bool:
    """Whether a file is to hold an image, by its class; without one it is taken to."""
    found = header.get("SOPClassUID", None)
    return found is None or "Image Storage" in found.name


def _refuse_kinds(path: Path, header: Any) -> None:
    """Refuse images whose values are no grey magnitudes of one slice each."""
    samples, photometric = header.get("SamplesPerPixel", 1) or 1, _text(header.get("PhotometricInterpretation", None))
    if int(samples) != 1 or photometric not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise UserError(path, f"holds colours ({photometric or samples})", "save every slice in grey, or remove it")
    if photometric == "MONOCHROME1":
        raise UserError(path, "is MONOCHROME1: its smallest values are the brightest", "save it as MONOCHROME2")
    if "MOSAIC" in [str(word).upper() for word in _values(header.get("ImageType", None))]:
        raise UserError(path, "is a mosaic, which shows several slices as tiles of one image",
                        'convert it with dcm2niix, and give the volumes through source = "nifti"')  # fmt: skip


def _values(found: Any) -> list[Any]:
    return [] if found is None else [found] if isinstance(found, str) else list(found)


def _text(found: Any) -> str:
    """A value as text; of several values the first; empty for none."""
    if found is None or isinstance(found, str):
        return found or ""
    if isinstance(found, bytes):
        return found.decode("latin-1")
    if hasattr(found, "__len__"):
        return _text(found[0]) if len(found) else ""
    return str(found)


def _joined_text(found: Any) -> str:
    """A value as text; of several values all, with points between them."""
    values = found if not isinstance(found, str) and hasattr(found, "__len__") else [found]
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", ".".join(map(_text, values)))


def _place(header: Any) -> tuple[float, ...]:
    """Where a slice lies and how it is turned; empty where that is not given."""
    if _position(header) is None:
        return ()
    numbers = (*header.get("ImagePositionPatient"), *header.get("ImageOrientationPatient"))
    return tuple(round(float(number), 3) for number in numbers)


def _position(header: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Position and normal of a slice; none where they are not given."""
    position, axes = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
    if not position or not axes:
        return None
    normal = np.cross(np.array(axes[:3], float), np.array(axes[3:], float))
    return np.array(position, float), normal


def _along(header: Any) -> float:
    found = _position(header)
    if found is None:
        return float(header.get("InstanceNumber", 0) or 0)
    return float(np.dot(found[1], found[0]))


def _order(path: Path, header: Any, count: int) -> tuple[int, ...]:
    """The numbers of the frames of a file, sorted along their normal; those at one place as the file has them.

    Raises:
        UserError: they are of several kinds or echoes.
    """
    frames = [_frame(header, number) for number in range(count)]
    for what, values in (("kinds of image", {kind for kind, _, _ in frames}), ("echoes", {te for _, te, _ in frames})):
        if len(values) > 1:
            spelt = ", ".join(sorted(map(str, values)))
            raise UserError(path, f"holds frames of several {what} ({spelt})",
                            "save each as a series of its own, with the magnitudes alone")  # fmt: skip
    places = [along for _, _, along in frames]
    if any(place is None for place in places):
        return tuple(range(count))
    return tuple(sorted(range(count), key=lambda number: (places[number], number)))


def _frame(header: Any, number: int) -> tuple[str, str, float | None]:
    """The kind of a frame, its echo time, and its place along the normal."""
    own, shared = _groups(header, number)
    kind = _nested(own, shared, "MRImageFrameTypeSequence", "ComplexImageComponent")
    echo = _nested(own, shared, "MREchoSequence", "EffectiveEchoTime")
    position = _nested(own, shared, "PlanePositionSequence", "ImagePositionPatient")
    axes = _nested(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    along = None
    if position is not None and axes is not None:
        normal = np.cross(np.array(axes[:3], float), np.array(axes[3:], float))
        along = float(np.dot(normal, np.array(position, float)))
    return _text(kind), _text(echo), along


def _groups(header: Any, number: int) -> tuple[Any, Any]:
    """What an enhanced file says of one frame, and of all."""
    own, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    return own[number] if own else None, shared[0] if shared else None


def _nested(own: Any, shared: Any, sequence: str, keyword: str) -> Any:
    for group in (own, shared):
        found = group.get(sequence) if group is not None else None
        if found and keyword in found[0]:
            return found[0].get(keyword)
    return None


def dicom_image(path: Path, header: Header, frame: int = 0) -> np.ndarray:
    """The magnitudes of a frame of a DICOM file, rescaled as it says: complex64 (rows, columns).

    Raises:
        UserError: pydicom is not installed, or the file is damaged.
    """
    try:
        return _rescaled(path, header, frame)
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(path, f"cannot be decoded ({first_line(error)})", "replace or remove the file") from error


def _rescaled(path: Path, header: Header, frame: int) -> np.ndarray:
    dataset = _dataset(path, path.stat().st_mtime_ns) if len(header.frames) > 1 else library("pydicom").dcmread(path)
    own, shared = _groups(dataset, frame)
    stated = dict.fromkeys(("RescaleSlope", "RescaleIntercept"))
    for word in stated:
        nested = _nested(own, shared, "PixelValueTransformationSequence", word)
        stated[word] = dataset.get(word, None) if nested is None else nested
    slope, intercept = float(stated["RescaleSlope"] or 1), float(stated["RescaleIntercept"] or 0)
    pixels = dataset.pixel_array
    if pixels.shape != ((len(header.frames),) * (len(header.frames) > 1) + header.size):
        raise ValueError(f"it holds values of shape {pixels.shape}")
    pixels = pixels[frame] if len(header.frames) > 1 else pixels
    padding = dataset.get("PixelPaddingValue", None)
    if padding is not None and float(padding) * slope + intercept > 0 and (pixels == float(padding)).any():
        found = f"marks pixels outside the image with the value {padding} (PixelPaddingValue), which is no magnitude"
        raise UserError(path, found, "set them to 0 first")
    return np.asarray(pixels.astype(np.float32) * slope + intercept, np.complex64)


@lru_cache(maxsize=4)
def _dataset(path: Path, changed: int) -> Any:
    """A file of several frames, whose pixels pydicom keeps once they are decoded."""
    del changed
    return library("pydicom").dcmread(path)
