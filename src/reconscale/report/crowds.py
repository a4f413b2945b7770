"""What is shown of many: a page stays small and readable where a study has thousands of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from reconscale.format import amount, duration, number, short, times
from reconscale.report.analysis import MetricFormat
from reconscale.report.marks import Series
from reconscale.report.tables import Grid, Table

MOST_DOTS = 400
"""Runs that a figure shows one by one; of more it shows how they are spread."""
MOST_CURVES = 12
"""Curves in one figure, as each has its name at its end."""
MOST_TRAININGS, MOST_SEEDS = 60, 3
"""Runs whose training a figure shows; of more it shows those of the first seeds of each n."""
MOST_ROWS = 150
"""Rows of a table of the page; its CSV has all."""
CROWDED = ("quality", "network-size", "steps", "validation")
"""Figures of single runs."""
SPREAD = (0.05, 0.95)
"""The part of many runs that a bar covers."""
Value = TypeVar("Value")


def spaced(values: Sequence[Value], most: int) -> list[Value]:
    """At most ``most`` of the values, evenly spaced in their order, the first and the last among them.

    >>> spaced([1, 2, 3, 4, 5], 3), spaced([1, 2], 3)
    ([1, 3, 5], [1, 2])
    """
    if len(values) <= most:
        return list(values)
    return [values[place] for place in np.round(np.linspace(0, len(values) - 1, most)).astype(int)]


def spread_of_runs(points: Table, across: str, quantity: MetricFormat, look: dict[str, Any]) -> list[Series]:
    """Many runs as a bar for each n (or p): from 5 % to 95 % of them.

    Args:
        points: the runs.
        across: the column that they are drawn over.
        quantity: what the values are.
        look: key, name and colour of the series.
    """
    at, values = np.array(points.numbers(across)), np.array(points.numbers(quantity.metric))
    rows = [(x, *np.quantile(values[at == x], (SPREAD[0], 0.5, SPREAD[1])).tolist()) for x in np.unique(at)]
    x, low, middle, high = (list(column) for column in zip(*rows, strict=True))
    texts = [
        f"{across} = {short(place)}, {times(int((at == place).sum()), 'run')}\n"
        f"5 % to 95 % of them: {quantity.bare(a)} to {quantity.bare(b)}"
        for place, a, b in zip(x, low, high, strict=True)
    ]
    return [Series(x, middle, marker="_", size=4, low=low, high=high, hover=texts, **look)]


def cells_of_runs(runs: Table, quantity: MetricFormat, column: str) -> Grid:
    """Many runs of a study in a row for each n and width.

    Args:
        runs: every run of the plan.
        quantity: what the values are.
        column: their column.
    """
    cells: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in runs.records():
        cells.setdefault((int(number(row["n"])), int(number(row["width"]))), []).append(row)
    rows = []
    for (n, width), members in sorted(cells.items()):
        done = [row for row in members if row["status"] == "done"]
        waiting = sum(row["status"] == "to do" for row in members)
        values = [number(row[column]) for row in done if column in row and row[column] is not None]
        seconds = [number(row["seconds"]) for row in done if row["seconds"] is not None]
        ends = (float(np.mean(values)), min(values), max(values)) if values else ()
        rows.append(
            (amount(n), str(width), amount(len(done)), amount(len(members) - len(done) - waiting), amount(waiting),
             *(map(quantity.bare, ends) if ends else ("", "", "")),
             duration(float(np.median(seconds))) if seconds else "")
        )  # fmt: skip
    shown = spaced(rows, MOST_ROWS)
    left = f"; {len(shown)} of {len(rows)} cells, evenly spaced" if len(shown) < len(rows) else ""
    columns = ("#n", "#width", "#done", "#lost", "#to do", f"#mean {quantity.title}", "#lowest", "#highest",
               "#median time")  # fmt: skip
    caption = f"{times(len(runs), 'run')} by n and width{left}; every single run is in {runs.name}.csv"
    return Grid(caption, columns, tuple(shown))


def lost_runs(runs: Table) -> Grid | None:
    """The first of many runs that failed or diverged, with why; none where none did."""
    lost = [row for row in runs.records() if row["status"] not in ("done", "to do")]
    if not lost:
        return None
    rows = tuple(
        (str(row["status"]), amount(number(row["n"])), str(row["width"]), str(row["seed"]), str(row["reason"]),
         str(row["id"]))
        for row in lost[:MOST_ROWS]
    )  # fmt: skip
    left = f"; the first {MOST_ROWS} of {amount(len(lost))}" if len(lost) > MOST_ROWS else ""
    columns = ("status", "#n", "#width", "#seed", "reason", "id")
    return Grid(f"Runs that failed or diverged{left}", columns, rows, ("lost",) * len(rows))


def cells_of_points(points: Table, quantity: MetricFormat) -> Grid:
    """Many measurements in a row for each n and p."""
    several = any(cell is not None for cell in points.column("p"))
    cells: dict[tuple[float, float], list[float]] = {}
    for row in points.records():
        place = (number(row["n"]), number(row["p"]) if several else 0.0)
        cells.setdefault(place, []).append(number(row[quantity.metric]))
    rows = [
        (amount(n), *([short(p)] if several else []), amount(len(values)),
         *map(quantity.bare, (float(np.mean(values)), min(values), max(values))))
        for (n, p), values in sorted(cells.items())
    ]  # fmt: skip
    shown = spaced(rows, MOST_ROWS)
    left = f"; {len(shown)} of {len(rows)} rows, evenly spaced" if len(shown) < len(rows) else ""
    columns = ("#n", *(["#p"] if several else []), "#runs", f"#mean {quantity.title}", "#lowest", "#highest")
    caption = f"{times(len(points), 'measurement')} by n{' and p' if several else ''}{left}; every one is in points.csv"
    return Grid(caption, columns, tuple(shown))


def crowd_note(what: str, tables: Mapping[str, Table]) -> str:
    """What the caption of a figure adds where there are more runs than it shows; nothing where it shows all.

    Args:
        what: ``quality``, ``network-size``, ``steps`` or ``validation``.
        tables: all tables of the report.
    """
    said, file = [], "points" if what in ("quality", "network-size") else what
    rows = tables[file] if what == "network-size" else tables[file].where(selected=1)
    sizes, runs = len(set(rows.column("n"))), len(rows)
    if what == "quality" and runs > MOST_DOTS:
        said.append(f"The runs are {amount(runs)}: a bar goes from 5 % to 95 % of those at one n.")
    if what == "network-size" and runs > MOST_DOTS:
        said.append(f"Of {amount(runs)} runs the means alone are drawn.")
    if what == "validation" and (runs := len(set(rows.column("id")))) > MOST_TRAININGS:
        said.append(f"Of {amount(runs)} runs those of the first {MOST_SEEDS} seeds are drawn.")
    if what != "quality" and sizes > MOST_CURVES:
        said.append(f"Drawn are {MOST_CURVES} of {sizes} sizes, evenly spaced.")
    return "".join(f" {sentence}" for sentence in [*said, f"All of them are in {file}.csv."] if said)
