"""Draws figures with matplotlib, as PNG and SVG files and for a page; the same figure gives the same bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reconscale.errors import UserError

try:
    import matplotlib as mpl
    from matplotlib import figure as mpl_figure
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle
except ModuleNotFoundError as error:
    raise UserError("figures", f"need the package {error.name}, which is not installed",
                    "pip install 'reconscale[figures]'") from error  # fmt: skip

from reconscale.report.colours import GRID, INK, MUTED, with_variables
from reconscale.report.marks import Band, Box, Drawing, Figure, Label, Mark, Rule, Series, Span, Surface

STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
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
    "hatch.linewidth": 0.6,
    "figure.facecolor": "white",
}
DASHES: Any = {"long": (0, (6, 3)), "dense": (0, (1, 0.8))}
"""Those that matplotlib has no name for."""
SMALL = 0.92
"""Size of labels and legends, of that of other text."""


@dataclass(frozen=True)
class Layout:
    """Width in inches, size of the text in points, columns of the legend, and whether room is scarce."""

    width: float
    font: float
    columns: int
    narrow: bool = False


FILE = Layout(8.2, 12.0, 2)
PANELS = Layout(11.5, 12.0, 2)
SCREENS = {"wide": Layout(10.2, 10.5, 3), "narrow": Layout(4.4, 11.0, 1, narrow=True)}
BESIDE = {"wide": SCREENS["wide"], "beside": Layout(6.6, 11.0, 2), "narrow": SCREENS["narrow"]}
"""Of the one picture that stands beside the answer where there is room."""


def figure_files(figure: Figure, title: str) -> dict[str, bytes]:
    """A figure with its title, as ``png`` and ``svg``."""
    return panel_files([(title, figure)])


def panel_files(panels: Sequence[tuple[str, Figure]]) -> dict[str, bytes]:
    """Figures with their titles, two in a row, as ``png`` and ``svg``; the legend is that of the first."""
    files = {}
    with _drawn(panels, FILE if len(panels) == 1 else PANELS, "reconscale") as (canvas, _):
        canvas.draw_without_rendering()
        canvas.set_layout_engine("none")  # one layout for both files; saving would compute it again for each
        for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": "reconscale"})):
            stream = io.BytesIO()
            canvas.savefig(stream, format=kind, dpi=160, metadata=metadata)
            files[kind] = stream.getvalue()
    return files


def page_drawing(figure: Figure, name: str, screens: Mapping[str, Layout] = SCREENS) -> Drawing:
    """A figure for a page; ``name`` keeps the ids inside of it apart from those of other figures.

    Args:
        figure: the figure.
        name: its name.
        screens: name of a width of screen -> layout of the drawing for it.
    """
    marks = [mark for mark in figure.marks if isinstance(mark, Series | Surface)]
    texts = [text for mark in marks for text in _texts(mark)]
    ground = "light" if any(isinstance(mark, Surface) for mark in marks) else ""
    drawing = Drawing({}, {}, [text for text in texts if text], ground)
    for screen, layout in screens.items():
        with _drawn([("", figure)], layout, f"{name}-{screen}") as (canvas, axes):
            canvas.set_dpi(72)
            stream = io.StringIO()
            plain: Any = {"metadata": dict.fromkeys(("Date", "Creator", "Format", "Type")), "transparent": True}
            canvas.savefig(stream, format="svg", **plain)
            drawing.svg[screen] = with_variables(_element(stream.getvalue()))
            places = [place for mark in marks for place in _places(mark, axes[0])]
            drawing.places[screen] = [place for place, text in zip(places, texts, strict=True) if text]
    return drawing


def draw_into(figure: Figure, ax: Any = None) -> Axes:
    """Draw a figure into axes of matplotlib, without the axis of per cent on the right.

    Args:
        figure: the figure.
        ax: the axes; none: those of a new figure of pyplot's, in the style of a report.

    Raises:
        UserError: ``ax`` is something else.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        with mpl.rc_context(STYLE | {"font.size": FILE.font}):
            _, own = plt.subplots(figsize=(FILE.width, figure.height), layout="constrained")
            return _fill(own, figure)
    if not isinstance(ax, Axes):
        raise UserError("ax", f"found a {type(ax).__name__}", "give axes of matplotlib, for instance plt.gca()")
    return _fill(ax, figure)


