"""Train several runs in one process and write their results."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from reconscale.errors import UserError
from reconscale.training.checkpoint import InputGuard
from reconscale.training.distributed import ALONE
from reconscale.training.executors.base import Report
from reconscale.training.hooks import Interrupted
from reconscale.training.loop import Training
from reconscale.training.stack import Stack
from reconscale.training.tracking import TRACKERS
from reconscale.training.worker import (
    Task,
    asked_to_stop,
    finish_run,
    hooks_of,
    name_the_fault,
    restore_or_start,
    run_task,
    written,
)


def carry_out_together(tasks: Sequence[Task], report: Report) -> str:
    """Train runs of equal shape and write their results.

    If all of them fail together (of memory, say), each continues alone from its checkpoint, and a further failure
    belongs to its run.

    Args:
        tasks: the runs.
        report: takes messages, which say whose they are: ``{"run": id, ...}``; ``{"run": id, "end": status}`` of a run
            that is over.

    Returns:
        ``done``, or ``interrupted``: the runs that are not over have kept their states.

    Raises:
        UserError: the results cannot be written; runs that are not over stay open.
    """
    stop = asked_to_stop()
    left = {task.run.id: task for task in tasks}
    try:
        _train_together(tasks, left, report, stop)
    except Interrupted:
        return "interrupted"
    except UserError as mistake:
        name_the_fault(mistake, _of(tasks[0], report))
        raise
    except Exception:
        traceback.print_exc()
        print("what cannot be trained in one pass continues one by one", flush=True)
    for task in list(left.values()):
        end = "interrupted" if stop() else run_task(task, _of(task, report), stop)
        if end == "interrupted":
            return end
        report({"run": task.run.id, "end": end})
    return "done"


def _train_together(tasks: Sequence[Task], left: dict[str, Task], report: Report, stop: Callable[[], bool]) -> None:
    """Train all runs, and write the result of each as soon as it is over; ``left`` then no longer has it.

    Raises:
        Interrupted: see :func:`carry_out_together`.
    """
    began = time.perf_counter()
    witness = InputGuard(tasks[0].images.files())
    trainings = [restore_or_start(task, ALONE, _of(task, report))[0] for task in tasks]
    before = {id(training): sum(training.clock.spent.values()) for training in trainings}
    task_of = {id(training): task for training, task in zip(trainings, tasks, strict=True)}
    asked = _Once(stop)
    start = (time.perf_counter() - began) / len(tasks)

    def ended(training: Training) -> None:
        task = task_of[id(training)]
        own = start + sum(training.clock.spent.values()) - before[id(training)]  # its part of the time until now
        result = finish_run(task, training, _of(task, report), witness, time.perf_counter() - own)
        witness.check()
        status = written(task, result)
        del left[task.run.id]
        report({"run": task.run.id, "end": status})

    with ExitStack() as logs:
        hooks = []
        for task in tasks:
            log = logs.enter_context(TRACKERS[task.placement.tracker or "none"](task.run, task.folder.of(task.run)))
            hooks.append(hooks_of(task, _of(task, report), witness, asked, log))
        Stack(trainings).carry_on(hooks, ended, asked.ask)


class _Once:
    """A question that is asked once a step and answered alike to all runs of a stack."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop, self._answer = stop, False

    def ask(self) -> None:
        self._answer = self._stop()

    def __call__(self) -> bool:
        return self._answer


def _of(task: Task, report: Report) -> Report:
    """The same, saying whose message it is."""

    def told(message: dict[str, Any]) -> None:
        report({"run": task.run.id, **message})

    return told
