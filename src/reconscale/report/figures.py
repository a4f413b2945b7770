"""The figures as files (PNG and SVG), drawn from the tables that are saved beside them, and from nothing else."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reconscale.report.axes import (
    BLUE,
    GREEN,
    GREY,
    GRID,
    INK,
    MAP_RAMP,
    MUTED,
    PURPLE,
    SERIES,
    VERMILLION,
    AxesSpec,
    colour_of,
    contours,
    explanation_frame,
    heading,
    map_frame,
    offset_backtest,
    quality_frame,
    segments,
    size_frame,
    spread_labels,
    validation_frame,
)
from reconscale.report.format import MetricFormat, general, short
from reconscale.report.tables import Table

STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "reconscale",
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
}
DOTS_PER_INCH = 160


def save(draw: Callable[[Figure], None], size: tuple[float, float]) -> dict[str, bytes]:
    """Draw once, save twice, as ``png`` and ``svg``; the same tables give the same bytes.

    Args:
        draw: draws on an empty figure.
        size: width and height, in inches.
    """
    files = {}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": "reconscale"})):
            stream = io.BytesIO()
            figure.savefig(stream, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
            files[kind] = stream.getvalue()
    return files


def apply_axes(axes: Axes, frame: AxesSpec, title: str) -> None:
    """Set ranges, ticks, titles and the right axis."""
    if frame.log_x:
        axes.set_xscale("log")
    if frame.log_y:
        axes.set_yscale("log")
    axes.set_xlim(*frame.x)
    axes.set_ylim(*frame.y)
    axes.set_xticks([v for v, _ in frame.x_ticks], [t for _, t in frame.x_ticks], minor=False)
    axes.set_yticks([v for v, _ in frame.y_ticks], [t for _, t in frame.y_ticks], minor=False)
    axes.minorticks_off()
    axes.set_xlabel(frame.x_title)
    axes.set_ylabel(frame.y_title)
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=22 if frame.percent else 10)
    if frame.percent:
        right = axes.twinx()
        if frame.log_y:
            right.set_yscale("log")
        right.set_ylim(*frame.y)
        right.set_yticks([v for v, _ in frame.percent], [t for _, t in frame.percent], minor=False)
        right.minorticks_off()
        right.set_ylabel(frame.percent_title, color=MUTED)
        right.tick_params(colors=MUTED)
        right.grid(False)
        right.spines["right"].set_visible(True)


FILL = {"measured range": (0.20, 0.26), "up to 4x": (0.13, 0.18), "up to 10x": (0.0, 0.12), "beyond 10x": (0.0, 0.08)}
DASH = {"measured range": "-", "up to 4x": "--", "up to 10x": ":", "beyond 10x": ":"}


def quality_files(tables: Mapping[str, Table], quantity: MetricFormat, title: str) -> dict[str, bytes]:
    """The main figure, quality against n, as ``png`` and ``svg``."""
    frame = quality_frame(tables, quantity)
    return _files(lambda axes: _quality(axes, tables, quantity, frame), frame, title, (8.2, 5.4))


def map_files(tables: Mapping[str, Table], quantity: MetricFormat, title: str) -> dict[str, bytes]:
    """The map of n and p, as ``png`` and ``svg``."""
    frame = map_frame(tables, quantity)
    return _files(lambda axes: _map(axes, tables, quantity), frame, title, (8.2, 5.6))


def size_files(tables: Mapping[str, Table], quantity: MetricFormat, title: str) -> dict[str, bytes]:
    """Quality against p, one line for each n, as ``png`` and ``svg``."""
    frame = size_frame(tables, quantity)
    return _files(lambda axes: _size(axes, tables, quantity, frame), frame, title, (8.2, 4.6))


def validation_files(curves: Table, title: str) -> dict[str, bytes]:
    """Validation quality over training, as ``png`` and ``svg``."""
    frame = validation_frame(curves)
    return _files(lambda axes: _validation(axes, curves, frame), frame, title, (8.2, 3.8))


def explanation_files(drawn: Table, unit: str, title: str) -> dict[str, bytes]:
    """The measured curve beside the computed one of a linear estimator, as ``png`` and ``svg``."""
    frame = explanation_frame(drawn, unit)
    return _files(lambda axes: _explanation(axes, drawn), frame, title, (8.2, 4.6))


def _files(draw: Callable[[Axes], None], frame: AxesSpec, title: str, size: tuple[float, float]) -> dict[str, bytes]:
    """One pair of axes with a legend below."""

    def drawn(figure: Figure) -> None:
        axes = figure.add_subplot()
        apply_axes(axes, frame, title)
        draw(axes)
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=11)

    return save(drawn, size)


def _quality(axes: Axes, tables: Mapping[str, Table], quantity: MetricFormat, frame: AxesSpec) -> None:
    for index, (status, rows) in enumerate(segments(tables["fan"])):
        n = [row["n"] for row in rows]
        far = status in ("up to 10x", "beyond 10x")
        for level, opacity in zip(("90", "50"), FILL[status], strict=True):
            low, high = ([row[f"{side}{level}"] for row in rows] for side in ("low", "high"))
            axes.fill_between(n, low, high, color=BLUE, alpha=opacity, linewidth=0, gid=f"band{level}-{index}")
            if far and level == "90":
                axes.fill_between(n, low, high, facecolor="none", edgecolor=BLUE, hatch="///", alpha=0.35, linewidth=0)
        axes.plot(n, [row["median"] for row in rows], DASH[status], color=BLUE, linewidth=2, gid=f"expected-{index}")
        if index:
            axes.axvline(n[0], color=MUTED, linewidth=0.8, linestyle=":")
        middle = (max(frame.x[0], n[0]) * n[-1]) ** 0.5
        axes.annotate(
            heading(frame, status, n[0], n[-1]),
            (middle, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=MUTED,
            fontsize=11,
        )
    _anchor_lines(axes, tables["anchors"], quantity, frame)
    points, curve = tables["points"].where(selected=1), tables["curve"]
    axes.plot(curve.numbers("n"), curve.numbers("mean"), "_", color=INK, markersize=14, markeredgewidth=2, gid="means",
              label="mean over seeds")  # fmt: skip
    axes.plot(
        points.numbers("n"),
        points.numbers(quantity.metric),
        "o",
        color=INK,
        alpha=0.6,
        markersize=4.5,
        markeredgewidth=0,
        gid="runs",
        label="every run",
    )
    _heldback(axes, tables["backtest"], frame)


def _heldback(axes: Axes, backtest: Table, frame: AxesSpec) -> None:
    """For each size held back: the forecast made without it, its middle and 90 % interval."""
    rows = offset_backtest(backtest, frame)
    if rows:
        middle = [row["median"] for _, row in rows]
        ends = [[row["median"] - row["low90"] for _, row in rows], [row["high90"] - row["median"] for _, row in rows]]
        axes.errorbar([x for x, _ in rows], middle, ends, fmt="D", color=PURPLE, markerfacecolor="white", markersize=5,
                      capsize=3, linewidth=1.6, label="forecast made without this size, 90 %")  # fmt: skip


def _map(axes: Axes, tables: Mapping[str, Table], quantity: MetricFormat) -> None:
    field, cells = tables["map"], tables["network-size"]
    across, up = (sorted(set(field.numbers(name))) for name in ("n", "p"))
    rows = {(row["n"], row["p"]): row["median"] for row in field.records()}
    value = np.array([[rows[n, p] for n in across] for p in up], dtype=np.float64)
    levels = contours(field.numbers("median"), quantity.metric)
    ramp = MAP_RAMP if quantity.larger_is_better else MAP_RAMP[::-1]
    axes.grid(False)
    if len(levels) > 1:
        cmap = LinearSegmentedColormap.from_list("map", list(ramp))
        axes.contourf(across, up, value, levels, cmap=cmap, extend="both")
        lines = axes.contour(across, up, value, levels, colors="white", linewidths=0.8)
        text = {level: quantity.bare(level) if quantity.metric == "error" else general(level) for level in levels}
        axes.clabel(lines, fmt=text, fontsize=10, colors=INK)
    inside = field.where(measured_range=1)
    n, p = inside.numbers("n"), inside.numbers("p")
    size = (max(n) - min(n), max(p) - min(p))
    axes.add_patch(Rectangle((min(n), min(p)), *size, fill=False, edgecolor=MUTED, linestyle=":", linewidth=1.2))
    _map_lines(axes, tables)
    chosen, rest = cells.where(selected=1), cells.where(selected=0)
    axes.plot(rest.numbers("n"), rest.numbers("p"), "o", color=INK, markersize=5, label="measured")
    axes.plot(chosen.numbers("n"), chosen.numbers("p"), "o", markersize=8, markerfacecolor="white",
              markeredgecolor=INK, markeredgewidth=2, label="measured, selected")  # fmt: skip


def _map_lines(axes: Axes, tables: Mapping[str, Table]) -> None:
    frontier, budget = tables["frontier"], tables["budget"]
    for column, dash, width, label in (
        ("median", "-", 2.4, "network that is large enough"),
        ("low90", ":", 1.3, "its 90 % interval"),
        ("high90", ":", 1.3, None),
    ):
        if any(cell is not None for cell in frontier.column(column)):
            axes.plot(frontier.numbers("n"), frontier.numbers(column), dash, color=VERMILLION, linewidth=width,
                      label=label, gid=f"frontier-{column}")  # fmt: skip
    if len(budget) > 1:
        axes.plot(budget.numbers("n"), budget.numbers("p"), "--", color=GREEN, linewidth=2,
                  label="best n and p for the same n p", gid="budget")  # fmt: skip


def _anchor_lines(axes: Axes, anchors: Table, quantity: MetricFormat, frame: AxesSpec) -> None:
    outside = {"low": 0, "high": 0}
    crowded = any(frame.holds(value) and frame.height(value) < 0.14 for value in anchors.numbers("value"))
    for row in anchors.records():
        value, colour = float(row["value"] or 0), VERMILLION if row["kind"] == "classical" else GREY
        label = f"{row['label']} {quantity.say(value)}"
        if frame.holds(value):
            axes.axhline(value, color=colour, linewidth=1.6, linestyle=(0, (6, 3)))
            axes.annotate(
                label,
                (0.99, value),
                xycoords=axes.get_yaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                va="bottom",
                color=colour,
            )
            continue
        edge = "low" if value < frame.y[0] else "high"
        shift = (4 + 16 * outside[edge]) * (1 if edge == "low" else -1)
        outside[edge] += 1
        axes.annotate(
            f"{'↓' if edge == 'low' else '↑'} {label}",
            (0.6 if crowded and edge == "low" else 0.99, 0 if edge == "low" else 1),
            xycoords="axes fraction",
            xytext=(0, shift),
            textcoords="offset points",
            ha="right",
            va="bottom" if edge == "low" else "top",
            color=colour,
        )


def _size(axes: Axes, tables: Mapping[str, Table], quantity: MetricFormat, frame: AxesSpec) -> None:
    cells = tables["network-size"]
    sizes = sorted(set(cells.numbers("n")))
    ends = []
    for index, n in enumerate(sizes):
        part, dots, colour = cells.where(n=n), tables["points"].where(n=n), colour_of(index, len(sizes))
        p, mean = part.numbers("p"), part.numbers("mean")
        axes.plot(dots.numbers("p"), dots.numbers(quantity.metric), "o", color=colour, alpha=0.6, markersize=4)
        axes.plot(p, mean, "-o", color=colour, linewidth=1.8, markersize=5, gid=f"size-{index}")
        chosen = part.where(selected=1)
        axes.plot(
            chosen.numbers("p"),
            chosen.numbers("mean"),
            "o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=2,
        )
        ends.append((mean[-1], f"n = {short(n)}"))
    _end_labels(axes, ends, frame)


def _validation(axes: Axes, curves: Table, frame: AxesSpec) -> None:
    shown = curves.where(selected=1)
    sizes = sorted(set(shown.numbers("n")))
    ends = []
    for index, n in enumerate(sizes):
        part, last = shown.where(n=int(n)), []
        for name in dict.fromkeys(part.column("id")):
            run = part.where(id=name)
            axes.plot(run.numbers("step"), run.numbers("psnr"), color=colour_of(index, len(sizes)), linewidth=1.3)
            last.append(run.numbers("psnr")[-1])
        ends.append((sum(last) / len(last), f"n = {short(n)}"))
    _end_labels(axes, ends, frame)


def _explanation(axes: Axes, drawn: Table) -> None:
    network, linear, floor = (drawn.where(series=name) for name in ("network", "linear", "floor"))
    middle, low, high = (np.array(network.numbers(name)) for name in ("db", "lowest", "highest"))
    axes.errorbar(network.numbers("n"), middle, [middle - low, high - middle], fmt="o-", color=INK, linewidth=1.4,
                  markersize=6, capsize=3, label=SERIES["network"])  # fmt: skip
    axes.plot(linear.numbers("n"), linear.numbers("db"), "-", color=GREEN, linewidth=2.2, label=SERIES["linear"],
              gid="linear")  # fmt: skip
    axes.plot(floor.numbers("n"), floor.numbers("db"), "--", color=GREEN, linewidth=1.6, label=SERIES["floor"],
              gid="linear-floor")  # fmt: skip


def _end_labels(axes: Axes, ends: list[tuple[float, str]], frame: AxesSpec) -> None:
    inside = [frame.height(min(max(value, frame.y[0]), frame.y[1])) for value, _ in ends]
    for height, (_, label) in zip(spread_labels(inside, 0.06), ends, strict=True):
        axes.annotate(
            label,
            (1, height),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            fontweight="bold",
            annotation_clip=False,
        )
