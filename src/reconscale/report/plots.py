"""Which figures the numbers allow, each for the page and as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconscale.report import explanation, plotly_figures, plotly_map, plotly_more, prose
from reconscale.report.answer import Answer
from reconscale.report.explanation import Explanation
from reconscale.report.page import Plot
from reconscale.report.tables import Table


def plots_of(
    title: str, answer: Answer | None, tables: Mapping[str, Table], made: Explanation | None = None
) -> tuple[dict[str, Plot], dict[str, bytes]]:
    """The figures of the page by name, and the content of their files by the file's name."""
    from reconscale.report import figures  # matplotlib takes a second to import, and only this function needs it

    if answer is None:
        return {}, {}
    quantity, cells, curves = answer.quantity, tables["network-size"], tables.get("validation")
    used = tuple(name for name in ("points", "curve", "fan", "backtest", "anchors") if len(tables[name]))
    words = (prose.quality_alt(answer), prose.quality_caption(answer))
    figure = plotly_figures.quality_figure(tables, quantity)
    drawn = [(Plot("quality", figure, *words, used), figures.quality_files(tables, quantity, title))]
    if len(tables["map"]):
        used = tuple(name for name in ("map", "frontier", "budget", "network-size") if len(tables[name]) > 1)
        words = (prose.map_alt(answer), prose.MAP_CAPTION)
        plot = Plot("map", plotly_map.map_figure(tables, quantity), *words, used)
        drawn.append((plot, figures.map_files(tables, quantity, title)))
    if len(set(cells.column("p"))) > 1:
        words = (prose.size_alt(cells, quantity), prose.SIZE_CAPTION)
        figure = plotly_more.size_figure(tables, quantity)
        plot = Plot("network-size", figure, *words, ("network-size", "points"))
        drawn.append((plot, figures.size_files(tables, quantity, title)))
    if curves is not None and any(step for step in curves.where(selected=1).column("step")):
        words = (prose.VALIDATION_ALT, prose.VALIDATION_CAPTION)
        plot = Plot("validation", plotly_more.validation_figure(curves), *words, ("validation",))
        drawn.append((plot, figures.validation_files(curves, title)))
    if made is not None and len(tables["explanation"]):
        computed, unit = tables["explanation"], quantity.unit
        words = (explanation.explanation_alt(made, computed), explanation.CAPTION)
        figure = plotly_more.explanation_figure(computed, unit)
        plot = Plot("explanation", figure, *words, ("explanation",))
        drawn.append((plot, figures.explanation_files(computed, unit, f"{title}: explanation, not forecast")))
    plots = {plot.name: replace(plot, svg=files["svg"]) for plot, files in drawn}
    return plots, {f"{plot.name}.{kind}": content for plot, files in drawn for kind, content in files.items()}
