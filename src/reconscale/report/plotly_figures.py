"""The main figure of the page, as plotly's JSON, drawn from the tables that are saved beside it and nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

from reconscale.report.axes import (
    BLUE,
    GREY,
    GRID,
    INK,
    MUTED,
    PURPLE,
    STRETCHES,
    VERMILLION,
    AxesSpec,
    heading,
    offset_backtest,
    quality_frame,
    segments,
    spread_labels,
)
from reconscale.report.format import MetricFormat, amount
from reconscale.report.tables import Table

Figure = dict[str, Any]

LEGEND: Figure = {
    "orientation": "h",
    "x": 0,
    "xanchor": "left",
    "yref": "container",
    "y": 0,
    "yanchor": "bottom",
    "font": {"size": 13, "color": INK},
    "itemclick": False,
    "itemdoubleclick": False,
}


def dots(points: Table, axis: str, quantity: MetricFormat, name: str, colour: str) -> Figure:
    """Every run a dot, at its n or p."""
    texts = [
        f"n = {amount(row['n'])}"
        + (f", width {row['width']}" if row["width"] is not None else "")
        + (f", seed {row['seed']}" if row["seed"] is not None else "")
        + f"<br>{quantity.say(row[quantity.metric])}"
        for row in records(points)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": points.column(axis),
        "y": points.column(quantity.metric),
        "marker": {"size": 6.5, "color": colour, "opacity": 0.6},
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
    }


def end_labels(ends: list[tuple[float, str, str]], frame: AxesSpec) -> list[Figure]:
    """Names of curves (value, label, colour) at their right end, pushed apart."""
    heights = spread_labels([frame.height(min(max(value, frame.y[0]), frame.y[1])) for value, _, _ in ends], 0.065)
    return [
        {
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 4,
            "yref": "paper",
            "y": height,
            "yanchor": "middle",
            "text": f"<b>{label}</b>",
            "showarrow": False,
            "font": {"size": 12, "color": INK},
        }
        for height, (_, label, _) in zip(heights, ends, strict=True)
    ]


def layout_of(frame: AxesSpec, right: int = 88) -> Figure:
    """AxesSpec, font and margins; no legend."""
    font = {
        "family": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
        "size": 13,
        "color": INK,
    }
    axis = {
        "gridcolor": GRID,
        "linecolor": MUTED,
        "showline": True,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": MUTED,
        "tickmode": "array",
        "tickangle": 0,
        "automargin": True,
        "fixedrange": False,
    }
    log = [math.log10(v) for v in frame.x] if frame.log_x else list(frame.x)
    tall = [math.log10(v) for v in frame.y] if frame.log_y else list(frame.y)
    layout: Figure = {
        "font": font,
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "showlegend": False,
        "autosize": True,
        "height": 460,
        "margin": {"l": 62, "r": right, "t": 26, "b": 56},
        "hovermode": "closest",
        "dragmode": "pan",
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": MUTED, "font": {"size": 13, "color": INK}},
        "xaxis": {
            **axis,
            "type": "log" if frame.log_x else "linear",
            "range": log,
            "title": {"text": html.escape(frame.x_title), "standoff": 8},
            "tickvals": [v for v, _ in frame.x_ticks],
            "ticktext": [t for _, t in frame.x_ticks],
        },
        "yaxis": {
            **axis,
            "type": "log" if frame.log_y else "linear",
            "range": tall,
            "title": {"text": html.escape(frame.y_title), "standoff": 8},
            "tickvals": [v for v, _ in frame.y_ticks],
            "ticktext": [t for _, t in frame.y_ticks],
        },
    }
    if frame.percent:
        layout["yaxis2"] = {
            **axis,
            "overlaying": "y",
            "side": "right",
            "matches": "y",
            "showgrid": False,
            "type": "log" if frame.log_y else "linear",
            "range": tall,
            "title": {"text": html.escape(frame.percent_title), "standoff": 12, "font": {"color": MUTED}},
            "tickfont": {"color": MUTED},
            "tickvals": [v for v, _ in frame.percent],
            "ticktext": [t for _, t in frame.percent],
        }
    return layout


def records(table: Table) -> list[dict[str, Any]]:
    """The rows of a table, as JSON."""
    return list(table.records())


FILL = {"measured range": (0.20, 0.26), "up to 4x": (0.13, 0.18), "up to 10x": (0.04, 0.10), "beyond 10x": (0.03, 0.07)}
"""Opacity of the 90 % band and what the 50 % band adds to it, by stretch."""
DASH = {"measured range": "solid", "up to 4x": "dash", "up to 10x": "dot", "beyond 10x": "dot"}


def quality_figure(tables: Mapping[str, Table], quantity: MetricFormat) -> Figure:
    """Quality against n: every run a dot, means, the band, anchors, and the error in per cent on the right."""
    frame = quality_frame(tables, quantity)
    traces: list[Figure] = []
    notes = []
    for status, rows in segments(tables["fan"]):
        traces += _band(rows, status, quantity)
    points = tables["points"].where(selected=1)
    curve = tables["curve"]
    texts = [_curve_text(row, quantity) for row in curve.records()]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "mean over seeds",
            "showlegend": True,
            "x": curve.column("n"),
            "y": curve.column("mean"),
            "marker": {"size": 11, "symbol": "line-ew", "line": {"color": INK, "width": 2.5}},
            "text": texts,
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    traces.append({**dots(points, "n", quantity, "every run", INK), "showlegend": True})
    traces += _heldback(tables["backtest"], frame, quantity)
    if frame.percent:
        ghost = {"type": "scatter", "name": "right axis", "x": [frame.x[0]], "y": [frame.percent[0][0]], "yaxis": "y2"}
        traces.append({**ghost, "mode": "markers", "marker": {"opacity": 0}, "hoverinfo": "skip", "showlegend": False})
    layout = layout_of(frame) | {"showlegend": True, "legend": LEGEND, "height": 500}
    shapes, labels = _anchors(tables["anchors"], frame, quantity)
    notes += labels + _headings(tables["fan"], frame)
    layout["shapes"] = shapes + _borders(tables["fan"])
    layout["annotations"] = notes
    return {"data": traces, "layout": layout}


def _band(rows: list[dict[str, Any]], status: str, quantity: MetricFormat) -> list[Figure]:
    n = [row["n"] for row in rows]
    far = status in ("up to 10x", "beyond 10x")
    traces = []
    for level, opacity in zip(("90", "50"), FILL[status], strict=True):
        trace: Figure = {
            "type": "scatter",
            "mode": "lines",
            "name": f"{level} % band, {status}",
            "x": n + n[::-1],
            "y": [row[f"high{level}"] for row in rows] + [row[f"low{level}"] for row in rows[::-1]],
            "fill": "toself",
            "fillcolor": f"rgba(0,114,178,{opacity})",
            "hoverinfo": "skip",
            "line": {"width": 0, "color": BLUE},
            "showlegend": False,
        }
        if far and level == "90":
            trace["fillpattern"] = {
                "shape": "/",
                "fgcolor": BLUE,
                "fgopacity": 0.28,
                "size": 8,
                "solidity": 0.12,
                "bgcolor": f"rgba(0,114,178,{opacity})",
            }
        traces.append(trace)
    texts = [_fan_text(row, quantity) for row in rows]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"expected, {status}",
            "showlegend": False,
            "x": n,
            "y": [row["median"] for row in rows],
            "line": {"color": BLUE, "width": 2.5, "dash": DASH[status]},
            "text": texts,
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    return traces


def _heldback(backtest: Table, frame: AxesSpec, quantity: MetricFormat) -> list[Figure]:
    """For each size held back: the forecast made without it, its middle and 90 % interval, beside what was measured."""
    rows = offset_backtest(backtest, frame)
    if not rows:
        return []
    middle = [row["median"] for _, row in rows]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "forecast made without this size, 90 %",
            "showlegend": True,
            "x": [x for x, _ in rows],
            "y": middle,
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": [row["high90"] - row["median"] for _, row in rows],
                "arrayminus": [row["median"] - row["low90"] for _, row in rows],
                "color": PURPLE,
                "thickness": 2,
                "width": 5,
            },
            "marker": {"symbol": "diamond-open", "size": 9, "color": PURPLE, "line": {"width": 2}},
            "text": [_held_text(row, quantity) for _, row in rows],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]


def _anchors(anchors: Table, frame: AxesSpec, quantity: MetricFormat) -> tuple[list[Figure], list[Figure]]:
    """Lines for anchors that lie within the frame, and notes at its edge for those that do not."""
    shapes, notes = [], []
    outside: dict[str, int] = {}
    crowded = any(frame.holds(value) and frame.height(value) < 0.14 for value in anchors.numbers("value"))
    for row in records(anchors):
        value, colour = float(row["value"]), VERMILLION if row["kind"] == "classical" else GREY
        label = f"{html.escape(str(row['label']))} {quantity.say(value)}"
        note = {
            "xref": "paper",
            "x": 0.99,
            "xanchor": "right",
            "showarrow": False,
            "font": {"size": 13, "color": colour},
            "bgcolor": "rgba(255,255,255,0.8)",
            "borderpad": 1,
        }
        if frame.holds(value):
            shapes.append(
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": value,
                    "y1": value,
                    "layer": "below",
                    "line": {"color": colour, "width": 2, "dash": "longdash"},
                }
            )
            at = math.log10(value) if frame.log_y else value
            notes.append({**note, "y": at, "yanchor": "bottom", "text": label})
            continue
        edge = "low" if value < frame.y[0] else "high"
        outside[edge] = outside.get(edge, 0) + 1
        shift = 20 * (outside[edge] - 1)
        bottom = edge == "low"
        notes.append(
            {
                **note,
                "x": 0.6 if crowded and bottom else 0.99,
                "yref": "paper",
                "y": 0 if bottom else 1,
                "yanchor": "bottom" if bottom else "top",
                "yshift": shift if bottom else -shift,
                "text": f"{'↓' if bottom else '↑'} {label}",
            }
        )
    return shapes, notes


def _headings(fan: Table, frame: AxesSpec) -> list[Figure]:
    notes = []
    for status, rows in segments(fan):
        left, right = max(frame.x[0], rows[0]["n"]), rows[-1]["n"]
        middle = (math.log10(left) + math.log10(right)) / 2
        notes.append(
            {
                "x": middle,
                "yref": "paper",
                "y": 1,
                "yanchor": "bottom",
                "yshift": 3,
                "name": dict(STRETCHES)[status].split()[-1],
                "text": heading(frame, status, left, right),
                "showarrow": False,
                "font": {"size": 12, "color": MUTED},
            }
        )
    return notes


def _borders(fan: Table) -> list[Figure]:
    """A thin line where the data end, and where the forecast becomes less sure."""
    return [
        {
            "type": "line",
            "x0": rows[0]["n"],
            "x1": rows[0]["n"],
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {"color": MUTED, "width": 1, "dash": "dot"},
        }
        for _, rows in segments(fan)[1:]
    ]


def _curve_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    width = f", width {row['width']}" if row["width"] is not None else ""
    sd = f", sd between seeds {quantity.bare(row['sd'])}" if row["sd"] is not None else ""
    return f"n = {amount(row['n'])}{width}<br>mean {quantity.say(row['mean'])}{sd}<br>{row['runs']} run(s)"


def _fan_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    return (
        f"n = {amount(row['n'])} ({row['status']})<br>expected {quantity.say(row['median'])}"
        f"<br>50 %: {quantity.bare(row['low50'])} to {quantity.bare(row['high50'])}"
        f"<br>90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])}"
    )


def _held_text(row: Mapping[str, Any], quantity: MetricFormat) -> str:
    return (
        f"n = {amount(row['n'])} as forecast from n up to {amount(row['stopped_at'])}<br>"
        f"{quantity.say(row['median'])} (90 %: {quantity.bare(row['low90'])} to {quantity.bare(row['high90'])})"
        f"<br>measured {quantity.say(row['measured'])}"
    )
