"""The report of two methods: their curves, the crossing, and the worth of the difference."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.files import to_json, write_atomic
from reconscale.format import amount, format_chance, format_factor, plain
from reconscale.laws import (
    Comparison,
    Curve,
    Exchange,
    Finding,
    NoiseLevel,
    Points,
    exchange_sentence,
    infer,
)
from reconscale.report.analysis import MetricFormat, grid_of, json_safe
from reconscale.report.figures import comparison_figure
from reconscale.report.marks import Figure, Rule, Span
from reconscale.report.page import Plot, render_template
from reconscale.report.tables import Grid, Table, table

FAR = 4.0
"""Bands are drawn to this multiple of the largest n."""
CAPTION = (
    "Dots are runs of the width selected on validation for their n; lines are the expected mean over seeds, bands the "
    "90 % interval of a new run, dashed beyond the data."
)


@dataclass(frozen=True, eq=False)
class Method:
    """One of the two.

    Attributes:
        name: what it is called.
        points: its measurements.
        noise: its networks at other levels of noise, or None.
    """

    name: str
    points: Points
    noise: NoiseLevel | None = None

    @cached_property
    def curve(self) -> Curve:
        """Its curve, inferred when it is first needed."""
        return infer(self.points)


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """What is said about two methods.

    Attributes:
        methods: the two.
        made: the comparison.
        rates: what one step of quality is worth for each, in n, p and noise.
    """

    methods: tuple[Method, Method]
    made: Comparison
    rates: tuple[tuple[Exchange, ...], tuple[Exchange, ...]]

    @property
    def quantity(self) -> MetricFormat:
        """How values are spelt."""
        points = self.methods[0].points
        return MetricFormat(points.metric, points.profile or self.methods[1].points.profile, points.unit)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Cautions."""
        return self.made.crossing.findings

    def lines(self) -> list[str]:
        """All of it in plain words."""
        said = [self.made.crossing.sentence, self.made.crossing.assumed]
        said += [self.made.worth.sentence] if self.made.worth is not None else []
        for method, found in zip(self.methods, self.rates, strict=True):
            said.append(f"{method.name}: {exchange_sentence(found, method.points.unit)}")
        return said

    def record(self) -> dict[str, Any]:
        """All of it for other programs."""
        record = asdict(self.made.crossing)
        del record["findings"]
        record["differences"] = [asdict(item) for item in self.made.differences]
        record["worth"] = None if self.made.worth is None else asdict(self.made.worth)
        pairs = zip(self.methods, self.rates, strict=True)
        record["exchange"] = {method.name: [asdict(item) for item in found] for method, found in pairs}
        return record


def compare_methods(first: Method, second: Method) -> MethodComparison:
    """Compare two methods.

    Args:
        first: one method.
        second: the other, measured on the same test set, in the same metric.

    Raises:
        UserError: they cannot be compared, or one has fewer than two distinct n.
    """
    made = first.curve.compare(second.curve, names=(first.name, second.name))
    one, other = (tuple(method.curve.exchanges(method.noise)) for method in (first, second))
    return MethodComparison((first, second), made, (one, other))


def report_comparison(known: MethodComparison, out: Path, sources: Sequence[str], *, spreadsheet: str = "") -> Path:
    """Write the page with its figure, CSV files and ``numbers.json``.

    Args:
        known: the comparison.
        out: the folder; made where it is missing.
        sources: what was compared, as it is given on the command line.
        spreadsheet: what the CSV files are for; see :meth:`.tables.Table.csv`.

    Returns:
        The path of ``compare.html``.

    Raises:
        UserError: ``out`` cannot be written to.
    """
    tables = [points_table(known), bands_table(known), differences_table(known), rates_table(known)]
    points, bands, differences, rates = tables
    crossing = known.made.crossing
    title = " against ".join(crossing.names)
    plot, files = _plot(known, title, points, bands)
    written = [f"{item.name}.csv" for item in tables] + [f"comparison.{kind}" for kind in files] + ["numbers.json"]
    page = render_template(
        "compare.html.j2",
        figures=True,
        title=title,
        sentence=crossing.sentence,
        worth="" if known.made.worth is None else known.made.worth.sentence,
        assumed=crossing.assumed,
        plot_of=plot,
        differences=differences_grid(differences, known),
        rates=rates_grid(rates),
        findings=[(item.severity, item.code, item.text) for item in known.findings],
        command=shlex.join(["reconscale", "compare", *map(str, sources), "--out", "compare"]),
        files=written,
    )
    for item in tables:
        write_atomic(out / f"{item.name}.csv", item.csv(spreadsheet))
    for kind, content in files.items():
        write_atomic(out / f"comparison.{kind}", content)
    numbers = {"reconscale": version("reconscale"), **known.record(), "tables": {t.name: t.records() for t in tables}}
    write_atomic(out / "numbers.json", to_json(json_safe(numbers)))
    write_atomic(out / "compare.html", page)
    return out / "compare.html"


def _plot(known: MethodComparison, title: str, points: Table, bands: Table) -> tuple[Plot, dict[str, bytes]]:
    """The figure of both curves for the page, and its files by their ending."""
    from reconscale.report.draw import figure_files, page_drawing

    crossing = known.made.crossing
    stretch = (crossing.n.low, crossing.n.median, crossing.n.high)
    figure = comparison_figure(points, bands, known.quantity, stretch)
    alt = f"Quality against n of two methods. {crossing.sentence}"
    plot = Plot("comparison", page_drawing(figure, "comparison"), alt, caption_of(figure), ("points", "bands"))
    return plot, figure_files(figure, title)


