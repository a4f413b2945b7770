"""How many runs an answer costs: the adaptive order of runs against grids, in simulated worlds.

    python benchmarks/adaptive.py [worlds] [--record FILE]

The worlds are those of ``gains.py``: *inside* the family of surfaces, and *outside* of it. A grid has six n, three
widths and three seeds, 54 runs. Two questions are asked of each design: does doubling n gain 0.1 dB at the largest n
and the width that is selected there, and does doubling p? A chance of at least 80 % or at most 20 % is an answer, all
else is undecided. Cost counts runs, and runs whose cost goes as the root of n.

A design that stops does so at the first look at which both chances are below 10 % or above 90 %.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from gains import DECIBEL, GRIDS, WIDTHS, WORTHWHILE, World
from reconscale.laws import Points, infer
from reconscale.laws.decisions.adaptive import Cell, choose_cells
from reconscale.laws.decisions.gains import gain_p, gains_n
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY

SIZES, SEEDS = GRIDS["6 n, 3 seeds"]
LOOKS = (8, 10, 13, 16, 19, 24)
"""Numbers of runs after which an adaptive design looks."""
SURE = (0.1, 0.9)
"""It stops once both chances are outside of these."""


@dataclass(frozen=True)
class Look:
    """What a design says after some runs; JSON-friendly."""

    runs: int
    cost_root: float
    n_chance: float
    n_error: float
    n_true: float
    ten_error: float
    p_chance: float | None
    p_true: float


def designs(points: Points) -> Iterator[tuple[str, Points]]:
    """Name -> what a design that is fixed beforehand sees."""
    yield "full grid", points
    yield "single seed, 18", points.rows(points.seed == 0)
    three = np.isin(points.n, [SIZES[0], SIZES[3], SIZES[5]])
    yield "3 n, single seed, 9", points.rows(three & (points.seed == 0))


def adaptive(world: World, points: Points) -> Iterator[Look]:
    """What is known after each number of runs in ``LOOKS``."""
    cells = [Cell(n, w, s) for n in SIZES for w in WIDTHS for s in range(SEEDS)]
    assert points.width is not None and points.seed is not None
    rows = zip(points.n, points.width, points.seed, strict=True)
    index = {(int(n), int(w), int(s)): k for k, (n, w, s) in enumerate(rows)}
    seen: list[int] = []
    unsettled = "np"
    for count in range(1, LOOKS[-1] + 1):
        known = points.rows(np.array(seen)) if seen else None
        cell = choose_cells(cells, known, unsettled=unsettled)[0].cell
        seen.append(index[cell.n, cell.width, cell.seed])
        if count in LOOKS:
            made = look(world, points.rows(np.array(seen)))
            unsettled = "".join(name for name, chance in (("n", made.n_chance), ("p", made.p_chance)) if unsure(chance))
            yield made


def unsure(chance: float | None) -> bool:
    return chance is None or SURE[0] < chance < SURE[1]


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
                None if larger is None else larger.probability, more)  # fmt: skip


FULL = (len(SIZES) * len(WIDTHS) * SEEDS, len(WIDTHS) * SEEDS * float(np.sqrt(np.array(SIZES) / SIZES[-1]).sum()))
"""Cost of the full grid: runs, and runs whose cost goes as the root of n."""


def judge(world: World, *, fixed: bool) -> dict[str, list[dict[str, Any]]]:
    points = world.measured(SIZES, SEEDS)
    found = {name: [vars(look(world, seen))] for name, seen in (designs(points) if fixed else ())}
    return found | {"adaptive": [vars(made) for made in adaptive(world, points)]}


def stopped(looks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The look at which a design stops."""
    for each in looks:
        if not unsure(each["n_chance"]) and not unsure(each["p_chance"]):
            return each
    return looks[-1]


def row(name: str, looks: Sequence[dict[str, Any]]) -> str:
    cells = []
    for chance, true in (("n_chance", "n_true"), ("p_chance", "p_true")):
        said = [None if e[chance] is None or UNLIKELY < e[chance] < LIKELY else e[chance] >= LIKELY for e in looks]
        right = np.mean([s is not None and s == (e[true] > WORTHWHILE) for s, e in zip(said, looks, strict=True)])
        wrong = np.mean([s is not None and s != (e[true] > WORTHWHILE) for s, e in zip(said, looks, strict=True)])
        cells.append(f"{100 * right:3.0f} {100 * wrong:3.0f}")
    runs, root = np.mean([e["runs"] for e in looks]), np.mean([e["cost_root"] for e in looks])
    error, ten = (np.sqrt(np.mean([e[key] ** 2 for e in looks])) for key in ("n_error", "ten_error"))
    return (f"{name:24} {100 * runs / FULL[0]:6.0f} {100 * root / FULL[1]:6.0f}   {cells[0]}   {cells[1]}"
            f"   {error:.3f}   {ten:.3f}")  # fmt: skip


def table(title: str, found: Sequence[dict[str, list[dict[str, Any]]]]) -> None:
    print(
        f"\n{title}: {len(found)} worlds\n{'design':24} runs % root %   n: right wrong  p: right wrong  error dB  10x"
    )
    for name in found[0]:
        if name != "adaptive":
            print(row(name, [each[name][0] for each in found]))
    for k, count in enumerate(LOOKS):
        print(row(f"adaptive, {count}", [each["adaptive"][k] for each in found]))
    print(row("adaptive, stops", [stopped(each["adaptive"]) for each in found]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("worlds", type=int, nargs="?", default=60)
    parser.add_argument("--record", type=Path, help="keep every look as JSON")
    parser.add_argument("--adaptive", action="store_true", help="the adaptive design alone")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    began = time.perf_counter()
    kept: dict[str, Any] = {}
    with ProcessPoolExecutor(given.workers, mp_context=get_context("forkserver")) as pool:
        for title, inside in (("inside", True), ("outside", False)):
            kept[title] = list(
                pool.map(
                    partial(judge, fixed=not given.adaptive), [World(index, inside) for index in range(given.worlds)]
                )
            )
            table(title, kept[title])
            if given.record:
                given.record.write_text(json.dumps(kept))
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
