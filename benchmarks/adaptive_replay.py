"""The adaptive order of runs, replayed on the results of the repository's own studies; nothing is trained.

    python benchmarks/adaptive_replay.py [--studies FOLDER]

The order chooses cells (n, width, seed), and the results on disk answer. What a grid asks for and has no result is
passed over as a run under way would be: the order goes on behind it. After 30 % of the runs, rounded down, and when
the order itself says that the verdict is settled, its verdict stands beside that of all runs. The seconds are those
that the runs took.

The forecast is that of quality at the largest n from the other sizes, compared with what was measured there (the mean
over seeds of the selected width): all runs below the largest n, and 30 % of them in the order of a grid without it. A
verdict needs two sizes, and is never settled before eight runs at four sizes: grids that small are said to be.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reconscale.laws import METRICS, Decision, Points, infer, select_width
from reconscale.laws.decisions.adaptive import Cell, choose_cells, find_unsettled, is_settled
from reconscale.results import Folder
from reconscale.results.measurements import points_from_results
from reconscale.study import load_study, runs_of

STUDIES = Path(__file__).resolve().parent.parent / "studies"
SHARE = 0.3
"""Of the runs that are made."""
COLUMNS = (
    "study", "n x widths x seeds, runs", "verdict of all", "after 30 % of the runs", "core time",
    "when settled", "core time", "forecast of the largest n off by: all, 30 %",
)  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """A grid and what was measured of it.

    Attributes:
        name: of the study.
        cells: every run that the study asks for.
        rows: cell -> its row in ``points``, where there is a result.
        points: one row a result.
        seconds: (M,) what each run took.
        worthwhile: the smallest gain worth paying for, or None: that of the metric.
    """

    name: str
    cells: frozenset[Cell]
    rows: dict[Cell, int]
    points: Points
    seconds: np.ndarray
    worthwhile: float | None

    def below(self, n: float) -> Recorded:
        """The grid without sizes from n on; its points stay, the rows of others are not named."""
        rows = {cell: k for cell, k in self.rows.items() if cell.n < n}
        cells = frozenset(cell for cell in self.cells if cell.n < n)
        return replace(self, rows=rows, cells=cells)

    def of(self, cells: Collection[Cell]) -> Points:
        """The points of some cells."""
        return self.points.rows(np.array([self.rows[cell] for cell in cells]))

    def decide(self, cells: Collection[Cell]) -> Decision | None:
        """What is said of some cells; None at fewer than two sizes."""
        if len({cell.n for cell in cells}) < 2:
            return None
        return infer(self.of(cells)).decide(worthwhile=self.worthwhile)


def read_grids(root: Path) -> Iterator[Recorded]:
    """Every study below a folder with results at two sizes or more."""
    for path in sorted(root.rglob("study.toml")):
        study = load_study(path)
        runs = runs_of(study)
        results = [result for result in Folder.beside(path).results(runs) if result.status == "done"]
        if len({result.run.n for result in results}) < 2:
            continue
        points = points_from_results(results, profile=study.analysis.profile, test_set=study.images.main_test)
        rows = {Cell(r.run.n, r.run.network.width, r.run.seed): k for k, r in enumerate(results)}
        assert len(rows) == len(results), f"{path}: two results for one cell"
        cells = frozenset(Cell(run.n, run.network.width, run.seed) for run in runs)
        seconds = np.array([result.seconds for result in results])
        yield Recorded(str(path.parent.relative_to(root)), cells, rows, points, seconds, study.analysis.worthwhile)


def replay(grid: Recorded, looks: bool = True) -> Iterator[tuple[list[Cell], Decision | None]]:
    """After each run of the order: the cells so far, and what is said of them (None where nobody looks)."""
    made: list[Cell] = []
    absent = grid.cells - set(grid.rows)
    decision: Decision | None = None
    widths = len({cell.width for cell in grid.cells})
    while len(made) < len(grid.rows):
        known = grid.of(made) if made else None
        (choice,) = choose_cells(grid.cells, known, absent, unsettled=find_unsettled(decision, widths))
        made.append(choice.cell)
        decision = grid.decide(made) if looks else None
        yield list(made), decision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, default=STUDIES, help="folder that holds the studies")
    given = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n| " + " | ".join(["---"] * len(COLUMNS)) + " |")
    for grid in read_grids(given.studies):
        print("| " + " | ".join(row_of(grid)) + " |", flush=True)


def row_of(grid: Recorded) -> list[str]:
    """The cells of a study's row."""
    full = grid.decide(list(grid.rows))
    assert full is not None
    at_share, at_end = ["fewer than two sizes", ""], ["not before the grid ends", ""]
    count = int(SHARE * len(grid.rows))
    for made, decision in replay(grid):
        if len(made) == count and decision is not None:
            at_share = [spell(decision, full, len(made)), spend(grid, made)]
        if decision is not None and is_settled(decision, grid.of(made), grid.cells):
            at_end = [spell(decision, full, len(made)), spend(grid, made)]
            break
    counts = [len({getattr(cell, name) for cell in grid.rows}) for name in ("n", "width", "seed")]
    return [grid.name, " x ".join(map(str, counts)) + f", {len(grid.rows)} of {len(grid.cells)}", chances(full),
            *at_share, *at_end, forecasts(grid)]  # fmt: skip


def spell(decision: Decision, full: Decision, runs: int) -> str:
    """A verdict, whether it is that of all runs, and the chances behind it."""
    same = "same" if decision.verdict == full.verdict else "other"
    return f"{runs} runs, {same}: {chances(decision)}"


def chances(decision: Decision) -> str:
    """A verdict and the chances behind it, in %."""
    each = [f"n {100 * decision.gain_n.probability:.0f}"]
    each += [f"p {100 * decision.gain_p.probability:.0f}"] if decision.gain_p else []
    return f"{decision.verdict} ({', '.join(each)})"


def spend(grid: Recorded, cells: Collection[Cell]) -> str:
    """The seconds of some runs, in % of those of all."""
    spent, every = (grid.seconds[[grid.rows[cell] for cell in some]].sum() for some in (cells, grid.rows))
    return f"{100 * spent / every:.0f} %"


def forecasts(grid: Recorded) -> str:
    """By how much quality at the largest n is forecast wrong: from all smaller sizes, and from 30 % of these runs."""
    largest = float(grid.points.n.max())
    smaller = grid.below(largest)
    chosen = next((made for made, _ in replay(smaller, looks=False) if len(made) == int(SHARE * len(smaller.rows))), [])
    best = select_width(grid.points)
    level = float(np.log(best.error[best.n == largest]).mean())
    return ", ".join(
        miss(smaller.of(cells), largest, level) if cells else "too few" for cells in (list(smaller.rows), chosen)
    )


def miss(points: Points, n: float, level: float) -> str:
    """The median forecast at n against the measured ln(error), in the unit of gains; above 0: measured is better."""
    if len(points.sizes) < 2:
        return "too few"
    metric = METRICS[points.metric]
    forecast = float(np.median(infer(points).draw(np.log([n]), images=False)))
    return f"{float(metric.gain(np.exp(forecast), np.exp(level))):+.3g} {metric.unit}"


if __name__ == "__main__":
    main()
