"""The map of n and p, as plotly's JSON, drawn from the tables that are saved beside it and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reconscale.report.axes import (
    GREEN,
    INK,
    MAP_RAMP,
    MUTED,
    SERIES,
    VERMILLION,
    colour_of,
    contours,
    explanation_frame,
    map_frame,
    size_frame,
    validation_frame,
)
from reconscale.report.format import MetricFormat, amount, general, short
from reconscale.report.plotly_figures import LEGEND, Figure, dots, end_labels, layout_of, records
from reconscale.report.tables import Table


def map_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """The expected metric over n and p, with measured cells, the large-enough network and the best use of a budget."""
    frame = map_frame(tables, quantity)
    layout = layout_of(frame) | {"showlegend": True, "legend": LEGEND, "height": 520, "annotations": []}
    layout["shapes"] = _measured_range(tables["map"])
    traces = [_field(tables["map"], quantity), *_frontier(tables["frontier"])]
    traces += [*_budget(tables["budget"]), _cells(tables["network-size"], quantity)]
    return {"data": traces, "layout": layout}


def _field(field: Table, quantity: MetricFormat) -> Figure:
    """The surface; errors are coloured by their logarithm."""
    across, up = (sorted(set(field.numbers(name))) for name in ("n", "p"))
    error = quantity.metric == "error"
    value = {(row["n"], row["p"]): row for row in records(field)}
    rows = [[value[n, p] for n in across] for p in up]
    levels = [math.log10(v) if error else v for v in contours(field.numbers("median"), quantity.metric)]
    step = levels[1] - levels[0] if len(levels) > 1 else 1.0
    trace: Figure = {
        "type": "contour",
        "name": "expected",
        "x": across,
        "y": up,
        "z": [[math.log10(row["median"]) if error else row["median"] for row in line] for line in rows],
        "text": [[_text(row, quantity) for row in line] for line in rows],
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": [[0.0, MAP_RAMP[0]], [1.0, MAP_RAMP[1]]],
        "reversescale": not quantity.larger_is_better,
        "line": {"color": "#ffffff", "width": 1},
        "contours": {"showlabels": not error, "labelfont": {"size": 12, "color": INK}, "coloring": "fill"},
        "showscale": error,
        "colorbar": {"tickvals": levels, "ticktext": [general(10**v) if error else "" for v in levels], "len": 0.8},
    }
    if levels:
        trace["contours"] |= {"start": levels[0], "end": levels[-1], "size": step}
    return trace


def _frontier(frontier: Table) -> list[Figure]:
    traces = []
    for name, column, dash, width in (
        ("network that is large enough", "median", "solid", 3.0),
        ("its 90 % interval", "low90", "dot", 1.5),
        ("its 90 % interval, upper end", "high90", "dot", 1.5),
    ):
        if any(cell is not None for cell in frontier.column(column)):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": name,
                    "showlegend": column != "high90",
                    "x": frontier.column("n"),
                    "y": frontier.column(column),
                    "line": {"color": VERMILLION, "width": width, "dash": dash},
                    "hovertemplate": f"{name}<br>n = %{{x:,.0f}}, p = %{{y:,.3s}}<extra></extra>",
                }
            )
    return traces


def _budget(budget: Table) -> list[Figure]:
    if len(budget) < 2:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best n and p for the same n p",
            "showlegend": True,
            "x": budget.column("n"),
            "y": budget.column("p"),
            "line": {"color": GREEN, "width": 2.5, "dash": "dash"},
            "hovertemplate": "best n and p for the same n p<br>n = %{x:,.0f}, p = %{y:,.3s}<extra></extra>",
        }
    ]


def _cells(cells: Table, quantity: MetricFormat) -> Figure:
    rows = records(cells)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "measured (ring: selected)",
        "showlegend": True,
        "x": cells.column("n"),
        "y": cells.column("p"),
        "marker": {
            "size": [11 if row["selected"] else 7 for row in rows],
            "color": ["#ffffff" if row["selected"] else INK for row in rows],
            "line": {"color": INK, "width": [2.5 if row["selected"] else 0 for row in rows]},
        },
        "text": [
            f"measured {quantity.say(row['mean'])}<br>n = {amount(row['n'])}, p = {short(row['p'])}" for row in rows
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _measured_range(field: Table) -> list[Figure]:
    """A line round the measured range of n and p."""
    inside = field.where(measured_range=1)
    n, p = inside.numbers("n"), inside.numbers("p")
    line = {"color": MUTED, "width": 1.2, "dash": "dot"}
    box: dict[str, Any] = {"x0": min(n), "x1": max(n), "y0": min(p), "y1": max(p)}
    return [{"type": "rect", **box, "line": line}]


def _text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    return (
        f"n = {amount(row['n'])}, p = {short(row['p'])}<br>expected {quantity.say(row['median'])}"
        f"<br>90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])}"
    )


def size_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """Quality against p: one line for each n, and every run a dot."""
    frame, cells = size_frame(tables, quantity), tables["network-size"]
    sizes = sorted(set(cells.numbers("n")))
    traces, ends = [], []
    for index, n in enumerate(sizes):
        part, colour = cells.where(n=n), colour_of(index, len(sizes))
        traces.append(dots(tables["points"].where(n=n), "p", quantity, f"runs at n = {amount(n)}", colour))
        rings = [2.5 if row["selected"] else 0 for row in part.records()]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": f"n = {amount(n)}",
                "x": part.column("p"),
                "y": part.column("mean"),
                "line": {"color": colour, "width": 2},
                "marker": {
                    "size": [12 if ring else 7 for ring in rings],
                    "color": ["rgba(0,0,0,0)" if ring else colour for ring in rings],
                    "line": {"color": colour, "width": rings},
                },
                "text": [_size_text(row, quantity) for row in part.records()],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
        ends.append((part.numbers("mean")[-1], f"n = {short(n)}", colour))
    layout = layout_of(frame, right=78)
    layout["annotations"] = end_labels(ends, frame)
    return {"data": traces, "layout": layout}


def validation_figure(curves: Table) -> Figure:
    """Validation quality over training, of the selected width at every n; one line a run."""
    frame, shown = validation_frame(curves), curves.where(selected=1)
    sizes = sorted(set(shown.numbers("n")))
    traces, ends = [], []
    for index, n in enumerate(sizes):
        colour, last = colour_of(index, len(sizes)), []
        part = shown.where(n=int(n))
        for name in dict.fromkeys(part.column("id")):
            run = part.where(id=name)
            last.append(run.numbers("psnr")[-1])
            seed = run.column("seed")[0]
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": f"n = {amount(n)}, seed {seed}",
                    "x": run.column("step"),
                    "y": run.column("psnr"),
                    "line": {"color": colour, "width": 1.5},
                    "hovertemplate": f"n = {amount(n)}, seed {seed}<br>step %{{x:,}}: %{{y:.2f}} dB<extra></extra>",
                }
            )
        ends.append((sum(last) / len(last), f"n = {short(n)}", colour))
    layout = layout_of(frame, right=78)
    layout["annotations"] = end_labels(ends, frame)
    layout["height"] = 340
    return {"data": traces, "layout": layout}


def explanation_figure(drawn: Table, unit: str) -> Figure:
    """The measured curve beside the computed one of a linear estimator, and the floor of that."""
    frame = explanation_frame(drawn, unit)
    traces: list[Figure] = []
    for name, line in (("linear", "solid"), ("floor", "dash"), ("network", "solid")):
        part = drawn.where(series=name)
        ours = name == "network"
        trace: Figure = {
            "type": "scatter",
            "mode": "lines+markers" if ours else "lines",
            "name": SERIES[name],
            "x": part.column("n"),
            "y": part.column("db"),
            "line": {"color": INK if ours else GREEN, "width": 1.5 if ours else 2.4, "dash": line},
            "text": [f"{SERIES[name]}<br>n = {amount(row['n'])}<br>{row['db']:.2f} dB" for row in records(part)],
            "hovertemplate": "%{text}<extra></extra>",
        }
        if ours:
            db, low, high = (part.numbers(column) for column in ("db", "lowest", "highest"))
            trace["marker"] = {"size": 8, "color": INK}
            trace["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": [b - a for a, b in zip(db, high, strict=True)],
                "arrayminus": [a - b for a, b in zip(db, low, strict=True)],
                "color": INK,
                "thickness": 1.5,
                "width": 4,
            }
        traces.append(trace)
    layout = layout_of(frame, right=24) | {"showlegend": True, "legend": LEGEND, "annotations": []}
    return {"data": traces, "layout": layout}


def _size_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    chosen = "<br>selected on validation" if row["selected"] else ""
    cell = f"n = {amount(row['n'])}, p = {short(row['p'])}"
    return f"{cell}<br>mean {quantity.say(row['mean'])}, {row['runs']} run(s){chosen}"
