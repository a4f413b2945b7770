"""Group runs that train together in one process."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from reconscale.training.stack import shape_of
from reconscale.training.worker import Task

Group = tuple[Task, ...]
"""The runs of one process."""


def grouped(tasks: Sequence[Task], workers: int) -> list[Group]:
    """Tasks in groups that are trained in one pass, as their placements allow.

    A group stands where its first task does. Groups of a shape are of nearly the same size, and no larger than it takes
    to give every worker one.

    Args:
        tasks: the runs, in the order in which they should begin.
        workers: processes side by side.
    """
    alike = Counter(_key(task) for task in tasks)
    size: dict[tuple[str, str], int] = {}
    for task in tasks:
        count = alike[key := _key(task)]
        size[key] = math.ceil(count / max(min(workers, count), math.ceil(count / task.placement.stack)))
    groups: list[list[Task]] = []
    open_: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        key = _key(task)
        if key not in open_ or len(open_[key]) >= size[key]:
            groups.append([])
            open_[key] = groups[-1]
        open_[key].append(task)
    return [tuple(_placed(task, len(group)) for task in group) for group in groups]


def _key(task: Task) -> tuple[str, str]:
    return shape_of(task.run), task.placement.precision


def _placed(task: Task, count: int) -> Task:
    return replace(task, placement=replace(task.placement, stack=count))
