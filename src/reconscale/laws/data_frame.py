"""Tables that are in memory already: data frames of pandas and polars, and mappings of names to columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.laws.column_units import without_units
from reconscale.laws.csv_table import Table, check_header, table_of_cells

PLACE = Path("data frame")
"""What messages call it."""
SHOWN = "give a data frame of pandas or polars with a row for each run, or a mapping of names to columns"


def table_of_frame(frame: Any) -> Table:
    """The content of a data frame as a table: the same rules hold as for a file.

    Args:
        frame: of pandas or polars, or a mapping of names to columns of equal length.

    Raises:
        UserError: it is no such thing, or see :func:`~reconscale.laws.csv_table.table_of_cells`.
    """
    if any(name is not None for name in getattr(getattr(frame, "index", None), "names", None) or ()):
        frame = frame.reset_index()
    names = list(frame) if isinstance(frame, Mapping) else _names(frame)
    header = [str(name).strip() for name in names]
    if not header:
        raise UserError(PLACE, "has no columns", SHOWN)
    check_header(PLACE, [name.lower() for name in header])
    columns = [_column(frame, name) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise UserError(PLACE, "has columns of different lengths", SHOWN)
    if not columns[0]:
        raise UserError(PLACE, "has no rows", SHOWN)
    rows = [(row, list(cells)) for row, cells in enumerate(zip(*columns, strict=True), 1)]
    header = without_units(PLACE, header, [cells for _, cells in rows])
    return table_of_cells(PLACE, [name.lower() for name in header], rows)


def frame_of(columns: Mapping[str, Sequence[object]]) -> Any:
    """A data frame of pandas.

    Raises:
        UserError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise UserError("to_dataframe", "needs the package pandas, which is not installed", "pip install pandas") from (
            error
        )
    return pandas.DataFrame(dict(columns))


def _names(frame: Any) -> list[Any]:
    columns = getattr(frame, "columns", None)
    if columns is None or callable(columns):
        raise UserError(PLACE, f"found a {type(frame).__name__}", SHOWN)
    return list(columns)


def _column(frame: Any, name: Any) -> list[str]:
    try:
        return [_cell(value) for value in frame[name]]
    except TypeError as error:
        raise UserError(f"{PLACE}, column '{name}'", "is not a list of values", SHOWN) from error


def _cell(value: Any) -> str:
    """A value as it would stand in a file: whole numbers without a point, nothing for what is missing.

    >>> _cell(1000.0), _cell(31.25), _cell(None), _cell(float("nan")), _cell(" U-Net ")
    ('1000', '31.25', '', '', 'U-Net')
    """
    if value is None or str(value) in ("nan", "<NA>", "NaT"):
        return ""
    if isinstance(value, bool | str):
        return str(value).strip()
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value).strip()
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
