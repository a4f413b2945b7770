"""Is it worth collecting more data, or training a larger network?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtrc

from reconscale.errors import UserError
from reconscale.format import amount, format_chance, general, plain, short
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.costs import CostEstimate, Costs
from reconscale.laws.decisions.gains import LEAST_P, Gain, gain_p, gains_n, group_along_p, last_step
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY, likelihood_words
from reconscale.laws.decisions.longer_training import find_longer, find_worse, gain_steps, last_gain_steps
from reconscale.laws.decisions.resolution import judge_test_set
from reconscale.laws.decisions.width_levels import sample_levels
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.grouping import CONFOUNDED, SizeMeans
from reconscale.laws.metrics import spell_apart
from reconscale.laws.points import METRICS, Points
from reconscale.shown import Drawn

APART = 0.023
"""Naive forecasts that differ by more ln(error) than this (0.1 dB) are said to disagree."""
TWICE = 2.0
"""Steps that differ by a smaller factor are nearly the same."""
RARE = 0.01
"""A scatter that seeds would show less often than this is not due to seeds."""
TRAINED_OUT = ("trained-out", "not-converged", "nearly-converged")
"""Findings about runs that ended when more steps no longer helped, or say what these would still gain."""
PARAMETERS = 3
"""What the curve takes from the points: level, slope, and a bend or a floor."""


def list_cautions(curve: CurvePosterior) -> tuple[Finding, ...]:
    """That steps grow with n, points scatter more than seeds explain, or laws disagree at twice the largest n."""
    found = [*_budgets(curve.points), *_misfit(curve)]
    twice = curve.last + float(np.log(2.0))
    apart = curve.ensemble.apart(twice)
    if apart > APART:
        found.append(finding("laws-disagree", n=float(np.exp(twice)), spread=spell_apart(apart, curve.points.metric)))
    return tuple(found)


def _budgets(points: Points) -> list[Finding]:
    """That every n has a number of steps of its own that grows with n, as where two budgets are mixed in a table.

    Where training went on until it had converged, or its last gain is known, steps are no budget.
    """
    if points.steps is None or any(finding.code in TRAINED_OUT for finding in points.findings):
        return []
    each = [np.unique(points.steps[points.n == n]) for n in points.sizes]
    many = min(int((points.n == n).sum()) for n in points.sizes) > 1
    if not many or any(len(steps) > 1 for steps in each):
        return []
    steps = np.concatenate(each)
    if steps.max() < TWICE * steps.min():
        return []
    correlation = float(np.corrcoef(np.log(points.sizes), np.log(steps))[0, 1])
    return [finding("steps-follow-n", low=steps.min(), high=steps.max())] if correlation >= CONFOUNDED else []


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


ON_DATA_ALONE = "; this STOP rests on the data alone"
"""Said where nothing is known of a larger network; :mod:`.gate` takes it out where the verdict is another one."""
COLLECT, LARGER, STOP, UNDECIDED = "COLLECT MORE", "TRAIN LARGER", "STOP", "UNDECIDED"
DOUBLE = ("auto", "n", "p")
"""Which doubling is preferred where both are worthwhile: the one that gains more, for its price where that is known."""


@dataclass(frozen=True)
class Decision(Drawn):
    """The answer.

    Attributes:
        verdict: ``COLLECT MORE``, ``TRAIN LARGER``, ``STOP`` or ``UNDECIDED``; or, where something must be mended
            before the curve says anything about data (:mod:`.gate`), ``FIX FIRST`` or ``TRAIN LONGER FIRST``.
        probability: of what the verdict on the curve claims: that the gain is worthwhile; for STOP that neither is (at
            least: as if the two were independent); for UNDECIDED that the more promising one is.
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
        steps: of the network chosen at the largest n, or None.
        gain_steps: what twice the steps add there, or None where no run was measured at several numbers of steps.
        gain_steps_from: what that rests on: ``measured``, ``forecast``, or nothing.
        last_gain_steps: what the last doubling of steps that was measured there gained, or None.
        cost_steps: of one run there with twice the steps, or None.
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
    steps: float | None = None
    gain_steps: Gain | None = None
    gain_steps_from: str = ""
    last_gain_steps: float | None = None
    cost_steps: CostEstimate | None = None

    def __repr__(self) -> str:
        gain = f"doubling n gains {plain(self.gain_n.median, 2 if self.unit in ('dB', '%') else 4)} {self.unit}"
        return f"Decision({self.verdict}, n = {amount(self.n)}, {gain})"

    def __str__(self) -> str:
        sure = "" if self.first_step or self.verdict == UNDECIDED else f" ({likelihood_words(self.probability)})"
        said = filter(None, [f"{self.verdict}{sure}", self.reservation, self.sentence])
        return "\n".join([*said, *map(str, self.findings)])


