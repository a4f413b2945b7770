"""How many images a target needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconscale.laws.decisions.ahead import REACH, ahead, error_of, ladder, reached
from reconscale.laws.decisions.ranges import Range, ranged
from reconscale.laws.decisions.wording import between, chance, rounded, wording
from reconscale.laws.findings import Finding, finding, merged
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
