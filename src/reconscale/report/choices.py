"""How the runs of a sweep with a budget were chosen, for the page."""

from __future__ import annotations

from collections.abc import Sequence

from reconscale.format import amount, format_chance
from reconscale.report.crowds import MOST_ROWS, spaced
from reconscale.report.tables import Grid, Table, table
from reconscale.results.choices import ChosenRun

COLUMNS = "n width seed why results verdict chance_n chance_p"


def choices_table(chosen: Sequence[ChosenRun]) -> Table:
    """Every choice, in order."""
    return table("choices", COLUMNS, [tuple(getattr(one, name) for name in COLUMNS.split()) for one in chosen])


def choices_grid(chosen: Sequence[ChosenRun], noun: str) -> Grid | None:
    """The same for people; nothing where no run was chosen."""
    if not chosen:
        return None
    rows = tuple(
        (str(index), amount(one.n), str(one.width), str(one.seed), one.why, *_known(one))
        for index, one in spaced(list(enumerate(chosen, 1)), MOST_ROWS)
    )
    caption = "Runs were chosen one by one, by what was known when a worker was free; chances that twice as much pays"
    if len(rows) < len(chosen):
        caption += f"; {len(rows)} of {len(chosen)} choices, evenly spaced, all are in choices.csv"
    return Grid(caption, ("#", f"#n ({noun})", "#width", "#seed", "why", "so far", "#twice n", "#twice p"), rows)


def _known(one: ChosenRun) -> tuple[str, str, str]:
    chances = ("" if chance is None else format_chance(chance) for chance in (one.chance_n, one.chance_p))
    n, p = chances
    return one.verdict or "too few runs", n, p
