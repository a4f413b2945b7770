"""The n that a target needs, the price of the next step of quality, and what the step is worth in images,
parameters and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, duration, format_chance, format_factor, round_count, round_interval
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.costs import Costs
from reconscale.laws.decisions.intervals import Interval, format_counts, format_interval, likelihood_words, summarise
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.optimum import first_below
from reconscale.laws.width_selection import best_widths

FAR = 10.0
"""Beyond this multiple of the largest n a number rests on which law holds."""
REACH = 1000.0
"""What is not reached by this multiple of the largest n is never reached."""
OTHER_UNIT = 100.0
"""A target this many times the largest error measured was meant in another unit."""
RUNGS = 46
"""Sizes up to there; this many, and two more, are drawn jointly; between them curves are straight in log-log."""


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
    known = METRICS[metric]
    kinds = {"%": "an error above 0", "dB": "a PSNR in dB", "SSIM": "an SSIM below 1"}
    raise UserError(where, f"found {value}", f"{kinds.get(known.unit, f'a value of {metric}')} is expected")


def check_target(target: float, points: Points) -> float:
    """A target as an error; one in another unit than what was measured is asked back.

    Raises:
        UserError: it is not a value of the metric, or none that can be meant beside what was measured.
    """
    error = error_of(target, points.metric, "target")
    low, high = float(points.y.min()), float(points.y.max())
    known = METRICS[points.metric]
    if known.unit == "dB" and abs(target) < 1.5 < low:
        choices = "give a PSNR in dB; for a target in SSIM or an error give points in that metric"
        raise UserError("target", f"found {target:g} where {low:.4g} to {high:.4g} dB were measured", choices)
    if known.is_error and target > OTHER_UNIT * high:
        of_decibels = f"{10.0 ** (-target / 10.0):.3g} is the MSE of {target:g} dB"
        raise UserError("target", f"found {target:g} where errors of {low:.4g} to {high:.4g} were measured",
                        f"give an error; {of_decibels}")  # fmt: skip
    return error


def size_for_target(curve: CurvePosterior, target: float) -> RequiredSize:
    """The training-set size at which the mean over seeds, for images like the test images, reaches ``target``.

    Args:
        curve: the curve, inferred from points.
        target: value of the metric, for instance 31.0 for a PSNR in dB.

    Raises:
        UserError: ``target`` is not a value of the metric.
    """
    points, error = curve.points, check_target(float(target), curve.points)
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
    metric = METRICS[points.metric]
    goal = f"{target:g} {metric.unit}"
    if metric.is_error:
        goal = f"{'an error' if metric.name == 'error' else metric.label or metric.name} of {target:g}"
    most = f"{REACH:,.0f} times the largest n"
    if np.isinf(n.median):
        least = "" if np.isinf(n.low) else f"; it needs at least about {round_count(n.low)} {points.unit}"
        chance = f"the chance that {most} reaches it is {format_chance(1.0 - n.never)}"
        return f"{goal} is probably out of reach ({chance}){least}."
    if already >= 0.5:
        return f"{goal} is already reached at the largest n = {amount(points.n.max())} ({likelihood_words(already)})."
    never = f"; the chance that it is never reached is {format_chance(n.never)}" if n.never >= 0.005 else ""
    return f"{goal} needs about {round_count(n.median)} {points.unit} ({format_counts(n)}){never}."


@dataclass(frozen=True)
class Price:
    """What one step of quality costs from here, by more data; each may be infinite.

    Attributes:
        step: the gain, in ``unit``: what the metric counts as worthwhile, 0.1 dB, 2 % of an error, 0.01 SSIM.
        unit: ``dB``, ``%``, or what the values are.
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
    """Price the next 0.1 dB (2 % of an error, 0.01 SSIM) beyond the largest n, by more data, for that network.

    Args:
        curve: the curve, inferred from points.
        costs: prices.

    Raises:
        UserError: ``costs`` gives no number.
    """
    metric, n = METRICS[curve.points.metric], draw_next_step(curve)
    images, hours, total = np.full((3, len(n)), np.inf)
    least = 1.0 if (curve.points.n == np.rint(curve.points.n)).all() else 0.0
    for row in np.flatnonzero(np.isfinite(n)):
        bill = costs.bill(float(n[row]), curve.p, curve.largest)
        more = bill.images if costs.have is not None else max(bill.images, least)  # an image is whole
        images[row], hours[row] = more, bill.hours
        total[row] = np.nan if bill.total is None else costs.total(more, bill.hours)
    priced = None if costs.per_hour is None else summarise(total)
    answer = Price(
        step=metric.worthwhile,
        unit=metric.unit,
        n=summarise(n),
        images=summarise(images),
        hours=summarise(hours),
        total=priced,
        currency=costs.currency,
        sentence="",
        findings=curve.level.findings,
    )
    sentence = _price_sentence(answer, curve.points.unit, known=costs.have is not None)
    return replace(answer, sentence=sentence)


