"""The tables beside a result: every metric of every test image, or volume.

Ten thousand runs are measured on the same images: their names are kept once, and values in arrays, so that a folder of
many results fits into memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.files import read_limited

MOST_TABLE = 256 << 20
"""Bytes of ``images.csv`` and of ``volumes.csv``."""

Scores = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Test set -> image or volume -> metric -> value."""


@dataclass(frozen=True)
class Layout:
    """What rows and columns of a table are.

    Attributes:
        profiles: the metrics.
        sets: test set -> its first row, and image -> row from there.
    """

    profiles: tuple[str, ...]
    sets: Mapping[str, tuple[int, Mapping[str, int]]]

    @property
    def rows(self) -> int:
        """Of the whole table."""
        return sum(len(rows) for _, rows in self.sets.values())


Layouts = MutableMapping[tuple[str, ...], Layout]
"""The layouts that were met so far, by the header and the beginnings of all lines."""


class ScoreTable(Mapping[str, Mapping[str, Mapping[str, float]]]):
    """Test set -> image or volume -> metric -> value.

    Args:
        layout: what rows and columns are; shared by all tables of the same images.
        values: (K, P) a row for each image, a column for each metric.
    """

    __slots__ = ("layout", "numbers")

    def __init__(self, layout: Layout, values: Floats) -> None:
        self.layout, self.numbers = layout, values

    def __getitem__(self, name: str) -> ScoresOfSet:
        first, rows = self.layout.sets[name]
        return ScoresOfSet(self.layout, rows, self.numbers[first : first + len(rows)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.sets)

    def __len__(self) -> int:
        return len(self.layout.sets)

    def __repr__(self) -> str:
        return repr({name: dict(of_set) for name, of_set in self.items()})


class ScoresOfSet(Mapping[str, Mapping[str, float]]):
    """Image or volume -> metric -> value, of one test set.

    Args:
        layout: of the whole table.
        rows: image -> its row.
        values: (K, P) a row for each image, a column for each metric.
    """

    __slots__ = ("array", "layout", "rows")

    def __init__(self, layout: Layout, rows: Mapping[str, int], values: Floats) -> None:
        self.layout, self.rows, self.array = layout, rows, values

    def __getitem__(self, name: str) -> dict[str, float]:
        return dict(zip(self.layout.profiles, self.array[self.rows[name]].tolist(), strict=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def scores_of_runs(
    tables: Sequence[Mapping[str, Mapping[str, float]]], names: Sequence[str], profile: str
) -> Floats | None:
    """One metric of the same images, of many runs.

    Args:
        tables: image -> metric -> value, for each of M runs.
        names: of K images, which the tables have.
        profile: the metric.

    Returns:
        (M, K) values; None where a run has other images, or lacks the metric somewhere.
    """
    first = tables[0]
    if isinstance(first, ScoresOfSet) and all(isinstance(t, ScoresOfSet) and _is_like(t, first) for t in tables):
        if profile not in first.layout.profiles:
            return None
        column, rows = first.layout.profiles.index(profile), [first.rows[name] for name in names]
        return np.array([t.array[:, column] for t in tables if isinstance(t, ScoresOfSet)])[:, rows]
    if any(table.keys() != first.keys() for table in tables):
        return None
    every = [[table[name] for name in names] for table in tables]
    if any(profile not in values for rows_of_run in every for values in rows_of_run):
        return None
    return np.array([[values[profile] for values in rows_of_run] for rows_of_run in every])


def _is_like(one: ScoresOfSet, other: ScoresOfSet) -> bool:
    """Whether two tables have the same rows and columns in the same places."""
    if one.layout is other.layout and one.rows is other.rows:
        return True
    return one.layout.profiles == other.layout.profiles and one.rows == other.rows


def table_text(images: Scores, noun: str) -> str:
    """A table as CSV: ``set``, ``image`` or ``volume``, and a column for each metric; floats read back the same."""
    profiles = sorted({name for of_set in images.values() for values in of_set.values() for name in values})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["set", noun, *profiles])
    for set_name, of_set in images.items():
        for image, values in of_set.items():
            writer.writerow([set_name, image, *(repr(values[name]) for name in profiles)])
    return stream.getvalue()


def read_scores(path: Path, noun: str, digest: str | None, layouts: Layouts | None = None) -> Scores:
    """The content of such a table.

    Args:
        path: the file.
        noun: ``image`` or ``volume``: the column with their names.
        digest: the SHA-256 that it must have; none: nobody wrote it down.
        layouts: those that were met so far, to be shared.

    Raises:
        UserError: it is damaged, or not the one that was written.
    """
    remedy = "delete that folder and run again: only this run is repeated"
    text = read_limited(path, MOST_TABLE, remedy)
    try:
        if digest is not None and hashlib.sha256(text).hexdigest() != digest:
            raise ValueError("it has been changed since it was written")
        content = text.decode()
        simple = _simple_table(content, noun, {} if layouts is None else layouts)
        return simple if simple is not None else _any_table(content, noun)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(path, f"is damaged ({error})", remedy) from error


def _any_table(content: str, noun: str) -> dict[str, dict[str, dict[str, float]]]:
    images: dict[str, dict[str, dict[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(content, newline="")):
        values = {key: float(row[key]) for key in row if key not in ("set", noun)}
        if not all(math.isfinite(value) for value in values.values()):
            raise ValueError(f"a value of {row[noun]} is not finite")
        images.setdefault(row["set"], {})[row[noun]] = values
    return images


def _simple_table(content: str, noun: str, layouts: Layouts) -> ScoreTable | None:
    """A table without quotes, as nearly all are; None where it is any other, or there is something wrong with it."""
    lines = content.split("\n")
    header = lines[0].split(",")
    many = len(header) - 2
    if '"' in content or "\r" in content or header[:2] != ["set", noun] or many < 1 or lines.pop() or len(lines) < 2:
        return None
    parts = [line.rsplit(",", many) for line in lines[1:]]
    if any(len(part) != many + 1 for part in parts):
        return None
    try:
        values = np.array([[float(cell) for cell in part[1:]] for part in parts])
    except ValueError:
        return None
    key = (lines[0], *(part[0] for part in parts))
    layout = layouts.get(key)
    if layout is None:
        layout = _layout(header[2:], key[1:])
        if layout is None:
            return None
        layouts[key] = layout
    return ScoreTable(layout, values) if np.isfinite(values).all() else None


def _layout(profiles: Sequence[str], heads: Iterable[str]) -> Layout | None:
    """The layout of lines that begin so; None where names come twice, or the rows of a test set are apart."""
    sets: dict[str, tuple[int, dict[str, int]]] = {}
    last = None
    for row, head in enumerate(heads):
        name, comma, image = head.partition(",")
        if not comma or "," in image or (name in sets and name != last):
            return None
        first, rows = sets.setdefault(name, (row, {}))
        if image in rows:
            return None
        rows[image] = row - first
        last = name
    return Layout(tuple(profiles), sets) if len(set(profiles)) == len(profiles) else None
