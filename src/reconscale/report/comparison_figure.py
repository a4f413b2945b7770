"""The figure of two methods, for the page and as files, drawn from the saved tables alone."""

from __future__ import annotations

import html
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from reconscale.report.axes import BLUE, GREY, VERMILLION, AxesSpec, curves_frame
from reconscale.report.figures import apply_axes, save
from reconscale.report.format import MetricFormat, amount
from reconscale.report.plotly_figures import LEGEND, Figure, layout_of, records
from reconscale.report.tables import Table

LOOKS = ((BLUE, "circle", "o"), (VERMILLION, "diamond", "D"))
"""Colour and marker of the first and the second method."""
Stretch = tuple[float, float, float]
"""Low end, middle and high end of the crossing; may be infinite."""


def frame_of(points: Table, bands: Table, quantity: MetricFormat) -> AxesSpec:
    """Axes for both methods."""
    n = [*points.numbers("n"), *bands.numbers("n")]
    band = [*bands.numbers("low90"), *bands.numbers("high90")]
    return curves_frame((min(n), max(n)), points.numbers("value"), band, quantity)


def names_of(points: Table) -> list[str]:
    """The methods, in order."""
    return list(dict.fromkeys(str(name) for name in points.column("method")))


def comparison_figure(points: Table, bands: Table, frame: AxesSpec, stretch: Stretch) -> Figure:
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


def _crossing(frame: AxesSpec, stretch: Stretch) -> list[Figure]:
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


def comparison_files(points: Table, bands: Table, frame: AxesSpec, stretch: Stretch, title: str) -> dict[str, bytes]:
    """The same figure as ``png`` and ``svg``."""

    def draw(figure: Drawing) -> None:
        axes = figure.subplots()
        _drawn(axes, points, bands, frame, stretch)
        apply_axes(axes, frame, title)
        axes.legend(loc="lower right", frameon=False)

    return save(draw, (8.2, 5.2))


def _drawn(axes: Axes, points: Table, bands: Table, frame: AxesSpec, stretch: Stretch) -> None:
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