def draw_next_step(curve: CurvePosterior) -> Floats:
    """(DRAWS,) the n beyond the largest one that gains 0.1 dB (2 % of an error, 0.01 SSIM); inf where no n does."""
    metric, rungs = METRICS[curve.points.metric], n_grid(curve.last, curve.last)
    log_error = curve.draw(rungs)
    gain = metric.gain(np.exp(log_error[:, :1]), np.exp(log_error))
    return first_n_reaching(rungs, metric.worthwhile - gain)


def _price_sentence(answer: Price, unit: str, *, known: bool) -> str:
    """Hours of 0 are hours that nobody measured; nothing is said about them. ``known``: how many images are at hand."""
    what = f"The next {answer.step:g} {answer.unit}" + (" of the error" if answer.unit == "%" else "")
    never = f"the chance that more data never brings it is {format_chance(answer.n.never)}"
    if np.isinf(answer.n.median):
        return f"{what} is not expected from more data ({never})."
    beyond = " than are at hand" if known else ""
    images = f"about {round_count(answer.images.median)} more {unit}{beyond} ({format_counts(answer.images)})"
    if answer.images.median == 0.0:
        images = f"about n = {round_count(answer.n.median)} ({format_counts(answer.n)}), which is at hand"
    if answer.images.median == 1.0:
        high = "" if answer.images.high == 1.0 else f" (90 % interval 1 to {round_count(answer.images.high)})"
        images = f"about 1 more of the {unit}{high}"
    hours = f" and {duration(3600 * answer.hours.median)} of training" if answer.hours.median else ""
    total = ""
    if answer.total is not None and answer.total.median > 0:
        money = f"{round_interval(answer.total.median)} {answer.currency}".rstrip()
        total = f", at a cost of {money} ({format_interval(answer.total)})"
    return f"{what} needs {images}{hours}{total}; {never}."


FACTORS = 24
"""Sizes of network that are tried up to ``REACH`` times the one chosen."""


@dataclass(frozen=True)
class NoiseLevel:
    """The same networks at other levels of noise.

    Attributes:
        sigma: (K,) levels, rising.
        y: (R, K) the metric of R runs at each.
        trained: the level that they were trained at, one of them.
    """

    sigma: tuple[float, ...]
    y: tuple[tuple[float, ...], ...]
    trained: float


@dataclass(frozen=True)
class Exchange:
    """What brings one step of quality, with nothing else changed.

    Attributes:
        what: ``n`` images, ``p`` parameters, or ``sigma`` noise.
        step: the gain, in ``unit``: what the metric counts as worthwhile, 0.1 dB, 2 % of an error, 0.01 SSIM.
        unit: ``dB``, ``%``, or what the values are.
        factor: by which it is multiplied: above 1 of images and parameters, below 1 of noise; its ``never`` is the
            chance that no factor up to 1000 (of noise: no less noise) brings the step.
        basis: what it is computed from.
    """

    what: str
    step: float
    unit: str
    factor: Interval
    basis: str


def worth_of_step(curve: CurvePosterior, noise: NoiseLevel | None = None) -> list[Exchange]:
    """What 0.1 dB (2 % of an error, 0.01 SSIM) is worth at the largest n, for the network chosen there.

    Args:
        curve: the curve, inferred from points.
        noise: the runs at the largest n at other levels of noise; none: nothing is said about noise.
    """
    metric, seed = curve.points.metric, curve.seed
    unit = METRICS[metric].unit
    step = METRICS[metric].worthwhile
    n = draw_next_step(curve) / np.exp(curve.last)
    found = [Exchange("n", step, unit, summarise(n), "the curve over n")]
    along = _parameters(curve, step)
    if along is not None:
        found.append(Exchange("p", step, unit, summarise(along[0]), along[1]))
    if noise is not None and len(noise.sigma) > 1:
        found.append(Exchange("sigma", step, unit, summarise(_noise(noise, metric, step, seed)), _levels(noise)))
    return found


