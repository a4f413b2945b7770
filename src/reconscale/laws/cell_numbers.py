"""Whether a cell of a table holds a number."""

from __future__ import annotations

import math


def is_number(text: str) -> bool:
    """Whether a cell holds a number as programs write it, NaN and infinity included.

    >>> is_number("1e-3"), is_number("nan"), is_number("30,85"), is_number("")
    (True, True, False, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_finite(text: str) -> bool:
    """Whether a cell holds a finite number.

    >>> is_finite("1e-3"), is_finite("nan"), is_finite("")
    (True, False, False)
    """
    return is_number(text) and math.isfinite(float(text))
