"""Is it worth collecting more data, or training a larger network?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtrc

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, format_chance, general, plain, short
from reconscale.laws.curve.ensemble import fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.costs import CostEstimate, Costs
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY, likelihood_words
from reconscale.laws.decisions.width_levels import sample_levels
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.grouping import (
    SizeMeans,
    best_widths,
    group_by_size,
    image_bootstrap_shift,
)
from reconscale.laws.metrics import spell_apart
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.surface import Surface

APART = 0.023
"""Naive forecasts that differ by more ln(error) than this (0.1 dB) are said to disagree."""
RARE = 0.01
"""A scatter that seeds would show less often than this is not due to seeds."""
PARAMETERS = 3
"""What the curve takes from the points: level, slope, and a bend or a floor."""


def list_cautions(curve: CurvePosterior) -> tuple[Finding, ...]:
    """That the points scatter more than seeds explain, and that laws disagree at twice the largest n."""
    found = _misfit(curve)
    twice = curve.last + float(np.log(2.0))
    apart = curve.ensemble.apart(twice)
    if apart > APART:
        found.append(finding("laws-disagree", n=float(np.exp(twice)), spread=spell_apart(apart, curve.points.metric)))
    return tuple(found)


def _misfit(curve: CurvePosterior) -> list[Finding]:
    """By the curve that comes closest to the points, in a chi-square test at 1 %."""
    level, spare = curve.level, len(curve.level.x) - PARAMETERS
    if spare < 1 or not level.replicated:
        return []
    weight = 1.0 / level.variance
    residual = level.z - curve.ensemble.curve.shapes.log_shape(level.x - level.x[-1])
    residual = residual - (residual @ weight / weight.sum())[:, None]
    square = residual**2 @ weight
    if float(chdtrc(spare, square.min())) > RARE:
        return []
    scatter = float(np.sqrt((residual[square.argmin()] ** 2).mean()))
    seeds = float(np.sqrt(level.variance.mean()))
    return [finding("misfit", law="every curve", residual=100 * scatter, seed=100 * seeds)]


LEAST_P = 3
"""Sizes of network at one n from which on a curve along p is drawn."""


@dataclass(frozen=True)
class Gain:
    """What more of one thing is expected to add.

    Attributes:
        median: expected gain, in the metric's unit of gains; above 0 is better.
        low: 5 % quantile.
        high: 95 % quantile.
        probability: chance that the gain is larger than worthwhile.
        factor: by how much n, or p, is multiplied.
    """

    median: float
    low: float
    high: float
    probability: float
    factor: float = 2.0


def gains_n(curve: CurvePosterior, worthwhile: float, factors: tuple[float, ...]) -> list[Gain]:
    """What each factor of n adds to the largest n, coherently."""
    places, metric = curve.last + np.log(np.array([1.0, *factors])), curve.points.metric
    error = np.exp(curve.draw(places))
    return [_gain(error[:, 0], error[:, k + 1], metric, worthwhile, factor) for k, factor in enumerate(factors)]


def gain_p(curve: CurvePosterior, worthwhile: float) -> tuple[Gain | None, str]:
    """What twice the parameters add at the largest n.

    Where the doubled network lies between measured ones, the measured ones say; else the surface over n and p where
    there are enough cells, else a curve along p.

    Args:
        curve: the curve over n, of the network chosen at each n.
        worthwhile: the smallest gain worth paying for.

    Returns:
        The gain, or None where fewer than three sizes of network were measured there and there is no surface; and what
        it rests on: ``measured``, ``surface``, ``curve``, or nothing.
    """
    points, p = curve.points, curve.p
    if p is None:
        return None, ""
    there = points.rows(points.n == curve.largest)
    assert there.p is not None
    many = len(np.unique(there.p)) >= LEAST_P
    x = np.log(best_widths(there, there.p, curve.largest) * np.array([1.0, 2.0]))
    if many and x[1] <= np.log(there.p.max()):
        return _from_measured(there, x, worthwhile, curve.seed), "measured"
    if curve.surface is not None:
        return _from_surface(curve.surface, there, (curve.largest, p), worthwhile, curve.seed), "surface"
    return (_from_curve(there, x, worthwhile, curve.seed), "curve") if many else (None, "")


def _from_measured(there: Points, x: Floats, worthwhile: float, seed: int) -> Gain:
    """Between networks measured at the largest n, however lucky the selected one was; x: ln p before and after."""
    along = _along_p(there)
    z = sample_levels(along, DRAWS, np.random.default_rng((seed, 6)))
    z = z + image_bootstrap_shift(along, along.x, DRAWS, np.random.default_rng((seed, 2)))
    error = np.exp(np.stack([np.interp(x, along.x, row) for row in z]))
    return _gain(error[:, 0], error[:, 1], there.metric, worthwhile)


def _from_curve(there: Points, x: Floats, worthwhile: float, seed: int) -> Gain:
    """From a curve over p at the largest n; x: ln p before and after."""
    rng = np.random.default_rng((seed, 7))
    curve = CurvePosterior(there, fit_ensemble(_along_p(there), rng), seed, (seed, 8), (seed, 2), rng)
    error = np.exp(curve.draw(x))
    return _gain(error[:, 0], error[:, 1], there.metric, worthwhile)


def _from_surface(surface: Surface, there: Points, at: tuple[float, float], worthwhile: float, seed: int) -> Gain:
    """Test images are drawn again as far as the networks at the largest n say how they differ between images."""
    n, p = at
    drawn = surface.log_error([n, n], [p, 2.0 * p])
    if there.images is not None and there.p is not None and len(np.unique(there.p)) >= LEAST_P:
        rng = np.random.default_rng((seed, 2))
        drawn = drawn + image_bootstrap_shift(_along_p(there), np.log([p, 2.0 * p]), len(drawn), rng)
    error = np.exp(drawn)
    return _gain(error[:, 0], error[:, 1], there.metric, worthwhile)


def _along_p(there: Points) -> SizeMeans:
    """The runs at one n as a curve over p; with few seeds a run far from the others is no reason to leave it out."""
    assert there.p is not None
    along = Points(there.p, there.y, there.seed, metric=there.metric, images=there.images)
    return group_by_size(along, MOST_LEVELS, outliers=False)


def _gain(before: Floats, after: Floats, metric: str, worthwhile: float, factor: float = 2.0) -> Gain:
    """From errors (D,) before and after."""
    gains = METRICS[metric].gain(before, after)
    low, median, high = np.quantile(gains, [0.05, 0.5, 0.95]).tolist()
    return Gain(median, low, high, float((gains > worthwhile).mean()), factor)


@dataclass(frozen=True)
class Decision:
    """The answer.

    Attributes:
        verdict: ``COLLECT MORE``, ``TRAIN LARGER``, ``STOP`` or ``UNDECIDED``; or, where something must be mended
            before the curve says anything about data (:mod:`.gate`), ``FIX FIRST`` or ``TRAIN LONGER FIRST``.
        probability: of what the verdict on the curve claims: that the gain is worthwhile, for STOP that none is, for
            UNDECIDED that the more promising one is.
        n: the largest n measured.
        p: parameters of the network chosen there, or None.
        measured: mean over seeds of the metric there.
        error_bar: standard error of that mean, from the spread between seeds; none where no size was run twice.
        gain_n: what doubling n adds.
        gain_tenfold: what ten times n adds.
        gain_p: what doubling p adds at that n, or None where fewer than three sizes of network were measured there.
        gain_p_from: what ``gain_p`` rests on: ``measured``, ``surface``, ``curve`` (along p at the largest n), or
            nothing.
        worthwhile: the smallest gain worth paying for.
        unit: of the gains: ``dB`` of PSNR, ``%`` of an error, else what the values are, for instance ``SSIM``.
        cost_n: of doubling n: the images and one run there, or None.
        cost_p: of one run with p doubled, or None.
        sentence: all of this in a few sentences.
        findings: cautions.
        curve_verdict: the verdict on the curve alone.
        first_step: what must be mended first; empty where nothing must.
        reservation: why, in a few sentences; likewise.
    """

    verdict: str
    probability: float
    n: float
    p: float | None
    measured: float
    error_bar: float | None
    gain_n: Gain
    gain_tenfold: Gain
    gain_p: Gain | None
    gain_p_from: str
    worthwhile: float
    unit: str
    cost_n: CostEstimate | None
    cost_p: CostEstimate | None
    sentence: str
    findings: tuple[Finding, ...]
    curve_verdict: str = ""
    first_step: str = ""
    reservation: str = ""

    def __str__(self) -> str:
        sure = "" if self.first_step else f" ({likelihood_words(self.probability)})"
        said = filter(None, [f"{self.verdict}{sure}", self.reservation, self.sentence])
        return "\n".join([*said, *map(str, self.findings)])


def make_decision(
    curve: CurvePosterior, *, double: str = "n", worthwhile: float | None = None, costs: Costs | None = None
) -> Decision:
    """Say whether doubling the data, or the network, is worth it.

    COLLECT MORE where the chance that doubling n gains more than ``worthwhile`` is at least 80 %; else TRAIN LARGER
    where doubling p does; STOP where both chances are known and below 20 % (with p unknown: on the data alone, and
    the sentence says so); else UNDECIDED. Gains are of the mean over seeds and over images like the test images.

    Args:
        curve: the curve, inferred from points.
        double: which is looked at first, ``n`` or ``p``, where both would be worthwhile.
        worthwhile: the smallest gain worth paying for, 0 or more, in the metric's own unit: dB of PSNR, per cent of an
            error, else as the values; none: that of the metric.
        costs: prices; then the sentence says what each doubling costs.

    Raises:
        UserError: an argument is out of range.
    """
    if double not in ("n", "p"):
        raise UserError("double", f"found '{double}'", "'n' or 'p' is expected")
    worthwhile = check_worthwhile(worthwhile, curve.points)
    points, n, p = curve.points, curve.largest, curve.p
    twice, tenfold = gains_n(curve, worthwhile, (2.0, 10.0))
    larger, source = gain_p(curve, worthwhile)
    verdict, probability = _verdict(twice, larger, double)
    measured, bar = _measured(curve.best, curve.level)
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
        findings=unique_findings(curve.level.findings, list_cautions(curve), _luck(curve, measured, worthwhile)),
        curve_verdict=verdict,
    )
    return replace(answer, sentence=_sentence(answer, points, double))


def check_worthwhile(worthwhile: float | None, points: Points) -> float:
    """The smallest gain worth paying for, in the unit of the metric; that of the metric where nobody says.

    Raises:
        UserError: it is no number of 0 or more, or none that can be meant in that unit.
    """
    return METRICS[points.metric].check_worthwhile(worthwhile, float(np.median(points.y)))


def _measured(best: Points, level: SizeMeans) -> tuple[float, float | None]:
    """Mean over seeds at the largest n, and its standard error, in units of the metric; none without replicates."""
    measured = float(best.y[best.n == best.n.max()].mean())
    if not level.replicated:
        return measured, None
    metric = METRICS[best.metric]
    error = metric.to_error(np.array([measured]))
    return measured, float(np.sqrt(level.variance[-1]) / metric.slope(error)[0])


def _luck(curve: CurvePosterior, measured: float, worthwhile: float) -> tuple[Finding, ...]:
    """That the selected network measured better than is expected of it, by more than half of ``worthwhile``."""
    there = curve.points.rows(curve.points.n == curve.largest)
    if there.p is None or curve.p is None or len(np.unique(there.p)) < LEAST_P:
        return ()
    along = _along_p(there)
    if not along.replicated:
        return ()
    levels = sample_levels(along, DRAWS, np.random.default_rng((curve.seed, 6))).mean(0)
    level = np.exp(levels[np.abs(along.x - np.log(curve.p)).argmin()])
    metric = METRICS[there.metric]
    error = metric.to_error(np.array([measured]))
    if metric.gain(level, error)[0] <= 0.5 * worthwhile:
        return ()
    expected = float(metric.from_error(np.array([level]))[0])
    count = len(along.x)
    return (finding("lucky-network", count=count, n=curve.largest, measured=measured, expected=expected),)


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
    network = "" if answer.p is None else f" and p = {short(answer.p)}"
    profile = f" [{points.profile}]" if points.profile else ""
    first = f"At n = {amount(answer.n)} {points.unit}{network} we measure {_value(answer, points)}{profile}."
    about_n = _about("n", answer.gain_n, answer, points)
    if answer.gain_p is not None:
        about_p = _about("p", answer.gain_p, answer, points)
    else:
        alone = "; this STOP rests on the data alone" if answer.verdict == "STOP" else ""
        about_p = (
            f"The gain of a larger network is not known (three or more network sizes are needed at this n){alone}."
        )
    return " ".join([first, *([about_p, about_n] if double == "p" else [about_n, about_p]), *_bills(answer)])


def _bills(answer: Decision) -> list[str]:
    """What each doubling costs, as far as it is known."""
    said = []
    for what, bill in (("n", answer.cost_n), ("p", answer.cost_p)):
        if bill is not None:
            said.append(f"Doubling {what} costs {bill}.")
    return said


def _value(answer: Decision, points: Points) -> str:
    metric, bar = METRICS[points.metric], answer.error_bar
    if metric.is_error:
        name = "an error" if metric.name == "error" else f"{metric.label or metric.name}"
        return f"{name} of {general(answer.measured)}" + ("" if bar is None else f" ± {bar:.1g}")
    spread = "" if bar is None else f" ± {plain(bar, metric.digits)}"
    return f"{plain(answer.measured, metric.digits)}{spread} {metric.unit}"


def _about(what: str, gain: Gain, answer: Decision, points: Points) -> str:
    metric = METRICS[points.metric]
    low, high = (plain(end, metric.digits) for end in (gain.low, gain.high))
    told = metric.tell(f"Doubling {what}", gain.median)
    of = "of the gain " if " to lose " in told or " to raise " in told else ""
    return (
        f"{told} (90 % interval {of}{low} to {high}); the chance that it exceeds your "
        f"{metric.spell(answer.worthwhile)} "
        f"is {format_chance(gain.probability)} ({likelihood_words(gain.probability)})."
    )
