"""The local executor: one process per run, so that a crash affects only its run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from typing import Any

from reconscale.errors import UserError
from reconscale.own_parts import Plugin, check_loaded, loaded_plugins
from reconscale.results.results_folder import Incident
from reconscale.study.base import OWN
from reconscale.training.executors.base import (
    AnyTask,
    Attempts,
    Event,
    More,
    Report,
    Tell,
    ended_by,
    fault_event,
    write_failure,
)
from reconscale.training.executors.processes import (
    PRELOAD,
    context,
    detach,
    is_guarded,
    redirect_output,
    run_log,
    script_imported,
)
from reconscale.training.executors.processes import environment as environment_of

Group = tuple[Any, ...]
"""The tasks of one process."""
GRACE = 30.0
"""Seconds that workers get to keep their state when the sweep is stopped."""
SILENT = 1800.0
"""Seconds without a message after which a worker counts as stuck, and is ended and continued from its checkpoint."""


@dataclass(frozen=True)
class RemoteError:
    """What comes instead of a value where the function has raised.

    Attributes:
        why: in one line.
    """

    why: str


@dataclass
class _Slot:
    """A worker process, what it runs, and when it last gave a sign of life and kept its state.

    Attributes:
        tasks: by the id of their runs, those that are not over.
    """

    tasks: dict[str, AnyTask]
    process: Any
    messages: Connection
    gpu: str | None
    heard: float = field(default_factory=time.monotonic)
    kept: float = field(default_factory=time.monotonic)


def _with_advice(error: UserError) -> UserError:
    """A part of one's own that workers do not know is in a script that they do not import."""
    if is_guarded() or OWN not in error.remedy:
        return error
    advice = 'or call below `if __name__ == "__main__":`, and workers import the script that adds it'
    return UserError(error.where, error.found, f"{error.remedy}, {advice}")