def make_decision(
    curve: CurvePosterior, *, double: str = "auto", worthwhile: float | None = None, costs: Costs | None = None
) -> Decision:
    """Say whether doubling the data, or the network, is worth it.

    - COLLECT MORE: the chance that doubling n gains more than ``worthwhile`` is at least 80 %.
    - TRAIN LARGER: that of doubling p is, and the 90 % interval of its gain lies above 0. A network is the best of
      several and its gain is often continued beyond all of them, so what chance alone explains must not do.
    - STOP: the chance that neither does is at least 80 % (with p unknown: on the data alone, and the sentence says so).
    - UNDECIDED: all else.

    Gains are of the mean over seeds and over images like the test images.

    Args:
        curve: the curve, inferred from points.
        double: which is preferred where both are worthwhile: ``n``, ``p``, or ``auto``: where images and hours have
            prices, the one with the larger expected gain for its price, else the one with the larger expected gain.
        worthwhile: the smallest gain worth paying for, 0 or more, in the metric's own unit: dB of PSNR, per cent of an
            error, else as the values; none: that of the metric.
        costs: prices; then the sentence says what each doubling costs.

    Raises:
        UserError: an argument is out of range.
    """
    if double not in DOUBLE:
        raise UserError("double", f"found '{double}'", "'auto', 'n' or 'p' is expected")
    worthwhile = check_worthwhile(worthwhile, curve.points)
    points, n, p = curve.points, curve.largest, curve.p
    twice, tenfold = gains_n(curve, worthwhile, (2.0, 10.0))
    larger, source = gain_p(curve, worthwhile)
    longer, longer_source = gain_steps(curve, worthwhile)
    cost_n = None if costs is None else costs.bill(2.0 * n, p, n)
    cost_p = None if costs is None or p is None else costs.bill(n, 2.0 * p, n)
    prices = _prices(costs, cost_n, cost_p)
    verdict, probability = choose_verdict(twice, larger, double, prices)
    measured, bar = _measured(curve.best, curve.level)
    doubts = (_out_of_reach(points.metric, measured, worthwhile), _luck(curve, measured, worthwhile))
    small_set = judge_test_set(curve.best, worthwhile)
    findings = (curve.level.findings, list_cautions(curve), *doubts, small_set, find_longer(curve, longer, worthwhile),
                find_worse(curve))  # fmt: skip
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
        cost_n=cost_n,
        cost_p=cost_p,
        sentence="",
        findings=unique_findings(*findings, _open_edge(curve, verdict, larger, worthwhile)),
        curve_verdict=verdict,
        steps=curve.steps,
        gain_steps=longer,
        gain_steps_from=longer_source,
        last_gain_steps=last_gain_steps(curve),
        cost_steps=None if costs is None or longer is None else costs.bill(n, p, n, runs=2),  # the hours of two runs
    )
    said = [_sentence(answer, points, double, prices), *(f"Note that {item.text}." for item in small_set)]
    return replace(answer, sentence=" ".join(said))


def check_worthwhile(worthwhile: float | None, points: Points) -> float:
    """The smallest gain worth paying for, in the unit of the metric; that of the metric where nobody says.

    Raises:
        UserError: it is no number of 0 or more, or none that can be meant in that unit.
    """
    return METRICS[points.metric].check_worthwhile(worthwhile, float(np.median(points.y)))


def _out_of_reach(metric: str, measured: float, worthwhile: float) -> tuple[Finding, ...]:
    """That even perfect values would not gain what is called worthwhile, so that STOP says nothing about the data."""
    known = METRICS[metric]
    room = known.room(measured)
    if worthwhile < room:
        return ()
    name = known.label or known.name
    return (finding("out-of-reach", name=name, measured=measured, room=room, worthwhile=worthwhile),)


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
    along = group_along_p(there)
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


def _open_edge(curve: CurvePosterior, verdict: str, gain: Gain | None, worthwhile: float) -> tuple[Finding, ...]:
    """That a verdict stands at the edge of the grid of networks, and no measurement says how it goes on there.

    The last step of p is flat: neither shown to help (its 90 % interval holds 0) nor ruled out as worthwhile. STOP on
    the data alone needs more: that the last step is ruled out, for nothing else speaks about larger networks.
    """
    step = None if verdict == UNDECIDED else last_step(curve, worthwhile)
    if step is None or step.probability < UNLIKELY:
        return ()
    if step.low > 0.0 and not (verdict == STOP and gain is None):
        return ()
    metric, chance = METRICS[curve.points.metric], format_chance(step.probability)
    told = metric.tell("doubling p up to it", step.median)
    low, high = (plain(end, metric.digits) for end in (step.low, step.high))
    return (finding("edge-open", n=curve.largest, p=curve.p, step=told, low=low, high=high, chance=chance),)


