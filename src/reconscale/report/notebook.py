"""What a notebook shows of points, curves, forecasts, decisions and studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.errors import UserError
from reconscale.files import write_atomic
from reconscale.format import amount, format_chance, number, short, times
from reconscale.laws import Curve, Decision, Finding, Forecast, Gain, Points, likelihood_words, select_width
from reconscale.laws.curve.posterior import summarise
from reconscale.laws.repeated_rows import without_repeats
from reconscale.report import figures
from reconscale.report.analysis import MetricFormat, analyse, gains_of
from reconscale.report.answer_figures import GAINED, decision_figure, gain_words
from reconscale.report.axes import curves_axes
from reconscale.report.marks import Figure
from reconscale.report.page import LOOKS, Plot, render_template
from reconscale.report.page_text import problem_words, quality_alt, quality_caption, recipe_words
from reconscale.report.sentences import known_name, known_value, known_verdict
from reconscale.report.study_figure import done_runs, study_figure
from reconscale.report.tables import (
    FAN,
    Grid,
    backtest_table,
    baselines_table,
    curve_table,
    fan_table,
    means_table,
    points_table,
    runs_of_points,
    table,
)
from reconscale.study import Study
from reconscale.study.external import ExternalStudy
from reconscale.study.plan import runs_of

SHOWN = 12
"""Rows of a table in the output of a cell; of more the first and the last half are shown."""
FINDINGS = {"warning": 0, "caution": 1, "note": 2}
MOST_TICKS = 5
"""Forecasts at no more sizes name each of them on the axis."""
FORMATS = (".html", ".png", ".svg")


@dataclass(frozen=True)
class Card:
    """What stands in the output of a cell; what is empty is left out.

    Attributes:
        title: what it is, in a line.
        verdict, surety: the answer, and how sure it is.
        sentences: paragraphs.
        facts: names and values.
        grids: tables.
        findings: severity, code, text.
        hint: what can be done with it.
    """

    title: str
    verdict: str = ""
    surety: str = ""
    sentences: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    grids: Sequence[Grid] = ()
    findings: Sequence[tuple[str, str, str]] = ()
    hint: str = ""

    @property
    def look(self) -> tuple[str, str]:
        """Style and sign of the verdict."""
        return LOOKS.get(self.verdict, LOOKS["UNDECIDED"])


def html_of(value: Any) -> str:
    """A value as HTML for the output of a notebook: a piece of a page, with styles of its own and no script."""
    return render_template("notebook.html.j2", figures=False, card=card_of(value))


def card_of(value: Any) -> Card:
    """What is shown of a value.

    Args:
        value: Points, a Curve, a Forecast, a Decision, a Study or an ExternalStudy.
    """
    makers: dict[type, Callable[[Any], Card]] = {
        Points: _points, Curve: _curve, Forecast: _forecast, Decision: _decision, Study: _study,
        ExternalStudy: _external,
    }  # fmt: skip
    return next(make for kind, make in makers.items() if isinstance(value, kind))(value)


@dataclass(frozen=True, eq=False)
class InteractiveFigure:
    """A figure with its heading: a notebook shows it as a report does.

    Attributes:
        shown: axes and marks.
        title: heading; may be empty.
        alt: what it shows, in words.
        caption: how to read it.
    """

    shown: Figure
    title: str
    alt: str
    caption: str

    def __repr__(self) -> str:
        return f"<figure: {self.alt}>"

    @cached_property
    def html(self) -> str:
        """A page that opens offline, with this figure alone."""
        from reconscale.report.draw import page_drawing

        plot = Plot("figure", page_drawing(self.shown, "figure"), self.alt, self.caption, ())
        return render_template("figure.html.j2", figures=True, title=self.title, plot=plot)

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its styles nor its script meet those of the notebook."""
        ratio = f"aspect-ratio: 10.2 / {self.shown.height + 2.1:.2f}"
        style = f"width: 100%; max-width: 60rem; {ratio}; min-height: 24rem; border: 0"
        about = escape(self.alt, quote=True)
        page = escape(self.html, quote=True)
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="{about}" style="{style}"></iframe>'

    def save(self, path: str | Path) -> None:
        """Write the figure: a page (.html) or a picture (.png, .svg).

        Raises:
            UserError: another ending, or the file cannot be written.
        """
        from reconscale.report.draw import figure_files

        path = Path(path)
        kind = path.suffix.lower()
        if kind not in FORMATS:
            raise UserError(path, f"ends in '{path.suffix}'", f"give a name that ends in {', '.join(FORMATS)}")
        write_atomic(path, self.html if kind == ".html" else figure_files(self.shown, self.title)[kind[1:]])