class LocalExecutor:
    """Runs tasks in worker processes on this machine.

    Args:
        workers: runs side by side.
        tell: takes the events of the sweep.
        device: what workers compute on.
        stop: asked twice a second; once it is true, the sweep ends as after Ctrl-C.
        devices: numbers of the GPUs that workers share out; empty: whatever the process sees.
        silent: see ``SILENT``.
        preload: modules that workers find loaded.
    """

    measures = True

    def __init__(
        self, workers: int, tell: Tell, *, device: str = "cpu", stop: Callable[[], bool] = lambda: False,
        devices: Sequence[str] = (), silent: float = SILENT, preload: Sequence[str] = PRELOAD,
    ) -> None:  # fmt: skip
        self.workers, self.tell, self.device, self.stop = workers, tell, device, stop
        self.devices, self.silent = tuple(devices), silent
        self._context = context(preload)
        if isinstance(self._context, ForkServerContext):
            ensure_running()  # it loads torch while the driver prepares the images
        self._alive, self._life = self._context.Pipe(duplex=False)
        self._slots: dict[str, _Slot] = {}
        self._attempts = Attempts()

    def apply(self, function: Callable[..., Any], *arguments: Any, copies: int = 1) -> list[Any]:
        """Call a function in this many fresh processes at the same time; what each gave, None for one that died.

        Where the function raises anything but a ``UserError``, that is told as a note, and there is None as well.

        Raises:
            UserError: the function raised it.
        """
        started = []
        for _ in range(copies):
            receiver, sender = self._context.Pipe(duplex=False)
            environment = environment_of(self.devices[0] if self.devices else None)
            process = self._context.Process(
                target=_apply, args=(loaded_plugins(), function, arguments, sender, self._alive, environment)
            )
            with script_imported(True):
                process.start()
            sender.close()
            started.append((process, receiver))
        try:
            answers = [_answer(receiver) for _, receiver in started]
        finally:
            for process, receiver in started:
                receiver.close()
                process.kill()
                process.join()
        for answer in answers:
            if isinstance(answer, UserError):
                raise _with_advice(answer)
        for why in {answer.why for answer in answers if isinstance(answer, RemoteError)}:
            self.tell({"event": "note", "text": f"what runs take cannot be measured ({why})"})
        return [None if isinstance(answer, RemoteError) else answer for answer in answers]

    def carry_out(self, tasks: Sequence[AnyTask], more: More | None = None) -> None:
        """Run all tasks, in this order as workers become free, and then what ``more`` gives.

        Raises:
            KeyboardInterrupt: asked to stop (Ctrl-C or SIGTERM); every run under way has kept its state.
            UserError: results cannot be written; the other runs under way have kept their state where they could.
        """
        waiting = list(reversed(_groups(tasks, self.workers)))
        try:
            with sigterm_as_interrupt():
                while True:
                    if self.stop():
                        raise KeyboardInterrupt
                    while len(self._slots) < self.workers and (group := _next(waiting, more)):
                        self._start(group)
                    if not self._slots:
                        break
                    waiting += reversed(self._poll())
        except (KeyboardInterrupt, UserError):
            self._wind_down()
            raise
        finally:
            self._kill()

    def _start(self, tasks: Group) -> None:
        receiver, sender = self._context.Pipe(duplex=False)
        used = [slot.gpu for slot in self._slots.values()]
        gpu = min(self.devices, key=used.count) if self.devices else None  # the one with the fewest runs
        name = tasks[0].run.id
        process = self._context.Process(target=_work, args=(tasks, sender, self._alive, environment_of(gpu)), name=name)
        with script_imported(tasks[0].needs_script):
            process.start()
        sender.close()
        self._slots[name] = _Slot({task.run.id: task for task in tasks}, process, receiver, gpu)
        for task in tasks:
            self.tell({"event": "start", "run": task.run.id})

    def _poll(self) -> list[Group]:
        """Pass messages on and clean up processes that have ended; returns the tasks to try again."""
        by_handle: dict[Any, _Slot] = {}
        for slot in self._slots.values():
            by_handle[slot.messages] = by_handle[slot.process.sentinel] = slot
        ready = {id(slot): slot for handle in wait(list(by_handle), timeout=0.5) if (slot := by_handle[handle])}
        again: list[Group] = []
        for slot in ready.values():
            last = self._listen(slot)
            if last is not None:
                again += self._end(slot, last)
        for slot in self._slots.values():
            if time.monotonic() - slot.heard > self.silent:
                slot.process.kill()
                for task in list(slot.tasks.values())[:1]:
                    lost = time.monotonic() - slot.kept
                    self._tell_fault(task, "worker silent", f"no word for {self.silent:.0f} s", lost)
                slot.heard = time.monotonic()
        return again

    def _listen(self, slot: _Slot) -> Event | None:
        """The last word of a worker, or none while it is at work."""
        first = next(iter(slot.tasks), "")
        try:
            while slot.messages.poll():
                message: Event = slot.messages.recv()
                slot.heard = time.monotonic()
                if "end" in message:
                    if "run" not in message:
                        return message
                    del slot.tasks[message["run"]]
                    self.tell({"event": "end", "run": message["run"], "status": message["end"]})
                    continue
                run = message.pop("run", first)
                if "kept" in message:
                    slot.kept = slot.heard
                    self._attempts.kept(run, message["kept"])
                if "fault" in message:
                    self.tell(fault_event(Incident.model_validate({"run": run, **message["fault"]})))
                else:
                    self.tell({"event": "progress", "run": run, **message})
        except (EOFError, OSError):
            return {"end": "died"}
        return None if slot.process.is_alive() else {"end": "died"}

    def _end(self, slot: _Slot, last: Event) -> list[Group]:
        slot.process.join(timeout=10)
        code = slot.process.exitcode
        self._slots = {name: other for name, other in self._slots.items() if other is not slot}
        slot.messages.close()
        end = last["end"]
        if end == "mistake":
            raise UserError(*last["mistake"])
        if end == "died":
            _end_for_good(slot.process.pid)
            return self._died(slot, ended_by(code))
        for run in slot.tasks:
            self.tell({"event": "end", "run": run, "status": end})
        return []

    def _died(self, slot: _Slot, how: str) -> list[Group]:
        """What is to be tried again of a process that died: together the first time, then one by one."""
        again = []
        lost = time.monotonic() - slot.kept
        for task in slot.tasks.values():
            kept = task.folder.read(task.run, images=False)
            end = "failed" if kept is None else kept.status  # it may have died after a result was written
            if kept is None:
                self._tell_fault(task, "worker died", how, lost)
                lost = 0.0  # it is the same time for all of them
                if self._attempts.again(task.run.id):
                    again.append(task)
                    continue
                write_failure(task, how)
            self.tell({"event": "end", "run": task.run.id, "status": end})
        if any(self._attempts.deaths[task.run.id] > 1 for task in again):
            return [(task,) for task in again]
        return [tuple(again)] if again else []

    def _tell_fault(self, task: AnyTask, kind: str, detail: str, lost: float) -> None:
        fault = Incident(kind=kind, run=task.run.id, detail=detail, lost=round(lost, 1))  # type: ignore[arg-type]
        self.tell(fault_event(fault))

    def _wind_down(self) -> None:
        """Ask the workers to keep their state and end; a second interrupt does not wait for them."""
        for slot in self._slots.values():
            if slot.process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while self._slots and time.monotonic() < deadline:
            for name, slot in list(self._slots.items()):
                if self._listen(slot) is not None:  # what it says is heard: a full pipe would hold it up
                    slot.process.join(timeout=10)
                    del self._slots[name]
            time.sleep(0.02)

    def _kill(self) -> None:
        for slot in self._slots.values():
            with contextlib.suppress(ProcessLookupError):
                slot.process.kill()
            slot.process.join(timeout=5)
        self._slots.clear()


