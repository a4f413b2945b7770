"""The Slurm executor: runs become job arrays, which continue without the driver.

What is known comes from our own files: results, checkpoints, and what each job says of itself. Slurm is only asked
which jobs are still there. So nothing is lost with the process that watches, and accounting (``sacct``) is not needed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconscale.errors import EndedOnPurpose, UserError
from reconscale.results.results_folder import AnyFolder, Incident
from reconscale.training.executors.base import AnyTask, Event, More, Tell, fault_event
from reconscale.training.executors.slurm_cli import (
    OVER,
    SlurmOptions,
    cancel,
    check_slurm,
    most_elements,
    recorded_state,
    states,
    submit,
)
from reconscale.training.executors.slurm_job import ATTEMPTS, Job, JobStore, SlurmJob, keep_tasks, restored

LOOKS = 2
"""A job counts as gone when it was missing in this many looks at the queue in a row."""
SLOW_FILES = 90.0
"""Seconds that a result may take to be seen on this machine after a job said that it is written (NFS)."""


GRACE = 60.0
"""Seconds that cancelled jobs get to keep the state of their runs."""


class SlurmExecutor:
    """Runs tasks as jobs in the Slurm queue.

    Args:
        options: how runs become jobs.
        device: what jobs compute on.
        tell: takes the events of the sweep. Besides those of the local executor: ``{"event": "queue", "waiting": jobs,
            "running": jobs}`` and ``{"event": "note", "text": sentence}``.

    Raises:
        UserError: Slurm or submitit is not here.
    """

    measures = False

    def __init__(self, options: SlurmOptions, tell: Tell, *, device: str = "cpu") -> None:
        check_slurm()
        self.options, self.tell, self.device = options, tell, device
        self.workers = options.array or 1

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:  # noqa: ARG002
        """Nothing is measured in the queue: it might wait for hours."""
        return [None] * copies

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None = None) -> None:
        """Submit the tasks that are not in the queue already, and watch until all are over; then those of ``more``.

        These are submitted in rounds, as many at a time as may run side by side, so that each is chosen by results.

        With ``options.wait`` off it returns as soon as they are submitted. Runs of jobs that were cancelled stay open.

        Raises:
            KeyboardInterrupt: Ctrl-C; the jobs continue, and the next call finds them again.
            UserError: Slurm refuses the jobs; a job cannot write its results, or none of them can begin.
            EndedOnPurpose: whoever takes the events said so; the jobs are cancelled.
        """
        self._submit(tasks)
        while more is not None and self.options.wait:
            tasks = [task for _ in range(self.workers) if (task := more()) is not None]
            if not tasks:
                break
            self._submit(tasks)

    def _submit(self, tasks: Sequence[AnyTask]) -> None:
        """One round: see :meth:`carry_out`."""
        tasks = [_placed(task) for task in tasks]
        if not tasks:
            return
        ledger = JobStore.beside(tasks[0].folder.root)
        sweep = _Sweep(ledger, {task.run.id: task for task in tasks}, self.options, self.tell)
        try:
            sweep.begin()
            if self.options.wait:
                sweep.watch()
            elif sweep.watched:
                self._note(f"submitted: {sweep.spelled()}; the same command shows how far they are")
        except KeyboardInterrupt:
            self._note(f"the jobs continue ({sweep.spelled()}); the same command shows them again; "
                       f"cancel them with: scancel {' '.join(sweep.arrays())}")  # fmt: skip
            raise
        except EndedOnPurpose:
            sweep.end()
            raise
        except UserError:
            if sweep.watched:
                self._note(f"the other jobs continue ({sweep.spelled()})")
            raise
        if sweep.cancelled:
            self._note(
                f"{len(sweep.cancelled)} runs stay open: their jobs were cancelled; run again to continue with them"
            )

    def _note(self, text: str) -> None:
        self.tell({"event": "note", "text": text})


def under_way(folder: AnyFolder[Any, Any]) -> tuple[str, ...]:
    """The ids of the jobs that were submitted for this results folder and are not known to be over."""
    if not (folder.root / ".slurm" / "jobs.json").is_file():
        return ()
    return tuple(job.id for job in JobStore.beside(folder.root).jobs())


@dataclass
class _Watch:
    """A job that is watched: what was heard of it so far."""

    job: Job
    stamp: int = 0
    began: float = 0.0
    heard: int = 0
    content: dict[str, Any] = field(default_factory=dict)
    missing: int = 0
    gone_since: float = 0.0

    def started(self) -> set[str]:
        return {event["run"] for event in self.content.get("happened", ()) if event["event"] == "start"}


class _Sweep:
    """One call: the runs that are open, and their jobs."""

    def __init__(self, ledger: JobStore, tasks: dict[str, AnyTask], options: SlurmOptions, tell: Any) -> None:
        self.ledger, self.tasks, self.options, self.tell = ledger, tasks, options, tell
        self.open = dict(tasks)
        self.watched: dict[str, _Watch] = {}
        self.cancelled: set[str] = set()
        self.running: set[str] = set()
        self._told: dict[str, Event] = {}
        self._written: set[str] = set()
        self._queue: tuple[int, int] | None = None

    def begin(self) -> None:
        """Find the jobs of earlier calls again, and submit what has none."""
        queue = states()
        self._adopt(queue)
        for job in list(self.ledger.jobs()):
            if self._alive(job, queue):
                if self.open.keys() & set(job.runs):
                    self.watched[job.id] = _Watch(job)
            else:
                self._bury(_Watch(job), queue.get(job.id, ("", ""))[1] or None)
        if self.watched:
            self.tell({"event": "note", "text": f"found again in the queue: {self.spelled()}"})
        self._submit()
        self._tell_queue(queue)

    def watch(self) -> None:
        """Pass on what jobs say, and submit again what vanished, until all is over."""
        looked = time.monotonic()
        while self.open:
            time.sleep(min(1.0, self.options.poll))
            for watch in self.watched.values():
                self._listen(watch)
            self._confirm()
            if time.monotonic() - looked >= self.options.poll:
                looked = time.monotonic()
                self._look()
        for watch in self.watched.values():  # nothing is left to do for them: they end by themselves
            if self.tasks.keys() >= set(watch.job.runs):
                self.ledger.remove(watch.job)

    def end(self) -> None:
        """Cancel the jobs that are watched, and forget those that are gone, so that the next call submits again."""
        if not self.watched:
            return
        self.tell({"event": "note", "text": f"cancelled: {self.spelled()}"})
        cancel(self.arrays())
        deadline = time.monotonic() + GRACE
        while self.watched and time.monotonic() < deadline:
            queue = states()
            for watch in [watch for watch in self.watched.values() if not self._alive(watch.job, queue)]:
                del self.watched[watch.job.id]
                self.ledger.remove(watch.job)
            time.sleep(min(1.0, self.options.poll))

    def arrays(self) -> list[str]:
        """The ids of the jobs and arrays that are watched."""
        return sorted({watch.job.id.partition("_")[0] for watch in self.watched.values()}, key=int)

    def spelled(self) -> str:
        """The watched jobs in words."""
        count = len(self.watched)
        return f"{count} {'job' if count == 1 else 'jobs'} of {' '.join(self.arrays()) or 'none'}"

    def _adopt(self, queue: dict[str, tuple[str, str]]) -> None:
        """Arrays whose id was not recorded before the process ended: their name tells which they are."""
        ids = {name: job.partition("_")[0] for job, (name, _) in queue.items()}
        for token in [token for token, array in self.ledger.arrays.items() if array.job is None]:
            if _job_name(token) in ids:
                self.ledger.name(token, ids[_job_name(token)])
            else:
                self.ledger.forget(token)

    def _submit(self) -> None:
        """Submit the open runs that are in no job."""
        busy = {run for watch in self.watched.values() for run in watch.job.runs}
        left = [task for run, task in self.open.items() if run not in busy]
        if not left:
            return
        most = most_elements()
        size = max(self.options.packed, -(-len(left) // most))
        runs = [task.run.id for task in left]
        chunks = [tuple(runs[at : at + size]) for at in range(0, len(runs), size)]
        token = secrets.token_hex(4)
        self.ledger.add(token, chunks)  # before sbatch: whatever happens now, the array will be known by its name
        try:
            tasks = self.ledger.tasks(token)
            keep_tasks(tasks, left)
            elements = [
                SlurmJob(tasks, chunk, self.options.workers, self.ledger.state(token, index))
                for index, chunk in enumerate(chunks)
            ]
            job = submit(elements, self.options, left[0].placement, self.ledger.logs, _job_name(token))
        except UserError:
            self.ledger.forget(token)
            raise
        self.ledger.name(token, job)
        self.watched |= {job.id: _Watch(job) for job in self.ledger.jobs() if job.token == token}

    def _look(self) -> None:
        """Ask Slurm which jobs are still there."""
        try:
            queue = states()
        except UserError as mistake:
            self.tell({"event": "note", "text": str(mistake)})
            return
        self._tell_queue(queue)
        for watch in list(self.watched.values()):
            if self._alive(watch.job, queue):
                watch.missing, watch.gone_since = 0, 0.0
                continue
            watch.missing += 1
            watch.gone_since = watch.gone_since or time.monotonic()
            self._listen(watch)
            self._confirm()
            waits = self._written & set(watch.job.runs) and time.monotonic() - watch.gone_since < SLOW_FILES
            if watch.missing >= LOOKS and not waits:
                self._bury(watch, queue.get(watch.job.id, ("", ""))[1] or None)
        self._submit()

    def _alive(self, job: Job, queue: dict[str, tuple[str, str]]) -> bool:
        """Whether a job is in the queue, under the name that we gave it: numbers come again one day."""
        name, state = queue.get(job.id, ("", ""))
        return name == _job_name(job.token) and state not in OVER

    def _tell_queue(self, queue: dict[str, tuple[str, str]]) -> None:
        found = [queue[job][1] for job in self.watched if job in queue]
        waiting = sum(state not in (*OVER, "RUNNING", "COMPLETING") for state in found)
        counts = (waiting, found.count("RUNNING"))
        if counts != self._queue:
            self._queue = counts
            self.tell({"event": "queue", "waiting": counts[0], "running": counts[1]})

    def _listen(self, watch: _Watch) -> None:
        """Pass on what is new in a job's own file."""
        path = self.ledger.state(watch.job.token, watch.job.index)
        try:
            stamp = path.stat().st_mtime_ns
            if stamp == watch.stamp:
                return
            watch.content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        watch.stamp = stamp
        if watch.content["began"] != watch.began:  # it was queued again
            watch.began, watch.heard = watch.content["began"], 0
            for run in sorted(self.running & set(watch.job.runs)):
                self._again(run, "its job was queued again")
        for event in watch.content["happened"][watch.heard :]:
            self._pass_on(restored(event))
        watch.heard = len(watch.content["happened"])
        for run, event in watch.content["latest"].items():
            if run in self.running and self._told.get(run) != event:
                self._told[run] = event
                self.tell(restored(event))

    def _pass_on(self, event: Event) -> None:
        run = event.get("run")
        if run not in self.open:
            return
        if event["event"] == "end":
            if event["status"] != "interrupted":
                self._written.add(run)
            return
        if event["event"] == "start":
            self.running.add(run)
        elif event["event"] == "fault" and event["fault"]["kind"] == "worker died":
            self.running.discard(run)
        self.tell(event)

    def _again(self, run: str, why: str) -> None:
        self.running.discard(run)
        self.tell(fault_event(Incident(kind="node lost", run=run, detail=why)))

    def _confirm(self) -> None:
        """Runs are over when their result can be seen from here."""
        for run in list(self._written):
            self._end(run)

    def _end(self, run: str) -> bool:
        task = self.open.get(run)
        result = task.folder.read(task.run, images=False) if task is not None else None
        if task is None or result is None:
            return task is None
        del self.open[run]
        self._written.discard(run)
        self.running.discard(run)
        self.ledger.deaths.pop(run, None)
        self.tell({"event": "end", "run": run, "status": result.status})
        return True

    def _bury(self, watch: _Watch, state: str | None) -> None:
        """Finish a job that is gone, and decide about its unfinished runs."""
        job = watch.job
        self._listen(watch)
        left = [run for run in job.runs if run in self.open and not self._end(run)]
        self._written -= set(left)
        self.watched.pop(job.id, None)
        content = watch.content
        state = (state or recorded_state(job.id)) if left else state
        blamed = watch.started() & set(left) or set(left)
        counts = {run: self.ledger.died(run, self.tasks[run].checkpoint) for run in left if run in blamed}
        never_began = bool(left) and not watch.started()
        self.ledger.remove(job)
        if left and content.get("mistake"):
            raise UserError(*content["mistake"])
        if left and (state == "CANCELLED" or (state is None and content.get("stopped") == "end")):
            self._leave_open(left)
            return
        how = f"{job.id} ({state or 'ended, not known how'})"
        if never_began and max(counts.values()) >= ATTEMPTS:
            self._forgive(left)
            raise UserError(self.ledger.log(job), f"jobs end before a run begins ({_last_line(self.ledger.log(job))})",
                          "mend that, perhaps by --slurm setup=..., and run again")  # fmt: skip
        for run in left:
            if counts.get(run, 0) >= ATTEMPTS:
                self._give_up(run, f"its jobs ended {ATTEMPTS} times without it getting further, last {how}; "
                                   "if memory ran out, raise --slurm memory")  # fmt: skip
            elif run in self.running or run in blamed:
                self._again(run, f"its job {how} is gone")

    def _leave_open(self, runs: Iterable[str]) -> None:
        for run in runs:
            self.cancelled.add(run)
            self.running.discard(run)
            del self.open[run]
        self._forgive(runs)

    def _forgive(self, runs: Iterable[str]) -> None:
        for run in runs:
            self.ledger.deaths.pop(run, None)
        self.ledger.write()

    def _give_up(self, run: str, reason: str) -> None:
        self.tasks[run].fail(reason)
        self._end(run)


def _placed(task: AnyTask) -> AnyTask:
    """The same task wherever it is run: jobs may begin in another directory."""
    folder = replace(task.folder, root=task.folder.root.resolve())
    placed: AnyTask = replace(task, folder=folder)  # type: ignore[type-var]
    return placed


def _job_name(token: str) -> str:
    return f"reconscale-{token}"


def _last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "it printed nothing"
    return lines[-1][:300] if lines else "it printed nothing"
