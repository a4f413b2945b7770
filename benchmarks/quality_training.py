"""Training for ``benchmarks/quality.py`` through the project's own parts, timed in seconds of the processor."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from quality_tasks import Task
from reconscale.data import ImageSet, open_images
from reconscale.networks import input_spec, size_of
from reconscale.physics import InverseProblem, problem_of
from reconscale.study import Run, Study
from reconscale.study.study_file import parse_study
from reconscale.training.calibrate import best, tried
from reconscale.training.evaluate import means, score, validate
from reconscale.training.loop import Hooks, Training
from reconscale.training.worker import Placement

CPU = torch.device("cpu")
MANY = 10**6
"""Steps of a run whose number of steps is still open."""

Reconstruct = Callable[[Any], torch.Tensor]
"""From what was measured to images."""


class Stopwatch:
    """Seconds of the processor since it was made, of all threads, without what lies in ``paused``."""

    def __init__(self) -> None:
        self.began, self.left_out = time.process_time(), 0.0

    @property
    def seconds(self) -> float:
        """So far."""
        return time.process_time() - self.began - self.left_out

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens in here is not counted."""
        since = time.process_time()
        try:
            yield
        finally:
            self.left_out += time.process_time() - since


class Timed(Training):
    """A run whose looks at the validation set are not counted."""

    stopwatch: Stopwatch

    def look(self) -> dict[str, float]:
        """As always, while the stopwatch stands still."""
        with self.stopwatch.paused():
            return super().look()


class Enough(Exception):
    """The last moment of a run has been measured."""


@dataclass
class Moments:
    """Measures a run that continues by itself at some moments; given to its optimiser as a hook after every step.

    Attributes:
        at: seconds of the processor, rising.
        measure: from a reconstruction and whether it is the last moment to what is kept of it.
        shown: the run as it stands, ready to reconstruct; whoever trains sets it.
        curve: what was measured.
    """

    at: Sequence[float]
    measure: Callable[[Reconstruct, bool], dict[str, Any]]
    shown: Callable[[], AbstractContextManager[Reconstruct]] | None = None
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    steps: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def watch(self, optimizer: torch.optim.Optimizer) -> None:
        """Begin to count: nothing has been trained yet."""
        optimizer.register_step_post_hook(lambda *_: self.after_step())
        self.stopwatch = Stopwatch()

    def after_step(self) -> None:
        """Measure where a moment has come.

        Raises:
            Enough: it was the last one.
        """
        self.steps += 1
        seconds = self.stopwatch.seconds
        if seconds < self.at[len(self.curve)]:
            return
        with self.stopwatch.paused():
            last = len(self.curve) + 1 == len(self.at)
            assert self.shown is not None
            with self.shown() as reconstruct:
                found = self.measure(reconstruct, last)
            self.curve.append({"core_seconds": round(seconds, 3), "steps": self.steps, **found})
        if last:
            raise Enough


@contextmanager
def evaluating(network: torch.nn.Module, reconstruct: Reconstruct | None = None) -> Iterator[Reconstruct]:
    """The network as it is tested, or a reconstruction by it."""
    network.eval()
    yield reconstruct or network
    network.train()


def measured(task: Task, images: ImageSet, problem: InverseProblem) -> Callable[..., dict[str, Any]]:
    """A function that measures a reconstruction on the test sets: the further ones at the last moment alone."""

    def measure(reconstruct: Reconstruct, last: bool = True) -> dict[str, Any]:
        tests = {}
        for name, pixels in images.tests.items():
            if name == task.main or last:
                scores = score(reconstruct, problem, pixels, crop=images.images.test_patch)
                found = means(scores, problem.by_volume(scores, pixels))
                tests[name] = {profile: round(found[profile], 4) for profile in task.profiles}
        main = tests[task.main]
        ssim = next(profile for profile in task.profiles if profile.startswith("ssim"))
        return {"psnr": main[task.profile], "ssim": main[ssim], "tests": tests}

    return measure


def lines(task: Task, images: ImageSet, problem: InverseProblem, names: Sequence[str]) -> dict[str, float]:
    """Mean on the main test set of what needs no training: name -> dB."""
    with torch.inference_mode():
        offered = problem.anchors(images.val)
    pixels, crop = images.tests[task.main], images.images.test_patch
    found = {}
    for name in names:
        if name in offered:
            scores = score(offered[name].reconstruct, problem, pixels, crop=crop)
            found[name] = round(means(scores, problem.by_volume(scores, pixels))[task.profile], 4)
    return found


