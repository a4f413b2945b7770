"""The paper's theory figure as a page, with its figures and numbers beside it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from reconscale.files import to_json, write_whole
from reconscale.report.page import Grid, Plot, render_template
from reconscale.report.records import cleaned
from reconscale.report.tables import Table
from reconscale.report.theory.plotly_figures import risk_figure
from reconscale.report.theory.tables import fits_table, risks_table, summary_table
from reconscale.report.wording import amount, duration, general, plain
from reconscale.theory import Experiment, Setting
from reconscale.theory.rows import Landmarks, RiskRow

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
        Mistake: ``out`` cannot be written to.
    """
    from reconscale.report.theory.files import settings_files  # matplotlib takes a second to import

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
        write_whole(out / f"{item.name}.csv", item.csv())
    for kind, content in files.items():
        write_whole(out / f"settings.{kind}", content)
    numbers = {"reconscale": version("reconscale"), "runs": runs, "seed": seed, "seconds": seconds,
               "summary": summary.records(), "fits": fits.records()}  # fmt: skip
    write_whole(out / "numbers.json", to_json(cleaned(numbers)))
    write_whole(out / "theory.html", page)
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
