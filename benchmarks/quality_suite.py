"""Many runs of ``benchmarks/quality.py``: what is to be done, two at once, and a file of what has been done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = "quality.jsonl"
"""The file of rows, in the folder that ``--out`` names."""
SCRIPT = Path(__file__).with_name("quality.py")


@dataclass(frozen=True)
class Job:
    """One process that gives one row.

    Attributes:
        task, who, seconds, seed: what is trained: seconds are the budget, or the moments of a run with a schedule of
            its own.
        content: everything else that decides the row: a row with another content is not this job's.
        expected: seconds that it takes, with what is not counted: a guess.
        flags: further words of the command line.
    """

    task: str
    who: str
    seconds: tuple[float, ...]
    seed: int
    content: Mapping[str, Any]
    expected: float
    flags: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells rows apart."""
        return key_of(self.task, self.who, self.seconds, self.seed, self.content)

    @property
    def words(self) -> list[str]:
        """Of the command line."""
        seconds = [f"{value:g}" for value in self.seconds]
        who = [] if self.who == "ours" else ["--lines"] if self.who == "lines" else ["--peer", self.who]
        timed = ["--seconds", *seconds, "--seed", str(self.seed)] if seconds else []
        return ["--task", self.task, *who, *timed, *self.flags]

    def __str__(self) -> str:
        """For the progress."""
        if not self.seconds:
            return f"{self.task}, {self.who}"
        return f"{self.task}, {self.who}, {self.seconds[-1]:g} s, seed {self.seed}"


def key_of(task: str, who: str, seconds: Sequence[float], seed: int, content: Mapping[str, Any]) -> str:
    """One text for everything that decides a row."""
    return json.dumps([task, who, [float(value) for value in seconds], seed, content], sort_keys=True)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows in a results folder; a last line that was cut short is left out."""
    path = folder / RESULTS
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def keep(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row, on a line of its own whatever the file ends with, and see it written."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    whole = not path.is_file() or not path.stat().st_size or path.read_bytes().endswith(b"\n")
    with path.open("a") as stream:
        stream.write(("" if whole else "\n") + json.dumps(row) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def still_open(jobs: Sequence[Job], rows: Sequence[Mapping[str, Any]]) -> list[Job]:
    """The jobs without a row, in their order; a process that broke has left none, a run that diverged has."""
    done = {row["key"] for row in rows if "key" in row and not row.get("error")}
    return [job for job in jobs if job.key not in done]


def carry_out(jobs: Sequence[Job], folder: Path, data: Path | None, processes: int, tell: Callable[[str], None]) -> int:
    """Run what is still open, and keep every row as soon as it is there.

    Args:
        jobs: in the order in which they are begun.
        folder: of results.
        data: the data folder.
        processes: at once; each on a core of its own where the system can say so.
        tell: shows a line.

    Returns:
        How many processes broke; a second call tries them again.
    """
    left = still_open(jobs, read_rows(folder))
    tell(f"{len(jobs) - len(left)} of {len(jobs)} are there; {len(left)} to go, about {_minutes(left, 1.0, processes)}")
    free = sorted(os.sched_getaffinity(0))[:processes] if hasattr(os, "sched_getaffinity") else list(range(processes))
    running: dict[int, tuple[Job, subprocess.Popen[bytes], Path, float]] = {}
    spent, expected, failed = 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as place:
        try:
            while left or running:
                while left and free:
                    job, core = left.pop(0), free.pop(0)
                    target = Path(place) / f"{core}.json"
                    target.unlink(missing_ok=True)
                    running[core] = (job, _started(job, target, core, data), target, time.monotonic())
                time.sleep(0.2)
                for core, (job, process, target, began) in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[core]
                    free.append(core)
                    row = _row_of(job, process, target)
                    keep(folder, row)
                    spent, expected = spent + time.monotonic() - began, expected + job.expected
                    failed += bool(row.get("error"))
                    waiting = [*left, *(other for other, *_ in running.values())]
                    tell(f"{job}: {_found(row)}; {_minutes(waiting, spent / expected, processes)} left")
        finally:
            for _, process, *_ in running.values():
                process.terminate()
    return failed


def _started(job: Job, target: Path, core: int, data: Path | None) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SCRIPT), *job.words, "--json", str(target), "--core", str(core)]
    command += ["--data", str(data)] if data else []
    with target.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)


def _row_of(job: Job, process: subprocess.Popen[bytes], target: Path) -> dict[str, Any]:
    said = target.with_suffix(".log").read_text(errors="replace").strip()
    known = {"key": job.key, "task": job.task, "who": job.who, "seconds": list(job.seconds), "seed": job.seed}
    if process.returncode or not target.is_file():
        reason = said.splitlines()[-1][:500] if said else f"ended with {process.returncode}"
        return {**known, "psnr": None, "error": reason}
    found = json.loads(target.read_text())
    row: dict[str, Any] = found["runs"][0] if found["runs"] else {"lines": found["lines"], "psnr": None}
    return {**row, **known}


def _found(row: Mapping[str, Any]) -> str:
    if row.get("error") or row.get("failed"):
        return str(row.get("error") or row["failed"])
    if row.get("lines"):
        return ", ".join(f"{name} {value:.2f}" for name, value in row["lines"].items())
    return f"{row['psnr']:.2f} dB after {row['core_seconds']:.1f} s, {row['steps']} steps"


def _minutes(jobs: Sequence[Job], pace: float, processes: int) -> str:
    return f"{sum(job.expected for job in jobs) * pace / processes / 60:.0f} min"
