"""The figures of a report, as axes and marks, made from the tables that are saved beside them and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reconscale.format import amount, general, short
from reconscale.report.analysis import MetricFormat
from reconscale.report.axes import (
    SERIES,
    AxesSpec,
    contours,
    curves_axes,
    explanation_axes,
    heading,
    map_axes,
    offset_backtest,
    quality_axes,
    segments,
    size_axes,
    spread_labels,
    steps_axes,
    validation_axes,
)
from reconscale.report.colours import BLUE, GREEN, GREY, INK, MAP_RAMP, PURPLE, VERMILLION, colour_of
from reconscale.report.crowds import MOST_CURVES, MOST_DOTS, MOST_SEEDS, MOST_TRAININGS, spaced, spread_of_runs
from reconscale.report.marks import Band, Box, Dash, Figure, Label, Mark, Rule, Series, Span, Surface
from reconscale.report.tables import Table

FILL = {"measured range": (0.20, 0.26), "up to 4x": (0.13, 0.18), "up to 10x": (0.0, 0.12), "beyond 10x": (0.0, 0.08)}
"""Opacity of the 90 % band and what the 50 % band adds to it, by stretch; far stretches are hatched."""
DASH: dict[str, Dash] = {
    "measured range": "solid",
    "up to 4x": "dashed",
    "up to 10x": "dotted",
    "beyond 10x": "dotted",
}
SHOWN_LOOKS = 60
"""Points of a training curve that say their numbers."""
METHODS = ((BLUE, "o"), (VERMILLION, "D"))
"""Colour and marker of the first and the second method."""
Stretch = tuple[float, float, float]
"""Low end, middle and high end of the crossing; may be infinite."""


def quality_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """Quality against n: every run a dot, means, the band, anchors, and the error in per cent on the right."""
    axes, curve = quality_axes(tables, quantity), tables["curve"]
    means = Series(
        curve.numbers("n"),
        curve.numbers("mean"),
        "means",
        "mean over seeds",
        marker="_",
        size=14,
        hover=[_curve_text(row, quantity) for row in curve.records()],
    )
    runs = _runs(tables["points"].where(selected=1), "n", quantity, INK, "runs", "every run")
    marks = [*_anchors(tables["anchors"], axes, quantity), *_fan(tables["fan"], axes, quantity), means, *runs]
    return Figure(axes, (*marks, *_held_back(tables["backtest"], axes, quantity)), 5.4)


def forecast_figure(
    axes: AxesSpec,
    n: Sequence[float],
    middle: Sequence[float],
    ends: Sequence[tuple[Sequence[float], Sequence[float]]],
    texts: Sequence[str],
) -> Figure:
    """A forecast at some sizes: its middle, and its 50 % and 90 % intervals (``ends``)."""
    inner, outer = FILL["measured range"]
    bands = [Band(n, *pair, key, BLUE, opacity) for key, pair, opacity in
             zip(("band90", "band50"), reversed(ends), (inner, outer), strict=True)]  # fmt: skip
    low, high = ends[1]
    line = Series(n, middle, "expected", "expected, 90 % interval", BLUE, width=1.6, marker="o", low=low, high=high,
                  hover=texts)  # fmt: skip
    return Figure(axes, (*(bands if len(n) > 1 else ()), line), 4.6)


def map_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """The expected metric over n and p, with measured cells, the large-enough network and the best use of a budget."""
    inside = tables["map"].where(measured_range=1)
    n, p = inside.numbers("n"), inside.numbers("p")
    box = Box((min(n), max(n)), (min(p), max(p)))
    marks: list[Mark] = [_surface(tables["map"], quantity), box, *_large_enough(tables["frontier"])]
    marks += _best_use(tables["budget"])
    for selected, name in ((0, "measured"), (1, "measured, selected")):
        cells = tables["network-size"].where(selected=selected)
        cells = Table(cells.name, cells.columns, tuple(spaced(cells.rows, MOST_DOTS)))
        texts = [f"measured {quantity.say(row['mean'])}\n{_cell(row)}" for row in _records(cells)]
        marks.append(
            Series(cells.numbers("n"), cells.numbers("p"), name, name, marker="o", size=5 + 3 * selected,
                   hollow=bool(selected), hover=texts)
        )  # fmt: skip
    return Figure(map_axes(tables, quantity), tuple(marks), 5.6)


def size_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """Quality against p: one line for each n, and every run a dot."""
    axes, cells = size_axes(tables, quantity), tables["network-size"]
    sizes = spaced(sorted(set(cells.numbers("n"))), MOST_CURVES)
    marks: list[Mark] = []
    ends = []
    for index, n in enumerate(sizes):
        part, colour = cells.where(n=n), colour_of(index, len(sizes))
        if len(tables["points"]) <= MOST_DOTS:
            marks += _runs(tables["points"].where(n=n), "p", quantity, colour, f"runs {n:g}")
        marks += [_cells(part, quantity, f"size {n:g}", colour, 5, 1.8),
                  _cells(part.where(selected=1), quantity, f"selected {n:g}", colour, 9)]  # fmt: skip
        ends.append((part.numbers("mean")[-1], f"n = {short(n)}"))
    return Figure(axes, (*marks, *_end_labels(ends, axes)), 4.6)


def _cells(cells: Table, quantity: MetricFormat, key: str, colour: str, size: float, width: float = 0.0) -> Series:
    """Means at each p; rings where there is no line."""
    texts = [_size_text(row, quantity) for row in _records(cells)]
    p, mean = cells.numbers("p"), cells.numbers("mean")
    return Series(p, mean, key, colour=colour, width=width, marker="o", size=size, hollow=not width, hover=texts)


def validation_figure(curves: Table) -> Figure:
    """Validation quality over training, of the selected width at every n; one line a run."""
    axes, shown = validation_axes(curves), curves.where(selected=1)
    sizes = spaced(sorted(set(shown.numbers("n"))), MOST_CURVES)
    seeds = None if len(set(shown.column("id"))) <= MOST_TRAININGS else MOST_SEEDS
    marks: list[Mark] = []
    ends = []
    for index, n in enumerate(sizes):
        part, colour, last = shown.where(n=int(n)), colour_of(index, len(sizes)), []
        for run in part.groups("id")[:seeds]:
            name = run.rows[0][run.columns.index("id")]
            every = max(1, len(run) // SHOWN_LOOKS)
            texts = ["" if index % every else f"n = {amount(n)}, seed {row['seed']}\n{_look_text(row)}"
                     for index, row in enumerate(_records(run))]  # fmt: skip
            x, y = run.numbers("step"), run.numbers("psnr")
            marks.append(Series(x, y, f"run {name}", colour=colour, width=1.3, hover=texts))
            last.append(run.numbers("psnr")[-1])
        ends.append((sum(last) / len(last), f"n = {short(n)}"))
    return Figure(axes, (*marks, *_end_labels(ends, axes)), 3.8)


def steps_figure(steps: Table) -> Figure:
    """Validation quality against steps, of the selected width at every n: means over seeds of the branches.

    The last dot of a curve is filled where all its runs have converged.
    """
    shown = steps.where(selected=1) if any(steps.column("selected")) else steps
    axes, sizes = steps_axes(shown), spaced(sorted(set(shown.numbers("n"))), MOST_CURVES)
    marks: list[Mark] = []
    ends = []
    for index, n in enumerate(sizes):
        part, colour = shown.where(n=int(n)), colour_of(index, len(sizes))
        at = sorted(set(part.numbers("steps")))
        mean = [_mean(part.where(steps=int(x)).numbers("psnr")) for x in at]
        texts = [f"n = {amount(n)}\n{amount(x)} steps: {y:.2f} dB" for x, y in zip(at, mean, strict=True)]
        marks.append(Series(at, mean, f"n {n:g}", colour=colour, width=1.3, marker="o", size=3.5, hover=texts))
        done = all(value for value in part.column("converged") if value is not None)
        marks.append(Series(at[-1:], mean[-1:], f"end {n:g}", colour=colour, marker="o", size=7.0, hollow=not done))
        ends.append((mean[-1], f"n = {short(n)}"))
    return Figure(axes, (*marks, *_end_labels(ends, axes)), 3.8)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def explanation_figure(drawn: Table, unit: str) -> Figure:
    """The measured curve beside the computed one of a linear estimator, and the floor of that."""
    looks: dict[str, dict[str, Any]] = {
        "linear": {"colour": GREEN, "width": 2.2},
        "floor": {"colour": GREEN, "width": 1.6, "dash": "dashed"},
        "network": {"width": 1.4, "marker": "o", "size": 6.0},
    }
    marks = []
    for name, look in looks.items():
        part = drawn.where(series=name)
        texts = [f"{SERIES[name]}\nn = {amount(row['n'])}\n{row['db']:.2f} dB" for row in _records(part)]
        bars = {"low": part.numbers("lowest"), "high": part.numbers("highest")} if name == "network" else {}
        look = look | bars | {"hover": texts}
        marks.append(Series(part.numbers("n"), part.numbers("db"), name, SERIES[name], **look))
    return Figure(explanation_axes(drawn, unit), tuple(marks), 4.6)


def comparison_figure(points: Table, bands: Table, quantity: MetricFormat, stretch: Stretch) -> Figure:
    """Both curves with their bands and runs, and where they cross."""
    n = [*points.numbers("n"), *bands.numbers("n")]
    ends = [*bands.numbers("low90"), *bands.numbers("high90")]
    axes = curves_axes((min(n), max(n)), points.numbers("value"), ends, quantity)
    marks = _crossing(axes, stretch)
    methods = dict.fromkeys(str(name) for name in points.column("method"))
    for name, (colour, marker) in zip(methods, METHODS, strict=True):
        marks += _method(name, points.where(method=name), bands.where(method=name), colour, marker)
    return Figure(axes, tuple(marks), 5.2)


def _method(name: str, runs: Table, band: Table, colour: str, marker: str) -> list[Mark]:
    inside, beyond = band.where(measured_range=1), band.where(measured_range=0)
    beyond = Table(band.name, band.columns, inside.rows[-1:] + beyond.rows)
    low, high = band.numbers("low90"), band.numbers("high90")
    marks: list[Mark] = [Band(band.numbers("n"), low, high, f"band {name}", colour, 0.15)]
    stretches: tuple[tuple[str, Table, Dash], ...] = (("inside", inside, "solid"), ("beyond", beyond, "dashed"))
    for where, part, dash in stretches:
        n, median = part.numbers("n"), part.numbers("median")
        texts = [f"{name}, expected\nn = {amount(size)}\n{general(y)}" for size, y in zip(n, median, strict=True)]
        marks.append(Series(n, median, f"{where} {name}", colour=colour, width=2.0, dash=dash, hover=texts))
    texts = [f"{name}\n{_run_name(row)}\n{general(row['value'])}" for row in _records(runs)]
    x, y = runs.numbers("n"), runs.numbers("value")
    return [*marks, Series(x, y, f"runs {name}", name, colour, 0.75, marker=marker, hover=texts)]


def _crossing(axes: AxesSpec, stretch: Stretch) -> list[Mark]:
    low, middle, high = (min(max(value, axes.x[0]), axes.x[1]) for value in stretch)
    marks: list[Mark] = [Span(low, high)] if low < high else []
    return [*marks, Rule(middle, "x", GREY, 1.5, "solid")] if axes.x[0] < middle < axes.x[1] else marks


def _records(table: Table) -> list[dict[str, Any]]:
    return list(table.records())


def _run_name(row: dict[str, Any]) -> str:
    """Which run it is, as far as that is known."""
    known = [f"{name} {row[name]}" for name in ("width", "seed") if row[name] is not None]
    return ", ".join([f"n = {amount(row['n'])}", *known])


def _runs(points: Table, across: str, quantity: MetricFormat, colour: str, key: str, name: str = "") -> list[Series]:
    """Every run a dot, at its n or p; of many, bars of how they are spread."""
    if len(points) > MOST_DOTS:
        look = {"key": key, "name": name and "runs, 5 % to 95 %", "colour": colour}
        return spread_of_runs(points, across, quantity, look)
    texts = [f"{_run_name(row)}\n{quantity.say(row[quantity.metric])}" for row in _records(points)]
    x, y = points.numbers(across), points.numbers(quantity.metric)
    return [Series(x, y, key, name, colour=colour, alpha=0.6, marker="o", size=4.5, hover=texts)]


def _fan(fan: Table, axes: AxesSpec, quantity: MetricFormat) -> list[Mark]:
    """The forecast, stretch by stretch: bands, the middle, a line where a stretch begins, and its heading."""
    marks: list[Mark] = []
    for index, (status, rows) in enumerate(segments(fan)):
        n = [row["n"] for row in rows]
        for level, opacity in zip(("90", "50"), FILL[status], strict=True):
            low, high = ([row[f"{side}{level}"] for row in rows] for side in ("low", "high"))
            hatched = level == "90" and status in ("up to 10x", "beyond 10x")
            marks.append(Band(n, low, high, f"band{level} {status}", BLUE, opacity, hatched))
        texts = [_fan_text(row, quantity) for row in rows]
        middle = [row["median"] for row in rows]
        line = Series(n, middle, f"expected {status}", colour=BLUE, width=2.0, dash=DASH[status], hover=texts)
        marks += [line, *([Rule(n[0], "x")] if index else [])]
        text = heading(axes, status, n[0], n[-1])
        centre = (max(axes.x[0], n[0]) * n[-1]) ** 0.5
        marks.append(Label(text, centre, 1, "y", "center", "bottom", (0, 4), short=text.split()[-1]))
    return marks


def _held_back(backtest: Table, axes: AxesSpec, quantity: MetricFormat) -> list[Series]:
    """For each size held back: the forecast made without it, its middle and 90 % interval, beside what was measured."""
    rows = offset_backtest(backtest, axes)
    middle, low, high = ([row[name] for _, row in rows] for name in ("median", "low90", "high90"))
    texts = [_held_text(row, quantity) for _, row in rows]
    series = Series([x for x, _ in rows], middle, "backtest", "forecast made without this size, 90 %", colour=PURPLE,
                    marker="D", hollow=True, low=low, high=high, hover=texts)  # fmt: skip
    return [series] if rows else []


def _anchors(anchors: Table, axes: AxesSpec, quantity: MetricFormat) -> list[Mark]:
    """Lines for anchors that lie within the axes, and notes at their edge for those that do not."""
    marks: list[Mark] = []
    outside = {"bottom": 0, "top": 0}
    crowded = any(axes.contains(value) and axes.height(value) < 0.14 for value in anchors.numbers("value"))
    for row in _records(anchors):
        value, colour = float(row["value"]), VERMILLION if row["kind"] == "classical" else GREY
        text = f"{row['label']} {quantity.say(value)}"
        if axes.contains(value):
            marks.append(Rule(value, "y", colour, 1.6, "long"))
            marks.append(Label(text, 0.99, value, "x", "right", "bottom", (0, 3), colour))
        elif value < axes.y[0]:
            across, shift = 0.6 if crowded else 0.99, 4 + 16 * outside["bottom"]
            marks.append(Label(f"↓ {text}", across, 0, "xy", "right", "bottom", (0, shift), colour))
            outside["bottom"] += 1
        else:
            marks.append(Label(f"↑ {text}", 0.99, 1, "xy", "right", "top", (0, -4 - 16 * outside["top"]), colour))
            outside["top"] += 1
    return marks


def _surface(field: Table, quantity: MetricFormat) -> Surface:
    across, up = (sorted(set(field.numbers(name))) for name in ("n", "p"))
    row_at = {(row["n"], row["p"]): row for row in _records(field)}
    rows = [[row_at[n, p] for n in across] for p in up]
    levels = contours(field.numbers("median"), quantity.metric)
    names = [quantity.bare(level) if quantity.known.is_error else general(level) for level in levels]
    ramp = MAP_RAMP if quantity.larger_is_better else (MAP_RAMP[1], MAP_RAMP[0])
    texts = [[_map_text(row, quantity) for row in line] for line in rows]
    return Surface(across, up, [[row["median"] for row in line] for line in rows], levels, names, ramp, texts)


def _large_enough(frontier: Table) -> list[Series]:
    """The smallest network that is large enough at each n, with its 90 % interval."""
    name, interval = "network that is large enough", "its 90 % interval"
    looks: tuple[tuple[str, str, Dash, float], ...] = (
        ("median", name, "solid", 2.4),
        ("low90", interval, "dotted", 1.3),
        ("high90", "", "dotted", 1.3),
    )
    n, series = frontier.numbers("n"), []
    for column, label, dash, width in looks:
        p, what = frontier.numbers(column), name if column == "median" else interval
        if not all(math.isnan(value) for value in p):
            texts = _pair_texts(what, n, p)
            series.append(Series(n, p, f"frontier {column}", label, VERMILLION, width=width, dash=dash, hover=texts))
    return series


def _best_use(budget: Table) -> list[Series]:
    """How to share a budget of n p between n and p."""
    name, n, p = "best n and p for the same n p", budget.numbers("n"), budget.numbers("p")
    texts = _pair_texts(name, n, p)
    return [Series(n, p, "budget", name, GREEN, width=2.0, dash="dashed", hover=texts)] if len(budget) > 1 else []


def _pair_texts(what: str, n: list[float], p: list[float]) -> list[str]:
    pairs = zip(n, p, strict=True)
    return ["" if math.isnan(p) else f"{what}\nn = {amount(n)}, p = {short(p)}" for n, p in pairs]


def _end_labels(ends: list[tuple[float, str]], axes: AxesSpec) -> list[Label]:
    """Names of curves at their right end, pushed apart."""
    heights = spread_labels([axes.height(min(max(value, axes.y[0]), axes.y[1])) for value, _ in ends], 0.065)
    return [
        Label(text, 1, height, "xy", "left", "center", (5, 0), INK, bold=True)
        for height, (_, text) in zip(heights, ends, strict=True)
    ]


def _cell(row: Mapping[str, Any]) -> str:
    return f"n = {amount(row['n'])}, p = {short(row['p'])}"


def _map_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    interval = f"90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])}"
    return f"{_cell(row)}\nexpected {quantity.say(row['median'])}\n{interval}"


def _look_text(row: Mapping[str, Any]) -> str:
    return f"step {row['step']:,}: {row['psnr']:.2f} dB"


def _size_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    chosen = "\nselected on validation" if row["selected"] else ""
    return f"{_cell(row)}\nmean {quantity.say(row['mean'])}, {row['runs']} run(s){chosen}"


def _curve_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    width = f", width {row['width']}" if row["width"] is not None else ""
    sd = f", sd between seeds {quantity.bare(row['sd'])}" if row["sd"] is not None else ""
    return f"n = {amount(row['n'])}{width}\nmean {quantity.say(row['mean'])}{sd}\n{row['runs']} run(s)"


def _fan_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    return (
        f"n = {amount(row['n'])} ({row['status']})\nexpected {quantity.say(row['median'])}"
        f"\n50 %: {quantity.bare(row['low50'])} to {quantity.bare(row['high50'])}"
        f"\n90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])}"
    )


def _held_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    return (
        f"n = {amount(row['n'])} as forecast from n up to {amount(row['stopped_at'])}\n"
        f"{quantity.say(row['median'])} (90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])})"
        f"\nmeasured {quantity.say(row['measured'])}"
    )
