"""The index of a results folder: what its results say, in one file, so that thousands of them are read in a second.

The index is never the truth. It holds what was read of each result, with the size, the times and the number (inode) of
its files then; what is no longer exactly so is read again, with all checks, and so is everything where the index is
damaged, older, of another version, or not there. It is written to a temporary name and renamed: readers and writers,
on a network file system too, need no lock, and the last writer wins. Where it cannot be written nothing is missing.

A file may change without a change of its size, and times are only as fine as the clock of the file system. So results
enter the index only once the clock of the file system, not that of this machine, is past their times by ``RACY``: from
then on any change has another time. The time of the status (``st_ctime``) is among them, which copies and archives that
keep the time of the content cannot set.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from pydantic import ValidationError

from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.results.result import AROUND, AnyResult, Shared, kept_model
from reconscale.results.score_tables import Layout, ScoreTable

NAME = ".results-index"
"""The file of a results folder."""
MAGIC = b"reconscale results index 1"
LEAST = 500
"""A folder with fewer results has no index: reading them takes less than a tenth of a second."""
NEW = 0.05
"""The index is written again once this part of the results is not in it."""
RACY = 3_000_000_000
"""Nanoseconds: no file system has coarser times (FAT: two seconds)."""
LEFT_OVER = 3600.0
"""Seconds after which a temporary file is one of a writer that was killed."""
TABLES = ("images", "volumes")
FILES = ("result.json", "images.csv", "volumes.csv")

T = TypeVar("T", bound=AnyResult)
Signature = tuple[int, int, int, int]
"""Size, time of the content, time of the status, and number of a file; all 0 where there is none."""
ABSENT: Signature = (0, 0, 0, 0)


def signature_of(path: str) -> Signature:
    """What tells whether a file is still the same; :data:`ABSENT` where there is no file."""
    try:
        found = os.stat(path)  # noqa: PTH116 - thirty thousand times
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    if not stat.S_ISREG(found.st_mode):
        return ABSENT
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & (2**63 - 1)


@dataclass(frozen=True)
class Entry:
    """A result as it is in the index.

    Attributes:
        files: signatures of ``result.json``, ``images.csv`` and ``volumes.csv``.
        facts: status and reason.
        record: the result as JSON, without its run and its tables.
        tables: of images and of volumes; None: there is none.
    """

    files: tuple[Signature, ...]
    facts: tuple[str, str]
    record: bytes
    tables: tuple[ScoreTable | None, ...]


@dataclass
class Index:
    """An index that was opened; its parts are read and checked when they are first needed.

    Attributes:
        stream: the open file.
        parts: name -> where a part begins, how long it is, and its SHA-256.
    """

    stream: BinaryIO
    parts: Mapping[str, tuple[int, int, str]]

    def _part(self, name: str) -> bytes:
        start, length, digest = self.parts[name]
        self.stream.seek(start)
        data = self.stream.read(length)
        if len(data) != length or hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"part '{name}' is damaged")
        return data

    def _numbers(self, name: str, kind: str = "<i8") -> np.ndarray:
        return np.frombuffer(self._part(name), kind)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Name of a run -> its row."""
        return {name: row for row, name in enumerate(self._part("names").decode().split("\n"))}

    @cached_property
    def files(self) -> list[list[tuple[int, ...]]]:
        """Of each row the signatures of its three files."""
        numbers = self._numbers("files").reshape(len(self.rows), len(FILES), len(ABSENT)).tolist()
        return [[tuple(each) for each in row] for row in numbers]

    @cached_property
    def facts(self) -> list[tuple[str, str]]:
        """Of each row status and reason."""
        found = [(str(status), str(reason)) for status, reason in json.loads(self._part("facts"))]
        if not {status for status, _ in found} <= {"done", "diverged", "failed"}:
            raise ValueError("a status is not known")
        return found

    @cached_property
    def _records(self) -> tuple[bytes, list[int]]:
        return self._part("records"), [0, *self._numbers("record ends").tolist()]

    @cached_property
    def _tables(self) -> tuple[list[list[int]], list[list[int]], np.ndarray, list[Layout]]:
        """Layout and first number of each row's tables, all numbers, and the layouts."""
        layouts = [_layout_of(record) for record in json.loads(self._part("layouts"))]
        which, first = (self._numbers(name).reshape(-1, len(TABLES)).tolist() for name in ("layout of", "first value"))
        return which, first, self._numbers("values", "<f8"), layouts

    def entry(self, row: int) -> Entry:
        """What is known of a row."""
        data, ends = self._records
        which, first, values, layouts = self._tables
        tables: list[ScoreTable | None] = []
        for number, start in zip(which[row], first[row], strict=True):
            if number < 0:
                tables.append(None)
                continue
            layout = layouts[number]
            many = layout.rows * len(layout.profiles)
            tables.append(ScoreTable(layout, values[start : start + many].reshape(layout.rows, -1)))
        files = tuple(_signature(each) for each in self.files[row])
        return Entry(files, self.facts[row], data[ends[row] : ends[row + 1]], tuple(tables))


