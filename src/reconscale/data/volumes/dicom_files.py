"""Volumes from DICOM files: a volume is a series; what is no magnitude image is passed over and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.data.folders import data_folder, files_of, stamp
from reconscale.data.volumes.dicom_headers import (
    CONTRASTS,
    DICOM,
    REPEATS,
    Header,
    dicom_header,
    dicom_image,
    may_be_dicom,
)
from reconscale.data.volumes.scan import (
    StudyMistakeError,
    VolumeInfo,
    VolumeListing,
    counted,
    library,
    patient_of,
    reason_to_skip,
    scan_each,
)
from reconscale.errors import UserError
from reconscale.files import json_digest
from reconscale.study import Images

FEWEST_ALONE = 3
"""From this many series of one slice each, alike but for their identifiers, they are taken for slices of a volume."""


@dataclass(frozen=True)
class Entry:
    """A DICOM file with its name and header."""

    name: str
    path: Path
    header: Header


@dataclass(frozen=True)
class Series:
    """The slices of a volume.

    Attributes:
        folder: where they lie.
        uid: of the series.
        part: what tells it apart from other volumes of the series; empty where there is none.
        entries: sorted along the normal.
    """

    folder: str
    uid: str
    part: str
    entries: tuple[Entry, ...]

    @property
    def first(self) -> Header:
        """The header of the first slice."""
        return self.entries[0].header

    @property
    def name(self) -> str:
        """Its name, which others may share."""
        name = f"series-{self.first.number or self.uid[-6:]}{self.part}"
        return f"{self.folder}/{name}" if self.folder else name


def list_dicom(images: Images, data: Path | None, key: str = "images.folders") -> VolumeListing:
    """Magnitude volumes in DICOM files (also without an ending): a volume is a series, sorted along its normal.

    Several echoes or contrasts of a series are volumes of their own. Reports, phase images and other files that hold
    no magnitude image are passed over and counted.

    Raises:
        UserError: no data folder, no such file, pydicom is not installed, or a file that is damaged or no MR image.
    """
    library("pydicom")
    files = files_of(images, data_folder(key, data), DICOM, key, also=may_be_dicom)
    found, left_out = scan_each(files, images, lambda name, path: (name, path, dicom_header(path)))
    passed = [(name, header) for name, _, header in found if isinstance(header, str)]
    entries = [Entry(name, path, header) for name, path, header in found if isinstance(header, Header)]
    entries, copies = _without_copies(entries)
    series = _joined([part for one in _series_of(entries) for part in _parts_of(one)], images)
    names, patients = _unique_names(series), _patients(series)
    scans = []
    for one, name in zip(series, names, strict=True):
        try:
            scans.append(_scan(one, name, patients, images))
        except UserError as mistake:
            left_out.append((name, reason_to_skip(mistake, images)))
    return VolumeListing(tuple(scans), (*counted([*passed, *copies]), *left_out))


def _without_copies(entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """The files less those that lie in a folder a second time, and (name, reason) of these."""
    seen: set[tuple[str, str, str, float]] = set()
    kept: list[Entry] = []
    copies: list[tuple[str, str]] = []
    for entry in entries:
        header = entry.header
        key = (entry.name.rpartition("/")[0], header.series, header.instance, header.along)
        if header.instance and key in seen:
            copies.append((entry.name, "is a copy of another file of its folder"))
        else:
            seen.add(key)
            kept.append(entry)
    return kept, copies


def _series_of(entries: Sequence[Entry]) -> list[Series]:
    """The series of every folder; a file of several frames is one of its own.

    Some exports give no identifiers, or the same to all: patient and number tell series apart, too.
    """
    groups: dict[tuple[str, str, str, str, str], list[Entry]] = {}
    for entry in entries:
        head, folder = entry.header, entry.name.rpartition("/")[0]
        alone = head.instance or entry.name if len(head.frames) > 1 else ""
        groups.setdefault((folder, head.series, head.patient, head.number, alone), []).append(entry)
    return [
        Series(folder, uid, "", tuple(sorted(found, key=lambda entry: (entry.header.along, entry.name))))
        for (folder, uid, *_), found in sorted(groups.items())
    ]


def _parts_of(series: Series) -> list[Series]:
    """The volumes of a series: where several slices lie in one place, its echoes and contrasts are volumes."""
    found = [series]
    for index, word in enumerate(CONTRASTS):
        found = [part for one in found for part in _split(one, index, word)]
    for index, word in enumerate(REPEATS):
        found = [part for one in found for part in _split_repeats(one, index, word)]
    return found


def _split_repeats(series: Series, index: int, word: str) -> list[Series]:
    """The series, or its parts by a tag of which every value has a slice in each place."""
    if _most_in_one_place(series) < 2:
        return [series]
    of_value: dict[str, list[Entry]] = {}
    for entry in series.entries:
        of_value.setdefault(entry.header.repeats[index], []).append(entry)
    places = [sorted(entry.header.place for entry in entries) for entries in of_value.values()]
    if len(places) < 2 or any(other != places[0] for other in places):
        return [series]  # such as trigger times that differ a little from slice to slice
    return [
        Series(series.folder, series.uid, f"{series.part}-{word}-{value or 'none'}", tuple(entries))
        for value, entries in sorted(of_value.items(), key=lambda item: (len(item[0]), item[0]))
    ]


def _most_in_one_place(series: Series) -> int:
    """How many slices lie in one place at most; 0 where not all places are given."""
    places = Counter(entry.header.place for entry in series.entries)
    return 0 if () in places else max(places.values())


def _split(series: Series, index: int, word: str) -> list[Series]:
    values = sorted({entry.header.contrasts[index] for entry in series.entries}, key=lambda text: (len(text), text))
    places = Counter(entry.header.along for entry in series.entries)
    lie_apart = max(places.values()) == 1 and all(entry.header.located for entry in series.entries)
    if len(values) == 1 or lie_apart:
        return [series]
    of_value = {
        value: tuple(entry for entry in series.entries if entry.header.contrasts[index] == value) for value in values
    }
    return [
        Series(series.folder, series.uid, f"{series.part}-{word}-{value or 'none'}", entries)
        for value, entries in of_value.items()
    ]


def _joined(series: Sequence[Series], images: Images) -> list[Series]:
    """The series, with those put together that are one: some exports give every slice a series of its own.

    Raises:
        UserError: such slices cannot be told to be of one patient: a split would part them.
    """
    alone: dict[tuple[object, ...], list[Series]] = {}
    known = _patients(series)
    for one in series:
        if len(one.entries) == 1 and len(one.first.frames) == 1 and one.first.number:
            head = one.first
            alone.setdefault((one.folder, head.number, head.acquisition, head.size, head.patient), []).append(one)
    joined: dict[Series, Series] = {}
    for (folder, *_), members in alone.items():
        if len(members) < FEWEST_ALONE:
            continue
        first = members[0].first
        apart = len({one.first.along for one in members}) == len(members) and all(one.first.located for one in members)
        if apart and (first.patient or first.study) and len({one.first.study for one in members}) == 1:
            entries = sorted((one.entries[0] for one in members), key=lambda entry: (entry.header.along, entry.name))
            whole = Series(str(folder), members[0].uid, members[0].part, tuple(entries))
            joined |= dict.fromkeys(members, whole)
        elif not (first.patient or first.study in known or images.patient or images.unit == "folder"):
            found = f"holds {len(members)} series of one slice each with the number {first.number}, and no patient"
            raise StudyMistakeError(str(folder) or ".", found, "keep the slices of every patient in a folder, and set "
                                    'images.unit = "folder"')  # fmt: skip
    return list(dict.fromkeys(joined.get(one, one) for one in series))


def _unique_names(series: Sequence[Series]) -> list[str]:
    """The name of every volume: where several share one, a digest of their identifiers is added."""
    times = Counter(one.name for one in series)

    def unique(one: Series) -> str:
        digest: str = json_digest([one.uid, one.first.instance or one.entries[0].name])[:8]
        return one.name if times[one.name] == 1 else f"{one.name}-{digest}"

    return [unique(one) for one in series]


def _patients(series: Sequence[Series]) -> dict[str, str]:
    """Study -> what to call its patient, of studies of several volumes without a patient: a study has one patient."""
    nameless = Counter(one.first.study for one in series if one.first.study and not one.first.patient)
    return {study: f"study {json_digest(study)[:8]}" for study, count in nameless.items() if count > 1}


def _scan(series: Series, name: str, patients: dict[str, str], images: Images) -> VolumeInfo:
    entries, first = series.entries, series.first
    sizes = {entry.header.size for entry in entries}
    if len(sizes) > 1:
        spelt = ", ".join(f"{rows} x {columns}" for rows, columns in sorted(sizes))
        raise UserError(entries[0].path, f"lies in a series of slices of several sizes ({spelt})", "separate them")
    if (times := _most_in_one_place(series)) > 1:
        found = f"lies in a series with up to {times} slices in one place, and no tag tells its volumes apart"
        known = ", ".join((*CONTRASTS.values(), *REPEATS.values()))
        raise UserError(entries[0].path, found, f"keep the files of each volume in a folder of its own (or state one "
                        f"of {known})")  # fmt: skip
    slices = [(entry, frame) for entry in entries for frame in entry.header.frames]

    def read(index: int) -> np.ndarray:
        entry, frame = slices[index]
        return dicom_image(entry.path, entry.header, frame)

    return VolumeInfo(
        name=name,
        patient=patient_of(name, images, first.patient or patients.get(first.study, "")),
        acquisition=first.acquisition,
        identity=["magnitude", [stamp(entry.name, entry.path) for entry in entries]],
        count=len(slices),
        shape=(1, *first.size),
        kind="magnitude",
        read=read,
        dtype=first.dtype,
    )
