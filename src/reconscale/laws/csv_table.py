"""Read and write CSV columns of numbers, strictly and exactly."""

from __future__ import annotations

import csv
import difflib
import io
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reconscale.errors import UserError, suggest
from reconscale.files import write_atomic
from reconscale.laws.cell_numbers import is_finite, is_number
from reconscale.laws.column_names import (
    CLOCKS,
    CONDITIONS,
    FURTHER_METRICS,
    METRIC_COLUMNS,
    METRIC_NAMES,
    RUNS,
    STATES,
    USUAL,
    is_extreme,
    words_of,
)
from reconscale.laws.csv_text import COUNTS, Sheet, advise_number, check_thousands, read_cells
from reconscale.laws.findings import Finding, finding, findings_of
from reconscale.laws.metrics import below_decibels
from reconscale.laws.table_rows import find_columns, metric_columns, named_after_metrics, one_row_a_run

NUMBERS = ("n", "y", *METRIC_COLUMNS, "p", "validation", "steps")
WHOLE = ("seed", "width")
WORDS = ("profile", "unit")
LABELS = ("n", "p", "width", "seed")
UNLABELLED = "fill it in, or leave the column out"
IMAGE = "image_"
CAUTIONS = "cautions"
"""Column of the findings about a table, the same in every row."""
SPREADS = ("std", "sd", "stddev", "sem", "se", "stderr", "var", "ci", "ci95")
"""Words of columns that say how far the runs behind a mean scatter."""
MANGLED = re.compile(r"(.+)\.\d+")
"""What pandas calls the second of two columns of one name."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Text that begins so is a formula to spreadsheets."""
MOST_BYTES = 64 << 20
"""Bytes of a CSV file of points."""


@dataclass(frozen=True)
class Table:
    """The content of a CSV file, by column: numbers, and one word for each of ``profile`` and ``unit``.

    Attributes:
        path: the file.
        header: all names of columns, in small letters.
        rows: (line, cells) of each row that counts.
        places: name of a known column -> where it is in ``header``; ``n_train`` stands under ``n``.
        findings: cautions about rows that were left out, or may have to be.
        shorter: where trainings were measured at several ``steps``: the table with all of their rows.
    """

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    places: dict[str, int]
    findings: tuple[Finding, ...] = ()
    shorter: Table | None = None

    def numbers(self, name: str) -> list[float] | None:
        """The numbers of a column, or None where it is not there.

        Raises:
            UserError: a cell holds no finite number, or one with a mark of thousands.
        """
        place = self.places.get(name)
        if place is None:
            return None
        shown, cells = self.header[place], [(line, row[place]) for line, row in self.rows]
        if name in COUNTS:
            check_thousands(self.path, shown, [text for _, text in cells], written=self._written())
        return [_number(self.path, line, shown, text, whole=name in WHOLE) for line, text in cells]

    def word(self, name: str) -> str:
        """The one word of a column, or nothing where it is not there.

        Raises:
            UserError: there are several.
        """
        place = self.places.get(name)
        return "" if place is None else _one_word(self.path, name, [(line, row[place]) for line, row in self.rows])

    def images(self) -> list[list[float]] | None:
        """The per-image columns ``image_1``, ``image_2``, ... as rows, or None when there are none."""
        names = sorted((name for name in self.places if _is_image(name)), key=lambda name: int(name[len(IMAGE) :]))
        columns = [self.numbers(name) or [] for name in names]
        return [list(row) for row in zip(*columns, strict=True)] if names else None

    def _written(self) -> bool:
        """Whether measured values, too, are written with three decimals throughout, as by a program."""
        measured = [place for name, place in self.places.items() if name in ("y", *METRIC_COLUMNS, *FURTHER_METRICS)]
        return any(all(re.fullmatch(r"[+-]?\d+\.\d{3}", row[place]) for _, row in self.rows) for place in measured)


def read_table(path: Path) -> Table:
    """Read a table of text; columns of unknown names are left alone.

    Raises:
        UserError: the file is missing, no text, empty, ragged, has a header twice or misspelt, several profiles, or
            rows of one run that were measured on different things.
    """
    return table_of_cells(path, *split_table(path))


