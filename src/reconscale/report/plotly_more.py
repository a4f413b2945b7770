"""Figures of the page about network size and training, as plotly's JSON, drawn from the saved tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconscale.report.frame import GREEN, INK, SERIES, explanation_frame, shade, size_frame, validation_frame
from reconscale.report.plotly_parts import LEGEND, Figure, dots, end_labels, layout_of, records
from reconscale.report.tables import Table
from reconscale.report.wording import Quantity, amount, short


def size_figure(tables: Mapping[str, Table], quantity: Quantity) -> Figure:
    """Quality against p: one line for each n, and every run a dot."""
    frame, cells = size_frame(tables, quantity), tables["network-size"]
    sizes = sorted(set(cells.numbers("n")))
    traces, ends = [], []
    for index, n in enumerate(sizes):
        part, colour = cells.where(n=n), shade(index, len(sizes))
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
        colour, last = shade(index, len(sizes)), []
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


def _size_text(row: Mapping[str, Any], quantity: Quantity) -> str:
    chosen = "<br>selected on validation" if row["selected"] else ""
    cell = f"n = {amount(row['n'])}, p = {short(row['p'])}"
    return f"{cell}<br>mean {quantity.say(row['mean'])}, {row['runs']} run(s){chosen}"
