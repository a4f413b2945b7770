"""What to run next: a simple first cut, in the order in which it is worth doing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.report.answer import LEAST_SIZES, Answer
from reconscale.report.runs import doubling
from reconscale.report.tables import Table, table
from reconscale.report.wording import amount
from reconscale.study import Result, Run

GOOD_SIZES, GOOD_SEEDS = 4, 3
"""Sizes, and runs at each of them, from which on a curve can be trusted."""


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        action: what.
        reason: why.
        runs: how many trainings; none where it is not known.
        n: the size that the estimated time is for; none: no estimate.
        width: the width that it is for; none: the one selected there.
    """

    action: str
    reason: str
    runs: int | None
    n: float | None = None
    width: int | None = None


def next_steps(answer: Answer | None, runs: Sequence[Run], results: Sequence[Result], costs: Table) -> Table:
    """The next experiments: what, why, how many runs, and their estimated time.

    Args:
        answer: what the measured runs say; none where no run is done.
        runs: every run of the study; empty for points from a CSV file.
        results: those that are over.
        costs: measured seconds of one run, by n and width.
    """
    steps = _unfinished(runs, results)
    if answer is not None:
        steps += [*_sizes(answer), *_seeds(answer, runs), *_widths(answer), *_verdict(answer)]
    rows = []
    for step in steps:
        each = None if step.n is None else _seconds(costs, step.n, step.width or _selected(answer))
        total = None if each is None or step.runs is None else each * step.runs
        rows.append((step.action, step.reason, step.runs, step.n, step.width, total))
    return table("next-steps", "action reason runs n width seconds", rows)


def _unfinished(runs: Sequence[Run], results: Sequence[Result]) -> list[Step]:
    over = {result.run.id for result in results}
    left = [run for run in runs if run.id not in over]
    steps: list[Step] = []
    if left:
        sizes = ", ".join(amount(n) for n in sorted({run.n for run in left}))
        why = f"{len(left)} of {len(runs)} planned runs have no result yet (n = {sizes})"
        n, width = (
            float(np.median(column)) for column in zip(*((run.n, run.network.width) for run in left), strict=True)
        )
        steps.append(Step("Finish the plan: reconscale run", why, len(left), n, round(width)))
    lost = [result for result in results if result.status != "done"]
    if lost:
        why = "they are missing from the curve; read their reasons in the list of runs, and change what caused them"
        steps.append(Step("Repeat the runs that failed or diverged", why, len(lost)))
    return steps


def _sizes(answer: Answer) -> list[Step]:
    sizes = [float(n) for n in answer.points.sizes]
    if len(sizes) >= GOOD_SIZES and sizes[-1] / sizes[0] >= 10:
        return []
    new = _new_sizes(sizes)
    have = f"there {'is' if len(sizes) == 1 else 'are'} {len(sizes)}, over a factor of {sizes[-1] / sizes[0]:.3g}"
    need = (
        f"a curve needs {LEAST_SIZES} sizes at least, {GOOD_SIZES} or more over a factor of 10 to see whether it bends"
    )
    why = f"{need}; {have}"
    action = f"Add the training size{'s' if len(new) > 1 else ''} n = {' and '.join(amount(n) for n in new)}"
    return [Step(action, why, _usual_seeds(answer) * len(new), new[-1])]


def _new_sizes(sizes: Sequence[float]) -> list[float]:
    """Sizes below the largest one, which cost no new data, or else above it, that fill and widen the range."""
    wanted = [sizes[-1] / factor for factor in (3, 10, 30, 100)]
    fresh = [_round(n) for n in wanted if n >= 2 and all(abs(math.log(n / old)) > math.log(1.5) for old in sizes)]
    missing = max(1, GOOD_SIZES - len(sizes))
    chosen = fresh[:missing]
    above = [_round(sizes[-1] * 3 ** (step + 1)) for step in range(missing - len(chosen))]
    return sorted(chosen + above)