def table_of_cells(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> Table:
    """The table of cells that are read already; see :func:`read_table`.

    Args:
        path: what they are from, for messages.
        header: names of the columns, in small letters.
        rows: (line, cells) of each row.
    """
    places = find_columns(path, header, rows) | {
        name: place for place, name in enumerate(header) if name in (*NUMBERS, *WHOLE, *WORDS) or _is_image(name)
    }
    rows, findings, every = one_row_a_run(path, header, rows, places)
    shorter = None if every is None else Table(path, header, [(line, [*row]) for line, row in every], {**places})
    written = [item for item in _written_findings(header, rows) if item.code not in {found.code for found in findings}]
    table = Table(path, header, rows, places, (*findings, *written), shorter)
    for name in WORDS:
        table.word(name)
    return table


def _written_findings(header: list[str], rows: list[tuple[int, list[str]]]) -> tuple[Finding, ...]:
    """What the program that wrote the table had to say about its rows."""
    return written_findings(row[header.index(CAUTIONS)] for _, row in rows) if CAUTIONS in header else ()


def written_findings(cells: Iterable[str]) -> tuple[Finding, ...]:
    """The findings in cells of ``cautions``: one of each code, with all texts that were written under it."""
    texts: dict[tuple[str, str], list[str]] = {}
    for item in dict.fromkeys(item for cell in dict.fromkeys(cells) for item in findings_of(cell)):
        texts.setdefault((item.code, item.severity), []).append(item.text)
    return tuple(Finding(code, "; ".join(said), severity) for (code, severity), said in texts.items())


def choose_metric(table: Table, asked: str | None, further: Sequence[str] = ()) -> tuple[str, str]:
    """The column to read the measured values from, and the metric they are in.

    Args:
        table: the table.
        asked: a metric, or the name of a kind of error.
        further: metrics that users have registered.

    Raises:
        UserError: there is no such column, there are several and none was asked for, or ``asked`` contradicts the file.
    """
    path, places = table.path, table.places
    kinds = METRIC_COLUMNS | FURTHER_METRICS | {name: name for name in further if name not in METRIC_COLUMNS}
    if "n" not in places:
        found = f"there is no column 'n' among {_listed([name for name in table.header if name][:8])}"
        raise UserError(path, found, "name the column of training-set sizes 'n'")
    if asked is not None and asked not in kinds:
        known = [*METRIC_COLUMNS, *sorted(set(kinds) - set(METRIC_COLUMNS))]
        raise UserError(
            "metric",
            f"found '{asked}'",
            f"{suggest(asked, known)} (or say which side is better: --higher-is-better or --lower-is-better)",
        )
    present = _present(table, asked, kinds)
    if not present and "y" not in places:
        _refuse_cells(table, kinds)
    if asked is None:
        return _only_metric(path, places, present)
    if asked in present:
        return asked, present[asked]
    same = [name for name in present if present[name] == kinds[asked]]
    if len(same) == 1:
        return same[0], kinds[asked]
    if "y" in places and not present:
        return "y", kinds[asked]
    if present:
        first = next(iter(present))
        if present == {first: "psnr"} and below_decibels(_finite_numbers(table, first)):
            return first, kinds[asked]  # nothing else can be meant: it is no PSNR, and the user says what it is
        found = _listed(list(present))
        raise UserError(path, f"holds {found} where '{asked}' was expected", f"ask for metric='{first}' instead")
    raise UserError(path, f"there is no column '{asked}' and no column 'y'", "name the column of measured values 'y'")


def _refuse_cells(table: Table, kinds: dict[str, str]) -> None:
    """Name the cell for which the only column that is named after a metric is none of measured values."""
    named = named_after_metrics(table.header, kinds)
    if len(named) == 1:
        (name,) = named
        place = table.header.index(name)
        for line, row in table.rows:
            _number(table.path, line, name, row[place], whole=False)


def _finite_numbers(table: Table, name: str) -> list[float]:
    """The numbers of a column; none where a cell holds something else."""
    place = table.header.index(name)
    cells = [row[place] for _, row in table.rows]
    return [float(cell) for cell in cells] if all(map(is_finite, cells)) else []


def _present(table: Table, asked: str | None, kinds: dict[str, str]) -> dict[str, str]:
    """Columns of measured values -> their metric: those of the usual names, else further ones, else tags."""
    usual = {name: METRIC_COLUMNS[name] for name in METRIC_COLUMNS if name in table.places}
    if usual and (asked is None or asked in METRIC_COLUMNS):
        return usual
    exact = {name: kinds[word] for name in table.header if (word := re.sub(r"\W+", "_", name)) in kinds}
    found = usual | exact or metric_columns(table.header, table.rows, kinds)
    for name in found:
        table.places.setdefault(name, table.header.index(name))
    return found


def metric_findings(column: str, header: Sequence[str] = ()) -> tuple[Finding, ...]:
    """That a column holds the best values of the runs, chosen on themselves; that spreads beside it are not used."""
    what = f"value '{column}', an extreme of each run,"
    found = [finding("selected-on-test", what=what)] if is_extreme(column) else []
    metrics = {word for word in words_of(column) if word in METRIC_NAMES}
    spreads = (name for name in header if metrics & {*words_of(name)} and {*SPREADS} & {*words_of(name)})
    spread = next(spreads, None)
    if spread is not None:
        found.append(finding("spread-unused", column=spread))
    beside = [name for name in header if is_extreme(name) and metrics & {*words_of(name)}] if metrics else []
    if beside and not is_extreme(column):
        found.append(finding("extreme-unused", column=column, other=beside[0]))
    return tuple(found)


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
    writer.writerows(map(_cell, row) for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and value.startswith(FORMULA) and not is_number(value):
        return f"'{value}"
    return value


def _only_metric(path: Path, places: dict[str, int], present: dict[str, str]) -> tuple[str, str]:
    if len(present) == 1:
        return next(iter(present.items()))
    if present:
        found, first = _listed(list(present)), next(iter(present))
        raise UserError(path, f"has several metrics ({found})", f"say which one, e.g. metric='{first}'")
    if "y" in places:
        raise UserError(
            path,
            "the measured values are in a column 'y', which does not say what they are",
            "say metric='psnr', 'ssim' or 'error', or rename the column so",
        )
    raise UserError(
        path, "there is no column of measured values", f"add 'y' or one of {_listed(sorted(METRIC_COLUMNS))}"
    )


def split_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, in small letters, and (line, cells) of each row; see :func:`read_table`.

    Raises:
        UserError: as there.
    """
    sheet: Sheet | None = read_cells(path, MOST_BYTES, "check the quotes")
    if sheet is None:
        raise UserError(path, "is empty", "write a header line, e.g. n,psnr,seed, and one line a run")
    header = [name.lower() for name in sheet.header]
    check_header(path, header)
    for line, row in sheet.rows:
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {line}", f"found {len(row)} cells", f"the header has {len(header)}: {','.join(header)}"
            )
    if not sheet.rows:
        raise UserError(path, "has a header but no rows", "write one line a run")
    _refuse_mangled(path, header, sheet.rows)
    return header, sheet.rows


def _refuse_mangled(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    """Two columns of one name, as of two tables that were joined: which is meant, unless they are equal?"""
    places = {name: place for place, name in reversed(list(enumerate(header)))}
    meant = {*NUMBERS, *WHOLE, *METRIC_NAMES, *itertools.chain(*USUAL.values())}.intersection(places)
    for place, name in enumerate(header):
        found = MANGLED.fullmatch(name)
        if found is None or found[1] not in meant:
            continue
        base, first = found[1], places[found[1]]
        other = next((line for line, row in rows if row[first] != row[place]), None)
        if other is not None:
            twice = f"found '{base}' and '{name}', two columns of one name that differ (line {other})"
            raise UserError(
                f"{path}, header", twice, "keep one of the two, and compare files with `reconscale compare`"
            )


def check_header(path: Path, header: list[str]) -> None:
    """Refuse names of columns that are there twice, stuck together, or misspelt.

    Raises:
        UserError: as said.
    """
    seen: set[str] = set()
    for name in header:
        if name and name in seen:
            raise UserError(f"{path}, header", f"column '{name}' is there twice", "keep one of the two")
        seen.add(name)
    if len(header) == 1 and re.search(r"[;|\s]", header[0]):
        raise UserError(f"{path}, header", f"found one column '{header[0]}'", "separate the columns by commas")
    for name in header:
        found = re.fullmatch(r"\(?1 ?[-\u2212\u2013_] ?(\w+)\)?", name)
        if found and found[1] in METRIC_NAMES:
            raise UserError(f"{path}, header", f"found '{name}', which is an error", "name the column 'error'")
    known = [name for name in (*NUMBERS, *WHOLE, *WORDS) if name != "steps"]  # "step" is another
    longest = 2 * max(map(len, known))  # nothing longer is a misspelling of them
    others = {
        *known,
        "steps",
        *FURTHER_METRICS,
        *CLOCKS,
        *STATES,
        *RUNS,
        *CONDITIONS,
        *itertools.chain(*USUAL.values()),
    }
    unknown = (name for name in header if name not in others and len(name) <= longest and not _is_image(name))
    for name in islice(unknown, 1000):
        close = difflib.get_close_matches(name, [word for word in known if len(word) > 2], n=1, cutoff=0.75)
        if close and close[0] not in seen:
            raise UserError(f"{path}, header", f"there is no column '{close[0]}' but '{name}'", suggest(name, close))


def _number(path: Path, line: int, name: str, text: str, *, whole: bool) -> float:
    where = f"{path}, line {line}, column '{name}'"
    try:
        value = float(text)
    except ValueError as error:
        found = f"found '{text}'" if text else "found nothing"
        remedy = advise_number(text, whole=name in COUNTS) or (
            "remove the row if the run failed" if text or name not in LABELS else UNLABELLED
        )
        raise UserError(where, found, f"a number is expected; {remedy}") from error
    if not math.isfinite(value):
        raise UserError(where, f"found {text}", "a finite number is expected; remove the row if the run failed")
    if whole and not value.is_integer():
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
