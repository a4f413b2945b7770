"""Tables with the metric of every test image, of one method or of several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.column_names import (
    CONDITIONS,
    METRIC_NAMES,
    MODELS,
    ROWS,
    RUNS,
    TEST_SETS,
    USUAL,
    clock_of,
    simple_name,
    words_of,
)
from reconscale.laws.csv_table import MOST_BYTES
from reconscale.laws.csv_text import Sheet, advise_number, read_cells
from reconscale.laws.doubtful_values import check_scale
from reconscale.laws.unit_values import UnitValues, mean_by_group, units_of_names

IMAGES = ("image", "img", "image_id", "image_name", "file", "filename", "file_name", "slice", "case", "id", "index")
"""Columns that name an image."""
GROUPS = ("patient", "patient_id", "subject", "subject_id", "scene", "group", "volume")
"""Columns that say what images belong together, the first that is there."""
SETS = ("set", *TEST_SETS)
METHODS = (*MODELS, "run")
VALUES = ("value", "y")
LABELS = (
    *ROWS, *RUNS, *CONDITIONS, *USUAL["seed"], "folds", "seeds", "epochs", "idx", "no", "nr", "size", "age", "sex",
    "weight", "height", "width", "depth", "area", "time", "seconds", "count",
)  # fmt: skip
"""Columns that describe an image, and are no method; so are those that begin with ``n_`` or ``num_``."""
ENOUGH = 5
"""From this number of rows on a column of whole numbers alone beside others that are none counts something."""
NOUNS = {"patient_id": "patients", "subject_id": "subjects"}


@dataclass(frozen=True)
class ImageTable:
    """The content of such a table.

    Attributes:
        methods: method -> its value of every unit of the test set, (1, U).
        metric: a key of ``METRICS``.
        left_out: columns of numbers that were taken for labels, and for no methods.
    """

    methods: dict[str, UnitValues]
    metric: str
    left_out: tuple[str, ...] = ()


def is_image_table(path: Path) -> bool:
    """Whether a table holds a row for each image, and not a row for each run: it has no column of training sizes.

    Raises:
        UserError: the file cannot be read as a table.
    """
    sheet = read_cells(path, MOST_BYTES, "check the quotes")
    if sheet is None:
        return False
    return not any(simple_name(name.split(".")[-1].split("/")[-1]) in USUAL["n"] for name in sheet.header)


def read_image_table(path: Path, metric: str | None = None, test_set: str | None = None) -> ImageTable:
    """Read the metric of every test image: a column for each method, or a column that names the method of a row.

    Columns: of the image (``image``, ``file``, ``slice``, ...), of what it belongs to (``patient``, ``subject``,
    ``scene``, ``volume``; both optional), of the test set (``set``, where there are several), and either ``method`` and
    the value, or one column of values for each method. ``images.csv`` of a run of a study is such a table.

    Args:
        path: the file.
        metric: what the values are, a key of ``METRICS``, or the name of the column; none: as the column is called.
        test_set: which rows of the column ``set`` count; none: all but ``val``, which must be of one set.

    Raises:
        UserError: the file is no such table; the message says line, column and remedy.
    """
    sheet = read_cells(path, MOST_BYTES, "check the quotes")
    if sheet is None or not sheet.rows:
        raise UserError(path, "has no rows", "write a header line and one line an image")
    header = [simple_name(name) for name in sheet.header]
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}, header", f"column '{twice}' is there twice", "keep one of the two")
    for line, row in sheet.rows:
        if len(row) != len(header):
            found = f"found {len(row)} cells"
            raise UserError(f"{path}, line {line}", found, f"the header has {len(header)}: {','.join(sheet.header)}")
    rows = _of_one_set(path, header, sheet, test_set)
    place = {name: header.index(name) for name in header}
    image, group, method = (_first(place, names) for names in (IMAGES, GROUPS, METHODS))
    labels = {image, group, method, _first(place, SETS)} - {None}
    values = [name for name in header if name not in labels and name]
    columns, kind, lost = _choose(path, header, sheet, values, metric, several=method is None)
    methods: dict[str, UnitValues] = {}
    measured: dict[str, Floats] = {}
    by_method = {"": rows}
    if method is not None:
        by_method = {}
        for line, row in rows:
            by_method.setdefault(row[place[method]], []).append((line, row))
    for label, part in by_method.items():
        for column in columns:
            name = label or (sheet.header[place[column]] if len(columns) > 1 else path.stem)
            cells = [(line, row[place[column]]) for line, row in part]
            images = [row[place[image]] for _, row in part] if image is not None else None
            groups = [row[place[group]] for _, row in part] if group is not None else None
            noun = "images" if group is None else NOUNS.get(group, f"{group}s")
            measured[name] = _numbers(path, column, cells)
            methods[name] = _units(path, measured[name], images, groups, noun)
    check_scale(path, measured, kind)
    return ImageTable(methods, kind, tuple(sheet.header[place[name]] for name in lost))


def _first(place: dict[str, int], names: Sequence[str]) -> str | None:
    return next((name for name in names if name in place), None)


def _of_one_set(path: Path, header: list[str], sheet: Sheet, asked: str | None) -> list[tuple[int, list[str]]]:
    """The rows of one test set.

    Raises:
        UserError: there are several and none was asked for, or the one that was is not there.
    """
    column = next((name for name in SETS if name in header), None)
    if column is None:
        if asked is not None:
            raise UserError(path, "there is no column 'set'", "leave --test-set out")
        return sheet.rows
    at = header.index(column)
    known = [name for name in dict.fromkeys(row[at] for _, row in sheet.rows) if name != "val"]
    if asked is None and len(known) > 1:
        raise UserError(path, f"holds the test sets {', '.join(known[:8])}", f"choose one, e.g. --test-set {known[0]}")
    wanted = known[0] if asked is None and known else asked
    rows = [(line, row) for line, row in sheet.rows if row[at] == wanted]
    if not rows:
        raise UserError(path, f"there is no test set '{wanted}'", f"known here: {', '.join(known) or 'none'}")
    return rows


def _choose(
    path: Path, header: list[str], sheet: Sheet, values: list[str], metric: str | None, *, several: bool
) -> tuple[list[str], str, list[str]]:
    """The columns of values, the metric that they are in, and columns of numbers that are labels.

    Raises:
        UserError: there are none, or it is not said which, or what they are.
    """
    kinds = {name: {METRIC_NAMES[word] for word in words_of(name) if word in METRIC_NAMES} for name in values}
    asked = None if metric is None else simple_name(metric)
    if asked in kinds:
        return [asked], next(iter(kinds[asked]), asked), []
    kind = None if asked is None else METRIC_NAMES.get(asked, asked)
    if kind is not None:
        of_kind = [name for name in values if asked in words_of(name)] or [
            name for name in values if kind in kinds[name]
        ]
        plain = [name for name in values if name in VALUES or (several and not kinds[name])]
        chosen = of_kind or plain
    else:
        chosen = [name for name in values if kinds[name]]
        kind = next(iter(kinds[chosen[0]])) if chosen else None
    numbers = [name for name in chosen if _has_numbers(header, sheet, name)]
    lost = [name for name in numbers if not kinds[name] and name not in VALUES and _is_label(name)]
    numbers = [name for name in numbers if name not in lost]
    if several and len(sheet.rows) >= ENOUGH:
        whole = [name for name in numbers if not kinds[name] and _is_whole(header, sheet, name)]
        if len(whole) < len(numbers):
            lost, numbers = lost + whole, [name for name in numbers if name not in whole]
    if kind is None:
        listed = ", ".join(f"'{name}'" for name in values[:8]) or "nothing"
        raise UserError(
            path, f"does not say what its values are (columns: {listed})", "say --metric psnr, ssim or error"
        )
    if not numbers:
        beside = f" ({', '.join(lost[:8])}: labels)" if lost else ""
        raise UserError(path, f"there is no column of values of '{metric or kind}'{beside}", "name one by --metric")
    others = any(found and found != {kind} for found in kinds.values())  # then columns are metrics, and no methods
    if len(numbers) > 1 and (others or not several):
        found = ", ".join(f"'{name}'" for name in numbers[:8])
        raise UserError(path, f"has several metrics ({found})", f"say which one, e.g. --metric {numbers[0]}")
    return numbers, kind, lost


def _has_numbers(header: list[str], sheet: Sheet, name: str) -> bool:
    """Whether a column holds numbers, as far as its cells are not broken."""
    at = header.index(name)
    return any(not math.isnan(_number(row[at])) for _, row in sheet.rows)


def _is_label(name: str) -> bool:
    """Whether the name of a column says that it describes the image."""
    return name in LABELS or name.startswith(("n_", "num_", "unnamed:")) or bool(clock_of(name))


def _is_whole(header: list[str], sheet: Sheet, name: str) -> bool:
    """Whether all numbers of a column are whole."""
    values = [_number(row[header.index(name)]) for _, row in sheet.rows]
    return all(value.is_integer() for value in values if not math.isnan(value))


def _number(text: str) -> float:
    """The finite number of a cell, else NaN."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _numbers(path: Path, column: str, cells: list[tuple[int, str]]) -> Floats:
    """The values of one method, one of each image.

    Raises:
        UserError: a cell holds no finite number.
    """
    values = []
    for line, text in cells:
        value = _number(text)
        if math.isnan(value):
            found = f"found '{text}'" if text else "found nothing"
            remedy = advise_number(text) or "leave that image out of all methods"
            raise UserError(f"{path}, line {line}, column '{column}'", found, f"a number is expected; {remedy}")
        values.append(value)
    return np.array(values)


def _units(path: Path, values: Floats, images: list[str] | None, groups: list[str] | None, noun: str) -> UnitValues:
    """The values of one method, mean over the images of each unit.

    Raises:
        UserError: an image is there twice.
    """
    if images is not None:
        named = [*zip(groups or [""] * len(images), images, strict=True)]
        if len(set(named)) < len(named):
            twice = next(name for name in named if named.count(name) > 1)[1]
            raise UserError(path, f"has the image '{twice}' twice", "give each image of a method once")
    owners = groups or [f"image {k + 1}" for k in range(len(values))]
    by_name = images if groups is None else groups if noun == "volumes" else None
    if by_name is not None:
        owners, found = units_of_names(by_name)
        noun = noun if groups is not None and found == "images" else found
    means, names = mean_by_group(values[None], owners)
    return UnitValues(means, names, noun)
