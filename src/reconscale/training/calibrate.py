"""Calibrate time and memory of a study with a short measurement."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from reconscale.data import ImageSet, ImageSubset, Slices
from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.results import Folder, Result
from reconscale.study import Run
from reconscale.training.evaluate import (
    EvaluationSet,
    area_of,
    evaluation_sets,
    pixels_of,
    score,
    together_on,
    validate,
)
from reconscale.training.executors.base import Executor
from reconscale.training.loop import Training
from reconscale.training.precision import COMPUTE_MODES, refuse_slow_bf16
from reconscale.training.schedule import computed_steps, count_looks
from reconscale.training.worker import Placement, memory_of

ROUNDS, MOST_ROUNDS, ENOUGH = 5, 20, 2.0
"""Steps of each way are timed in turns, after one that warms up: at least ``ROUNDS``, and more until that has taken
``ENOUGH`` seconds. Their minimum counts, which other load on the machine hardly changes."""
WORTH = 1.2
"""Another way than fp32 is chosen where it makes a run this many times faster."""
HOPELESS = 3.0
"""A way whose step takes this many times as long as one of fp32 is not tried again."""


@dataclass(frozen=True)
class Trial:
    """Seconds that a way took.

    Attributes:
        first: of the first step, with all that is prepared in it (compilation).
        step: of a later step; none: it was given up, or failed.
        failed: why it cannot be used here.
    """

    first: float = 0.0
    step: float | None = None
    failed: str | None = None

    def run(self, steps: int) -> float:
        """Of a whole run of this many steps."""
        return float("inf") if self.step is None else self.first + steps * self.step

    def record(self) -> dict[str, Any]:
        """For the file."""
        if self.failed is not None:
            return {"failed": self.failed}
        return {"first step": self.first, "step": self.step}


def choice(path: Path, run: Run, images: ImageSet, executor: Executor, placement: Placement) -> str:
    """The compute mode of a study: the cached one, else the fastest one, which is then cached.

    All runs of a study use it, on every machine: another mode gives other last digits. Where nothing can be
    measured before runs are submitted (the Slurm queue), it is fp32, which is recorded too, with the reason.

    Args:
        path: the file.
        run: its largest one.
        images: of the study.
        executor: where it is tried.
        placement: how runs will be computed.

    Raises:
        UserError: the file names a way that there is not, or the process that measures was ended.
    """
    if not path.is_file() and not executor.measures:
        write_atomic(path, to_json({"choice": "fp32", "reason": "nothing is measured before runs are submitted"}))
    if not path.is_file():
        steps = computed_steps(run.recipe, max(1, run.n))
        (trials,) = executor.apply(tried, run, images, placement)
        if trials is None:
            raise UserError("recipe.precision", "found 'auto', and the process that measures it was ended",
                          "if memory ran out, lower recipe.batch or images.patch")  # fmt: skip
        record = {name: trial.record() for name, trial in trials.items()}
        write_atomic(path, to_json({"choice": best(trials, steps), "seconds": record, "device": placement.device}))
    record = read_json(path)
    found = record.get("choice") if isinstance(record, dict) else None
    if not isinstance(found, str) or found not in COMPUTE_MODES:
        raise UserError(path, f"'choice' is '{found}'", f"known here: {', '.join(COMPUTE_MODES)}")
    return found


def best(trials: dict[str, Trial], steps: int) -> str:
    """The fastest mode for runs of this many steps; fp32 unless another is clearly faster."""
    quickest = min(trials, key=lambda name: trials[name].run(steps))
    worth = trials["fp32"].run(steps) > WORTH * trials[quickest].run(steps)
    return quickest if worth else "fp32"


def tried(run: Run, images: ImageSet, placement: Placement) -> dict[str, Trial]:
    """Benchmark the modes that may be fastest on a device, in turns, so that other load affects all of them.

    Compilation is tried on GPUs only: on CPUs it took 20 to 130 s a process and gained less than layouts do.
    """
    torch.set_num_threads(placement.threads)
    device = torch.device(placement.device)
    names = [name for name, way in COMPUTE_MODES.items() if device.type == "cuda" or not way.compiled]
    trials: dict[str, Trial] = {}
    ready: dict[str, Training] = {}
    limit = float("inf")
    for name in names:
        training = Training(run, images, device, name)
        try:
            first, again = _timed(training, device), _timed(training, device)
        except RuntimeError as error:  # no compiler, no memory: told in the file
            if name == "fp32":
                raise
            trials[name] = Trial(failed=f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}")
            continue
        trials[name] = Trial(first)
        if name == "fp32":
            limit = HOPELESS * again
        if again < limit:
            ready[name] = training
    seconds: dict[str, list[float]] = {name: [] for name in ready}
    began = time.perf_counter()
    for turn in range(MOST_ROUNDS):
        if turn >= ROUNDS and time.perf_counter() - began > ENOUGH:
            break
        for name, training in ready.items():
            seconds[name].append(_timed(training, device))
    return trials | {name: Trial(trials[name].first, min(seconds[name])) for name in ready}


def _timed(training: Training, device: torch.device) -> float:
    _wait(device)
    began = time.perf_counter()
    training.advance()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


WARM = 2
"""Steps before the clock starts."""
LEAST, SECONDS, LONG = 8, 2.0, 12.0
"""Steps are timed until there are this many and that many seconds have passed, or until it is slow and there are 3."""


@dataclass(frozen=True)
class RunCost:
    """What a run takes on this machine, with as many runs side by side as there will be.

    Attributes:
        start: seconds until the first step.
        step: seconds of an optimisation step.
        look: seconds for a pixel of a validation image, at each look.
        test: seconds for a pixel of a test image: reconstruction and all metrics.
        memory: bytes of a process at its largest; on a GPU those of the card.
    """

    start: float
    step: float
    look: float
    test: float
    memory: float

    def seconds(self, run: Run, images: ImageSet, known: int = 0) -> float:
        """Estimated wall time of a run: start, steps, looks at the validation set, and the test.

        Args:
            run: the run.
            images: of its study.
            known: steps that were computed by an earlier run, whose trunk it continues.
        """
        steps = computed_steps(run.recipe, max(1, run.n))
        val = area_of(images.val, run.images.val_patch)
        looks = count_looks(run.recipe, max(1, run.n), val, pixels_of(run, images))
        left = max(0, steps - known)
        looks, steps = math.ceil(looks * left / steps), left
        main, levels = images.tests[run.images.main_test], getattr(run.problem, "test_sigma", ())
        crop = run.images.test_patch
        test = sum(area_of(pixels, crop) for pixels in images.tests.values()) + len(levels) * area_of(main, crop)
        return self.start + self.step * steps + self.look * val * looks + self.test * (val + test)

    def stacked(self, count: int, gain: float) -> RunCost:
        """Of a run among this many that are trained in one pass.

        Args:
            count: of runs; the process needs this many times the memory.
            gain: how many times the images of one alone they get done.
        """
        return replace(self, step=self.step / gain, memory=self.memory * count)


def run_cost(run: Run, images: ImageSet, placement: Placement) -> RunCost:
    """Time the parts of a run, in a process of its own."""
    torch.set_num_threads(placement.threads)
    device = torch.device(placement.device)
    refuse_slow_bf16(run, device.type)
    began = time.perf_counter()
    training = Training(run, images, device, placement.precision)
    for _ in range(WARM):
        training.advance()
    _wait(device)
    ready = time.perf_counter()
    seconds: list[float] = []
    while not _timed_enough(seconds):
        now = time.perf_counter()
        training.advance()
        _wait(device)
        seconds.append(time.perf_counter() - now)
    step = statistics.fmean(seconds)  # not the median: what is asked for is a sum
    look = _of_a_pixel(lambda few: validate(training.network, training.problem, few, run.images.val_patch, device),
                       images.val, run.images.val_patch)  # fmt: skip
    sets = evaluation_sets(run.images, images, training.problem)
    of, at_once = sets[run.images.main_test], together_on(device)
    training.network.eval()
    hardest, largest = largest_images(sets, at_once)
    score(training.network, hardest.problem, largest, crop=hardest.crop, together=at_once)  # decides the memory
    test = _of_a_pixel(lambda few: score(training.network, of.problem, few, crop=of.crop), of.pixels, of.crop)
    return RunCost(max(0.0, ready - began - WARM * step), step, look, test, memory_of(device))


def largest_images(sets: Mapping[str, EvaluationSet], together: int) -> tuple[EvaluationSet, ImageSubset | Slices]:
    """The test set with the largest image, and as many of its largest as are reconstructed at once."""
    areas = {
        name: np.array([of.pixels.area(i, of.crop) for i in range(len(of.pixels))]) for name, of in sets.items()
    }  # fmt: skip
    name = max(areas, key=lambda name: int(areas[name].max()))
    order = np.argsort(-areas[name], kind="stable")
    count = max(1, int(np.searchsorted(np.cumsum(areas[name][order]), together, side="right")))
    return sets[name], sets[name].pixels.pick(order[:count])


_PACES = TypeAdapter(dict[str, RunCost])


def _timed_enough(seconds: Sequence[float]) -> bool:
    total = sum(seconds)
    return (len(seconds) >= LEAST and total > SECONDS) or (len(seconds) >= 3 and total > LONG)


def _of_a_pixel(work: Any, pixels: ImageSubset | Slices, crop: int | None) -> float:
    """Seconds for a pixel: one image to warm up, then up to four, as long as it takes less than two seconds."""
    work(pixels.pick(np.arange(1)))
    spent, area = 0.0, 0
    for index in range(1, min(5, len(pixels))) if len(pixels) > 1 else range(1):
        began = time.perf_counter()
        work(pixels.pick(np.arange(index, index + 1)))
        spent += time.perf_counter() - began
        area += pixels.area(index, crop)
        if spent > 2:
            break
    return spent / area


def measure_costs(
    runs: Sequence[Run], images: ImageSet, folder: Folder, executor: Executor, placement: Placement
) -> dict[str, RunCost]:
    """The pace of every width of a study, measured once for a machine and kept beside the results.

    It is measured with as many processes at once as there will be, so that what they take from each other counts.

    Args:
        runs: the runs.
        images: their images.
        folder: of the results.
        executor: where it is measured.
        placement: how runs will be computed.

    Returns:
        run id -> pace. A network whose process died has none.
    """
    precision = precision_of(runs, images, folder, executor, placement)
    path = folder.root / "calibration.json"
    setting = f"{placement.device}, {placement.threads} threads, {executor.workers} side by side"
    known, kept = _kept(path, setting)
    keys = {run.id: key_of(run, precision[run.id]) for run in runs}
    missing = {keys[run.id]: run for run in runs if keys[run.id] not in kept} if executor.measures else {}
    for key, run in missing.items():
        placed = replace(placement, precision=precision[run.id])
        measured = executor.apply(run_cost, run, images, placed, copies=_copies(executor))
        if found := [each for each in measured if each is not None]:
            kept[key] = RunCost(*(statistics.fmean(parts) for parts in zip(*map(astuple, found), strict=True)))
    if missing and kept:
        write_atomic(path, to_json({**known, setting: {key: asdict(each) for key, each in kept.items()}}))
    return {run: kept[key] for run, key in keys.items() if key in kept}


def _kept(path: Path, setting: str) -> tuple[dict[str, Any], dict[str, RunCost]]:
    """All that was measured before, and the paces for a setting.

    Raises:
        UserError: the file does not hold that.
    """
    known = read_json(path) if path.is_file() else {}
    try:
        return TypeAdapter(dict[str, Any]).validate_python(known), _PACES.validate_python(known.get(setting, {}))
    except (ValidationError, AttributeError) as error:
        raise UserError(path, "does not hold paces", "delete it: they are measured again") from error


def _copies(executor: Executor) -> int:
    return min(executor.workers, 16) if executor.device == "cpu" else 1


def key_of(run: Run, precision: str) -> str:
    """What the pace of a run depends on."""
    network, recipe = run.network, run.recipe
    dials = f"d{network.depth} w{network.width}"
    more = {"c": network.cascades, "l": network.layers, "h": network.heads, "": network.upsampler}
    dials += "".join(f" {letter}{value}" for letter, value in more.items() if value)
    words = {
        run.problem.kind: run.problem.kind != "denoising",
        "volumes": run.images.volumes,
        f"norm {network.norm}": network.norm != "instance",
        f"head {network.head}": network.head != "random",
        "guard": recipe.guarded,
        recipe.optimizer: recipe.optimizer != "adam",
        recipe.loss: recipe.loss != "mse",
    }  # what is usual is not said, so that what was measured before these choices were there still counts
    said = "".join(f" {word}" for word, unusual in words.items() if unusual)
    return f"{network.family} {dials} b{recipe.batch} p{run.images.patch} {precision}{said}"


PRECISION = "precision.json"
"""The file of a results folder that keeps what ``auto`` has come to."""


def _precision_of_results(folder: Folder) -> str | None:
    """What results of the same study were computed in, where ``auto`` had chosen it."""
    for path in sorted(folder.root.glob("*/result.json")):
        try:
            result = Result.read(path.parent, images=False)
        except UserError:
            continue
        found = result.provenance.get("precision")
        if result.run.recipe.precision == "auto" and found in COMPUTE_MODES:
            return str(found)
    return None


def precision_words(folder: Folder, runs: Sequence[Run], precision: Mapping[str, str]) -> str:
    """What ``auto`` has come to, in a sentence; empty where no run asks for it.

    Args:
        folder: of the results.
        runs: that are to be trained.
        precision: run id -> a name in ``COMPUTE_MODES``.
    """
    auto = next((run for run in runs if run.recipe.precision == "auto"), None)
    if auto is None:
        return ""
    return (f"precision = 'auto' is {precision[auto.id]} for all runs of this folder, also on other machines (kept in "
            f"{folder.root / PRECISION}); a new folder on another machine may get another one")  # fmt: skip


def precision_of(
    runs: Sequence[Run], images: ImageSet, folder: Folder, executor: Executor, placement: Placement
) -> dict[str, str]:
    """What each run's precision comes to here. ``auto`` is measured once per study, at its largest width, and kept.

    Returns:
        run id -> a name in ``COMPUTE_MODES``.

    Raises:
        UserError: the file names a way that there is not, or it would have to be measured where nothing can be.
    """
    auto = [run for run in runs if run.recipe.precision == "auto"]
    if not auto:
        return {run.id: run.recipe.precision for run in runs}
    largest, path = max(auto, key=lambda run: run.network.width), folder.root / PRECISION
    if not path.is_file() and (before := _precision_of_results(folder)):  # the file was lost: not the choice
        write_atomic(path, to_json({"choice": before, "reason": "results that are there were computed so"}))
    chosen = choice(path, largest, images, executor, placement)
    return {run.id: chosen if run.recipe.precision == "auto" else run.recipe.precision for run in runs}
