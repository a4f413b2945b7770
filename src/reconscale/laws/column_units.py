"""Headers of columns with a unit, such as ``n (images)`` and ``params (M)``: read as the plain column, in ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconscale.errors import UserError
from reconscale.laws.column_names import USUAL, simple_name

WITH_UNIT = re.compile(r"(?P<name>[^()\[\]]+?) *(?:\((?P<round>[^()]*)\)|\[(?P<square>[^\[\]]*)\])")
"""A name and what stands behind it in brackets."""
MANY = {
    "k": 1e3, "thousand": 1e3, "thousands": 1e3, "10^3": 1e3, "1e3": 1e3, "10³": 1e3, "1000": 1e3, "1000s": 1e3,
    "million": 1e6, "millions": 1e6, "mio": 1e6, "10^6": 1e6, "1e6": 1e6, "10⁶": 1e6, "1000000": 1e6,
    "b": 1e9, "g": 1e9, "billion": 1e9, "billions": 1e9, "10^9": 1e9, "1e9": 1e9, "10⁹": 1e9,
}  # fmt: skip
"""Units of numbers of images and parameters, in small letters -> how many ones they are."""
MILLIONS = ("M", "m")
"""The same of parameters; of images m may be anything."""
THINGS = (
    "images", "image", "training images", "train images", "photographs", "photos", "slices", "volumes", "scans",
    "patients", "subjects", "patches", "crops", "samples", "examples", "items", "files", "pairs", "frames",
    "projections",
)  # fmt: skip
"""What n may count."""
COUNTED = ("", "#", "count", "number", "training", "train", "parameters", "params", "weights")
"""What says nothing more than the name does."""
SUFFIXES = {"_m": 1e6, "_millions": 1e6, "_million": 1e6, "_in_millions": 1e6, "_mio": 1e6, "_k": 1e3}
"""Ends of names of parameters that are a unit: ``params_m``."""


def plain_name(name: str) -> str:
    """The name of a column of n or p without its unit; others as they are.

    >>> plain_name("n (images)"), plain_name("Params [M]"), plain_name("psnr (dB)")
    ('n', 'Params', 'psnr (dB)')
    """
    found = _parts(name)
    return name if found is None else found[1]


def without_units(where: object, header: Sequence[str], rows: Sequence[list[str]]) -> list[str]:
    """The header with plain names for n and p; numbers in ``rows`` are multiplied by the unit, in place.

    Where a unit says what n counts, and is not images, every row gets a last cell of it under ``unit``.

    Args:
        where: the file, for the message.
        header: names of the columns.
        rows: the cells; rows may have more or fewer than the header.

    Raises:
        UserError: a unit of n or p is not known, and no other column holds it.
    """
    names = list(header)
    counts = ""
    for place, name in enumerate(header):
        found = _parts(name)
        if found is None or any(_label(other) == found[0] for other in header):
            continue
        label, names[place], unit = found
        factor, thing = _factor(where, name, label, unit)
        counts = counts or thing
        if factor != 1:
            for row in rows:
                row[place : place + 1] = [scale_cell(cell, factor) for cell in row[place : place + 1]]
    if counts and "unit" not in map(simple_name, names) and all(len(row) == len(names) for row in rows):
        names.append("unit")
        for row in rows:
            row.append(counts)
    return names


def _parts(name: str) -> tuple[str, str, str] | None:
    """Label, plain name and unit of a column of n or p that has a unit."""
    match = WITH_UNIT.fullmatch(name.strip())
    if match is not None:
        label = _label(match["name"])
        return None if label is None else (label, match["name"].lstrip("# "), (match["round"] or match["square"] or ""))
    simple = simple_name(name)
    end = next((end for end in SUFFIXES if simple.endswith(end) and _label(simple.removesuffix(end)) == "p"), None)
    if end is None or simple == f"p{end}":
        return None
    return "p", name.strip()[: -len(end)], end


def _label(name: str) -> str | None:
    simple = simple_name(name.strip().lstrip("# "))
    if simple == "p":
        return "p"
    return next((label for label in ("n", "p") if simple in USUAL[label]), None)


def _factor(where: object, name: str, label: str, unit: str) -> tuple[float, str]:
    """How many ones a unit is, and what it says that n counts."""
    if unit in SUFFIXES:
        return SUFFIXES[unit], ""
    words = unit.strip().removeprefix("in ").removeprefix("x").removeprefix("×").strip()
    if (label == "p" and words in MILLIONS) or words == "M":
        return 1e6, ""
    first, _, rest = words.lower().partition(" ")
    factor, left = (MANY[first], rest.removeprefix("of ")) if first in MANY else (1.0, words.lower())
    if left in COUNTED:
        return factor, ""
    if label == "n" and left in THINGS:
        return factor, "" if "image" in left else left
    what = "training images" if label == "n" else "parameters"
    raise UserError(
        f"{where}, header", f"found '{name}', with a unit that is not known here",
        f"name the column '{label}' and write numbers of {what} in it (1500000 for 1.5 M)",
    )  # fmt: skip


def scale_cell(cell: str, factor: float) -> str:
    """A number times a factor, as text; what is no number is left for the reader to refuse."""
    try:
        value = float(cell) * factor
    except ValueError:
        return cell
    return f"{value:.15g}" if abs(value) < 1e15 else cell