def _seeds(answer: Answer, runs: Sequence[Run]) -> list[Step]:
    """More seeds where neither the results nor the plan hold enough."""
    best = answer.best
    poor: dict[float, int] = {}
    for n in best.sizes:
        at = best.n == n
        width = None if best.width is None else int(best.width[at][0])
        planned = sum(run.n == n and run.network.width == width for run in runs)
        have = max(int(at.sum()), planned)
        if have < GOOD_SEEDS:
            poor[float(n)] = GOOD_SEEDS - have
    if not poor:
        return []
    verb = "has" if len(poor) == 1 else "have"
    why = (
        f"{GOOD_SEEDS} runs a size tell the spread between seeds; n = {', '.join(amount(n) for n in poor)} {verb} fewer"
    )
    return [Step(f"Add seeds, up to {GOOD_SEEDS} a size", why, sum(poor.values()), max(poor))]


def _widths(answer: Answer) -> list[Step]:
    best, points = answer.best, answer.points
    last, seeds = float(best.n.max()), _usual_seeds(answer)
    new: int | None
    edge = any(item.code == "width-at-edge" for item in answer.findings)
    width = _selected(answer)
    if edge and width is not None and points.width is not None:
        largest = width == int(points.width[points.n == last].max())
        new = 2 * width if largest else max(1, width // 2)
        why = f"the {'largest' if largest else 'smallest'} width was the best at the largest n"
        return [Step(f"Add width {new} at n = {amount(last)}", why, seeds, last, new)]
    if answer.decision is None or points.p is None:
        return []
    if answer.decision.gain_p is None:
        why = "three sizes of network at the largest n are needed to say what a larger one would add"
        tried = len(set(points.p[points.n == last].tolist()))
        new = None if width is None else 2 * width
        named = "larger networks" if new is None else f"width {new}"
        return [Step(f"Add {named} at n = {amount(last)}", why, max(1, 3 - tried) * seeds, last, new)]
    if answer.decision.verdict == "TRAIN LARGER":
        gain = answer.decision.gain_p
        why = f"expected gain {gain.median:.2g} {answer.decision.unit} for twice the parameters"
        new = None if width is None else round(width * math.sqrt(2))
        return [Step(f"Train twice the parameters at n = {amount(last)}", why, seeds, last, new)]
    return []


def _verdict(answer: Answer) -> list[Step]:
    decision = answer.decision
    if decision is None:
        return []
    last, seeds = float(answer.best.n.max()), _usual_seeds(answer)
    if decision.verdict == "COLLECT MORE":
        why = (
            f"expected gain {decision.gain_n.median:.2g} {decision.unit}; training there puts the forecast to the test"
        )
        return [Step(f"Collect up to n = {amount(2 * last)}", why, seeds, 2 * last)]
    if decision.verdict == "UNDECIDED":
        more, half = max(2, seeds), _round(last / 2)
        why = "the answer hangs on the slope at the end of the curve; these narrow it, and need no new data"
        return [Step(f"Add {more} seeds each at n = {amount(half)} and n = {amount(last)}", why, 2 * more, last)]
    return []


def _usual_seeds(answer: Answer) -> int:
    best = answer.best
    return max(1, round(float(np.median([(best.n == n).sum() for n in best.sizes]))))


def _selected(answer: Answer | None) -> int | None:
    """The width selected at the largest n."""
    if answer is None or answer.best.width is None:
        return None
    return int(answer.best.width[answer.best.n == answer.best.n.max()][0])


def _seconds(costs: Table, n: float, width: int | None) -> float | None:
    """Estimated seconds of a run: those of the nearest cell that was measured, carried over to n and width."""
    cells = [[float(row[key] or 0) for key in ("n", "width", "seconds")] for row in costs.records()]
    if not cells:
        return None

    def away(cell: list[float]) -> float:
        return abs(math.log(cell[0] / n)) + (0.0 if width is None else 3 * abs(math.log(cell[1] / width)))

    nearest = min(cells, key=away)
    by_n, by_width = doubling(costs, "n") or 1.0, doubling(costs, "width") or 1.0
    wider = 0.0 if width is None else math.log2(width / nearest[1])
    return float(nearest[2] * max(by_n, 1.0) ** math.log2(n / nearest[0]) * by_width**wider)


def _round(n: float) -> float:
    """A size with two leading digits, at least 1."""
    digits = max(0, math.floor(math.log10(max(n, 1.0))) - 1)
    return max(1.0, float(round(n / 10**digits) * 10**digits))
