"""What a budget of training hours buys: the best network and steps for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from reconscale.format import amount, duration, number, short
from reconscale.laws import hours_of
from reconscale.laws.steps.budget import StepsSurface
from reconscale.report.analysis import Analysis
from reconscale.report.tables import Grid, Table, table
from reconscale.results import Result

BUDGETS = 7
"""Rows of the table: from what the fewest steps of the smallest network cost to the most of the largest."""
COLUMNS = "hours n p steps median low90 high90 forecast"
"""``forecast``: 1 where the steps are more than any that were measured at this n."""


def hours_of_step(results: Sequence[Result]) -> Callable[[float], float] | None:
    """Hours of one optimisation step by p, a power law through what was measured; none where nothing was timed.

    Time of validation and testing is not in it.
    """
    timed = [(r, r.times["train"] / _computed(r)) for r in results if r.times.get("train", 0.0) > 0 and _computed(r)]
    if not timed:
        return None
    law = hours_of(np.ones(len(timed)), [seconds for _, seconds in timed], [float(r.p) for r, _ in timed])
    return lambda p: law(1.0, p)


def _computed(result: Result) -> int:
    """Optimisation steps that were computed, those of all branches included."""
    if not result.branches:
        return result.steps
    return result.branches[-1].trunk + sum(branch.steps - branch.trunk for branch in result.branches)


def training_budget_table(answer: Analysis) -> Table:
    """For hours of one training at the largest n: the best p and steps, and the expected metric with a 90 % interval.

    Empty where hours or other numbers of steps are not known.
    """
    name = "training-budget"
    if answer.pace is None or not answer.has_curve or answer.curve.steps_law is None:
        return table(name, COLUMNS, [])
    surface, n = StepsSurface(answer.curve), answer.curve.largest
    low, high = surface.steps_range(n)
    ends = surface.p_range or (answer.curve.p or 1.0,) * 2
    budgets = np.geomspace(2.0 * low * answer.pace(ends[0]), high * answer.pace(ends[1]), BUDGETS)
    rows = []
    for best in surface.allocate(budgets.tolist(), answer.pace):
        spent = best.steps * answer.pace(best.p or 1.0)
        (worst,), (most,) = best.value.interval(0.9)
        beyond = int(best.steps > surface.most_steps(n) * 1.01)
        value = (float(best.value.median[0]), float(worst), float(most))
        rows.append((spent, n, best.p, best.steps, *value, beyond))
    return table(name, COLUMNS, rows)


def training_budget_grid(made: Table, answer: Analysis) -> Grid | None:
    """The same for the page."""
    if not len(made):
        return None
    quantity, rows = answer.quantity, []
    for row in made.records():
        middle, low, high = (quantity.bare(number(row[name])) for name in ("median", "low90", "high90"))
        network = "" if row["p"] is None else short(number(row["p"]))
        steps = amount(float(f"{number(row['steps']):.2g}")) + (" (forecast)" if row["forecast"] else "")
        rows.append((duration(3600 * number(row["hours"])), network, steps, middle, f"{low} to {high}"))
    n = quantity.counted(number(made.column("n")[0]))
    note = (
        f"The best use of training time for one network with {n}: a whole training of that length, without any search"
    )
    return Grid(note, ("#time", "#p", "#steps", f"#{quantity.title}", "#90 % interval"), tuple(rows))