def _end_for_good(pid: int | None) -> None:
    """End what may be left of a worker: where the fork server was killed, it counts as ended and works on."""
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _next(waiting: list[Group], more: More | None) -> Group | None:
    """The tasks of the next process, or None for now."""
    if waiting:
        return waiting.pop()
    task = None if more is None else more()
    return None if task is None else (task,)


def _groups(tasks: Sequence[AnyTask], workers: int) -> list[Group]:
    """The tasks of each process: one, but where runs are trained in one pass."""
    if all(task.placement.stack == 1 for task in tasks):
        return [(task,) for task in tasks]
    from reconscale.training.executors.stacks import grouped

    studies: Any = tasks  # only tasks of ours are ever stacked
    return grouped(studies, workers)


def _train(tasks: Group, report: Report) -> str:
    if len(tasks) == 1:
        status: str = tasks[0].carry_out(report)
        return status
    from reconscale.training.stack_worker import carry_out_together

    return carry_out_together(tasks, report)


def _work(tasks: Group, messages: Connection, alive: Connection, environment: dict[str, str]) -> None:
    """What a worker process does. What several runs print goes to the log of the first."""
    detach(alive, environment)
    log = run_log(tasks[0].folder.of(tasks[0].run))
    try:
        redirect_output(log)
    except OSError as error:  # the run stays open
        remedy = "free the disk or choose a folder you may write to"
        messages.send({"end": "mistake", "mistake": (str(log), f"cannot be written ({error.strerror})", remedy)})
        return
    try:
        end: Event = {"end": _train(tasks, messages.send)}
    except UserError as mistake:
        end = {"end": "mistake", "mistake": (mistake.where, mistake.found, mistake.remedy)}
    messages.send(end)


def _apply(
    plugins: tuple[Plugin, ...], function: Callable[..., Any], arguments: tuple[Any, ...], answer: Connection,
    alive: Connection, environment: dict[str, str],
) -> None:  # fmt: skip
    """What a process does that is asked for a value; the plugins come first, as the arguments may need them."""
    detach(alive, environment)
    try:
        check_loaded(plugins)
        answer.send(function(*arguments))
    except UserError as mistake:
        answer.send(mistake)
    except Exception as error:  # a run that breaks in the same way says why in its result
        answer.send(RemoteError(f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"))


def _answer(receiver: Connection) -> Any:
    try:
        return receiver.recv()
    except (EOFError, OSError):
        return None


@contextlib.contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
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
