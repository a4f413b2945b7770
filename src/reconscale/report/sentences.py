"""Sentences shared by the page and the command line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from reconscale.format import (
    amount,
    by_uncertainty,
    duration,
    format_chance,
    general,
    number,
    plain,
    round_interval,
    short,
)
from reconscale.laws import Experiment, Finding, Forecast, Hours, Points
from reconscale.laws.curve.posterior import ParameterSummary
from reconscale.laws.decisions.gate import OBSTACLES, VALUES
from reconscale.laws.grouping import LEAST_SIZES
from reconscale.report.analysis import Analysis, MetricFormat, analyse
from reconscale.report.run_tables import GPU_HOURS, HOURS
from reconscale.report.tables import (
    Cell,
    Table,
    backtest_table,
    curve_table,
    fan_table,
    findings_table,
    gains_table,
    law_table,
    table,
)
from reconscale.results import Result
from reconscale.study import Run

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

STEPS = "kind action reason runs n p width hours cost cost_unit reduction regret"
"""Columns. ``reduction``: share of the variance that is removed; ``regret``: expected regret that remains, as gains."""

ACT = {
    "COLLECT MORE": "No further experiments needed: collect more data",
    "TRAIN LARGER": "No further experiments needed: train a larger network",
    "STOP": "No further experiments needed: neither twice the data nor a larger network is worth it",
    "UNDECIDED": "No further experiments: decide with what is known",
}
"""What to do where no further experiment is worth it."""
TRAINING_SHOWN = "the curve shows the training, and not the data"
PROBE_FIRST = "Train the smallest and the largest n 4 times as long"
IF_LONG_ENOUGH = "That holds if training was long enough, which nobody has measured."
NOT_OF_P = "No further experiments needed: twice the data are not worth it"
"""The same for STOP where nothing is known about larger networks."""


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


def step_cost(row: Mapping[str, Cell]) -> str:
    """The cost of a step: time where it is known, money where hours have a price, else usual runs."""
    parts = [] if row["hours"] is None else [f"about {duration(3600 * number(row['hours']))}"]
    unit, cost = row["cost_unit"], row["cost"]
    if row["kind"] != "stop" and cost is not None and unit not in (GPU_HOURS, HOURS):
        parts.insert(
            0,
            f"{round_interval(number(cost))} {unit}".rstrip()
            if parts
            else f"cost of {round_interval(number(cost))} {unit}",
        )
    return ", ".join(parts)


def next_steps(
    answer: Analysis | None,
    runs: Sequence[Run] = (),
    results: Sequence[Result] = (),
    hours: Hours | None = None,
    *,
    chosen: bool = False,
) -> Table:
    """The next steps: what, why, how many runs, at what cost.

    Args:
        answer: the analysis of the measured runs; none where no run is done.
        runs: every run of the study; empty for points from a CSV file.
        results: of the finished runs.
        hours: measured time of a run by n and width (in the place of p), or None.
        chosen: runs were chosen one by one, so that the rest of the grid is not missing.
    """
    rows = _unfinished(runs, results, hours, chosen)
    if answer is not None and not answer.has_curve:
        rows.append(_more_sizes(answer))
    if answer is not None and answer.has_curve:
        rows = [*first_rows(answer, results), *rows, *experiment_rows(answer)]
    return table("next-steps", STEPS, rows)


def first_rows(answer: Analysis, results: Sequence[Result] = ()) -> list[tuple[Cell, ...]]:
    """What must be mended before anything else, as a row; nothing where nothing must.

    Its hours are known where runs that have not converged are to go on: twice the steps cost as much again.
    """
    if not answer.decision.first_step:
        return []
    against = [item.code for item in answer.decision.findings if item.code in OBSTACLES]
    why = TRAINING_SHOWN
    if answer.decision.verdict == "UNDECIDED":
        why = "nothing that was measured decides it"
    elif against and all(code in VALUES for code in against):
        why = "the curve is one of values that are not what they are called"
    why = f"until then {why}"
    going_on = [result for result in results if result.status == "done" and result.converged is False]
    more = bool(going_on) and against == ["not-converged"] and all(result.times for result in going_on)
    hours = sum(result.seconds for result in going_on) / 3600 if more else None
    return [_step("first", answer.decision.first_step, why, len(going_on) if more else None, hours)]


def experiment_rows(answer: Analysis) -> list[tuple[Cell, ...]]:
    """The experiments as rows; ``both``: the gains of n and of p are to be learnt, else that of n.

    Where something must be mended first, no row says that the decision is settled.
    """
    aim = "the gain of doubling n" if answer.surface is None else "the gains of doubling n and p"
    rows: list[tuple[Cell, ...]] = []
    for item in answer.experiments:
        if item.kind == "stop" and answer.decision.first_step:
            continue
        numbers = (item.seeds or None, item.n, item.p, item.width)
        hours = None if item.bill is None else item.bill.hours
        action, reason = _worded(item, answer, aim)
        left = (item.cost, item.cost_unit, item.reduction, item.regret)
        rows.append((item.kind, action, reason, *numbers, hours, *left))
    return rows


def _worded(item: Experiment, answer: Analysis, aim: str) -> tuple[str, str]:
    """What to do and why."""
    decision = answer.decision
    if item.kind == "stop" or item.n is None:
        action = NOT_OF_P if decision.verdict == "STOP" and decision.gain_p is None else ACT[decision.verdict]
        if decision.verdict == "STOP" and is_length_unknown(answer):
            return PROBE_FIRST, f"{item.why} {IF_LONG_ENOUGH}"
        return action, item.why
    network = f"width {item.width}" if item.width is not None else "" if item.p is None else f"p = {short(item.p)}"
    place = f"n = {amount(item.n)}{f', {network}' if network else ''}"
    action = {
        "repeat": f"Repeat {place} with new seeds",
        "new size": f"Add the new size {place}",
        "other width": f"Train another network: {place}",
    }[item.kind]
    return (
        action,
        f"should remove {format_chance(item.reduction)} of the variance of {aim}{_to_collect(item.n, answer)}",
    )


def is_length_unknown(answer: Analysis) -> bool:
    """Whether nobody knows if longer training would change the curve."""
    return any(item.code in ("convergence-unknown", "not-probed") for item in answer.findings)


def _to_collect(n: float, answer: Analysis) -> str:
    """That a size is beyond the images at hand, or, where nobody says how many there are, beyond those used so far."""
    have = answer.costs.have
    more = math.ceil(n - (answer.decision.n if have is None else have) - 1e-6)
    if more <= 0:
        return ""
    noun = answer.quantity.counted(more).removeprefix(amount(more)).strip()
    twice = max(0, math.ceil(answer.bill("n", 2.0).images - 1e-6))
    instead = f"where doubling n takes {amount(twice) if twice else 'none'}"
    dear = f", {instead}: if {noun} are dear, double n first and see" if more > twice else ""
    if have is not None:
        return f"; {amount(more)} more {noun} must be collected for it{dear}"
    at_hand = ", and what is not at hand must be collected"
    return f"; it takes {amount(more)} more {noun} than were used so far{at_hand}{dear}"


def _unfinished(
    runs: Sequence[Run], results: Sequence[Result], hours: Hours | None, chosen: bool
) -> list[tuple[Cell, ...]]:
    over = {result.run.id for result in results}
    left = [run for run in runs if run.id not in over]
    rows: list[tuple[Cell, ...]] = []
    if left:
        sizes = ", ".join(amount(n) for n in sorted({run.n for run in left}))
        why = f"{len(left)} of {len(runs)} planned runs have no result yet (n = {sizes})"
        time = None if hours is None else sum(hours(run.n, run.network.width) for run in left)
        action = "Finish the plan: reconscale status prints the command"
        if chosen:
            action = "Let more runs be chosen, with a larger --budget or with --until decided"
            why = f"{len(left)} of {len(runs)} runs of the grid are not made; these are the most it can take"
        rows.append(_step("finish", action, why, len(left), time))
    lost = [result for result in results if result.status != "done"]
    if lost:
        why = "they are missing from the curve; the list of runs says why they failed"
        rows.append(_step("repeat lost runs", "Repeat the runs that failed or diverged", why, len(lost), None))
    return rows


def _more_sizes(answer: Analysis) -> tuple[Cell, ...]:
    n = float(answer.points.n.max())
    sizes = [max(1, round(float(f"{n / factor:.2g}"))) for factor in (9, 3)] if n >= 18 else [3 * n, 9 * n]
    named = " and ".join(amount(size) for size in sizes)
    why = f"there is one training size; a curve needs at least {LEAST_SIZES}, and 4 or more to see whether it bends"
    return _step("new size", f"Add training sizes, for instance n = {named}", why, None, None)


def _step(kind: str, action: str, reason: str, runs: int | None, hours: float | None) -> tuple[Cell, ...]:
    return (kind, action, reason, runs, None, None, None, hours, None, None, None, None)


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


def step_lines(steps: Table) -> list[str]:
    """What to run next, one line for each step."""
    lines = []
    for place, row in enumerate(steps.records(), start=1):
        runs = "" if row["runs"] is None else f" ({row['runs']} run{'' if row['runs'] == 1 else 's'}"
        cost = step_cost(row)
        more = f"{runs}{f', {cost}' if cost and runs else ''}{')' if runs else ''}"
        link = "." if row["kind"] == "stop" else ":"
        lines.append(f"  {place}. {row['action']}{more}{link} {row['reason']}")
    return ["what to run next", *lines] if lines else []


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
