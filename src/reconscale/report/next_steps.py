"""What to run next: a simple first cut, in the order in which it is worth doing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from reconscale.report.answer import LEAST_SIZES, Answer
from reconscale.report.tables import Table, table
from reconscale.report.wording import amount
from reconscale.study import Result, Run

GOOD_SIZES, GOOD_SEEDS = 4, 3
"""Sizes, and runs at each of them, from which on a curve can be trusted."""


def next_steps(answer: Answer | None, runs: Sequence[Run], results: Sequence[Result]) -> Table:
    """The next experiments: what, why, how many runs, and their estimated time.

    Args:
        answer: what the measured runs say; none where no run is done.
        runs: every run of the study; empty for points from a CSV file.
        results: those that are over.
    """
    steps = _unfinished(runs, results)
    if answer is not None:
        steps += _sizes(answer) + _seeds(answer) + _width(answer) + _verdict(answer)
    rows = []
    for action, reason, count, n in steps:
        each = _seconds(results, n)
        rows.append((action, reason, count, n, None if each is None or count is None else each * count))
    return table("next-steps", "action reason runs n seconds", rows)


Step = tuple[str, str, int | None, float | None]
"""Action, reason, number of runs, size that the estimated time is for."""


def _unfinished(runs: Sequence[Run], results: Sequence[Result]) -> list[Step]:
    over = {result.run.id for result in results}
    left = [run for run in runs if run.id not in over]
    steps: list[Step] = []
    if left:
        sizes = ", ".join(amount(n) for n in sorted({run.n for run in left}))
        why = f"{len(left)} of {len(runs)} planned runs have no result yet (n = {sizes})"
        steps.append(("Finish the plan: reconscale run", why, len(left), float(np.median([run.n for run in left]))))
    lost = [result for result in results if result.status != "done"]
    if lost:
        why = "they are missing from the curve; read their reasons in the list of runs, and change what caused them"
        steps.append(("Repeat the runs that failed or diverged", why, len(lost), None))
    return steps


def _sizes(answer: Answer) -> list[Step]:
    sizes = [float(n) for n in answer.points.sizes]
    seeds = _usual_seeds(answer)
    if len(sizes) >= GOOD_SIZES and sizes[-1] / sizes[0] >= 10:
        return []
    new = _new_sizes(sizes)
    why = (
        f"a curve needs {LEAST_SIZES} sizes at the least, {GOOD_SIZES} or more over a factor of 10 to see whether it bends; "
        f"{'there is' if len(sizes) == 1 else 'there are'} {len(sizes)}"
    )
    listed = " and ".join(amount(n) for n in new)
    return [(f"Add the training sizes n = {listed}", why, seeds * len(new), new[-1])]


def _new_sizes(sizes: Sequence[float]) -> list[float]:
    """Sizes below the largest one, which cost no new data, that make the set span a factor of 10 or more."""
    large = sizes[-1]
    wanted = [large / 3, large / 10, large / 30]
    fresh = [n for n in wanted if n >= 1 and all(abs(math.log(n / old)) > math.log(1.5) for old in sizes)]
    missing = max(1, GOOD_SIZES - len(sizes))
    chosen = sorted(_round(n) for n in fresh[:missing])
    return chosen or [_round(large * 2)]


def _seeds(answer: Answer) -> list[Step]:
    best = answer.best
    counts = {float(n): int((best.n == n).sum()) for n in best.sizes}
    poor = [n for n, count in counts.items() if count < GOOD_SEEDS]
    if not poor:
        return []
    missing = sum(GOOD_SEEDS - counts[n] for n in poor)
    why = f"{GOOD_SEEDS} runs a size tell the spread between seeds; n = {', '.join(amount(n) for n in poor)} have fewer"
    return [(f"Add seeds, up to {GOOD_SEEDS} a size", why, missing, poor[-1])]


def _width(answer: Answer) -> list[Step]:
    edge = next((item for item in answer.findings if item.code == "width-at-edge"), None)
    best, points = answer.best, answer.points
    last = float(best.n.max())
    if edge is not None and best.width is not None and points.width is not None:
        width = int(best.width[best.n == last][0])
        largest = width == int(points.width[points.n == last].max())
        new = 2 * width if largest else max(1, width // 2)
        why = f"the {'largest' if largest else 'smallest'} width was the best at the largest n"
        return [(f"Add width {new} at n = {amount(last)}", why, _usual_seeds(answer), last)]
    if answer.decision is not None and answer.decision.gain_p is None and points.p is not None:
        why = "three sizes of network at the largest n are needed to say what a larger one would add"
        tried = len(set(points.p[points.n == last].tolist()))
        return [(f"Add other widths at n = {amount(last)}", why, max(1, 3 - tried) * _usual_seeds(answer), last)]
    return []


def _verdict(answer: Answer) -> list[Step]:
    decision = answer.decision
    if decision is None:
        return []
    last = float(answer.best.n.max())
    seeds = _usual_seeds(answer)
    if decision.verdict == "COLLECT MORE":
        why = f"expected gain {decision.gain_n.median:.2g} {decision.unit}; train there, and the forecast is put to the test"
        return [(f"Collect up to n = {amount(2 * last)}", why, seeds, 2 * last)]
    if decision.verdict == "UNDECIDED":
        more = max(2, seeds)
        why = "the answer hangs on the last slope; seeds at the largest n narrow it most, and need no new data"
        return [(f"Add {more} seeds at n = {amount(last)} and as many at n = {amount(_round(last / 2))}", why, 2 * more, last)]
    return []


def _usual_seeds(answer: Answer) -> int:
    best = answer.best
    return max(1, round(float(np.median([(best.n == n).sum() for n in best.sizes]))))


def _seconds(results: Sequence[Result], n: float | None) -> float | None:
    """Estimated seconds of a run: the median of those measured at the nearest n."""
    timed = [(result.run.n, sum(result.times.values())) for result in results if result.status == "done" and result.times]
    if not timed or n is None:
        return None
    nearest = min((size for size, _ in timed), key=lambda size: abs(math.log(size / n)))
    return float(np.median([seconds for size, seconds in timed if size == nearest]))


def _round(n: float) -> float:
    """A size with two leading digits, at least 1."""
    digits = max(0, math.floor(math.log10(max(n, 1.0))) - 1)
    return max(1.0, float(round(n / 10**digits) * 10**digits))
