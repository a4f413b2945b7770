"""The field of a study or a run that holds its problem: ``kind`` tells which class of ``PROBLEMS`` it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainValidator, SerializeAsAny, ValidationError, ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError

from reconscale.study.base import Problem
from reconscale.study.problems import PROBLEMS


def _of_kind(value: Any, info: ValidationInfo) -> Problem:
    """The problem that a table of options means; ``kind`` tells which class."""
    if isinstance(value, Problem):
        return value
    if not isinstance(value, Mapping):
        found = "Input should be a valid dictionary or object to extract fields from"
        raise PydanticCustomError("model_attributes_type", found)
    if "kind" not in value:
        raise PydanticCustomError("union_tag_not_found", "kind is missing")
    model = PROBLEMS.get(value["kind"]) if isinstance(value["kind"], str) else None
    if model is None:
        raise PydanticCustomError("union_tag_invalid", "there is no such kind", {"tag": str(value["kind"])})
    try:
        if info.mode == "json":  # lists are tuples there
            return model.model_validate_json(json.dumps(value))
        return model.model_validate(value)
    except ValidationError as error:  # places begin with the kind, which tells whose keys they are
        details = [
            InitErrorDetails(
                type=detail["type"],
                loc=(value["kind"], *detail["loc"]),
                input=detail["input"],
                ctx=detail.get("ctx", {}),
            )
            for detail in error.errors()
        ]
        raise ValidationError.from_exception_data(model.__name__, details) from error


AnyProblem = Annotated[SerializeAsAny[Problem], PlainValidator(_of_kind)]
"""A field that holds one of the problems."""
