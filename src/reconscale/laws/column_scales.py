"""Headers of measured values with a scale, such as ``MSE (x1e-3)`` and ``SSIM (%)``: applied, or asked about."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from reconscale.errors import UserError
from reconscale.laws.cell_numbers import is_number
from reconscale.laws.column_names import METRIC_NAMES, words_of
from reconscale.laws.column_units import scale_cell
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import METRICS


def _power_of_ten(group: str) -> str:
    """An expression for ``10^-3``, ``1e-3``, ``e-3`` or ``1000``, in named groups."""
    caret = r"10 ?(?:\^|\*\*) ?[({]?(?P<" + group + r"caret>[+-]?\d+)[)}]?"
    return f"(?:{caret}|1?e(?P<{group}e>[+-]?\\d+)|(?P<{group}plain>10{{2,6}}))"


TIMES = r"(?:x|\*|times)"
BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")
IN_BRACKETS = re.compile(rf"(?:in )?(?P<sign>{TIMES} ?)?{_power_of_ten('b')}")
DIVIDED = re.compile(rf".*[^/]/ ?[(\[]?{_power_of_ten('d')}[)\]]?")
"""``MSE / 10^-3``: the quantity over its unit, as ISO 80000-1 writes columns; the numbers are of that unit."""
BEFORE = re.compile(rf"{_power_of_ten('f')} ?(?P<sign>{TIMES} ?)?(?P<rest>[(\[]?[a-z].*)")
"""``1000 * MSE``: what the column holds."""
ANYWHERE = re.compile(rf"(?:\*|(?<![a-z0-9]){TIMES}) ?(?:10 ?(?:\^|\*\*)|1e[+-]?\d|10{{2,6}}(?!\d))|(?<![a-z0-9=])e-\d")
ARABIC = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻−–×·∙⋅", "0123456789+---****")
"""Raised digits, signs of minus and of times, as on a keyboard."""
RAISED = re.compile(r"10([⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)")


def scale_metric(
    where: object, header: Sequence[str], rows: Sequence[tuple[int, list[str]]], column: str, kind: str,
    others: Sequence[str] = (),
) -> tuple[Finding, ...]:  # fmt: skip
    """Multiply a column of measured values by the scale that its name states, in place, and say so.

    Args:
        where: the file, for messages.
        header: names of the columns, in small letters.
        rows: (line, cells) of each row.
        column: the name of the measured values.
        kind: their metric, a key of ``METRICS``.
        others: columns in the same metric, which are multiplied alike.

    Returns:
        That it was done; empty where the name states no scale.

    Raises:
        UserError: a scale may be meant in two ways, or is none of that metric.
    """
    place = header.index(column)
    factor = _factor(f"{where}, header", column, kind)
    if factor is None:
        return ()
    if _bounded(kind) and max((abs(float(row[place])) for _, row in rows if is_number(row[place])), default=0) <= 1:
        raise UserError(f"{where}, column '{column}'", "found no number above 1, so the scale seems to be applied",
                        f"name the column '{kind}' and write the values themselves")  # fmt: skip
    if any(name.startswith("image_") for name in header):
        raise UserError(f"{where}, header", f"found '{column}' beside columns of single images",
                        "write all values without a scale: nothing says whether it is theirs too")  # fmt: skip
    for at in (place, *(header.index(name) for name in others if name in header)):
        for _, row in rows:
            row[at] = scale_cell(row[at], factor)
    return (finding("scale-applied", column=column, factor=factor),)


def _factor(where: str, name: str, kind: str) -> float | None:
    """What the numbers are to be multiplied by; none where no scale is stated."""
    plain = RAISED.sub(r"10^\1", name).translate(ARABIC)
    parts = [part.strip() for inner in BRACKETS.findall(plain) for part in re.split("[,;]", inner)]
    if "db" in parts and METRICS[kind].unit != "dB":
        raise UserError(where, f"found '{name}', with dB as the unit of what is no PSNR",
                        "write the values themselves (an error of -20 dB is 0.01)")  # fmt: skip
    stated = [factor for part in parts for factor in _of_part(part)] or _of_name(plain, BRACKETS.sub("", plain))
    if not stated:
        return None
    if len(stated) > 1 or stated[0] is None or METRICS[kind].unit == "dB":
        raise UserError(where, f"found '{name}', with a scale that may be meant in two ways",
                        f"write the values themselves, in a column '{_bare(plain)}'")  # fmt: skip
    return stated[0]


def _of_part(part: str) -> list[float | None]:
    """The scale that a part of brackets is, if it is one; none where it may be meant in two ways."""
    if part in ("%", "in %", "per cent", "percent"):
        return [0.01]
    found = IN_BRACKETS.fullmatch(part)
    if found is None or (found["bplain"] and not found["sign"]):
        return []
    # (x1e3): were they multiplied, or are they to be? Nobody states a unit of a thousand for an error.
    factor = _power(found, "b")
    return [factor if factor < 1 else None]


def _of_name(plain: str, rest: str) -> list[float | None]:
    """The scale that a name states outside brackets; ``rest``: the name without them."""
    if (found := DIVIDED.fullmatch(plain)) and not found["dplain"]:  # "mse/1000" may be a path
        return [_power(found, "d")]
    if (found := BEFORE.fullmatch(plain)) and _multiplied(found):
        return [1 / _power(found, "f")]
    if ANYWHERE.search(rest):
        return [None]
    return [0.01] if rest.rstrip().endswith(("%", "_percent", " percent")) else []


def _multiplied(found: re.Match[str]) -> bool:
    """Whether what stands behind a power of ten is a metric: in ``100 images psnr`` it is not."""
    return bool(found["sign"] or found["fcaret"]) and words_of(found["rest"])[:1] == [_bare(found["rest"])]


def _power(found: re.Match[str], group: str) -> float:
    exponent = found[f"{group}caret"] or found[f"{group}e"]
    return float(f"1e{int(exponent)}") if exponent else float(found[f"{group}plain"])


def _bounded(kind: str) -> bool:
    """Whether the metric's values lie below 1."""
    return math.isfinite(METRICS[kind].room(0.0))


def _bare(name: str) -> str:
    """The word of a name that is a metric, for the remedy."""
    return next((word for word in words_of(name) if word in METRIC_NAMES), "error")
