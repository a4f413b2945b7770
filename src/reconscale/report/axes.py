"""Where things go in a figure: ranges, ticks and labels, worked out once for the page and for the files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reconscale.format import general, short
from reconscale.laws.points import METRICS
from reconscale.report.analysis import MetricFormat
from reconscale.report.tables import Table

PERCENT = (
    *(1000, 700, 500, 400, 300, 250, 200, 170, 150, 130, 120, 110, 105),
    *(100, 95, 90, 85, 80, 75, 70, 60, 50, 40, 30, 20, 10, 5, 2, 1),
)
ROOM = 1.5
"""The band may widen the figure by this multiple of the range of the measured values, to either side."""

STRETCHES = (
    ("measured range", "measured"),
    ("up to 4x", "forecast to 4×"),
    ("up to 10x", "to 10×"),
    ("beyond 10x", "further"),
)
"""Status of rows of the band, and the heading of that stretch."""
SERIES = {"network": "networks, measured", "linear": "linear estimator, computed", "floor": "its floor"}
"""The curves of the linear explanation."""

Ticks = tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class AxesSpec:
    """The axes of one figure.

    Attributes:
        x, y: what is shown, in data units.
        x_ticks, y_ticks: positions and labels.
        percent: ticks of the right axis, at positions of the left one; empty for none.
        log_x, log_y: whether the axis is logarithmic.
        x_title, y_title, percent_title: what the axes say.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: Ticks
    y_ticks: Ticks
    x_title: str
    y_title: str
    log_x: bool = True
    log_y: bool = False
    percent: Ticks = ()
    percent_title: str = ""

    def contains(self, value: float) -> bool:
        """Whether a value lies within the shown y."""
        return self.y[0] <= value <= self.y[1]

    def height(self, value: float) -> float:
        """Where a value lies, 0 at the bottom and 1 at the top."""
        low, high, at = (math.log10(v) if self.log_y else v for v in (*self.y, value))
        return (at - low) / (high - low)


def quality_axes(tables: Mapping[str, Table], quantity: MetricFormat) -> AxesSpec:
    """Axes of the main figure: quality against n."""
    curve, points = tables["curve"], tables["points"].where(selected=1)
    fan = [row for row in tables["fan"].records() if row["median"] is not None]
    sizes = curve.numbers("n")
    right = max([*sizes, *(float(row["n"] or 0) for row in fan)])
    band = [float(row[name] or 0) for row in fan for name in ("low90", "high90")]
    band += [value for name in ("low90", "high90") for value in tables["backtest"].numbers(name)]
    anchors, seen = tables["anchors"].numbers("value"), points.numbers(quantity.metric)
    axes = curves_axes((sizes[0], right), seen, band, quantity, anchors)
    percent = _percent_ticks(axes.y, curve.numbers("mean")[-1], quantity.metric)
    known = quantity.known
    what = "MSE" if known.unit == "dB" else "error" if known.is_error else f"1 − {known.label or known.name}"
    return replace(axes, percent=percent, percent_title=f"{what}, % of that at n = {short(sizes[-1])}")


def curves_axes(
    x: tuple[float, float],
    seen: Sequence[float],
    band: Sequence[float],
    quantity: MetricFormat,
    anchors: Sequence[float] = (),
) -> AxesSpec:
    """Axes of several curves over n.

    Args:
        x: the smallest and the largest n that is drawn.
        seen: measured values.
        band: ends of the bands around the curves; those far beyond what was measured are cut off.
        quantity: what the values are.
        anchors: values that are shown where they are close.
    """
    y = _y_range(seen, band, anchors, quantity.metric, _span(seen, quantity.metric))
    x = _widened(x, 0.03, 0.02)
    return _measured_axes(x, y, f"training set size n, number of {quantity.unit}", quantity)


def _measured_axes(x: tuple[float, float], y: tuple[float, float], across: str, quantity: MetricFormat) -> AxesSpec:
    """Axes of a metric against something on a logarithmic axis."""
    title = f"{quantity.title} [{quantity.profile}]" if quantity.profile else quantity.title
    return AxesSpec(x, y, log_ticks(*x), _y_ticks(y, quantity), across, title, log_y=quantity.known.is_error)


def _widened(x: tuple[float, float], left: float, right: float) -> tuple[float, float]:
    """A range with room at its ends: parts of it, and a little."""
    width = math.log10(x[1] / x[0])
    return x[0] / 10 ** (left * width + 0.03), x[1] * 10 ** (right * width + 0.03)


def offset_backtest(backtest: Table, axes: AxesSpec) -> list[tuple[float, dict[str, Any]]]:
    """Where the forecasts of a back-test are drawn, a little to the left of the size that they are for."""
    step = (axes.x[1] / axes.x[0]) ** 0.014
    places: dict[Any, int] = {}
    rows: list[tuple[float, dict[str, Any]]] = []
    for row in backtest.records():
        places[row["n"]] = places.get(row["n"], 0) + 1
        rows.append((float(row["n"] or 0) / step ** places[row["n"]], row))
    return rows


