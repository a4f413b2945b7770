"""Open the volumes of a study: prepare them, split them by patient, and refuse leaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.folders import data_folder, place_below
from reconscale.data.listing import Progress
from reconscale.data.own_split import Known
from reconscale.data.subset import divide, in_no_set
from reconscale.data.volumes.arrays import HDF5
from reconscale.data.volumes.cache import Volume, prepare_volumes
from reconscale.data.volumes.dicom_headers import DICOM
from reconscale.data.volumes.image_files import NIFTI
from reconscale.data.volumes.kspace_files import holds_kspace
from reconscale.data.volumes.scan import VolumeListing, check_names, check_units, is_selected, reason_to_skip
from reconscale.errors import UserError
from reconscale.plugins import load_object
from reconscale.study import SOURCES, Images


@dataclass(frozen=True)
class Slice:
    """One slice as it was read.

    Attributes:
        kspace: (coils, H, W) complex64, measured; or none.
        image: (H, W) complex64, where the acquisition is simulated; or none.
        truth: (h, w) float32 magnitude image.
        maximum: data range of the volume: what its file states, else its largest value.
        volume: name of the volume, which decides its mask.
    """

    kspace: np.ndarray | None
    image: np.ndarray | None
    truth: np.ndarray
    maximum: float
    volume: str

    @property
    def shape(self) -> tuple[int, ...]:
        """(coils, H, W, h, w); coils is 0 where the acquisition is simulated."""
        values = self.image if self.kspace is None else self.kspace
        assert values is not None
        coils = 0 if self.kspace is None else len(self.kspace)
        return (coils, *values.shape[-2:], *self.truth.shape)


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices in an order. Pickles as places and numbers; the values stay on the disk until they are read.

    Attributes:
        volumes: the prepared volumes.
        rows: (N, 2) int64: index of the volume, number of the slice in it.
    """

    volumes: tuple[Volume, ...] = field(repr=False)
    rows: np.ndarray = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Slices, (self.volumes, self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def channels(self) -> int:
        """1: magnitude images."""
        return 1

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the slices: the volume's, a slash and the number."""
        return tuple(f"{self.volumes[v].name}/{s:03d}" for v, s in self.rows.tolist())

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of every slice: the patient, or the volume."""
        return tuple(self.volumes[v].unit for v, _ in self.rows.tolist())

    @cached_property
    def volume_names(self) -> tuple[str, ...]:
        """The volume of every slice."""
        return tuple(self.volumes[v].name for v, _ in self.rows.tolist())

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of the values of every slice, in hexadecimal."""
        return [self.volumes[v].facts["hashes"][s] for v, s in self.rows.tolist()]

    def pick(self, positions: np.ndarray) -> Slices:
        """The slices at some positions, in that order."""
        return Slices(self.volumes, self.rows[positions])

    def area(self, i: int, crop: int | None = None) -> int:
        """Pixels of the k-space of a slice; ``crop`` is for images, slices are never cropped."""
        del crop
        _, rows, columns = self.volumes[int(self.rows[i, 0])].shape
        return rows * columns

    def peak(self, i: int) -> float:
        """Data range for evaluation: the largest value of the volume's square centre crops (fastMRI's)."""
        return float(self.volumes[int(self.rows[i, 0])].facts["peak"])

    def slice(self, i: int) -> Slice:
        """Read one slice.

        Raises:
            UserError: its file has gone, or was cut short.
            DamagedFileError: it is not what was prepared.
        """
        index, number = self.rows[i].tolist()
        volume = self.volumes[index]
        measured = volume.place is not None
        return Slice(
            kspace=volume.kspace(number) if measured else None,
            image=None if measured else volume.image(number),
            truth=volume.truth(number),
            maximum=float(volume.facts["maximum"]),
            volume=volume.name,
        )

    def described(self) -> dict[str, Any]:
        """Counts and sizes; JSON values only."""
        facts = [self.volumes[v].facts for v in np.unique(self.rows[:, 0]).tolist()]
        return {
            "slices": len(self),
            "volumes": len(facts),
            "units": len(set(self.units)),
            "kinds": _counted(fact["kind"] for fact in facts),
            "acquisitions": _counted(fact["acquisition"] or "not stated" for fact in facts),
            "coils x rows x columns": _counted(" x ".join(map(str, fact["shape"])) for fact in facts),
            "repeated slices": len(self) - len(set(self.hashes)),
            "dtypes": _counted(fact["dtype"] or "not stated" for fact in facts),
            "magnitudes from": _rounded(min(fact["range"][0] for fact in facts)),
            "magnitudes to": _rounded(max(fact["range"][1] for fact in facts)),
        }


def _counted(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items()))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def open_volumes(
    images: Images, data: Path | None, root: Path, progress: Progress
) -> tuple[dict[str, Slices], tuple[tuple[str, str], ...]]:
    """The slices of a study.

    Args:
        images: the options.
        data: the folder that all places are below.
        root: the folder of prepared volumes.
        progress: called with (label, volumes done, volumes).

    Returns:
        set -> slices (``train``, ``val``, ``test`` if units are held out, then the further test sets), and what was
        left out: (name, reason).

    Raises:
        UserError: volumes are missing, damaged, contradict themselves, are too few, or one patient is on both sides of
            the line.
    """
    skipped: list[tuple[str, str]] = []
    listed = list_volumes(images, data)
    listing, options = listed.pop("")
    whole = _slices(listing, options, root, progress, skipped)
    left_out = frozenset(name for name, _ in skipped)
    known = Known(whole.names, whole.units, left_out=left_out, kept=images.split_noun)
    train, val, test = divide(known, images, data)
    if images.split is not None:
        skipped += in_no_set(known, (train, val, test))
    sets = {"train": whole.pick(train), "val": whole.pick(val)}
    if images.test:
        sets["test"] = whole.pick(test)
    for name, (others, alone) in listed.items():
        sets[name] = _slices(others, alone, root, progress, skipped)
    for name in [name for name in sets if name not in ("train", "val")]:
        sets["val"] = _apart(sets["val"], "validation", sets[name], name, images, skipped)
    for name in [name for name in sets if name != "train"]:
        sets["train"] = _apart(sets["train"], "training", sets[name], name, images, skipped)
    return sets, tuple(skipped)


