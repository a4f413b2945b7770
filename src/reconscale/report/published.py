"""A curve beside published ones: which are alike, as lines, as a table of the page, and as a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reconscale.format import amount, plain, short, signed
from reconscale.laws import METRICS, Curve, Gain, Points, infer, select_width
from reconscale.laws.published_curves import PublishedCurve, gain_near, select_curves, step_gains
from reconscale.report.axes import AxesSpec, axis_between, log_ticks
from reconscale.report.colours import BLUE, INK, VERMILLION
from reconscale.report.marks import Figure, Rule, Series
from reconscale.report.tables import Grid, Table, table

COLUMNS = (
    "curve", "problem", "network", "n", "gain of doubling", "90 % interval", "slope", "90 % interval of slope",
    "gain near your n", "alike in",
)  # fmt: skip
PUBLISHED_CAPTION = (
    "What a doubling of n gained, from each size to the next, as measured; your curve in black. Steps of single runs "
    "hold the luck of seeds, too."
)
PUBLISHED_ALT = "Gain of a doubling against n: the measured steps of this curve and of the published ones."


@dataclass(frozen=True)
class BesideRow:
    """One curve and what a doubling of n adds to it.

    Attributes:
        name, group, network: as in :class:`.PublishedCurve`; of the own curve its name.
        points: the measurements.
        gain: expected of doubling the largest n, with a 90 % interval.
        slope: by how much ln(error) falls for a unit of ln(n) at the largest n: median, and 90 % interval.
        near: the measured gain of a doubling near the largest n of the own curve, and whether that is among its sizes.
        alike: in what the curve is like the own one: ``problem``, ``slope``, ``gain``.
    """

    name: str
    group: str
    network: str
    points: Points
    gain: Gain
    slope: tuple[float, float, float]
    near: tuple[float, bool]
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beside:
    """The own curve, and the published ones in the same metric, those that are most alike first."""

    own: BesideRow
    rows: tuple[BesideRow, ...]

    def lines(self) -> list[str]:
        """All of it in plain words."""
        metric, own = METRICS[self.own.points.metric], self.own
        low, high = (plain(end, metric.digits) for end in (own.gain.low, own.gain.high))
        said = [
            f"{own.name}: at n = {amount(float(own.points.n.max()))} doubling n is expected to gain "
            f"{signed(own.gain.median, metric.digits)} {metric.unit} (90 % interval {low} to {high}); slope of "
            f"ln(error) {_slope(own)[0]} ({_slope(own)[1]})."
        ]
        most = [row for row in self.rows if len(row.alike) == 3]
        if most:
            said.append(f"Alike in problem, slope and gain: {', '.join(row.name for row in most)}.")
        elif not own.group:
            both = [row.name for row in self.rows if {"slope", "gain"} <= set(row.alike)]
            said.append(
                f"Alike in slope and gain: {', '.join(both) or 'none'}. Your kind of problem was not said: --group."
            )
        else:
            said.append("No published curve of the same problem is alike in both slope and gain.")
        return said


def compare_published(
    points: Points,
    name: str,
    group: str = "",
    *,
    names: Sequence[str] = (),
    curve: Curve | None = None,
    progress: Callable[[str], None] | None = None,
) -> Beside:
    """Set a curve beside published ones in the same metric.

    A published curve is alike in slope, or in gain, where what it shows at its own largest n lies within the 90 %
    interval of the own curve at its largest n; in the problem, where it is of the same group.

    Args:
        points: the own measurements.
        name: what to call them.
        group: the group of their problem (``ct``, ``mri``, ``denoising``, ...); empty: not known.
        names: published curves or groups; none: all.
        curve: the own curve, where it is inferred already.
        progress: called with what is being done.

    Raises:
        UserError: there is no such curve, none is in this metric, or the own points have a single size.
    """
    chosen = [other for other in select_curves(names, points.metric) if not _is_same(other, points)]
    last = float(points.n.max())
    own = _row(points, name, group, "", last, curve or infer(points))
    rows = []
    for other in chosen:
        (progress or (lambda _: None))(f"inferring {other.name}")
        row = _row(other.points, other.name, other.group, other.network, last, infer(other.points))
        rows.append(_with_likeness(row, own))
    rows.sort(key=lambda row: (-("problem" in row.alike), -len(row.alike), row.name))
    return Beside(own, tuple(rows))


def _is_same(published: PublishedCurve, points: Points) -> bool:
    """Whether the own curve is the published one: the last values, to what is printed, and the sizes."""
    theirs, best = published.points, select_width(points)
    ours = [float(best.y[best.n == size].mean()) for size in best.sizes]
    return theirs.sizes.tolist() == points.sizes.tolist() and any(abs(ours[-1] - y) < 1e-4 for y in theirs.y)


def _row(points: Points, name: str, group: str, network: str, near: float, curve: Curve) -> BesideRow:
    largest = float(points.n.max())
    slope = curve.forecast([2.0 * largest]).known["slope"]
    gain = curve.decide(worthwhile=0.0).gain_n
    return BesideRow(name, group, network, curve.best, gain, (slope.median, slope.low, slope.high),
                     gain_near(curve.best, near))  # fmt: skip


def _with_likeness(row: BesideRow, own: BesideRow) -> BesideRow:
    same = {
        "problem": bool(own.group) and row.group == own.group,
        "slope": own.slope[1] <= row.slope[0] <= own.slope[2],
        "gain": own.gain.low <= row.gain.median <= own.gain.high,
    }
    alike = tuple(word for word, holds in same.items() if holds)
    return BesideRow(row.name, row.group, row.network, row.points, row.gain, row.slope, row.near, alike)


def beside_table(known: Beside) -> Table:
    """The curves, the own one first, as numbers."""
    rows = []
    for row in (known.own, *known.rows):
        n, own = row.points.n, int(row is known.own)
        gain = (row.gain.median, row.gain.low, row.gain.high)
        ends = (float(n.min()), float(n.max()))
        near = (row.near[0], int(row.near[1]))
        rows.append((row.name, row.group, row.network, *ends, *gain, *row.slope, *near, own, " ".join(row.alike)))
    return table(
        "published",
        "curve problem network n_low n_high gain gain_low90 gain_high90 slope slope_low90 slope_high90 gain_near "
        "near_inside own alike",
        rows,
    )


def steps_of_curves(known: Beside) -> Table:
    """What each step of each curve gained for a doubling, at the middle of the step."""
    rows = []
    for row in (known.own, *known.rows):
        for low, high, gain in step_gains(row.points):
            alike = int("problem" in row.alike)
            rows.append((row.name, low, high, math.sqrt(low * high), gain, int(row is known.own), alike))
    return table("published-steps", "curve n_low n_high n gain own alike", rows)


def beside_grid(known: Beside) -> Grid:
    """The table of the page, and of the command line."""
    metric = METRICS[known.own.points.metric]
    rows = []
    for row in (known.own, *known.rows):
        gain, low, high = (signed(value, metric.digits) for value in (row.gain.median, row.gain.low, row.gain.high))
        n = f"{amount(float(row.points.n.min()))} to {amount(float(row.points.n.max()))}"
        near = signed(row.near[0], metric.digits) + ("" if row.near[1] else " *")
        alike = "your curve" if row is known.own else ", ".join(row.alike)
        rows.append((row.name, row.group, row.network, n, gain, f"{low} to {high}", *_slope(row), near, alike))
    caption = (
        f"Published curves in {metric.label or metric.name}: the gain of doubling the largest n ({metric.unit}), the "
        "slope of ln(error) there, and what a doubling gained near your largest n, as measured (*: at the nearest n "
        "there is). Alike: the published value lies within your 90 % interval"
    )
    numbers = {"gain of doubling", "90 % interval", "slope", "90 % interval of slope", "gain near your n"}
    return Grid(caption, tuple(f"#{name}" if name in numbers else name for name in COLUMNS), tuple(rows))


def sources(known: Beside) -> list[str]:
    """Where the curves are from, and under which licence: one line a source."""
    from reconscale.laws.published_curves import published_curves

    every = published_curves()
    said = dict.fromkeys(f"{every[row.name].source}; {every[row.name].licence}" for row in known.rows)
    ours = [text for text in said if text.startswith("reconscale, ")]
    others = [text for text in said if text not in ours]
    return [*others, *(["reconscale, studies of its repository; Apache-2.0"] if ours else [])]


def published_tables(known: Beside | None) -> tuple[Table, ...]:
    """Both tables; nothing where nothing is set beside."""
    return () if known is None else (beside_table(known), steps_of_curves(known))


def shown_beside(known: Beside | None) -> dict[str, Any]:
    """What the page shows of it, by the page's names."""
    return {} if known is None else {"published": beside_grid(known), "published_sources": sources(known)}


