"""Divide images as the user's lists, folders and patterns say."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from pathlib import Path

import numpy as np

from reconscale.data.folders import data_folder, place_below
from reconscale.data.listing import file_of
from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.study.images.own_split import OwnSplit

LISTS = (".csv", ".tsv", ".txt")
COLUMNS = ("image", "name", "file", "path", "filename", "input", "volume", "unit", "patient", "scene")
"""Columns of a list that names are read from, the first that is there."""
MOST_BYTES = 256 << 20
"""Bytes of a list."""
PATTERN = re.compile(r"[*?]")


@dataclass(frozen=True)
class Known:
    """The images that a split may name, or the items of a study that other code trains.

    Attributes:
        names: (N,) the images.
        units: (N,) what a split keeps together.
        also: (N,) another name of each, such as the truth of a pair; or empty.
        left_out: names of images that were left out already: lists may name them, too.
        noun: what messages call the images.
        kept: what a split keeps together, in messages.
    """

    names: Sequence[str]
    units: Sequence[str]
    also: Sequence[str] = ()
    left_out: frozenset[str] = field(default=frozenset())
    noun: str = "images"
    kept: str = "images"

    @cached_property
    def by_name(self) -> Mapping[str, list[int]]:
        """Name of an image -> its positions: several inputs may have one truth."""
        found: dict[str, list[int]] = {}
        for names in (self.names, self.also):
            for position, name in enumerate(names):
                found.setdefault(name, []).append(position)
        return found

    @cached_property
    def by_place(self) -> Mapping[str, list[int]]:
        """Unit, file or folder -> the positions of its images."""
        found: dict[str, list[int]] = {}
        for position, (name, unit) in enumerate(zip(self.names, self.units, strict=True)):
            for place in {unit, file_of(name), *_folders(name)}:
                found.setdefault(place, []).append(position)
        return found

    def find(self, word: str) -> list[int]:
        """The positions that a name or a place means; none where there is no such image."""
        plain = word.replace("\\", "/").removeprefix("./").rstrip("/")
        if plain in ("", "."):
            return list(range(len(self.names)))
        return self.by_name.get(plain) or self.by_place.get(plain) or []

    def match(self, pattern: str) -> list[int]:
        """The positions of images whose name, or whose file's, fits a pattern."""
        fits = re.compile(translate(pattern.replace("\\", "/").removeprefix("./"))).match
        return [place for place, name in enumerate(self.names) if fits(name) or fits(file_of(name))]

    def was_left_out(self, word: str) -> bool:
        """Whether it is an image that was left out for a reason of its own."""
        return bool(self.left_out) and word.replace("\\", "/").removeprefix("./") in self.left_out


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def split_as_given(known: Known, split: OwnSplit, data: Path | None) -> dict[str, np.ndarray]:
    """The positions of the sets that ``images.split`` gives, each sorted by unit, then as the images come.

    Args:
        known: the images.
        split: what is given.
        data: the folder that lists lie below.

    Raises:
        UserError: a list cannot be read or names what is not there, a pattern fits nothing, or two sets share an image
            or a unit.
    """
    found = {name: _positions(known, split, name, data) for name in split.named}
    _refuse_shared(known, found)
    return {name: np.array(sorted(held, key=lambda i: (known.units[i], i)), np.int64) for name, held in found.items()}


def _positions(known: Known, split: OwnSplit, name: str, data: Path | None) -> set[int]:
    """The positions of one set: a word that ends like a list is one, unless an item has that name."""
    held: set[int] = set()
    for place in getattr(split, name):
        key = f"images.split.{name}"
        here: list[int]
        if place.lower().endswith(LISTS) and not PATTERN.search(place) and not known.find(place):
            path = place_below(data_folder(key, data), place, key)
            here = _listed(known, path, name)
        else:
            here = known.match(place) if PATTERN.search(place) else known.find(place)
            if not here:
                what = "fits none of" if PATTERN.search(place) else "is none of"
                such = f"names are such as '{known.names[0]}'"
                raise UserError(key, f"'{place}' {what} the {len(known.names)} {known.noun}", such)
        held.update(here)
    return held


def _listed(known: Known, path: Path, name: str) -> list[int]:
    """The positions that a list names."""
    held: list[int] = []
    for line, word in _words(path, name):
        here = known.find(word)
        if not here and not known.was_left_out(word):
            such = f"names are such as '{known.names[0]}', seen from the data folder"
            raise UserError(f"{path}, line {line}", f"'{word}' is none of the {len(known.names)} {known.noun}", such)
        held += here
    if not held:
        raise UserError(
            path, f"lists none of the {known.noun} for {name}", "write one name a line, or leave the key out"
        )
    return held


def _words(path: Path, name: str) -> list[tuple[int, str]]:
    """(line, name) of what a list holds for a set: of a table one column, and the rows of that set alone."""
    try:
        text = read_limited(path, MOST_BYTES, "give a list of names").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(path, f"is not UTF-8 (byte {error.start})", "save the list in UTF-8") from error
    if "\0" in text:
        raise UserError(path, "holds zero bytes, and is no text", "give a list of names, one a line")
    if path.suffix.lower() == ".txt":
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
        return [(number, line) for number, line in lines if line and not line.startswith("#")]
    rows = _rows(path, text)
    if not rows:
        return []
    header = [cell.strip().lower() for cell in rows[0][1]]
    column = next((header.index(word) for word in COLUMNS if word in header), None)
    if column is None and len(header) > 1:
        raise UserError(path, f"has no column of names among {', '.join(header[:8])}", f"call it {COLUMNS[0]}")
    if column is None:
        return [(line, row[0].strip()) for line, row in rows]
    sets = header.index("set") if "set" in header else None
    found = []
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UserError(f"{path}, line {line}", f"found {len(row)} cells", f"the header has {len(header)}")
        if sets is None or row[sets].strip().lower() == name:
            found.append((line, row[column].strip()))
    return found


def _rows(path: Path, text: str) -> list[tuple[int, list[str]]]:
    mark = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}", f"is not CSV ({error})", "check the quotes") from error


def _refuse_shared(known: Known, found: Mapping[str, set[int]]) -> None:
    """Refuse an image, or a unit, in two sets."""
    noun = known.kept[:-1]
    owner: dict[str, tuple[str, int]] = {}
    for name, held in found.items():
        for position in sorted(held):
            first, there = owner.setdefault(known.units[position], (name, position))
            if first == name:
                continue
            unit, image, other = known.units[position], known.names[position], known.names[there]
            what = f"'{image}'" if image == unit else f"the {noun} '{unit}', with '{other}' and '{image}'"
            raise UserError(f"images.split.{first} and {name}", f"both hold {what}",
                            f"keep each {noun} in one set")  # fmt: skip
