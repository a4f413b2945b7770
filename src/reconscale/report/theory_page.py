"""The paper's theory figure as a page, with its figures and numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure

from reconscale.files import to_json, write_atomic
from reconscale.report.analysis import json_safe
from reconscale.report.axes import BLUE, GREEN, GREY, INK, MUTED, PURPLE, VERMILLION, AxesSpec, log_ticks
from reconscale.report.figures import apply_axes, save
from reconscale.report.format import amount, duration, general, plain
from reconscale.report.page import Plot, render_template
from reconscale.report.plotly_figures import LEGEND, Figure, layout_of, records
from reconscale.report.tables import Grid, Table
from reconscale.report.theory_tables import fits_table, risks_table, summary_table
from reconscale.theory import Experiment, Setting
from reconscale.theory.settings import Landmarks, RiskRow

CURVES = {
    "early_stopped": ("early-stopped gradient descent", BLUE, "circle"),
    "converged": ("converged gradient descent", VERMILLION, "square"),
    "pca": ("PCA", PURPLE, "diamond"),
}
"""Column -> name, colour and sign of what is drawn with error bars."""
LINES = {
    "projection": ("projection on the clean images", GREEN),
    "bound": ("bound, probability 0.99", GREY),
    "optimum": ("optimum R*", INK),
}
"""Column -> name and colour of what is known without drawing."""


def risk_frame(rows: Table) -> AxesSpec:
    """Axes of one setting, wide enough for every marker."""
    n = rows.numbers("n")
    usual = [v for name in ("early_stopped", "pca", "projection") for v in rows.numbers(name)]
    low = min(v for v in [*usual, *rows.numbers("optimum")] if v > 0)
    low = max(low, 1e-12) / 1.6
    peak = max((v for v in rows.numbers("converged") if math.isfinite(v)), default=0.0)
    x, y = (min(n) / 1.25, max(n) * 1.25), (low, max(2.0, 1.6 * peak))
    first, last = math.ceil(math.log10(y[0])), math.floor(math.log10(y[1]))
    every = max(1, (last - first + 5) // 6)
    ticks = tuple((10.0**p, general(10.0**p)) for p in range(first, last + 1) if (p - last) % every == 0)
    return AxesSpec(x, y, log_ticks(*x), ticks, "training images n", "risk per direction", log_y=True)


def marks(rows: Table, knee: float | None) -> list[tuple[float, str]]:
    """Vertical lines: where directions are missing, the knee, and the peak."""
    row = rows.records()[0]
    found = [(float(row["dim"] or 0), "dim"), (float(row["ambient"] or 0), "ambient")]
    if knee is not None:
        found.append((knee, "knee"))
    low, high = min(rows.numbers("n")), max(rows.numbers("n"))
    return sorted((n, name) for n, name in found if low <= n <= high)


def fitted(fits: Table, which: str) -> tuple[list[float], list[float]] | None:
    """End points of a fitted power law, where there is one."""
    row = fits.records()[0]
    if row[f"{which}_exponent"] is None:
        return None
    names = [f"{which}_{name}" for name in ("factor", "exponent", "first", "last")]
    factor, exponent, first, last = (float(row[name] or 0) for name in names)
    return [first, last], [factor * n**exponent for n in (first, last)]


MARKERS = {"circle": "o", "square": "s", "diamond": "D"}


def settings_files(panels: Sequence[tuple[str, Table, Table, float | None]]) -> dict[str, bytes]:
    """Small multiples, one panel (title, its summary, its fits, its knee) each; as ``png`` and ``svg``."""

    def draw(figure: MatplotlibFigure) -> None:
        columns = 1 if len(panels) == 1 else 2
        axes = np.atleast_1d(figure.subplots(-(-len(panels) // columns), columns)).ravel()
        for place, (title, rows, fits, knee) in zip(axes, panels, strict=False):
            _panel(place, title, rows, fits, knee)
        for place in axes[len(panels) :]:
            place.set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, fontsize=11)

    rows = -(-len(panels) // (1 if len(panels) == 1 else 2))
    return save(draw, (8.2 if len(panels) == 1 else 11.5, 1.3 + 3.7 * rows))


def _panel(axes: Axes, title: str, rows: Table, fits: Table, knee: float | None) -> None:
    frame = risk_frame(rows)
    apply_axes(axes, frame, "")
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


Part = tuple[Setting, Sequence[Experiment], Sequence[RiskRow], Landmarks]
"""One setting: what was drawn, its risks by n, where its curve turns."""

RATE = 1e11
"""Floating-point operations a second that the time of full-matrix descent is told for."""

SHORT_CAPTION = "Signs and lines as in the first figure."
CAPTION = (
    "Markers: mean over {runs} training sets, bars one standard deviation; where the mean of the converged risk is "
    "infinite (n within 1 of ambient) the median. Thin lines: deterministic equivalents, computed without drawing. "
    "Thick dotted: power laws over the paper's stretches."
)


def literal_flops(found: Sequence[Experiment]) -> float:
    """What gradient descent on full matrices takes: 4 ambient^2 n a step, k + 101 steps as the paper's code stops."""
    return float(sum(4.0 * e.model.ambient**2 * e.n * (e.k + 101) for e in found))


