"""What was measured, as tables: the numbers behind figures and page, as they are saved beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.laws import Finding, Points
from reconscale.laws.table import table_text
from reconscale.report.answer import Answer

Cell = str | int | float | None
"""One entry; none: not known, or refused."""


@dataclass(frozen=True)
class Table:
    """Named columns and rows; what is drawn is what is saved.

    Attributes:
        name: the name of its CSV file, without the ending.
        columns: the header.
        rows: one tuple a row, as long as the header.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[Cell]:
        """One column, as it is."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """One column of numbers; what is not known is NaN."""
        return [float("nan") if cell is None else float(cell) for cell in self.column(name)]

    def where(self, **wanted: Cell) -> Table:
        """The rows whose columns hold the ``wanted`` values."""
        places = {self.columns.index(name): value for name, value in wanted.items()}
        rows = tuple(row for row in self.rows if all(row[place] == value for place, value in places.items()))
        return Table(self.name, self.columns, rows)

    def records(self) -> list[dict[str, Cell]]:
        """The rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def csv(self) -> str:
        """The table as CSV in which every float reads back to the same bits; unknown cells are empty."""
        return table_text(self.columns, self.rows)


def table(name: str, columns: str, rows: Iterable[Sequence[Cell]]) -> Table:
    """A table from its header, words separated by blanks, and its rows."""
    return Table(name, tuple(columns.split()), tuple(tuple(row) for row in rows))


def points_table(answer: Answer) -> Table:
    """Every measured run; ``selected`` is 1 where its width was chosen on validation for its n."""
    points = answer.points
    chosen = {(n, dial) for n, dial in zip(answer.best.n, _dial(answer.best), strict=True)}
    selected = [int((n, dial) in chosen) for n, dial in zip(points.n, _dial(points), strict=True)]
    rows = [
        (
            float(points.n[i]),
            _at(points.p, i),
            _whole(points.width, i),
            _whole(points.seed, i),
            float(points.y[i]),
            _at(points.validation, i),
            selected[i],
        )
        for i in range(len(points))
    ]
    return table("points", f"n p width seed {points.metric} validation selected", rows)


def curve_table(answer: Answer) -> Table:
    """One row a size: mean, median and spread over seeds of the selected width."""
    best, rows = answer.best, []
    for n in best.sizes:
        at = np.flatnonzero(best.n == n)
        y = best.y[at]
        rows.append(
            (
                float(n),
                len(at),
                float(y.mean()),
                float(np.median(y)),
                float(y.std(ddof=1)) if len(at) > 1 else None,
                float(y.min()),
                float(y.max()),
                _whole(best.width, at[0]),
                _at(best.p, at[0]),
            )
        )
    return table("curve", "n runs mean median sd lowest highest width p", rows)


def size_table(answer: Answer) -> Table:
    """One row an n and network size: mean and spread over seeds."""
    points = answer.points
    if points.p is None:
        return table("network-size", "n p width runs mean sd selected", [])
    rows = []
    cells = sorted({(float(n), float(p)) for n, p in zip(points.n, points.p, strict=True)})
    chosen = {(float(n), float(p)) for n, p in zip(answer.best.n, _numbers(answer.best.p), strict=True)}
    for n, p in cells:
        at = np.flatnonzero((points.n == n) & (points.p == p))
        y = points.y[at]
        sd = float(y.std(ddof=1)) if len(at) > 1 else None
        rows.append((n, p, _whole(points.width, at[0]), len(at), float(y.mean()), sd, int((n, p) in chosen)))
    return table("network-size", "n p width runs mean sd selected", rows)


def findings_table(findings: Iterable[Finding]) -> Table:
    """Every caution with its code, the gravest first."""
    order = {"warning": 0, "caution": 1, "note": 2}
    rows = sorted(((item.severity, item.code, item.text) for item in findings), key=lambda row: order.get(row[0], 3))
    return table("findings", "severity code text", rows)


def anchors_table(anchors: Iterable[tuple[str, str, float]]) -> Table:
    """Horizontal lines: kind (input or classical), label, value."""
    return table("anchors", "kind label value", anchors)


def _dial(points: Points) -> list[float]:
    """What the selection chose between: the width, or p where there is none."""
    column = points.width if points.width is not None else points.p
    return [0.0] * len(points) if column is None else _numbers(column)


def _numbers(column: object) -> list[float]:
    return [float(value) for value in column] if isinstance(column, np.ndarray) else []


def _at(column: object, index: int) -> float | None:
    return float(column[index]) if isinstance(column, np.ndarray) else None


def _whole(column: object, index: int) -> int | None:
    return int(column[index]) if isinstance(column, np.ndarray) else None
