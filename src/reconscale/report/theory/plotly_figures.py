"""Figures of the theory's page, as plotly's JSON, drawn from the saved tables alone."""

from __future__ import annotations

import math
from typing import Any

from reconscale.report.frame import MUTED
from reconscale.report.plotly_parts import LEGEND, Figure, layout_of, records
from reconscale.report.tables import Table
from reconscale.report.theory.frame import CURVES, LINES, fitted, marks, risk_frame
from reconscale.report.wording import amount, general


def risk_figure(rows: Table, fits: Table, knee: float | None) -> Figure:
    """Risk against n of one setting."""
    frame = risk_frame(rows)
    traces = [_line(rows, name) for name in LINES if any(v is not None for v in rows.column(name))]
    for name in reversed(CURVES):
        traces += [_expected(rows, name), _drawn(rows, name)]
    for which, name in (("early", "early_stopped"), ("pca", "pca")):
        ends = fitted(fits, which)
        if ends is None:
            continue
        exponent = float(fits.records()[0][f"{which}_exponent"] or 0)
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": f"fit n^{exponent:.2f}", "x": ends[0], "y": ends[1],
                "line": {"color": CURVES[name][1], "width": 5, "dash": "dot"}, "opacity": 0.45,
                "showlegend": False, "hovertemplate": f"fit n^{exponent:.2f}<extra></extra>",
            }
        )  # fmt: skip
    layout = layout_of(frame, right=20) | {"showlegend": True, "legend": LEGEND, "height": 520}
    layout["margin"] |= {"t": 44, "b": 130}
    layout["shapes"], layout["annotations"] = _marks(rows, knee)
    return {"data": traces, "layout": layout}


def _line(rows: Table, name: str) -> Figure:
    title, colour = LINES[name]
    return {
        "type": "scatter", "mode": "lines", "name": title, "x": rows.column("n"), "y": _positive_or_none(rows, name),
        "line": {"color": colour, "width": 1.5, "dash": "dash" if name != "projection" else "longdashdot"},
        "hovertemplate": f"{title}<br>n = %{{x:,}}<br>%{{y:.4g}}<extra></extra>",
    }  # fmt: skip


def _expected(rows: Table, name: str) -> Figure:
    return {
        "type": "scatter", "mode": "lines", "x": rows.column("n"), "y": _positive_or_none(rows, f"expected_{name}"),
        "line": {"color": CURVES[name][1], "width": 1.2}, "opacity": 0.7, "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip


def _drawn(rows: Table, name: str) -> Figure:
    title, colour, sign = CURVES[name]
    spread = [0.0 if sd is None else float(sd) for sd in rows.column(f"{name}_sd")]
    down = [min(sd, 0.95 * float(mean or 0)) for sd, mean in zip(spread, rows.column(name), strict=True)]
    return {
        "type": "scatter", "mode": "markers", "name": title, "x": rows.column("n"), "y": _positive_or_none(rows, name),
        "marker": {"color": colour, "size": 7, "symbol": sign},
        "error_y": {"type": "data", "symmetric": False, "array": spread, "arrayminus": down, "color": colour,
                    "thickness": 1.2, "width": 3},
        "text": [_text(row, name, title) for row in records(rows)], "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip


def _text(row: dict[str, Any], name: str, title: str) -> str:
    sd = row[f"{name}_sd"]
    spread = "median; the mean is infinite" if sd is None else f"± {general(sd)} over runs"
    steps = f"<br>at k = {row['k']:.0f}" if name == "early_stopped" else ""
    return f"{title}<br>n = {amount(row['n'])}<br>{general(row[name])} {spread}{steps}"


def _marks(rows: Table, knee: float | None) -> tuple[list[Figure], list[Figure]]:
    shapes, notes = [], []
    for index, (n, name) in enumerate(marks(rows, knee)):
        line = {"color": MUTED, "width": 1, "dash": "dot"}
        ends = {"xref": "x", "yref": "paper", "x0": n, "x1": n, "y0": 0, "y1": 1}
        shapes.append({"type": "line", "layer": "below", "line": line, **ends})
        place = {
            "xref": "x",
            "yref": "paper",
            "x": math.log10(n),
            "y": 1,
            "yanchor": "bottom",
            "yshift": 12 * (index % 2),
        }
        notes.append({"text": name, "showarrow": False, "font": {"size": 12, "color": MUTED}, **place})
    return shapes, notes


def _positive_or_none(rows: Table, name: str) -> list[float | None]:
    """Values that a logarithmic axis can show."""
    return [None if v is None or not float(v) > 0 else float(v) for v in rows.column(name)]
