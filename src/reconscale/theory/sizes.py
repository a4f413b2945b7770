"""Numbers that a user gives: checked once, refused in one sentence."""

from __future__ import annotations

import math
from numbers import Integral, Real

from reconscale.mistakes import Mistake


def whole(where: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number in a range.

    >>> whole("n", 24, least=1)
    24

    Raises:
        Mistake: not a whole number (True and 3.5 are none, 3.0 is), below ``least`` or above ``most``.
    """
    expected = f"a whole number of {least} or more is expected"
    if most is not None:
        expected = f"a whole number from {least} to {most} is expected"
    counted = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not counted:
        raise Mistake(where, f"found {value!r}" if isinstance(value, str) else f"found {value}", expected)
    number: int = int(value)  # type: ignore[call-overload]
    if number < least or (most is not None and number > most):
        raise Mistake(where, f"found {number}", expected)
    return number


def real(where: str, value: object, least: float = 0.0, *, open_end: bool = False) -> float:
    """A finite number, ``least`` or more (with ``open_end``: above it).

    >>> real("sigma", 0.05)
    0.05

    Raises:
        Mistake: not a number, not finite, or too small.
    """
    ok = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not ok or value < least or (open_end and value == least):  # type: ignore[operator]
        expected = f"a number above {least:g}" if open_end else f"a number of {least:g} or more"
        raise Mistake(where, f"found {value!r}" if isinstance(value, str) else f"found {value}", f"{expected} expected")
    return float(value)  # type: ignore[arg-type]
