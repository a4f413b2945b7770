"""Two methods on one page: their curves, where one overtakes, and what the difference is worth."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from reconscale.files import to_json, write_whole
from reconscale.laws import (
    Comparison,
    Exchange,
    Finding,
    Noise,
    Points,
    comparison,
    exchange_sentence,
    exchanges,
    forecast,
    frontier,
)
from reconscale.laws.decisions.intervals import chance
from reconscale.report.analysis import cleaned, grid_of
from reconscale.report.axes import BLUE, GREY, VERMILLION, Frame, curves_frame
from reconscale.report.figures import dressed, saved
from reconscale.report.format import Quantity, amount, plain
from reconscale.report.page import Plot, render_template
from reconscale.report.plotly_figures import LEGEND, Figure, layout_of, records
from reconscale.report.tables import Grid, Table, table

FAR = 4.0
"""Bands are drawn to this multiple of the largest n."""
CAPTION = (
    "Dots are runs of the width selected on validation for their n; lines are the expected mean over seeds, bands hold "
    "90 % of what is believed of a new run, dashed beyond the data. The grey stretch is the 90 % interval of the "
    "crossing, the line its middle."
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
    noise: Noise | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """What is said about two methods.

    Attributes:
        methods: the two.
        made: the comparison.
        rates: exchange rates of each.
    """

    methods: tuple[Method, Method]
    made: Comparison
    rates: tuple[tuple[Exchange, ...], tuple[Exchange, ...]]

    @property
    def quantity(self) -> Quantity:
        """How values are spelt."""
        points = self.methods[0].points
        return Quantity(points.metric, points.profile or self.methods[1].points.profile, points.unit)

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


def compared(first: Method, second: Method) -> Compared:
    """Compare two methods.

    Args:
        first: one method.
        second: the other, measured on the same test set, in the same metric.

    Raises:
        Mistake: they cannot be compared, or one has fewer than two distinct n.
    """
    made = comparison(first.points, second.points, names=(first.name, second.name))
    one, other = (tuple(exchanges(method.points, method.noise)) for method in (first, second))
    return Compared((first, second), made, (one, other))


def report_comparison(known: Compared, out: Path, sources: Sequence[str]) -> Path:
    """Write the page with its figure, CSV files and ``numbers.json``.

    Args:
        known: the comparison.
        out: the folder; made where it is missing.
        sources: what was compared, as it is given on the command line.

    Returns:
        The path of ``compare.html``.

    Raises:
        Mistake: ``out`` cannot be written to.
    """
    tables = [points_table(known), bands_table(known), differences_table(known), rates_table(known)]
    points, bands, differences, rates = tables
    frame, crossing = frame_of(points, bands, known.quantity), known.made.crossing
    stretch = (crossing.n.low, crossing.n.median, crossing.n.high)
    title = " against ".join(crossing.names)
    files = comparison_files(points, bands, frame, stretch, title)
    figure = comparison_figure(points, bands, frame, stretch)
    alt = f"Quality against n of two methods. {crossing.sentence}"
    plot = Plot("comparison", figure, alt, CAPTION, ("points", "bands"), files["svg"])
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
        command=f"reconscale compare {' '.join(sources)} --out compare",
        files=written,
    )
    for item in tables:
        write_whole(out / f"{item.name}.csv", item.csv())
    for kind, content in files.items():
        write_whole(out / f"comparison.{kind}", content)
    numbers = {"reconscale": version("reconscale"), **known.record(), "tables": {t.name: t.records() for t in tables}}
    write_whole(out / "numbers.json", to_json(cleaned(numbers)))
    write_whole(out / "compare.html", page)
    return out / "compare.html"


def points_table(known: Compared) -> Table:
    """The runs of the width chosen at each n."""
    rows = []
    for method in known.methods:
        best = frontier(method.points)
        for i in range(len(best)):
            width = None if best.width is None else int(best.width[i])
            seed = None if best.seed is None else int(best.seed[i])
            rows.append((method.name, float(best.n[i]), width, seed, float(best.y[i])))
    return table("points", "method n width seed value", rows)


def bands_table(known: Compared) -> Table:
    """The expected curve of each method with its 90 % band."""
    rows = []
    for method in known.methods:
        largest = float(method.points.n.max())
        grid = np.asarray([n for n in grid_of(method.points, [FAR * largest]) if n <= FAR * largest * 1.001])
        made = forecast(method.points, grid)
        low, middle, high = (made.quantile(q) for q in (0.05, 0.5, 0.95))
        for i, n in enumerate(grid.tolist()):
            if not made.refused[i]:
                values = (float(middle[i]), float(low[i]), float(high[i]))
                rows.append((method.name, n, *values, int(n <= largest * 1.001)))
    return table("bands", "method n median low90 high90 measured_range", rows)


def differences_table(known: Compared) -> Table:
    """How much better the second is at every common n."""
    rows = [(d.n, d.gain, d.low, d.high, d.pairs) for d in known.made.differences]
    return table("differences", "n gain low90 high90 pairs", rows)


def rates_table(known: Compared) -> Table:
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


def differences_grid(differences: Table, known: Compared) -> Grid | None:
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
    return Grid("How much better the second is, mean over seeds of the width selected for each n", columns, tuple(rows))


def rates_grid(rates: Table) -> Grid | None:
    """Exchange rates for the page; with a first column where there are several methods."""
    if not len(rates):
        return None
    many = "method" in rates.columns
    rows = []
    for row in rates.records():
        cells = (f"+{row['step']:g} {row['unit']}", _words(row), _interval(row), chance(float(row["never"] or 0)))
        rows.append((*((str(row["method"]),) if many else ()), *cells, str(row["basis"])))
    columns = ("#gain", "equals", "#90 % interval", "#never", "from")
    caption = "What one step is worth at the largest n, with nothing else changed; n: training images, p: parameters"
    return Grid(caption, (*(("method",) if many else ()), *columns), tuple(rows))


def _words(row: dict[str, Any]) -> str:
    if row["factor"] is None:
        return f"no {row['what']} up to 1000 times as large"
    if row["what"] == "sigma":
        return f"{plain(100 * (1 - row['factor']), 1)} % less noise"
    return f"{row['factor']:.3g} × {row['what']}"


def _interval(row: dict[str, Any]) -> str:
    low, high = row["low90"], row["high90"]
    if row["what"] == "sigma":
        return " to ".join(f"{plain(100 * (1 - value), 1)} %" for value in (high, low) if value is not None)
    return " to ".join("never" if value is None else f"{value:.3g} ×" for value in (low, high))


LOOKS = ((BLUE, "circle", "o"), (VERMILLION, "diamond", "D"))
"""Colour and marker of the first and the second method."""
Stretch = tuple[float, float, float]
"""Low end, middle and high end of the crossing; may be infinite."""


def frame_of(points: Table, bands: Table, quantity: Quantity) -> Frame:
    """Axes for both methods."""
    n = [*points.numbers("n"), *bands.numbers("n")]
    band = [*bands.numbers("low90"), *bands.numbers("high90")]
    return curves_frame((min(n), max(n)), points.numbers("value"), band, quantity)


def names_of(points: Table) -> list[str]:
    """The methods, in order."""
    return list(dict.fromkeys(str(name) for name in points.column("method")))


def comparison_figure(points: Table, bands: Table, frame: Frame, stretch: Stretch) -> Figure:
    """Both curves as plotly's JSON."""
    traces: list[Figure] = []
    for name, (colour, symbol, _) in zip(names_of(points), LOOKS, strict=True):
        shown = html.escape(name)
        band, runs = bands.where(method=name), points.where(method=name)
        n = band.column("n")
        traces.append(
            {
                "type": "scatter", "mode": "lines", "x": n + n[::-1], "name": f"{shown}, 90 % band",
                "y": band.column("high90") + band.column("low90")[::-1], "fill": "toself", "hoverinfo": "skip",
                "fillcolor": _faint(colour), "line": {"width": 0, "color": colour}, "showlegend": False,
            }
        )  # fmt: skip
        for part, dash in zip(_parts(band), ("solid", "dash"), strict=True):
            traces.append(
                {
                    "type": "scatter", "mode": "lines", "x": part.column("n"), "y": part.column("median"),
                    "line": {"color": colour, "width": 2.5, "dash": dash}, "name": shown, "showlegend": False,
                    "hovertemplate": f"{shown}, expected<br>n = %{{x:,.0f}}<br>%{{y:.4g}}<extra></extra>",
                }
            )  # fmt: skip
        texts = [f"{shown}<br>n = {amount(row['n'])}, width {row['width']}, seed {row['seed']}<br>{row['value']:.4g}"
                 for row in records(runs)]  # fmt: skip
        traces.append(
            {
                "type": "scatter", "mode": "markers", "x": runs.column("n"), "y": runs.column("value"), "name": shown,
                "marker": {"color": colour, "size": 7, "symbol": symbol, "opacity": 0.75}, "text": texts,
                "hovertemplate": "%{text}<extra></extra>",
            }
        )  # fmt: skip
    layout = layout_of(frame, right=30) | {"showlegend": True, "legend": LEGEND, "height": 480}
    layout["margin"] |= {"b": 96}
    layout["shapes"], layout["annotations"] = _crossing(frame, stretch), []
    return {"data": traces, "layout": layout}