@dataclass(frozen=True)
class Material:
    """A study with its images, ready to be trained on.

    Attributes:
        task: what is measured.
        study: as parsed.
        images: opened.
        seed: of the run.
        n: training images; none: all that there are.
    """

    task: Task
    study: Study
    images: ImageSet
    seed: int
    n: int | None = None

    @property
    def problem(self) -> InverseProblem:
        """Measures images for tests."""
        return problem_of(self.study.problem, CPU, self.seed)

    @property
    def training_images(self) -> int:
        """How many: n."""
        return min(self.n or self.images.available, self.images.available)

    def run(self, steps: int) -> Run:
        """The run with this many steps; where they are fixed, it looks at the validation set at its end."""
        n, width = self.training_images, self.study.sweep.width[0]
        recipe = self.study.cell_recipe(n, width)
        assert recipe is not None
        if recipe.steps_are_fixed:
            recipe = recipe.model_copy(update={"steps": steps, "validate_every": steps})
        return Run(
            problem=self.study.problem, images=self.study.images, n=n, network=self.study.cell_network(width),
            recipe=recipe, seed=self.seed,
        )  # fmt: skip

    def described(self, run: Run) -> dict[str, Any]:
        """What a row says of a run."""
        size = size_of(run.network, input_spec(run.problem, self.images.channels))
        network = run.network.model_dump(mode="json", exclude_defaults=True)
        recipe = run.recipe.model_dump(mode="json", exclude_defaults=True)
        crop = {key: getattr(run.images, key) for key in ("patch", "crop", "augment")}
        settings = {"network": network, "recipe": recipe, "images": crop}
        return {"p": size.p, "family": run.network.family, "width": run.network.width, "n": run.n, "settings": settings}


def material(task: Task, content: Mapping[str, Any], data: Path | None, seed: int, n: int | None = None) -> Material:
    """Parse the content of a study file and open its images, which packs them the first time."""
    study = parse_study(content)
    return Material(task, study, open_images(study.images, data=data), seed, n)


def to_budget(given: Material, seconds: float) -> dict[str, Any]:
    """Train for about this many seconds of the processor, and test: a row.

    The way of computing and the number of steps are found before, by steps that are not counted.
    """
    way, pace = paced(given)
    run = given.run(max(1, round(seconds / pace)))
    began, stopwatch = time.perf_counter(), Stopwatch()
    training = Timed(run, given.images, CPU, way)
    training.stopwatch = stopwatch
    warnings: list[str] = []
    training.carry_on(Hooks(warn=warnings.append))
    row = {
        "core_seconds": round(stopwatch.seconds, 3), "wall_seconds": round(time.perf_counter() - began, 3),
        "steps": training.step, "way": way, "restarts": training.restarts, "warnings": warnings,
        **given.described(run),
    }  # fmt: skip
    if training.diverged_at is not None:
        return row | {"psnr": None, "failed": f"diverged at step {training.diverged_at}"}
    training.network.load_state_dict(training.best)
    row |= {"val_psnr": round(training.best_psnr, 4), "best_step": training.best_step}
    with evaluating(training.network) as network:
        return row | measured(given.task, given.images, given.problem)(network)


def paced(given: Material, least: int = 16, seconds: float = 1.0) -> tuple[str, float]:
    """The way of computing that the recipe asks for, and seconds of the processor that a step then takes."""
    run = given.run(MANY)
    way = run.recipe.precision
    if way == "auto":
        way = best(tried(run, given.images, Placement()), MANY)
    training = Training(run, given.images, CPU, way)
    spent: list[float] = []
    while len(spent) < least or sum(spent) < seconds:
        began = time.process_time()
        training.advance()
        spent.append(time.process_time() - began)
    later = spent[least // 4 :]
    return way, sum(later) / len(later)


def by_schedule(given: Material, moments: Moments) -> dict[str, Any]:
    """Train by a recipe with a schedule of its own until the last moment has been measured: what a row says of it.

    Of a recipe that goes by the validation set, the better weights on it are measured: those now, or its best so far.
    """
    run = given.run(MANY)
    training = Timed(run, given.images, CPU, "fp32")
    moments.shown = lambda: _better(training)
    moments.watch(training.optimizer)
    training.stopwatch = moments.stopwatch
    with suppress(Enough):
        training.carry_on(Hooks())
    return given.described(run)


@contextmanager
def _better(training: Training) -> Iterator[Reconstruct]:
    """The network with the weights that are better on the validation set: as they are, or the best of earlier looks."""
    network, now = training.network, {}
    if training.best and not training.recipe.steps_are_fixed:
        seen = validate(network, training.problem, training.val, training.run.images.val_patch, CPU)[1]
        if seen < training.best_psnr:
            now = {name: value.detach().clone() for name, value in network.state_dict().items()}
            network.load_state_dict(training.best)
    with evaluating(network) as reconstruct:
        yield reconstruct
    if now:
        network.load_state_dict(now)


def machine() -> dict[str, Any]:
    """What decides the speed of this machine, and how busy it is."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    flags = named.get("flags", "").split()
    return {
        "processor": named.get("model name", platform.processor() or platform.machine()),
        "bf16": [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags],
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }
