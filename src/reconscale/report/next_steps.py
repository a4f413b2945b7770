"""What to run next: the steps, what they are for, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reconscale.format import amount, duration, format_chance, number, round_interval, short
from reconscale.laws import Experiment, Hours
from reconscale.laws.decisions.gate import OBSTACLES, VALUES
from reconscale.laws.grouping import LEAST_SIZES
from reconscale.report.analysis import Analysis
from reconscale.report.run_tables import GPU_HOURS, HOURS
from reconscale.report.tables import Cell, Table, table
from reconscale.results import Result
from reconscale.study import Run

STEPS = "kind action reason runs n p width hours cost cost_unit reduction regret"
"""Columns. ``reduction``: share of the variance that is removed; ``regret``: expected regret that remains, as gains."""

ACT = {
    "COLLECT MORE": "No further experiments needed: collect more data",
    "TRAIN LARGER": "No further experiments needed: train a larger network",
    "STOP": "No further experiments needed: neither twice the data nor a larger network is worth it",
    "UNDECIDED": "No further experiments: decide with what is known",
}
"""What to do where no further experiment is worth it."""
TRAINING_SHOWN = "the curve shows the training, and not the data"
PROBE_FIRST = "Train the smallest and the largest n 4 times as long"
IF_LONG_ENOUGH = "That holds if training was long enough, which nobody has measured."
NOT_OF_P = "No further experiments needed: twice the data are not worth it"
"""The same for STOP where nothing is known about larger networks."""


def step_cost(row: Mapping[str, Cell]) -> str:
    """The cost of a step: time where it is known, money where hours have a price, else usual runs."""
    parts = [] if row["hours"] is None else [f"about {duration(3600 * number(row['hours']))}"]
    unit, cost = row["cost_unit"], row["cost"]
    if row["kind"] != "stop" and cost is not None and unit not in (GPU_HOURS, HOURS):
        parts.insert(
            0,
            f"{round_interval(number(cost))} {unit}".rstrip()
            if parts
            else f"cost of {round_interval(number(cost))} {unit}",
        )
    return ", ".join(parts)


def next_steps(
    answer: Analysis | None,
    runs: Sequence[Run] = (),
    results: Sequence[Result] = (),
    hours: Hours | None = None,
    *,
    chosen: bool = False,
) -> Table:
    """The next steps: what, why, how many runs, at what cost.

    Args:
        answer: the analysis of the measured runs; none where no run is done.
        runs: every run of the study; empty for points from a CSV file.
        results: of the finished runs.
        hours: measured time of a run by n and width (in the place of p), or None.
        chosen: runs were chosen one by one, so that the rest of the grid is not missing.
    """
    rows = _unfinished(runs, results, hours, chosen)
    if answer is not None and not answer.has_curve:
        rows.append(_more_sizes(answer))
    if answer is not None and answer.has_curve:
        rows = [*first_rows(answer, results), *rows, *experiment_rows(answer)]
    return table("next-steps", STEPS, rows)


def first_rows(answer: Analysis, results: Sequence[Result] = ()) -> list[tuple[Cell, ...]]:
    """What must be mended before anything else, as a row; nothing where nothing must.

    Its hours are known where runs that have not converged are to go on: twice the steps cost as much again.
    """
    if not answer.decision.first_step:
        return []
    against = [item.code for item in answer.decision.findings if item.code in OBSTACLES]
    why = TRAINING_SHOWN
    if answer.decision.verdict == "UNDECIDED":
        why = "nothing that was measured decides it"
    elif against and all(code in VALUES for code in against):
        why = "the curve is one of values that are not what they are called"
    why = f"until then {why}"
    going_on = [result for result in results if result.status == "done" and result.converged is False]
    more = bool(going_on) and against == ["not-converged"] and all(result.times for result in going_on)
    hours = sum(result.seconds for result in going_on) / 3600 if more else None
    return [_step("first", answer.decision.first_step, why, len(going_on) if more else None, hours)]


def experiment_rows(answer: Analysis) -> list[tuple[Cell, ...]]:
    """The experiments as rows; ``both``: the gains of n and of p are to be learnt, else that of n.

    Where something must be mended first, no row says that the decision is settled.
    """
    aim = "the gain of doubling n" if answer.surface is None else "the gains of doubling n and p"
    rows: list[tuple[Cell, ...]] = []
    for item in answer.experiments:
        if item.kind == "stop" and answer.decision.first_step:
            continue
        numbers = (item.seeds or None, item.n, item.p, item.width)
        hours = None if item.bill is None else item.bill.hours
        action, reason = _worded(item, answer, aim)
        left = (item.cost, item.cost_unit, item.reduction, item.regret)
        rows.append((item.kind, action, reason, *numbers, hours, *left))
    return rows


def _worded(item: Experiment, answer: Analysis, aim: str) -> tuple[str, str]:
    """What to do and why."""
    decision = answer.decision
    if item.kind == "stop" or item.n is None:
        action = NOT_OF_P if decision.verdict == "STOP" and decision.gain_p is None else ACT[decision.verdict]
        if decision.verdict == "STOP" and is_length_unknown(answer):
            return PROBE_FIRST, f"{item.why} {IF_LONG_ENOUGH}"
        return action, item.why
    network = f"width {item.width}" if item.width is not None else "" if item.p is None else f"p = {short(item.p)}"
    place = f"n = {amount(item.n)}{f', {network}' if network else ''}"
    action = {
        "repeat": f"Repeat {place} with new seeds",
        "new size": f"Add the new size {place}",
        "other width": f"Train another network: {place}",
    }[item.kind]
    return (
        action,
        f"should remove {format_chance(item.reduction)} of the variance of {aim}{_to_collect(item.n, answer)}",
    )


def is_length_unknown(answer: Analysis) -> bool:
    """Whether nobody knows if longer training would change the curve."""
    return any(item.code in ("convergence-unknown", "not-probed") for item in answer.findings)


def _to_collect(n: float, answer: Analysis) -> str:
    """That a size is beyond the images at hand, or, where nobody says how many there are, beyond those used so far."""
    have = answer.costs.have
    more = math.ceil(n - (answer.decision.n if have is None else have) - 1e-6)
    if more <= 0:
        return ""
    noun = answer.quantity.counted(more).removeprefix(amount(more)).strip()
    twice = max(0, math.ceil(answer.bill("n", 2.0).images - 1e-6))
    instead = f"where doubling n takes {amount(twice) if twice else 'none'}"
    dear = f", {instead}: if {noun} are dear, double n first and see" if more > twice else ""
    if have is not None:
        return f"; {amount(more)} more {noun} must be collected for it{dear}"
    at_hand = ", and what is not at hand must be collected"
    return f"; it takes {amount(more)} more {noun} than were used so far{at_hand}{dear}"


def _unfinished(
    runs: Sequence[Run], results: Sequence[Result], hours: Hours | None, chosen: bool
) -> list[tuple[Cell, ...]]:
    over = {result.run.id for result in results}
    left = [run for run in runs if run.id not in over]
    rows: list[tuple[Cell, ...]] = []
    if left:
        sizes = ", ".join(amount(n) for n in sorted({run.n for run in left}))
        why = f"{len(left)} of {len(runs)} planned runs have no result yet (n = {sizes})"
        time = None if hours is None else sum(hours(run.n, run.network.width) for run in left)
        action = "Finish the plan: reconscale status prints the command"
        if chosen:
            action = "Let more runs be chosen, with a larger --budget or with --until decided"
            why = f"{len(left)} of {len(runs)} runs of the grid are not made; these are the most it can take"
        rows.append(_step("finish", action, why, len(left), time))
    lost = [result for result in results if result.status != "done"]
    if lost:
        why = "they are missing from the curve; the list of runs says why they failed"
        rows.append(_step("repeat lost runs", "Repeat the runs that failed or diverged", why, len(lost), None))
    return rows


def _more_sizes(answer: Analysis) -> tuple[Cell, ...]:
    n = float(answer.points.n.max())
    sizes = [max(1, round(float(f"{n / factor:.2g}"))) for factor in (9, 3)] if n >= 18 else [3 * n, 9 * n]
    named = " and ".join(amount(size) for size in sizes)
    why = f"there is one training size; a curve needs at least {LEAST_SIZES}, and 4 or more to see whether it bends"
    return _step("new size", f"Add training sizes, for instance n = {named}", why, None, None)


def _step(kind: str, action: str, reason: str, runs: int | None, hours: float | None) -> tuple[Cell, ...]:
    return (kind, action, reason, runs, None, None, None, hours, None, None, None, None)


def step_lines(steps: Table) -> list[str]:
    """What to run next, one line for each step."""
    lines = []
    for place, row in enumerate(steps.records(), start=1):
        runs = "" if row["runs"] is None else f" ({row['runs']} run{'' if row['runs'] == 1 else 's'}"
        cost = step_cost(row)
        more = f"{runs}{f', {cost}' if cost and runs else ''}{')' if runs else ''}"
        link = "." if row["kind"] == "stop" else ":"
        lines.append(f"  {place}. {row['action']}{more}{link} {row['reason']}")
    return ["what to run next", *lines] if lines else []
