"""Which way of computing is the quickest for a study on this machine: measured once, written down, then obeyed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reconscale.files import read_json, to_json, write_whole
from reconscale.imaging import ImageSet
from reconscale.mistakes import Mistake
from reconscale.study import Run
from reconscale.training.executors.executor import Executor
from reconscale.training.loop import Training
from reconscale.training.schedule import most_steps
from reconscale.training.ways import WAYS
from reconscale.training.worker import Placement

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
        """Of a whole run of so many steps."""
        return float("inf") if self.step is None else self.first + steps * self.step

    def record(self) -> dict[str, Any]:
        """For the file."""
        if self.failed is not None:
            return {"failed": self.failed}
        return {"first step": self.first, "step": self.step}


def choice(path: Path, run: Run, images: ImageSet, executor: Executor, placement: Placement) -> str:
    """The way that a study is computed in: the one written down, else the quickest one, which is written down.

    All runs of a study use it, wherever they are carried out: another way gives other last digits. Where nothing can be
    measured before runs are handed in (the queue of Slurm), it is fp32, which is written down too, with the reason.

    Args:
        path: the file.
        run: its largest one.
        images: of the study.
        executor: where it is tried.
        placement: how runs will be computed.

    Raises:
        Mistake: the file names a way that there is not, or the process that measures was ended.
    """
    if not path.is_file() and not executor.measures:
        write_whole(path, to_json({"choice": "fp32", "reason": "nothing is measured before runs are handed in"}))
    if not path.is_file():
        steps = most_steps(run.recipe, max(1, run.n))
        (trials,) = executor.apply(tried, run, images, placement)
        if trials is None:
            raise Mistake("recipe.precision", "found 'auto', and the process that measures it was ended",
                          "if memory ran out, lower recipe.batch or images.patch")  # fmt: skip
        record = {name: trial.record() for name, trial in trials.items()}
        write_whole(path, to_json({"choice": best(trials, steps), "seconds": record, "device": placement.device}))
    record = read_json(path)
    found = record.get("choice") if isinstance(record, dict) else None
    if not isinstance(found, str) or found not in WAYS:
        raise Mistake(path, f"'choice' is '{found}'", f"known here: {', '.join(WAYS)}")
    return found


def best(trials: dict[str, Trial], steps: int) -> str:
    """The quickest way for runs of so many steps; fp32 where nothing is worth leaving it."""
    quickest = min(trials, key=lambda name: trials[name].run(steps))
    worth = trials["fp32"].run(steps) > WORTH * trials[quickest].run(steps)
    return quickest if worth else "fp32"


def tried(run: Run, images: ImageSet, placement: Placement) -> dict[str, Trial]:
    """Try the ways that may be the quickest on a device, in turns, so that other load meets them alike.

    Compilation is tried on GPUs only: on CPUs it took 20 to 130 s a process and gained less than layouts do.
    """
    torch.set_num_threads(placement.threads)
    device = torch.device(placement.device)
    names = [name for name, way in WAYS.items() if device.type == "cuda" or not way.compiled]
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
