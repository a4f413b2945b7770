"""What a reader sees first: the question, the answer in a sentence, and the next step with its cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconscale.format import amount, format_chance, number, plain, short, times
from reconscale.laws import METRICS, Gain
from reconscale.laws.decisions.gate import OBSTACLES
from reconscale.report.analysis import Analysis
from reconscale.report.html_tables import gain_cost
from reconscale.report.next_steps import PROBE_FIRST, is_length_unknown, step_cost
from reconscale.report.tables import Table

UNKNOWN_COST = "not known"
"""Of a step that nobody can price beforehand, or whose runs nobody has timed."""
NO_COST = "none"
UNFINISHED = "the networks had not finished learning"
BEFORE = {
    "looks-like-ssim": "the numbers are not what they are called",
    "mixed-scales": "some numbers are of another scale",
    "psnr-of-equal-images": "the numbers are of equal images",
    "below-input": "the networks are worse than what they are given",
    "rate-of-adam": "the networks were trained at a rate of another optimizer",
    "untrained-runs": "training improved nothing",
    "error-rises": "more data make the networks worse, which data alone do not",
    "classical-is-better": "a method that needs no training is better",
    "below-classical": "the networks do not reach a method that needs no training",
    "not-converged": UNFINISHED,
    "probe-gains": UNFINISHED,
    "longer-gains": UNFINISHED,
    "budget-too-small": UNFINISHED,
    "steps-follow-n": "more data went with more training, and what helped cannot be told",
    "out-of-reach": "there is less left to gain than is asked for",
    "edge-open": "the largest network is the best, and a larger one may be better still",
}
"""Code of what stands against the verdict on the curve -> why, in the fewest words."""


def question_of(answer: Analysis | None, words: str, noun: str) -> str:
    """The question that a page answers.

    Args:
        answer: the analysis; none where no run is done.
        words: the problem, as ``denoising of Gaussian noise``; empty: not known.
        noun: what n counts.
    """
    several = answer is not None and answer.points.p is not None and len(set(answer.points.p.tolist())) > 1
    larger = ", or a larger network," if several else ""
    gain = "make the result better"
    if answer is not None:
        metric = METRICS[answer.points.metric]
        least = metric.spell(answer.worthwhile)
        gain = f"lower the error by {least} or more" if metric.unit == "%" else f"add {least} or more"
    about = f" {words[:1].upper()}{words[1:]}." if words else ""
    return f"Would twice as many {noun}{larger} {gain}?{about}"


def answer_in_short(answer: Analysis | None) -> str:
    """The answer in a sentence with its chance; empty where there is no curve."""
    if answer is None or not answer.has_curve:
        return ""
    decision, noun = answer.decision, answer.quantity.unit
    said = _gained(f"Twice as many {noun}", decision.gain_n, answer)
    if decision.gain_p is not None:
        if answer.verdict == "TRAIN LARGER":
            said = _gained("A network twice as large", decision.gain_p, answer)
        else:
            said += f"; of a network twice as large that chance is {format_chance(decision.gain_p.probability)}"
    if decision.first_step:
        alone = f"The curve alone would say {decision.curve_verdict}: {said[:1].lower()}{said[1:]}."
        why = dict.fromkeys(BEFORE[item.code] for item in decision.findings if item.code in OBSTACLES)
        return f"Do not act on this yet: {'; '.join(why)}. {alone}"
    return f"{said}."


def _gained(what: str, gain: Gain, answer: Analysis) -> str:
    """What more of something should add, its interval, and its chance of being worthwhile."""
    metric = answer.quantity.known
    low, high = (plain(end, metric.digits) for end in (gain.low, gain.high))
    worse = gain.median < 0 and float(plain(-gain.median, metric.digits)) > 0
    verb = ("raise the error by" if worse else "lower the error by") if metric.unit == "%" else (
        "lose" if worse else "add"
    )  # fmt: skip
    size = plain(abs(gain.median), metric.digits)
    return (
        f"{what} should {verb} {size} {metric.unit} (90 % interval {low} to {high}); the chance that it is worthwhile, "
        f"more than {metric.spell(answer.decision.worthwhile)}, is {format_chance(gain.probability)}"
    )


def next_step_of(steps: Table, gains: Table | None, answer: Analysis | None) -> tuple[str, str, str] | None:
    """What to do next, why, and what it costs: what the verdict says, or else the first of the next steps.

    Args:
        steps: the next steps.
        gains: what more data and a larger network bring and cost; none where there is no curve.
        answer: the analysis; none where no run is done.
    """
    decided = answer is not None and answer.has_curve and not answer.decision.first_step
    if answer is not None and gains is not None and decided:
        asked = {"COLLECT MORE": "n", "TRAIN LARGER": "p"}.get(answer.verdict)
        row = next((row for row in gains.records() if row["what"] == asked), None)
        if row is not None:
            return _acted_on(row, answer)
        if answer.verdict == "STOP":
            larger = "" if answer.decision.gain_p is None else ", and train no larger network"
            if is_length_unknown(answer):
                return (
                    PROBE_FIRST,
                    f"collect no more {answer.quantity.unit}{larger} if that changes nothing",
                    UNKNOWN_COST,
                )
            return f"Collect no more {answer.quantity.unit}{larger}", "", NO_COST
    first = next(iter(steps.records()), None)
    if first is None:
        return None
    return (*_worded(first, answer), step_cost(first) or UNKNOWN_COST)


def _acted_on(row: Mapping[str, Any], answer: Analysis) -> tuple[str, str, str]:
    """The step of a verdict, from its row of the gains."""
    quantity, size = answer.quantity, number(row["size"])
    if row["what"] == "p":
        action = f"Train a network of {short(size)} parameters at n = {amount(answer.decision.n)}"
    else:
        action = f"Bring the training set from {amount(answer.decision.n)} to {amount(size)} {quantity.unit}"
    why = f"{quantity.gain(number(row['median']))} expected, the answer above"
    return action, why, gain_cost(row, quantity, answer.price.currency) or UNKNOWN_COST


def _worded(row: Mapping[str, Any], answer: Analysis | None) -> tuple[str, str]:
    """An experiment without the words of the method; other steps as they are."""
    action, reason = str(row["action"]).removesuffix("."), str(row["reason"])
    if answer is None or row["reduction"] is None or row["n"] is None:
        return action, reason
    network = f" of width {row['width']}" if row["width"] is not None else ""
    network = network or ("" if row["p"] is None else f" of {short(number(row['p']))} parameters")
    count = int(number(row["runs"])) if row["runs"] is not None else 1
    many = f"{times(count, 'network')}{network} with {answer.quantity.counted(number(row['n']))}"
    action = f"Train {many}{', seeds that were not used yet' if row['kind'] == 'repeat' else ''}"
    _, _, collected = reason.partition("; ")
    why = f"it should remove {format_chance(number(row['reduction']))} of the uncertainty (variance) of the answer"
    return action, "; ".join(filter(None, [why, collected]))
