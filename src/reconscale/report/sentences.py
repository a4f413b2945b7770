"""Sentences shared by the page and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconscale.format import (
    amount,
    by_uncertainty,
    format_chance,
    general,
    number,
    plain,
    short,
)
from reconscale.laws import Finding, Forecast, Points
from reconscale.laws.curve.posterior import ParameterSummary
from reconscale.report.analysis import Analysis, MetricFormat, analyse
from reconscale.report.next_steps import STEPS, experiment_rows, first_rows, next_steps, step_lines
from reconscale.report.tables import (
    Table,
    backtest_table,
    curve_table,
    fan_table,
    findings_table,
    gains_table,
    law_table,
    table,
)

FORMS = {
    "power": "no break",
    "saturating": "a plateau at small n",
    "break": "one break",
    "two breaks": "two breaks",
}
MEMBERS = {"curve": "the posterior curve", "last value": "the last value", "line": "a straight line"}
MOSTLY_PRIOR = "the interval is mostly the prior, or lies at its edge"
QUANTITIES = {
    "exponent": "exponent beyond the last break",
    "slope": "slope at n = {n}",
    "floor": "floor, as part of the error at n = {n}",
    "break": "break, at n",
}


def members_sentence(outlook: Forecast) -> list[str]:
    """The members of the forecast and the forms of its curve, in two sentences."""
    members = ", ".join(f"{MEMBERS.get(name, name)} {100 * w:.0f} %" for name, w in outlook.weights.items())
    heads = dict.fromkeys(FORMS, 0.0)
    for name, probability in outlook.forms.items():
        head = name.partition("+")[0]
        heads[head] = heads.get(head, 0.0) + probability
    named = ", ".join(f"{FORMS.get(head, head)} {100 * p:.0f} %" for head, p in heads.items())
    floor = sum(p for name, p in outlook.forms.items() if "+" in name)
    return [f"Weights: {members}.", f"Power law with {named}; with a floor {100 * floor:.0f} %."]


def known_name(name: str, largest: float) -> str:
    """The name of a parameter of the curve."""
    return QUANTITIES.get(name, name).format(n=amount(largest))


def known_value(name: str, value: float | None) -> str:
    """Its value: a size for the break, per cent for the floor."""
    if value is None or value != value:
        return "unknown"
    if name == "break":
        return amount(float(f"{value:.2g}"))
    return f"{100 * value:.0f} %" if name == "floor" else f"{value:.2g}"


def known_verdict(name: str, identified: bool, probability: float) -> str:
    """Whether the data identify a quantity, and the chance that it exists."""
    why = "the range of n is too narrow, or the interval is mostly the prior" if name == "floor" else MOSTLY_PRIOR
    said = "identified" if identified else f"not identified ({why})"
    exists = {"floor": "chance of a floor", "break": "chance of a break within the data"}.get(name)
    return said if exists is None else f"{said}; {exists}: {format_chance(probability)}"


def known_sentence(name: str, known: ParameterSummary, largest: float) -> str:
    """A parameter of the curve with its intervals, in one sentence."""
    numbers = (known.median, known.low, known.high, known.prior_low, known.prior_high)
    median, low, high, prior_low, prior_high = (known_value(name, value) for value in numbers)
    verdict = known_verdict(name, known.identified, known.probability)
    before = f"prior {prior_low} to {prior_high}"
    return f"{known_name(name, largest)}: {median} ({low} to {high}; {before}); {verdict}"


def target_sentence(answer: Analysis) -> list[str]:
    """The n that the target needs; nothing without a target."""
    return [] if answer.required is None else [f"Target: {answer.required.sentence}"]


def answer_lines(points: Points, *, worthwhile: float | None = None, requested_n: Sequence[float] = ()) -> list[str]:
    """The verdict and its sentence, what was measured, the forecast, the laws, the back-test and the findings.

    Args:
        points: the measurements.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: that of the metric.
        requested_n: sizes to forecast; none: 2, 4 and 10 times the largest n.

    Returns:
        Lines without markup; a blank one between blocks.

    Raises:
        UserError: a size asked for is not a number above 0.
    """
    answer = analyse(points, worthwhile=worthwhile, requested_n=requested_n)
    return lines_of(answer, next_steps(answer), answer.findings)


def lines_of(answer: Analysis, steps: Table, findings: Iterable[Finding]) -> list[str]:
    """The lines of :func:`answer_lines` for an existing analysis.

    Args:
        answer: the analysis.
        steps: what to run next.
        findings: all findings, those about the runs included.
    """
    quantity = answer.quantity
    blocks = [
        [verdict_line(answer.verdict, answer.surety), *filter(None, [answer.reservation]), answer.sentence],
        decision_lines(answer) if answer.has_curve else [],
        _measured(answer, quantity),
        _expected(answer, quantity),
        believed_lines(answer.forecast, float(answer.points.n.max())) if answer.has_curve else [],
        _laws(answer),
        backtest_lines(answer),
        step_lines(steps),
        finding_lines(findings),
    ]
    return joined(blocks)


def decided_lines(answer: Analysis, findings: Iterable[Finding]) -> list[str]:
    """The decision alone: verdict, gains, target, price, next experiments, findings."""
    steps = table("next-steps", STEPS, [*first_rows(answer), *experiment_rows(answer)])
    head = [verdict_line(answer.verdict, answer.surety), *filter(None, [answer.decision.reservation])]
    head.append(answer.decision.sentence)
    return joined([head, decision_lines(answer), step_lines(steps), finding_lines(findings)])


def joined(blocks: Iterable[list[str]]) -> list[str]:
    """Blocks of lines with a blank line between them; empty blocks are left out."""
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ([""] if lines else []) + block
    return lines


def verdict_line(verdict: str, surety: str) -> str:
    """The verdict and its likelihood."""
    return f"{verdict} ({surety})" if surety else verdict


def decision_lines(answer: Analysis) -> list[str]:
    """The gains of more data and of a larger network, the size that the target needs, and the price of a step."""
    quantity = answer.quantity
    lines = [f"gains, with 90 % intervals, and the chance of more than {quantity.gain(answer.decision.worthwhile)}"]
    for row in gains_table(answer).records():
        gain, low, high = (quantity.gain(number(row[name])) for name in ("median", "low90", "high90"))
        head = f"{number(row['factor']):g} x {row['what']}"
        lines.append(
            f"  {head:>9}   {gain} ({low} to {high})   {format_chance(number(row['probability']))}, {row['wording']}"
        )
    return [*lines, *target_sentence(answer), answer.price.sentence]


def believed_lines(made: Forecast, largest: float) -> list[str]:
    """The members of the forecast and the parameters of the curve."""
    lines = [f"  {sentence}" for sentence in members_sentence(made)]
    lines += [f"  {known_sentence(name, known, largest)}" for name, known in made.known.items()]
    return ["members of the forecast, and parameters of the curve (90 % intervals)", *lines]


def backtest_lines(answer: Analysis) -> list[str]:
    """The back-test, one sentence for each size held back."""
    quantity, made, lines = answer.quantity, backtest_table(answer), []
    for row in made.records():
        stop, n, median, low, high, seen, inside = (row[name] for name in made.columns)
        verdict = "inside" if inside else "outside"
        lines.append(
            f"Had we stopped at n = {amount(number(stop))}, we would have forecast {quantity.say(number(median))} "
            f"({quantity.bare(number(low))} to {quantity.bare(number(high))}) at n = {amount(number(n))}; "
            f"we measured {quantity.say(number(seen))}, {verdict} the 90 % interval."
        )
    return lines


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Every finding, the most severe first."""
    return [f"{row['severity']} [{row['code']}]: {row['text']}" for row in findings_table(findings).records()]