def figure_of(value: Any, title: str = "") -> InteractiveFigure:
    """The figure of Points (every run), a Curve (with what is expected), a Forecast, a Decision or a Study.

    Raises:
        UserError: there is nothing to draw.
    """
    if isinstance(value, Decision | Study | ExternalStudy):
        drawn, alt, caption = decision_figure(value) if isinstance(value, Decision) else study_figure(value)
        return InteractiveFigure(drawn, title, alt, caption)
    if isinstance(value, Forecast):
        drawn, alt = _forecast_figure(value)
        return InteractiveFigure(drawn, title, alt, "The middle and the 50 % and 90 % intervals of one new run.")
    if isinstance(value, Curve):
        answer = replace(analyse(value.points), known_curve=value)
        made = (points_table(answer), curve_table(answer), fan_table(answer), backtest_table(answer))
        alt, caption = quality_alt(answer), quality_caption(answer)
    else:
        answer, best = analyse(value), select_width(without_repeats(value))
        empty = (table("fan", FAN, []), table("backtest", "stopped_at n median low90 high90 measured inside", []))
        made = (runs_of_points(value, best), means_table(best), *empty)
        alt, caption = f"Quality against n: {value.words}.", "Every dot is a run, every bar a mean over seeds."
    tables = {item.name: item for item in (*made, baselines_table([]))}
    return InteractiveFigure(figures.quality_figure(tables, answer.quantity), title, alt, caption)


def plot_of(value: Any, ax: Any = None) -> Any:
    """Draw the figure of a value with matplotlib; see :meth:`reconscale.shown.Drawn.plot`."""
    from reconscale.report.draw import draw_into

    return draw_into(figure_of(value).shown, ax)


def _forecast_figure(outlook: Forecast) -> tuple[Figure, str]:
    """The forecast at its own sizes; refused ones are left out."""
    kept = np.flatnonzero(~outlook.refused)
    if not len(kept):
        raise UserError("Forecast", "has no size that is not refused", outlook.reason)
    kept = kept[np.argsort(outlook.n[kept], kind="stable")]
    quantity = MetricFormat(outlook.metric, outlook.profile, outlook.unit)
    ends = [(low[kept].tolist(), high[kept].tolist()) for low, high in (outlook.interval(0.5), outlook.interval(0.9))]
    n, middle = outlook.n[kept].tolist(), outlook.median[kept].tolist()
    axes = curves_axes((n[0], n[-1]), [*ends[1][0], *ends[1][1]], [], quantity)
    if len(n) <= MOST_TICKS:
        axes = replace(axes, x_ticks=tuple((size, short(size)) for size in n))
    alt = f"Forecast of {quantity.title} at n = {', '.join(map(amount, n[:4]))}{', ...' if len(n) > 4 else ''}."
    said = [
        f"n = {amount(size)}\nexpected {quantity.say(y)}\n"
        f"50 %: {quantity.bare(ends[0][0][i])} to {quantity.bare(ends[0][1][i])}\n"
        f"90 %: {quantity.bare(ends[1][0][i])} to {quantity.bare(ends[1][1][i])}"
        for i, (size, y) in enumerate(zip(n, middle, strict=True))
    ]
    return figures.forecast_figure(axes, n, middle, ends, said), alt


def _points(points: Points) -> Card:
    quantity = MetricFormat(points.metric, points.profile, points.unit)
    several = points.p is not None and len(np.unique(points.p)) > 1
    columns = (f"#n ({points.unit})", *(["#p"] * several), "#runs", f"#mean {quantity.title}", "#lowest", "#highest")
    rows = []
    cells = sorted({(float(n), _p_at(points, i)) for i, n in enumerate(points.n)})
    for n, p in cells:
        there = points.n == n if points.p is None or not several else (points.n == n) & (points.p == p)
        y = points.y[there]
        values = map(quantity.bare, (float(y.mean()), float(y.min()), float(y.max())))
        rows.append((amount(n), *([short(p)] * several), str(len(y)), *values))
    grid = _cut(Grid("Measured, every run", columns, tuple(rows)))
    return Card(f"Points: {points.words}", grids=(grid,), findings=_said(points.findings))


def _p_at(points: Points, index: int) -> float:
    return 0.0 if points.p is None else float(points.p[index])


def _curve(curve: Curve) -> Card:
    means, points = means_table(curve.best), curve.points
    quantity = MetricFormat(points.metric, points.profile, points.unit)
    measured = tuple(
        (amount(number(row["n"])), str(row["runs"]), quantity.bare(number(row["mean"])),
         "" if row["width"] is None else str(row["width"]))
        for row in means.records()
    )  # fmt: skip
    columns = (f"#n ({points.unit})", "#runs", f"#mean {quantity.title}", "#selected width")
    known = tuple(
        (known_name(name, curve.largest), known_value(name, found.median),
         f"{known_value(name, found.low)} to {known_value(name, found.high)}",
         known_verdict(name, found.identified, found.probability))
        for name, found in summarise(curve.ensemble.curve).items() if name != "break" or len(measured) > 3
    )  # fmt: skip
    grids = (_cut(Grid("What it was inferred from", columns, measured)),
             Grid("What is known of it", ("parameter", "#median", "#90 % interval", "identified?"), known))  # fmt: skip
    hint = "curve.figure() draws it; curve.decide() and curve.forecast(n) ask it."
    return Card(f"Curve: {points.words}", grids=grids, findings=_said(curve.level.findings), hint=hint)


