"""The map of n and p, as plotly's JSON, drawn from the tables that are saved beside it and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reconscale.report.frame import GREEN, INK, MAP_RAMP, MUTED, VERMILLION, contours, map_frame
from reconscale.report.plotly_parts import LEGEND, Figure, layout_of, records
from reconscale.report.tables import Table
from reconscale.report.wording import Quantity, amount, general, short


def map_figure(tables: Mapping[str, Table], quantity: Quantity) -> Figure:
    """The expected metric over n and p, with measured cells, the large-enough network and the best use of a budget."""
    frame = map_frame(tables, quantity)
    layout = layout_of(frame) | {"showlegend": True, "legend": LEGEND, "height": 520, "annotations": []}
    layout["shapes"] = _measured_range(tables["map"])
    traces = [_field(tables["map"], quantity), *_frontier(tables["frontier"])]
    traces += [*_budget(tables["budget"]), _cells(tables["network-size"], quantity)]
    return {"data": traces, "layout": layout}


def _field(field: Table, quantity: Quantity) -> Figure:
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


def _cells(cells: Table, quantity: Quantity) -> Figure:
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


def _text(row: Mapping[str, Any], quantity: Quantity) -> str:
    return (
        f"n = {amount(row['n'])}, p = {short(row['p'])}<br>expected {quantity.say(row['median'])}"
        f"<br>90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])}"
    )
