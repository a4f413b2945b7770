"""The n that a target needs, and the price of the next step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, duration
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.costs import Costs
from reconscale.laws.decisions.intervals import (
    Interval,
    format_chance,
    format_interval,
    likelihood_words,
    round_interval,
    summarise,
)
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.optimum import first_below

FAR = 10.0
"""Beyond this multiple of the largest n a number rests on which law holds."""
REACH = 1000.0
"""What is not reached by this multiple of the largest n is never reached."""
RUNGS = 46
"""Sizes on the way there; this many, and two more, are drawn jointly; between them curves are straight in log-log."""


@dataclass(frozen=True)
class RequiredSize:
    """The n that a target needs.

    Attributes:
        target: value of the metric.
        n: training-set size at which the expected value reaches it; ``n.never`` is the chance that no n up to
            1000 times the largest measured one does, because a floor lies above the target or the fall is too slow.
        already: chance that it is reached at the largest n measured.
        largest: that n.
        metric: name of the metric.
        sentence: all of this in one sentence.
        findings: cautions.
    """

    target: float
    n: Interval
    already: float
    largest: float
    metric: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.findings)])


def n_grid(first: float, last: float) -> Floats:
    """(RUNGS,) ln n from ``first`` to ``REACH`` times beyond ``last``; half of them within ten times of it."""
    near = np.linspace(first, last + np.log(10.0), RUNGS // 2, endpoint=False)
    return np.concatenate([near, np.linspace(last + np.log(10.0), last + np.log(REACH), RUNGS - len(near))])


def first_n_reaching(rungs: Floats, values: Floats) -> Floats:
    """(D,) the n at which each row of values (D, L) first comes down to 0; inf where it does not by the last rung."""
    return first_below(rungs, values, 0.0)


def error_of(value: float, metric: str, where: str) -> float:
    """A value of the metric as an error.

    Raises:
        UserError: it is not a value of the metric.
    """
    if np.isfinite(value):
        with np.errstate(over="ignore", under="ignore"):
            error = float(METRICS[metric].to_error(np.array([value], dtype=np.float64))[0])
        if 1e-100 < error < 1e100:
            return error
    remedy = {
        "error": "an error above 0 is expected",
        "psnr": "a PSNR in dB is expected",
        "ssim": "an SSIM below 1 is expected",
    }[metric]
    raise UserError(where, f"found {value}", remedy)


def size_for_target(curve: CurvePosterior, target: float) -> RequiredSize:
    """The training-set size at which the mean over seeds, for images like the test images, reaches ``target``.

    Args:
        curve: the curve, inferred from points.
        target: value of the metric, for instance 31.0 for a PSNR in dB.

    Raises:
        UserError: ``target`` is not a value of the metric.
    """
    points, error = curve.points, error_of(float(target), curve.points.metric, "target")
    rungs = n_grid(float(curve.level.x[0]), curve.last)
    above = curve.draw(np.append(rungs, curve.last)) - np.log(error)
    n = summarise(first_n_reaching(rungs, above[:, :-1]))
    already = float((above[:, -1] <= 0).mean())
    largest = float(np.exp(curve.last))
    found = []
    if FAR * largest < n.median < np.inf:
        found.append(finding("beyond-reach", what=f"the n for {target:g}", factor=n.median / largest))
    sentence = _sentence(target, n, already, points)
    findings = unique_findings(curve.level.findings, tuple(found))
    return RequiredSize(float(target), n, already, largest, points.metric, sentence, findings)


def _sentence(target: float, n: Interval, already: float, points: Points) -> str:
    goal = f"an error of {target:g}" if points.metric == "error" else f"{target:g} {METRICS[points.metric].unit}"
    most = f"{REACH:,.0f} times the largest n"
    if np.isinf(n.median):
        least = "" if np.isinf(n.low) else f"; if so, it needs at least about {round_interval(n.low)} {points.unit}"
        return f"{goal} is probably out of reach (chance by {most}: {format_chance(1.0 - n.never)}){least}."
    if already >= 0.5:
        return f"{goal} is already reached at the largest n = {amount(points.n.max())} ({likelihood_words(already)})."
    never = f"; the chance that it is never reached is {format_chance(n.never)}" if n.never >= 0.005 else ""
    return f"{goal} needs about {round_interval(n.median)} {points.unit} ({format_interval(n)}){never}."


STEP = {"dB": 0.1, "SSIM": 0.01}
"""The gain that is priced."""


@dataclass(frozen=True)
class Price:
    """What one step of quality costs from here, by more data; each may be infinite.

    Attributes:
        step: the gain, in ``unit``.
        unit: ``dB`` or ``SSIM``.
        n: training-set size that has it.
        images: to be acquired beyond those at hand.
        hours: of one training at that n.
        total: in ``currency``, or None where hours have no price.
        currency: of the total.
        sentence: all of this in one sentence.
        findings: cautions.
    """

    step: float
    unit: str
    n: Interval
    images: Interval
    hours: Interval
    total: Interval | None
    currency: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.findings)])


def price_next_step(curve: CurvePosterior, costs: Costs) -> Price:
    """Price the next 0.1 dB (0.01 SSIM) beyond the largest n, by more data for the network chosen there.

    Args:
        curve: the curve, inferred from points.
        costs: prices.

    Raises:
        UserError: ``costs`` gives no number.
    """
    unit, n = METRICS[curve.points.metric].unit, draw_next_step(curve)
    images, hours, total = np.full((3, len(n)), np.inf)
    for row in np.flatnonzero(np.isfinite(n)):
        bill = costs.bill(float(n[row]), curve.p, curve.largest)
        images[row], hours[row], total[row] = bill.images, bill.hours, np.nan if bill.total is None else bill.total
    priced = None if costs.per_hour is None else summarise(total)
    answer = Price(
        step=STEP[unit],
        unit=unit,
        n=summarise(n),
        images=summarise(images),
        hours=summarise(hours),
        total=priced,
        currency=costs.currency,
        sentence="",
        findings=curve.level.findings,
    )
    return replace(answer, sentence=_price_sentence(answer, curve.points.unit))


def draw_next_step(curve: CurvePosterior) -> Floats:
    """(DRAWS,) the n beyond the largest one that gains 0.1 dB (0.01 SSIM); inf where no n does."""
    metric, rungs = METRICS[curve.points.metric], n_grid(curve.last, curve.last)
    log_error = curve.draw(rungs)
    gain = metric.gain(np.exp(log_error[:, :1]), np.exp(log_error))
    return first_n_reaching(rungs, STEP[metric.unit] - gain)


def _price_sentence(answer: Price, unit: str) -> str:
    """Hours of 0 are hours that nobody measured; nothing is said about them."""
    what = f"The next {answer.step:g} {answer.unit}"
    never = f"the chance that more data never brings it is {format_chance(answer.n.never)}"
    if np.isinf(answer.n.median):
        return f"{what} is not expected from more data ({never})."
    images = f"about {round_interval(answer.images.median)} more {unit} ({format_interval(answer.images)})"
    hours = f" and {duration(3600 * answer.hours.median)} of training" if answer.hours.median else ""
    total = ""
    if answer.total is not None:
        money = f"{round_interval(answer.total.median)} {answer.currency}".rstrip()
        total = f", {money} in all ({format_interval(answer.total)})"
    return f"{what} needs {images}{hours}{total}; {never}."
