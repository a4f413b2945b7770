"""Compare two methods: where one overtakes, their difference at every n, and its worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, format_chance, round_count, round_interval
from reconscale.laws.curve.calibration import RECONSTRUCTION, domain_of
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.continuations import as_ranked, pair_continuations
from reconscale.laws.decisions.intervals import Interval, format_counts, likelihood_words, summarise
from reconscale.laws.decisions.requirements import first_n_reaching, n_grid, size_for_target
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.points import IMAGES, METRICS, Points

FAR = 10.0
"""Beyond this multiple of the largest n a crossing rests on which law holds."""
BELIEVED = 4.0
"""A measured correlation between seeds is shrunk as if this many more pairs had shown none."""
MOST = 0.95
"""No two methods are taken to share more of their noise."""


@dataclass(frozen=True)
class Crossing:
    """How two methods compare as n grows.

    Attributes:
        names: of the first and the second method.
        overtakes: the name of the one that comes from behind: the worse one at the smallest n of both.
        n: where it first becomes the better one; ``n.never`` is the chance that it does not by 1000 times the
            largest n.
        largest: the largest n that both were measured at or beyond.
        better: chance that the second is better there.
        better_tenfold: the same at ten times that n.
        correlation: between the seeds of the two at the same n, as far as it counts; 0 where seeds are not shared.
        assumed: what the pairing assumes.
        sentence: all of this in a few sentences.
        findings: cautions.
    """

    names: tuple[str, str]
    overtakes: str
    n: Interval
    largest: float
    better: float
    better_tenfold: float
    correlation: float
    assumed: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([self.sentence, self.assumed, *map(str, self.findings)])


NAMES = ("the first", "the second")


def find_crossing(curve: CurvePosterior, other: CurvePosterior, *, names: tuple[str, str] = NAMES) -> Crossing:
    """Compare two methods on the same test set, by the mean over seeds for images like the test images.

    Draws are paired: where both have the same number of test images these are taken to be the same ones, and are
    drawn again together; where both have runs with the same n and seed, these are taken to have seen the same
    training images, so that what they share of their noise cancels, as far as it was measured. How the two curves
    continue beyond the data is taken to be alike to a part for metrics of images (:mod:`.continuations`), and to be
    independent for errors of any other kind.

    Args:
        curve: of the first method.
        other: of the second.
        names: what to call them.

    Raises:
        UserError: the two are in different metrics or profiles, or their n count different things.
    """
    _check_comparable(curve.points, other.points)
    correlation, paired, seed = _shared(curve.best, other.best), _same_images(curve.points, other.points), curve.seed
    other = replace(other, curve_seed=(seed, 3), image_seed=curve.image_seed if paired else (seed, 4))
    last = min(curve.last, other.last)
    rungs = n_grid(max(float(curve.level.x[0]), float(other.level.x[0])), last)
    places = np.append(rungs, [last, last + np.log(10.0)])
    behind = _relative_difference(curve, other, places, correlation)
    second_behind = bool(np.median(behind[:, 0]) >= 0.0)
    better, tenfold = ((behind[:, -2:] < 0).mean(0)).tolist()
    n = summarise(first_n_reaching(rungs, behind[:, :-2] * (1.0 if second_behind else -1.0)))
    largest = float(np.exp(last))
    found = _named_once(curve.points, other.points)
    if FAR * largest < n.median < np.inf:
        found.append(finding("beyond-reach", what="the crossing", factor=n.median / largest))
    return Crossing(
        names=names,
        overtakes=names[1] if second_behind else names[0],
        n=n,
        largest=largest,
        better=better,
        better_tenfold=tenfold,
        correlation=correlation,
        assumed=_assumed(correlation, paired, _alike(curve)),
        sentence=_sentence(names, second_behind, n, (largest, better, tenfold), curve.points.unit),
        findings=unique_findings(curve.level.findings, other.level.findings, tuple(found)),
    )


def _check_comparable(a: Points, b: Points) -> None:
    """Raise a UserError unless both were measured in the same way and overlap in n."""
    for name in ("metric", "profile", "unit"):
        first, second = getattr(a, name), getattr(b, name)
        if first != second and not may_be_equal(name, {first, second}):
            raise UserError(
                "crossing", f"found {name} '{first}' and '{second}'", "measure both methods in the same way"
            )
    if a.n.max() < b.n.min() or b.n.max() < a.n.min():
        raise UserError(
            "crossing",
            f"found n = {amount(a.n.min())} to {amount(a.n.max())} and {amount(b.n.min())} to {amount(b.n.max())}",
            "the two ranges of n must overlap",
        )


def may_be_equal(name: str, words: set[str]) -> bool:
    """Whether two words may mean the same because one of them is only assumed: any error, no profile, or images."""
    if name == "metric":
        return "error" in words and all(METRICS[word].unit == "%" for word in words)
    return "" in words if name == "profile" else IMAGES in words <= {IMAGES, "images", "photographs", "units"}


def _named_once(a: Points, b: Points) -> list[Finding]:
    """The finding that only one of the two says how it was measured."""
    if bool(a.profile) == bool(b.profile):
        return []
    return [finding("mixed-profiles", what=f"only one method names its metric profile ('{a.profile or b.profile}')")]


def _same_images(a: Points, b: Points) -> bool:
    return a.images is not None and b.images is not None and a.images.shape[1] == b.images.shape[1]


def _shared(a: Points, b: Points) -> float:
    """Correlation of ln(error) about the mean of its n, over runs with the same n and seed; shrunk, 0 to ``MOST``."""
    first, second = _by_run(a), _by_run(b)
    both = sorted(first.keys() & second.keys())
    sizes = np.array([key[0] for key in both])
    pairs = np.array([[first[key], second[key]] for key in both]).reshape(-1, 2)
    spare = float(len(sizes) - len(np.unique(sizes)))
    if spare <= 0:
        return 0.0
    for n in np.unique(sizes):
        pairs[sizes == n] -= pairs[sizes == n].mean(0)
    cross = pairs.T @ pairs
    scale = float(np.sqrt(cross[0, 0] * cross[1, 1]))
    measured = float(cross[0, 1]) / scale if scale > 0 else 0.0
    return float(np.clip(measured * spare / (spare + BELIEVED), 0.0, MOST))


def _by_run(points: Points) -> dict[tuple[float, int], float]:
    """(n, seed) -> ln(error); empty where seeds are not known."""
    if points.seed is None:
        return {}
    rows = zip(points.n.tolist(), points.seed.tolist(), np.log(points.error).tolist(), strict=True)
    return {(n, seed): value for n, seed, value in rows}


def _relative_difference(one: CurvePosterior, other: CurvePosterior, places: Floats, correlation: float) -> Floats:
    """(DRAWS, N) ln(error) of the second less that of the first; below 0 the second is better.

    The curves are paired so that their levels at the last place but one, the largest n of both, are correlated, and so
    is, for metrics of images, what they do from there to the last place; the test images are drawn again for both
    alike.
    """
    plain = [side.draw(places, images=False) for side in (one, other)]
    images = [np.zeros_like(value) for value in plain]
    if one.level.images is not None and other.level.images is not None:
        images = [side.draw(places) - value for side, value in zip((one, other), plain, strict=True)]
    if correlation > 0:
        normal = np.random.default_rng((one.seed, 5)).standard_normal((DRAWS, 2))
        normal[:, 1] = correlation * normal[:, 0] + np.sqrt(1.0 - correlation**2) * normal[:, 1]
        plain = [value[as_ranked(value[:, -2], normal[:, k])] for k, value in enumerate(plain)]
    if _alike(one):
        plain[1] = plain[1][pair_continuations(plain[0], plain[1], (-2, -1), np.random.default_rng((one.seed, 6)))]
    return np.asarray(plain[1] + images[1] - plain[0] - images[0])


def _alike(curve: CurvePosterior) -> bool:
    """Whether two such curves are taken to continue alike: those of images do, learners may part at any n."""
    return domain_of(curve.points.metric) == RECONSTRUCTION


def _assumed(correlation: float, paired: bool, alike: bool) -> str:
    seeds = (
        f"Runs with the same n and seed are assumed to share training images (correlation {correlation:.2f})"
        if correlation > 0
        else "The seeds of the two methods are assumed to be independent"
    )
    images = "the test images are assumed to be the same" if paired else "test images are not paired"
    ahead = " Beyond the data both are assumed to flatten alike, or to go on alike, in part." if alike else ""
    return f"{seeds}; {images}.{ahead}"


def _sentence(
    names: tuple[str, str], second_behind: bool, n: Interval, now: tuple[float, float, float], unit: str
) -> str:
    largest, better, tenfold = now
    ahead_of, behind = names if second_behind else names[::-1]
    chances = (
        f"The chance that {names[1]} is better is {format_chance(better)} "
        f"at n = {amount(largest)} ({likelihood_words(better)}) "
        f"and {format_chance(tenfold)} at ten times that."
    )
    if np.isinf(n.median):
        return f"{behind} is not expected to overtake {ahead_of} (chance {format_chance(1.0 - n.never)}). {chances}"
    never = f"; the chance that it never does is {format_chance(n.never)}" if n.never >= 0.005 else ""
    where = f"at about {round_count(n.median)} {unit} ({format_counts(n)}){never}"
    return f"{behind} overtakes {ahead_of} {where}. {chances}"


@dataclass(frozen=True)
class Difference:
    """How much better the second method is at one n, mean over seeds.

    Attributes:
        n: the size.
        gain: of the second over the first, in the metric's unit of gains; below 0 the first is better.
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
        sentence: all of this in one sentence.
    """

    better: str
    worse: str
    n: float
    value: float
    needed: Interval
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


def compare_curves(curve: CurvePosterior, other: CurvePosterior, *, names: tuple[str, str] = NAMES) -> Comparison:
    """Compare two methods on the same test set.

    Args:
        curve: of the first method.
        other: of the second.
        names: what to call them.

    Raises:
        UserError: the points of both are the same; or see :func:`find_crossing`.
    """
    if are_equal(curve.best, other.best):
        raise UserError("compare", f"{names[0]} and {names[1]} hold the same points", "give two different methods")
    made = find_crossing(curve, other, names=names)
    sizes = sorted(set(curve.best.sizes.tolist()) & set(other.best.sizes.tolist()))
    differences = tuple(_difference(curve.best, other.best, n) for n in sizes)
    return Comparison(made, differences, _worth((curve, other), names, differences[-1]) if differences else None)


def are_equal(a: Points, b: Points) -> bool:
    """Whether two curves have the same sizes and errors, in whatever order."""
    first, second = (np.array(sorted(zip(points.n.tolist(), points.error.tolist(), strict=True))) for points in (a, b))
    return bool(np.array_equal(first, second))


def _difference(a: Points, b: Points, n: float) -> Difference:
    metric = METRICS[a.metric]
    sides = [points.rows(points.n == n) for points in (a, b)]
    paired = _paired(*sides)
    if len(paired) > 1:
        gains = metric.gain(paired[:, 0], paired[:, 1])
        half = stdtrit(len(gains) - 1, 0.95) * gains.std(ddof=1) / np.sqrt(len(gains))
        mean = float(gains.mean())
        return Difference(n, mean, mean - float(half), mean + float(half), len(gains))
    # In per cent the first method is what the second is compared with; other units need no reference.
    reference = np.full(1, sides[0].error.mean()) if metric.unit == "%" else np.ones(1)
    one = metric.gain(reference, np.asarray(sides[0].error))
    other = metric.gain(reference, np.asarray(sides[1].error))
    mean = float(other.mean() - one.mean())
    if min(len(one), len(other)) < 2:
        return Difference(n, mean, None, None, 0)
    error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    half = float(stdtrit(len(one) + len(other) - 2, 0.95) * error)
    return Difference(n, mean, mean - half, mean + half, 0)


def _paired(a: Points, b: Points) -> Floats:
    """(K, 2) errors of both at the seeds that both have once."""
    if a.seed is None or b.seed is None:
        return np.empty((0, 2))
    first, second = (dict(zip(p.seed.tolist(), p.error.tolist(), strict=True)) for p in (a, b) if p.seed is not None)
    return np.array([[first[s], second[s]] for s in sorted(first.keys() & second.keys())]).reshape(-1, 2)


def _worth(curves: tuple[CurvePosterior, CurvePosterior], names: tuple[str, str], last: Difference) -> Worth:
    ahead, behind = (1, 0) if last.gain >= 0 else (0, 1)
    leader = curves[ahead].best
    value = float(leader.y[leader.n == last.n].mean())
    needed = size_for_target(curves[behind], value)
    said = f"{names[ahead]} is ahead by {abs(last.gain):.2g} {METRICS[leader.metric].unit} at n = {amount(last.n)}"
    if np.isinf(needed.n.median):
        sentence = f"{said}; {names[behind]} is not expected to reach that with any number of {leader.unit}."
    else:
        factor = needed.n.median / last.n
        sentence = (
            f"{said}; {names[behind]} needs about {round_count(needed.n.median)} {leader.unit} for it "
            f"({format_counts(needed.n)}), {round_interval(factor)} times as many."
        )
    return Worth(names[ahead], names[behind], last.n, value, needed.n, sentence)
