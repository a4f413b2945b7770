"""The folder of results: one directory a run; a ``result.json`` in it means that the run is over."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from reconscale.mistakes import Mistake
from reconscale.study.faults import noted, summed
from reconscale.study.file import study_path
from reconscale.study.result import Result
from reconscale.study.run import Run

CHECKPOINTS = ("checkpoint.pt", "checkpoint.before.pt")
"""What a run that is under way can be continued from."""


def others_sentence(count: int) -> str:
    """That a folder has results of another plan; empty where it has none.

    >>> others_sentence(1), others_sentence(0)
    ('1 result in this folder belongs to another plan and is left alone', '')
    """
    if not count:
        return ""
    words = "result in this folder belongs" if count == 1 else "results in this folder belong"
    return f"{count} {words} to another plan and {'is' if count == 1 else 'are'} left alone"


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Attributes:
        done, diverged, failed: ids of the runs that are over.
        started: ids of the runs that have a checkpoint to continue from.
        todo: ids of the runs that have none.
        reasons: run id -> what happened, for diverged and failed ones.
        faults: what went wrong around the runs: kind -> (how often, seconds of work done again).
        others: how many results in the folder are of runs that the study has not: of a plan that was changed since.
    """

    done: tuple[str, ...]
    diverged: tuple[str, ...]
    failed: tuple[str, ...]
    started: tuple[str, ...]
    todo: tuple[str, ...]
    reasons: dict[str, str] = field(default_factory=dict)
    faults: dict[str, tuple[int, float]] = field(default_factory=dict)
    others: int = 0

    @property
    def open(self) -> int:
        """How many runs still have to be carried out."""
        return len(self.started) + len(self.todo)


@dataclass(frozen=True)
class Folder:
    """Where the results of a study are.

    Attributes:
        root: the directory that holds one directory a run.
    """

    root: Path

    @classmethod
    def beside(cls, path: str | Path) -> Folder:
        """The folder of results that belongs to a study file: ``runs`` beside it."""
        return cls(study_path(path).parent / "runs")

    def of(self, run: Run) -> Path:
        """The directory of one run."""
        return self.root / run.id

    def is_over(self, run: Run) -> bool:
        """Whether the run has a result, good or bad."""
        return (self.of(run) / "result.json").is_file()

    def read(self, run: Run, *, images: bool = True) -> Result | None:
        """The result of a run, or none when it has none yet.

        Raises:
            Mistake: the result is damaged.
        """
        return Result.read(self.of(run), images=images) if self.is_over(run) else None

    def results(self, runs: Iterable[Run], *, images: bool = True) -> list[Result]:
        """The results that are there, in the order of ``runs``.

        Raises:
            Mistake: a result is damaged, or results were measured on different images.
        """
        found = [result for run in runs if (result := self.read(run, images=images)) is not None]
        digests = {d for result in found if (d := result.provenance.get("images"))}
        if len(digests) > 1:
            raise Mistake(self.root, f"holds results measured on {len(digests)} different versions of the images",
                          "keep one folder of results for each version of the images")  # fmt: skip
        return found

    def status(self, runs: Iterable[Run]) -> Status:
        """How far the runs are.

        Raises:
            Mistake: a result is damaged.
        """
        runs = tuple(runs)
        over: dict[str, list[str]] = {"done": [], "diverged": [], "failed": []}
        started, todo, reasons = list[str](), list[str](), dict[str, str]()
        for run in runs:
            result = self.read(run, images=False)
            if result is not None:
                over[result.status].append(run.id)
                if result.status != "done":
                    reasons[run.id] = result.reason
            elif any((self.of(run) / name).is_file() for name in CHECKPOINTS):
                started.append(run.id)
            else:
                todo.append(run.id)
        faults = summed(noted(self.root))
        done, diverged, failed = (tuple(over[name]) for name in ("done", "diverged", "failed"))
        return Status(done, diverged, failed, tuple(started), tuple(todo), reasons, faults, self.others(runs))

    def others(self, runs: Iterable[Run]) -> int:
        """How many results in the folder are of none of these runs: nothing reads, mixes in or deletes them."""
        known = {run.id for run in runs}
        places = self.root.iterdir() if self.root.is_dir() else ()
        return sum(place.name not in known and (place / "result.json").is_file() for place in places)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one ``run`` command; let go of it in the end, also when the process is killed.

        Raises:
            Mistake: another command holds it, or it cannot be written to.
        """
        lock = FileLock(self.root / ".lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Mistake(self.root, "another `reconscale run` is working in this folder",
                          "wait for it, or stop it; `reconscale status` shows how far it is") from error  # fmt: skip
        except OSError as error:
            raise Mistake(self.root, f"cannot be written to ({error.strerror})",
                          "free the disk, or copy the study to a folder you may write to") from error  # fmt: skip
        try:
            if not os.access(self.root, os.W_OK):
                raise Mistake(self.root, "cannot be written to", "copy the study to a folder you may write to")
            yield
        finally:
            lock.release()
