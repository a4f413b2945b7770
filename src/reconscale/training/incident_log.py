"""The faults of a sweep, noted as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconscale.results import Folder
from reconscale.results.results_folder import Incident, append_incident
from reconscale.study import Run
from reconscale.training.checkpoint import NAME
from reconscale.training.executors.base import Event, Tell, fault_event

RUNNING = ".running"
"""A file that is there while a sweep is run, and is touched now and then."""
TOUCH = 5.0
"""Seconds between touches."""


@contextmanager
def incident_log(folder: Folder, runs: Sequence[Run], tell: Tell) -> Iterator[Tell]:
    """Pass events on and note the faults among them, the sudden end of the command before this one included.

    Args:
        folder: of the results; this command holds it.
        runs: of the study.
        tell: takes the events.

    Raises:
        UserError: the folder cannot be written to.
    """
    running = folder.root / RUNNING
    touched = 0.0

    def record(event: Event) -> None:
        nonlocal touched
        if event["event"] == "fault":
            append_incident(folder.root, Incident.model_validate(event["fault"]))
        elif time.monotonic() - touched > TOUCH:
            touched = time.monotonic()
            running.touch()
        tell(event)

    if running.exists():
        record(
            fault_event(
                Incident(kind="driver died", detail="the previous `run` was killed", lost=_lost(folder, runs, running))
            )
        )
    running.touch()
    try:
        yield record
    finally:
        running.unlink(missing_ok=True)


def _lost(folder: Folder, runs: Sequence[Run], running: Path) -> float:
    """Seconds of work that the end of a command cost: from the checkpoints to its last sign of life.

    All are times of the same file system, whatever its clock says.
    """
    ended = running.stat().st_mtime
    lost = 0.0
    for run in runs:
        path = folder.of(run) / NAME
        if not folder.is_over(run) and path.is_file():
            lost += max(0.0, ended - path.stat().st_mtime)
    return round(lost, 1)
