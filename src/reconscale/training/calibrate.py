"""A short measurement that tells what a study will take."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch

from reconscale.files import read_json, to_json, write_whole
from reconscale.imaging import ImageSet
from reconscale.study import Folder, Run
from reconscale.training.acceleration import choice
from reconscale.training.evaluate import validate
from reconscale.training.loop import Training
from reconscale.training.schedule import most_steps, steps_between_looks

STEPS = 4
"""Steps that are timed after one that warms up."""


@dataclass(frozen=True)
class Pace:
    """Seconds that a network takes on this machine.

    Attributes:
        step: of an optimisation step.
        pixel: of reconstructing and measuring one pixel of a validation or test image.
    """

    step: float
    pixel: float

    def seconds(self, run: Run, images: ImageSet) -> float:
        """Estimated wall time of a run: steps, looks at the validation set, and the test."""
        steps = most_steps(run.recipe, max(1, run.n))
        looks = max(1, steps // steps_between_looks(run.recipe, max(1, run.n)))
        val = sum(images.val.area(i, run.images.val_patch) for i in range(len(images.val)))
        crop = run.images.test_patch
        test = sum(pixels.area(i, crop) for pixels in images.tests.values() for i in range(len(pixels)))
        main, levels = images.tests[run.images.main_test], getattr(run.problem, "test_sigma", ())
        test += len(levels) * sum(main.area(i, crop) for i in range(len(main)))
        return self.step * steps + self.pixel * (val * (looks + 1) + 2 * test)


def pace(run: Run, images: ImageSet, device: torch.device, precision: str) -> Pace:
    """Time a few steps and one validation image."""
    training = Training(run, images, device, precision)
    training.advance()
    seconds = []
    for _ in range(STEPS):
        _wait(device)
        began = time.perf_counter()
        training.advance()
        _wait(device)
        seconds.append(time.perf_counter() - began)
    first = images.val.pick(np.arange(1))
    validate(training.network, training.problem, first, 64, device)
    began = time.perf_counter()
    validate(training.network, training.problem, first, run.images.val_patch, device)
    _wait(device)
    return Pace(statistics.median(seconds), (time.perf_counter() - began) / first.area(0, run.images.val_patch))


def paces(runs: list[Run], images: ImageSet, folder: Folder, device: torch.device) -> dict[str, Pace]:
    """The pace of every width of a study, measured once and kept beside the results.

    Returns:
        width and batch, as ``key_of`` spells them -> pace.
    """
    path = folder.root / "calibration.json"
    known = read_json(path) if path.is_file() else {}
    setting = f"{device.type}, {torch.get_num_threads()} threads"
    kept: dict[str, dict[str, float]] = known.get(setting, {})
    missing = {key_of(run): run for run in runs if key_of(run) not in kept}
    for key, run in missing.items():
        measured = pace(run, images, device, "fp32" if run.recipe.precision == "auto" else run.recipe.precision)
        kept = {**kept, key: {"step": measured.step, "pixel": measured.pixel}}
    if missing:
        write_whole(path, to_json({**known, setting: kept}))
    return {key: Pace(**values) for key, values in kept.items()}


def key_of(run: Run) -> str:
    """What the pace of a run depends on."""
    network, recipe = run.network, run.recipe
    dials = f"d{network.depth} w{network.width}"
    more = {"c": network.cascades, "l": network.layers, "h": network.heads, "": network.upsampler}
    dials += "".join(f" {letter}{value}" for letter, value in more.items() if value)
    return f"{network.family} {dials} b{recipe.batch} p{run.images.patch} {recipe.precision}"


def precision_of(runs: list[Run], images: ImageSet, folder: Folder, device: torch.device) -> dict[str, str]:
    """What each run's precision comes to here. ``auto`` is measured once for a study, at its largest width, and kept.

    Returns:
        run id -> a name in ``WAYS``.

    Raises:
        Mistake: the file names a way that there is not.
    """
    auto = [run for run in runs if run.recipe.precision == "auto"]
    if not auto:
        return {run.id: run.recipe.precision for run in runs}
    largest = max(auto, key=lambda run: run.network.width)
    chosen = choice(folder.root / "precision.json", largest, images, device)
    return {run.id: chosen if run.recipe.precision == "auto" else run.recipe.precision for run in runs}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
