"""Which runs were handed in with which job: remembered beside the results, so that no run is handed in twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.files import read_json, to_json, write_whole
from reconscale.mistakes import Mistake

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
    """Jobs handed in together; those that are over are taken out."""

    job: str | None
    single: bool
    elements: dict[int, tuple[str, ...]]


@dataclass
class Ledger:
    """The jobs of a folder of results.

    Attributes:
        root: the folder's ``.slurm``: only its owner can look into it.
        arrays: by token.
        deaths: by run: how often its job ended without it getting further, and the time of its checkpoint then.
    """

    root: Path
    arrays: dict[str, Array] = field(default_factory=dict)
    deaths: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def beside(cls, results: Path) -> Ledger:
        """The ledger of a folder of results; an empty one where there is none.

        Raises:
            Mistake: it is damaged, or the folder cannot be written to.
        """
        root = results.resolve() / ".slurm"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            root.chmod(0o700)
        except OSError as error:
            raise Mistake(root, f"cannot be written ({error.strerror})", "choose a folder you may write to") from error
        ledger = cls(root)
        if ledger.path.is_file():
            remedy = "cancel the jobs of this study with scancel, delete it and run again"
            content = read_json(ledger.path, remedy)
            try:
                ledger.arrays = {token: _array(of) for token, of in content["arrays"].items()}
                ledger.deaths = {run: (int(count), int(mark)) for run, (count, mark) in content["deaths"].items()}
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Mistake(ledger.path, "is not a list of jobs", remedy) from error
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
        """Remember jobs that are about to be handed in."""
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
            Mistake: it cannot be written.
        """
        arrays = {}
        for token, of in self.arrays.items():
            elements = {str(index): list(runs) for index, runs in of.elements.items()}
            arrays[token] = {"job": of.job, "single": of.single, "elements": elements}
        write_whole(self.path, to_json({"arrays": arrays, "deaths": self.deaths}))


def _array(content: dict[str, Any]) -> Array:
    elements = {int(index): tuple(map(str, runs)) for index, runs in content["elements"].items()}
    return Array(None if content["job"] is None else str(content["job"]), bool(content["single"]), elements)