def _signature(numbers: Sequence[int]) -> Signature:
    size, content, status, number = numbers
    return size, content, status, number


def _layout_of(record: Any) -> Layout:
    sets, row = {}, 0
    for name, images in record["sets"]:
        sets[str(name)] = (row, {str(image): place for place, image in enumerate(images)})
        row += len(images)
    return Layout(tuple(map(str, record["profiles"])), sets)


@contextmanager
def opened_index(root: Path, kind: type[AnyResult]) -> Iterator[Index | None]:
    """The index of a results folder; None where there is none that can be used."""
    try:
        stream = (root / NAME).open("rb")
    except OSError:
        yield None
        return
    with stream:
        yield _open(stream, kind)


def _open(stream: BinaryIO, kind: type[AnyResult]) -> Index | None:
    try:
        magic, digest, length = stream.readline(200).rsplit(b" ", 2)
        start = stream.tell()
        head = stream.read(min(int(length), 1 << 20))
        if magic != MAGIC or hashlib.sha256(head).hexdigest() != digest.decode():
            return None
        known = json.loads(head)
        if (known["version"], known["kind"]) != (version("reconscale"), kind.__name__):
            return None
        base = start + len(head)
        index = Index(stream, {name: (base + at, many, sum_) for name, (at, many, sum_) in known["parts"].items()})
        return index if len(index.rows) == len(index.files) == len(index.facts) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is written again


def write_index(root: Path, kind: type[AnyResult], entries: Mapping[str, Entry]) -> None:
    """Write the index of a results folder.

    Args:
        root: the results folder.
        kind: of the results.
        entries: name of a run -> its result; at least one.

    Raises:
        UserError: the folder cannot be written to.
    """
    layouts: list[Layout] = []
    numbers: dict[int, int] = {}
    which, first, values, place = [], [], [], 0
    for entry in entries.values():
        for each in entry.tables:
            first.append(place)
            if each is None:
                which.append(-1)
                continue
            if id(each.layout) not in numbers:  # the same layout may be there twice: read, and from the index before
                layouts += [] if each.layout in layouts else [each.layout]
                numbers[id(each.layout)] = layouts.index(each.layout)
            which.append(numbers[id(each.layout)])
            values.append(each.numbers.ravel())
            place += each.numbers.size
    records = [entry.record for entry in entries.values()]
    said = [{"profiles": layout.profiles, "sets": [[name, list(rows)] for name, (_, rows) in layout.sets.items()]}
            for layout in layouts]  # fmt: skip
    parts = {
        "names": "\n".join(entries).encode(),
        "files": np.array([entry.files for entry in entries.values()], "<i8").tobytes(),
        "facts": json.dumps([entry.facts for entry in entries.values()]).encode(),
        "record ends": np.cumsum([len(record) for record in records]).astype("<i8").tobytes(),
        "records": b"".join(records),
        "layouts": json.dumps(said).encode(),
        "layout of": np.array(which, "<i8").tobytes(),
        "first value": np.array(first, "<i8").tobytes(),
        "values": np.concatenate([np.zeros(0), *values]).astype("<f8").tobytes(),
    }
    table, at = {}, 0
    for name, data in parts.items():
        table[name] = (at, len(data), hashlib.sha256(data).hexdigest())
        at += len(data)
    head = json.dumps({"version": version("reconscale"), "kind": kind.__name__, "parts": table}).encode()
    line = b" ".join((MAGIC, hashlib.sha256(head).hexdigest().encode(), str(len(head)).encode()))
    write_atomic(root / NAME, b"".join((line, b"\n", head, *parts.values())))


