"""How many images a target needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reconscale.laws.decisions.costs import Costs
from reconscale.laws.decisions.intervals import Range, between, chance, ranged, rounded, wording
from reconscale.laws.decisions.prediction import REACH, ahead, error_of, ladder, reached
from reconscale.laws.findings import Finding, finding, merged
from reconscale.laws.grouping import frontier
from reconscale.laws.points import METRICS, Points

FAR = 10.0
"""Beyond this multiple of the largest n a number rests on which law holds."""


@dataclass(frozen=True)
class Needed:
    """The n that a target needs.

    Attributes:
        target: value of the metric.
        n: training-set size at which the expected value reaches it; ``n.never`` is the chance that no n up to
            1000 times the largest measured one does, because a floor lies above the target or the fall is too slow.
        already: chance that it is reached at the largest n measured.
        largest: that n.
        metric: name of the metric.
        sentence: all of this in plain words.
        findings: cautions.
    """

    target: float
    n: Range
    already: float
    largest: float
    metric: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.findings)])


def n_for(points: Points, target: float, *, seed: int = 0) -> Needed:
    """The training-set size at which the mean over seeds, for images like the test images, reaches ``target``.

    Args:
        points: the measurements, two or more distinct n.
        target: value of the metric, for instance 31.0 for a PSNR in dB.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: there are fewer than two distinct n, or ``target`` is not a value of the metric.
    """
    error = error_of(float(target), points.metric, "target")
    told = ahead(points, seed)
    first = float(told.level.x[0])
    rungs = ladder(first, told.last)
    places = np.append(rungs, told.last)
    above = told.curves(places) - np.log(error)
    n = ranged(reached(rungs, above[:, :-1]))
    already = float((above[:, -1] <= 0).mean())
    largest = float(np.exp(told.last))
    found = []
    if FAR * largest < n.median < np.inf:
        found.append(finding("beyond-reach", what=f"the n for {target:g}", factor=n.median / largest))
    sentence = _sentence(target, n, already, points)
    return Needed(
        float(target), n, already, largest, points.metric, sentence, merged(told.level.findings, tuple(found))
    )


def _sentence(target: float, n: Range, already: float, points: Points) -> str:
    goal = f"an error of {target:g}" if points.metric == "error" else f"{target:g} {METRICS[points.metric].unit}"
    most = f"{REACH:,.0f} times the largest n"
    if np.isinf(n.median):
        least = "" if np.isinf(n.low) else f"; if it is, hardly with fewer than {rounded(n.low)} {points.unit}"
        return f"{goal} is not expected to be reached by {most} (chance {chance(1.0 - n.never)}){least}."
    if already >= 0.5:
        return f"{goal} is reached at the largest n = {points.n.max():,.6g} already ({wording(already)})."
    never = f"; the chance that it is never reached is {chance(n.never)}" if n.never >= 0.005 else ""
    return f"{goal} needs about {rounded(n.median)} {points.unit} ({between(n)}){never}."


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
        sentence: all of this in plain words.
        findings: cautions.
    """

    step: float
    unit: str
    n: Range
    images: Range
    hours: Range
    total: Range | None
    currency: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.findings)])


def price(points: Points, costs: Costs, *, seed: int = 0) -> Price:
    """Price the next 0.1 dB (0.01 SSIM) beyond the largest n, by more data for the network chosen there.

    Args:
        points: the measurements, two or more distinct n.
        costs: prices.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: there are fewer than two distinct n, or ``costs`` gives no number.
    """
    unit = METRICS[points.metric].unit
    told = ahead(points, seed)
    rungs = ladder(told.last, told.last)
    log_error = told.curves(rungs)
    gain = METRICS[points.metric].gain(np.exp(log_error[:, :1]), np.exp(log_error))
    n = reached(rungs, STEP[unit] - gain)
    best = frontier(points)
    largest = float(points.n.max())
    p = None if best.p is None else float(np.median(best.p[best.n == best.n.max()]))
    images, hours, total = np.full((3, len(n)), np.inf)
    for row in np.flatnonzero(np.isfinite(n)):
        bill = costs.bill(float(n[row]), p, largest)
        images[row], hours[row], total[row] = bill.images, bill.hours, np.nan if bill.total is None else bill.total
    priced = None if costs.per_hour is None else ranged(total)
    answer = Price(
        step=STEP[unit],
        unit=unit,
        n=ranged(n),
        images=ranged(images),
        hours=ranged(hours),
        total=priced,
        currency=costs.currency,
        sentence="",
        findings=told.level.findings,
    )
    return _said(answer, points, costs.hour_unit)


def _said(answer: Price, points: Points, hour_unit: str) -> Price:
    what = f"The next {answer.step:g} {answer.unit}"
    never = f"; the chance that no amount of data brings it is {chance(answer.n.never)}"
    if np.isinf(answer.n.median):
        return replace(answer, sentence=f"{what} is not expected from more data{never}.")
    parts = [f"{rounded(answer.images.median)} more {points.unit} ({between(answer.images)})"]
    parts.append(f"{rounded(answer.hours.median)} {hour_unit} of training ({between(answer.hours)})")
    if answer.total is not None:
        parts.append(f"{rounded(answer.total.median)} {answer.currency} in all ({between(answer.total)})")
    said = f"{what} costs about {', '.join(parts)}{never if answer.n.never >= 0.005 else ''}."
    return replace(answer, sentence=said)