def choose_verdict(
    gain_n: Gain, gain_p: Gain | None, double: str = "auto", prices: tuple[float, float] | None = None
) -> tuple[str, float]:
    """The verdict on the curve, and the probability of what it claims; see :func:`make_decision`.

    Args:
        gain_n: of doubling n.
        gain_p: of doubling p, or None where it is not known.
        double: which is preferred where both are worthwhile.
        prices: of doubling n, and p, or None where one of them is not known.
    """
    p_chance = 0.0 if gain_p is None else gain_p.probability
    more = gain_n.probability >= LIKELY
    larger = gain_p is not None and p_chance >= LIKELY and gain_p.low > 0.0
    if larger and (not more or _prefers_larger(gain_n, gain_p, double, prices)):
        return LARGER, p_chance
    if more:
        return COLLECT, gain_n.probability
    # Both gains start from the same level, so they rise and fall together: this is at most the joint probability.
    neither = (1.0 - gain_n.probability) * (1.0 - p_chance)
    return (STOP, neither) if neither >= LIKELY else (UNDECIDED, max(gain_n.probability, p_chance))


def _prefers_larger(gain_n: Gain, gain_p: Gain | None, double: str, prices: tuple[float, float] | None) -> bool:
    """Whether p is to be doubled where both doublings are worthwhile."""
    if double != "auto" or gain_p is None:
        return double == "p"
    price_n, price_p = prices or (1.0, 1.0)
    return gain_p.median * price_n > gain_n.median * price_p


def _prices(
    costs: Costs | None, cost_n: CostEstimate | None, cost_p: CostEstimate | None
) -> tuple[float, float] | None:
    """What doubling n, and p, costs in the currency; None unless images and hours have prices above 0 in all."""
    if costs is None or costs.per_image is None or cost_n is None or cost_p is None:
        return None
    if not cost_n.total or not cost_p.total:
        return None
    return cost_n.total, cost_p.total


def _sentence(answer: Decision, points: Points, double: str, prices: tuple[float, float] | None) -> str:
    network = "" if answer.p is None else f" and p = {short(answer.p)}"
    profile = f" [{points.profile}]" if points.profile else ""
    first = f"At n = {amount(answer.n)} {points.unit}{network} we measure {_value(answer, points)}{profile}."
    about_n = _about("n", answer.gain_n, answer, points)
    if answer.gain_p is not None:
        about_p = _about("p", answer.gain_p, answer, points)
    else:
        alone = ON_DATA_ALONE if answer.verdict == STOP else ""
        about_p = f"The gain of a larger network is not known ({_lacking_p(points)}){alone}."
    about = [about_p, about_n] if double == "p" else [about_n, about_p]
    about += _about_steps(answer, points)
    return " ".join([first, *about, *_bills(answer), *_weighed(answer, double, prices)])


def _about_steps(answer: Decision, points: Points) -> list[str]:
    """What twice the steps add, and what the last doubling did; nothing where neither is known."""
    if answer.gain_steps is None:
        return []
    metric, last = METRICS[points.metric], answer.last_gain_steps
    if last is None:
        return [_about("the steps", answer.gain_steps, answer, points)]
    before = f"The last doubling of the steps gained {plain(last, metric.digits)} {metric.unit} there."
    return [before, _about("the steps once more", answer.gain_steps, answer, points)]


def _lacking_p(points: Points) -> str:
    """Why nothing is known of larger networks: widths do not say how much larger they are."""
    if points.p is None and points.width is not None and len(np.unique(points.width)) > 1:
        return "widths are given without their numbers of parameters: add them as p"
    return "three or more network sizes are needed at this n"


def _weighed(answer: Decision, double: str, prices: tuple[float, float] | None) -> list[str]:
    """Why one of two worthwhile doublings is preferred, or why a likely gain of p is none yet."""
    more, larger = answer.gain_n.probability >= LIKELY, answer.gain_p
    if larger is None or larger.probability < LIKELY:
        return []
    if larger.low <= 0.0:
        return [] if more else ["The interval of the gain of p holds 0, so seeds alone may explain it."]
    if not more or double != "auto":
        return []
    why = "adds more for its price" if prices is not None else "is expected to add more"
    return [f"Both are worthwhile; doubling {'p' if answer.verdict == LARGER else 'n'} {why}."]


def _bills(answer: Decision) -> list[str]:
    """What each doubling costs, as far as it is known."""
    said = []
    for what, bill in (("n", answer.cost_n), ("p", answer.cost_p), ("the steps", answer.cost_steps)):
        if bill is not None:
            said.append(f"Doubling {what} costs {bill}.")
    return said


def _value(answer: Decision, points: Points) -> str:
    metric, bar = METRICS[points.metric], answer.error_bar
    if metric.is_error:
        name = "an error" if metric.name == "error" else f"{metric.label or metric.name}"
        return f"{name} of {general(answer.measured)}" + ("" if bar is None else f" ± {bar:.1g}")
    spread = "" if bar is None else f" ± {plain(bar, metric.digits)}"
    if bar and not float(plain(bar, metric.digits)):
        spread = f" ± {bar:.1g}"  # many seeds
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
