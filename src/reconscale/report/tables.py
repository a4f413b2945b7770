"""The tables behind figures and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws import Finding, Points, Surface, likelihood_words
from reconscale.laws.csv_table import table_text
from reconscale.report.analysis import FAR, NEAR, Analysis

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
        rows: Sequence[tuple[Cell, ...]] = self.rows
        for place, value in places.items():
            rows = [row for row in rows if row[place] == value]
        return Table(self.name, self.columns, tuple(rows))

    def groups(self, name: str) -> list[Table]:
        """The rows of each value of a column, in the order in which the values come."""
        place, found = self.columns.index(name), dict[Cell, list[tuple[Cell, ...]]]()
        for row in self.rows:
            found.setdefault(row[place], []).append(row)
        return [Table(self.name, self.columns, tuple(rows)) for rows in found.values()]

    def records(self) -> list[dict[str, Cell]]:
        """The rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def csv(self, spreadsheet: str = "") -> str:
        """The table as CSV in which every float reads back to the same bits; unknown cells are empty.

        Args:
            spreadsheet: ``point`` or ``comma``: for one with that mark of decimals; empty: for programs.
        """
        return table_text(self.columns, self.rows, spreadsheet)


def table(name: str, columns: str, rows: Iterable[Sequence[Cell]]) -> Table:
    """A table from its header, words separated by blanks, and its rows."""
    return Table(name, tuple(columns.split()), tuple(tuple(row) for row in rows))


def points_table(answer: Analysis) -> Table:
    """Every measured run; ``selected`` is 1 where its width was chosen on validation for its n."""
    return runs_of_points(answer.points, answer.best)


def runs_of_points(points: Points, best: Points) -> Table:
    """The same of points, and of those among them whose width was chosen."""
    chosen = {(n, dial) for n, dial in zip(best.n, _dial(best), strict=True)}
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


def curve_table(answer: Analysis) -> Table:
    """One row a size: mean, median and spread over seeds of the selected width."""
    return means_table(answer.best)


def means_table(best: Points) -> Table:
    """The same of runs of one width an n."""
    rows = []
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


def size_table(answer: Analysis) -> Table:
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


def baselines_table(
    anchors: Iterable[tuple[str, str, float]],
    means: Mapping[str, float] | None = None,
    on: tuple[int, int] | None = None,
) -> Table:
    """What needs no training, a horizontal line each.

    Args:
        anchors: kind (``input``, ``classical`` or another), label, and value at the level of all test images.
        means: kind -> the mean over those images that it was measured on; none: not known.
        on: how many images these are, and how many there are; none: not known.
    """
    known, (used, of) = means or {}, on or (None, None)
    rows = [(kind, label, value, known.get(kind), used, of) for kind, label, value in anchors]
    return table("anchors", "kind label value measured images of", rows)


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


FAN = "n status median low50 high50 low90 high90 asked"
"""Columns of the band's table. Status: measured range, up to 4x, up to 10x, beyond 10x, or refused."""


def fan_table(answer: Analysis) -> Table:
    """What is expected at each size of a grid, within the data and beyond; refused sizes have no numbers.

    ``median`` is the middle of the mean over seeds; the intervals are those of one new run.
    """
    if not answer.has_curve:
        return table("fan", FAN, [])
    outlook = answer.forecast
    columns = np.stack([np.median(outlook.expected, axis=0), *outlook.interval(0.5), *outlook.interval(0.9)])
    largest = float(answer.points.n.max())
    rows: list[tuple[Cell, ...]] = []
    for i, n in enumerate(outlook.n):
        status = _status(float(n), largest, bool(outlook.refused[i]))
        numbers: list[Cell] = [None if status == "refused" else float(value) for value in columns[:, i]]
        rows.append((float(n), status, *numbers, int(float(n) in answer.requested_n)))
    return table("fan", FAN, rows)


def gains_table(answer: Analysis) -> Table:
    """What more data, a larger network, and more steps are expected to add and cost; hours only where measured."""
    rows: list[tuple[Cell, ...]] = []
    for what, gain in answer.gains:
        here = {"n": answer.decision.n, "p": answer.decision.p, "steps": answer.decision.steps}[what]
        bill = answer.bill(what, gain.factor)
        hours = bill.hours if answer.timed else None
        numbers = (gain.median, gain.low, gain.high, gain.probability)
        size = None if here is None else gain.factor * here
        rows.append(
            (what, gain.factor, size, *numbers, likelihood_words(gain.probability), bill.images, hours, bill.total)
        )
    return table("gains", "what factor size median low90 high90 probability wording images hours total", rows)


def members_table(answer: Analysis) -> Table:
    """The members of the forecast with their weights, and the forms of the curve with their probabilities."""
    if not answer.has_curve:
        return table("members", "kind name probability", [])
    outlook = answer.forecast
    rows = [("member", name, weight) for name, weight in outlook.weights.items()]
    forms = sorted(outlook.forms.items(), key=lambda item: -item[1])
    return table("members", "kind name probability", [*rows, *(("form", name, chance) for name, chance in forms)])


