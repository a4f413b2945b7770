"""Which rows of a table are the same training at other numbers of steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats

APART = 1.2
"""Numbers of steps that differ by a smaller factor are not told apart."""
MOST_LEVELS = 12
"""Where runs end by themselves their steps are no grid: more distinct numbers than this are none."""


def label_trainings(labels: Sequence[Floats | NDArray[np.int64] | None], steps: Floats) -> NDArray[np.int64] | None:
    """Number of the training of each row (M,), where some training was measured at several numbers of steps.

    Rows of one n, p, width and seed are one training. Where no two of these differ in their steps, as without seeds,
    or where each number of steps has seeds of its own, all rows of one n, p and width are, but only if the steps form
    a grid: a few numbers that come back at several n. Runs that ended by themselves form none, and are replicates.

    Args:
        labels: n, p, width and seed (M,) each, in this order; None where unknown.
        steps: (M,).

    Returns:
        The numbers; None where every training was measured at one number of steps.
    """
    owner = _number(labels)
    if _differ(owner, steps):
        return owner
    cells = _number(labels[:3])
    n = np.asarray(labels[0], np.float64)
    levels = np.unique(steps)
    shared = all(len(np.unique(n[steps == level])) > 1 for level in levels)
    return cells if shared and len(levels) <= MOST_LEVELS and _differ(cells, steps) else None


def at_most_steps(owner: NDArray[np.int64], steps: Floats) -> NDArray[np.bool_]:
    """(M,) whether a row was measured at the most steps of its training."""
    most = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(most, owner, steps)
    return np.asarray(steps * APART > most[owner])


def _number(labels: Sequence[Floats | NDArray[np.int64] | None]) -> NDArray[np.int64]:
    known = np.stack([np.asarray(column, np.float64) for column in labels if column is not None], axis=1)
    return np.asarray(np.unique(known, axis=0, return_inverse=True)[1].ravel(), np.int64)


def _differ(owner: NDArray[np.int64], steps: Floats) -> bool:
    least = np.full(int(owner.max()) + 1, np.inf)
    np.minimum.at(least, owner, steps)
    return bool((steps >= APART * least[owner]).any())
