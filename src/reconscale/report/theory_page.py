"""The paper's theory figure as a page, with its figures and numbers beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reconscale.files import to_json, write_atomic
from reconscale.format import amount, duration, general, plain
from reconscale.report.analysis import json_safe
from reconscale.report.axes import AxesSpec, log_ticks
from reconscale.report.colours import BLUE, GREEN, GREY, INK, PURPLE, VERMILLION
from reconscale.report.marks import Dash, Figure, Label, Mark, Rule, Series
from reconscale.report.page import Plot, render_template
from reconscale.report.tables import Cell, Grid, Table, table
from reconscale.theory import Experiment, Setting, power_fit
from reconscale.theory.settings import Landmarks, RiskRow

CURVES = {
    "early_stopped": ("early-stopped gradient descent", BLUE, "o"),
    "converged": ("converged gradient descent", VERMILLION, "s"),
    "pca": ("PCA", PURPLE, "D"),
}
"""Column -> name, colour and sign of what is drawn with error bars."""
LINES = {
    "projection": ("projection on the clean images", GREEN),
    "bound": ("bound, probability 0.99", GREY),
    "optimum": ("optimum R*", INK),
}
"""Column -> name and colour of what is known without drawing."""
NOTHING = 1e-20
"""A risk that is 0 but for rounding."""


def risks_table(parts: Iterable[tuple[Setting, Sequence[Experiment]]]) -> Table:
    """Every training set: its risks, and the step k at which the early-stopped one is reached."""
    rows = [
        (*_model(setting), e.n, e.run, setting.model.floor, e.early_stopped, e.k, _known(e.converged), e.pca)
        for setting, found in parts
        for e in found
    ]
    return table("risks", "dim ambient sigma n run optimum early_stopped k converged pca", rows)


def summary_table(parts: Iterable[tuple[Setting, Sequence[RiskRow]]]) -> Table:
    """Mean and standard deviation over the runs, equivalents and the bound, one row for each n.

    Where the mean of the converged risk is infinite, ``converged`` is the median of the runs, ``converged_sd`` is empty
    and so is ``expected_converged``.
    """
    columns = (
        "dim ambient sigma n optimum projection early_stopped early_stopped_sd k converged converged_sd pca pca_sd "
        "expected_early_stopped expected_converged expected_pca bound"
    )
    return table("summary", columns, [_summary(setting, row) for setting, rows in parts for row in rows])


def _summary(setting: Setting, row: RiskRow) -> tuple[Cell, ...]:
    drawn, model = row.drawn, setting.model
    return (
        *_model(setting), row.n, model.floor, row.projection,
        *drawn.early_stopped, drawn.k, *drawn.converged, *drawn.pca,
        row.early_stopped, _known(row.converged), row.pca, row.bound,
    )  # fmt: skip


def fits_table(parts: Iterable[tuple[Setting, Sequence[RiskRow]]]) -> Table:
    """The power laws over the published stretches: drawn, expected by the equivalent, printed by the official code."""
    columns = (
        "dim ambient sigma early_factor early_exponent early_first early_last expected_exponent "
        "pca_factor pca_exponent pca_first pca_last printed_early printed_pca"
    )
    return table("fits", columns, [_fits(setting, rows) for setting, rows in parts])


def _fits(setting: Setting, rows: Sequence[RiskRow]) -> tuple[Cell, ...]:
    n = [row.n for row in rows]
    early = _fit(n, [row.drawn.early_stopped[0] for row in rows], setting.early_stopped)
    expected = _fit(n, [row.early_stopped for row in rows], setting.early_stopped)
    pca = _fit(n, [row.drawn.pca[0] for row in rows], setting.pca)
    return (*_model(setting), *early, expected[1], *pca, *(setting.printed or (None, None)))


def _fit(n: list[int], risk: list[float], stretch: tuple[int, int]) -> tuple[Cell, ...]:
    """Factor, exponent, first and last n; no factor and exponent where the risk is 0, as it is without noise."""
    if min(value for size, value in zip(n, risk, strict=True) if stretch[0] <= size <= stretch[1]) <= NOTHING:
        return None, None, *stretch
    fit = power_fit(n, risk, *stretch)
    return fit.factor, fit.exponent, fit.first, fit.last


def _model(setting: Setting) -> tuple[Cell, ...]:
    return setting.model.dim, setting.model.ambient, setting.model.sigma


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def risk_axes(rows: Table) -> AxesSpec:
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


def turns(rows: Table, knee: float | None) -> list[tuple[float, str]]:
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


def risk_figure(rows: Table, fits: Table, knee: float | None) -> Figure:
    """Risk against n of one setting: what is known, what was drawn, fitted power laws, and where the curve turns."""
    n = rows.numbers("n")
    marks = _marks(rows, knee)
    for name, (label, colour) in LINES.items():
        y = _positive(rows, name)
        texts = _texts(label, n, y)
        dash: Dash = "dashdot" if name == "projection" else "dashed"
        if not all(map(math.isnan, y)):
            marks.append(Series(n, y, name, label, colour, width=1.3, dash=dash, hover=texts))
    for name, (label, colour, marker) in reversed(CURVES.items()):
        expected = _positive(rows, f"expected_{name}")
        marks.append(Series(n, expected, f"expected {name}", colour=colour, alpha=0.7, width=1.0))
        mean = _positive(rows, name)
        sd = [0.0 if math.isnan(value) else value for value in rows.numbers(f"{name}_sd")]
        low = [value - min(spread, 0.95 * value) for value, spread in zip(mean, sd, strict=True)]
        high = [value + spread for value, spread in zip(mean, sd, strict=True)]
        texts = [_text(row, name, label) for row in rows.records()]
        marks.append(Series(n, mean, name, label, colour, marker=marker, size=4, low=low, high=high, hover=texts))
    for which, name in (("early", "early_stopped"), ("pca", "pca")):
        if (ends := fitted(fits, which)) is not None:
            texts = [f"fit n^{float(fits.records()[0][f'{which}_exponent'] or 0):.2f}"] * 2
            colour = CURVES[name][1]
            marks.append(Series(*ends, f"fit {which}", "", colour, 0.35, width=4.5, dash="dense", hover=texts))
    return Figure(risk_axes(rows), tuple(marks), 5.0)


def _marks(rows: Table, knee: float | None) -> list[Mark]:
    """Dotted lines with their names above."""
    marks: list[Mark] = []
    for index, (n, name) in enumerate(turns(rows, knee)):
        marks += [Rule(n, "x"), Label(name, n, 1, "y", "center", "bottom", (0, 2 + 10 * (index % 2)))]
    return marks


def _positive(rows: Table, name: str) -> list[float]:
    """Values that a logarithmic axis can show."""
    return [value if value > 0 else math.nan for value in rows.numbers(name)]


def _texts(what: str, n: Sequence[float], y: Sequence[float]) -> list[str]:
    return [f"{what}\nn = {amount(size)}\n{general(value)}" for size, value in zip(n, y, strict=True)]


def _text(row: Mapping[str, Any], name: str, title: str) -> str:
    if row[name] is None:
        return ""
    sd = row[f"{name}_sd"]
    spread = "median; the mean is infinite" if sd is None else f"± {general(sd)} over runs"
    steps = f"\nat k = {row['k']:.0f}" if name == "early_stopped" else ""
    return f"{title}\nn = {amount(row['n'])}\n{general(row[name])} {spread}{steps}"


Part = tuple[Setting, Sequence[Experiment], Sequence[RiskRow], Landmarks]
"""One setting: what was drawn, its risks by n, where its curve turns."""

RATE = 1e11
"""Floating-point operations a second at which the time of full-matrix descent is given."""

SHORT_CAPTION = "Signs and lines as in the first figure."
CAPTION = (
    "Markers: mean over {runs} training sets, bars one standard deviation; where the mean of the converged risk is "
    "infinite (n within 1 of ambient) the median. Thin lines: deterministic equivalents, computed without drawing. "
    "Thick dotted: power laws over the paper's stretches."
)


def literal_flops(found: Sequence[Experiment]) -> float:
    """What gradient descent on full matrices takes: 4 ambient^2 n a step, k + 101 steps as the paper's code stops."""
    return float(sum(4.0 * e.model.ambient**2 * e.n * (e.k + 101) for e in found))


