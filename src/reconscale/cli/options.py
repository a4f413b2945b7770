"""Options that several verbs read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from reconscale.errors import Mistake


def check_out(out: Path, source: Path, force: bool) -> None:
    """Refuse a file that must not be written, before anything is read.

    Raises:
        Mistake: ``out`` is not named .csv, is a folder or the source, or is there and ``force`` is off.
    """
    if out.is_dir():
        raise Mistake(out, "is a folder", "name the CSV file to write")
    if out.suffix.lower() != ".csv":
        raise Mistake(out, "is not named .csv", "the other commands know a file of points by that ending")
    if out.exists() and source.exists() and out.samefile(source):
        raise Mistake(out, "is the source itself", "write to another file")
    if out.exists() and not force:
        raise Mistake(out, "is already there", "say --force to write over it, or name another file by --out")


def sizes_of(texts: list[str] | None) -> list[int]:
    """The n of all --n, sorted, each once."""
    from reconscale.theory.filters import whole
    from reconscale.theory.subspace import LARGEST

    parts = [part.strip() for text in texts or [] for part in text.split(",")]
    return sorted({whole("--n", number_of("--n", part), 1, LARGEST) for part in parts})


def number_of(flag: str, text: str) -> Any:
    """A number that may be written as 1e6; whether it is whole is checked where it is used.

    Raises:
        Mistake: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise Mistake(flag, f"found '{text}'", "a whole number is expected, such as 100 or 1e6") from None
    return int(value) if math.isfinite(value) and value == int(value) else value
