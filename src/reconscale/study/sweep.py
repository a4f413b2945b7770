"""The grid of a study, and the rules for some of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from reconscale.study.base import FrozenModel
from reconscale.study.mixes import counts_of, fill_in_mixes
from reconscale.study.run import MOST, WIDEST

MOST_RUNS = 1_000_000
"""Runs of a study."""


def _as_tables(value: Any) -> Any:
    return tuple(dict(mix) if isinstance(mix, Mapping) else mix for mix in value) if isinstance(value, list) else value


class Sweep(FrozenModel):
    """The grid: every n with every width and every seed.

    Attributes:
        n: training set sizes; ``images.counts`` says of what. With numbers in ``mix``: those that they sum to.
        mix: where images come from several sources: mixes, each source -> its share of n, or how many. A table of
            lists of numbers is every combination of them, but for that without any image.
        width: network widths.
        seed: replicates; each has its own nested order of training images, initialisation and noise.
    """

    n: tuple[int, ...]
    width: tuple[int, ...]
    seed: tuple[int, ...] = (0,)
    mix: Annotated[tuple[dict[str, int | float], ...], BeforeValidator(_as_tables)] = ()

    @model_validator(mode="before")
    @classmethod
    def _mixes(cls, content: Any) -> Any:
        return fill_in_mixes(content)

    @model_validator(mode="after")
    def _axes(self) -> Self:
        for name in ("n", "width", "seed"):
            values: tuple[int, ...] = getattr(self, name)
            least = 0 if name == "seed" else 1
            if not values:
                raise ValueError(f"{name}: the list is empty; give at least one value")
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: a value is given twice; give each value once")
            if min(values) < least:
                raise ValueError(f"{name}: found {min(values)}; values start at {least}")
            if max(values) > MOST:
                raise ValueError(f"{name}: found a number of {len(str(max(values)))} digits; values end at {MOST:.0e}")
        if max(self.width) > WIDEST:
            raise ValueError(f"width: found {max(self.width)}; values end at {WIDEST}")
        mixes = sum(map(len, self.mixes.values())) if self.mix else len(self.n)
        runs = mixes * len(self.width) * len(self.seed)
        if runs > MOST_RUNS:
            raise ValueError(f"n: the grid has {runs:,} runs; a study has at most {MOST_RUNS:,}")
        return self

    @cached_property
    def mixes(self) -> Mapping[int, tuple[dict[str, int], ...]]:
        """How many images come from each source, in every mix of n; one without sources where ``mix`` is empty."""
        return counts_of(self.n, self.mix) if self.mix else {n: ({},) for n in self.n}


class Override(FrozenModel):
    """A rule of the kind "for these sizes or widths, train like this instead".

    Attributes:
        n, width: the runs it applies to: [from, to], both included; none: all.
        recipe: the recipe's fields that change.
        skip: leave these cells out of the grid.
        seeds: keep only this many seeds in these cells.
    """

    n: tuple[int, int] | None = None
    width: tuple[int, int] | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    skip: bool = False
    seeds: int | None = Field(default=None, ge=1)

    def covers(self, n: int, width: int) -> bool:
        """Whether the rule applies to a cell of the grid."""
        return within(n, self.n) and within(width, self.width)


def within(value: int, interval: tuple[int, int] | None) -> bool:
    """Whether a value is in [from, to], both included; none: all are."""
    return interval is None or interval[0] <= value <= interval[1]
