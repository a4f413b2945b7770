"""The interface of executors: local, Ray and Slurm."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from reconscale.results.results_folder import Incident

ATTEMPTS = 3
"""A run whose process dies so often in a row without having got further counts as failed."""

Event = dict[str, Any]
"""``{"event": "start" | "progress" | "fault" | "end" | "waiting", "run": id, ...}``."""
Tell = Callable[[Event], None]


Report = Callable[[dict[str, Any]], None]
"""Takes the messages of a worker: plain dictionaries."""


@dataclass(frozen=True)
class Placement:
    """Where and how a run is computed; none of it is part of the run's identity.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of the process. Recorded: another number of threads may change the last digits.
        precision: a name in ``COMPUTE_MODES``: what the recipe's precision came to on this machine.
        keep_seconds: time between checkpoints.
        tracker: a name in ``TRACKERS``, or none.
        devices: processes that the run is divided among; on GPUs one each.
        stack: runs of equal shape that are trained in one pass, at most; see :mod:`reconscale.training.stack`.
    """

    device: str = "cpu"
    threads: int = 1
    precision: str = "fp32"
    keep_seconds: float = 30.0
    tracker: str | None = None
    devices: int = 1
    stack: int = 1


class AnyTask(Protocol):
    """What a worker process gets: one run, whoever trains it.

    Attributes:
        run: the run.
        folder: the results folder.
        placement: where and how.
        images: what travels once for all tasks, or nothing.
        memory: bytes that it was measured to need; 0: not known.
        share: of a GPU, likewise.
    """

    @property
    def run(self) -> Any: ...  # noqa: D102 - see the class
    @property
    def folder(self) -> Any: ...  # noqa: D102
    @property
    def placement(self) -> Placement: ...  # noqa: D102
    @property
    def images(self) -> Any: ...  # noqa: D102
    @property
    def memory(self) -> float: ...  # noqa: D102
    @property
    def share(self) -> float: ...  # noqa: D102

    @property
    def initial(self) -> str | None:
        """The digest of the weights that it begins with, which its results folder keeps; none: it has no such."""
        ...

    @property
    def checkpoint(self) -> Path:
        """The file that changes whenever the run gets further."""
        ...

    @property
    def needs_script(self) -> bool:
        """Whether its process must import the script that was started, which may have entries for registries."""
        ...

    def carry_out(self, report: Report) -> str:
        """Train the run in this process and write its result.

        Returns:
            ``done``, ``diverged``, ``failed``, or ``interrupted`` (the run stays open).

        Raises:
            UserError: the results cannot be written; the run stays open.
        """
        ...

    def fail(self, reason: str) -> None:
        """Write the result of a run that cannot be trained."""
        ...


More = Callable[[], AnyTask | None]
"""Asked when a worker is free and nothing waits: the next task, or None for now. It is asked again after runs ended."""


class Executor(Protocol):
    """Trains runs, and calibrates their cost, in worker processes.

    Attributes:
        device: what the workers compute on: ``cpu`` or ``cuda``.
        workers: runs side by side.
        measures: whether :meth:`apply` can be had at once, so that paces may be measured.
    """

    device: str
    workers: int
    measures: bool

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        """Call a function in this many fresh workers at the same time; what each gave, None for one that died.

        Raises:
            UserError: the function raised it.
        """
        ...

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None = None) -> None:
        """Run all tasks, in this order as workers become free, and then what ``more`` gives.

        Raises:
            KeyboardInterrupt: asked to stop; every run under way has kept its state.
            UserError: results cannot be written, or images are no longer there.
        """
        ...


@dataclass
class Attempts:
    """Counts how often a run's process died without having got further.

    A death after a new checkpoint does not count: whatever ends processes now and then must not end a run.
    """

    deaths: dict[str, int] = field(default_factory=dict)
    furthest: dict[str, int] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)

    def kept(self, run: str, step: int) -> None:
        """A checkpoint of a run has been kept at this step."""
        self.reached[run] = max(step, self.reached.get(run, 0))

    def again(self, run: str) -> bool:
        """The run's process died: whether to try it again."""
        if self.reached.get(run, 0) > self.furthest.get(run, 0):
            self.furthest[run] = self.reached[run]
            self.deaths[run] = 0
        self.deaths[run] = self.deaths.get(run, 0) + 1
        return self.deaths[run] < ATTEMPTS


def write_failure(task: AnyTask, how: str) -> None:
    """Write the result of a run whose process dies again and again.

    Args:
        task: the run.
        how: how it ended the last time.
    """
    task.fail(
        f"its process was ended {ATTEMPTS} times in a row without getting further, last by {how}; "
        "if memory ran out, lower --workers or recipe.batch"
    )


def ended_by(code: int | None) -> str:
    """How a process ended, in words.

    >>> ended_by(-9), ended_by(1)
    ('signal 9 (SIGKILL)', 'exit code 1')
    """
    return f"signal {-code} ({signal.Signals(-code).name})" if code is not None and code < 0 else f"exit code {code}"


def fault_event(fault: Incident, **more: Any) -> Event:
    """A fault as an event of the sweep."""
    return {"event": "fault", "run": fault.run, "fault": fault.model_dump(), **more}
