"""The study file: read from TOML and validated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reconscale.errors import UserError
from reconscale.files import read_limited
from reconscale.study.base import as_tuples
from reconscale.study.initial_weights import read_init
from reconscale.study.mask_files import read_masks
from reconscale.study.mistakes import sentences
from reconscale.study.proposed_sweep import ProposedSweep, open_axes, with_proposed
from reconscale.study.recorded_parts import recall_parts
from reconscale.study.study_model import Study

MOST_BYTES = 1 << 20
"""Bytes of a study file."""


def load_our_study(path: str | Path, proposed: ProposedSweep | None = None) -> Study:
    """Read the study file of networks of ours; :func:`reconscale.study.external.load_study` reads any.

    Args:
        path: a TOML file, or the folder of a ``study.toml``.
        proposed: axes of the grid where the file names none, and its results folder holds none.

    Raises:
        UserError: the file is missing, is not TOML, or says something that a study cannot be. Every mistake is named
            in one go, with its place and the nearest right word.
    """
    path = study_path(path)
    content = read_content(path)
    recall_parts(path.parent / "runs")
    if elsewhere := [table for table in ELSEWHERE if table in content]:
        raise UserError(path, f"has [{elsewhere[0]}]: its networks are trained by other code than ours",
                        "run, status, watch, report, decide, forecast, fit, compare, mixture and test-size take it, no "
                        "other command")  # fmt: skip
    return complete_study(content, path, proposed)


def complete_study(content: Mapping[str, Any], path: Path, proposed: ProposedSweep | None = None) -> Study:
    """The study of a file's content, with the grid that its results folder holds where the file names none.

    Args:
        content: as read from TOML.
        path: of the study file.
        proposed: as of :func:`load_our_study`.

    Raises:
        UserError: see :func:`load_our_study`.
    """
    complete = with_proposed(content, path.parent / "runs", proposed)
    if missing := [name for name in open_axes(complete) if name != "seed"]:
        placed = {**{name: [1] for name in missing}, **complete.get("sweep", {})}
        parse_study({**complete, "sweep": placed}, path, beside=path.parent)  # what else is wrong is said first
        raise UserError(f"{path}, [sweep]", f"has no {' and no '.join(missing)}",
                        "give it, or let runs be chosen: reconscale run STUDY --budget 2h")  # fmt: skip
    return parse_study(complete, path, beside=path.parent).kept_in(path.parent / "runs")


ELSEWHERE = ("command", "callable")
"""Tables of a study whose networks are trained by other code: see :mod:`reconscale.study.external`."""


def read_content(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UserError: it is missing, too large, or not TOML.
    """
    data = read_limited(path, MOST_BYTES, "give the path of a study file")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))  # some editors put a mark first
    except UnicodeDecodeError as error:
        raise UserError(path, "is not UTF-8 text", "save the study file as UTF-8") from error
    except RecursionError as error:
        raise UserError(path, "is nested too deeply", "write it as the examples are") from error
    except ValueError as error:  # also numbers of more digits than Python reads
        raise UserError(path, f"is not TOML: {error}", "mend that line") from error


def study_path(path: str | Path) -> Path:
    """The study file that ``path`` means: itself, or the ``study.toml`` inside it.

    Raises:
        UserError: the path cannot be looked at.
    """
    path = Path(path)
    try:
        return path / "study.toml" if path.is_dir() else path
    except OSError as error:  # no permission, or a name that is too long
        raise UserError(path, f"cannot be read ({error.strerror})", "give the path of a study file") from error


def parse_study(content: Mapping[str, Any], where: object = "study", *, beside: str | Path | None = None) -> Study:
    """Turn the content of a study file into a Study.

    Args:
        content: as read from TOML.
        where: what messages call it.
        beside: the folder that files which it names (masks, weights) are seen from; none: the working directory.

    Raises:
        UserError: see :func:`load_our_study`.
    """
    try:
        return Study.model_validate(as_tuples(_with_files(content, Path(beside or "."))))
    except ValidationError as error:
        raise UserError(where, sentences(error, Study), "mend the study file and run again") from error


def _with_files(content: Mapping[str, Any], beside: Path) -> Mapping[str, Any]:
    """The content of a study file, with what decides numbers in the files that it names."""
    if not isinstance(content, Mapping):
        return content
    readers = {"problem": read_masks, "recipe": read_init}
    return {**content, **{key: read(content[key], beside) for key, read in readers.items() if key in content}}