def map_axes(tables: Mapping[str, Table], quantity: MetricFormat) -> AxesSpec:
    """Axes of the map of n and p."""
    n, p = tables["map"].numbers("n"), tables["map"].numbers("p")
    x, y = (min(n) / 1.08, max(n)), (min(p) / 1.08, max(p))
    across = f"training set size n, number of {quantity.unit}"
    return AxesSpec(x, y, log_ticks(*x), log_ticks(*y), across, "number of network parameters p", log_y=True)


def contours(values: Sequence[float], metric: str) -> list[float]:
    """Round values of the metric at which contours are drawn."""
    low, high = min(values), max(values)
    if not METRICS[metric].is_error:
        return [value for value in _nice(low, high, 12) if low < value < high]
    return [value for value, _ in _y_ticks((low, high), MetricFormat("error", "", "")) if low < value < high]


def size_axes(tables: Mapping[str, Table], quantity: MetricFormat) -> AxesSpec:
    """Axes of the figure of quality against p."""
    p, values = tables["network-size"].numbers("p"), tables["points"].numbers(quantity.metric)
    y = _y_range(values, [], [], quantity.metric, _span(values, quantity.metric))
    return _measured_axes(_widened((min(p), max(p)), 0.05, 0.05), y, "number of network parameters p", quantity)


def validation_axes(curves: Table) -> AxesSpec:
    """Axes of the curves over training. The first looks, far below the rest, are cut off."""
    shown = curves.where(selected=1)
    psnr, steps = np.array(shown.numbers("psnr")), shown.numbers("step")
    low, high = float(np.quantile(psnr, 0.1)), float(psnr.max())
    room = max(high - low, 0.05)
    y = (low - 0.1 * room, high + 0.08 * room)
    x = (0.0, max(steps) * 1.01)
    ticks = tuple((value, short(value)) for value in _nice(0.0, max(steps), 5))
    return AxesSpec(
        x, y, ticks, _y_ticks(y, MetricFormat("psnr", "", "")), "optimisation steps", "validation PSNR, dB", log_x=False
    )


def steps_axes(steps: Table) -> AxesSpec:
    """Axes of validation quality against the number of steps."""
    psnr, at = steps.numbers("psnr"), steps.numbers("steps")
    room = max(max(psnr) - min(psnr), 0.05)
    y = (min(psnr) - 0.08 * room, max(psnr) + 0.08 * room)
    x = _widened((min(at), max(max(at), 2 * min(at))), 0.03, 0.02)
    ticks = _y_ticks(y, MetricFormat("psnr", "", ""))
    return AxesSpec(x, y, log_ticks(*x), ticks, "optimisation steps", "validation PSNR, dB")


def explanation_axes(drawn: Table, unit: str) -> AxesSpec:
    """Axes of the linear explanation: dB of the mean MSE against n. What is far below the networks is cut off."""
    n = drawn.numbers("n")
    networks, rest = drawn.where(series="network"), drawn.where(series="linear")
    seen = [v for name in ("db", "lowest", "highest") for v in networks.numbers(name)]
    seen += drawn.where(series="floor").numbers("db")
    y = _y_range(seen, rest.numbers("db"), [], "psnr", _span(seen, "psnr"))
    x, y_title = _widened((min(n), max(n)), 0.03, 0.03), "10 log₁₀(1 / mean MSE), dB"
    ticks = _y_ticks(y, MetricFormat("psnr", "", ""))
    return AxesSpec(x, y, log_ticks(*x), ticks, f"training set size n, number of {unit}", y_title)


def segments(fan: Table) -> list[tuple[str, list[dict[str, Any]]]]:
    """The band in pieces of one status, refused sizes left out; each piece starts where the one before it ends."""
    rows: list[dict[str, Any]] = [row for row in fan.records() if row["median"] is not None]
    pieces: list[tuple[str, list[dict[str, Any]]]] = []
    before: list[dict[str, Any]] = []
    for status, _ in STRETCHES:
        part = [row for row in rows if row["status"] == status]
        if part:
            pieces.append((status, before[-1:] + part))
            before = part
    return pieces


def heading(axes: AxesSpec, status: str, left: float, right: float) -> str:
    """What stands over a stretch of the band from ``left`` to ``right``: as much as there is room for."""
    title = dict(STRETCHES)[status]
    share = math.log(right / max(left, axes.x[0])) / math.log(axes.x[1] / axes.x[0])
    words = (title, title.removeprefix("forecast "), title.split()[-1])
    return next((text for text in words if share > 0.014 * len(text)), words[-1])