def beside_figure(steps: Table, unit: str) -> Figure:
    """Gain of a doubling against n, one line a curve."""
    own = steps.where(own=1)
    n, gains = steps.numbers("n"), steps.numbers("gain")
    x = (min(n) / 1.5, max(n) * 1.5)
    y, ticks = axis_between(min(0.0, *gains), max(gains))
    axes = AxesSpec(x, y, log_ticks(*x), ticks, "training set size n, middle of a step", f"gain of a doubling, {unit}")
    marks: list[Series | Rule] = [Rule(0.0, "y")]
    first = {0: True, 1: True}
    for name in dict.fromkeys(str(cell) for cell in steps.where(own=0).column("curve")):
        part = steps.where(own=0, curve=name)
        alike = int(part.column("alike")[0] or 0)
        legend = ("other problems", "same problem")[alike] if first[alike] else ""
        first[alike] = False
        colour, alpha = ((BLUE, 0.35), (VERMILLION, 0.75))[alike]
        look = {"colour": colour, "alpha": alpha, "width": 1.2, "marker": "o", "size": 3.0}
        marks.append(_line(part, name, legend, unit, look))
    marks.append(_line(own, "own", "your curve", unit, {"colour": INK, "width": 2.4, "marker": "o", "size": 6.0}))
    return Figure(axes, tuple(marks), 4.2)


def _line(part: Table, key: str, legend: str, unit: str, look: dict[str, Any]) -> Series:
    return Series(part.numbers("n"), part.numbers("gain"), key, legend, hover=_texts(part, unit), **look)


def _texts(part: Table, unit: str) -> list[str]:
    return [
        f"{row['curve']}\nn = {short(float(row['n_low'] or 0))} to {short(float(row['n_high'] or 0))}\n"
        f"{float(row['gain'] or 0):+.3g} {unit} a doubling"
        for row in part.records()
    ]


def _slope(row: BesideRow) -> tuple[str, str]:
    median, low, high = (f"{value:.2g}" for value in row.slope)
    return median, f"{low} to {high}"
