"""The linear estimator of a study's images, for the report's explanation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from reconscale.data.image_set import ImageSet
from reconscale.data.patches import patches_of
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.physics import problem_of
from reconscale.results import Folder
from reconscale.study import Study
from reconscale.theory.images import FEWEST, linear_curve, n_within_db, spectrum_of
from reconscale.theory.linear import moments_of, risk_of_filter

NEAR = (0.1, 0.5)
"""dB from the floor at which n is looked for."""
AHEAD = (1, 2, 4, 10)
"""Times the largest n of the study."""
EDITION = 2
"""Counts up when the same question gets another answer, so that old files are made again."""


def explanation(
    study: Study, images: ImageSet, folder: Folder, progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Compute the linear learning curve on a study's training images once, and keep it.

    It lies in ``theory/explanation.json`` of the results folder, and is made again when the images, the problem or
    the sizes have changed. Where there is none, the file says what is lacking.

    Args:
        study: the study.
        images: its images.
        folder: its results folder.
        progress: called with (label, done, of).
    """
    path = folder.root / "theory" / "explanation.json"
    asked: dict[str, Any] = {
        "edition": EDITION,
        "images": images.digest,
        "problem": study.problem.model_dump(mode="json"),
        "n": sorted(study.sweep.n),
    }
    asked |= {"test_patch": study.images.test_patch} if study.images.test_patch else {}
    if path.is_file():
        record: dict[str, Any] = read_json(path, "delete it; `reconscale run` writes it again")
        if isinstance(record, dict) and record.get("asked") == asked:
            return record
    try:
        with threadpool_limits(1):  # small matrices: more threads only wait for each other on a busy machine
            record = {"asked": asked, **_computed(study, images, progress)}
    except UserError as mistake:  # too few or too small images for a covariance: no reason not to train
        record = {"asked": asked, "lacking": str(mistake)}
    write_atomic(path, to_json(record))
    return record


def _computed(study: Study, images: ImageSet, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    if study.images.sources:
        raise UserError("the linear explanation", "is of images of one source", "study each source alone to see it")
    operator = problem_of(study.problem, torch.device("cpu"), 0).patch_operator(images.channels, study.images.patch)
    options, main = study.images, study.images.main_test
    train, held_out = images.train, images.tests[main]
    assert isinstance(train, ImageSubset) and isinstance(held_out, ImageSubset)  # no problem of slices has an operator
    units, crop = options.counts == "units", options.patch if options.crop == "center" else None
    side = operator.shape[0]
    cut = patches_of(train, side, crop=crop, units=units, progress=progress)
    spectrum = spectrum_of(cut.patches, operator)
    counted: dict[str, Any] = {"counts": "images", "per_image": cut.each}
    sizes = _sizes(study)
    curve = linear_curve(spectrum, sizes, **counted, progress=lambda done, of: progress("linear explanation", done, of))
    test = patches_of(held_out, side, crop=options.test_patch, units=units, progress=progress).patches
    x = spectrum.centred(test)
    on_test = risk_of_filter(spectrum.wiener, moments_of(x.T @ x / len(x), operator))
    return {
        "curve": {"n": list(curve.n), "mse": list(curve.mse)},
        "within": {f"{db:g}": _at_least(n_within_db(spectrum, db, **counted)) for db in NEAR},
        "floor": curve.floor,
        "floor_held_out": spectrum.floor,
        "floor_on_test": on_test,
        "power": curve.power,
        "test_set": main,
        "patch": side,
        "problem": study.problem.kind,
        "operator": operator.words,
        "channels": images.channels,
        "patches": len(cut.patches),
        "per_image": cut.each,
        "images": cut.used,
        "slope": spectrum.slope,
        "cautions": list(spectrum.cautions),
    }


def _sizes(study: Study) -> list[float]:
    """The study's n from ``FEWEST`` on and what lies ahead of them, with some between."""
    largest = max(study.sweep.n)
    least = max(FEWEST, min(study.sweep.n))
    between = np.geomspace(least, AHEAD[-1] * largest, 4 * math.ceil(math.log10(AHEAD[-1] * largest / least)) + 1)
    found = {*map(float, study.sweep.n), *(float(f * largest) for f in AHEAD), *np.round(between).tolist()}
    return sorted(n for n in found if n >= FEWEST)


def _at_least(n: float | None) -> float | None:
    return None if n is None else max(n, float(FEWEST))
