"""The local executor: a fresh process per run, forked from a warm server, so that a dead worker loses only its run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.forkserver import ensure_running
from typing import Any

from reconscale.mistakes import Mistake
from reconscale.study import Result
from reconscale.training.worker import Task, carry_out, provenance, redirect_output, run_log

ATTEMPTS = 3
"""A run whose process dies is continued from its checkpoint this often before it counts as failed."""
GRACE = 30.0
"""Seconds that workers get to keep their state when the sweep is stopped."""

Event = dict[str, Any]
Context = ForkServerContext | SpawnContext


@dataclass
class _Slot:
    """A worker process and the run it carries out."""

    task: Task
    process: Any
    messages: Connection


class Local:
    """Carries out tasks in worker processes on this machine.

    Args:
        workers: runs side by side.
        tell: takes the events of the sweep: ``{"event": "start" | "progress" | "end", "run": id, ...}``.
    """

    def __init__(self, workers: int, tell: Callable[[Event], None]) -> None:
        self.workers, self.tell = workers, tell
        self._context = _context()
        if isinstance(self._context, ForkServerContext):
            ensure_running()  # it loads torch while the driver prepares the images
        self._alive, self._life = self._context.Pipe(duplex=False)
        self._slots: dict[str, _Slot] = {}
        self._attempts: dict[str, int] = {}

    def carry_out(self, tasks: Sequence[Task]) -> None:
        """Carry out all tasks, in this order as workers become free.

        Raises:
            KeyboardInterrupt: asked to stop (Ctrl-C or SIGTERM); every run under way has kept its state.
            Mistake: results cannot be written.
        """
        waiting = list(reversed(tasks))
        try:
            with _sigterm_as_interrupt():
                while waiting or self._slots:
                    while waiting and len(self._slots) < self.workers:
                        self._start(waiting.pop())
                    waiting += reversed(self._poll())
        except KeyboardInterrupt:
            self._wind_down()
            raise
        finally:
            self._kill()

    def _start(self, task: Task) -> None:
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(task, sender, self._alive), name=task.run.id)
        process.start()
        sender.close()
        self._slots[task.run.id] = _Slot(task, process, receiver)
        self._attempts[task.run.id] = self._attempts.get(task.run.id, 0) + 1
        self.tell({"event": "start", "run": task.run.id})

    def _poll(self) -> list[Task]:
        """Pass messages on and take leave of processes that have ended; returns the tasks to be tried again."""
        by_handle: dict[Any, _Slot] = {}
        for slot in self._slots.values():
            by_handle[slot.messages] = by_handle[slot.process.sentinel] = slot
        ready = {id(slot): slot for handle in wait(list(by_handle), timeout=0.5) if (slot := by_handle[handle])}
        again = []
        for slot in ready.values():
            last = self._listen(slot)
            if last is not None:
                again += self._end(slot, last)
        return again

    def _listen(self, slot: _Slot) -> Event | None:
        """The last word of a worker, or none while it is at work."""
        try:
            while slot.messages.poll():
                message: Event = slot.messages.recv()
                if "end" in message:
                    return message
                self.tell({"event": "progress", "run": slot.task.run.id, **message})
        except (EOFError, OSError):
            return {"end": "died"}
        return None if slot.process.is_alive() else {"end": "died"}

    def _end(self, slot: _Slot, last: Event) -> list[Task]:
        slot.process.join(timeout=10)
        code = slot.process.exitcode
        del self._slots[slot.task.run.id]
        slot.messages.close()
        run, end = slot.task.run, last["end"]
        if end == "mistake":
            raise Mistake(*last["mistake"])
        kept = slot.task.folder.read(run, images=False) if end == "died" else None
        if kept is not None:  # it died after its result was written
            end = kept.status
        elif end == "died":
            if self._attempts[run.id] < ATTEMPTS:
                self.tell({"event": "again", "run": run.id, "code": code})
                return [slot.task]
            self._give_up(slot.task, code)
            end = "failed"
        self.tell({"event": "end", "run": run.id, "status": end})
        return []

    def _give_up(self, task: Task, code: int | None) -> None:
        by = f"signal {-code} ({signal.Signals(-code).name})" if code is not None and code < 0 else f"exit code {code}"
        reason = (
            f"its process was ended {ATTEMPTS} times, last by {by}; if memory ran out, lower --workers or recipe.batch"
        )
        Result(status="failed", run=task.run, p=0, reason=reason, provenance=provenance(task)).write(
            task.folder.of(task.run)
        )

    def _wind_down(self) -> None:
        """Ask the workers to keep their state and end; a second interrupt does not wait for them."""
        for slot in self._slots.values():
            if slot.process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for slot in self._slots.values():
            slot.process.join(timeout=max(0.0, deadline - time.monotonic()))

    def _kill(self) -> None:
        for slot in self._slots.values():
            with contextlib.suppress(ProcessLookupError):
                slot.process.kill()
            slot.process.join(timeout=5)
        self._slots.clear()


def _work(task: Task, messages: Connection, alive: Connection) -> None:
    """What a worker process does."""
    os.setsid()  # a Ctrl-C at the terminal reaches the driver alone, which asks the workers to stop
    threading.Thread(target=_die_with_driver, args=(alive,), daemon=True).start()
    log = run_log(task.folder.of(task.run))
    try:
        redirect_output(log)
    except OSError as error:  # the run stays open
        remedy = "free the disk or choose a folder you may write to"
        messages.send({"end": "mistake", "mistake": (str(log), f"cannot be written ({error.strerror})", remedy)})
        return
    try:
        end: Event = {"end": carry_out(task, messages.send)}
    except Mistake as mistake:
        end = {"end": "mistake", "mistake": (mistake.where, mistake.found, mistake.remedy)}
    messages.send(end)


def _die_with_driver(alive: Connection) -> None:
    """End this process group as soon as the driver is gone, however it went."""
    with contextlib.suppress(EOFError, OSError):
        alive.recv()
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _context() -> Context:
    """A fork server that has torch loaded: a fresh process costs milliseconds. Elsewhere, plain spawning."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    # One thread in the server makes forking safe; each worker then sets its own number of threads.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reconscale.training.warm"])
    return context


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Any:
    """Treat SIGTERM like Ctrl-C, where this is the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    before_int = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, before_int)
