"""A sweep of thousands of runs that sleep, on hundreds of slots that come and go; see ``growth.py slots``.

The driver is real: the events with their log of incidents, the look at the first runs, the progress shown, the choice
of runs one by one. What is not is the time that runs sleep: a clock jumps over it, and is moved on by the time of the
processor that the driver takes. So ten thousand runs of a minute each take minutes here, not a day. A slot is idle from
the end of a run until the driver has given it the next one. Nodes of eight slots are lost now and then, with what their
runs have done, and are back after a while.
"""

from __future__ import annotations

import heapq
import itertools
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from growth import draw_result, study_text, without_flushing
from reconscale.cli.display import SweepProgress, errors
from reconscale.results import Folder
from reconscale.results.results_folder import Incident
from reconscale.study import Run, load_study, runs_of
from reconscale.study.budget import Budget
from reconscale.training import adaptive_sweep
from reconscale.training.executors.base import Attempts, Event, More, Placement, Tell, fault_event
from reconscale.training.first_runs import FirstRuns
from reconscale.training.incident_log import incident_log

NODE = 8
"""Slots of a node."""
LOST = 1.5
"""Lengths of a run between two losses of a node, on average; it is away for five."""
MESSAGES = 10
"""Of a run, about how far it is."""
GOALS = {"driver": 0.2, "idle": 0.02, "decision": 1.0}


@dataclass(frozen=True)
class Sleeper:
    """A run that sleeps, and then has a result."""

    run: Run
    folder: Folder
    placement: Placement = field(default_factory=Placement)
    images: None = None
    memory: float = 0.0
    share: float = 1.0


@dataclass
class Clock:
    """Seconds of the simulated sweep, and those of the processor that the driver took."""

    now: float = 0.0
    busy: float = 0.0
    longest: float = 0.0

    def drive(self, work: Callable[[], Any]) -> Any:
        """Let the driver work: all else waits for it."""
        began = time.thread_time()
        given = work()
        took = time.thread_time() - began
        self.now, self.busy, self.longest = self.now + took, self.busy + took, max(self.longest, took)
        return given