def caption_of(figure: Figure) -> str:
    """How to read the figure; the crossing only where it is shown."""
    stretch, middle = (any(isinstance(mark, kind) for mark in figure.marks) for kind in (Span, Rule))
    if not stretch:
        return f"{CAPTION} The grey line is the crossing." if middle else CAPTION
    rest = "the line its middle" if middle else "as far as it is shown"
    return f"{CAPTION} The grey stretch is the 90 % interval of the crossing, {rest}."


def points_table(known: MethodComparison) -> Table:
    """The runs of the width chosen at each n."""
    rows = []
    for method in known.methods:
        best = method.curve.best
        for i in range(len(best)):
            width = None if best.width is None else int(best.width[i])
            seed = None if best.seed is None else int(best.seed[i])
            rows.append((method.name, float(best.n[i]), width, seed, float(best.y[i])))
    return table("points", "method n width seed value", rows)


def bands_table(known: MethodComparison) -> Table:
    """The expected curve of each method with its 90 % band."""
    rows = []
    for method in known.methods:
        largest = float(method.points.n.max())
        grid = np.asarray([n for n in grid_of(method.points, [FAR * largest]) if n <= FAR * largest * 1.001])
        made = method.curve.forecast(grid)
        low, middle, high = (made.quantile(q) for q in (0.05, 0.5, 0.95))
        for i, n in enumerate(grid.tolist()):
            if not made.refused[i]:
                values = (float(middle[i]), float(low[i]), float(high[i]))
                rows.append((method.name, n, *values, int(n <= largest * 1.001)))
    return table("bands", "method n median low90 high90 measured_range", rows)


def differences_table(known: MethodComparison) -> Table:
    """How much better the second is at every common n."""
    rows = [(d.n, d.gain, d.low, d.high, d.pairs) for d in known.made.differences]
    return table("differences", "n gain low90 high90 pairs", rows)


def rates_table(known: MethodComparison) -> Table:
    """What one step of quality is worth, for each method."""
    rows = []
    for method, found in zip(known.methods, known.rates, strict=True):
        rows += [(method.name, *_rate(item)) for item in found]
    return table("exchange", "method what step unit factor low90 high90 never basis", rows)


def exchange_table(found: Sequence[Exchange]) -> Table:
    """What one step of quality is worth for one method."""
    return table("exchange", "what step unit factor low90 high90 never basis", [_rate(item) for item in found])


def _rate(item: Exchange) -> tuple[str, float, str, float | None, float | None, float | None, float, str]:
    known = [value if np.isfinite(value) else None for value in (item.factor.median, item.factor.low, item.factor.high)]
    return (item.what, item.step, item.unit, known[0], known[1], known[2], item.factor.never, item.basis)


def differences_grid(differences: Table, known: MethodComparison) -> Grid | None:
    """The same for the page."""
    if not len(differences):
        return None
    first, second = known.made.crossing.names
    rows = []
    for row in differences.records():
        low, high = row["low90"], row["high90"]
        gain = known.quantity.gain(float(row["gain"] or 0))
        interval = (
            "" if low is None or high is None else " to ".join(known.quantity.gain(float(v)) for v in (low, high))
        )
        better = second if float(row["gain"] or 0) > 0 else first
        sure = low is not None and high is not None and (float(low) > 0 or float(high) < 0)
        verdict = better if sure else "open"
        rows.append((amount(float(row["n"] or 0)), gain, interval, str(row["pairs"]), verdict))
    columns = (f"#n ({known.quantity.unit})", f"#{second} over {first}", "#90 % interval", "#paired seeds", "better")
    caption = (
        "How much better the second is, mean over seeds of the width selected for each n; open: there is no interval "
        "(a method was run once only), or it holds 0"
    )
    return Grid(caption, columns, tuple(rows))


def rates_grid(rates: Table) -> Grid | None:
    """What one step is worth, for the page; with a first column where there are several methods."""
    if not len(rates):
        return None
    many = "method" in rates.columns
    rows = []
    for row in rates.records():
        cells = (
            f"+{row['step']:g} {row['unit']}",
            _words(row),
            _interval(row),
            format_chance(float(row["never"] or 0)),
        )
        rows.append((*((str(row["method"]),) if many else ()), *cells, str(row["basis"])))
    columns = ("#gain", "equals", "#90 % interval", "#never", "from")
    caption = "What one step is worth at the largest n, with nothing else changed; n: training images, p: parameters"
    return Grid(caption, (*(("method",) if many else ()), *columns), tuple(rows))


def _words(row: dict[str, Any]) -> str:
    if row["factor"] is None:
        return f"no {row['what']} up to 1000 times as large"
    if row["what"] == "sigma":
        return f"{plain(100 * (1 - row['factor']), 1)} % less noise"
    return f"{format_factor(row['factor'])} × {row['what']}"


def _interval(row: dict[str, Any]) -> str:
    low, high = row["low90"], row["high90"]
    if row["what"] == "sigma":
        return " to ".join(f"{plain(100 * (1 - value), 1)} %" for value in (high, low) if value is not None)
    return " to ".join("never" if value is None else f"{format_factor(value)} ×" for value in (low, high))
