"""Which rows of a table are the same training at other numbers of steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats

APART = 1.2
"""Numbers of steps that differ by a smaller factor are not told apart."""


def label_trainings(labels: Sequence[Floats | NDArray[np.int64] | None], steps: Floats) -> NDArray[np.int64] | None:
    """Number of the training of each row (M,), where some training was measured at several numbers of steps.

    Rows of one n, p, width and seed are one training. Where these do not differ in their steps, because each number of
    steps has seeds of its own, or where there are no seeds, all rows of one n, p and width are one, but only if the
    same numbers of steps come back at every n, p and width. Those of runs that ended by themselves do not.

    Args:
        labels: n, p, width and seed (M,) each, in this order; None where unknown.
        steps: (M,).

    Returns:
        The numbers; None where every training was measured at one number of steps.
    """
    owner, cells = _number(labels), _number(labels[:3])
    if labels[3] is not None and _differ(owner, steps):
        return owner
    tried = {tuple(np.unique(steps[cells == name])) for name in range(int(cells.max()) + 1)}
    return cells if len(tried) == 1 and cells.max() > 0 and _differ(cells, steps) else None


def at_most_steps(owner: NDArray[np.int64], steps: Floats) -> NDArray[np.bool_]:
    """(M,) whether a row was measured at the most steps of its training."""
    most = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(most, owner, steps)
    return np.asarray(steps == most[owner])


def _number(labels: Sequence[Floats | NDArray[np.int64] | None]) -> NDArray[np.int64]:
    known = np.stack([np.asarray(column, np.float64) for column in labels if column is not None], axis=1)
    return np.asarray(np.unique(known, axis=0, return_inverse=True)[1].ravel(), np.int64)


def _differ(owner: NDArray[np.int64], steps: Floats) -> bool:
    least = np.full(int(owner.max()) + 1, np.inf)
    np.minimum.at(least, owner, steps)
    return bool((steps >= APART * least[owner]).any())
