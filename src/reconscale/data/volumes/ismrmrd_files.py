"""Measured k-space from ISMRMRD raw data (https://ismrmrd.org): Cartesian, two-dimensional, fully sampled.

A file is a list of acquisitions: lines of k-space with counters and flags. Lines of the image are told from others by
their flags, and lines of different encodings, averages, contrasts, phases, repetitions and sets are different volumes.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.arrays import HDF5, check_links
from reconscale.data.volumes.scan import (
    DEFLATE,
    LEAST_SIDE,
    MOST_COILS,
    KSpaceLocation,
    VolumeInfo,
    VolumeListing,
    check_claimed_size,
    first_line,
    library,
    patient_of,
    require_file,
    scan_each,
)
from reconscale.errors import UserError
from reconscale.study import Images

ENDINGS = (*HDF5, ".mrd")
MOST_ACQUISITIONS = 1 << 20
"""Acquisitions that a file may have."""
MOST_HEADER = 1 << 24
"""Bytes of the header."""
GAPS = 0.02
"""Part of the lines between the first and the last that may be missing: one may be lost."""
COUNTERS = ("average", "contrast", "phase", "repetition", "set")
"""What tells volumes of one encoding apart."""
_HEAD = ("flags", "number_of_samples", "active_channels", "discard_pre", "discard_post", "center_sample",
         "encoding_space_ref", "idx")  # fmt: skip
OTHER_LINES = {
    "NOISE_MEASUREMENT": "noise scan", "PARALLEL_CALIBRATION": "calibration line", "NAVIGATION_DATA": "navigator",
    "PHASECORR_DATA": "phase correction line", "HPFEEDBACK_DATA": "feedback line", "DUMMYSCAN_DATA": "dummy scan",
    "RTFEEDBACK_DATA": "feedback line", "SURFACECOILCORRECTIONSCAN_DATA": "coil correction line",
    "PHASE_STABILIZATION_REFERENCE": "phase reference", "PHASE_STABILIZATION": "phase reference",
}  # fmt: skip
"""Flags of acquisitions that are no lines of the image, and what they are."""
ARRAYS = 'save arrays of k-space for source = "kspace-array"'


_READING = threading.Lock()
"""One thread at a time: h5py 3.16 crashes where two read a field of compound rows of variable length."""


@dataclass(frozen=True)
class Encoding:
    """What the header says of an encoding.

    Attributes:
        matrix: samples along the readout, and lines, of the encoded space.
        readout: samples along the readout that the image needs; fewer where the readout is oversampled.
        centre: the line of the zero frequency.
        trajectory: its kind.
    """

    matrix: tuple[int, int]
    readout: int
    centre: int
    trajectory: str


@dataclass(frozen=True, eq=False)
class Lines:
    """The acquisitions of a file that are lines of its images.

    Attributes:
        rows: (N,) their numbers in the file.
        part: (N, 6) encoding and ``COUNTERS``.
        slices: (N,) the slice.
        steps: (N, 2) the encoding steps.
        samples: (N, 4) number of samples, those to discard before and behind, and the sample of the zero frequency.
        coils: (N,) channels.
        reverse: (N,) whether they were measured backwards.
        encodings: by number.
        patient, protocol: as the header states them, or empty.
        others: acquisitions that are no lines: what they are -> how many.
    """

    rows: np.ndarray
    part: np.ndarray
    slices: np.ndarray
    steps: np.ndarray
    samples: np.ndarray
    coils: np.ndarray
    reverse: np.ndarray
    encodings: tuple[Encoding, ...]
    patient: str
    protocol: str
    others: dict[str, int]


def list_ismrmrd(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """The volumes of ISMRMRD files: one for each encoding, average, contrast, phase, repetition and set in a file.

    Raises:
        UserError: no data folder, no such file, ismrmrd is not installed, or a file that is damaged, not Cartesian, of
            three dimensions, or undersampled.
    """
    library("ismrmrd", "ismrmrd")
    files = files_of(images, data_folder(key, data), ENDINGS, key)
    scans, left_out = scan_each(files, images, lambda name, path: scan_ismrmrd(name, path, images))
    others = [(name, sentence) for found in scans for name, sentence in _about_others(found[0])]
    return VolumeListing(tuple(scan for found in scans for scan in found), (*left_out, *others))


def _about_others(first: VolumeInfo) -> list[tuple[str, str]]:
    """What the file of a volume holds besides lines of images: a label and a sentence, or nothing."""
    assert first.place is not None
    others = _lines(first.place).others
    named = f"{first.place.path.name}, {sum(others.values())} acquisitions"
    return [(named, f"are no lines of an image: {_counted(others)}")] if others else []


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}{'s' * (count > 1)}" for what, count in sorted(found.items()))


def scan_ismrmrd(name: str, path: Path, images: Images, *, undersampled: bool = False) -> list[VolumeInfo]:
    """The volumes of one file, from its header and those of its acquisitions.

    Args:
        name: of the file.
        path: the file.
        images: the options; ``dataset`` names the group, where there are several.
        undersampled: whether lines may be missing.

    Raises:
        UserError: see :func:`list_ismrmrd`.
    """
    library("ismrmrd", "ismrmrd")
    try:
        place = KSpaceLocation(path, _group_of(path, images.dataset), "", None, part=())
        lines = _lines(place)
    except UserError:
        raise
    except Exception as error:  # h5py and ismrmrd raise classes of every kind on damaged files
        raise UserError(
            path, f"cannot be read as ISMRMRD ({first_line(error)})", "replace or remove the file"
        ) from error
    if not len(lines.rows):
        found = f"holds no line of an image ({_counted(lines.others) or 'no acquisition'})"
        raise UserError(path, found, "replace or remove the file")
    parts = np.unique(lines.part, axis=0)
    varying = [column for column in range(parts.shape[1]) if len(np.unique(parts[:, column])) > 1]
    words = ("encoding", *COUNTERS)
    scans = []
    for part in parts:
        label = " ".join(f"{words[column]} {part[column]}" for column in varying)
        shape, count = _shape_of(path, lines, part, label, undersampled)
        full = f"{name}/{label.replace(' ', '-')}" if label else name
        where = KSpaceLocation(path, place.key, "", None, part=tuple(map(int, part)))
        patient = patient_of(name, images, lines.patient or (name if len(parts) > 1 else ""))
        acquisition = " ".join(word for word in (lines.protocol, label) if word)
        identity = [*stamp(name, path), place.key, list(where.part or ())]
        read = lambda index, where=where, shape=shape: read_acquired(where, shape, index)  # noqa: E731
        scans.append(VolumeInfo(full, patient, acquisition, identity, count, shape, "kspace", read, place=where,
                                dtype="complex64"))  # fmt: skip
    return scans


def is_ismrmrd(path: Path) -> bool:
    """Whether an HDF5 file has a group of ISMRMRD."""
    import h5py

    try:
        with h5py.File(require_file(path)) as file:
            return bool(_groups(file))
    except UserError:
        raise
    except Exception:  # as above; who reads it says why
        return False


def header_of(file: Any) -> bytes | None:
    """The XML header of an opened HDF5 file: of ISMRMRD, or as fastMRI keeps it; none: there is none."""
    held = (
        file["ismrmrd_header"] if "ismrmrd_header" in file else next((file[key]["xml"] for key in _groups(file)), None)
    )
    return _text(held) if held is not None and getattr(held, "size", 0) == 1 and held.dtype.kind in "OS" else None


def _text(held: Any) -> bytes:
    text = held[0] if held.shape else held[()]
    return text if isinstance(text, bytes) else str(text).encode()


def _groups(file: Any) -> list[str]:
    import h5py

    return [name for name in file if isinstance(file.get(name, getlink=True), h5py.HardLink)
            and isinstance(file[name], h5py.Group) and {"xml", "data"} <= set(file[name])]  # fmt: skip


def _group_of(path: Path, dataset: str | None) -> str:
    import h5py

    with h5py.File(require_file(path)) as file:
        check_links(path, file)
        names = _groups(file)
        if dataset is not None and dataset not in names:
            raise UserError(path, f"has no group '{dataset}' of acquisitions (it has: {', '.join(names) or 'none'})",
                            "correct images.dataset")  # fmt: skip
        if dataset is None and len(names) != 1:
            found = f"holds {len(names)} groups of acquisitions" + f" ({', '.join(names[:6])})" * bool(names)
            remedy = f'name one, such as images.dataset = "{names[0]}"' if names else (
                "an ISMRMRD file holds a group with 'xml' and 'data'; replace or remove it")  # fmt: skip
            raise UserError(path, found, remedy)
        key = dataset or names[0]
        check_links(path, file[key])
        return key


def _lines(place: KSpaceLocation) -> Lines:
    return _lines_of(place.path, place.key, place.path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _lines_of(path: Path, key: str, changed: int) -> Lines:
    """The headers of all acquisitions of a file, as long as it is the same; slices are read one after the other."""
    import h5py

    del changed
    with _READING, h5py.File(path) as file:
        group = file[key]
        encodings, patient, protocol = _header(path, group["xml"])
        held = group["data"]
        if held.dtype.names is None or not {"head", "data"} <= set(held.dtype.names) or held.ndim != 1:
            raise UserError(path, f"holds '{key}/data', which is no list of acquisitions", "replace or remove the file")
        size = held.shape[0] * held.dtype.itemsize
        if held.shape[0] > MOST_ACQUISITIONS or size > DEFLATE * path.stat().st_size:
            raise UserError(path, f"claims to hold {held.shape[0]:,} acquisitions", "replace or remove the file")
        heads = held.fields("head")[:]
    if heads.dtype.names is None or not set(_HEAD) <= set(heads.dtype.names):
        raise UserError(path, "holds acquisitions without the headers of ISMRMRD", "replace or remove the file")
    chosen, others = _told_apart(heads["flags"])
    heads = heads[chosen]
    idx = heads["idx"]
    part = np.stack([heads["encoding_space_ref"], *(idx[name] for name in COUNTERS)], axis=1).astype(np.int64)
    steps = np.stack([idx["kspace_encode_step_1"], idx["kspace_encode_step_2"]], axis=1).astype(np.int64)
    samples = [heads[name] for name in ("number_of_samples", "discard_pre", "discard_post", "center_sample")]
    coils, reverse = heads["active_channels"].astype(np.int64), _flagged(heads["flags"], "REVERSE")
    return Lines(
        chosen, part, idx["slice"].astype(np.int64), steps, np.stack(samples, axis=1).astype(np.int64),
        coils, reverse, encodings, patient, protocol, others,
    )  # fmt: skip


def _flagged(flags: np.ndarray, word: str) -> np.ndarray:
    constants = library("ismrmrd.constants", "ismrmrd")
    prefix = "ACQ_IS_"
    return np.asarray((flags.astype(np.uint64) >> np.uint64(getattr(constants, prefix + word) - 1)) & np.uint64(1)) > 0


def _told_apart(flags: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """The numbers of the lines of images, and what the other acquisitions are."""
    rest = np.ones(len(flags), bool)
    others: dict[str, int] = {}
    for word, what in OTHER_LINES.items():
        here = rest & _flagged(flags, word)
        if word == "PARALLEL_CALIBRATION":
            here &= ~_flagged(flags, "PARALLEL_CALIBRATION_AND_IMAGING")
        rest &= ~here
        if here.any():
            others[what] = others.get(what, 0) + int(here.sum())
    return np.flatnonzero(rest), others


def _header(path: Path, held: Any) -> tuple[tuple[Encoding, ...], str, str]:
    """The encodings, the patient and the protocol of the header, which is XML."""
    text = _text(held)
    if len(text) > MOST_HEADER or re.search(rb"<!(DOCTYPE|ENTITY)", text):
        raise UserError(path, "has a header that is no plain XML of ISMRMRD", "replace or remove the file")
    schema = library("ismrmrd.xsd", "ismrmrd")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a value that is none of its type is only warned of
        header = schema.CreateFromDocument(text)
    encodings = tuple(_encoding(encoding) for encoding in header.encoding)
    subject, measured = header.subjectInformation, header.measurementInformation
    patient = str((subject.patientID or "") if subject is not None else "")
    protocol = str((measured.protocolName or "") if measured is not None else "")
    return encodings, patient, protocol


def _encoding(encoding: Any) -> Encoding:
    space, wanted = encoding.encodedSpace, encoding.reconSpace
    x, y = int(space.matrixSize.x), int(space.matrixSize.y)
    full, part = float(space.fieldOfView_mm.x), float(wanted.fieldOfView_mm.x)
    readout = round(x * part / full) if full > 0 and 0 < part < 0.99 * full else x
    limits = encoding.encodingLimits
    step = limits.kspace_encoding_step_1 if limits is not None else None
    trajectory = str(getattr(encoding.trajectory, "value", encoding.trajectory)).lower()
    return Encoding((x, y), readout, int(step.center) if step is not None else y // 2, trajectory)


def _of_part(lines: Lines, part: Iterable[int]) -> np.ndarray:
    return np.flatnonzero((lines.part == np.asarray(tuple(part))).all(1))


def _shape_of(
    path: Path, lines: Lines, part: np.ndarray, label: str, undersampled: bool
) -> tuple[tuple[int, int, int], int]:
    """(coils, readout, lines) of a volume, and its slices; refuses what is no fully sampled Cartesian one."""
    called = f" of {label}" if label else ""
    number = int(part[0])
    if number >= len(lines.encodings):
        raise UserError(path, f"has lines of encoding {number}, which its header does not describe", "replace the file")
    encoding, members = lines.encodings[number], _of_part(lines, part)
    if encoding.trajectory != "cartesian":
        raise UserError(path, f"was measured along a {encoding.trajectory[:20]} trajectory", f"grid it first: {ARRAYS}")
    steps = lines.steps[members]
    if len(np.unique(steps[:, 1])) > 1:
        found = f"is three-dimensional ({len(np.unique(steps[:, 1]))} partitions{called})"
        raise UserError(path, found, f"transform it along the partitions, and {ARRAYS}")
    if lines.reverse[members].any():
        found = f"holds lines that were measured backwards{called}, as echo-planar imaging does"
        raise UserError(path, found, f"correct their phase first: {ARRAYS}")
    if len(np.unique(lines.coils[members])) > 1 or len(np.unique(lines.samples[members], axis=0)) > 1:
        raise UserError(path, f"holds lines of different lengths or numbers of coils{called}", ARRAYS)
    coils = int(lines.coils[members[0]])
    shape = (coils, encoding.readout, encoding.matrix[1])
    numbers = np.unique(lines.slices[members])
    check_claimed_size(path, len(numbers), *shape)
    check_claimed_size(path, 1, coils, *encoding.matrix)
    if not (1 <= coils <= MOST_COILS) or min(shape[1:]) < LEAST_SIDE:
        found = f"holds k-space of {coils} coils, {shape[1]} x {shape[2]}{called}"
        raise UserError(
            path, found, f"slices have at least {LEAST_SIDE} x {LEAST_SIDE} pixels and {MOST_COILS} coils at most"
        )
    _readout(path, encoding, lines.samples[members[0]])
    for index in range(len(numbers)):
        _columns(path, lines, members[lines.slices[members] == numbers[index]], encoding, (called, undersampled))
    return shape, len(numbers)


def _readout(path: Path, encoding: Encoding, samples: np.ndarray) -> tuple[slice, int]:
    """Which samples of a line count, and where the first of them lies in the encoded matrix.

    A line of full length that does not say where its zero frequency is has it in the middle.
    """
    count, before, behind, centre = map(int, samples)
    centre = count // 2 if centre == 0 and count == encoding.matrix[0] else centre
    first = encoding.matrix[0] // 2 - centre
    if before + behind >= count or first + before < 0 or first + count - behind > encoding.matrix[0]:
        found = f"has lines of {count} samples centred at {centre}, which do not fit the {encoding.matrix[0]} encoded"
        raise UserError(path, found, "replace or remove the file")
    return slice(before, count - behind), first + before


def _columns(path: Path, lines: Lines, members: np.ndarray, encoding: Encoding, how: tuple[str, bool]) -> np.ndarray:
    """The column of every line of a slice."""
    called, undersampled = how
    columns = lines.steps[members, 0] - encoding.centre + encoding.matrix[1] // 2
    where = f"slice {lines.slices[members[0]]}{called}"
    if columns.min() < 0 or columns.max() >= encoding.matrix[1]:
        found = f"holds a line of {where} outside the {encoding.matrix[1]} that it encodes"
        raise UserError(path, found, "replace or remove the file")
    there, times = np.unique(columns, return_counts=True)
    if times.max() > 1:
        found = (
            f"holds {int((times > 1).sum())} lines of {where} more than once, and its counters do not tell them apart"
        )
        raise UserError(path, found, f"average them, or leave them out: {ARRAYS}")
    span = int(there[-1] - there[0] + 1)
    if not undersampled and span - len(there) > GAPS * span:
        found = f"holds {len(there)} of {span} lines of {where}: its k-space is undersampled"
        raise UserError(path, f"{found}, and its zero-filled image is no ground truth", "give fully sampled k-space")
    return np.asarray(columns)


def read_acquired(place: KSpaceLocation, shape: tuple[int, int, int], index: int) -> np.ndarray:
    """The k-space of one slice, without the oversampling of the readout; what was not measured is 0.

    Args:
        place: where its file is, and which part of it.
        shape: (coils, rows, columns): rows along the readout.
        index: of the slice, among those of the part.

    Returns:
        complex64 (coils, rows, columns).

    Raises:
        UserError: the file has gone, or was cut short.
    """
    try:
        return _read(place, shape, index)
    except UserError:
        raise
    except Exception as error:  # as above
        raise UserError(place.path, f"cannot be read at slice {index} ({first_line(error)})",
                      "replace or remove the file") from error  # fmt: skip


def _read(place: KSpaceLocation, shape: tuple[int, int, int], index: int) -> np.ndarray:
    import h5py

    lines = _lines(place)
    assert place.part is not None
    members = _of_part(lines, place.part)
    numbers = np.unique(lines.slices[members])
    members = members[lines.slices[members] == numbers[index]]
    encoding = lines.encodings[place.part[0]]
    kept, first = _readout(place.path, encoding, lines.samples[members[0]])
    columns = _columns(place.path, lines, members, encoding, ("", True))
    count = int(lines.samples[members[0], 0])
    with _READING, h5py.File(place.path) as file:
        rows = file[place.key]["data"].fields("data")[lines.rows[members]]
    found = np.zeros((shape[0], encoding.matrix[0], shape[2]), np.complex64)
    for column, row in zip(columns, rows, strict=True):
        if row.size != 2 * shape[0] * count:
            raise ValueError(f"a line holds {row.size} numbers where {2 * shape[0] * count} are expected")
        line = np.ascontiguousarray(row, np.float32).view(np.complex64).reshape(shape[0], count)[:, kept]
        found[:, first : first + line.shape[1], column] = line
    return found if shape[1] == encoding.matrix[0] else _without_oversampling(found, shape[1])


def _without_oversampling(kspace: np.ndarray, rows: int) -> np.ndarray:
    """K-space of the middle of the image along the readout."""
    shifted = scipy.fft.ifftshift(kspace, 1)
    image = scipy.fft.fftshift(scipy.fft.ifft(shifted, axis=1, norm="ortho"), 1)
    start = kspace.shape[1] // 2 - rows // 2
    middle = scipy.fft.ifftshift(image[:, start : start + rows], 1)
    return np.ascontiguousarray(scipy.fft.fftshift(scipy.fft.fft(middle, axis=1, norm="ortho"), 1), np.complex64)