def read_facts(root: Path, kind: type[AnyResult], runs: Iterable[Any]) -> dict[str, tuple[str, str]]:
    """Status and reason of each run that has a result.

    Raises:
        UserError: a result is damaged.
    """
    found, shared = {}, Shared()
    with opened_index(root, kind) as index:
        for run in runs:
            name = str(run.id)
            place = f"{root}/{name}"
            now = signature_of(f"{place}/{FILES[0]}")
            if now == ABSENT:
                continue
            row = None if index is None else index.rows.get(name)
            if index is not None and row is not None and index.files[row][0] == now:
                found[name] = index.facts[row]
            else:
                result = kind.read(Path(place), images=False, shared=shared)
                found[name] = (result.status, result.reason)
    return found


def read_indexed(root: Path, kind: type[T], runs: Sequence[Any]) -> list[T]:
    """The results of many runs with their tables, in the order of ``runs``; those that have none are left out.

    Raises:
        UserError: a result is damaged.
    """
    found: list[T] = []
    kept: dict[str, Entry] = {}
    shared = Shared()
    with opened_index(root, kind) as index:
        files = {name: _signatures(f"{root}/{name}") for name in (str(run.id) for run in runs)}
        files = {name: each for name, each in files.items() if each[0] != ABSENT}
        known = {} if index is None else _unchanged(index, files)
        missing = len(files) - len(known)
        now = _now(root) if len(files) >= LEAST and missing > NEW * len(files) else None
        for run in runs:
            name = str(run.id)
            if name not in files:
                continue
            entry = known.get(name)
            result = None if entry is None else _restored(entry, kind, run)
            if result is None:
                result = kind.read(root / name, shared=shared)
                entry = None if now is None else _entry(result, files[name], now)
            if entry is not None:
                kept[name] = entry
            found.append(result)
    if now is not None and len(kept) > len(known):
        with suppress(UserError):  # a folder that cannot be written to, a full disk: it only takes longer
            write_index(root, kind, kept)
    return found


def _signatures(place: str) -> tuple[Signature, ...]:
    first = signature_of(f"{place}/{FILES[0]}")
    if first == ABSENT:
        return (ABSENT,) * len(FILES)
    return first, *(signature_of(f"{place}/{name}") for name in FILES[1:])


def _unchanged(index: Index, files: Mapping[str, tuple[Signature, ...]]) -> dict[str, Entry]:
    """The entries whose files are as they were."""
    try:
        rows = {name: index.rows[name] for name in files if name in index.rows}
        return {name: index.entry(row) for name, row in rows.items() if tuple(index.files[row]) == files[name]}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return {}  # the index is damaged, and written again


def _restored(entry: Entry, kind: type[T], run: Any) -> T | None:
    """The result of an entry; None where it cannot be one, as after a change of what results are."""
    try:
        kept = kept_model(kind).model_validate_json(entry.record)
    except ValidationError:
        return None
    values = {name: value for name, value in kept.__dict__.items() if name not in AROUND}
    values["run"] = run  # of this id, which is a digest of all that it says
    values |= {name: table for name, table in zip(TABLES, entry.tables, strict=True) if table is not None}
    made: Any = kind.model_construct(_fields_set=kept.model_fields_set - AROUND, **values)
    return made  # type: ignore[no-any-return]


def _entry(result: AnyResult, files: tuple[Signature, ...], now: int) -> Entry | None:
    """The entry of a result that was just read; None where its files are too young, or its tables are unusual."""
    tables = [getattr(result, name) or None for name in TABLES]
    plain = all(table is None or isinstance(table, ScoreTable) for table in tables)
    if not plain or any(max(content, status) > now - RACY for _, content, status, _ in files):
        return None
    around: dict[str, Any] = {"run": None, "schema": 0, "id": "", "sha256": {}}
    record = json.dumps(result.model_dump(mode="json", exclude={"run"}, exclude_unset=True) | around)
    return Entry(files, (result.status, result.reason), record.encode(), tuple(tables))


def _now(root: Path) -> int | None:
    """Nanoseconds on the clock of the file system that results are on; None where nothing can be written there."""
    with suppress(OSError):
        for left in root.glob(f".{NAME}.*"):
            if time.time() - left.stat().st_mtime > LEFT_OVER:
                left.unlink()
        with tempfile.TemporaryFile(dir=root) as stream:
            return os.fstat(stream.fileno()).st_mtime_ns
    return None
