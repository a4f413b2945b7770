"""What ISMRMRD files say before any number is read: the header, and counters and flags of all acquisitions."""

from __future__ import annotations

import re
import threading
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.volumes.arrays import check_links
from reconscale.data.volumes.scan import DEFLATE, KSpaceLocation, library, require_file
from reconscale.errors import UserError

MOST_ACQUISITIONS = 1 << 20
"""Acquisitions that a file may have."""
MOST_HEADER = 1 << 24
"""Bytes of the header."""
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
READING = threading.Lock()
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


def group_of(path: Path, dataset: str | None) -> str:
    """The name of the group of acquisitions: the one that ``images.dataset`` names, else the only one.

    Raises:
        UserError: it is not there, or there are several.
    """
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


def lines_of(place: KSpaceLocation) -> Lines:
    """The acquisitions of a file that are lines of its images.

    Raises:
        Exception: of every kind, where the file has gone or is damaged.
    """
    return _lines_of(place.path, place.key, place.path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _lines_of(path: Path, key: str, changed: int) -> Lines:
    """The headers of all acquisitions of a file, as long as it is the same; slices are read one after the other."""
    import h5py

    del changed
    with READING, h5py.File(path) as file:
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
