"""The log of a run (its name, settings and metric series), and the readers of text, CSV and YAML that tools share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.laws.csv_text import decode, read_cells

Plain = str | int | float | bool
"""A value of a setting."""

MOST_SETTINGS = 10_000
LARGEST = 10**18
"""Whole numbers beyond this are no settings that are looked for, and Python does not print all of them."""
MOST_BYTES = 256 << 20
"""Bytes of a text file of logs."""


@dataclass(frozen=True)
class RunLog:
    """One training as another tool wrote it down.

    Attributes:
        name: the run's name, unique in its source: mostly the path of its folder below the source.
        settings: the run's options, hyperparameters or config, by flat name: ``data.train_size``.
        series: measured values by tag, each as step -> value in ascending order of steps; values may be NaN.
        steps: whether the steps mean something; False where the source has one value a run.
        cut: what of its files ends in the middle, in words; what is before it was read.
        restarted: how attempts of this training overlap, in words; the later one was read from where it begins.
        averaged: what of its values is a mean of several, in words.
    """

    name: str
    settings: Mapping[str, Plain] = field(default_factory=dict)
    series: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    steps: bool = True
    cut: str = ""
    restarted: str = ""
    averaged: str = ""


Series = dict[str, dict[float, float]]
"""Tag -> step -> value."""


def merge_attempts(parts: Iterable[tuple[str, Mapping[str, Mapping[float, float]]]]) -> tuple[Series, str]:
    """The series of one training from those of its attempts, in the order in which they were begun.

    From the step at which a later attempt begins to measure a tag, what earlier ones measured is dropped.

    Args:
        parts: (name, series) of each attempt.

    Returns:
        The series, steps ascending, and in words how attempts overlap; nothing where a later one only continues.
    """
    merged: Series = {}
    said = ""
    for name, part in parts:
        for tag, values in part.items():
            before = merged.setdefault(tag, {})
            began = min(values)
            if before and (began <= min(before) or max(before) > max(values)):
                said = said or f"{name} begins at step {began:g} after others had reached {max(before):g}"
            merged[tag] = {step: value for step, value in before.items() if step < began} | dict(values)
    return {tag: dict(sorted(values.items())) for tag, values in merged.items()}, said


@dataclass(frozen=True)
class SkippedRun:
    """A run that gives no point, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"skipped {self.name}: {self.reason}"


@dataclass(frozen=True)
class Tool:
    """A tool whose logs can be read.

    Attributes:
        title: what its logs are called in messages.
        matches: whether a file or folder looks like them; cheap, nothing is parsed.
        read: all runs of a file or folder; a damaged run is a ``SkippedRun``. Raises a UserError where the whole source
            cannot be read.
        accepts: whether it can be read as such where the user says so; none: what ``matches`` says.
    """

    title: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], list[RunLog | SkippedRun]]
    accepts: Callable[[Path], bool] | None = None


def files_below(source: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """The files at or below ``source`` whose name is ``wanted``, in sorted order.

    Links to folders are followed; a folder that is reached twice is entered once.

    Raises:
        UserError: a folder cannot be listed.
    """
    if source.is_file():
        if wanted(source.name):
            yield source
        return
    seen: set[str] = set()
    for folder, folders, names in os.walk(source, onerror=_refuse_folder, followlinks=True):
        folders.sort()
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in sorted(names) if wanted(name))


def read_each(places: Iterable[tuple[str, Callable[[], RunLog]]]) -> list[RunLog | SkippedRun]:
    """Read (name, reader) one after the other; a run whose reader raises a UserError is skipped, with the reason."""
    found: list[RunLog | SkippedRun] = []
    for name, read in places:
        try:
            found.append(read())
        except UserError as mistake:
            found.append(SkippedRun(name, f"{Path(mistake.where).name} {mistake.found}"))
    return found


def name_below(source: Path, place: Path) -> str:
    """The name of the run at ``place``: its path below the source, or the source's own name."""
    return place.resolve().name if place == source else place.relative_to(source).as_posix()


