"""Measured k-space from ISMRMRD raw data (https://ismrmrd.org): Cartesian, two-dimensional, fully sampled.

A file is a list of acquisitions: lines of k-space with counters and flags. Lines of the image are told from others by
their flags, and lines of different encodings, averages, contrasts, phases, repetitions and sets are different volumes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.fft

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.arrays import HDF5
from reconscale.data.volumes.ismrmrd_headers import COUNTERS, READING, Encoding, Lines, group_of, lines_of
from reconscale.data.volumes.scan import (
    LEAST_SIDE,
    MOST_COILS,
    KSpaceLocation,
    VolumeInfo,
    VolumeListing,
    check_claimed_size,
    first_line,
    library,
    patient_of,
    scan_each,
)
from reconscale.errors import UserError
from reconscale.study import Images

ENDINGS = (*HDF5, ".mrd")
GAPS = 0.02
"""Part of the lines between the first and the last that may be missing: one may be lost."""
ARRAYS = 'save arrays of k-space for source = "kspace-array"'


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
    others = lines_of(first.place).others
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
        place = KSpaceLocation(path, group_of(path, images.dataset), "", None, part=())
        lines = lines_of(place)
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

    lines = lines_of(place)
    assert place.part is not None
    members = _of_part(lines, place.part)
    numbers = np.unique(lines.slices[members])
    members = members[lines.slices[members] == numbers[index]]
    encoding = lines.encodings[place.part[0]]
    kept, first = _readout(place.path, encoding, lines.samples[members[0]])
    columns = _columns(place.path, lines, members, encoding, ("", True))
    count = int(lines.samples[members[0], 0])
    with READING, h5py.File(place.path) as file:
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
