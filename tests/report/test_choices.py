"""The trace of chosen runs, on disk and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconscale.errors import UserError
from reconscale.report.choices import choices_grid, choices_table
from reconscale.results.choices import NAME, ChosenRun, append_choice, read_choices

FIRST = ChosenRun(n=100, width=8, seed=0, why="every width once", results=0)
SECOND = ChosenRun(n=30, width=8, seed=1, why="<b>", results=8, verdict="STOP", chance_n=0.051, chance_p=None)


def test_round_trip_and_half_a_line(tmp_path: Path) -> None:
    assert read_choices(tmp_path) == ()
    for chosen in (FIRST, SECOND):
        append_choice(tmp_path, chosen)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"n": 10, "wid')
    assert read_choices(tmp_path) == (FIRST, SECOND)
    append_choice(tmp_path, SECOND)  # after a writer that died in the middle of a line
    assert read_choices(tmp_path) == (FIRST, SECOND, SECOND)


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choices.jsonl: cannot be written"):
        append_choice(tmp_path / "missing", FIRST)


def test_for_people() -> None:
    assert choices_grid((), "images") is None
    grid = choices_grid((FIRST, SECOND), "photographs")
    assert grid is not None and grid.columns[1] == "#n (photographs)"
    assert grid.rows[0] == ("1", "100", "8", "0", "every width once", "too few runs", "", "")
    assert grid.rows[1][5:] == ("STOP", "5 %", "")
    assert choices_table((FIRST, SECOND)).column("chance_n") == [None, 0.051]