def _parameters(curve: CurvePosterior, step: float) -> tuple[Floats, str] | None:
    """The factors of p that bring the step at the largest n, and what they rest on; none where p was not varied."""
    points, last, p = curve.points, curve.largest, curve.p
    if p is None:
        return None
    there = points.rows(points.n == last)
    assert there.p is not None
    sizes = np.unique(there.p)
    if curve.surface is not None:
        places = np.linspace(0.0, np.log(REACH), FACTORS)
        error = np.exp(curve.surface.log_error([last] * FACTORS, (p * np.exp(places)).tolist()))
        gain = METRICS[points.metric].gain(error[:, :1], error)
        return first_n_reaching(places, step - gain), "the surface over n and p"
    if len(sizes) < 2:
        return None
    chosen = float(best_widths(there, there.p, last))
    ends = (sizes[sizes < chosen].max(), chosen) if (sizes < chosen).any() else (chosen, sizes[1])
    low, high = (np.asarray(there.error[there.p == size]) for size in ends)
    reference, metric = np.full(1, low.mean()), METRICS[points.metric]
    slope = _slopes(metric.gain(reference, low), metric.gain(reference, high), curve.seed)
    slope = slope / np.log(ends[1] / ends[0])
    return _factor(step, slope), "a straight line between two measured networks"


def _slopes(low: Floats, high: Floats, seed: int) -> Floats:
    """(DRAWS,) differences of two means over seeds, by Student's t; two seeds at least say how sure they are."""
    difference = float(np.mean(high) - np.mean(low))
    if min(len(low), len(high)) < 2:
        return np.full(DRAWS, difference)
    error = np.sqrt(np.var(low, ddof=1) / len(low) + np.var(high, ddof=1) / len(high))
    spare = len(low) + len(high) - 2
    drawn = np.random.default_rng((seed, 11)).standard_t(spare, size=DRAWS)
    return np.asarray(difference + error * drawn)


def _noise(noise: NoiseLevel, metric: str, step: float, seed: int) -> Floats:
    """Factors of sigma below 1 that bring the step, from the slope towards the next lower level (else the higher)."""
    here = noise.sigma.index(noise.trained)
    other = here - 1 if here > 0 else here + 1
    error = METRICS[metric].to_error(np.array(noise.y, dtype=np.float64))
    gain = METRICS[metric].gain(error[:, here], error[:, other])
    slope = _mean_draws(gain, seed) / np.log(noise.sigma[here] / noise.sigma[other])
    return np.asarray(np.where(slope > 0, np.exp(-step / np.maximum(slope, 1e-12)), 0.0))


def _mean_draws(values: Floats, seed: int) -> Floats:
    """(DRAWS,) of the mean of paired differences over runs, by Student's t."""
    mean = float(values.mean())
    if len(values) < 2:
        return np.full(DRAWS, mean)
    drawn = np.random.default_rng((seed, 12)).standard_t(len(values) - 1, size=DRAWS)
    return np.asarray(mean + np.std(values, ddof=1) / np.sqrt(len(values)) * drawn)


def _factor(step: float, slope: Floats) -> Floats:
    """Factors above 1; infinite where there is no slope or ``REACH`` is not enough."""
    with np.errstate(over="ignore"):
        factor = np.exp(step / np.maximum(slope, 1e-12))
    return np.asarray(np.where((slope > 0) & (factor <= REACH), factor, np.inf))


def _levels(noise: NoiseLevel) -> str:
    here = noise.sigma.index(noise.trained)
    other = here - 1 if here > 0 else here + 1
    return f"the same networks at sigma {noise.trained:g} and {noise.sigma[other]:g}"


def exchange_sentence(found: Sequence[Exchange], unit: str = "images") -> str:
    """The rates in one sentence, as "+0.1 dB = ...".

    Args:
        found: of one curve.
        unit: what n counts.
    """
    if not found:
        return ""
    parts = [_said(item, unit) for item in found]
    if found[0].unit == "%":
        return f"{found[0].step:g} % less error = {' = '.join(parts)}."
    return f"+{found[0].step:g} {found[0].unit} = {' = '.join(parts)}."


def _said(item: Exchange, unit: str) -> str:
    factor = item.factor
    if item.what == "sigma":
        less = [100 * (1 - value) for value in (factor.median, factor.high, factor.low)]
        return f"{less[0]:.2g} % less noise ({less[1]:.2g} to {less[2]:.2g} %)"
    noun = unit if item.what == "n" else "parameters"
    if np.isinf(factor.median):
        return f"no number of {noun} up to {REACH:,.0f} times"
    high = "more than 1,000" if np.isinf(factor.high) else format_factor(factor.high)
    return f"{format_factor(factor.median)} times the {noun} ({format_factor(factor.low)} to {high})"
