"""A Slurm job: it trains its share of the runs like a local sweep.

Everything that it says goes through files: results, checkpoints, and one small file per job that tells how far it is.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.training.executors.base import AnyTask, Event
from reconscale.training.executors.local import LocalExecutor

SAY_SECONDS = 2.0
"""Seconds between two reports of a job's progress, at least."""
LINGER_SECONDS = 600.0
"""Seconds that a job told to end (SIGTERM) stays, its state kept, until Slurm ends it (and queues it again)."""


@dataclass(frozen=True)
class SlurmJob:
    """One job: some of the runs that were submitted together.

    This, two paths and a few numbers, is all that is handed to submitit.

    Attributes:
        tasks: file of all the tasks submitted together: see :func:`keep_tasks`.
        picked: the ids of this job's runs.
        workers: runs side by side.
        state: file in which it says how far it is.
    """

    tasks: Path
    picked: tuple[str, ...]
    workers: int
    state: Path

    def __call__(self) -> None:
        """Run what is left of the runs; on USR2 keep their state and have the job queued again.

        Raises:
            UserError: results cannot be written.
        """
        picked = set(self.picked)
        tasks = [task for task in read_tasks(self.tasks) if task.run.id in picked and not task.folder.is_over(task.run)]
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's: it dumps what is left, requeues and exits
        signals = _Signals()
        diary = JobStatusFile(self.state)
        # What is ignored here stays so in the fork server: Slurm signals every process of a job. Workers listen to
        # SIGTERM again as soon as they begin.
        local = LocalExecutor(self.workers, diary.tell, stop=signals.heard)
        signals.listen()
        try:
            _in_a_thread(local.carry_out, tasks)
        except KeyboardInterrupt:
            diary.stopped("end")
            if signals.linger() and callable(queue_again):
                diary.stopped("again")
                queue_again(signal.SIGUSR2, None)
        except UserError as mistake:
            diary.gave_up(mistake)
            raise

    def checkpoint(self) -> Any:
        """What submitit queues again: the same; the runs' checkpoints say where to continue."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class _Signals:
    """USR2 (time is up, or preempted: keep state and queue again) and TERM (end)."""

    def __init__(self) -> None:
        self._again = self._end = False
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    def listen(self) -> None:
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, _: object) -> None:
        if number == signal.SIGUSR2:
            self._again = True
        else:
            self._end = True

    def heard(self) -> bool:
        return self._again or self._end

    def linger(self) -> bool:
        """Whether to queue the job again. Told to end, wait: a cancelled or preempted job is ended by Slurm.

        Leaving at once would look to Slurm like a job that is done, and a preempted one would not come back.
        """
        deadline = time.monotonic() + LINGER_SECONDS
        while not self._again and time.monotonic() < deadline:
            time.sleep(0.2)
        return self._again


def _in_a_thread(work: Callable[[list[AnyTask]], None], tasks: list[AnyTask]) -> None:
    """Do the work in a thread, so that this one is free to take signals; raises what the work raises."""
    raised: list[BaseException] = []

    def do() -> None:
        try:
            work(tasks)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=do, name="sweep")
    thread.start()
    while thread.is_alive():
        thread.join(timeout=0.5)
    if raised:
        raise raised[0]


@dataclass
class JobStatusFile:
    """Tells in a file how far a job is: what happened, in order, and the last word of every run under way.

    The file is replaced as a whole, seldom, and stays small: a reader on another machine looks at its time only.
    """

    path: Path
    happened: list[Event] = field(default_factory=list)
    latest: dict[str, Event] = field(default_factory=dict)
    stop: str | None = None
    mistake: tuple[str, str, str] | None = None
    began: float = field(default_factory=time.time)
    _written: float = 0.0

    def tell(self, event: Event) -> None:
        """Take an event of the local sweep."""
        if event["event"] == "progress":
            before = self.latest.get(event["run"], {}) if "kept" in event else {}  # that says nothing of how far it is
            self.latest[event["run"]] = before | event
        else:
            self.happened.append(event)
            if event["event"] == "end":
                self.latest.pop(event["run"], None)
        if time.monotonic() - self._written >= SAY_SECONDS or event["event"] == "end":
            self.write()

    def stopped(self, then: str) -> None:
        """The job was asked to stop and has kept its state: to ``end``, or to be queued ``again``."""
        self.stop = then
        self.write()

    def gave_up(self, mistake: UserError) -> None:
        """The job cannot continue."""
        self.mistake = (mistake.where, mistake.found, mistake.remedy)
        self.write()

    def write(self) -> None:
        """Replace the file."""
        self._written = time.monotonic()
        content = {
            "began": self.began, "stopped": self.stop, "mistake": self.mistake,
            "happened": [_plain(event) for event in self.happened],
            "latest": {run: _plain(event) for run, event in self.latest.items()},
        }  # fmt: skip
        write_atomic(self.path, to_json(content))


def _plain(event: Event) -> Event:
    """An event that strict JSON can hold: numbers that are not finite become words."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in event.items()
    }


def restored(event: Event) -> Event:
    """The event that was told: see :class:`JobStatusFile`."""
    return {key: float(value) if value in ("inf", "-inf", "nan") else value for key, value in event.items()}


