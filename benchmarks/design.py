"""What designed experiments spare: cost until the forecast is as good as that from a geometric grid.

``python benchmarks/design.py [studies]`` on simulated truths (see ``simulated.py``). The grid has five sizes up to the
largest affordable n, N, with three seeds each. The design starts from the three smallest sizes, and then makes one run
at a time where ``next_experiments`` says, for the forecast of ln(error) at 10 N. Where a run costs n (training time in
proportion to n) it starts with three seeds of each, which are a tenth of the grid's cost; where every run costs 1 it
starts with one.

What is compared is the error of the forecast's median, mean and median over the studies, at the same budget in all of
them. Nothing stops when it happens to be right: that would count luck. Beside it, for each study, the cost at which
the forecast's own stated spread is as small as the grid's.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import Candidate, Costs, Points, infer, next_experiments
from simulated import NOISE, Simulated, Truth, studies

Floats = NDArray[np.float64]

START, GRID_SEEDS = 3, 3
MOST_RUNS = 6
"""Runs after the start, at most; the budget of the grid ends it earlier."""
BUDGETS = np.arange(0.05, 0.81, 0.05)
WORKERS = 2


@dataclass(frozen=True, eq=False)
class State:
    """What is known at some cost.

    Attributes:
        cost: spent, as a part of the grid's.
        runs: made.
        error: |median forecast - truth| of ln(error) at 10 N.
        spread: half the 90 % interval of the forecast.
    """

    cost: float
    runs: int
    error: float
    spread: float


@dataclass(frozen=True, eq=False)
class Compared:
    """One truth.

    Attributes:
        kind: of the truth.
        grid: the grid of three seeds.
        single: the grid with one seed.
        path: the design, run by run.
    """

    kind: str
    grid: State
    single: State
    path: tuple[State, ...]

    def at(self, budget: float) -> State | None:
        """The last state of the design within ``budget``, a part of the grid's cost."""
        within = [state for state in self.path if state.cost <= budget + 1e-9]
        return within[-1] if within else None


def compared(study: Simulated, constant: bool) -> Compared:
    """Grid and design on one truth, with noise of their own."""
    sizes, law = study.points.sizes, study.law
    target = 10.0 * float(sizes[-1])
    rng = np.random.default_rng([17, int(sizes[0]), int(sizes[-1])])

    def price(n: float) -> float:
        return 1.0 if constant else n

    total = GRID_SEEDS * sum(price(n) for n in sizes)
    made = law.measured(sizes[:START], rng, seeds=1 if constant else GRID_SEEDS)
    path = [_state(made, law, target, sum(price(n) for n in made.n) / total)]
    costs = Costs(lambda n, p: price(n), have=float(sizes[-1]))
    between = np.round(np.sqrt(sizes[1:] * sizes[:-1]))
    offered = [Candidate(float(n)) for n in sorted({*sizes, *between})]
    while len(path) <= MOST_RUNS and path[-1].cost < BUDGETS[-1]:
        step = next_experiments(made, costs, candidates=offered, forecast_at=target, count=1)[0]
        made = _with(made, law, float(step.n or sizes[-1]), rng)
        path.append(_state(made, law, target, sum(price(n) for n in made.n) / total))
    single = law.measured(sizes, rng, seeds=1)
    grids = [_state(study.points, law, target, 1.0), _state(single, law, target, 1.0 / GRID_SEEDS)]
    return Compared(study.kind, grids[0], grids[1], tuple(path))


def _with(made: Points, law: Truth, n: float, rng: np.random.Generator) -> Points:
    """One run more."""
    new = law.measured([n], rng, seeds=1, noise=NOISE)
    seeds = np.append(made.seed if made.seed is not None else [], float(np.sum(made.n == n)))
    return Points(np.append(made.n, new.n), np.append(made.y, new.y), seeds, metric=made.metric, unit=made.unit)


def _state(points: Points, law: Truth, target: float, cost: float) -> State:
    drawn = infer(points).draw(np.log([target]), images=False)[:, 0]
    low, median, high = np.quantile(drawn, [0.05, 0.5, 0.95])
    away = abs(float(median - law.log_error([target])[0]))
    return State(cost, len(points), away, 0.5 * float(high - low))