def spread_labels(heights: Sequence[float], gap: float) -> list[float]:
    """Labels pushed apart so that neighbours are ``gap`` apart, close to where they belong, and within 0 to 1."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [min(max(heights[i], 0.0), 1.0) for i in order]
    for _ in range(200):
        clashes = 0
        for low in range(len(placed) - 1):
            short_of = gap - (placed[low + 1] - placed[low])
            if short_of > 1e-6:
                placed[low] -= short_of / 2
                placed[low + 1] += short_of / 2
                clashes += 1
        if placed and placed[0] < 0:
            placed[0] = 0.0
        if placed and placed[-1] > 1:
            placed[-1] = 1.0
        if not clashes:
            break
    result = [0.0] * len(placed)
    for rank, index in enumerate(order):
        result[index] = placed[rank]
    return result


def _span(values: Sequence[float], metric: str) -> float:
    """Range of the values, in decades for errors; never nothing."""
    low, high = min(values), max(values)
    if METRICS[metric].is_error:
        return max(math.log10(high / low), 0.02)
    return max(high - low, 0.1 if METRICS[metric].unit == "dB" else 0.002)


def _y_range(
    seen: Sequence[float], band: Sequence[float], anchors: Sequence[float], metric: str, span: float
) -> tuple[float, float]:
    logarithmic = METRICS[metric].is_error
    scale = [math.log10(v) for v in seen] if logarithmic else list(seen)
    low, high = min(scale), max(scale)
    more = [math.log10(v) for v in band if v > 0] if logarithmic else list(band)
    floor, ceiling = low - ROOM * span, high + ROOM * span
    close = [math.log10(v) if logarithmic else v for v in anchors if not logarithmic or v > 0]
    inside = [v for v in close if low - 0.6 * span <= v <= high + 0.6 * span]
    low, high = (
        min([low, *(max(v, floor) for v in more), *inside]),
        max([high, *(min(v, ceiling) for v in more), *inside]),
    )
    room = max(0.06 * (high - low), 0.5 * (span - (high - low)))
    low, high = low - room, high + room
    shown, margin = [v for v in close if low <= v <= high], 0.08 * (high - low)
    low, high = min([low, *(v - margin for v in shown)]), max([high, *(v + margin for v in shown)])  # room for labels
    return (10**low, 10**high) if logarithmic else (low, high)


def _percent_ticks(y: tuple[float, float], reference: float, metric: str) -> Ticks:
    kind = METRICS[metric]
    base = float(kind.to_error(np.array([reference]))[0])
    candidates = [(float(kind.from_error(np.array([base * share / 100]))[0]), share) for share in PERCENT]
    low, high = y
    inside = [(value, share) for value, share in candidates if low <= value <= high]

    def place(value: float) -> float:
        return math.log(value / low) / math.log(high / low) if kind.is_error else (value - low) / (high - low)

    chosen = [(value, share) for value, share in inside if share == 100]
    for value, share in sorted(inside, key=lambda item: (item[1] % 50 != 0, item[1] % 10 != 0, item[1])):
        if all(abs(place(value) - place(other)) > 0.11 for other, _ in chosen):
            chosen.append((value, share))
    return tuple((value, f"{share} %") for value, share in sorted(chosen))


def log_ticks(low: float, high: float) -> Ticks:
    """Round positions on a logarithmic axis, seven at most."""
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades < 1.6 else (1, 3) if decades < 3.6 else (1,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    inside = [value for value in values if low <= value <= high]
    every = max(1, math.ceil(len(inside) / 7))
    return tuple((value, short(value)) for value in inside[::every])


def _y_ticks(y: tuple[float, float], quantity: MetricFormat) -> Ticks:
    if quantity.known.is_error:
        decades = math.log10(y[1] / y[0])
        steps = (
            (1, 2, 5)
            if decades > 0.8
            else (1, 1.5, 2, 3, 4, 5, 6, 8)
            if decades > 0.3
            else tuple(np.arange(1, 10, 0.5))
        )
        powers = range(math.floor(math.log10(y[0])), math.ceil(math.log10(y[1])) + 1)
        values = [float(step * 10.0**power) for power in powers for step in steps]
        inside = [value for value in values if y[0] <= value <= y[1]]
        every = max(1, math.ceil(len(inside) / 7))
        return tuple((value, general(value)) for value in inside[::every])
    values = _nice(*y, 8)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    digits += abs(round(step, digits) - step) > 1e-9 * step  # steps of 0.025 have a digit more
    return tuple((value, f"{value:.{digits}f}") for value in values)


def axis_between(low: float, high: float) -> tuple[tuple[float, float], Ticks]:
    """The range of a linear axis about some values, and its ticks."""
    room = 0.06 * (high - low) or 1.0
    y = (low - room, high + room)
    return y, tuple((value, f"{value:g}") for value in _nice(*y, 8))


def _nice(low: float, high: float, count: int) -> list[float]:
    """At most about ``count`` round numbers from low to high."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]
