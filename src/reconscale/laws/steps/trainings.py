"""Runs that were measured at several numbers of steps: what every lengthening of the training gained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.laws.points import Points
from reconscale.laws.steps.levels import APART, label_trainings

NOTHING = 1e-4
"""A fall of ln(error) by less is none."""
SAME = float(np.log2(APART))
MOST_LEVELS = 20
"""Rows of one run at more numbers of steps than this are looks in the middle of it: nobody trains it that often."""


@dataclass(frozen=True, eq=False)
class Trainings:
    """R runs, each measured at two numbers of steps or more: what they gained in G lengthenings, in order.

    Attributes:
        n: (R,) training-set size.
        p: (R,) parameters; the width where they are not known, and 1 where neither is.
        now: (R,) log2 of the steps of the run that stands in the curve; measurements may go on beyond it.
        last: (R,) log2 of the most steps.
        ended: (R,) whether more steps have stopped to help.
        run: (G,) which run a gain belongs to.
        start: (G,) log2 of the steps before.
        end: (G,) log2 of the steps after.
        gain: (G,) fall of ln(error) for each doubling in between, on average.
    """

    n: Floats
    p: Floats
    now: Floats
    last: Floats
    ended: NDArray[np.bool_]
    run: NDArray[np.int64]
    start: Floats
    end: Floats
    gain: Floats

    def __len__(self) -> int:
        return len(self.n)

    @property
    def final(self) -> NDArray[np.int64]:
        """(R,) the last lengthening of each run."""
        return np.searchsorted(self.run, np.arange(len(self)), side="right") - 1

    @property
    def first(self) -> NDArray[np.int64]:
        """(R,) the first lengthening of each run."""
        return np.searchsorted(self.run, np.arange(len(self)), side="left")

    def at(self, n: float, p: float | None) -> NDArray[np.int64]:
        """The runs of one n and p."""
        alike = np.isclose(self.n, n, rtol=1e-6) & (True if p is None else np.isclose(self.p, p, rtol=1e-2))
        return np.flatnonzero(alike)


def read_trainings(measured: Points, curve: Points | None = None) -> Trainings | None:
    """The runs that were measured at several numbers of steps.

    Args:
        measured: one row for each run and number of steps.
        curve: the rows that stand in the curve, with their steps; none, or none of a run: its most steps do.

    Returns:
        The runs; None where no run has two numbers of steps, or one has more than :data:`MOST_LEVELS`.
    """
    if measured.steps is None:
        return None
    owner = label_trainings([measured.n, measured.p, measured.width, measured.seed], measured.steps)
    if owner is None:
        return None
    log_error, dial = np.log(measured.error), measured.p if measured.p is not None else measured.width
    runs: list[tuple[float, float, float, float, bool]] = []
    gains: list[tuple[int, float, float, float]] = []
    for name in range(int(owner.max()) + 1):
        rows = np.flatnonzero(owner == name)
        if len(np.unique(measured.steps[rows])) > MOST_LEVELS:
            return None
        steps, error = _ladder(measured.steps[rows], log_error[rows])
        if len(steps) < 2:
            continue
        fall, row = -np.diff(error) / np.diff(steps), rows[0]
        now = min(_steps_now(measured, int(row), curve) or steps[-1], float(steps[-1]))
        p = 1.0 if dial is None else float(dial[row])
        gains += [(len(runs), *item) for item in zip(steps[:-1], steps[1:], fall, strict=True)]
        runs.append((float(measured.n[row]), p, now, steps[-1], bool(fall[-1] <= NOTHING)))
    if not runs:
        return None
    n, p_, now_, last, ended = (np.array(column) for column in zip(*runs, strict=True))
    run, start, end, gain = (np.array(column) for column in zip(*gains, strict=True))
    return Trainings(n, p_, now_, last, ended, run.astype(np.int64), start, end, gain)


def _steps_now(measured: Points, row: int, curve: Points | None) -> float | None:
    """log2 of the steps that a run has in the curve."""
    if curve is None or curve.steps is None:
        return None
    alike = curve.n == measured.n[row]
    for name in ("p", "width", "seed"):
        ours, theirs = getattr(curve, name), getattr(measured, name)
        if ours is not None and theirs is not None:
            alike = alike & (ours == theirs[row])
    return float(np.log2(curve.steps[alike].max())) if alike.any() else None


def _ladder(steps: Floats, error: Floats) -> tuple[Floats, Floats]:
    """log2 of the steps, ascending, and the mean of ln(error) there; of numbers that nearly agree the largest."""
    levels, which = np.unique(steps, return_inverse=True)
    mean = np.bincount(which.ravel(), error) / np.bincount(which.ravel())
    kept = [len(levels) - 1]
    for k in range(len(levels) - 2, -1, -1):
        if levels[k] * APART <= levels[kept[-1]]:
            kept.append(k)
    return np.log2(levels[kept[::-1]]), mean[kept[::-1]]