def forecast_rows(answer: Analysis) -> list[tuple[str, str, str, str, str]]:
    """The sizes that were asked for: n, multiple of the largest n, expected value, 50 % and 90 % interval."""
    quantity, rows = answer.quantity, []
    for row in fan_table(answer).where(asked=1).records():
        n, reach = number(row["n"]), number(row["n"]) / float(answer.points.n.max())
        head = (amount(n), f"{reach:.3g}×")
        if row["median"] is None:
            rows.append((*head, "not forecast", "", ""))
            continue
        middle, *ends = (quantity.bare(number(row[name])) for name in ("median", "low50", "high50", "low90", "high90"))
        rows.append((*head, middle, f"{ends[0]} to {ends[1]}", f"{ends[2]} to {ends[3]}"))
    return rows


def _measured(answer: Analysis, quantity: MetricFormat) -> list[str]:
    lines = [f"measured ({quantity.title}{f', {quantity.profile}' if quantity.profile else ''}; n in {quantity.unit})"]
    for row in curve_table(answer).records():
        sd = "" if row["sd"] is None else f"   sd {_sd(number(row['sd']), quantity)}"
        width = "" if row["width"] is None else f"   width {row['width']}"
        network = f"   p {short(number(row['p']))}" if row["p"] is not None and not width else width
        n, mean = amount(number(row["n"])), quantity.say(number(row["mean"]))
        lines.append(f"  n = {n:>9}   {mean:>10}{sd}   runs {row['runs']}{network}")
    return lines


def _expected(answer: Analysis, quantity: MetricFormat) -> list[str]:
    lines = [
        f"  n = {n:>9}   {middle:>10}"
        + (f"   50 % {inner}   90 % {outer}" if inner else "")
        + f"   ({reach} the largest n)"
        for n, reach, middle, inner, outer in forecast_rows(answer)
    ]
    if answer.has_curve and answer.forecast.reason:
        lines.append(f"  not forecast: {answer.forecast.reason}")
    return [f"expected of a new run ({quantity.title})", *lines] if lines else []


def _laws(answer: Analysis) -> list[str]:
    lines: list[str] = []
    for row in law_table(answer).records():
        if row["value"] is None:
            lines.append(f"  {row['law']}: {row['note']}")
            continue
        value, low, high = by_uncertainty(*(number(row[name]) for name in ("value", "low90", "high90")))
        lines.append(f"  {row['law']}: {row['parameter']} = {value} ({low} to {high})")
    return ["named laws, with 90 % intervals that assume the law is true", *lines] if lines else []


def _sd(value: float, quantity: MetricFormat) -> str:
    return general(value) if quantity.known.is_error else plain(value, quantity.digits + 1)
