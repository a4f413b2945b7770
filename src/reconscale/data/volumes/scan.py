"""The header of a volume, before it is read in full."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reconscale.errors import UserError
from reconscale.laws.unit_values import SUBJECTS
from reconscale.study import Images

T = TypeVar("T")

MOST_COILS = 128
"""An axis of more coils than this is taken for rows or columns in the wrong place."""

LEAST_SIDE = 16
"""A slice has at least this many rows and columns."""

MOST_VALUES = 1 << 28
"""A slice has at most this many values in all coils: 2 GiB as complex64."""

MOST_SLICES = 1 << 20
"""A file has at most this many slices."""

MOST_VOXELS = 1 << 30
"""Values of a volume that is read as a whole, such as one of NIfTI."""

DEFLATE = 1032
"""Deflate makes data at most this many times smaller."""


@dataclass(frozen=True)
class KSpaceLocation:
    """The place of the k-space of a volume on the disk.

    Attributes:
        path: the HDF5, MATLAB or .npy file.
        key: the data set in an HDF5 or MATLAB file; empty for .npy.
        axes: the order of its axes in the file: ``s`` slices, ``t`` frames, ``c`` coils (not there: a single one),
            ``h`` rows, ``w`` columns.
        offset: where a contiguous complex64 array of axes ``schw`` or ``shw`` begins, in bytes; none: it must be read
            through its library.
        frames: of every slice: their number.
        part: of an ISMRMRD file, whose ``key`` is the group: encoding and counters of the volume; none: it is another.
    """

    path: Path
    key: str
    axes: str
    offset: int | None
    frames: int = 1
    part: tuple[int, ...] | None = None


@dataclass(frozen=True)
class VolumeInfo:
    """A volume as its file describes it.

    Attributes:
        name: unique: the file's path below the data folder, and the part of the file where it holds several.
        patient: the patient, or empty where the file does not state it.
        acquisition: the contrast or plane, or empty.
        identity: a JSON value of everything that decides its values.
        count: number of slices.
        shape: (coils, rows, columns) of what is read.
        kind: ``kspace`` (measured), ``complex`` or ``magnitude`` (images whose acquisition is simulated).
        read: slice number -> complex64: k-space (coils, H, W), or an image (H, W).
        truth: slice number -> (h, w) float32, the reconstruction that the file holds; none: it is computed.
        maximum: the largest value of the truth, as the file states it; none: it is computed.
        place: where measured k-space lies; none for images.
        dtype: the type of the numbers in the file, in a word; empty: not known.
    """

    name: str
    patient: str
    acquisition: str
    identity: Any
    count: int
    shape: tuple[int, int, int]
    kind: str
    read: Callable[[int], np.ndarray]
    truth: Callable[[int], np.ndarray] | None = None
    maximum: float | None = None
    place: KSpaceLocation | None = None
    dtype: str = ""


@dataclass(frozen=True)
class VolumeListing:
    """The volumes of a source.

    Attributes:
        volumes: as their files describe them, each with a name of its own.
        left_out: files that hold no volume, or cannot be read: (name, reason).
    """

    volumes: tuple[VolumeInfo, ...]
    left_out: tuple[tuple[str, str], ...] = ()


class StudyMistakeError(UserError):
    """An option of the study does not fit a file: leaving the file out does not help."""


def scan_each(
    files: Iterable[tuple[str, Path]], images: Images, scan: Callable[[str, Path], T]
) -> tuple[list[T], list[tuple[str, str]]]:
    """What ``scan`` makes of every file, and what it refuses where ``images.unreadable`` says ``skip``.

    Args:
        files: name and path of each.
        images: the options.
        scan: gives the header of a file, or raises a UserError.

    Returns:
        the headers; and (name, reason) of the files that were left out.

    Raises:
        UserError: a file is refused, and ``images.unreadable`` says so.
    """
    found: list[T] = []
    left_out: list[tuple[str, str]] = []
    for name, path in files:
        try:
            found.append(scan(name, path))
        except UserError as mistake:
            left_out.append((name, reason_to_skip(mistake, images)))
    return found, left_out


def reason_to_skip(mistake: UserError, images: Images) -> str:
    """Why a file or a volume is left out.

    Raises:
        UserError: it is refused: the study does not allow to leave it out.
    """
    if isinstance(mistake, StudyMistakeError):
        raise mistake
    if images.unreadable == "refuse":
        remedy = f'{mistake.remedy}, or set images.unreadable = "skip"'
        raise UserError(mistake.where, mistake.found, remedy) from mistake
    return mistake.found


def counted(passed: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Files that were passed over, one entry a reason: the first of them, and how many there are.

    >>> counted([("a/SR1", "holds no image (SR)"), ("b/SR1", "holds no image (SR)"), ("a/IM2", "is a phase image")])
    [('a/SR1 and 1 more', '2 files, each of which holds no image (SR)'), ('a/IM2', 'is a phase image')]
    """
    names: dict[str, list[str]] = {}
    for name, reason in passed:
        names.setdefault(reason, []).append(name)
    return [
        (f"{found[0]} and {len(found) - 1} more" if len(found) > 1 else found[0],
         f"{len(found)} files, each of which {reason}" if len(found) > 1 else reason)
        for reason, found in names.items()
    ]  # fmt: skip