def open_alone(images: Images, data: Path, place: str, root: Path, progress: Progress) -> Slices:
    """All slices of one place, prepared as those of a study are.

    Args:
        images: the options of the study.
        data: the folder that the place is below.
        place: a file, or a folder.
        root: the folder of prepared volumes.
        progress: called with (label, volumes done, volumes).

    Raises:
        UserError: it is missing or damaged.
    """
    alone = images.model_copy(update={"folders": (place,), "test_sets": {}, "acquisition": (), "slices": None})
    return _slices(_listed(alone, data, place), alone, root, progress, [])


def list_volumes(images: Images, data: Path | None) -> dict[str, tuple[VolumeListing, Images]]:
    """The volumes of a study: further test set -> its volumes and the options for them; its own: the empty name.

    Raises:
        UserError: volumes are missing, or damaged.
    """
    found = {"": (_listed(images, data, "images.folders"), images)}
    for name, place in images.test_sets.items():
        key = f"images.test_sets.{name}"
        alone = images.model_copy(update={"folders": (place,), "test_sets": {}, "acquisition": (), "slices": None})
        alone = alone.model_copy(update={"source": _source_of(alone, data, key)})
        found[name] = _listed(alone, data, key), alone
    return found


def _listed(images: Images, data: Path | None, key: str) -> VolumeListing:
    """The volumes of a source, whatever it is: the one place where their names are checked."""
    found: VolumeListing = load_object(SOURCES[images.source].listing)(images, data, key)
    if not found.volumes:
        name, reason = found.left_out[0] if found.left_out else ("", "there is none")
        raise UserError(key, "none of its files can be read as a volume", f"{name}: {reason}" if name else reason)
    if key == "images.folders":  # further test sets are not split
        check_units(found.volumes, images)
    return check_names(found)


