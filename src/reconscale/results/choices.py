"""The trace of a sweep whose runs were chosen one by one. Nothing depends on it: it is for people."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from reconscale.errors import UserError
from reconscale.results.results_folder import ends_a_line
from reconscale.study.base import FrozenModel

NAME = "choices.jsonl"
"""The file of a results folder: one line for each run that was chosen."""


class ChosenRun(FrozenModel):
    """A run that was chosen, and what was known then.

    Attributes:
        n, width, seed: the run.
        why: what it was to tell.
        results: runs that were over by then.
        verdict: on the curve so far; empty before there was one.
        chance_n: that twice n is worthwhile, or None.
        chance_p: that twice p is, or None.
    """

    n: int
    width: int
    seed: int
    why: str
    results: int
    verdict: str = ""
    chance_n: float | None = None
    chance_p: float | None = None


def append_choice(root: Path, chosen: ChosenRun) -> None:
    """Add a line to the trace of a results folder.

    Raises:
        UserError: the folder cannot be written to.
    """
    try:
        path = root / NAME
        half = path.is_file() and path.stat().st_size and not ends_a_line(path)  # a writer died within a line
        with path.open("a", encoding="utf-8") as file:
            file.write("\n" * bool(half) + chosen.model_dump_json(exclude_defaults=True) + "\n")
    except OSError as error:
        raise UserError(root / NAME, f"cannot be written ({error.strerror})", "free the disk") from error


def read_choices(root: Path) -> tuple[ChosenRun, ...]:
    """The trace of a results folder, in the order of the choices; lines that are not whole are left out."""
    path = root / NAME
    if not path.is_file():
        return ()
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            found.append(ChosenRun.model_validate_json(line))
        except ValidationError:
            continue  # half a line, of a writer that died
    return tuple(found)
