"""Is it worth collecting more data, or training a larger network?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.findings import Finding, merged
from reconscale.laws.frontier import best_dial, frontier
from reconscale.laws.levels import Levels, image_shift, levels, resample
from reconscale.laws.points import METRICS, Points
from reconscale.laws.posterior.calibration import stretched
from reconscale.laws.posterior.posterior import MOST_LEVELS
from reconscale.laws.posterior.stacking import stack
from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]

DRAWS = 4000
"""Curves drawn."""
LIKELY, UNLIKELY = 0.8, 0.2
"""A gain counts as worthwhile from the first probability on, and as ruled out below the second."""


@dataclass(frozen=True)
class Gain:
    """What doubling one thing is expected to add.

    Attributes:
        median: expected gain, in dB (or SSIM); above 0 is better.
        low: 5 % quantile.
        high: 95 % quantile.
        probability: chance that the gain is larger than worthwhile.
    """

    median: float
    low: float
    high: float
    probability: float


@dataclass(frozen=True)
class Decision:
    """The answer.

    Attributes:
        verdict: ``COLLECT MORE``, ``TRAIN LARGER``, ``STOP`` or ``UNDECIDED``.
        probability: of what the verdict claims: that the gain is worthwhile, for STOP that none is, for UNDECIDED
            that the more promising one is.
        n: the largest n measured.
        p: parameters of the network chosen there, or None.
        measured: mean over seeds of the metric there.
        error_bar: standard error of that mean, from the spread between seeds.
        gain_n: what doubling n adds.
        gain_p: what doubling p adds at that n, or None where fewer than three sizes of network were measured there.
        worthwhile: the smallest gain worth paying for.
        unit: of the gains, ``dB`` or ``SSIM``.
        sentence: all of this in plain words.
        findings: cautions.
    """

    verdict: str
    probability: float
    n: float
    p: float | None
    measured: float
    error_bar: float
    gain_n: Gain
    gain_p: Gain | None
    worthwhile: float
    unit: str
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict} ({wording(self.probability)})", self.sentence, *map(str, self.findings)])


def decide(points: Points, *, double: str = "n", worthwhile: float = 0.1, seed: int = 0) -> Decision:
    """Say whether doubling the data, or the network, is worth it.

    COLLECT MORE where the chance that doubling n gains more than ``worthwhile`` is at least 80 %; else TRAIN LARGER
    where doubling p does; STOP where both chances are known and below 20 % (with p unknown: on the data alone, and
    the sentence says so); else UNDECIDED. Gains are of the mean over seeds and over images like the test images.

    Args:
        points: the measurements, three or more distinct n.
        double: which is looked at first, ``n`` or ``p``, where both would be worthwhile.
        worthwhile: the smallest gain worth paying for, 0 or more: in dB, for ``ssim`` in SSIM.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: there are fewer than three distinct n, or an argument is out of range.
    """
    if double not in ("n", "p"):
        raise Mistake("double", f"found '{double}'", "'n' or 'p' is expected")
    if not (np.isfinite(worthwhile) and worthwhile >= 0):
        raise Mistake("worthwhile", f"found {worthwhile}", "a gain of 0 or more is expected")
    best = frontier(points)
    level = levels(best, MOST_LEVELS)
    rng = np.random.default_rng(seed)
    gain_n = _gain(_double(level, float(np.log(best.n.max())), rng), points.metric, worthwhile)
    p, gain_p = _larger(points, best, worthwhile, rng)
    verdict, probability = _verdict(gain_n, gain_p, double)
    last = best.n == best.n.max()
    measured = float(best.y[last].mean())
    error = np.array([METRICS[points.metric].to_error(np.array([measured]))[0]])
    bar = float(np.sqrt(level.variance[-1]) / METRICS[points.metric].slope(error)[0])
    answer = Decision(
        verdict=verdict,
        probability=probability,
        n=float(best.n.max()),
        p=p,
        measured=measured,
        error_bar=bar,
        gain_n=gain_n,
        gain_p=gain_p,
        worthwhile=float(worthwhile),
        unit=METRICS[points.metric].unit,
        sentence="",
        findings=merged(level.findings),
    )
    return replace(answer, sentence=_sentence(answer, points, double))


def wording(probability: float) -> str:
    """``very likely`` from 95 %, ``likely`` from 80 %, ``undecided`` from 20 %, else ``unlikely``."""
    for least, word in ((0.95, "very likely"), (LIKELY, "likely"), (UNLIKELY, "undecided")):
        if probability >= least:
            return word
    return "unlikely"


def _gain(before_after: Floats, metric: str, worthwhile: float) -> Gain:
    """From ln(error) (D, 2) before and after."""
    gains = METRICS[metric].gain(np.exp(before_after[:, 0]), np.exp(before_after[:, 1]))
    low, median, high = np.quantile(gains, [0.05, 0.5, 0.95]).tolist()
    return Gain(median, low, high, float((gains > worthwhile).mean()))


def _double(level: Levels, x: float, rng: np.random.Generator) -> Floats:
    """(D, 2) coherent draws of ln(error) at x and at x + ln 2."""
    places = np.array([x, x + np.log(2.0)])
    drawn = stretched(stack(level, rng).curves(places, DRAWS, rng)[0], places, level)
    return drawn + image_shift(level, places, DRAWS, rng)


def _larger(
    points: Points, best: Points, worthwhile: float, rng: np.random.Generator
) -> tuple[float | None, Gain | None]:
    """The p of the network chosen at the largest n, and what doubling it adds there."""
    if points.p is None or best.p is None:
        return None, None
    last = float(best.n.max())
    p = float(np.median(best.p[best.n == last]))
    there = points.rows(points.n == last)
    if there.p is None or len(np.unique(there.p)) < 3:
        return p, None
    in_p = levels(Points(there.p, there.y, there.seed, metric=there.metric, images=there.images), MOST_LEVELS)
    chosen = best_dial(there, there.p, last)
    x = np.log([chosen, 2.0 * chosen])
    if x[1] <= in_p.x[-1]:
        z = in_p.z + resample(in_p, 2000, rng, images=True)[0]
        return p, _gain(np.stack([_between(x, in_p.x, row) for row in z]), points.metric, worthwhile)
    return p, _gain(_double(in_p, float(x[0]), rng), points.metric, worthwhile)


def _between(x: Floats, known: Floats, z: Floats) -> Floats:
    return np.asarray(np.interp(x, known, z))


def _verdict(gain_n: Gain, gain_p: Gain | None, double: str) -> tuple[str, float]:
    claims = [("COLLECT MORE", gain_n.probability)]
    if gain_p is not None:
        claims.insert(0 if double == "p" else 1, ("TRAIN LARGER", gain_p.probability))
    for claim, probability in claims:
        if probability >= LIKELY:
            return claim, probability
    most = max(probability for _, probability in claims)
    return ("STOP", 1.0 - most) if most < UNLIKELY else ("UNDECIDED", most)


def _sentence(answer: Decision, points: Points, double: str) -> str:
    digits = 4 if answer.unit == "SSIM" else 2
    network = "" if answer.p is None else f" and p = {_amount(answer.p)}"
    profile = f" [{points.profile}]" if points.profile else ""
    first = f"At n = {answer.n:,.6g} {points.unit}{network} we measure {_value(answer, points, digits)}{profile}."
    about_n = _about("n", answer.gain_n, answer, digits)
    if answer.gain_p is not None:
        about_p = _about("p", answer.gain_p, answer, digits)
    else:
        alone = "; this STOP rests on the data alone" if answer.verdict == "STOP" else ""
        about_p = (
            f"What a larger network would add is not known (three or more sizes of it are needed at this n){alone}."
        )
    return " ".join([first, *([about_p, about_n] if double == "p" else [about_n, about_p])])


def _value(answer: Decision, points: Points, digits: int) -> str:
    if points.metric == "error":
        return f"an error of {answer.measured:.4g} ± {answer.error_bar:.1g}"
    return f"{answer.measured:.{digits}f} ± {answer.error_bar:.{digits}f} {answer.unit}"


def _about(what: str, gain: Gain, answer: Decision, digits: int) -> str:
    return (
        f"Doubling {what} is expected to add {gain.median:.{digits}f} {answer.unit} "
        f"(90 % interval {gain.low:.{digits}f} to {gain.high:.{digits}f}); the chance that it exceeds your "
        f"{answer.worthwhile:g} {answer.unit} is {_chance(gain.probability)} ({wording(gain.probability)})."
    )


def _chance(probability: float) -> str:
    if probability > 0.99:
        return "above 99 %"
    return "below 1 %" if probability < 0.01 else f"{100 * probability:.0f} %"


def _amount(p: float) -> str:
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if p >= size:
            return f"{p / size:.3g}{letter}"
    return f"{p:.3g}"