def _source_of(images: Images, data: Path | None, key: str) -> str:
    """The source of a further test set, from the endings of its files, and of HDF5 files from their content."""
    place = place_below(data_folder(key, data), images.folders[0], key)
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    for path in files:
        lower = path.name.lower()
        if lower.endswith(NIFTI):
            return "nifti"
        if lower.endswith(DICOM):
            return "dicom"
        if lower.endswith(HDF5):
            return "fastmri" if holds_kspace(path) else "complex"
    return images.source


def _slices(
    listing: VolumeListing, images: Images, root: Path, progress: Progress, skipped: list[tuple[str, str]]
) -> Slices:
    """Prepared slices, sorted by unit, then name; unwanted acquisitions and empty slices are left out."""
    scans = listing.volumes
    skipped += listing.left_out
    chosen = [scan for scan in scans if is_selected(scan, images)]
    if not chosen:
        found = ", ".join(sorted({scan.acquisition or "not stated" for scan in scans}))
        raise UserError("images.acquisition", f"none of the {len(scans)} volumes is one of {list(images.acquisition)}",
                      f"acquisitions here: {found}")  # fmt: skip
    volumes: list[Volume] = []
    for scan, volume in zip(chosen, prepare_volumes(chosen, root, images.matrix, progress), strict=True):
        if isinstance(volume, UserError):
            skipped.append((scan.name, reason_to_skip(volume, images)))
        else:
            volumes.append(volume)
    if not volumes:
        raise UserError("images.folders", f"none of the {len(chosen)} volumes can be read", skipped[-1][1])
    volumes.sort(key=lambda volume: (volume.unit, volume.name))
    first, last = images.slices or (0, max(volume.facts["count"] for volume in volumes))
    rows = []
    for index, volume in enumerate(volumes):
        peaks = volume.facts["peaks"]
        rows += [(index, number) for number in range(first, min(last + 1, len(peaks))) if peaks[number] > 0]
        empty = sum(peak <= 0 for peak in peaks)
        if empty:
            skipped.append((volume.name, f"{empty} of {len(peaks)} slices hold nothing but zeros"))
    if not rows:
        raise UserError("images.slices", f"no volume has a slice between {first} and {last}", "slices count from 0")
    return Slices(tuple(volumes), np.array(rows, np.int64))


def _apart(
    slices: Slices, label: str, held_out: Slices, name: str, images: Images, skipped: list[tuple[str, str]]
) -> Slices:
    """The slices whose units share neither a patient nor a slice with ``held_out``."""
    units, hashes = set(held_out.units), set(held_out.hashes)
    reasons: dict[str, str] = {}
    for unit, digest, volume in zip(slices.units, slices.hashes, slices.volume_names, strict=True):
        if unit in units:
            reasons.setdefault(unit, f"the {label} volume '{volume}' is of a patient of {name}, '{unit}'")
        elif digest in hashes:
            reasons.setdefault(unit, f"the {label} volume '{volume}' has a slice that is the same in {name}")
    if not reasons:
        return slices
    first = next(iter(reasons.values()))
    if images.duplicates == "refuse":
        more = f" (and {len(reasons) - 1} more units)" if len(reasons) > 1 else ""
        remedy = 'keep a patient on one side, or set images.duplicates = "skip" to leave it out of training'
        raise UserError("images", f"{first}{more}", remedy)
    skipped += [(unit, reason) for unit, reason in sorted(reasons.items())]
    keep = np.array([unit not in reasons for unit in slices.units])
    if not keep.any():
        raise UserError("images", f"every {label} unit is in {name}, too", "add volumes, or separate the folders")
    return slices.pick(np.flatnonzero(keep))