def report_theory(
    parts: Sequence[Part], out: Path, *, runs: int, seed: int, seconds: float, spreadsheet: str = ""
) -> tuple[Path, Table]:
    """Write the page, the figure of all settings and the CSV files.

    Args:
        parts: the settings.
        out: the folder; made where it is missing.
        runs: training sets at each n.
        seed: of the draws.
        seconds: what the draws took.
        spreadsheet: what the CSV files are for; see :meth:`.tables.Table.csv`.

    Returns:
        The path of ``theory.html`` and the table of fits.

    Raises:
        UserError: ``out`` cannot be written to.
    """
    risks = risks_table([(setting, found) for setting, found, _, _ in parts])
    summary = summary_table([(setting, rows) for setting, _, rows, _ in parts])
    fits = fits_table([(setting, rows) for setting, _, rows, _ in parts])
    plots, files = _plots(parts, summary, fits, runs)
    page = render_template(
        "theory.html.j2",
        figures=True,
        settings=[(_title(part[0]), plot, _turns(part)) for plot, part in zip(plots, parts, strict=True)],
        fits=_fits_grid(fits),
        answer=_answer(parts),
        cost=_cost(parts, seconds),
        command=f"reconscale theory reproduce --runs {runs} --seed {seed}{_named(parts)}",
        files=["risks.csv", "summary.csv", "fits.csv", "settings.png", "settings.svg", "numbers.json"],
    )
    for item in (risks, summary, fits):
        write_atomic(out / f"{item.name}.csv", item.csv(spreadsheet))
    for kind, content in files.items():
        write_atomic(out / f"settings.{kind}", content)
    numbers = {"reconscale": version("reconscale"), "runs": runs, "seed": seed, "seconds": seconds,
               "summary": summary.records(), "fits": fits.records()}  # fmt: skip
    write_atomic(out / "numbers.json", to_json(json_safe(numbers)))
    write_atomic(out / "theory.html", page)
    return out / "theory.html", fits


def _plots(parts: Sequence[Part], summary: Table, fits: Table, runs: int) -> tuple[list[Plot], dict[str, bytes]]:
    """A figure for each setting, and the files of one with all settings, by their ending."""
    from reconscale.report.draw import page_drawing, panel_files

    figures, plots = [], []
    for i, (setting, _, _, marks) in enumerate(parts):
        which = {"dim": setting.model.dim, "ambient": setting.model.ambient, "sigma": setting.model.sigma}
        title, name = _title(setting), f"setting-{i}"
        figure = risk_figure(summary.where(**which), fits.where(**which), marks.knee)
        caption = SHORT_CAPTION if i else CAPTION.format(runs=runs)
        figures.append((title, figure))
        plots.append(Plot(name, page_drawing(figure, name), _alt(title, marks), caption, ("summary",), "settings"))
    return plots, panel_files(figures)


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
