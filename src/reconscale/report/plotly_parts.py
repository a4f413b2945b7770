"""Parts that the figures of the page share, as plotly's JSON."""

from __future__ import annotations

import html
import math
from typing import Any

from reconscale.report.frame import GRID, INK, MUTED, Frame, spread
from reconscale.report.tables import Table
from reconscale.report.wording import Quantity, amount

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


def dots(points: Table, axis: str, quantity: Quantity, name: str, colour: str) -> Figure:
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


def end_labels(ends: list[tuple[float, str, str]], frame: Frame) -> list[Figure]:
    """Names of curves (value, label, colour) at their right end, pushed apart."""
    heights = spread([frame.height(min(max(value, frame.y[0]), frame.y[1])) for value, _, _ in ends], 0.065)
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


def layout_of(frame: Frame, right: int = 88) -> Figure:
    """Axes, font and margins; no legend."""
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