def flatten(settings: Mapping[Any, object], where: object) -> dict[str, Plain]:
    """Nested settings by flat name, lists and other values left out.

    >>> flatten({"data": {"train_size": 100, "crops": [64, 128]}, "seed": 3}, "here")
    {'data.train_size': 100, 'seed': 3}

    Raises:
        UserError: there are more than ``MOST_SETTINGS`` of them, as in a file that refers to itself.
    """
    found: dict[str, Plain] = {}
    left: list[tuple[str, object]] = [("", settings)]
    for _ in range(MOST_SETTINGS):
        if not left:
            return found
        name, value = left.pop()
        if len(left) > MOST_SETTINGS:
            break
        if isinstance(value, Mapping):
            inner = [(f"{name}.{key}" if name else str(key), part) for key, part in value.items()]
            left.extend(reversed(inner))
        elif isinstance(value, Plain) and not (isinstance(value, int) and abs(value) > LARGEST):
            found[name] = value
    raise UserError(where, f"holds more than {MOST_SETTINGS} settings", "is it a file of settings?")


def read_text(path: Path) -> str:
    """The content of a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
        UserError: the file cannot be read or is neither.
    """
    return decode(path, read_limited(path, MOST_BYTES))


def parse_number(text: str) -> float | None:
    """The number in a cell, NaN and infinity included, or None where there is something else.

    >>> parse_number("28.5"), parse_number("NaN"), parse_number(""), parse_number("1_000"), parse_number("true")
    (28.5, nan, None, None, None)
    """
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _refuse_folder(error: OSError) -> None:
    raise UserError(error.filename, f"cannot be listed ({error.strerror})", "check the path and its permissions")


def read_sheet(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of text, cells stripped; names may occur twice.

    Raises:
        UserError: the file cannot be read, is no text, is not CSV, is empty, or a row has more or fewer cells than the
            header.
    """
    sheet = read_cells(path, MOST_BYTES, "export it again")
    if sheet is None:
        raise UserError(path, "is empty", "export it again")
    if len(sheet.header) == 1 and any(mark in sheet.header[0] for mark in ";\t|"):
        raise UserError(f"{path}, header", f"found one column '{sheet.header[0]}'", "separate the columns by commas")
    for line, row in sheet.rows:
        if len(row) != len(sheet.header):
            raise UserError(
                f"{path}, line {line}",
                f"found {len(row)} cells where the header has {len(sheet.header)}",
                "export it again, or complete the line",
            )
    return sheet.header, [row for _, row in sheet.rows]


LONGEST_SETTINGS = 1 << 20
"""Characters of a file of settings."""


def read_yaml(path: Path) -> dict[str, Plain]:
    """The plain values of a YAML mapping, by flat name.

    Hyperparameters are often dumped with tags that name Python objects (``!!python/object:...``). The tags are
    ignored: what lies below them is read as the mapping, list or text that it is, and no object is built.

    Raises:
        UserError: PyYAML is not installed, or the file cannot be read as a YAML mapping.
    """
    yaml = require_yaml()
    text = read_text(path)
    if len(text) > LONGEST_SETTINGS:
        raise UserError(path, f"has {len(text):,} characters", f"settings have at most {LONGEST_SETTINGS:,}")
    try:
        content = yaml.load(text, Loader=_plain_loader(yaml))
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise UserError(path, "is not a YAML mapping", "restore it from a copy")
        return flatten(content, path)
    except UserError:
        raise
    except Exception as error:  # PyYAML raises classes of every kind: IndexError on "!!int ''"
        reason = str(error).split("\n", maxsplit=1)[0] or type(error).__name__
        raise UserError(path, f"is not YAML ({reason})", "restore it from a copy") from error


def require_yaml() -> Any:
    """The module yaml.

    Raises:
        UserError: it is not installed; the message says what to type.
    """
    try:
        import yaml
    except ImportError as error:
        raise UserError(
            "hparams.yaml", "needs the package PyYAML, which is not installed", "pip install 'reconscale[import]'"
        ) from error
    return yaml


def _plain_loader(yaml: Any) -> Any:
    """PyYAML's safe loader, with every tag that it does not know read as the plain value below it."""
    loader: Any = type("PlainLoader", (yaml.SafeLoader,), {})

    def refuse(load: Any, node: Any) -> None:
        """Merges of merges grow without bounds; dumped hyperparameters have none."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.YAMLError("merge keys, '<<', are not read")

    loader.flatten_mapping = refuse

    def plain(load: Any, tag: str, node: Any) -> object:
        if isinstance(node, yaml.MappingNode):
            return load.construct_mapping(node, deep=True)
        if isinstance(node, yaml.SequenceNode):
            return load.construct_sequence(node, deep=True)
        return load.construct_scalar(node)

    loader.add_multi_constructor("", plain)
    return loader
