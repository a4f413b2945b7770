"""What is wrong with a study file, in words."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconscale.errors import suggest
from reconscale.study.base import suggest_own
from reconscale.study.problems import PROBLEMS


def sentences(error: ValidationError, root: type[BaseModel]) -> str:
    """What is wrong with the content of a study file, in words.

    Args:
        error: what pydantic found.
        root: the model of the whole file.
    """
    problems = [sentence(detail, root) for detail in error.errors()]
    return "; also ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")


def sentence(detail: ErrorDetails, root: type[BaseModel]) -> str:
    """One thing that is wrong with the content of a table, in words: its place, what was found, what is expected."""
    parts = [str(part) for part in detail["loc"]]
    if parts[:1] == ["problem"] and parts[1:2] and parts[1] in PROBLEMS:
        del parts[1]  # the kind tells the models apart; the file has no table of that name
    place = ".".join(parts)
    kind = detail["type"]
    if kind == "union_tag_invalid":
        found = detail["ctx"]["tag"]
        return f"{place}.kind: found '{found}'; {suggest_own(str(found), PROBLEMS)}"
    if kind == "union_tag_not_found":
        return f"{place}.kind: is missing"
    if kind == "extra_forbidden":
        *parents, key = (str(part) for part in detail["loc"])
        return f"{place}: there is no such key, {suggest(key, _keys_at(parents, root))}"
    if kind == "missing":
        return f"{place}: is missing"
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{place}.{message}" if place else message
    return f"{place}: found {detail['input']!r}, {message[0].lower()}{message[1:].replace('valid tuple', 'list')}"


def _keys_at(parents: list[str], root: type[BaseModel]) -> list[str]:
    """The keys that a table of the study file may have."""
    model: type[BaseModel] = root
    for part in parents:
        if part == "problem":
            continue
        if part in PROBLEMS:
            model = PROBLEMS[part]
            continue
        if part.isdigit() or part not in model.model_fields:  # one of a list, or the name of a source
            continue
        annotation = model.model_fields[part].annotation
        inner = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type) and issubclass(a, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)
