"""What twice the steps of training are expected to gain, beside more data and a larger network."""

from __future__ import annotations

import numpy as np

from reconscale.format import format_chance, plain
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.gains import Gain, gain_between
from reconscale.laws.decisions.intervals import LIKELY
from reconscale.laws.findings import Finding, finding
from reconscale.laws.points import METRICS

SAID = ("not-converged", "probe-gains", "budget-too-small")
"""Findings that say already that training was too short."""


def gain_steps(curve: CurvePosterior, worthwhile: float) -> tuple[Gain | None, str]:
    """What twice the steps add to the network chosen at the largest n, on average over seeds.

    Args:
        curve: the curve over n, of the network chosen at each n.
        worthwhile: the smallest gain worth paying for.

    Returns:
        The gain, or None where nothing is known of other numbers of steps; and what it rests on: ``measured`` where the
        runs were trained for longer than those in the curve (probes), ``forecast`` where not, or nothing.
    """
    if curve.steps_law is None:
        return None, ""
    found = curve.steps_law.fall(curve.largest, curve.dial, curve.steps)
    if found is None:
        return None, ""
    fall, source = found
    before = np.full(len(fall), np.exp(curve.level.z[-1]))
    return gain_between(before, before * np.exp(-fall), curve.points.metric, worthwhile), source


def last_gain_steps(curve: CurvePosterior) -> float | None:
    """What the last doubling of steps gained there, in the metric's unit of gains; None where it was not measured."""
    fall = None if curve.steps_law is None else curve.steps_law.last(curve.largest, curve.dial)
    if fall is None:
        return None
    after = np.exp(curve.level.z[-1:])
    return float(METRICS[curve.points.metric].gain(after * np.exp(fall), after)[0])


def find_longer(curve: CurvePosterior, gain: Gain | None, worthwhile: float) -> tuple[Finding, ...]:
    """That twice the steps are likely to gain what is worthwhile, where nothing says so already."""
    if gain is None or gain.probability < LIKELY or any(item.code in SAID for item in curve.points.findings):
        return ()
    metric = METRICS[curve.points.metric]
    low, high = (plain(end, metric.digits) for end in (gain.low, gain.high))
    told, least = metric.tell("doubling the steps", gain.median), metric.spell(worthwhile)
    chance = format_chance(gain.probability)
    return (finding("longer-gains", n=curve.largest, told=told, low=low, high=high, least=least, chance=chance),)
