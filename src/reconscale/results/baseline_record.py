"""What was measured without training: the record in ``anchors/``, and how networks are compared with it.

Networks are measured on every test image, reconstructions without training on some of them. A mean over some images
says nothing beside a mean over all: two networks may differ less than two choices of images. So both are compared on
the images that they share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.results.result import AnyResult
from reconscale.results.results_folder import Folder
from reconscale.study.problems import WITHOUT_TRUTH


@dataclass(frozen=True)
class MeasuredOn:
    """The images of a test set that were reconstructed without training.

    Attributes:
        used, of: how many, and how many there are.
        images: their names; of all images, and in records of older versions, none.
        volumes: of slices, the volumes that they are of.
    """

    used: int
    of: int
    images: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether there are no others."""
        return self.used >= self.of

    @property
    def is_known(self) -> bool:
        """Whether it is known which ones: records of older versions say how many only."""
        return self.is_all or len(self.images) == self.used


@dataclass(frozen=True)
class Baselines:
    """What was measured without a network.

    Attributes:
        root: the folder of the record and of the pictures.
        labels: what they are called, by kind: ``input``, ``classical``, and others that a problem has.
        sets: test set -> kind -> profile -> mean.
        pictures: the images of the strip, as they were recorded.
        images: test set -> the images that it was measured on; records of older versions: on all.
    """

    root: Path
    labels: Mapping[str, str]
    sets: Mapping[str, Mapping[str, Mapping[str, float]]]
    pictures: Sequence[Mapping[str, Any]]
    images: Mapping[str, MeasuredOn] = field(default_factory=dict)

    def lines(self, test_set: str, profile: str, networks: Sequence[AnyResult] = ()) -> list[tuple[str, str, float]]:
        """Kind, label and value of every baseline, on the same scale as the networks' means over all images.

        Where baselines were measured on some images only, the value is their mean, shifted by what separates the
        networks' mean over all images from that over these: the difference estimator of survey sampling (Cochran,
        Sampling Techniques, 1977, section 7.2, with a slope of 1). The distance between a baseline and the networks
        is then exactly the one on the images that both have.

        Args:
            test_set: a test set.
            profile: a metric.
            networks: the runs that it is compared with; their mean is taken.

        Returns:
            Empty where it is not known which images baselines were measured on, or the networks lack some of them.
        """
        means = self.sets.get(test_set, {})
        shift = self._shift(test_set, profile, networks)
        if shift is None:
            return []
        return [
            (kind, label, float(means[kind][profile]) + shift)
            for kind, label in self.labels.items()
            if profile in means.get(kind, {})
        ]

    def means(self, test_set: str, profile: str) -> dict[str, float]:
        """Kind -> the mean over the images that it was measured on."""
        kinds = self.sets.get(test_set, {})
        return {kind: float(kinds[kind][profile]) for kind in self.labels if profile in kinds.get(kind, {})}

    def _shift(self, test_set: str, profile: str, networks: Sequence[AnyResult]) -> float | None:
        """The networks' mean over all images less that over those that baselines were measured on."""
        chosen = self.images.get(test_set)
        if chosen is None or chosen.is_all or not networks:
            return 0.0
        if not chosen.is_known:
            return None
        shifts = []
        for result in networks:
            whole = result.metrics.get(test_set, {}).get(profile)
            part = mean_over(result, test_set, profile, chosen.images, chosen.volumes)
            if whole is None or part is None:
                return None
            shifts.append(whole - part)
        return sum(shifts) / len(shifts)


LEAST_ERROR = 1e-6
"""An error that is estimated without the truth counts as this, where it comes out below: 60 dB."""


def mean_over(
    result: AnyResult, test_set: str, profile: str, images: Sequence[str], volumes: Sequence[str] = ()
) -> float | None:
    """The mean of a metric over some images, or, of a metric of whole volumes, over some volumes.

    Args:
        result: of a run.
        test_set: where it was measured.
        profile: the metric.
        images: names of images.
        volumes: names of the volumes that they are of, where images are slices.

    Returns:
        None where the run was not measured on all of them.
    """
    tables = result.images.get(test_set, {}), result.volumes.get(test_set, {})
    if profile == WITHOUT_TRUTH and images and all(name in tables[0] for name in images):
        errors = [tables[0][name]["mse-from-noisy"] for name in images]  # the curve is of their mean, not of decibels
        return -10 * math.log10(max(sum(errors) / len(errors), LEAST_ERROR))
    if any(name not in table for table, names in zip(tables, (images, volumes), strict=True) for name in names):
        return None
    for table, names in zip(tables, (images, volumes), strict=True):
        values = [table[name][profile] for name in names if profile in table[name]]
        if values and len(values) == len(names):
            return sum(values) / len(values)
    return None


def read_baselines(folder: Folder) -> Baselines | None:
    """What ``anchors/anchors.json`` in the results folder says; none where it is not there.

    Raises:
        UserError: the file is damaged.
    """
    path = folder.root / "anchors" / "anchors.json"
    if not path.is_file():
        return None
    record = read_json(path)
    try:
        sets = {
            str(name): {str(kind): {str(k): float(v) for k, v in values.items()} for kind, values in kinds.items()}
            for name, kinds in record.get("sets", {}).items()
        }
        pictures = tuple(dict(item) for item in record.get("pictures", ()))
        before = {"input": "input", "classical": record.get("classical_name") or "classical"}  # older records
        found = {str(kind): str(label) for kind, label in record.get("labels", before).items()}
        labels = {kind: found[kind] for kind in sorted(found, key=_place)}
        images = {str(name): _measured_on(each) for name, each in record.get("counts", {}).items()}
        return Baselines(path.parent, labels, sets, pictures, images)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(path, f"is damaged ({error})", "delete it; `reconscale run` writes it again") from error


def _measured_on(entry: Mapping[str, Any]) -> MeasuredOn:
    names, volumes = (tuple(str(name) for name in entry.get(key, ())) for key in ("images", "volumes"))
    return MeasuredOn(int(entry["used"]), int(entry["of"]), names, volumes)


def _place(kind: str) -> tuple[int, str]:
    """From what was measured to the best that needs no training."""
    return {"input": 0, "classical": 2}.get(kind, 1), kind