def _fill(axes: Axes, figure: Figure) -> Axes:
    plain = replace(figure, axes=replace(figure.axes, percent=()))
    layout = replace(FILE, font=float(mpl.rcParams["font.size"]))
    _set_axes(axes, plain, "", layout)
    for order, mark in enumerate(figure.marks):
        _draw(axes, mark, 2 + order / 1000, layout)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=SMALL * layout.font)
    return axes


@contextmanager
def _drawn(
    panels: Sequence[tuple[str, Figure]], layout: Layout, salt: str
) -> Iterator[tuple[mpl_figure.Figure, list[Axes]]]:
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    style = STYLE | {"font.size": layout.font, "svg.hashsalt": salt}
    with mpl.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        canvas = mpl_figure.Figure(figsize=(layout.width, panels[0][1].height * rows), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = list(canvas.subplots(rows, columns, squeeze=False).flat)
        for place, (title, figure) in zip(axes, panels, strict=False):
            _set_axes(place, figure, title, layout)
            for order, mark in enumerate(figure.marks):
                _draw(place, mark, 2 + order / 1000, layout)
        for place in axes[len(panels) :]:
            place.set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            canvas.legend(handles, labels, loc="outside lower left", ncols=layout.columns, frameon=False,
                          fontsize=SMALL * layout.font)  # fmt: skip
        yield canvas, axes


def _set_axes(axes: Axes, figure: Figure, title: str, layout: Layout) -> None:
    """Ranges, ticks, titles and the right axis."""
    spec = figure.axes
    if spec.log_x:
        axes.set_xscale("log")
    every = 2 if layout.narrow and len(spec.x_ticks) > 4 else 1
    axes.set_xticks([v for v, _ in spec.x_ticks[::every]], [t for _, t in spec.x_ticks[::every]], minor=False)
    axes.set_xlabel(spec.x_title)
    axes.xaxis.set_gid("axis-x")
    _set_y(axes, spec.y, spec.log_y, spec.y_ticks, "axis-y")
    axes.set_ylabel(spec.y_title)
    axes.minorticks_off()
    axes.set_xlim(*spec.x)
    above = any(isinstance(mark, Label) and mark.stand == "bottom" and mark.y == 1 for mark in figure.marks)
    axes.set_title(title, loc="left", fontsize=layout.font, fontweight="bold", pad=32 if above else 10)
    if spec.percent:
        right = axes.twinx()
        _set_y(right, spec.y, spec.log_y, spec.percent, "axis-right")
        right.minorticks_off()
        right.set_ylabel(spec.percent_title, color=MUTED)
        right.tick_params(colors=MUTED)
        right.grid(visible=False)
        right.spines["right"].set_visible(True)


def _set_y(axes: Axes, y: tuple[float, float], log: bool, ticks: Sequence[tuple[float, str]], name: str) -> None:
    axes.yaxis.set_gid(name)  # the page's script keeps it in sight
    if log:
        axes.set_yscale("log")
    axes.set_yticks([v for v, _ in ticks], [t for _, t in ticks], minor=False)
    axes.set_ylim(*y)


def _draw(axes: Axes, mark: Mark, order: float, layout: Layout) -> None:
    match mark:
        case Series():
            _draw_series(axes, mark, order)
        case Band():
            area: Any = {"linewidth": 0, "zorder": order}
            axes.fill_between(mark.x, mark.low, mark.high, color=mark.colour, alpha=mark.alpha, **area)
            if mark.hatched:
                area |= {"facecolor": "none", "edgecolor": mark.colour, "hatch": "///"}
                axes.fill_between(mark.x, mark.low, mark.high, alpha=0.35, **area)
        case Rule():
            line = axes.axvline if mark.along == "x" else axes.axhline
            dash = DASHES.get(mark.dash, mark.dash)
            line(mark.at, color=mark.colour, linewidth=mark.width, linestyle=dash, zorder=order)
        case Span():
            axes.axvspan(mark.low, mark.high, color=mark.colour, alpha=mark.alpha, linewidth=0, zorder=1)
        case Box():
            size = mark.x[1] - mark.x[0], mark.y[1] - mark.y[0]
            axes.add_patch(Rectangle((mark.x[0], mark.y[0]), *size, fill=False, edgecolor=mark.colour, linestyle=":",
                                     linewidth=1.2, zorder=order))  # fmt: skip
        case Label():
            _draw_label(axes, mark, layout)
        case Surface():
            _draw_surface(axes, mark, layout)


def _draw_series(axes: Axes, mark: Series, order: float) -> None:
    look: Any = {"color": mark.colour, "alpha": mark.alpha, "zorder": order, "label": mark.name or None,
                 "linestyle": DASHES.get(mark.dash, mark.dash) if mark.width else "none", "linewidth": mark.width,
                 "marker": mark.marker or None, "markersize": mark.size}  # fmt: skip
    if mark.hollow:
        look |= {"markerfacecolor": "white", "markeredgewidth": 2}
    elif mark.marker:
        look["markeredgewidth"] = 2 if mark.marker == "_" else 0
    if len(mark.low):
        y = np.asarray(mark.y)
        bars = [y - np.asarray(mark.low), np.asarray(mark.high) - y]
        axes.errorbar(mark.x, mark.y, bars, capsize=3, elinewidth=1.4, **look)
    else:
        axes.plot(mark.x, mark.y, gid=mark.key, **look)


def _draw_label(axes: Axes, mark: Label, layout: Layout) -> None:
    frames: Any = {"x": axes.get_yaxis_transform(), "y": axes.get_xaxis_transform(), "xy": "axes fraction"}
    axes.annotate(
        mark.short if layout.narrow and mark.short else mark.text,
        (mark.x, mark.y),
        xycoords=frames[mark.within],
        xytext=mark.shift,
        textcoords="offset points",
        ha=mark.align,
        va=mark.stand,
        color=mark.colour,
        fontsize=SMALL * layout.font,
        fontweight="bold" if mark.bold else "normal",
        annotation_clip=False,
    )


def _draw_surface(axes: Axes, mark: Surface, layout: Layout) -> None:
    axes.grid(visible=False)
    if len(mark.levels) > 1:
        ramp = LinearSegmentedColormap.from_list("map", list(mark.ramp))
        axes.contourf(mark.x, mark.y, mark.z, mark.levels, cmap=ramp, extend="both")
        lines = axes.contour(mark.x, mark.y, mark.z, mark.levels, colors="white", linewidths=0.8)
        names: Any = dict(zip(mark.levels, mark.labels, strict=True))
        axes.clabel(lines, fmt=names, fontsize=SMALL * layout.font, colors=INK)


def _texts(mark: Series | Surface) -> list[str]:
    """What every point of a mark says, or nothing."""
    if isinstance(mark, Surface):
        return [text for row in mark.hover for text in row]
    return list(mark.hover) or [""] * len(mark.x)


def _places(mark: Series | Surface, axes: Axes) -> list[tuple[float, float]]:
    """Where the points of a mark lie in a drawing that is saved; far away where they are not to be seen."""
    series = isinstance(mark, Series)
    data = list(zip(mark.x, mark.y, strict=True)) if series else [(x, y) for y in mark.y for x in mark.x]
    seen = axes.get_window_extent().padded(1)
    height = float(axes.figure.bbox.height)
    places = axes.transData.transform(np.asarray(data, dtype=np.float64).reshape(-1, 2)).tolist()
    return [(round(x, 1), round(height - y, 1)) if seen.contains(x, y) else (-999.0, -999.0) for x, y in places]


def _element(svg: str) -> str:
    """The drawing alone: no prologue, no style that would hold for the whole page, no ids but those referred to."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg, count=1)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return re.sub(r'<g id="[^"]*"', "<g", re.sub(r'<g id="(axis-\w+)"', r'<g class="\1"', svg))
