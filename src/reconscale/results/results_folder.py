"""The results folder: one directory per run; a run with a ``result.json`` is finished."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args

from filelock import FileLock, Timeout
from pydantic import ValidationError

from reconscale.errors import UserError
from reconscale.files import json_digest, read_json, to_json, write_atomic
from reconscale.results.result import AnyResult, Result, Shared
from reconscale.results.result_index import LEAST, read_facts, read_indexed
from reconscale.study.base import FrozenModel, PlacedModel
from reconscale.study.recorded_parts import code_of_result
from reconscale.study.run import Run
from reconscale.study.study_file import study_path

NAME = "faults.jsonl"

Kind = Literal[
    "worker died", "worker silent", "node lost", "driver died", "checkpoint damaged", "images damaged", "disk full",
    "training diverged",
]  # fmt: skip
"""What can go wrong around a run, and training that had to begin again more slowly. What ends a run (a loss that is not
finite, too little memory, an error) is its result."""

DIVERGED = "training diverged"
"""The kind that costs no work: it is the recipe that was wrong, and not what is around the runs."""

KINDS: tuple[str, ...] = get_args(Kind)


class Incident(FrozenModel):
    """One thing that went wrong.

    Attributes:
        kind: what.
        run: id of the run that it met; empty for the whole study.
        detail: what was seen, in a few words.
        lost: seconds of work that had to be done again: since the last checkpoint.
    """

    kind: Kind
    run: str = ""
    detail: str = ""
    lost: float = 0.0


def append_incident(root: Path, fault: Incident) -> None:
    """Add a fault to the list of a results folder. One command at a time writes to it: who has locked the folder.

    Raises:
        UserError: the folder cannot be written to, except where the fault is a full disk itself.
    """
    line = fault.model_dump_json(exclude_defaults=True) + "\n"
    path = root / NAME
    try:
        with path.open("ab") as stream:
            if stream.tell() and not ends_a_line(path):  # of a writer that died within a line
                line = "\n" + line
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if fault.kind == "disk full":
            return
        raise UserError(
            path, f"cannot be written ({error.strerror})", "free the disk, or mend its permissions"
        ) from error


def read_incidents(root: Path) -> tuple[Incident, ...]:
    """All faults of a results folder, in the order they came; lines that are not whole are left out."""
    path = root / NAME
    if not path.is_file():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        if not line:
            continue
        try:
            found.append(Incident.model_validate_json(line))
        except ValidationError:
            continue  # half a line, of a writer that died: what it noted was not finished
    return tuple(found)


def count_incidents(faults: Iterable[Incident]) -> dict[str, tuple[int, float]]:
    """Kind -> (how many, seconds lost), the most frequent first.

    >>> death = {"kind": "worker died"}
    >>> count_incidents([Incident(**death, lost=2.0), Incident(**death, lost=1.0), Incident(kind="disk full")])
    {'worker died': (2, 3.0), 'disk full': (1, 0.0)}
    """
    every = tuple(faults)
    counts = Counter(fault.kind for fault in every)
    return {kind: (count, sum(f.lost for f in every if f.kind == kind)) for kind, count in counts.most_common()}


@contextmanager
def paused_collector() -> Iterator[None]:
    """Make many objects that refer to nothing in a circle: looking for circles takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def ends_a_line(path: Path) -> bool:
    """Whether the last byte of a file, which has one, ends a line."""
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"


PLACE = ".place.json"
"""The file of a results folder that remembers where the images lie on this machine."""


def remember_place(root: Path, data: Path) -> None:
    """Note where the images lie, for commands that come later.

    Raises:
        UserError: the results folder cannot be written to.
    """
    write_atomic(root / PLACE, to_json({"data": str(data.expanduser().resolve())}))


def known_place(root: Path) -> Path | None:
    """The folder that the images lie below, where a command was told and it is still there."""
    path = root / PLACE
    found = read_json(path, "delete it; `reconscale run` writes it again") if path.is_file() else {}
    place = found.get("data") if isinstance(found, dict) else None
    return Path(place) if isinstance(place, str) and Path(place).is_dir() else None


def image_cautions(folder: Folder) -> tuple[str, ...]:
    """What was noticed about the images when the study began, one sentence each; none in folders of older versions.

    Raises:
        UserError: the record is damaged.
    """
    path = folder.root / "images.json"
    record = read_json(path) if path.is_file() else {}
    found = record.get("cautions", []) if isinstance(record, dict) else []
    return tuple(str(sentence) for sentence in found) if isinstance(found, list) else ()


def images_at_hand(folder: Folder) -> int | None:
    """The largest n that the images of a study allow; none where nobody wrote that down, or the record is damaged.

    Whoever runs the study is told of a damaged record; what reads results only knows less.
    """
    path = folder.root / "images.json"
    try:
        return int(read_json(path)["available"]) if path.is_file() else None
    except (UserError, KeyError, TypeError, ValueError):
        return None


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
        """The number of runs that are still to do."""
        return len(self.started) + len(self.todo)


R = TypeVar("R")
T = TypeVar("T", bound=AnyResult)


