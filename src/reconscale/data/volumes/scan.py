"""The header of a volume, before it is read in full."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.errors import UserError
from reconscale.study import Images

MOST_COILS = 128
"""An axis of more coils than this is taken for rows or columns in the wrong place."""

LEAST_SIDE = 16
"""A slice has at least this many rows and columns."""

MOST_VALUES = 1 << 28
"""A slice has at most this many values in all coils: 2 GiB as complex64."""

MOST_SLICES = 1 << 20
"""A file has at most this many slices."""

DEFLATE = 1032
"""Deflate makes data at most this many times smaller."""


@dataclass(frozen=True)
class KSpaceLocation:
    """The place of the k-space of a volume on the disk.

    Attributes:
        path: the HDF5 or .npy file.
        key: the data set in an HDF5 file; empty for .npy.
        axes: the order of its axes: ``s`` slices, ``c`` coils (not there: a single one), ``h`` rows, ``w`` columns.
        offset: where a contiguous complex64 array of axes ``schw`` or ``shw`` begins, in bytes; none: it must be read
            through its library.
    """

    path: Path
    key: str
    axes: str
    offset: int | None


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
        UserError: ``images.patient`` does not match the path.
    """
    if images.patient:
        found = re.search(images.patient, name)
        if found is None:
            raise UserError(name, f"is not matched by images.patient = '{images.patient}'", "widen the expression")
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
