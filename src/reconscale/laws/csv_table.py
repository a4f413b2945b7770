"""Read and write CSV columns of numbers, strictly and exactly."""

from __future__ import annotations

import csv
import difflib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reconscale.errors import UserError, suggest
from reconscale.files import read_limited, write_atomic

METRIC_COLUMNS = {"psnr": "psnr", "ssim": "ssim", "mse": "error", "nmse": "error", "error": "error", "loss": "error"}
"""Column name -> metric. Errors of any kind (to be minimised, above 0) are one metric: ``error``."""

NUMBERS = ("n", "y", *METRIC_COLUMNS, "p", "validation", "steps")
WHOLE = ("seed", "width")
WORDS = ("profile", "unit")
IMAGE = "image_"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Text that begins so is a formula to spreadsheets."""
MOST_BYTES = 64 << 20
"""Bytes of a CSV file of points."""


@dataclass(frozen=True)
class Table:
    """The content of a CSV file, by column: numbers, and one word for each of ``profile`` and ``unit``."""

    numbers: dict[str, list[float]]
    words: dict[str, str]

    def images(self) -> list[list[float]] | None:
        """The per-image columns ``image_1``, ``image_2``, ... as rows, or None when there are none."""
        names = sorted((name for name in self.numbers if _is_image(name)), key=lambda name: int(name[len(IMAGE) :]))
        return [list(row) for row in zip(*(self.numbers[name] for name in names), strict=True)] if names else None


def read_table(path: Path) -> Table:
    """Read the known columns of a UTF-8, comma-separated file; columns of other names are left alone.

    Raises:
        UserError: the file is missing, not UTF-8, empty, ragged, has a header twice or misspelt, text where a
            number belongs, a number that is not finite, or several profiles.
    """
    header, rows = _split(path)
    numbers: dict[str, list[float]] = {}
    words: dict[str, str] = {}
    for column, name in enumerate(header):
        cells = [(line, row[column].strip()) for line, row in rows]
        if name in WORDS:
            words[name] = _one_word(path, name, cells)
        elif name in NUMBERS or name in WHOLE or _is_image(name):
            numbers[name] = [_number(path, line, name, text) for line, text in cells]
    return Table(numbers, words)


def choose_metric(path: Path, table: Table, asked: str | None) -> tuple[str, str]:
    """The column to read the measured values from, and the metric they are in.

    Raises:
        UserError: there is no such column, there are several and none was asked for, or ``asked`` contradicts the file.
    """
    if "n" not in table.numbers:
        raise UserError(path, "there is no column 'n'", "name the column of training-set sizes 'n'")
    if asked is not None and asked not in METRIC_COLUMNS:
        raise UserError("metric", f"found '{asked}'", suggest(asked, METRIC_COLUMNS))
    present = [name for name in METRIC_COLUMNS if name in table.numbers]
    if asked is None:
        return _only_metric(path, table, present)
    if asked in present:
        return asked, METRIC_COLUMNS[asked]
    same = [name for name in present if METRIC_COLUMNS[name] == METRIC_COLUMNS[asked]]
    if len(same) == 1:
        return same[0], METRIC_COLUMNS[asked]
    if "y" in table.numbers and not present:
        return "y", METRIC_COLUMNS[asked]
    if present:
        raise UserError(
            path, f"holds {_listed(present)} where '{asked}' was expected", f"ask for metric='{present[0]}' instead"
        )
    raise UserError(path, f"there is no column '{asked}' and no column 'y'", "name the column of measured values 'y'")


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV in which every float reads back to the same bits, whole or not at all."""
    write_atomic(path, table_text(header, rows))


def table_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV, for programs and spreadsheets.

    Every float reads back to the same bits, None is an empty cell, and text that a spreadsheet would run as a formula
    stands behind an apostrophe.

    >>> print(table_text(["n", "run"], [[0.1, "unet"], [-1.0, "=1+1"]]), end="")
    n,run
    0.1,unet
    -1.0,'=1+1
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, header))
    writer.writerows([map(_cell, row) for row in rows])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _only_metric(path: Path, table: Table, present: list[str]) -> tuple[str, str]:
    if len(present) == 1:
        return present[0], METRIC_COLUMNS[present[0]]
    if present:
        raise UserError(path, f"has several metrics ({_listed(present)})", f"say which one, e.g. metric='{present[0]}'")
    if "y" in table.numbers:
        raise UserError(
            path,
            "the measured values are in a column 'y', which does not say what they are",
            "say metric='psnr', 'ssim' or 'error', or rename the column so",
        )
    raise UserError(
        path, "there is no column of measured values", f"add 'y' or one of {_listed(sorted(METRIC_COLUMNS))}"
    )


def _split(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    reader = csv.reader(io.StringIO(_text(path)), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}", f"is not CSV ({error})", "check the quotes") from error
    if not rows:
        raise UserError(path, "is empty", "write a header line, e.g. n,psnr,seed, and one line a run")
    header = [cell.strip().lower() for cell in rows[0][1]]
    _check_header(path, header)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line}", f"found {len(row)} cells", f"the header has {len(header)}: {','.join(header)}"
            )
    if len(rows) == 1:
        raise UserError(path, "has a header but no rows", "write one line a run")
    return header, rows[1:]


def _text(path: Path) -> str:
    data = read_limited(path, MOST_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(path, f"is not UTF-8 (byte {error.start})", "save it as CSV in UTF-8") from error


def _check_header(path: Path, header: list[str]) -> None:
    seen: set[str] = set()
    for name in header:
        if name and name in seen:
            raise UserError(f"{path}, header", f"column '{name}' is there twice", "keep one of the two")
        seen.add(name)
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise UserError(f"{path}, header", f"found one column '{header[0]}'", "separate the columns by commas")
    known = [name for name in (*NUMBERS, *WHOLE, *WORDS) if name != "steps"]  # "step" is another
    longest = 2 * max(map(len, known))  # nothing longer is a misspelling of them
    unknown = (
        name for name in header if name not in (*known, "steps") and len(name) <= longest and not _is_image(name)
    )
    for name in islice(unknown, 1000):
        close = difflib.get_close_matches(name, [word for word in known if len(word) > 2], n=1, cutoff=0.75)
        if close and close[0] not in seen:
            raise UserError(f"{path}, header", f"there is no column '{close[0]}' but '{name}'", suggest(name, close))


def _number(path: Path, line: int, name: str, text: str) -> float:
    where = f"{path}, line {line}, column '{name}'"
    try:
        value = float(text)
    except ValueError as error:
        found = f"found '{text}'" if text else "found nothing"
        remedy = "write a point before the decimals" if "," in text else "remove the row if the run failed"
        raise UserError(where, found, f"a number is expected; {remedy}") from error
    if not math.isfinite(value):
        raise UserError(where, f"found {text}", "a finite number is expected; remove the row if the run failed")
    if name in WHOLE and not value.is_integer():
        raise UserError(where, f"found {text}", "a whole number is expected")
    return value


def _one_word(path: Path, name: str, cells: list[tuple[int, str]]) -> str:
    line, word = next(((line, text) for line, text in cells if text != cells[0][1]), cells[0])
    if word != cells[0][1]:
        raise UserError(
            f"{path}, line {line}, column '{name}'",
            f"found '{word}' after '{cells[0][1]}'",
            "values measured in different ways cannot share a curve; keep one in a file",
        )
    return word


def _is_image(name: str) -> bool:
    digits = name[len(IMAGE) :]
    return name.startswith(IMAGE) and digits.isdecimal() and len(digits) <= 12


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
