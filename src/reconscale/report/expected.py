"""What is expected, as tables: the band, the gains, what the curve is believed to be, and how the forecast fared."""

from __future__ import annotations

import numpy as np

from reconscale.laws import wording
from reconscale.report.answer import FAR, NEAR, Answer
from reconscale.report.choice import Choice
from reconscale.report.tables import Cell, Table, table

FAN = "n status median low50 high50 low90 high90 asked"
"""Columns of the band's table. Status: measured range, up to 4x, up to 10x, beyond 10x, or refused."""


def fan_table(answer: Answer) -> Table:
    """What is expected at each size of a grid, within the data and beyond; refused sizes have no numbers.

    ``median`` is the middle of the mean over seeds; the intervals are those of one new run.
    """
    told = answer.outlook
    if told is None:
        return table("fan", FAN, [])
    columns = np.stack([np.median(told.expected, axis=0), *told.interval(0.5), *told.interval(0.9)])
    largest = float(answer.points.n.max())
    rows: list[tuple[Cell, ...]] = []
    for i, n in enumerate(told.n):
        status = _status(float(n), largest, bool(told.refused[i]))
        numbers: list[Cell] = [None if status == "refused" else float(value) for value in columns[:, i]]
        rows.append((float(n), status, *numbers, int(float(n) in answer.asked)))
    return table("fan", FAN, rows)


def gains_table(choice: Choice) -> Table:
    """What more data, and a larger network, are expected to add, and what they cost; hours only where measured."""
    rows: list[tuple[Cell, ...]] = []
    for what, gain in choice.gains:
        here = choice.decision.n if what == "n" else choice.decision.p
        bill = choice.bill(what, gain.factor)
        hours = bill.hours if choice.timed else None
        numbers = (gain.median, gain.low, gain.high, gain.probability)
        size = None if here is None else gain.factor * here
        rows.append((what, gain.factor, size, *numbers, wording(gain.probability), bill.images, hours, bill.total))
    return table("gains", "what factor size median low90 high90 probability wording images hours total", rows)


def members_table(answer: Answer) -> Table:
    """What the forecast is made of: its members with their weights, and the forms of the curve with probabilities."""
    told = answer.outlook
    if told is None:
        return table("members", "kind name probability", [])
    rows = [("member", name, weight) for name, weight in told.weights.items()]
    forms = sorted(told.forms.items(), key=lambda item: -item[1])
    return table("members", "kind name probability", [*rows, *(("form", name, chance) for name, chance in forms)])


def known_table(answer: Answer) -> Table:
    """Exponent, slope, floor and break of the curve, with what was believed before any measurement."""
    rows: list[tuple[Cell, ...]] = []
    for name, known in () if answer.outlook is None else answer.outlook.known.items():
        numbers = (known.median, known.low, known.high, known.prior_low, known.prior_high)
        finite = [value if np.isfinite(value) else None for value in numbers]
        rows.append((name, *finite, known.probability, int(known.identified)))
    return table("known", "quantity median low90 high90 prior_low90 prior_high90 probability identified", rows)


def law_table(answer: Answer) -> Table:
    """The usual named laws with their parameters, 90 % intervals and scatter."""
    rows: list[tuple[Cell, ...]] = []
    known = {found.code for found in answer.findings}
    for item in answer.fits:
        note = "; ".join(found.text for found in item.findings if found.code not in known)
        for name, (value, low, high) in item.parameters.items():
            rows.append((item.law, name, value, low, high, item.residual_sd, item.seed_sd, note))
    rows += [(law, "", None, None, None, None, None, why) for law, why in answer.unfitted]
    return table("laws", "law parameter value low90 high90 residual_sd seed_sd note", rows)


def backtest_table(answer: Answer) -> Table:
    """What would have been forecast for the largest sizes, and what was measured there."""
    rows = [
        (
            held.seen,
            held.n,
            held.median,
            held.low,
            held.high,
            held.measured,
            int(held.low <= held.measured <= held.high),
        )
        for held in answer.held
    ]
    return table("backtest", "stopped_at n median low90 high90 measured inside", rows)


def _status(n: float, largest: float, refused: bool) -> str:
    if refused:
        return "refused"
    reach = n / largest * (1 - 1e-9)
    for limit, name in ((1.0, "measured range"), (NEAR, "up to 4x"), (FAR, "up to 10x")):
        if reach <= limit:
            return name
    return "beyond 10x"
