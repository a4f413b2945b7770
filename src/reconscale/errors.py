"""Errors that a user can fix, and checks of numbers that raise them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real


class UserError(ValueError):
    """An error that the user can fix: in a study file, a data folder, a CSV, a flag.

    The message says where, what was found, and what helps. The command line prints it without a traceback and exits
    with code 2.

    >>> raise UserError("study.toml, sweep.n", "found 700", "the images allow at most 600")
    Traceback (most recent call last):
    ...
    reconscale.errors.UserError: study.toml, sweep.n: found 700; the images allow at most 600
    """

    def __init__(self, where: object, found: str, remedy: str) -> None:
        super().__init__(f"{shorten(str(where))}: {shorten(found)}; {shorten(remedy)}")
        self.where, self.found, self.remedy = str(where), found, remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        return type(self), (self.where, self.found, self.remedy)  # so that it survives pickling between processes


class DamagedFileError(UserError):
    """An input file was changed or deleted after it was read."""


class EndedOnPurpose(UserError):
    """A sweep was ended because the rest of it would be of no use: what is under way elsewhere is to end as well."""


def shorten(text: str, most: int = 1000) -> str:
    """A text of at most ``most`` characters: text from a file may be as long as the file.

    >>> shorten("what is found in a file", 16)
    'what is ... file'
    """
    return text if len(text) <= most else f"{text[: most // 2]}... {text[len(text) - most // 4 :]}"


def suggest(word: str, known: Iterable[str]) -> str:
    """Suggest one of the ``known`` words.

    >>> suggest("widht", ["width", "depth"])
    "did you mean 'width'?"
    >>> suggest("zzz", ["width", "depth"])
    'known here: depth, width'
    """
    words = sorted(known)
    word = word[:100]  # difflib takes quadratic time
    close = difflib.get_close_matches(word, words, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(words)}"


def check_level(level: float) -> float:
    """``level`` if it is a probability strictly between 0 and 1.

    Raises:
        UserError: it is not.
    """
    if not 0.0 < level < 1.0:
        raise UserError("level", f"found {level}", "a number between 0 and 1 is expected, e.g. 0.9")
    return level


def check_int(where: str, value: object, least: int, most: int | None = None) -> int:
    """A whole number in a range.

    >>> check_int("n", 24, least=1)
    24

    Raises:
        UserError: not a whole number (True and 3.5 are none, 3.0 is), below ``least`` or above ``most``.
    """
    expected = f"a whole number of {least} or more is expected"
    if most is not None:
        expected = f"a whole number from {least} to {most} is expected"
    counted = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not counted:
        raise UserError(where, f"found {value!r}" if isinstance(value, str) else f"found {value}", expected)
    number: int = int(value)  # type: ignore[call-overload]
    if number < least or (most is not None and number > most):
        raise UserError(where, f"found {number}", expected)
    return number


def check_real(where: str, value: object, least: float = 0.0, *, open_end: bool = False) -> float:
    """A finite number, ``least`` or more (with ``open_end``: above it).

    >>> check_real("sigma", 0.05)
    0.05

    Raises:
        UserError: not a number, not finite, or too small.
    """
    ok = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not ok or value < least or (open_end and value == least):  # type: ignore[operator]
        expected = f"a number above {least:g}" if open_end else f"a number of {least:g} or more"
        raise UserError(
            where, f"found {value!r}" if isinstance(value, str) else f"found {value}", f"{expected} expected"
        )
    return float(value)  # type: ignore[arg-type]