def _forecast(outlook: Forecast) -> Card:
    quantity, rows = MetricFormat(outlook.metric, outlook.profile, outlook.unit), []
    ends = [*outlook.interval(0.5), *outlook.interval(0.9)]
    for i, n in enumerate(outlook.n):
        if outlook.refused[i]:
            rows.append((amount(float(n)), "not forecast", "", ""))
            continue
        a, b, c, d = (quantity.bare(float(end[i])) for end in ends)
        rows.append((amount(float(n)), quantity.bare(float(outlook.median[i])), f"{a} to {b}", f"{c} to {d}"))
    columns = (f"#n ({outlook.unit})", f"#{quantity.title}", "#50 % interval", "#90 % interval")
    grid = _cut(Grid("Of one new run on the same test set", columns, tuple(rows)))
    why = [f"Not forecast: {outlook.reason}."] if outlook.reason else []
    return Card("Forecast", sentences=why, grids=(grid,), findings=_said(outlook.findings))


def _decision(decision: Decision) -> Card:
    sure = "" if decision.first_step or decision.verdict == "UNDECIDED" else likelihood_words(decision.probability)
    gains = gains_of(decision)
    least = f"{decision.worthwhile:g} {decision.unit}"
    columns = ("change", f"#expected gain, {decision.unit}", "#90 % interval", f"#chance of more than {least}")
    grid = Grid("Expected gain in the mean over seeds", columns, tuple(_gain(*gain, decision.unit) for gain in gains))
    sentences = [text for text in (decision.reservation, decision.sentence) if text]
    about = {"verdict": decision.verdict, "surety": sure, "sentences": sentences}
    hint = "decision.figure() draws the gains."
    return Card("Decision", grids=(grid,), findings=_said(decision.findings), hint=hint, **about)  # type: ignore[arg-type]


def _gain(what: str, gain: Gain, unit: str) -> tuple[str, str, str, str]:
    middle, low, high = (gain_words(value, unit) for value in (gain.median, gain.low, gain.high))
    more = f"{gain.factor:g} × {GAINED[what]}"
    return more, middle, f"{low} to {high}", format_chance(gain.probability)


def _study(study: Study) -> Card:
    grid, count = study.sweep, len(runs_of(study))
    sizes = [("n", ", ".join(map(amount, grid.n))), ("width", ", ".join(map(str, grid.width))),
             ("seed", ", ".join(map(str, grid.seed)))]  # fmt: skip
    facts = [
        ("Problem", problem_words(study)),
        (
            "Images",
            f"{_sources(study)}; split by {study.images.split_noun[:-1]}",
        ),
        ("Network", study.network.family),
        ("Training", recipe_words(study)),
        *((name, _shortened(text)) for name, text in sizes),
        ("Metric", f"{study.analysis.profile}; worthwhile from {study.analysis.worthwhile:g}"),
        *_done(study, count),
    ]
    return Card(f"Study {study.name}: {times(count, 'run')}", facts=facts, hint="study.figure() draws its runs.")


def _external(study: ExternalStudy) -> Card:
    runs, items = study.runs(), study.images
    axes = {name: sorted({getattr(run, name) for run in runs} - {None}) for name in ("n", "width", "seed")}
    facts = [
        ("Trained by", study.trainer_words),
        ("Script", "" if study.callable is None else study.callable.script),
        ("Items", f"{f'{amount(items.count)} {items.unit}, ' * (items.count > 0)}{items.val} for validation, "
                  f"{items.test} for test" if items.split is None else f"{items.unit}, split as given"),
        *((name, _shortened(", ".join(map(amount, values)))) for name, values in axes.items()),
        ("Metric", f"{study.analysis.metric}; worthwhile from {study.worthwhile:g}"),
        *_done(study, len(runs)),
    ]  # fmt: skip
    hint = "study.figure() draws its runs."
    return Card(f"Study {study.name}: {times(len(runs), 'run')}", facts=[f for f in facts if f[1]], hint=hint)


def _done(study: Study | ExternalStudy, count: int) -> list[tuple[str, str]]:
    """How many runs are done, where that is known."""
    done = done_runs(study)
    return [] if done is None else [("Done", f"{amount(len(done))} of {times(count, 'run')}")]


def _shortened(text: str) -> str:
    return text if len(text) < 200 else f"{text[:200]} ..."


def _said(findings: Sequence[Finding]) -> tuple[tuple[str, str, str], ...]:
    ordered = sorted(findings, key=lambda found: FINDINGS.get(found.severity, 3))
    return tuple((found.severity, found.code, found.text) for found in ordered)


def _cut(grid: Grid) -> Grid:
    """The first and the last rows of a long table."""
    if len(grid.rows) <= SHOWN:
        return grid
    half = SHOWN // 2
    left_out = f"{len(grid.rows) - 2 * half} more"
    gap = (left_out, *[""] * (len(grid.columns) - 1))
    return Grid(grid.caption, grid.columns, (*grid.rows[:half], gap, *grid.rows[-half:]))


def _sources(study: Study) -> str:
    return ", ".join(study.images.source_names) or study.images.source