@dataclass(frozen=True)
class AnyFolder(Generic[R, T]):
    """Where results are, whoever trained the runs.

    Attributes:
        root: the directory with one directory a run.
    """

    root: Path
    kind: ClassVar[type[Any]] = AnyResult

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))  # a text does as well

    @classmethod
    def beside(cls, path: str | Path) -> Self:
        """The results folder that belongs to a study file: ``runs`` beside it."""
        return cls(study_path(path).parent / "runs")

    def of(self, run: R) -> Path:
        """The directory of one run."""
        return self.root / _id(run)

    def is_over(self, run: R) -> bool:
        """Whether the run has a result, good or bad."""
        return (self.of(run) / "result.json").is_file()

    def read(self, run: R, *, images: bool = True, shared: Shared | None = None) -> T | None:
        """The result of a run, or none when it has none yet.

        Args:
            run: the run.
            images: whether the tables of images and volumes are read, too.
            shared: what results have in common, to be kept once.

        Raises:
            UserError: the result is damaged.
        """
        return self.kind.read(self.of(run), images=images, shared=shared) if self.is_over(run) else None

    def results(self, runs: Iterable[R], *, images: bool = True) -> list[T]:
        """The results that are there, in the order of ``runs``.

        Raises:
            UserError: a result is damaged, or results were measured on different images or with different own parts.
        """
        runs, shared = tuple(runs), Shared()
        found: list[T]
        with paused_collector():
            if images and len(runs) >= LEAST:
                found = read_indexed(self.root, self.kind, runs)
            else:
                found = [result for run in runs if (result := self.read(run, images=images, shared=shared)) is not None]
        digests = {d for result in found if (d := result.provenance.get("images"))}
        if len(digests) > 1:
            raise UserError(self.root, f"has results measured on {len(digests)} different versions of the images",
                          "keep one results folder for each version of the images")  # fmt: skip
        code = {json_digest(code_of_result(result.provenance)) for result in found if result.status == "done"}
        if len(code) > 1:
            raise UserError(self.root, f"has results of {len(code)} versions of parts of your own",
                          "keep one results folder for each version of them")  # fmt: skip
        return found

    def status(self, runs: Iterable[R], results: Sequence[T] | None = None) -> Status:
        """How far the runs are.

        Args:
            runs: of the study.
            results: those that are over; none: what is needed of them is read.

        Raises:
            UserError: a result is damaged.
        """
        runs = tuple(runs)
        over: dict[str, list[str]] = {"done": [], "diverged": [], "failed": []}
        started, todo, reasons = list[str](), list[str](), dict[str, str]()
        if results is None:
            facts = read_facts(self.root, self.kind, runs)
        else:
            facts = {_id(result.run): (result.status, result.reason) for result in results}
        for run in runs:
            if _id(run) in facts:
                word, reason = facts[_id(run)]
                over[word].append(_id(run))
                if word != "done":
                    reasons[_id(run)] = reason
            elif any((self.of(run) / name).is_file() for name in CHECKPOINTS):
                started.append(_id(run))
            else:
                todo.append(_id(run))
        faults = count_incidents(read_incidents(self.root))
        done, diverged, failed = (tuple(over[name]) for name in ("done", "diverged", "failed"))
        return Status(done, diverged, failed, tuple(started), tuple(todo), reasons, faults, self.others(runs))

    def others(self, runs: Iterable[R]) -> int:
        """How many results in the folder are of none of these runs: nothing reads, mixes in or deletes them."""
        known = {_id(run) for run in runs}
        places = self.root.iterdir() if self.root.is_dir() else ()
        return sum(place.name not in known and (place / "result.json").is_file() for place in places)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one ``run`` command; let go of it in the end, also when the process is killed.

        Raises:
            UserError: another command has locked it, or it cannot be written to.
        """
        lock = FileLock(self.root / ".lock")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(self.root, "another `reconscale run` is working in this folder",
                          "wait for it, or stop it; `reconscale status` shows how far it is") from error  # fmt: skip
        except OSError as error:
            raise UserError(self.root, f"cannot be written to ({error.strerror})",
                          "free the disk, or copy the study to a folder you may write to") from error  # fmt: skip
        try:
            if not os.access(self.root, os.W_OK):
                raise UserError(self.root, "cannot be written to", "copy the study to a folder you may write to")
            yield
        finally:
            lock.release()


@dataclass(frozen=True)
class Folder(AnyFolder[Run, Result]):
    """Where the results of a study are.

    Attributes:
        root: the directory with one directory a run.
    """

    kind = Result


def _id(run: Any) -> str:
    return str(run.id)


def folder_of(place: AnyFolder[Any, Any] | str | Path) -> Folder:
    """A results folder, from itself or from its path, or that of the study's folder above it."""
    return place if isinstance(place, Folder) else Folder(root_of(place))


def root_of(place: AnyFolder[Any, Any] | str | Path) -> Path:
    """Where results are, of whichever kind; ``runs`` in it where the folder of a study is given."""
    root = place.root if isinstance(place, AnyFolder) else Path(place)
    return root / "runs" if (root / "study.toml").is_file() else root


def own_root(study: PlacedModel, place: AnyFolder[Any, Any] | str | Path | None) -> Path:
    """Where the results of a study are: in ``place``, else beside its file.

    Raises:
        UserError: neither is known.
    """
    if place is not None:
        return root_of(place)
    if study.results_folder is None:
        raise UserError("folder", "is missing, and the study was not read from a file", "give its results folder")
    return study.results_folder
