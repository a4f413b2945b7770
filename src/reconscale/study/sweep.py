"""The grid of a study, and the rules for some of its cells."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from reconscale.study.base import FrozenModel
from reconscale.study.run import MOST, WIDEST

MOST_RUNS = 1_000_000
"""Runs of a study."""


class Sweep(FrozenModel):
    """The grid: every n with every width and every seed.

    Attributes:
        n: training set sizes; ``images.counts`` says of what.
        width: network widths.
        seed: replicates; each has its own nested order of training images, initialisation and noise.
    """

    n: tuple[int, ...]
    width: tuple[int, ...]
    seed: tuple[int, ...] = (0,)

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
        runs = len(self.n) * len(self.width) * len(self.seed)
        if runs > MOST_RUNS:
            raise ValueError(f"n: the grid has {runs:,} runs; a study has at most {MOST_RUNS:,}")
        return self


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
