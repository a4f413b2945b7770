"""The figure of a decision: what more of something is expected to gain."""

from __future__ import annotations

from reconscale.format import amount, format_chance, signed
from reconscale.laws import Decision
from reconscale.report.analysis import gains_of
from reconscale.report.axes import AxesSpec, axis_between
from reconscale.report.colours import BLUE, GREY, VERMILLION
from reconscale.report.marks import Figure, Label, Mark, Rule, Series

GAINED = {"n": "data (n)", "p": "parameters (p)", "steps": "training (steps)"}
"""What is increased, in words."""
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