def known_table(answer: Analysis) -> Table:
    """Exponent, slope, floor and break of the curve, with what was believed before any measurement."""
    rows: list[tuple[Cell, ...]] = []
    for name, known in answer.forecast.known.items() if answer.has_curve else ():
        numbers = (known.median, known.low, known.high, known.prior_low, known.prior_high)
        finite = [value if np.isfinite(value) else None for value in numbers]
        rows.append((name, *finite, known.probability, int(known.identified)))
    return table("known", "quantity median low90 high90 prior_low90 prior_high90 probability identified", rows)


def law_table(answer: Analysis) -> Table:
    """The usual named laws with their parameters, 90 % intervals and scatter."""
    rows: list[tuple[Cell, ...]] = []
    known = {found.code for found in answer.findings}
    for item in answer.fits:
        note = "; ".join(found.text for found in item.findings if found.code not in known)
        for name, (value, low, high) in item.parameters.items():
            rows.append((item.law, name, value, low, high, item.residual_sd, item.seed_sd, note))
    rows += [(law, "", None, None, None, None, None, why) for law, why in answer.unfitted]
    return table("laws", "law parameter value low90 high90 residual_sd seed_sd note", rows)


def backtest_table(answer: Analysis) -> Table:
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
        for held in answer.backtest
    ]
    return table("backtest", "stopped_at n median low90 high90 measured inside", rows)


def _status(n: float, largest: float, refused: bool) -> str:
    if refused:
        return "refused"
    reach = n / largest * (1 - 1e-9)
    for limit, name in ((1.0, "measured range"), (NEAR, "up to 4x"), (FAR, "up to 10x")):
        if reach <= limit:
            return name
    return "beyond 10x"


INSIDE, BEYOND = 21, 9
"""Places of the map along n, and along p, within the measured range and beyond it."""
BUDGETS = 13
"""Budgets whose best use is looked for."""


def map_table(answer: Analysis) -> Table:
    """The expected metric (mean over seeds) on a grid of n and p, up to 4 times beyond the largest of either."""
    name, columns = "map", "n p median low90 high90 measured_range"
    if answer.surface is None or answer.points.p is None:
        return table(name, columns, [])
    across, up = _axis(answer.points.n), _axis(answer.points.p)
    n, p = (part.ravel() for part in np.meshgrid(across, up))
    value = answer.surface.error(n, p)
    low, high = value.interval(0.9)
    inside = (n <= answer.points.n.max() * (1 + 1e-9)) & (p <= answer.points.p.max() * (1 + 1e-9))
    parts = (n.tolist(), p.tolist(), value.median.tolist(), low.tolist(), high.tolist(), inside.astype(int).tolist())
    return table(name, columns, zip(*parts, strict=True))


def frontier_table(answer: Analysis) -> Table:
    """For each n the p from which on doubling it gains less than what is worthwhile, with its 90 % interval.

    None: more than 4 times the largest p measured; ``beyond`` is the chance of that.
    """
    name, columns = "frontier", "n median low90 high90 beyond"
    if answer.surface is None:
        return table(name, columns, [])
    n = _axis(answer.points.n)[::2]
    enough = answer.surface.frontier(n, worthwhile=max(answer.worthwhile, 1e-6))
    beyond = np.isinf(enough.draws).mean(0)
    numbers = np.stack([enough.median, *enough.interval(0.9)]).T
    rows = [(float(n[i]), *(_finite(v) for v in numbers[i]), float(beyond[i])) for i in range(len(n))]
    return table(name, columns, rows)


def budget_table(answer: Analysis) -> Table:
    """For budgets in proportion to n p (6 FLOPs a parameter and example, one pass): the best n and p on the map."""
    name, columns = "budget", "flops n p median low90 high90"
    if answer.surface is None or answer.points.p is None:
        return table(name, columns, [])
    limits = [(float(axis.min()), NEAR * float(axis.max())) for axis in (answer.points.n, answer.points.p)]
    (n_low, n_high), (p_low, p_high) = limits
    rows: list[tuple[Cell, ...]] = []
    for flops in np.geomspace(6 * n_low * p_low, 6 * n_high * p_high, BUDGETS + 2)[1:-1]:
        row = _best_use(answer.surface, float(flops))
        inside = n_low <= row[1] <= n_high and p_low * 1.01 < row[2] < p_high * 0.99
        rows += [row] if inside else []
    return table(name, columns, rows)


def _best_use(surface: Surface, flops: float) -> tuple[float, ...]:
    best = surface.compute_optimal(flops)
    low, high = best.value.interval(0.9)
    return flops, best.n, best.p, float(best.value.median[0]), float(low[0]), float(high[0])


def _axis(values: Floats) -> Floats:
    """From the smallest to the largest and on to 4 times that, evenly spaced on the log scale in both parts."""
    small, large = float(values.min()), float(values.max())
    return np.unique(np.concatenate([np.geomspace(small, large, INSIDE), np.geomspace(large, NEAR * large, BEYOND)]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Grid:
    """A table of the page.

    Attributes:
        caption: what it shows.
        columns: header; a column whose name starts with ``#`` holds numbers and is set to the right.
        rows: cells as text.
        marks: style of each row, or empty.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[str, ...] = ()

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """Header cells, and whether they stand over numbers."""
        return [(name.removeprefix("#"), name.startswith("#")) for name in self.columns]

    def mark(self, index: int) -> str:
        """The style of one row."""
        return self.marks[index] if self.marks else ""