class SleepingSlots:
    """An executor whose runs sleep.

    Args:
        workers: slots.
        tell: takes the events of the sweep.
        seconds: how long a run sleeps, on average.
    """

    device, measures = "cpu", False

    def __init__(self, workers: int, tell: Tell, seconds: float) -> None:
        self.workers, self.tell, self.seconds = workers, tell, seconds
        self.clock, self.rng, self.attempts = Clock(), np.random.default_rng(0), Attempts()
        self.idle = self.slept = 0.0
        self.lost = 0
        self._count = itertools.count()
        self._events: list[tuple[float, int, str, Any]] = []
        self._free = dict.fromkeys(range(workers), 0.0)
        self._running: dict[int, tuple[Sleeper, float]] = {}

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        """Nothing is measured."""
        del function, arguments
        return [None] * copies

    def carry_out(self, tasks: Sequence[Sleeper], more: More | None = None) -> None:
        """Run all tasks, as slots become free, and then what ``more`` gives."""
        waiting: list[Sleeper] = list(reversed(tasks))
        self._later(self.seconds * self.rng.exponential(LOST), "node", None)
        self._fill(waiting, more)
        while self._running:
            when, _, what, of = heapq.heappop(self._events)
            self.clock.now = max(self.clock.now, when)
            if what == "node":
                self._lose_a_node(waiting, when)
            elif what == "back":
                self._free |= dict.fromkeys(of, when)
            elif what == "message" and self._running.get(of[0], (None, 0))[1] == of[1]:
                self._hear({"event": "progress", "run": of[2], "step": of[3], "steps": MESSAGES, "psnr": 30.0})
            elif what == "end" and self._running.get(of[0], (None, 0))[1] == of[1]:
                self._end(of[0], when)
            self._fill(waiting, more)

    def _fill(self, waiting: list[Sleeper], more: More | None) -> None:
        for slot in list(self._free):
            task = waiting.pop() if waiting else self.clock.drive(more) if more else None
            if task is None:
                return
            since = self._free.pop(slot)
            self._hear({"event": "start", "run": task.run.id})
            self.idle += self.clock.now - since
            sleep = self.seconds * float(self.rng.lognormal(-0.125, 0.5))
            began = self.clock.now
            self._running[slot] = (task, began)
            for part in range(1, MESSAGES):
                self._later(began + sleep * part / MESSAGES, "message", (slot, began, task.run.id, part))
            self._later(began + sleep, "end", (slot, began))

    def _end(self, slot: int, when: float) -> None:
        task, began = self._running.pop(slot)
        draw_result(task.run).write(task.folder.of(task.run))  # the worker does, and nobody waits for it
        self.slept += when - began
        self._free[slot] = when
        self._hear({"event": "end", "run": task.run.id, "status": "done"})

    def _lose_a_node(self, waiting: list[Sleeper], when: float) -> None:
        first = NODE * int(self.rng.integers(self.workers // NODE))
        slots = range(first, first + NODE)
        self.lost += 1
        for slot in slots:
            self._free.pop(slot, None)
            if slot in self._running:
                task, began = self._running.pop(slot)
                fault = Incident(kind="node lost", run=task.run.id, detail="simulated", lost=round(when - began, 1))
                self._hear(fault_event(fault))
                waiting.append(task)
        self._later(when + 5 * self.seconds, "back", tuple(slots))
        self._later(when + self.seconds * self.rng.exponential(LOST), "node", None)

    def _hear(self, event: Event) -> None:
        self.clock.drive(lambda: self.tell(event))

    def _later(self, when: float, what: str, of: Any) -> None:
        heapq.heappush(self._events, (when, next(self._count), what, of))


def drive(root: Path, count: int, slots: int, seconds: float, orders: Sequence[str] = ("fixed", "chosen")) -> None:
    """Drive the whole grid in a fixed order, and again with runs that are chosen one by one."""
    adaptive_sweep.is_settled = lambda *_: False  # so that thousands are chosen
    print(f"{count:,} runs of {seconds:g} s on {slots} slots; goals: driver {GOALS['driver']:.0%} of a core, "
          f"slots idle {GOALS['idle']:.0%}, a decision {GOALS['decision']:g} s")  # fmt: skip
    print(f"{'order':<10}{'runs':>8}{'driver':>9}{'idle':>8}{'longest s':>11}{'nodes lost':>12}{'sweep h':>9}")
    for order in orders:
        path = root / order / "study.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(study_text(count, "fast"))
        executor = carried_out(path, order, slots, seconds)
        clock, made = executor.clock, sum(1 for _ in path.parent.glob("runs/*/result.json"))
        whole = executor.slept + executor.idle
        print(f"{order:<10}{made:>8,}{clock.busy / clock.now:>9.1%}{executor.idle / whole:>8.2%}{clock.longest:>11.2f}"
              f"{executor.lost:>12}{clock.now / 3600:>9.2f}")  # fmt: skip


def carried_out(path: Path, order: str, slots: int, seconds: float) -> SleepingSlots:
    """The executor, after the sweep."""
    study, folder = load_study(path), Folder.beside(path)
    runs = runs_of(study)
    folder.root.mkdir(exist_ok=True)
    with Path(os.devnull).open("w") as nowhere, SweepProgress() as show, without_flushing():
        errors.file = nowhere
        try:
            with incident_log(folder, runs, show) as record:
                first = FirstRuns(runs, folder, record, keep_going=True)
                first.begin(None, check=False)
                executor = SleepingSlots(slots, first.tell, seconds)
                first.tell({"event": "plan", "runs": [run.id for run in runs], "workers": slots, "probe": False,
                            "seconds": {run.id: seconds for run in runs}, "expected": 0.0, "stack": 1})  # fmt: skip
                if order == "fixed":
                    executor.carry_out([Sleeper(run, folder) for run in runs])
                else:
                    grid = adaptive_sweep.adaptive_study(study, folder, lambda _: seconds)
                    task_of: Any = lambda run: Sleeper(run, folder)  # noqa: E731
                    adaptive_sweep.choose_and_train(grid, Budget(), task_of, executor, first.tell)  # type: ignore[arg-type]
        finally:
            errors.file = None  # type: ignore[assignment]
    return executor
