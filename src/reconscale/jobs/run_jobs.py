"""Train the runs that are missing, wherever they are to be computed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.format import times
from reconscale.jobs.task import JobTask, Trainer
from reconscale.machine import cores
from reconscale.results.external_results import ExternalFolder
from reconscale.results.results_folder import Incident, append_incident
from reconscale.results.under_way import recorded_progress
from reconscale.study.budget import Budget
from reconscale.study.external import ExternalRun
from reconscale.study.mixed_items import MixedItems
from reconscale.study.subsets import Subsets
from reconscale.training.adaptive_sweep import AdaptiveStudy, choose_and_train
from reconscale.training.executors.base import AnyTask, Event, Executor, More, Placement, Tell
from reconscale.training.executors.slurm import under_way
from reconscale.training.placement import ExecutionConfig

Items = Subsets | MixedItems
"""Of one source, or of several."""
HEAVY = ("numpy", "torch", "torchvision", "deepinv", "lightning", "pytorch_lightning", "skimage", "PIL")
"""Packages that workers find loaded where the process that calls has loaded them: importing torch takes seconds."""


@dataclass(frozen=True)
class Jobs:
    """What belongs together when runs are trained.

    Attributes:
        folder: the results folder; the caller holds it.
        items: of the study.
        trainer: what trains.
        where: where to compute; None: in this process.
        given: what the user said of that.
        tell: takes the events.
    """

    folder: ExternalFolder
    items: Items
    trainer: Trainer
    where: ExecutionConfig | None
    given: ExecutionConfig | None
    tell: Tell

    def train(self, runs: Sequence[ExternalRun], adaptive: tuple[AdaptiveStudy, Budget] | None = None) -> None:
        """Train runs, seed by seed, so that an unfinished study is a small study.

        Args:
            runs: those that are missing.
            adaptive: the grid and what may be spent, where runs are chosen one by one; None: all are trained.

        Raises:
            KeyboardInterrupt: asked to stop; runs under way stay open.
            UserError: results cannot be written, or jobs of Slurm are working in the folder.
        """
        self._refuse_beside_jobs()
        with recorded_progress(self.folder.root, self.tell) as tell:
            replace(self, tell=tell)._train(runs, adaptive)

    def _train(self, runs: Sequence[ExternalRun], adaptive: tuple[AdaptiveStudy, Budget] | None) -> None:
        order = list(dict.fromkeys(run.seed for run in runs))
        largest = 1 if self.where is None else -1  # side by side, the longest runs begin first
        runs = sorted(runs, key=lambda run: (order.index(run.seed), largest * run.n, largest * (run.width or 0)))
        if self.where is None:
            self._plan(runs, 1)
            where = (self.given or ExecutionConfig(threads=_own_threads())).resolved()
            here = _InThisProcess(where.device, self.tell)
            self._carry_out(here, runs, Placement(device=where.device, threads=where.threads), adaptive)
            return
        with self.where.executor(self._record, preloaded()) as executor:
            placement = Placement(device=executor.device, threads=self.where.threads)
            self._plan(runs, executor.workers)
            self._carry_out(executor, runs, placement, adaptive)

    def _carry_out(
        self, executor: Executor, runs: Sequence[ExternalRun], placement: Placement,
        adaptive: tuple[AdaptiveStudy, Budget] | None,
    ) -> None:  # fmt: skip
        if adaptive is None:
            executor.carry_out([self._task(run, placement) for run in runs])
        else:
            grid, budget = adaptive
            choose_and_train(grid, budget, lambda run: self._task(run, placement), executor, self.tell)

    def _task(self, run: ExternalRun, placement: Placement) -> JobTask:
        items = self.items
        parts = (items.training(run), items.val, items.test)
        return JobTask(run, self.folder, placement, self.trainer, parts, items.test_names, items.digest)

    def _plan(self, runs: Sequence[ExternalRun], workers: int) -> None:
        ids = [run.id for run in runs]
        self.tell({"event": "plan", "runs": ids, "seconds": dict.fromkeys(ids, 1.0), "workers": workers, "expected": 0})

    def _record(self, event: Event) -> None:
        if event["event"] == "fault":
            append_incident(self.folder.root, Incident.model_validate(event["fault"]))
        self.tell(event)

    def _refuse_beside_jobs(self) -> None:
        jobs = () if self.where is not None and self.where.slurm else under_way(self.folder)
        if jobs:
            what = f"{len(jobs)} jobs of Slurm may be working in this folder ({', '.join(jobs[:3])})"
            raise UserError(
                self.folder.root, what, f"wait for them, or cancel them and delete {self.folder.root}/.slurm"
            )


@dataclass
class _InThisProcess:
    """Trains one run after the other, in the process that calls."""

    device: str
    tell: Tell
    workers: int = 1
    measures: bool = True

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        return [function(*arguments) for _ in range(copies)]

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None = None) -> None:
        for task in chain(tasks, iter(more, None) if more is not None else ()):
            name = task.run.id
            self.tell({"event": "start", "run": name})
            report = lambda message, name=name: self.tell({"event": "progress", "run": name, **message})  # noqa: E731
            status = task.carry_out(report)
            if status == "interrupted":
                raise KeyboardInterrupt
            self.tell({"event": "end", "run": name, "status": status})


def pin_items(folder: ExternalFolder, items: Items) -> None:
    """Remember the items of a results folder, and refuse others.

    Raises:
        UserError: the folder began with other items, or they were divided in another way.
    """
    path = folder.root / "items.json"
    if not path.is_file():
        held = {"val": list(items.val_names), "test": list(items.test_names)}
        write_atomic(path, to_json({"digest": items.digest, "count": items.count, "grouped": items.grouped, **held}))
    elif read_json(path).get("digest") != items.digest:
        raise UserError(folder.root.parent, "began with other items, groups, val or test",
                        "restore them, or measure in another folder")  # fmt: skip


def tell_unused(items: Items, left_out: int, tell: Tell) -> None:
    """Say how many items no run uses, because a list leaves them out.

    Args:
        items: of the study, divided.
        left_out: items that are in no set and were left out before they were divided.
        tell: takes the events.
    """
    halves = f"{items.unused} items are used nowhere, as their groups are held out" if items.unused else ""
    others = f"{left_out} items are in none of the sets of images.split" if left_out else ""
    if said := "; ".join(filter(None, (others, halves))):
        tell({"event": "note", "text": said})


def forget_failed(folder: ExternalFolder, runs: Iterable[ExternalRun]) -> None:
    """Delete the results of runs that failed or diverged, so that they are trained again."""
    for run in runs:
        result = folder.read(run, images=False)
        if result is not None and result.status != "done":
            (folder.of(run) / "result.json").unlink()


def preloaded() -> list[str]:
    """The modules that workers find loaded."""
    loaded = [name for name in HEAVY if name in sys.modules]
    more = ["torch._dynamo"] if "torch" in loaded and importlib.util.find_spec("torch._dynamo") else []
    return [*loaded, *more, "reconscale.jobs.task"]


def _own_threads() -> int:
    """CPU threads that this process computes with."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(told)) if told.isdigit() and int(told) else cores()


