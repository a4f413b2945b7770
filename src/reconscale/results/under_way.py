"""What a command that trains writes down about itself, so that others can tell how far it is and how long it takes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.results.time_left import STEPS, TimeLeft
from reconscale.study.base import FrozenModel

NAME = ".under-way.json"
"""The file in a results folder; it goes away when the command ends."""
EVERY = 2.0
"""Seconds between two writes, at least."""

BEGINS_AGAIN = ("worker died", "node lost")
"""Faults after which a run waits to be begun again."""

Event = dict[str, Any]
Tell = Callable[[Event], None]


class UnderWay(FrozenModel):
    """How far the command is that trains in a results folder.

    Attributes:
        machine, process: where it runs.
        at: when this was written, in seconds since 1970.
        left: seconds that it will still take; 0: not known.
        at_most: whether that is an upper limit: runs may end early, and none has ended yet.
        training: runs under way -> the part of their steps that is done.
    """

    machine: str
    process: int = Field(ge=1)
    at: float
    left: float = Field(default=0.0, ge=0)
    at_most: bool = False
    training: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Self | None:
        """What the command in this results folder says; none where none works there, or it cannot be told.

        A command that was killed leaves its file: of this machine it is seen that the process is gone.
        """
        try:
            found = cls.model_validate(read_json(root / NAME))
        except (UserError, ValidationError):  # not there, or of another version: then nothing is known
            return None
        return found if found.machine != socket.gethostname() or _is_alive(found.process) else None

    def seconds_left(self, now: float | None = None) -> float:
        """Seconds that are left by now; 0 where nothing is known.

        Args:
            now: seconds since 1970; none: the clock is asked.
        """
        gone = max(0.0, (time.time() if now is None else now) - self.at)
        return max(1.0, self.left - gone) if self.left else 0.0


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # there, os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # of another user; and no process has such a number
        return True
    return True


@contextmanager
def recorded_progress(root: Path, tell: Tell) -> Iterator[Tell]:
    """Pass events on, and keep a record of how far the command is, in its results folder.

    Args:
        root: the results folder; this command holds it.
        tell: takes the events.
    """
    record = _Record(root)
    record.write()

    def observe(event: Event) -> None:
        record.take(event)
        tell(event)

    try:
        yield observe
    finally:
        with suppress(OSError):  # a file that stays names a process that is gone
            (root / NAME).unlink(missing_ok=True)


class _Record:
    """The record of a command, written now and then."""

    def __init__(self, root: Path) -> None:
        self._root, self._time = root, TimeLeft({}, 1)
        self._early = self._is_estimated = self._is_chosen = False
        self._training: dict[str, float] = {}
        self._written = float("-inf")
        self._machine = socket.gethostname()

    def take(self, event: Event) -> None:
        """Note an event, and write where it is time to."""
        kind, run = event["event"], str(event.get("run", ""))
        if kind == "plan":
            limit, most, going_on = event.get("limit"), event.get("most"), event.get("continuing", ())
            self._time = TimeLeft(event["seconds"], event["workers"], going_on, limit=limit, most=most)
            self._early, self._training = bool(event.get("early", False)), {}
            self._is_chosen = bool(event.get("chosen", False))
            self._is_estimated = event["expected"] > 0  # else seconds are known once a run is over
        elif kind == "start":
            self._time.start(run)
            self._training[run] = 0.0
        elif kind == "progress" and "step" in event:
            self._time.advance(run, event["step"], event["steps"])
            self._training[run] = STEPS * event["step"] / max(1, event["steps"])
        elif kind == "fault" and run and event["fault"]["kind"] in BEGINS_AGAIN:
            self._training.pop(run, None)
            self._time.lost(run)
        elif kind == "end":
            self._training.pop(run, None)
            self._time.end(run, done=event["status"] == "done")
        if kind in ("plan", "end") or time.monotonic() - self._written > EVERY:
            self.write()

    def write(self) -> None:
        """Write the record; nothing is said where it cannot be."""
        self._written = time.monotonic()
        value = UnderWay(
            machine=self._machine,
            process=os.getpid(),
            at=time.time(),
            left=self._time.seconds if self._is_estimated or self._time.is_known else 0.0,
            at_most=self._is_chosen or (self._early and not self._time.is_known),
            training={run: round(min(1.0, part), 4) for run, part in self._training.items()},
        )
        with suppress(UserError):  # a full disk must not end a training for the sake of a figure
            write_atomic(self._root / NAME, to_json(value.model_dump(mode="json")))
