"""The figures of a report: which there are, with their words, drawn for the page and for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconscale.report import figures, page_text
from reconscale.report.analysis import Analysis
from reconscale.report.crowds import CROWDED, crowd_note
from reconscale.report.explanation import CAPTION, Explanation, explanation_alt
from reconscale.report.marks import Figure
from reconscale.report.mixture import CAPTION as MIXTURE_CAPTION
from reconscale.report.mixture import StudyMixture
from reconscale.report.page import Plot
from reconscale.report.published import PUBLISHED_ALT, PUBLISHED_CAPTION, beside_figure
from reconscale.report.tables import Table


def plots_of(
    title: str,
    answer: Analysis | None,
    tables: Mapping[str, Table],
    made: Explanation | None = None,
    mixture: StudyMixture | None = None,
) -> tuple[dict[str, Plot], dict[str, bytes]]:
    """The figures of the page by name, and the content of their files by the file's name."""
    from reconscale.report.draw import BESIDE, SCREENS, figure_files, page_drawing

    plots: dict[str, Plot] = {}
    files: dict[str, bytes] = {}
    shown = [] if answer is None else list(_figures(answer, tables, made))
    if mixture is not None and (of_sources := mixture.figure) is not None:
        shown.append(("mixture", of_sources, mixture.alt, MIXTURE_CAPTION, ("mixes",)))
    for name, figure, alt, caption, used in shown:
        drawn = page_drawing(figure, name, BESIDE if name == "quality" else SCREENS)
        note = crowd_note(name, tables) if name in CROWDED else ""
        plots[name] = Plot(name, drawn, alt, caption + note, used)
        heading = f"{title}: explanation, not forecast" if name == "explanation" else title
        files |= {f"{name}.{kind}": content for kind, content in figure_files(figure, heading).items()}
    return plots, files


def _figures(
    answer: Analysis, tables: Mapping[str, Table], made: Explanation | None
) -> Iterator[tuple[str, Figure, str, str, tuple[str, ...]]]:
    """Name, figure, what it shows in words, how to read it, and the tables that it is drawn from."""
    quantity, cells, curves = answer.quantity, tables["network-size"], tables.get("validation")
    used = tuple(name for name in ("points", "curve", "fan", "backtest", "anchors") if len(tables[name]))
    words = (page_text.quality_alt(answer), page_text.quality_caption(answer))
    yield "quality", figures.quality_figure(tables, quantity), *words, used
    if len(tables["map"]):
        used = tuple(name for name in ("map", "frontier", "budget", "network-size") if len(tables[name]) > 1)
        words = (page_text.map_alt(answer), page_text.MAP_CAPTION)
        yield "map", figures.map_figure(tables, quantity), *words, used
    if len(set(cells.column("p"))) > 1:
        words = (page_text.size_alt(cells, quantity), page_text.SIZE_CAPTION)
        yield "network-size", figures.size_figure(tables, quantity), *words, ("network-size", "points")
    if len(tables.get("steps", ())):
        words = (page_text.STEPS_ALT, page_text.STEPS_CAPTION)
        yield "steps", figures.steps_figure(tables["steps"]), *words, ("steps",)
    elif curves is not None and any(step for step in curves.where(selected=1).column("step")):
        words = (page_text.VALIDATION_ALT, page_text.VALIDATION_CAPTION)
        yield "validation", figures.validation_figure(curves), *words, ("validation",)
    if made is not None and len(tables["explanation"]):
        computed = tables["explanation"]
        words = (explanation_alt(made, computed), CAPTION)
        yield "explanation", figures.explanation_figure(computed, quantity.unit), *words, ("explanation",)
    if "published-steps" in tables:
        figure = beside_figure(tables["published-steps"], quantity.known.unit)
        yield "published", figure, PUBLISHED_ALT, PUBLISHED_CAPTION, ("published", "published-steps")