def check_names(listing: VolumeListing) -> VolumeListing:
    """The listing, if every volume has a name of its own: scores are kept by name.

    Raises:
        UserError: two volumes have the same name.
    """
    name, times = Counter(scan.name for scan in listing.volumes).most_common(1)[0] if listing.volumes else ("", 0)
    if times > 1:
        found = f"is the name of {times} volumes, whose scores would overwrite each other"
        raise UserError(name, found, "keep every volume in a folder of its own")
    return listing


def check_units(scans: Sequence[VolumeInfo], images: Images) -> None:
    """Refuse volumes without a patient that their names show to be of one patient: a split could part them.

    Their paths name one subject; or every folder holds the same few names, as the folders of patients do.

    Raises:
        StudyMistakeError: there are some.
    """
    if images.patient or images.unit == "folder":
        return
    names = [scan.name for scan in scans if not scan.patient and is_selected(scan, images)]
    for subject, flags in SUBJECTS.items():
        pattern = f"{flags}(?:^|[/_.-])({subject})"
        subjects = Counter(found.group(1) for name in names if (found := re.search(pattern, name)))
        named, times = subjects.most_common(1)[0] if subjects else ("", 0)
        if times > 1:
            held = f"holds {times} volumes of {named}, and a split could part them"
            remedy = f"keep them together with images.patient = '{flags}{subject}'"
            raise StudyMistakeError("images.folders", held, remedy)
    folders: dict[str, set[str]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        folders.setdefault(folder, set()).add(last)
    common = set.intersection(*folders.values()) if folders else set()
    if 2 <= len(common) < len(folders) and all(held == common for held in folders.values()):
        held = f"holds {len(folders)} folders with the same {len(common)} names each ({', '.join(sorted(common)[:3])})"
        raise StudyMistakeError("images.folders", f"{held}, as of one patient, and a split could part them",
                                'set images.unit = "folder", or images.patient = ".+" if each is a patient of its own'
                                )  # fmt: skip


def check_claimed_size(where: object, count: int, *shape: int) -> None:
    """Refuse impossible sizes that a file claims, before anything is allocated for them.

    Args:
        where: the file.
        count: number of slices.
        shape: of one slice: coils, rows, columns.

    Raises:
        UserError: there are none, or too many.
    """
    spelt = " x ".join(map(str, (count, *shape)))
    if min(count, *shape) < 1:
        raise UserError(where, f"holds no image (shape {spelt})", "remove it")
    if count > MOST_SLICES or math.prod(shape) > MOST_VALUES:
        found = f"claims to hold {spelt} values"
        raise UserError(where, found, f"slices have at most {MOST_VALUES:,} values, and files {MOST_SLICES:,} slices")


def require_file(path: Path) -> Path:
    """The path, if it is a file: pipes never end.

    Raises:
        UserError: it is a pipe or a device.
    """
    if path.exists() and not path.is_file():
        raise UserError(path, "is not a regular file", "remove it")
    return path


def patient_of(name: str, images: Images, stated: str = "") -> str:
    """The patient of a volume: by ``images.patient`` from its path, else what the file states, else (``unit =
    "folder"``) the folder it lies in; empty where it is not known.

    Raises:
        StudyMistakeError: ``images.patient`` does not match the path.
    """
    if images.patient:
        found = re.search(images.patient, name)
        if found is None:
            found_not = f"is not matched by images.patient = '{images.patient}'"
            raise StudyMistakeError(name, found_not, "widen the expression")
        return found.group(1) if found.groups() else found.group(0)
    if images.unit == "folder":
        return name.rpartition("/")[0] or "."
    return stated


def is_selected(scan: VolumeInfo, images: Images) -> bool:
    """Whether a volume's acquisition is one of ``images.acquisition``."""
    return not images.acquisition or scan.acquisition in images.acquisition


def first_line(error: BaseException) -> str:
    """The first line of the message of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def library(name: str, extra: str = "mri") -> Any:
    """A package that reads files of one kind.

    Args:
        name: of the package.
        extra: of this package, which installs it.

    Raises:
        StudyMistakeError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise StudyMistakeError("images.source", f"needs the package {name}, which is not installed",
                                f"pip install 'reconscale[{extra}]'") from error  # fmt: skip
