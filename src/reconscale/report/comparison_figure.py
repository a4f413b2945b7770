"""The figure of two methods, made from the saved tables alone."""

from __future__ import annotations

from reconscale.report.axes import BLUE, GREY, VERMILLION, AxesSpec, curves_frame
from reconscale.report.format import MetricFormat, amount, general
from reconscale.report.marks import Band, Dash, Figure, Mark, Rule, Series, Span
from reconscale.report.tables import Table

LOOKS = ((BLUE, "o"), (VERMILLION, "D"))
"""Colour and marker of the first and the second method."""
Stretch = tuple[float, float, float]
"""Low end, middle and high end of the crossing; may be infinite."""


def comparison_figure(points: Table, bands: Table, quantity: MetricFormat, stretch: Stretch) -> Figure:
    """Both curves with their bands and runs, and where they cross."""
    n = [*points.numbers("n"), *bands.numbers("n")]
    ends = [*bands.numbers("low90"), *bands.numbers("high90")]
    axes = curves_frame((min(n), max(n)), points.numbers("value"), ends, quantity)
    marks = _crossing(axes, stretch)
    methods = dict.fromkeys(str(name) for name in points.column("method"))
    for name, (colour, marker) in zip(methods, LOOKS, strict=True):
        marks += _method(name, points.where(method=name), bands.where(method=name), colour, marker)
    return Figure(axes, tuple(marks), 5.2)


def _method(name: str, runs: Table, band: Table, colour: str, marker: str) -> list[Mark]:
    inside, beyond = band.where(measured_range=1), band.where(measured_range=0)
    beyond = Table(band.name, band.columns, inside.rows[-1:] + beyond.rows)
    low, high = band.numbers("low90"), band.numbers("high90")
    marks: list[Mark] = [Band(band.numbers("n"), low, high, f"band {name}", colour, 0.15)]
    stretches: tuple[tuple[str, Table, Dash], ...] = (("inside", inside, "solid"), ("beyond", beyond, "dashed"))
    for where, part, dash in stretches:
        n, median = part.numbers("n"), part.numbers("median")
        texts = [f"{name}, expected\nn = {amount(size)}\n{general(y)}" for size, y in zip(n, median, strict=True)]
        marks.append(Series(n, median, f"{where} {name}", colour=colour, width=2.0, dash=dash, hover=texts))
    texts = [
        f"{name}\nn = {amount(float(row['n'] or 0))}, width {row['width']}, seed {row['seed']}\n{row['value']:.4g}"
        for row in runs.records()
    ]
    x, y = runs.numbers("n"), runs.numbers("value")
    return [*marks, Series(x, y, f"runs {name}", name, colour, 0.75, marker=marker, hover=texts)]


def _crossing(axes: AxesSpec, stretch: Stretch) -> list[Mark]:
    low, middle, high = (min(max(value, axes.x[0]), axes.x[1]) for value in stretch)
    marks: list[Mark] = [Span(low, high)] if low < high else []
    return [*marks, Rule(middle, "x", GREY, 1.5, "solid")] if axes.x[0] < middle < axes.x[1] else marks
