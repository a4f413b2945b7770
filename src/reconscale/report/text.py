"""The answer as plain lines of text, for the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconscale.laws import Finding, Forecast, Points, wording
from reconscale.laws.decisions.gains import has_surface
from reconscale.laws.decisions.wording import chance
from reconscale.report.answer import Answer, answer_of
from reconscale.report.choice import Choice
from reconscale.report.expected import backtest_table, fan_table, gains_table, law_table
from reconscale.report.next_steps import STEPS, experiment_rows, next_steps
from reconscale.report.sentences import (
    known_sentence,
    members_sentence,
    price_sentence,
    step_cost,
    target_sentence,
)
from reconscale.report.tables import Table, curve_table, findings_table, table
from reconscale.report.wording import Quantity, amount, general, number, plain, short


def answer_lines(points: Points, *, worthwhile: float = 0.1, asked: Sequence[float] = ()) -> list[str]:
    """The verdict and its sentence, what was measured, the forecast, the laws, the back-test and the findings.

    Args:
        points: the measurements.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        asked: sizes to forecast; none: 2, 4 and 10 times the largest n.

    Returns:
        Lines without markup; a blank one between blocks.

    Raises:
        Mistake: a size asked for is not a number above 0.
    """
    answer = answer_of(points, worthwhile=worthwhile, asked=asked)
    return lines_of(answer, next_steps(answer), answer.findings)


def lines_of(answer: Answer, steps: Table, findings: Iterable[Finding]) -> list[str]:
    """The lines of :func:`answer_lines`, of an answer that is known already.

    Args:
        answer: what the laws say.
        steps: what to run next.
        findings: all cautions, those about the runs included.
    """
    quantity = answer.quantity
    blocks = [
        [verdict_line(answer.verdict, answer.surety), answer.sentence],
        [] if answer.choice is None else choice_lines(answer.choice, quantity),
        _measured(answer, quantity),
        _expected(answer, quantity),
        believed_lines(answer.outlook, float(answer.points.n.max())),
        _laws(answer),
        backtest_lines(answer),
        step_lines(steps),
        finding_lines(findings),
    ]
    return joined(blocks)


def decided_lines(choice: Choice, points: Points, findings: Iterable[Finding]) -> list[str]:
    """The decision alone: verdict, gains, what the target and the next step need, what to run next, cautions."""
    quantity = Quantity(points.metric, points.profile, points.unit)
    decision = choice.decision
    surety = "" if decision.verdict == "UNDECIDED" else wording(decision.probability)
    steps = table("next-steps", STEPS, experiment_rows(choice, both=has_surface(points)))
    head = [verdict_line(decision.verdict, surety), decision.sentence]
    return joined([head, choice_lines(choice, quantity), step_lines(steps), finding_lines(findings)])


def joined(blocks: Iterable[list[str]]) -> list[str]:
    """Blocks of lines with a blank line between them; empty blocks are left out."""
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ([""] if lines else []) + block
    return lines


def verdict_line(verdict: str, surety: str) -> str:
    """The verdict and how sure it is."""
    return f"{verdict} ({surety})" if surety else verdict


def choice_lines(choice: Choice, quantity: Quantity) -> list[str]:
    """What more of each is expected to add, and what the target and the next step need."""
    lines = [f"gains, with 90 % intervals, and the chance of more than {quantity.gain(choice.decision.worthwhile)}"]
    for row in gains_table(choice).records():
        gain, low, high = (quantity.gain(number(row[name])) for name in ("median", "low90", "high90"))
        head = f"{number(row['factor']):g} x {row['what']}"
        lines.append(f"  {head:>6}   {gain} ({low} to {high})   {chance(number(row['probability']))}, {row['wording']}")
    return [*lines, *target_sentence(choice), price_sentence(choice, quantity)]


def believed_lines(outlook: Forecast | None, largest: float) -> list[str]:
    """What the forecast is made of, and what is known about the curve."""
    if outlook is None:
        return []
    lines = [f"  {sentence}" for sentence in members_sentence(outlook)]
    lines += [f"  {known_sentence(name, known, largest)}" for name, known in outlook.known.items()]
    return ["what the forecast is made of, and what is known of the curve (90 % intervals)", *lines]


def backtest_lines(answer: Answer) -> list[str]:
    """The back-test, one sentence a size that was held back."""
    quantity, made, lines = answer.quantity, backtest_table(answer), []
    for row in made.records():
        stop, n, median, low, high, seen, inside = (row[name] for name in made.columns)
        verdict = "inside" if inside else "outside"
        lines.append(
            f"Had we stopped at n = {amount(number(stop))} we would have forecast {quantity.say(number(median))} "
            f"({quantity.bare(number(low))} to {quantity.bare(number(high))}) at n = {amount(number(n))}; "
            f"we saw {quantity.say(number(seen))}, {verdict} the 90 % interval."
        )
    return lines


def step_lines(steps: Table) -> list[str]:
    """What to run next, one line a step."""
    lines = []
    for place, row in enumerate(steps.records(), start=1):
        runs = "" if row["runs"] is None else f" ({row['runs']} run{'' if row['runs'] == 1 else 's'}"
        cost = step_cost(row)
        more = f"{runs}{f', {cost}' if cost and runs else ''}{')' if runs else ''}"
        lines.append(f"  {place}. {row['action']}{more}: {row['reason']}")
    return ["what to run next", *lines] if lines else []


def finding_lines(findings: Iterable[Finding]) -> list[str]:
    """Every caution, the gravest first."""
    return [f"{row['severity']} [{row['code']}]: {row['text']}" for row in findings_table(findings).records()]


def forecast_rows(answer: Answer) -> list[tuple[str, str, str, str, str]]:
    """The sizes that were asked for: n, multiple of the largest n, expected value, 50 % and 90 % interval."""
    quantity, rows = answer.quantity, []
    for row in fan_table(answer).where(asked=1).records():
        n, reach = number(row["n"]), number(row["n"]) / float(answer.points.n.max())
        head = (amount(n), f"{reach:.3g}×")
        if row["median"] is None:
            rows.append((*head, "refused", "", ""))
            continue
        middle, *ends = (quantity.bare(number(row[name])) for name in ("median", "low50", "high50", "low90", "high90"))
        rows.append((*head, middle, f"{ends[0]} to {ends[1]}", f"{ends[2]} to {ends[3]}"))
    return rows


def _measured(answer: Answer, quantity: Quantity) -> list[str]:
    lines = [f"measured ({quantity.title}{f', {quantity.profile}' if quantity.profile else ''}; n in {quantity.unit})"]
    for row in curve_table(answer).records():
        sd = "" if row["sd"] is None else f"   sd {_sd(number(row['sd']), quantity)}"
        width = "" if row["width"] is None else f"   width {row['width']}"
        network = f"   p {short(number(row['p']))}" if row["p"] is not None and not width else width
        n, mean = amount(number(row["n"])), quantity.say(number(row["mean"]))
        lines.append(f"  n = {n:>9}   {mean:>10}{sd}   runs {row['runs']}{network}")
    return lines


def _expected(answer: Answer, quantity: Quantity) -> list[str]:
    lines = [
        f"  n = {n:>9}   {middle:>10}"
        + (f"   50 % {inner}   90 % {outer}" if inner else "")
        + f"   ({reach} the largest n)"
        for n, reach, middle, inner, outer in forecast_rows(answer)
    ]
    if answer.outlook is not None and answer.outlook.reason:
        lines.append(f"  refused: {answer.outlook.reason}")
    return [f"expected of a new run ({quantity.title})", *lines] if lines else []


def _laws(answer: Answer) -> list[str]:
    lines: list[str] = []
    for row in law_table(answer).records():
        if row["value"] is None:
            lines.append(f"  {row['law']}: {row['note']}")
            continue
        value, low, high = (general(number(row[name])) for name in ("value", "low90", "high90"))
        lines.append(f"  {row['law']}: {row['parameter']} = {value} ({low} to {high})")
    return ["named laws, each with 90 % intervals as if it were true", *lines] if lines else []


def _sd(value: float, quantity: Quantity) -> str:
    return general(value) if quantity.metric == "error" else plain(value, quantity.digits + 1)
