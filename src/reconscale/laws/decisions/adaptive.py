"""Which runs of a grid to make next, so that a verdict is reached with few of them.

The order was found by simulation (``benchmarks/adaptive.py``). First every width once at the largest n, at a sixth and
at a fortieth of it, for all widths tell how quality goes with n; then second seeds of the two best widths there; then
the best width next to the largest n, at once where nothing is open, as a curve that bends before it looks straight from
afar; then what bears on the question that is open. Nothing is drawn: the next runs are a function of the results that
are there, so a sweep that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.errors import UserError
from reconscale.format import amount
from reconscale.laws.decisions.decide import Decision
from reconscale.laws.decisions.gains import Gain
from reconscale.laws.points import METRICS, Points

SPACING = (1.0, 2.5, 6.0, 16.0, 40.0, 100.0)
"""Fractions of the largest n at which the selected width is measured: 1 / each, as far as the grid has them."""

UNSURE = (0.1, 0.9)
"""A chance between these is not settled."""
LEAST_RUNS, LEAST_SIZES = 8, 4
"""Runs, and sizes of n, before anything is settled."""


@dataclass(frozen=True, order=True)
class Cell:
    """One run of a grid.

    Attributes:
        n: training-set size.
        width: of the network.
        seed: of the subset, the initial weights and the order.
    """

    n: int
    width: int
    seed: int


@dataclass(frozen=True)
class Choice:
    """A run to make next.

    Attributes:
        cell: the run.
        why: what it is to tell, in a few words.
    """

    cell: Cell
    why: str


def choose_cells(
    cells: Collection[Cell],
    points: Points | None,
    pending: Collection[Cell] = (),
    count: int = 1,
    unsettled: str = "np",
) -> tuple[Choice, ...]:
    """The next runs of a grid.

    Args:
        cells: every run that may be made.
        points: what was measured, with ``seed``, and ``width`` where there are several; None: nothing yet.
        pending: runs that are under way.
        count: how many to choose, at most.
        unsettled: the questions that are open, of ``n`` and ``p``; see :func:`find_unsettled`.

    Returns:
        ``count`` runs, or as many as are left.

    Raises:
        UserError: there are no cells.
    """
    if not cells:
        raise UserError("the grid", "has no runs", "give n, widths and seeds")
    made = measured_cells(points, cells) | set(pending)
    chosen = []
    for choice in _iterate_cells(cells, points, unsettled):
        if choice.cell not in made:
            made.add(choice.cell)
            chosen.append(choice)
        if len(chosen) == count:
            break
    return tuple(chosen)


def is_settled(decision: Decision, points: Points, cells: Collection[Cell]) -> bool:
    """Whether more runs are unlikely to change the verdict: every chance behind it is below 10 % or above 90 %.

    Nothing is settled before there are eight runs, at four sizes where the grid has them, one of them next to the
    largest: few runs look sure now and then, and a curve that bends before the largest n looks straight from afar.

    Args:
        decision: on what was measured.
        points: what was measured.
        cells: every run that may be made.
    """
    sizes, made = sorted({cell.n for cell in cells}, reverse=True), set(points.sizes.tolist())
    if len(points) < LEAST_RUNS or len(made) < min(LEAST_SIZES, len(sizes)):
        return False
    if not made.intersection(spaced_sizes(sizes)[1:2] or sizes):
        return False
    return not find_unsettled(decision, len({cell.width for cell in cells}))


def find_unsettled(decision: Decision | None, widths: int) -> str:
    """The questions that are open, of ``n`` and ``p``: those with a chance between 10 and 90 %, or without any."""
    if decision is None:
        return "np"
    gains = {"n": decision.gain_n, "p": decision.gain_p}
    asked = [name for name in gains if name == "n" or widths > 1]
    return "".join(name for name in asked if _is_unsure(gains[name]))


def _is_unsure(gain: Gain | None) -> bool:
    return gain is None or UNSURE[0] < gain.probability < UNSURE[1]


def measured_cells(points: Points | None, cells: Collection[Cell]) -> set[Cell]:
    """The cells of the grid that were measured; without widths the grid's only one is meant."""
    if points is None:
        return set()
    only = next(iter(cells)).width
    width = np.full(len(points.n), only) if points.width is None else points.width
    seed = np.zeros(len(points.n)) if points.seed is None else points.seed
    return {Cell(int(n), int(w), int(s)) for n, w, s in zip(points.n, width, seed, strict=True)}


