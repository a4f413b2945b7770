"""How many runs an answer costs: the adaptive order of runs against other designs, in simulated worlds.

    python benchmarks/adaptive.py [worlds] [--kind inside|outside] [--first INDEX] [--record FILE] [--figure FILE]

The worlds are those of ``gains.py``: *inside* the family of surfaces, and *outside* of it. A grid has six n, three
widths and three seeds, 54 runs. Two questions are asked of each design: does doubling n gain 0.1 dB at the largest n
and the width that is selected there, and does doubling p? A chance of at least 80 % or at most 20 % is an answer, all
else is undecided. Cost counts runs, and runs whose cost goes as the root of n.

A design that chooses one run after another is looked at after several numbers of runs. One that stops does so at the
first look at which both chances are below 10 % or above 90 %, and four n were measured with the second largest among
them; at the last look in any case.
*Halving* follows the best width down from the largest n at once; see :func:`halving_order`.

With ``--record`` every world is kept as a line of JSON; what is there is not computed again, so a run that was killed
goes on, and tables and the figure are made of any of them at once.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_tables import draw_figure, is_settled, is_sure, print_reliability, print_table
from gains import DECIBEL, GRIDS, WIDTHS, WORTHWHILE, World
from reconscale.laws import Points, infer
from reconscale.laws.decisions.adaptive import Cell, choose_cells, rank_widths
from reconscale.laws.decisions.gains import gain_p, gains_n

SIZES, SEEDS = GRIDS["6 n, 3 seeds"]
LOOKS = (13, 16, 19)
"""Numbers of runs after which a design that chooses them one by one looks."""

Order = Callable[[Points | None, str], Iterator[Cell]]
"""What was measured, and the questions that are open -> cells, the next one first; those that are made may be there."""


@dataclass(frozen=True)
class Look:
    """What a design says after some runs; JSON-friendly.

    Attributes:
        runs: how many.
        cost_root: what they cost where a run at the largest n costs 1, and others as the root of n.
        n_chance: that doubling n gains 0.1 dB; ``n_true`` is its true gain in dB, ``n_error`` that of the median.
        ten_error: of the median of the gain of ten times n, in dB.
        p_chance: that doubling p gains 0.1 dB, or None; ``p_true`` is its true gain in dB.
        checked: whether the two largest n, and two more, were measured, without which nothing is settled.
    """

    runs: int
    cost_root: float
    n_chance: float
    n_error: float
    n_true: float
    ten_error: float
    p_chance: float | None
    p_true: float
    checked: bool


def fixed_designs(points: Points) -> Iterator[tuple[str, Points]]:
    """Name -> what a design that is fixed beforehand sees."""
    assert points.seed is not None
    yield "full grid", points
    yield "single seed, 18", points.rows(points.seed == 0)
    geometric = np.isin(points.n, SIZES[1::2])
    yield "geometric, 2 seeds, 18", points.rows(geometric & (points.seed < 2))
    yield "geometric, 1 seed, 9", points.rows(geometric & (points.seed == 0))


def adaptive_order(points: Points | None, unsettled: str) -> Iterator[Cell]:
    """The order of the package."""
    cells = [Cell(n, width, seed) for n in SIZES for width in WIDTHS for seed in range(SEEDS)]
    return (choice.cell for choice in choose_cells(cells, points, unsettled=unsettled))


def halving_order(points: Points | None, unsettled: str) -> Iterator[Cell]:
    """Every width once at the largest n, second seeds of the best two, the best one down to n / 16 (8 runs); then down
    to n / 100, a third seed there and second ones above n / 10 (13); then the others and smaller n.
    """
    best, second, third = rank_widths(points, WIDTHS, SIZES[-1])
    top, *rest = reversed(SIZES)
    yield from (Cell(top, width, 0) for width in (best, second, third))
    yield from (Cell(top, width, 1) for width in (best, second))
    yield from (Cell(n, best, 0) for n in rest)
    yield from (Cell(top, best, 2), Cell(rest[0], best, 1), Cell(rest[1], best, 1))
    yield from (Cell(top, third, 1), Cell(rest[0], second, 0), Cell(rest[1], second, 0), Cell(rest[2], best, 1))
    yield from (Cell(rest[3], best, 1), Cell(rest[4], best, 1))
    yield from (Cell(n, width, 0) for n in rest for width in (second, third))


ORDERS: dict[str, Order] = {"adaptive": adaptive_order, "halving": halving_order}
EACH_RUN = "adaptive, looks each run"
DESIGNS = ("full grid", "single seed, 18", "geometric, 2 seeds, 18", "geometric, 1 seed, 9", EACH_RUN, *ORDERS)


def follow(order: Order, world: World, points: Points, looks: Sequence[int] = LOOKS) -> Iterator[Look]:
    """What is known after each number of runs in ``looks``; the questions that are open are those of the last look."""
    assert points.width is not None and points.seed is not None
    rows = zip(points.n, points.width, points.seed, strict=True)
    index = {Cell(int(n), int(w), int(s)): k for k, (n, w, s) in enumerate(rows)}
    seen: list[int] = []
    unsettled = "np"
    for count in range(1, looks[-1] + 1):
        known = points.rows(np.array(seen)) if seen else None
        seen.append(next(k for cell in order(known, unsettled) if (k := index[cell]) not in seen))
        if count in looks:
            made = look(world, points.rows(np.array(seen)))
            unsettled = "".join(
                name for name, chance in (("n", made.n_chance), ("p", made.p_chance)) if not is_sure(chance)
            )
            yield made


def follow_until_settled(world: World, points: Points) -> dict[str, Any]:
    """The last look of the adaptive order where one looks after each run from the ninth on, as the package does."""
    made: dict[str, Any] = {}
    for each in follow(adaptive_order, world, points, range(9, LOOKS[-1] + 1)):
        made = vars(each)
        if is_settled(made):
            break
    return made


def look(world: World, points: Points) -> Look:
    """What is said of these points, beside the truth at the width that they select."""
    curve = infer(points)
    assert curve.p is not None
    twice, ten = gains_n(curve, WORTHWHILE, (2.0, 10.0))
    larger, _ = gain_p(curve, WORTHWHILE)
    n, p = float(SIZES[-1]), curve.p
    true = {f: DECIBEL * float(world.log_error(n, p) - world.log_error(f * n, p)) for f in (2.0, 10.0)}
    more = DECIBEL * float(world.log_error(n, p) - world.log_error(n, 2.0 * p))
    cost = float(np.sqrt(points.n / n).sum())
    return Look(len(points.n), cost, twice.probability, twice.median - true[2.0], true[2.0], ten.median - true[10.0],
                None if larger is None else larger.probability, more,
                len(points.sizes) > 3 and SIZES[-2] in points.n)  # fmt: skip


def judge(task: tuple[World, Sequence[str]]) -> dict[str, list[dict[str, Any]]]:
    """Design -> looks, for the designs that are named."""
    world, names = task
    points = world.measured(SIZES, SEEDS)
    found = {name: [vars(look(world, seen))] for name, seen in fixed_designs(points) if name in names}
    if EACH_RUN in names:
        found[EACH_RUN] = [follow_until_settled(world, points)]
    orders = {name: order for name, order in ORDERS.items() if name in names}
    return found | {name: [vars(made) for made in follow(order, world, points)] for name, order in orders.items()}


def read_record(path: Path | None) -> dict[tuple[str, int], dict[str, Any]]:
    """(kind, index of the world) -> designs; a last line that was cut off is left out."""
    kept: dict[tuple[str, int], dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path and path.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        kept.setdefault((row["kind"], row["world"]), {}).update(row["designs"])
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", type=int, nargs="?", default=60, help="of each kind")
    parser.add_argument("--kind", choices=("inside", "outside"), help="one kind of worlds alone")
    parser.add_argument("--first", type=int, default=0, help="index of the first world")
    parser.add_argument("--design", action="append", choices=DESIGNS, help="this one alone; may be given several times")
    parser.add_argument("--record", type=Path, help="keep every world as a line of JSON, and go on from there")
    parser.add_argument("--figure", type=Path, help="draw answers and errors against the share of runs (SVG)")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    began = time.perf_counter()
    kept, found = read_record(given.record), {}
    indices = range(given.first, given.first + given.worlds)
    with ProcessPoolExecutor(given.workers, mp_context=get_context("forkserver")) as pool:
        for kind in (given.kind,) if given.kind else ("inside", "outside"):
            wanted = given.design or DESIGNS
            open_ones = {k: [name for name in wanted if name not in kept.get((kind, k), {})] for k in indices}
            tasks = [(World(k, kind == "inside"), names) for k, names in open_ones.items() if names]
            for (world, _), designs in zip(tasks, pool.map(judge, tasks), strict=True):
                kept.setdefault((kind, world.index), {}).update(designs)
                if given.record:
                    with given.record.open("a") as file:
                        file.write(json.dumps({"kind": kind, "world": world.index, "designs": designs}) + "\n")
            found[kind] = [{name: kept[kind, k][name] for name in wanted} for k in indices]
            print_table(kind, found[kind])
            print_reliability(kind, found[kind])
    if len(found) > 1:
        every = [world for worlds in found.values() for world in worlds]
        print_table("both kinds", every)
        print_reliability("both kinds", every)
    if given.figure:
        draw_figure(found, given.figure)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