def compare(known: Sequence[Simulated], constant: bool) -> list[Compared]:
    """Compare on every truth, on two processes of one thread each."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return list(pool.map(partial(compared, constant=constant), known, chunksize=2))


def errors_at(results: Sequence[Compared], budget: float) -> Floats:
    """|error| of the design's forecasts at ``budget``; where not even the start fits in, infinite."""
    states = [item.at(budget) for item in results]
    return np.array([np.inf if state is None else state.error for state in states])


def ratio(results: Sequence[Compared], of: Callable[[Floats], np.floating[Any]]) -> float:
    """The smallest budget at which the design's error is no larger than the grid's; inf if there is none.

    Args:
        results: of all truths.
        of: mean or median over truths.
    """
    goal = of(np.array([item.grid.error for item in results]))
    good = [float(budget) for budget in BUDGETS if of(errors_at(results, float(budget))) <= goal]
    return good[0] if good else float("inf")


def ratio_of_spread(item: Compared) -> tuple[float, int]:
    """Cost and runs at which the design's own stated spread is no larger than the grid's; inf if it never is."""
    for state in item.path:
        if state.spread <= item.grid.spread:
            return state.cost, state.runs
    return float("inf"), 0


def again(
    results: Sequence[Compared], of: Callable[[Floats], np.floating[Any]], count: int = 400
) -> tuple[float, float]:
    """90 % interval of :func:`ratio`, studies drawn again."""
    rng = np.random.default_rng(0)
    drawn = [ratio([results[i] for i in rng.integers(len(results), size=len(results))], of) for _ in range(count)]
    low, high = np.sort(drawn)[[round(0.05 * (count - 1)), round(0.95 * (count - 1))]]
    return float(low), float(high)


def at_half(results: Sequence[Compared], count: int = 2000) -> Floats:
    """Mean error of the design at half the grid's cost over the grid's: itself, and its 90 % interval."""
    rng = np.random.default_rng(1)
    grid, design = np.array([item.grid.error for item in results]), errors_at(results, 0.5)
    rows = rng.integers(len(results), size=(count, len(results)))
    again = design[rows].mean(axis=1) / grid[rows].mean(axis=1)
    return np.array([design.mean() / grid.mean(), *np.quantile(again, [0.05, 0.95])])


def show(title: str, results: Sequence[Compared]) -> None:
    """Print the tables."""
    print(f"\n{title}: {len(results)} truths; |error| of ln(error) at 10 N")
    print("                cost   runs   mean   median")
    for name, key in (("grid", "grid"), ("grid, one seed", "single")):
        states = [getattr(item, key) for item in results]
        print(f"{name:14s} {_row(states[0].cost, states)}")
    for budget in BUDGETS:
        states = [state for item in results if (state := item.at(float(budget)))]
        if len(states) == len(results):
            print(f"design         {_row(float(budget), states)}")
    for name, of in (("mean", np.mean), ("median", np.median)):
        low, high = again(results, of)
        first = f"{name} error as small as the grid's from {100 * ratio(results, of):.0f} % of its cost on"
        print(f"{first} (90 % interval {100 * low:.0f} to {100 * high:.0f} %)")
    middle, low, high = at_half(results)
    print(f"mean error at half the grid's cost: {middle:.2f} of the grid's (90 % interval {low:.2f} to {high:.2f})")
    stated = np.array([ratio_of_spread(item) for item in results])
    reached = np.isfinite(stated[:, 0])
    low, middle, high = np.sort(stated[:, 0])[[round(q * (len(stated) - 1)) for q in (0.25, 0.5, 0.75)]]
    print(f"stated spread as small as the grid's: median cost {100 * middle:.0f} %, ", end="")
    print(f"quartiles {100 * low:.0f} and {100 * high:.0f} %; ", end="")
    print(f"median runs {np.median(stated[reached, 1]):.0f}; reached in {100 * reached.mean():.0f} %")


def _row(cost: float, states: Sequence[State]) -> str:
    error, runs = [state.error for state in states], np.mean([state.runs for state in states])
    return f"{cost:5.2f} {runs:6.1f} {np.mean(error):7.3f} {np.median(error):7.3f}"


def main(count: int = 60) -> None:
    """Print everything."""
    known = studies(count, 5)
    show("a run costs n", compare(known, constant=False))
    show("a run costs 1", compare(known, constant=True))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
