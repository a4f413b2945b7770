"""What twice the steps of training are expected to gain, beside more data and a larger network."""

from __future__ import annotations

import numpy as np

from reconscale.arrays import Floats
from reconscale.format import amount, format_chance, plain
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.gains import Gain, gain_between
from reconscale.laws.decisions.intervals import LIKELY
from reconscale.laws.findings import Finding, finding
from reconscale.laws.points import METRICS, Points
from reconscale.laws.steps.trainings import MOST_LEVELS

BEYOND = 3.0
"""Standard errors by which a longer training must be worse than a shorter one; of several lengths one is chosen."""
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


def find_worse(curve: CurvePosterior) -> tuple[Finding, ...]:
    """That at more than half of the n the longest trainings, which are the curve, are worse than shorter ones.

    Longer is worse at an n where the mean error over seeds is above that of a shorter length by more than ``BEYOND``
    standard errors, as the spread between seeds gives them. Tables with many lengths hold looks in the middle of one
    training, whose rate had not fallen; nothing is said of those.
    """
    trainings, level = curve.points.trainings, curve.level
    if trainings is None or trainings.steps is None:
        return ()
    worse = list[tuple[float, float, float]]()  # n, ln(error) of the shorter trainings, of the longest
    sizes, sd = curve.best.sizes, np.interp(np.log(curve.best.sizes), level.x, level.sd)
    for n, spread in zip(sizes, sd, strict=True):
        lengths = _by_length(trainings, curve.best.rows(curve.best.n == n))
        if not 1 < len(lengths) <= MOST_LEVELS:
            continue
        *shorter, longest = lengths
        best = min(shorter, key=lambda errors: float(errors.mean()))
        error = spread * np.sqrt(1 / len(best) + 1 / len(longest))
        if longest.mean() - best.mean() > BEYOND * error:
            worse.append((float(n), float(best.mean()), float(longest.mean())))
    if len(worse) <= len(sizes) / 2:
        return ()
    metric = METRICS[curve.points.metric]
    lost = max(float(metric.gain(np.exp(after), np.exp(before))) for _, before, after in worse)
    listed = ", ".join(amount(n) for n, _, _ in worse)
    return (finding("longer-is-worse", sizes=listed, most=metric.spell(float(f"{lost:.2g}"))),)


def _by_length(trainings: Points, best: Points) -> list[Floats]:
    """Ln(error) of the trainings of one n and of the networks of ``best``, an array for each number of steps.

    None where no network of that n was trained for another time, as where the ends alone were probed.
    """
    keep = trainings.n == best.n[0]
    for mine, theirs in ((trainings.width, best.width), (trainings.p, best.p)):
        if mine is not None and theirs is not None:
            keep &= np.isin(mine, theirs)
    if not keep.any():
        return []
    rows = trainings.rows(keep)
    steps = np.zeros(0) if rows.steps is None else rows.steps
    return [np.log(rows.error[steps == length]) for length in np.unique(steps)]