def report_theory(parts: Sequence[Part], out: Path, *, runs: int, seed: int, seconds: float) -> tuple[Path, Table]:
    """Write the page, the figure of all settings and the CSV files.

    Args:
        parts: the settings.
        out: the folder; made where it is missing.
        runs: training sets at each n.
        seed: of the draws.
        seconds: what the draws took.

    Returns:
        The path of ``theory.html`` and the table of fits.

    Raises:
        UserError: ``out`` cannot be written to.
    """
    risks = risks_table([(setting, found) for setting, found, _, _ in parts])
    summary = summary_table([(setting, rows) for setting, _, rows, _ in parts])
    fits = fits_table([(setting, rows) for setting, _, rows, _ in parts])
    panels = []
    for setting, _, _, marks in parts:
        which = {"dim": setting.model.dim, "ambient": setting.model.ambient, "sigma": setting.model.sigma}
        panels.append((_title(setting), summary.where(**which), fits.where(**which), marks.knee))
    files = settings_files(panels)
    plots = []
    for i, ((title, rows, fit, knee), (_, _, _, marks)) in enumerate(zip(panels, parts, strict=True)):
        caption, svg = (SHORT_CAPTION, b"") if i else (CAPTION.format(runs=runs), files["svg"])
        figure = risk_figure(rows, fit, knee)
        plots.append(Plot(f"setting-{i}", figure, _alt(title, marks), caption, ("summary",), svg, "settings"))
    page = render_template(
        "theory.html.j2",
        figures=True,
        settings=[(title, plot, _turns(part)) for (title, *_), plot, part in zip(panels, plots, parts, strict=True)],
        fits=_fits_grid(fits),
        answer=_answer(parts),
        cost=_cost(parts, seconds),
        command=f"reconscale theory reproduce --runs {runs} --seed {seed}{_named(parts)}",
        files=["risks.csv", "summary.csv", "fits.csv", "settings.png", "settings.svg", "numbers.json"],
    )
    for item in (risks, summary, fits):
        write_atomic(out / f"{item.name}.csv", item.csv())
    for kind, content in files.items():
        write_atomic(out / f"settings.{kind}", content)
    numbers = {"reconscale": version("reconscale"), "runs": runs, "seed": seed, "seconds": seconds,
               "summary": summary.records(), "fits": fits.records()}  # fmt: skip
    write_atomic(out / "numbers.json", to_json(json_safe(numbers)))
    write_atomic(out / "theory.html", page)
    return out / "theory.html", fits


def _title(setting: Setting) -> str:
    model = setting.model
    return f"dim {amount(model.dim)}, ambient {amount(model.ambient)}, σ = {model.sigma:g}"


def _alt(title: str, marks: Landmarks) -> str:
    return f"Risk against n, {title}: all curves fall towards the optimum {general(marks.floor)}."


def _turns(part: Part) -> str:
    """Where one curve turns, in a sentence."""
    marks = part[3]
    said = [f"R* = {general(marks.floor)}", f"directions are missing below n = {amount(marks.cliff)}"]
    if marks.numeric_knee is not None and marks.knee is not None:
        closed = f"2 dim + σ (1 − σ) ambient = {marks.knee:,.0f}"
        said.append(f"twice the optimum at n = {marks.numeric_knee:,.0f} ({closed})")
    if marks.near is not None:
        said.append(f"within 10 % of it at n = {marks.near:,.0f}")
    return "; ".join(said) + "."


def _fits_grid(fits: Table) -> Grid:
    rows = []
    for row in fits.records():
        early, printed_early, expected, pca, printed_pca = (
            "" if row[name] is None else plain(float(row[name] or 0))
            for name in ("early_exponent", "printed_early", "expected_exponent", "pca_exponent", "printed_pca")
        )
        over = [f"{row[f'{which}_first']} to {row[f'{which}_last']}" for which in ("early", "pca")]
        setting = f"{row['dim']}, {row['ambient']}, {row['sigma']:g}"
        rows.append((setting, early, printed_early, expected, over[0], pca, printed_pca, over[1]))
    columns = ("dim, ambient, σ", "#early-stopped", "#printed", "#expected", "over n", "#PCA", "#printed", "over n")
    return Grid("Exponents of the power laws that the paper fits; printed: by its code, for one setting", columns,
                tuple(rows))  # fmt: skip


def _answer(parts: Sequence[Part]) -> str:
    knees = [marks.numeric_knee / setting.model.dim for setting, _, _, marks in parts if marks.numeric_knee]
    ends = sorted({f"{value:.1f}" for value in (min(knees), max(knees))}, key=float) if knees else []
    where = f", {' to '.join(ends)} times dim in these settings" if ends else ""
    return (
        "The risk falls steeply because below n = dim images are missing, not because data obey a power law; it "
        f"flattens at the knee{where}, where what is left is mostly R*: what the measurement does not say of the image."
    )


def _cost(parts: Sequence[Part], seconds: float) -> str:
    found = [e for _, mine, _, _ in parts for e in mine]
    flops = literal_flops(found)
    return (
        f"{len(found):,} training sets took {duration(seconds)}. Gradient descent on full matrices, as the paper's "
        f"code iterates it, takes {flops:.2g} floating-point operations for them: {duration(flops / RATE)} at "
        f"{RATE / 1e9:.0f} GFLOP/s, an assumed rate, without the decompositions of PCA."
    )


def _named(parts: Sequence[Part]) -> str:
    from reconscale.theory import SETTINGS

    chosen = [setting for setting, _, _, _ in parts]
    return "" if chosen == list(SETTINGS) else "".join(f" --setting {setting.name}" for setting in chosen)
