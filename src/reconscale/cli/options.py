"""Options that several verbs share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from reconscale.errors import UserError

Spreadsheet = Annotated[
    str, typer.Option(help="CSV for a spreadsheet whose decimals have a 'point' or a 'comma'. [default: for programs]")
]


def check_output_path(out: Path, source: Path, force: bool) -> None:
    """Refuse an output file that must not be written, before anything is read.

    Raises:
        UserError: ``out`` does not end in .csv, is a folder or the source, or exists and ``force`` is off.
    """
    if out.is_dir():
        raise UserError(out, "is a folder", "name the CSV file to write")
    if out.suffix.lower() != ".csv":
        raise UserError(out, "does not end in .csv", "the other commands recognise measurements by this ending")
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(out, "is the source itself", "write to another file")
    if out.exists() and not force:
        raise UserError(out, "already exists", "overwrite it with --force, or choose another file with --out")


def parse_sizes(texts: list[str] | None) -> list[int]:
    """The sizes of all --n, sorted, each once."""
    from reconscale.errors import check_int
    from reconscale.theory.subspace import LARGEST

    parts = [part.strip() for text in texts or [] for part in text.split(",")]
    return sorted({check_int("--n", parse_number("--n", part), 1, LARGEST) for part in parts})


def parse_number(flag: str, text: str) -> Any:
    """A number that may be written as 1e6; callers check whether it is whole.

    Raises:
        UserError: it is not a number.
    """
    try:
        value = float(text)
    except ValueError:
        raise UserError(flag, f"found '{text}'", "a whole number is expected, such as 100 or 1e6") from None
    return int(value) if math.isfinite(value) and value == int(value) else value
