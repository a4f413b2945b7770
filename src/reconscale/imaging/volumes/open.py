"""Open the volumes of a study: prepare them, divide them by patient, and refuse what would leak."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reconscale.imaging.folder import data_folder, place_below
from reconscale.imaging.split import divided
from reconscale.imaging.volumes.kspace import HDF5, holds_kspace, list_fastmri, list_kspace_arrays
from reconscale.imaging.volumes.pictures import DICOM, NIFTI, list_complex, list_dicom, list_nifti
from reconscale.imaging.volumes.prepare import Progress, prepared
from reconscale.imaging.volumes.scan import Scan, wanted
from reconscale.imaging.volumes.slices import Slices
from reconscale.imaging.volumes.volume import Volume
from reconscale.mistakes import Mistake
from reconscale.study import Images

VOLUME_SOURCES: dict[str, Callable[[Images, Path | None, str], list[Scan]]] = {
    "fastmri": list_fastmri,
    "kspace-array": list_kspace_arrays,
    "complex": list_complex,
    "nifti": list_nifti,
    "dicom": list_dicom,
}
"""The places that volumes come from. A new one is a function and an entry here."""


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
        Mistake: volumes are missing, damaged, contradict themselves, are too few, or one patient is on both sides of
            the line.
    """
    skipped: list[tuple[str, str]] = []
    listed = list_volumes(images, data)
    scans, options = listed.pop("")
    whole = _slices(scans, options, root, progress, skipped)
    train, val, test = divided(list(whole.units), images, whole.names)
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


def list_volumes(images: Images, data: Path | None) -> dict[str, tuple[list[Scan], Images]]:
    """What a study reads: further test set -> its volumes and the options for them; the name of its own is empty.

    Raises:
        Mistake: volumes are missing, or damaged.
    """
    found = {"": (VOLUME_SOURCES[images.source](images, data, "images.folders"), images)}
    for name, place in images.test_sets.items():
        key = f"images.test_sets.{name}"
        alone = images.model_copy(update={"folders": (place,), "test_sets": {}, "acquisition": (), "slices": None})
        alone = alone.model_copy(update={"source": _source_of(alone, data, key)})
        found[name] = VOLUME_SOURCES[alone.source](alone, data, key), alone
    return found


def _source_of(images: Images, data: Path | None, key: str) -> str:
    """What the files of a further test set are: told by their endings, and HDF5 files by what they hold."""
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
    scans: list[Scan], images: Images, root: Path, progress: Progress, skipped: list[tuple[str, str]]
) -> Slices:
    """Prepared slices, sorted by unit, then name; unwanted acquisitions and empty slices are left out."""
    chosen = [scan for scan in scans if wanted(scan, images)]
    if not chosen:
        found = ", ".join(sorted({scan.acquisition or "not stated" for scan in scans}))
        raise Mistake("images.acquisition", f"none of the {len(scans)} volumes is one of {list(images.acquisition)}",
                      f"acquisitions here: {found}")  # fmt: skip
    volumes: list[Volume] = []
    for scan, volume in zip(chosen, prepared(chosen, root, images.matrix, progress), strict=True):
        if isinstance(volume, Mistake):
            if images.unreadable == "refuse":
                remedy = f'{volume.remedy}, or set images.unreadable = "skip"'
                raise Mistake(volume.where, volume.found, remedy)
            skipped.append((scan.name, volume.found))
        else:
            volumes.append(volume)
    if not volumes:
        raise Mistake("images.folders", f"none of the {len(chosen)} volumes can be read", skipped[-1][1])
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
        raise Mistake("images.slices", f"no volume has a slice between {first} and {last}", "slices count from 0")
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
        raise Mistake("images", f"{first}{more}", remedy)
    skipped += [(unit, reason) for unit, reason in sorted(reasons.items())]
    keep = np.array([unit not in reasons for unit in slices.units])
    if not keep.any():
        raise Mistake("images", f"every {label} unit is in {name}, too", "add volumes, or separate the folders")
    return slices.pick(np.flatnonzero(keep))