def ordered_cells(cells: Sequence[Cell], points: Points | None, unsettled: str = "np") -> list[Choice]:
    """All cells in the order in which they are worth making, as far as the measurements say; some come twice."""
    return list(_iterate_cells(cells, points, unsettled))


def _iterate_cells(cells: Collection[Cell], points: Points | None, unsettled: str) -> Iterator[Choice]:
    """As :func:`ordered_cells`, one by one: of thousands only the first few are asked for."""
    widths, seeds = sorted({cell.width for cell in cells}), sorted({cell.seed for cell in cells})
    sizes = sorted({cell.n for cell in cells}, reverse=True)
    ranked, ladder = rank_widths(points, widths, sizes[0]), spaced_sizes(sizes)
    last = len(ladder) - 1
    middle, low = [ladder[min(2, last // 2)]], [ladder[min(4, last)]]
    smaller = list(dict.fromkeys(middle + low))
    between = [n for n in ladder[1:4] if n not in smaller]
    several = len(widths) > 1
    each, best = ("every width once", "the best width") if several else ("one run", "one run")
    of_two, of_best = (" of the two best widths", " of the best width") if several else ("", "")
    at_middle, at_low = (f"at n = {amount(n)}" for n in (*middle, *low))
    near = [(seeds[:1], between[:1], ranked[:1], f"{best} next to the largest n, where curves bend")]
    stages = [
        (seeds[:1], sizes[:1], ranked, f"{each} at the largest n"),
        (seeds[:1], middle, ranked, f"{each} {at_middle}"),
        (seeds[:1], low, ranked, f"{each} {at_low}"),
        *([] if unsettled else near),
        (seeds[1:2], sizes[:1], ranked[:2], f"a second seed{of_two} at the largest n"),
        (seeds[1:2], smaller, ranked[:1], f"a second seed{of_best} at smaller n"),
        (seeds[2:3], sizes[:1], ranked[:1], f"a third seed{of_best} at the largest n"),
        (seeds[1:2], smaller, ranked[1:2], "a second seed of the second width at smaller n"),
        *near,
        (seeds[1:2], between[:1], ranked[:1], f"a second seed{of_best} next to the largest n"),
    ]
    if "p" in unsettled:
        stages += [
            (seeds[:3], sizes[:1], ranked[:2], "another seed at the largest n, as p is unsettled"),
            (seeds[:2], ladder[:2], ranked, "the other widths near the largest n, as p is unsettled"),
        ]
    if "n" in unsettled:
        stages += [
            (seeds[:3], ladder[:3], ranked[:1], f"another seed{of_best}, as n is unsettled"),
            (seeds[:2], ladder, ranked[:2], "a second width at smaller n, as n is unsettled"),
        ]
    stages += [
        (seeds, ladder[:3], ranked, "the other widths near the largest n"),
        (seeds, sizes, ranked, "what is left of the grid"),
    ]
    there = set(cells)
    every = (
        Choice(Cell(n, width, seed), why)
        for some_seeds, some_sizes, some_widths, why in stages
        for seed in some_seeds
        for n in some_sizes
        for width in some_widths
    )
    return (choice for choice in every if choice.cell in there)


def rank_widths(points: Points | None, widths: Sequence[int], n: int) -> list[int]:
    """Widths, the best first, by the mean over seeds on validation at n; those without a run there in the middle.

    While nothing is known the middle one comes first, and then its neighbours.
    """
    middle = 0.5 * (len(widths) - 1)
    rank = {width: abs(index - middle) for index, width in enumerate(widths)}
    if points is None or points.width is None:
        return sorted(widths, key=lambda width: (rank[width], width))
    y = points.y if points.validation is None else points.validation
    error = np.log(METRICS[points.metric].to_error(np.asarray(y, float)))
    known = {}
    for width in widths:
        here = (points.n == n) & (points.width == width)
        if here.any():
            known[width] = float(error[here].mean())
    return sorted(widths, key=lambda width: (width not in known, known.get(width, rank[width]), width))


def spaced_sizes(sizes: Sequence[int]) -> list[int]:
    """Of sizes, the largest first, those nearest to fractions of the largest; each once."""
    logs = np.log(np.array(sizes, float))
    nearest = [sizes[int(np.abs(logs - (logs[0] - np.log(factor))).argmin())] for factor in SPACING]
    return list(dict.fromkeys(nearest))
