"""A split that the user gives: which images are for training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from reconscale.study.base import FrozenModel

SETS = ("train", "val", "test")
LONGEST = 240
"""Characters of a place, a name or a pattern."""


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list):  # of JSON
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Places = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One place, or several."""


class OwnSplit(FrozenModel):
    """Sets of images, by lists, folders, patterns or names. A set that is left out is drawn from the rest.

    Attributes:
        train, val, test: each one or several of: a list (a ``.csv`` or ``.txt`` file below the data folder), a folder,
            a pattern (``*`` stands for anything, ``?`` for one character), or the name of an image, a file, a volume or
            a unit. Of a list with a column ``set``, as ``reconscale data --split`` writes it, the rows of that set.
    """

    train: Places | None = None
    val: Places | None = None
    test: Places | None = None

    @model_validator(mode="after")
    def _said(self) -> Self:
        if not self.named:
            raise ValueError("train: is missing; name at least one of train, val and test")
        for name in self.named:
            places = getattr(self, name)
            if not places:
                raise ValueError(f"{name}: the list is empty; name at least one place, or leave the key out")
            for place in places:
                if not place or not place.isprintable() or len(place) > LONGEST:
                    raise ValueError(f"{name}: found {place[:60]!r}; give 1 to {LONGEST} characters, all printable")
        return self

    @property
    def named(self) -> tuple[str, ...]:
        """The sets that are given."""
        return tuple(name for name in SETS if getattr(self, name) is not None)


GIVEN = 1
"""What ``images.val`` and ``images.test`` are where ``images.split`` says which images these are."""


def fill_in_counts(content: Any) -> Any:
    """The content of ``[images]``, with numbers for the sets that a list gives.

    Raises:
        ValueError: a set is given by a number and by a list.
    """
    split = content.get("split") if isinstance(content, Mapping) else None
    if not isinstance(split, Mapping | OwnSplit):
        return content
    given = split.named if isinstance(split, OwnSplit) else [name for name in SETS if split.get(name) is not None]
    counts = {}
    for name in ("val", "test"):
        if name not in given:
            continue
        if content.get(name, GIVEN) != GIVEN:
            raise ValueError(f"{name}: found {content[name]!r}, and split.{name} says which images these are; leave "
                             "one of the two out")  # fmt: skip
        counts[name] = GIVEN
    return {**content, **counts}
