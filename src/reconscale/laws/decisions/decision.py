"""Is it worth collecting more data, or training a larger network?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reconscale.laws.decisions.ahead import ahead
from reconscale.laws.decisions.cautions import cautions
from reconscale.laws.decisions.costs import Bill, Costs
from reconscale.laws.decisions.gains import Gain, gain_p, gains_n
from reconscale.laws.decisions.wording import LIKELY, UNLIKELY, chance, short, wording
from reconscale.laws.findings import Finding, merged
from reconscale.laws.frontier import frontier
from reconscale.laws.levels import Levels
from reconscale.laws.points import METRICS, Points
from reconscale.mistakes import Mistake


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
        gain_tenfold: what ten times n adds.
        gain_p: what doubling p adds at that n, or None where fewer than three sizes of network were measured there.
        gain_p_from: what ``gain_p`` rests on: ``measured``, ``surface``, ``curve`` (along p at the largest n), or
            nothing.
        worthwhile: the smallest gain worth paying for.
        unit: of the gains, ``dB`` or ``SSIM``.
        cost_n: of doubling n: the images and one run there, or None.
        cost_p: of one run with p doubled, or None.
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
    gain_tenfold: Gain
    gain_p: Gain | None
    gain_p_from: str
    worthwhile: float
    unit: str
    cost_n: Bill | None
    cost_p: Bill | None
    sentence: str
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict} ({wording(self.probability)})", self.sentence, *map(str, self.findings)])


def decide(
    points: Points, *, double: str = "n", worthwhile: float = 0.1, costs: Costs | None = None, seed: int = 0
) -> Decision:
    """Say whether doubling the data, or the network, is worth it.

    COLLECT MORE where the chance that doubling n gains more than ``worthwhile`` is at least 80 %; else TRAIN LARGER
    where doubling p does; STOP where both chances are known and below 20 % (with p unknown: on the data alone, and
    the sentence says so); else UNDECIDED. Gains are of the mean over seeds and over images like the test images.

    Args:
        points: the measurements, two or more distinct n.
        double: which is looked at first, ``n`` or ``p``, where both would be worthwhile.
        worthwhile: the smallest gain worth paying for, 0 or more: in dB, for ``ssim`` in SSIM.
        costs: prices; then the sentence says what each doubling costs.
        seed: the same seed gives the same bits.

    Raises:
        Mistake: there are fewer than two distinct n, or an argument is out of range.
    """
    if double not in ("n", "p"):
        raise Mistake("double", f"found '{double}'", "'n' or 'p' is expected")
    checked_worthwhile(worthwhile)
    best = frontier(points)
    told = ahead(points, seed)
    twice, tenfold = gains_n(told, points.metric, worthwhile, (2.0, 10.0))
    p, larger, source = gain_p(points, best, worthwhile, seed)
    verdict, probability = _verdict(twice, larger, double)
    n = float(best.n.max())
    measured, bar = _measured(best, told.level)
    answer = Decision(
        verdict=verdict,
        probability=probability,
        n=n,
        p=p,
        measured=measured,
        error_bar=bar,
        gain_n=twice,
        gain_tenfold=tenfold,
        gain_p=larger,
        gain_p_from=source,
        worthwhile=float(worthwhile),
        unit=METRICS[points.metric].unit,
        cost_n=None if costs is None else costs.bill(2.0 * n, p, n),
        cost_p=None if costs is None or p is None else costs.bill(n, 2.0 * p, n),
        sentence="",
        findings=merged(told.level.findings, cautions(told)),
    )
    return replace(answer, sentence=_sentence(answer, points, double))


def checked_worthwhile(worthwhile: float) -> float:
    """The number itself.

    Raises:
        Mistake: it is not a number of 0 or more.
    """
    if not (np.isfinite(worthwhile) and worthwhile >= 0):
        raise Mistake("worthwhile", f"found {worthwhile}", "a gain of 0 or more is expected")
    return float(worthwhile)


def _measured(best: Points, level: Levels) -> tuple[float, float]:
    """Mean over seeds at the largest n, and its standard error, in units of the metric."""
    measured = float(best.y[best.n == best.n.max()].mean())
    metric = METRICS[best.metric]
    error = metric.to_error(np.array([measured]))
    return measured, float(np.sqrt(level.variance[-1]) / metric.slope(error)[0])


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
    network = "" if answer.p is None else f" and p = {short(answer.p)}"
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
    return " ".join([first, *([about_p, about_n] if double == "p" else [about_n, about_p]), *_bills(answer)])


def _bills(answer: Decision) -> list[str]:
    """What each doubling costs, as far as it is known."""
    said = []
    for what, bill in (("n", answer.cost_n), ("p", answer.cost_p)):
        if bill is not None:
            said.append(f"Doubling {what} costs {bill}.")
    return said


def _value(answer: Decision, points: Points, digits: int) -> str:
    if points.metric == "error":
        return f"an error of {answer.measured:.4g} ± {answer.error_bar:.1g}"
    return f"{answer.measured:.{digits}f} ± {answer.error_bar:.{digits}f} {answer.unit}"


def _about(what: str, gain: Gain, answer: Decision, digits: int) -> str:
    return (
        f"Doubling {what} is expected to add {gain.median:.{digits}f} {answer.unit} "
        f"(90 % interval {gain.low:.{digits}f} to {gain.high:.{digits}f}); the chance that it exceeds your "
        f"{answer.worthwhile:g} {answer.unit} is {chance(gain.probability)} ({wording(gain.probability)})."
    )
