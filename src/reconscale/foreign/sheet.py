"""Any CSV file as a header and rows of text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from reconscale.foreign.logged import text_of
from reconscale.mistakes import Mistake


def read_sheet(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a UTF-8, comma-separated file, cells stripped; names may occur twice.

    Raises:
        Mistake: the file cannot be read, is not UTF-8, is not CSV, is empty, or a row has more or fewer cells
            than the header.
    """
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    try:
        rows = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise Mistake(f"{path}, line {reader.line_num}", f"is not CSV ({error})", "export it again") from error
    if not rows:
        raise Mistake(path, "is empty", "export it again")
    header = rows[0][1]
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise Mistake(f"{path}, header", f"found one column '{header[0]}'", "separate the columns by commas")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise Mistake(
                f"{path}, line {line}",
                f"found {len(row)} cells where the header has {len(header)}",
                "export it again, or complete the line",
            )
    return header, [row for _, row in rows[1:]]
