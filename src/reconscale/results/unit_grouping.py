"""Which test images belong together: patients and scenes differ from each other, slices of one patient hardly do."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.laws.unit_values import UnitValues, mean_by_group, subject_of
from reconscale.results.result import Result
from reconscale.results.results_folder import Folder
from reconscale.results.score_tables import scores_of_runs
from reconscale.study.images import Images
from reconscale.study.profiles import PROFILES

TILE = re.compile(r"(.+)/\d+-\d+")
"""The name of a tile of a bundled photograph: the photograph, row and column."""


def values_of_units(
    results: Sequence[Result], *, profile: str, test_set: str, record: dict[str, Any] | None = None
) -> UnitValues | None:
    """The metric of every run on every unit of a test set: patients where images are slices, else scenes or images.

    Args:
        results: those that are done, of one study.
        profile: a name in ``PROFILES``.
        test_set: ``test`` or a named test set.
        record: what the results folder says about the set: acquisitions, and how many patients; none: nothing.

    Returns:
        The values; None where the metric was not measured for each image or volume, or not on the same ones.
    """
    images = _images_of(results[0].run.images, test_set)
    of_volume = images.volumes and PROFILES[profile].over == "volume"
    tables = [(r.volumes if of_volume else r.images).get(test_set, {}) for r in results]
    names = list(tables[0])
    values = scores_of_runs(tables, names, profile) if names else None
    if values is None:
        return None
    if not images.volumes:
        means, units = mean_by_group(values, [unit_of_image(name, images) for name in names])
        return UnitValues(means, units, images.split_noun)
    volumes = names if of_volume else [name.rpartition("/")[0] for name in names]
    patients, noun, unsure = group_volumes(list(dict.fromkeys(volumes)), images, record or {})
    means, units = mean_by_group(values, [patients[volume] for volume in volumes])
    return UnitValues(means, units, noun, unsure)


def _images_of(images: Images, test_set: str) -> Images:
    """The options that a test set was made by: of several sources those of the one that held it out."""
    name = images.target if test_set == "test" else test_set
    return images.of_source(name) if name is not None and name in images.sources else images


def unit_of_image(name: str, images: Images) -> str:
    """What an image of a test set belongs to: its scene, its folder, its photograph, or the file of its stack."""
    if images.kind.photographs and (tile := TILE.fullmatch(name)):
        return tile.group(1)
    if images.paired and images.match is not None:
        name = name.replace(*images.match)
    if images.unit == "folder":
        return name.rpartition("/")[0] or "."
    return name.partition("#")[0]


def group_volumes(volumes: Sequence[str], images: Images, record: dict[str, Any]) -> tuple[dict[str, str], str, str]:
    """The patient of each volume: by ``images.patient``, its folder, the subject in its path, or its acquisition.

    Args:
        volumes: names of volumes, each once.
        images: of the study.
        record: what the results folder says about the set: ``acquisitions`` and ``units``, both optional.

    Returns:
        Volume -> patient; what the units are called; and why they may not be independent.
    """
    acquisitions = record.get("acquisitions", {})
    patient = _by_name(images) or (lambda volume: subject_of(volume) or _without_acquisition(volume, acquisitions))
    patients = {volume: patient(volume) for volume in volumes}
    count, known = len(set(patients.values())), record.get("units")
    if isinstance(known, int) and known < count:
        unsure = (
            f"which of the {count} volumes of the test set are of which of its {known} patients is not known: volumes"
        )
        unsure += " are counted, as if each were a patient of its own"
        return patients, "volumes", unsure
    grouped = count < len(volumes) or count == known
    return patients, "patients" if grouped else images.split_noun, ""


def set_record(folder: Folder, test_set: str) -> dict[str, Any]:
    """What the results folder says about a test set of volumes; nothing where nobody wrote that down."""
    path = folder.root / "images.json"
    try:
        known = read_json(path)["sets"][test_set] if path.is_file() else {}
    except (UserError, KeyError, TypeError):
        return {}
    return known if isinstance(known, dict) else {}


def _by_name(images: Images) -> Callable[[str], str] | None:
    """What the study file says about patients; none where it says nothing."""
    if images.patient:
        pattern = re.compile(images.patient)

        def named(volume: str) -> str:
            found = pattern.search(volume)
            return volume if found is None else found.group(1) if found.groups() else found.group(0)

        return named
    if images.unit == "folder":
        return lambda volume: volume.rpartition("/")[0] or "."
    return None


def _without_acquisition(volume: str, acquisitions: Any) -> str:
    """A volume ``file.h5/7-axial`` of a file with several patients is called by its patient and its acquisition."""
    path = PurePosixPath(volume)
    patient, _, acquisition = path.name.rpartition("-")
    return str(path.parent / patient) if patient and acquisition in acquisitions else volume
