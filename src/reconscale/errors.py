"""What a user got wrong, said in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user can put right: a study file, a data folder, a CSV, a flag.

    The message says where, what was found, and what was expected or what to do instead.
    The command line prints it without a traceback and leaves with exit code 2.

    >>> raise UserError("study.toml, sweep.n", "found 700", "the images allow at most 600")
    Traceback (most recent call last):
    ...
    reconscale.errors.UserError: study.toml, sweep.n: found 700; the images allow at most 600
    """

    def __init__(self, where: object, found: str, remedy: str) -> None:
        super().__init__(f"{shorten(str(where))}: {shorten(found)}; {shorten(remedy)}")
        self.where, self.found, self.remedy = str(where), found, remedy

    def __reduce__(self) -> tuple[type[UserError], tuple[str, str, str]]:
        return type(self), (self.where, self.found, self.remedy)  # so that it comes back whole from another process


class DamagedFileError(UserError):
    """Files that were good have been changed or taken away: a mistake of nobody's, which a user can put right."""


def shorten(text: str, most: int = 1000) -> str:
    """A text of at most ``most`` characters: what a file says may be as long as the file.

    >>> shorten("what is found in a file", 16)
    'what is ... file'
    """
    return text if len(text) <= most else f"{text[: most // 2]}... {text[len(text) - most // 4 :]}"


def suggest(word: str, known: Iterable[str]) -> str:
    """Say which of the ``known`` words was probably meant.

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
