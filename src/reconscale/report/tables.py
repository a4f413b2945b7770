"""The numbers behind every figure and every table of the page, as they are saved beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import METRICS, Finding, Fit, Points
from reconscale.report.answer import FAR, NEAR, Answer

Floats = NDArray[np.float64]

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
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow(["" if cell is None else repr(cell) if isinstance(cell, float) else cell for cell in row])
        return stream.getvalue()


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


def fan_table(answer: Answer) -> Table:
    """The band: where a new run is expected at each size of a grid; refused sizes have no numbers.

    Beyond the data it is the forecast; within the data it is the law that carries most weight there, with the
    interval of its curve and the spread of single runs about it.
    """
    told, curve = answer.outlook, answer.curve
    if told is None:
        return table("fan", FAN, [])
    columns = np.stack([told.median, *told.interval(0.5), *told.interval(0.9)])
    largest = float(answer.points.n.max())
    status = [_status(float(n), largest, bool(off)) for n, off in zip(told.n, told.refused, strict=True)]
    inside = np.array([name == "measured range" for name in status])
    if curve is not None and inside.any():
        columns[:, inside] = _within(curve, told.n[inside])
    rows: list[tuple[Cell, ...]] = []
    for i, n in enumerate(told.n):
        numbers: list[Cell] = [None if status[i] == "refused" else float(value) for value in columns[:, i]]
        rows.append((float(n), status[i], *numbers, int(float(n) in answer.asked)))
    return table("fan", FAN, rows)


def _within(curve: Fit, n: Floats) -> Floats:
    """(5, N) middle, 50 % and 90 % interval of a new run at n within the data."""
    kind = METRICS[curve.metric]
    middle = np.log(kind.to_error(curve.evaluate(n)))
    spread = float(np.hypot(curve.seed_sd, curve.residual_sd))
    rows = [kind.from_error(np.exp(middle))]
    for level, width in ((0.5, 0.6745), (0.9, 1.6449)):
        ends = np.sort(np.log([kind.to_error(end) for end in curve.interval(n, level)]), axis=0)
        below = np.hypot(np.maximum(middle - ends[0], 0.0), width * spread)
        above = np.hypot(np.maximum(ends[1] - middle, 0.0), width * spread)
        rows += list(
            np.sort([kind.from_error(np.exp(middle - below)), kind.from_error(np.exp(middle + above))], axis=0)
        )
    return np.stack(rows)


FAN = "n status median low50 high50 low90 high90 asked"
"""Columns of the band's table. Status: measured range, up to 4x, up to 10x, beyond 10x, or refused."""


def law_table(answer: Answer) -> Table:
    """Every law with its parameters, 90 % intervals, weight in the forecast, and scatter."""
    weights = answer.outlook.weights if answer.outlook is not None else {}
    known = {found.code for found in answer.findings}
    rows: list[tuple[Cell, ...]] = []
    for item in answer.fits:
        for name, (value, low, high) in item.parameters.items():
            note = "; ".join(found.text for found in item.findings if found.code not in known)
            rows.append((item.law, name, value, low, high, weights.get(item.law), item.residual_sd, item.seed_sd, note))
    rows += [(law, "", None, None, None, weights.get(law), None, None, why) for law, why in answer.unfitted]
    listed = {row[0] for row in rows}
    rows += [
        (law, "", None, None, None, weight, None, None, "a naive reference")
        for law, weight in weights.items()
        if law not in listed
    ]
    return table("laws", "law parameter value low90 high90 weight residual_sd seed_sd note", rows)


def backtest_table(answer: Answer) -> Table:
    """What would have been forecast for the largest sizes, and what was measured there."""
    rows = [
        (
            held.seen,
            held.n,
            held.median,
            held.low,
            held.high,
            held.measured,
            int(held.low <= held.measured <= held.high),
        )
        for held in answer.held
    ]
    return table("backtest", "stopped_at n median low90 high90 measured inside", rows)


def findings_table(findings: Iterable[Finding]) -> Table:
    """Every caution with its code, the gravest first."""
    order = {"warning": 0, "caution": 1, "note": 2}
    rows = sorted(((item.severity, item.code, item.text) for item in findings), key=lambda row: order.get(row[0], 3))
    return table("findings", "severity code text", rows)


def anchors_table(anchors: Iterable[tuple[str, str, float]]) -> Table:
    """Horizontal lines: kind (input or classical), label, value."""
    return table("anchors", "kind label value", anchors)


def _status(n: float, largest: float, refused: bool) -> str:
    if refused:
        return "refused"
    reach = n / largest * (1 - 1e-9)
    for limit, name in ((1.0, "measured range"), (NEAR, "up to 4x"), (FAR, "up to 10x")):
        if reach <= limit:
            return name
    return "beyond 10x"


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
