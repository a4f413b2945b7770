"""The answer as plain lines of text, for the command line."""

from __future__ import annotations

from collections.abc import Sequence

from reconscale.laws import Points
from reconscale.report.answer import Answer, answer_of
from reconscale.report.tables import backtest_table, curve_table, fan_table, findings_table, law_table
from reconscale.report.wording import Quantity, amount, general, plain


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
    return lines_of(answer_of(points, worthwhile=worthwhile, asked=asked))


def lines_of(answer: Answer) -> list[str]:
    """The lines of :func:`answer_lines`, of an answer that is known already."""
    quantity = answer.quantity
    blocks = [
        [answer.verdict, answer.sentence],
        _measured(answer, quantity),
        _expected(answer, quantity),
        _laws(answer),
        backtest_lines(answer),
        [f"{row['severity']} [{row['code']}]: {row['text']}" for row in findings_table(answer.findings).records()],
    ]
    lines: list[str] = []
    for block in blocks:
        if block:
            lines += ([""] if lines else []) + block
    return lines


def backtest_lines(answer: Answer) -> list[str]:
    """The back-test, one sentence a size that was held back."""
    quantity, lines = answer.quantity, []
    for row in backtest_table(answer).records():
        stop, n, median, low, high, seen, inside = (row[name] for name in backtest_table(answer).columns)
        verdict = "inside" if inside else "outside"
        lines.append(
            f"Had we stopped at n = {amount(_float(stop))} we would have forecast {quantity.say(_float(median))} "
            f"({quantity.bare(_float(low))} to {quantity.bare(_float(high))}) at n = {amount(_float(n))}; "
            f"we saw {quantity.say(_float(seen))}, {verdict} the 90 % interval."
        )
    return lines


def forecast_rows(answer: Answer) -> list[tuple[str, str, str, str, str]]:
    """The sizes that were asked for: n, multiple of the largest n, expected value, 50 % and 90 % interval."""
    quantity, rows = answer.quantity, []
    for row in fan_table(answer).where(asked=1).records():
        n, reach = _float(row["n"]), _float(row["n"]) / float(answer.points.n.max())
        head = (amount(n), f"{reach:.3g}×")
        if row["median"] is None:
            rows.append((*head, "refused", "", ""))
            continue
        middle, *ends = (quantity.bare(_float(row[name])) for name in ("median", "low50", "high50", "low90", "high90"))
        rows.append((*head, middle, f"{ends[0]} to {ends[1]}", f"{ends[2]} to {ends[3]}"))
    return rows


def _measured(answer: Answer, quantity: Quantity) -> list[str]:
    lines = [f"measured ({quantity.title}{f', {quantity.profile}' if quantity.profile else ''}; n in {quantity.unit})"]
    for row in curve_table(answer).records():
        sd = "" if row["sd"] is None else f"   sd {_sd(_float(row['sd']), quantity)}"
        width = "" if row["width"] is None else f"   width {row['width']}"
        n, mean = amount(_float(row["n"])), quantity.say(_float(row["mean"]))
        lines.append(f"  n = {n:>9}   {mean:>10}{sd}   runs {row['runs']}{width}")
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
        weight = "" if row["weight"] is None else f", weight {plain(_float(row['weight']))}"
        if row["value"] is None:
            lines.append(f"  {row['law']}{weight}: {row['note']}")
            continue
        numbers = [general(_float(row[name])) for name in ("value", "low90", "high90")]
        lines.append(f"  {row['law']}{weight}: {row['parameter']} = {numbers[0]} ({numbers[1]} to {numbers[2]})")
    return ["laws, with 90 % intervals", *lines] if lines else []


def _sd(value: float, quantity: Quantity) -> str:
    return general(value) if quantity.metric == "error" else plain(value, quantity.digits + 1)


def _float(cell: str | int | float | None) -> float:
    return float("nan") if cell is None else float(cell)
