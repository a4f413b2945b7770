"""The table itself: rows are added one by one, by several processes, and never half."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from reconscale.errors import UserError, check_int, suggest
from reconscale.files import read_limited, write_atomic
from reconscale.laws.csv_table import table_text
from reconscale.laws.metrics import METRICS, Metric, register
from reconscale.laws.points import Points

LABELS = ("n", "width", "seed")
"""What tells runs apart: a row with the same labels is written over."""
MOST_BYTES = 64 << 20
PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""
ENDINGS = (".csv",)
Row = dict[str, str]


@dataclass(frozen=True)
class Ledger:
    """Where a training writes its row: a CSV file that ``reconscale forecast``, ``decide`` and ``rs.Points`` read.

    A training that is repeated with the same n, width and seed writes over its row. Several trainings may write to one
    file at the same time.

    Attributes:
        path: the file; made where it is missing.
        n: training set size of this run.
        metric: a key of ``METRICS``, or ``rs.Metric(name, "lower" or "higher")``: the name of the column.
        seed: of this run, or None.
        width: of its network, or None.
        unit: what n counts, where that is not training images.

    Raises:
        UserError: a value that cannot be.
    """

    path: str | Path
    n: int
    metric: str | Metric = "psnr"
    seed: int | None = None
    width: int | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        check_int("Ledger, n", self.n, least=1)
        for name, least in (("seed", 0), ("width", 1)):
            if getattr(self, name) is not None:
                check_int(f"Ledger, {name}", getattr(self, name), least=least)
        if Path(self.path).suffix.lower() not in ENDINGS:
            raise UserError(f"Ledger, '{self.path}'", "is no name of a table", "give one that ends in .csv")
        known = register(self.metric)
        if known not in METRICS:
            remedy = f"{suggest(known, METRICS)} (or give rs.Metric('{known}', 'lower' or 'higher'))"
            raise UserError("Ledger, metric", f"found '{known}'", remedy)
        object.__setattr__(self, "metric", known)

    def write(
        self, value: float, *, p: int | None = None, validation: float | None = None, steps: int | None = None
    ) -> None:
        """Write the row of this run.

        Args:
            value: of the metric on the test set. NaN and infinite ones make a row of a run that diverged, which
                forecasts leave out.
            p: parameters of the network, where known.
            validation: the metric on the validation set, by which widths are chosen, where known.
            steps: optimisation steps, where known.

        Raises:
            UserError: a value cannot be one of the metric, the file is a table of something else, or it cannot be
                written.
        """
        name = str(self.metric)
        row: dict[str, Any] = {"n": self.n, "width": self.width, "seed": self.seed, "p": p or None}
        number = _number(f"{self.path}, {name}", value)
        if math.isfinite(number):
            looked = None if validation is None else _number(f"{self.path}, validation", validation)
            looked = looked if looked is not None and math.isfinite(looked) else None
            known = None if looked is None else np.array([looked])
            Points(
                np.array([float(self.n)]), np.array([number]), metric=name, validation=known
            )  # refuses what cannot be
            row |= {name: number, "validation": looked, "steps": steps or None, "status": "done"}
        else:
            row |= {name: number, "status": "diverged"}
        row |= {"unit": self.unit or None}
        self._put({key: "" if entry is None else _text(entry) for key, entry in row.items()}, name)

    def _put(self, row: Row, name: str) -> None:
        path = Path(self.path).absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE):
                rows = _read(path)
                others = [key for key in METRICS if rows and key in rows[0] and name not in rows[0]]
                if others:
                    raise UserError(path, f"is a table of '{others[0]}', and this run measured '{name}'",
                                    "write every metric to a file of its own")  # fmt: skip
                labels = tuple(_label(row, key) for key in LABELS)
                kept = [old for old in rows if tuple(_label(old, key) for key in LABELS) != labels]
                write_atomic(path, _table([*kept, row]))
        except Timeout as error:
            raise UserError(path, "is being written by another process", "see which one holds its lock") from error
        except OSError as error:
            raise UserError(
                path, f"cannot be written ({error.strerror})", "choose a folder you may write to"
            ) from error


def _number(where: str, value: Any) -> float:
    """A number of whatever library as a float."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UserError(where, f"found a {type(value).__name__}", "a number is expected")
    return float(value)


def _text(entry: Any) -> str:
    return repr(entry) if isinstance(entry, float) else str(entry)


def _label(row: Mapping[str, str], key: str) -> str:
    """A label as it is compared: whole numbers without a point."""
    text = row.get(key, "")
    try:
        return str(int(float(text)))
    except (ValueError, OverflowError):
        return text


def _read(path: Path) -> list[Row]:
    """The rows of a table that is there, as text.

    Raises:
        UserError: it is no such table.
    """
    if not path.is_file():
        return []
    try:
        text = read_limited(path, MOST_BYTES).decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(path, "is not CSV in UTF-8", "give another name, or mend it") from error
    if not lines:
        return []
    header = lines[0]
    if "n" not in header or len(set(header)) < len(header):
        raise UserError(path, "is there, and is no table of runs: it has no column 'n'", "give another name")
    bad = next((place for place, line in enumerate(lines, 1) if len(line) != len(header)), None)
    if bad is not None:
        raise UserError(f"{path}, line {bad}", f"found {len(lines[bad - 1])} cells", f"the header has {len(header)}")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def _table(rows: list[Row]) -> str:
    """Columns in the order in which they first came; those that are empty throughout are left out."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names = [name for name in names if any(row.get(name) for row in rows)]
    return table_text(names, [[row.get(name, "") for name in names] for row in rows])
