"""Two methods beside each other: where one overtakes, how they differ at every n, and what the difference is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from reconscale.laws.decisions.crossing import Crossing, crossing
from reconscale.laws.decisions.ranges import Range
from reconscale.laws.decisions.target import n_for
from reconscale.laws.decisions.wording import between, rounded
from reconscale.laws.frontier import frontier
from reconscale.laws.points import METRICS, Points

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """How much better the second method is at one n, mean over seeds.

    Attributes:
        n: the size.
        gain: of the second over the first, in dB (or SSIM); below 0 the first is better.
        low, high: 90 % interval by Student's t over seeds; none with a single run on either side.
        pairs: seeds that both have, whose differences count; 0: the means of both are compared.
    """

    n: float
    gain: float
    low: float | None
    high: float | None
    pairs: int


@dataclass(frozen=True)
class Worth:
    """What the difference at the largest n is worth in images.

    Attributes:
        better, worse: names of the methods.
        n: the largest n that both have.
        value: what the better one reaches there.
        needed: the n at which the worse one reaches it, for images like the test images.
        sentence: in plain words.
    """

    better: str
    worse: str
    n: float
    value: float
    needed: Range
    sentence: str


@dataclass(frozen=True)
class Comparison:
    """Two methods as n grows.

    Attributes:
        crossing: where one overtakes the other.
        differences: at every n that both have.
        worth: what the difference at the largest common n is worth in images; none without a common n.
    """

    crossing: Crossing
    differences: tuple[Difference, ...]
    worth: Worth | None


def comparison(
    points_a: Points, points_b: Points, *, names: tuple[str, str] = ("the first", "the second"), seed: int = 0
) -> Comparison:
    """Compare two methods on the same test set.

    Args:
        points_a: measurements of the first method, two or more distinct n.
        points_b: of the second.
        names: what to call them.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: see :func:`reconscale.laws.crossing`.
    """
    made = crossing(points_a, points_b, names=names, seed=seed)
    best = frontier(points_a), frontier(points_b)
    sizes = sorted(set(best[0].sizes.tolist()) & set(best[1].sizes.tolist()))
    differences = tuple(_difference(*best, n) for n in sizes)
    return Comparison(made, differences, _worth(best, names, differences[-1], seed) if differences else None)


def _difference(a: Points, b: Points, n: float) -> Difference:
    metric = METRICS[a.metric]
    sides = [points.rows(points.n == n) for points in (a, b)]
    paired = _paired(*sides)
    if len(paired) > 1:
        gains = metric.gain(paired[:, 0], paired[:, 1])
        half = stats.t.ppf(0.95, len(gains) - 1) * gains.std(ddof=1) / np.sqrt(len(gains))
        mean = float(gains.mean())
        return Difference(n, mean, mean - float(half), mean + float(half), len(gains))
    one = metric.gain(np.ones(1), np.asarray(sides[0].error))
    other = metric.gain(np.ones(1), np.asarray(sides[1].error))
    mean = float(other.mean() - one.mean())
    if min(len(one), len(other)) < 2:
        return Difference(n, mean, None, None, 0)
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    half = float(stats.t.ppf(0.95, len(one) + len(other) - 2) * error)
    return Difference(n, mean, mean - half, mean + half, 0)


def _paired(a: Points, b: Points) -> Floats:
    """(K, 2) errors of both at the seeds that both have once."""
    if a.seed is None or b.seed is None:
        return np.empty((0, 2))
    first, second = (dict(zip(p.seed.tolist(), p.error.tolist(), strict=True)) for p in (a, b) if p.seed is not None)
    return np.array([[first[s], second[s]] for s in sorted(first.keys() & second.keys())]).reshape(-1, 2)


def _worth(best: tuple[Points, Points], names: tuple[str, str], last: Difference, seed: int) -> Worth:
    ahead, behind = (1, 0) if last.gain >= 0 else (0, 1)
    leader, follower = best[ahead], best[behind]
    value = float(leader.y[leader.n == last.n].mean())
    needed = n_for(follower, value, seed=seed)
    said = f"{names[ahead]} is ahead by {abs(last.gain):.2g} {METRICS[leader.metric].unit} at n = {last.n:,.6g}"
    if np.isinf(needed.n.median):
        sentence = f"{said}; {names[behind]} is not expected to reach that with any number of {leader.unit}."
    else:
        factor = needed.n.median / last.n
        sentence = (
            f"{said}; {names[behind]} needs about {rounded(needed.n.median)} {leader.unit} for it "
            f"({between(needed.n)}), {rounded(factor)} times as many."
        )
    return Worth(names[ahead], names[behind], last.n, value, needed.n, sentence)