def _parts(band: Table) -> tuple[Table, Table]:
    """The band within the data, and from its end on."""
    inside, beyond = band.where(measured_range=1), band.where(measured_range=0)
    return inside, Table(band.name, band.columns, inside.rows[-1:] + beyond.rows)


def _crossing(frame: Frame, stretch: Stretch) -> list[Figure]:
    low, middle, high = (min(max(value, frame.x[0]), frame.x[1]) for value in stretch)
    across: Figure = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    shapes: list[Figure] = []
    if low < high:
        shapes.append({**across, "type": "rect", "x0": low, "x1": high, "line": {"width": 0},
                       "fillcolor": "rgba(107,116,128,0.13)"})  # fmt: skip
    if frame.x[0] < middle < frame.x[1]:
        shapes.append({**across, "type": "line", "x0": middle, "x1": middle, "line": {"color": GREY, "width": 1.5}})
    return shapes


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"


def comparison_files(points: Table, bands: Table, frame: Frame, stretch: Stretch, title: str) -> dict[str, bytes]:
    """The same figure as ``png`` and ``svg``."""

    def draw(figure: Drawing) -> None:
        axes = figure.subplots()
        _drawn(axes, points, bands, frame, stretch)
        dressed(axes, frame, title)
        axes.legend(loc="lower right", frameon=False)

    return saved(draw, (8.2, 5.2))


def _drawn(axes: Axes, points: Table, bands: Table, frame: Frame, stretch: Stretch) -> None:
    low, middle, high = stretch
    if min(high, frame.x[1]) > max(low, frame.x[0]):
        axes.axvspan(max(low, frame.x[0]), min(high, frame.x[1]), color=GREY, alpha=0.13, linewidth=0, gid="crossing")
    if math.isfinite(middle) and frame.x[0] < middle < frame.x[1]:
        axes.axvline(middle, color=GREY, linewidth=1.5)
    for name, (colour, _, marker) in zip(names_of(points), LOOKS, strict=True):
        band, runs = bands.where(method=name), points.where(method=name)
        axes.fill_between(band.numbers("n"), band.numbers("low90"), band.numbers("high90"), color=colour, alpha=0.15,
                          linewidth=0)  # fmt: skip
        for part, dash in zip(_parts(band), ("-", "--"), strict=True):
            axes.plot(part.numbers("n"), part.numbers("median"), dash, color=colour, linewidth=2)
        axes.plot(runs.numbers("n"), runs.numbers("value"), marker, color=colour, markersize=5, alpha=0.75, label=name)
