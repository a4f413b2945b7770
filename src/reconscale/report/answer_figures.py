"""Figures of a decision and of a study: what more of something is expected to gain, and which runs there are to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from reconscale.format import amount, format_chance, short, signed, times
from reconscale.laws import Decision
from reconscale.report.analysis import gains_of
from reconscale.report.axes import AxesSpec, Ticks, axis_between, log_ticks
from reconscale.report.colours import BLUE, GREY, INK, VERMILLION
from reconscale.report.marks import Figure, Label, Mark, Rule, Series
from reconscale.study import Study
from reconscale.study.plan import runs_of

GAINED = {"n": "data (n)", "p": "parameters (p)", "steps": "training (steps)"}
"""What is increased, in words."""
MOST_TICKS = 8
"""Sizes up to this many are all named on an axis."""
SIZES = (5.0, 10.0)
"""Of the markers of a cell with one run, and of the one with the most."""
Described = tuple[Figure, str, str]
"""A figure, what it shows in words, and how it is read."""


def gain_words(value: float, unit: str) -> str:
    """A gain with its sign, as many decimals as its unit has."""
    return signed(value, 2 if unit in ("dB", "%") else 4)


def decision_figure(decision: Decision) -> Described:
    """The expected gains with their 90 % intervals, beside what is worthwhile."""
    gains, unit = gains_of(decision), decision.unit
    names = [f"{gain.factor:g} × {GAINED[what]}" for what, gain in gains]
    texts = [
        f"{name}\nexpected {gain_words(gain.median, unit)} {unit}\n90 %: {gain_words(gain.low, unit)} to "
        f"{gain_words(gain.high, unit)}\nmore than {decision.worthwhile:g}: {format_chance(gain.probability)}"
        for name, (_, gain) in zip(names, gains, strict=True)
    ]
    at = [float(place) for place in range(len(gains))]
    low, middle, high = ([getattr(gain, end) for _, gain in gains] for end in ("low", "median", "high"))
    y, ticks = axis_between(min(0.0, *low), max(decision.worthwhile, *high))
    across = f"compared with n = {amount(decision.n)}"
    axes = AxesSpec((-0.6, len(at) - 0.4), y, tuple(zip(at, names, strict=True)), ticks, across,
                    f"expected gain, {unit}", log_x=False)  # fmt: skip
    marks: tuple[Mark, ...] = (
        Rule(0.0, "y", GREY, 0.8, "solid"),
        Rule(decision.worthwhile, "y", VERMILLION, 1.6, "long"),
        Label(f"worthwhile {decision.worthwhile:g} {unit}", 0.99, decision.worthwhile, "x", "right", "bottom", (0, 3),
              VERMILLION),
        Series(at, middle, "gains", "expected, 90 % interval", BLUE, marker="o", size=8, low=low, high=high,
               hover=texts),
    )  # fmt: skip
    said = "; ".join(
        f"{name} {gain_words(gain.median, unit)} {unit}" for name, (_, gain) in zip(names, gains, strict=True)
    )
    alt = f"{decision.verdict} at n = {amount(decision.n)}. Expected gains: {said}."
    return Figure(axes, marks, 4.6), alt, "Expected gains in the mean over seeds, with their 90 % intervals."


def study_figure(study: Study) -> Described:
    """The runs of a study: a dot for each n and width, the larger the more seeds."""
    cells = Counter((run.n, run.network.width) for run in runs_of(study))
    most = max(cells.values())
    n, width = (sorted({cell[place] for cell in cells}) for place in (0, 1))
    marks: list[Mark] = []
    for count in sorted(set(cells.values())):
        there = [cell for cell, runs in sorted(cells.items()) if runs == count]
        size = SIZES[0] + (SIZES[1] - SIZES[0]) * (count - 1) / max(1, most - 1)
        texts = [f"n = {amount(k)}, width {w}\n{times(count, 'seed')}" for k, w in there]
        x, y = [float(k) for k, _ in there], [float(w) for _, w in there]
        marks.append(Series(x, y, f"{count} seeds", f"{times(count, 'seed')} each", INK, 0.75, marker="o",
                            size=size, hover=texts))  # fmt: skip
    across = f"training set size n, number of {study.images.noun}"
    axes = AxesSpec(_around(n), _around(width), _ticks(n), _ticks(width), across, "width of the network", log_y=True)
    runs = times(sum(cells.values()), "run")
    alt = f"Study {study.name}: {runs}, n = {amount(n[0])} to {amount(n[-1])}, widths {width[0]} to {width[-1]}."
    return Figure(axes, tuple(marks), 3.8), alt, f"Every dot is a network at one n, trained once for each seed: {runs}."


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A range of a logarithmic axis with room at its ends."""
    room = 10 ** (0.08 * math.log10(values[-1] / values[0]) + 0.06)
    return values[0] / room, values[-1] * room


def _ticks(values: Sequence[float]) -> Ticks:
    return tuple((v, short(v)) for v in values) if len(values) <= MOST_TICKS else log_ticks(values[0], values[-1])