def keep_tasks(path: Path, tasks: Sequence[AnyTask]) -> None:
    """Write tasks to a file that only this user can read or change.

    Raises:
        UserError: it cannot be written.
    """
    write_atomic(path, pickle.dumps(list(tasks)))
    path.chmod(0o600)


def read_tasks(path: Path) -> list[AnyTask]:
    """The tasks of a file of ours.

    Raises:
        UserError: somebody else owns it or can change it: it will not be opened.
    """
    for place in (path, path.parent):
        state = place.stat()
        if state.st_uid != os.getuid() or state.st_mode & 0o022:
            raise UserError(place, "others than you can write to it", f"delete {path.parent} and run again")
    tasks: list[AnyTask] = pickle.loads(path.read_bytes())  # noqa: S301 - written by this user, in a folder of this user
    return tasks


ATTEMPTS = 3
"""A run whose job ends this often without getting further counts as failed."""


@dataclass(frozen=True)
class Job:
    """One job of an array.

    Attributes:
        token: names the array, also where its id is not known.
        index: its place in the array.
        id: its id in the queue: ``12`` or ``12_3``.
        runs: ids of its runs.
    """

    token: str
    index: int
    id: str
    runs: tuple[str, ...]


@dataclass
class Array:
    """Jobs submitted together; those that are over are taken out."""

    job: str | None
    single: bool
    elements: dict[int, tuple[str, ...]]


@dataclass
class JobStore:
    """The jobs of a results folder.

    Attributes:
        root: the folder's ``.slurm``: only its owner can look into it.
        arrays: by token.
        deaths: by run: how often its job ended without it getting further, and the time of its checkpoint then.
    """

    root: Path
    arrays: dict[str, Array] = field(default_factory=dict)
    deaths: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def beside(cls, results: Path) -> JobStore:
        """The ledger of a results folder; an empty one where there is none.

        Raises:
            UserError: it is damaged, or the folder cannot be written to.
        """
        root = results.resolve() / ".slurm"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)
        except OSError as error:
            raise UserError(
                root, f"cannot be written ({error.strerror})", "choose a folder you may write to"
            ) from error
        ledger = cls(root)
        if ledger.path.is_file():
            remedy = "cancel the jobs of this study with scancel, delete it and run again"
            content = read_json(ledger.path, remedy)
            try:
                ledger.arrays = {token: _array(of) for token, of in content["arrays"].items()}
                ledger.deaths = {run: (int(count), int(mark)) for run, (count, mark) in content["deaths"].items()}
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UserError(ledger.path, "is not a list of jobs", remedy) from error
        return ledger

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / "jobs.json"

    @property
    def logs(self) -> Path:
        """Where Slurm writes what jobs print, and submitit what it needs."""
        return self.root / "logs"

    def tasks(self, token: str) -> Path:
        """The file of an array's tasks."""
        return self.root / f"{token}.tasks"

    def state(self, token: str, index: int) -> Path:
        """The file in which a job says how far it is."""
        return self.root / "state" / f"{token}-{index}.json"

    def log(self, job: Job) -> Path:
        """What a job printed on its error output."""
        return self.logs / f"{job.id}_0_log.err"

    def jobs(self) -> Iterator[Job]:
        """All jobs whose id is known and which are not known to be over."""
        for token, array in self.arrays.items():
            if array.job is not None:
                for index, runs in array.elements.items():
                    yield Job(token, index, array.job if array.single else f"{array.job}_{index}", runs)

    def add(self, token: str, elements: Sequence[tuple[str, ...]]) -> None:
        """Remember jobs that are about to be submitted."""
        self.arrays[token] = Array(None, len(elements) == 1, dict(enumerate(elements)))
        self.write()

    def name(self, token: str, job: str) -> None:
        """Remember the id of an array."""
        self.arrays[token].job = job
        self.write()

    def forget(self, token: str) -> None:
        """Take out an array that never came to be."""
        self.arrays.pop(token)
        self.tasks(token).unlink(missing_ok=True)
        self.write()

    def remove(self, job: Job) -> None:
        """Take out a job that is over, and delete its files but for the logs."""
        array = self.arrays[job.token]
        del array.elements[job.index]
        self.state(job.token, job.index).unlink(missing_ok=True)
        for name in (f"{job.id}_submitted.pkl", f"{job.id}_0_result.pkl"):
            (self.logs / name).unlink(missing_ok=True)
        if not array.elements:
            self.forget(job.token)
        else:
            self.write()

    def died(self, run: str, checkpoint: Path) -> int:
        """Count a job that ended without this run being over; a run that has got further begins at 1 again."""
        mark = checkpoint.stat().st_mtime_ns if checkpoint.is_file() else 0
        count, before = self.deaths.get(run, (0, mark))
        self.deaths[run] = (count + 1 if mark == before else 1, mark)
        return self.deaths[run][0]

    def write(self) -> None:
        """Replace the file.

        Raises:
            UserError: it cannot be written.
        """
        arrays = {}
        for token, of in self.arrays.items():
            elements = {str(index): list(runs) for index, runs in of.elements.items()}
            arrays[token] = {"job": of.job, "single": of.single, "elements": elements}
        write_atomic(self.path, to_json({"arrays": arrays, "deaths": self.deaths}))


def _array(content: dict[str, Any]) -> Array:
    elements = {int(index): tuple(map(str, runs)) for index, runs in content["elements"].items()}
    return Array(None if content["job"] is None else str(content["job"]), bool(content["single"]), elements)
