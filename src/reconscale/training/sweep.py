"""Carry out a study: train what is missing, and say how far it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reconscale.files import read_json, to_json, write_whole
from reconscale.imaging import ImageSet, open_images, problem_of
from reconscale.mistakes import Mistake
from reconscale.networks import given_of, size_of
from reconscale.networks.families import depth_of, least_of
from reconscale.study import Folder, Plan, Run, Status, Study, runs_of
from reconscale.study.plan import cells_of
from reconscale.training import checkpoint
from reconscale.training.anchors import anchors
from reconscale.training.calibrate import key_of, paces, precision_of
from reconscale.training.explanation import explanation
from reconscale.training.local import Event, Local
from reconscale.training.sets import pixels_of, training_sets
from reconscale.training.tracking import TRACKERS
from reconscale.training.worker import Placement, Task

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Where:
    """Where a study is carried out: everything that is not part of it.

    Attributes:
        data: root of the folders that the study names; none: ``$RECONSCALE_DATA``.
        device: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.
        workers: runs side by side; none: as many as there are cores for, one on a GPU.
        threads: CPU threads of a run.
        keep_seconds: time between checkpoints.
        tracker: a name in ``TRACKERS``, or none.
    """

    data: Path | None = None
    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    keep_seconds: float = 30.0
    tracker: str | None = None

    def resolved(self) -> Where:
        """The same with nothing left open.

        Raises:
            Mistake: a value that cannot be.
        """
        if self.device not in ("auto", "cpu", "cuda"):
            raise Mistake("--device", f"found '{self.device}'", "known here: auto, cpu, cuda")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise Mistake("--device", "found 'cuda'", "torch sees no GPU here; use --device cpu")
        if self.tracker not in (None, *TRACKERS):
            raise Mistake("--track", f"found '{self.tracker}'", f"known here: {', '.join(TRACKERS)}")
        if self.threads < 1 or (self.workers is not None and self.workers < 1):
            raise Mistake("--workers and --threads", "found a number below 1", "give at least 1")
        if not 0 <= self.keep_seconds < float("inf"):
            raise Mistake("--checkpoint-seconds", f"found {self.keep_seconds:g}", "give 0 or more seconds")
        device = self.device if self.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        workers = self.workers or (1 if device == "cuda" else max(1, _cores() // self.threads))
        data = self.data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)
        return Where(data, device, workers, self.threads, self.keep_seconds, self.tracker)


def prepare(study: Study, where: Where, progress: Progress | None = None) -> ImageSet:
    """Open the images of a study and refuse what cannot work, before anything is trained.

    Raises:
        Mistake: no such family, too few images, a patch that the network cannot take, bad images.
    """
    for width in study.sweep.width:
        network = study.cell_network(width)
        least = least_of(network, given_of(study.problem, 1))
        for key in () if study.images.volumes else ("patch", "val_patch", "test_patch"):
            side = getattr(study.images, key)
            if side is not None and side < least:
                depth = depth_of(network, study.problem.kind)
                raise Mistake(f"images.{key}", f"found {side}",
                              f"{network.family} of depth {depth} needs at least {least}")  # fmt: skip
    images = open_images(study.images, data=where.data, progress=progress)
    problem = problem_of(study.problem, torch.device("cpu"), 0)
    for pixels in images.sets.values():
        problem.check(pixels, study.images.patch)
    if max(study.sweep.n) > images.available:
        raise Mistake("sweep.n", f"found {max(study.sweep.n)}",
                      f"the images allow at most {images.available} {study.images.counts} for training")  # fmt: skip
    return images


def plan(
    study: Study, folder: Folder, where: Where, progress: Progress | None = None, *, calibrate: bool = True
) -> Plan:
    """What a study will do, how far it is, and what the rest will take on this machine.

    Args:
        study: the study.
        folder: its folder of results.
        where: where it would be carried out.
        progress: called with (label, done, total) while images are prepared.
        calibrate: time a few steps of every width; else no time is estimated.

    Raises:
        Mistake: see :func:`prepare`; a damaged result.
    """
    where = where.resolved()
    images = prepare(study, where, progress)
    runs = runs_of(study)
    over = {result.run.id: result.status for result in folder.results(runs, images=False)}
    seconds: Callable[[Run], float | None] = lambda run: None  # noqa: E731
    if calibrate:
        with _threads(where.threads):
            measured = paces(runs, images, folder, torch.device(where.device))
        seconds = lambda run: measured[key_of(run)].seconds(run, images)  # noqa: E731
    size = lambda run: ((s := size_of(run.network, given_of(run.problem, images.channels))).p, s.flops)  # noqa: E731
    return Plan(cells_of(runs, over, size, seconds, lambda run: pixels_of(run, images)), workers=where.workers or 1)


def run(
    study: Study,
    folder: Folder,
    where: Where | None = None,
    *,
    progress: Progress | None = None,
    tell: Callable[[Event], None] | None = None,
    retry_failed: bool = False,
) -> Status:
    """Train what is missing. May be stopped and called again at any time.

    Args:
        study: the study.
        folder: its folder of results.
        where: where to compute.
        progress: called with (label, done, total) while images and anchors are prepared.
        tell: takes the events of the sweep; the first is ``{"event": "plan", "runs": [...], "seconds": {...}}``.
        retry_failed: carry out failed and diverged runs again.

    Raises:
        Mistake: see :func:`prepare`; another command holds the folder; results were measured on other images.
        KeyboardInterrupt: asked to stop; every run under way has kept its state.
    """
    where, tell, progress = (where or Where()).resolved(), tell or _silent, progress or _silent_progress
    images = prepare(study, where, progress)
    runs = runs_of(study)
    with folder.held():
        _pin(folder, images)
        training_sets(study, images, folder)
        explanation(study, images, folder, progress)
        if retry_failed:
            _forget_failed(folder, runs)
        left = [run for run in runs if not folder.is_over(run)]
        if left:
            _carry_out(study, folder, where, images, left, progress, tell)
    return folder.status(runs)


def _carry_out(
    study: Study, folder: Folder, where: Where, images: ImageSet, left: list[Run],
    progress: Progress, tell: Callable[[Event], None],
) -> None:  # fmt: skip
    executor = Local(where.workers or 1, tell)
    device = torch.device(where.device)
    with _threads(where.threads):
        measured = paces(left, images, folder, device)
        precision = precision_of(left, images, folder, device)
        pictures = anchors(study, images, folder, progress)
    seconds = {run.id: measured[key_of(run)].seconds(run, images) for run in left}
    # Seed by seed, so that an unfinished study is a small study; within a seed the longest first.
    ordered = sorted(left, key=lambda run: (study.sweep.seed.index(run.seed), -seconds[run.id]))
    tell({"event": "plan", "runs": [run.id for run in ordered], "seconds": seconds, "workers": where.workers})
    tasks = [
        Task(run, images, folder, _placement(where, precision[run.id]), pictures)
        for run in ordered
    ]  # fmt: skip
    executor.carry_out(tasks)


def _placement(where: Where, precision: str) -> Placement:
    return Placement(where.device, where.threads, precision, where.keep_seconds, where.tracker)


def _pin(folder: Folder, images: ImageSet) -> None:
    """Remember which images this folder of results was measured on, and refuse others."""
    path = folder.root / "images.json"
    if not path.is_file():
        described = images.describe()
        del described["cache"]  # a place of this machine, not a property of the images
        write_whole(path, to_json(described))
        return
    if read_json(path).get("digest") != images.digest:
        raise Mistake(folder.root, "the images are not those that this study began with",
                      "restore them, or copy the study file to a new folder")  # fmt: skip


def _forget_failed(folder: Folder, runs: list[Run]) -> None:
    for run in runs:
        result = folder.read(run, images=False)
        if result is not None and result.status != "done":
            (folder.of(run) / "result.json").unlink()
            checkpoint.remove(folder.of(run))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """The number of torch threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _silent(event: dict[str, Any]) -> None:
    pass


def _silent_progress(label: str, done: int, total: int) -> None:
    pass
