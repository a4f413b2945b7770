"""How figures are drawn and saved as files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reconscale.report.frame import GRID, INK, MUTED, Frame

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


def saved(draw: Callable[[Figure], None], size: tuple[float, float]) -> dict[str, bytes]:
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


def dressed(axes: Axes, frame: Frame, title: str) -> None:
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
