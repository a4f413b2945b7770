"""The figure of all settings as files (PNG and SVG), drawn from the saved tables alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reconscale.report.drawing import dressed, saved
from reconscale.report.frame import MUTED
from reconscale.report.tables import Table
from reconscale.report.theory.frame import CURVES, LINES, fitted, marks, risk_frame

MARKERS = {"circle": "o", "square": "s", "diamond": "D"}


def settings_files(panels: Sequence[tuple[str, Table, Table, float | None]]) -> dict[str, bytes]:
    """Small multiples, one panel (title, its summary, its fits, its knee) each; as ``png`` and ``svg``."""

    def draw(figure: Figure) -> None:
        columns = 1 if len(panels) == 1 else 2
        axes = np.atleast_1d(figure.subplots(-(-len(panels) // columns), columns)).ravel()
        for place, (title, rows, fits, knee) in zip(axes, panels, strict=False):
            _panel(place, title, rows, fits, knee)
        for place in axes[len(panels) :]:
            place.set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=11)

    rows = -(-len(panels) // (1 if len(panels) == 1 else 2))
    return saved(draw, (8.2 if len(panels) == 1 else 11.5, 1.3 + 3.7 * rows))


def _panel(axes: Axes, title: str, rows: Table, fits: Table, knee: float | None) -> None:
    frame = risk_frame(rows)
    dressed(axes, frame, "")
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=24)
    n = rows.numbers("n")
    for name, (label, colour) in LINES.items():
        if any(v is not None for v in rows.column(name)):
            style = "--" if name != "projection" else "-."
            axes.plot(n, _positive(rows, name), color=colour, lw=1.3, ls=style, label=label)
    for order, (name, (label, colour, sign)) in enumerate(reversed(CURVES.items())):
        axes.plot(n, _positive(rows, f"expected_{name}"), color=colour, lw=1, alpha=0.7, zorder=3 + order)
        mean, spread = _positive(rows, name), np.nan_to_num(rows.numbers(f"{name}_sd"))
        down = np.minimum(spread, 0.95 * np.nan_to_num(mean))
        bars: Any = {"yerr": [down, spread], "fmt": MARKERS[sign], "ms": 4, "lw": 1, "capsize": 2}
        axes.errorbar(n, mean, color=colour, label=label, zorder=3 + order, **bars)
    for which, name in (("early", "early_stopped"), ("pca", "pca")):
        if (ends := fitted(fits, which)) is not None:
            axes.plot(*ends, color=CURVES[name][1], lw=4.5, alpha=0.35, ls=(0, (1, 0.8)))
    for index, (at, name) in enumerate(marks(rows, knee)):
        axes.axvline(at, color=MUTED, lw=0.8, ls=":", zorder=0)
        axes.annotate(name, (at, 1), xycoords=("data", "axes fraction"), xytext=(0, 2 + 9 * (index % 2)),
                      textcoords="offset points", ha="center", va="bottom", fontsize=9, color=MUTED)  # fmt: skip


def _positive(rows: Table, name: str) -> np.ndarray:
    values = np.array(rows.numbers(name))
    return np.where(values > 0, values, np.nan)