def check_place(on: Any) -> ExecutionConfig | None:
    """Where to compute, checked; None: in the process that calls.

    Raises:
        UserError: a value that cannot be.
    """
    if on is None:
        return None
    if not isinstance(on, ExecutionConfig):
        raise UserError("on", f"found a {type(on).__name__}", "give rs.Local(workers=2), rs.Ray() or rs.Slurm(...)")
    if on.devices > 1 or (on.stack or 1) > 1 or on.tracker:
        raise UserError("on", "found devices, stack or a tracker", "these are for networks of ours: leave them out")
    where = on.resolved()
    return None if where.workers == 1 and where.ray is None and not where.slurm else where


def printer(runs: Sequence[ExternalRun], metric: str, print_line: Callable[[str], Any]) -> Tell:
    """Takes events and prints a line for each run that is over."""
    words = {run.id: run.words for run in runs}
    values: dict[str, float] = {}
    counts = {"over": 0, "all": 0}
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            print_line(text)

    def tell(event: Event) -> None:
        run = words.get(event.get("run", ""), "")
        if event["event"] == "plan":
            counts["all"] = len(event["runs"])
            print_line(f"{times(counts['all'], 'run')} to do, {event['workers']} at a time")
        elif event["event"] == "progress":
            values.update({event["run"]: event["value"]} if "value" in event else {})
            if "note" in event:
                once(event["note"])
        elif event["event"] == "note":
            print_line(event["text"])
        elif event["event"] == "fault" and run:
            print_line(f"{run}: {event['fault']['kind']} ({event['fault']['detail']}); it is tried again")
        elif event["event"] == "end":
            counts["over"] += 1
            value = f", {metric} {values[event['run']]:.4g}" if event["run"] in values else ""
            print_line(f"[{counts['over']}/{counts['all']}] {run}: {event['status']}{value}")

    return tell
