"""What to run next: unfinished runs first, then the experiments that tell most for their cost."""

from __future__ import annotations

from collections.abc import Sequence

from reconscale.format import format_chance
from reconscale.laws import Decision, Experiment, Hours
from reconscale.laws.grouping import LEAST_SIZES
from reconscale.report.analysis import Analysis
from reconscale.report.format import amount, short
from reconscale.report.tables import Cell, Table, table
from reconscale.study import Result, Run

STEPS = "kind action reason runs n p width hours cost cost_unit reduction regret"
"""Columns. ``reduction``: share of the variance that is removed; ``regret``: expected regret that remains, in dB."""

ACT = {
    "COLLECT MORE": "No further experiments needed: collect more data",
    "TRAIN LARGER": "No further experiments needed: train a larger network",
    "STOP": "No further experiments needed: neither more data nor a larger network is worth it",
    "UNDECIDED": "No further experiments: decide with what is known",
}
"""What to do where no further experiment is worth it."""


def next_steps(
    answer: Analysis | None, runs: Sequence[Run] = (), results: Sequence[Result] = (), hours: Hours | None = None
) -> Table:
    """The next steps: what, why, how many runs, at what cost.

    Args:
        answer: the analysis of the measured runs; none where no run is done.
        runs: every run of the study; empty for points from a CSV file.
        results: of the finished runs.
        hours: measured time of a run by n and width (in the place of p), or None.
    """
    rows = _unfinished(runs, results, hours)
    if answer is not None and not answer.has_curve:
        rows.append(_more_sizes(answer))
    if answer is not None and answer.has_curve:
        rows += experiment_rows(answer)
    return table("next-steps", STEPS, rows)


def experiment_rows(answer: Analysis) -> list[tuple[Cell, ...]]:
    """The experiments as rows; ``both``: the gains of n and of p are to be learnt, else that of n."""
    aim = "the gain of doubling n" if answer.surface is None else "the gains of doubling n and p"
    rows: list[tuple[Cell, ...]] = []
    for item in answer.experiments:
        numbers = (item.seeds or None, item.n, item.p, item.width)
        hours = None if item.bill is None else item.bill.hours
        action, reason = _worded(item, answer.decision, aim)
        left = (item.cost, item.cost_unit, item.reduction, item.regret)
        rows.append((item.kind, action, reason, *numbers, hours, *left))
    return rows


def _worded(item: Experiment, decision: Decision, aim: str) -> tuple[str, str]:
    """What to do and why."""
    if item.kind == "stop" or item.n is None:
        return ACT[decision.verdict], item.why
    network = f"width {item.width}" if item.width is not None else "" if item.p is None else f"p = {short(item.p)}"
    place = f"n = {amount(item.n)}{f', {network}' if network else ''}"
    action = {
        "repeat": f"Repeat {place} with new seeds",
        "new size": f"Add the new size {place}",
        "other width": f"Train another network: {place}",
    }[item.kind]
    return action, f"should remove {format_chance(item.reduction)} of the variance of {aim}"


def _unfinished(runs: Sequence[Run], results: Sequence[Result], hours: Hours | None) -> list[tuple[Cell, ...]]:
    over = {result.run.id for result in results}
    left = [run for run in runs if run.id not in over]
    rows: list[tuple[Cell, ...]] = []
    if left:
        sizes = ", ".join(amount(n) for n in sorted({run.n for run in left}))
        why = f"{len(left)} of {len(runs)} planned runs have no result yet (n = {sizes})"
        time = None if hours is None else sum(hours(run.n, run.network.width) for run in left)
        rows.append(_step("finish", "Finish the plan: reconscale run", why, len(left), time))
    lost = [result for result in results if result.status != "done"]
    if lost:
        why = "they are missing from the curve; the list of runs says why they failed"
        rows.append(_step("repeat lost runs", "Repeat the runs that failed or diverged", why, len(lost), None))
    return rows


def _more_sizes(answer: Analysis) -> tuple[Cell, ...]:
    n = float(answer.points.n.max())
    sizes = [max(1.0, float(f"{n / factor:.2g}")) for factor in (9, 3)] if n >= 18 else [3 * n, 9 * n]
    named = " and ".join(amount(size) for size in sizes)
    why = f"there is one training size; a curve needs at least {LEAST_SIZES}, and 4 or more to see whether it bends"
    return _step("new size", f"Add training sizes, for instance n = {named}", why, None, None)


def _step(kind: str, action: str, reason: str, runs: int | None, hours: float | None) -> tuple[Cell, ...]:
    return (kind, action, reason, runs, None, None, None, hours, None, None, None, None)
