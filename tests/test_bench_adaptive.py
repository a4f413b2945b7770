"""The benchmark of adaptive orders: its other order, its record, when it stops, its table of chances, its replay."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import adaptive
import adaptive_replay
import adaptive_tables
from gains import World
from reconscale.laws import Points

ROOT = Path(__file__).parents[1]
WORLD = World(3, inside=True)


def look(runs: int, n: float, p: float | None, true: float = 0.5) -> dict[str, float | None]:
    return {"runs": runs, "cost_root": runs / 2, "n_chance": n, "n_true": true, "n_error": 0.1, "ten_error": -0.3,
            "p_chance": p, "p_true": true, "checked": runs > 13}  # fmt: skip


def test_halving_follows_the_best_width_down_from_the_largest_n() -> None:
    made = list(adaptive.halving_order(None, "np"))
    assert [(c.n, c.seed) for c in made[:5]] == [(1000, 0)] * 3 + [(1000, 1)] * 2
    assert [c.n for c in made[5:10]] == [398, 158, 63, 25, 10] and len({c.width for c in made[5:10]}) == 1
    assert len(set(made)) > adaptive.LOOKS[-1]  # whichever widths are the best, enough is left


def test_an_order_is_looked_at_after_so_many_runs_and_costs_what_they_cost() -> None:
    points = WORLD.measured(adaptive.SIZES, adaptive.SEEDS)
    looks = list(adaptive.follow(adaptive.adaptive_order, WORLD, points, (9, 10)))
    assert [each.runs for each in looks] == [9, 10]
    assert 0 < looks[0].cost_root < looks[1].cost_root < 10
    assert all(0 <= each.n_chance <= 1 and each.p_chance is not None for each in looks)


def test_looked_at_after_each_run_it_ends_once_what_looks_sure_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    def sure_from_eleven(world: World, points: Points) -> adaptive.Look:
        said = 0.95 if len(points) >= 11 else 0.5
        return adaptive.Look(len(points), 1.0, said, 0.0, 0.5, 0.0, said, 0.5, bool((points.n == 398).any()))

    monkeypatch.setattr(adaptive, "look", sure_from_eleven)
    ended = adaptive.follow_until_settled(WORLD, WORLD.measured(adaptive.SIZES, adaptive.SEEDS))
    assert ended["runs"] == 12 and ended["checked"]


def test_a_record_is_gone_on_with_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    record = tmp_path / "record.jsonl"
    assert adaptive.read_record(record) == {}
    record.write_text('{"kind": "inside", "world": 3, "designs": {"a": [1]}}\n'
                      '{"kind": "inside", "world": 3, "designs": {"b": [2]}}\n{"kind": "outs')  # fmt: skip
    assert adaptive.read_record(record) == {("inside", 3): {"a": [1], "b": [2]}}


def test_a_design_stops_once_both_chances_are_far_from_even_and_enough_sizes_were_measured() -> None:
    looks = [look(13, 0.95, 0.05), look(16, 0.95, 0.05), look(19, 0.95, 0.05)]
    assert adaptive_tables.stopped(looks)["runs"] == 16
    assert adaptive_tables.stopped([look(13, 0.95, None), look(16, 0.5, 0.0)])["runs"] == 16


def test_answers_are_counted_as_right_wrong_or_none() -> None:
    looks = [look(13, 0.9, 0.1), look(13, 0.5, 0.1), look(13, 0.8, None), look(13, 0.2, 0.9, true=0.0)]
    assert adaptive_tables.answers(looks, "n") == (0.75, 0.0)
    assert adaptive_tables.answers(looks, "p") == (0.0, 0.75)
    assert adaptive_tables.summarise(looks)["ten"] == pytest.approx(0.3)


def test_stated_chances_are_compared_with_what_happened() -> None:
    pairs = np.array([(0.9, 1.0), (0.9, 0.0), (0.0, 0.0), (1.0, 1.0)])
    cells = adaptive_tables.reliability(pairs)
    assert [cell.split() for cell in cells[:6]] == [["0", "(", "1)"], [], [], [], ["50", "(", "2)"], ["100", "(", "1)"]]
    assert float(cells[6]) == pytest.approx(20.0) and float(cells[7]) == pytest.approx(0.205)


def test_the_figure_shows_every_design(tmp_path: Path) -> None:
    designs = {name: [look(18, 0.9, 0.1)] for name in adaptive.DESIGNS}
    designs |= {name: [look(count, 0.9, 0.1) for count in adaptive.LOOKS] for name in adaptive.ORDERS}
    adaptive_tables.draw_figure({"inside": [designs], "outside": [designs]}, tmp_path / "figure.svg")
    drawn = (tmp_path / "figure.svg").read_text()
    for words in ("adaptive, stops when settled", "halving", "single-seed grid", "geometric grid", "full grid"):
        assert words in drawn


def test_a_study_is_replayed_from_its_results() -> None:
    (grid,) = adaptive_replay.read_grids(ROOT / "studies" / "self-supervised" / "mse")
    made = [cells for cells, _ in adaptive_replay.replay(grid, looks=False)]
    assert len(made) == len(grid.rows) == 10 and set(made[-1]) == set(grid.rows)
    assert made[2] == [adaptive_replay.Cell(n, 16, 0) for n in (300, 30, 3)]
    smaller = grid.below(300)
    assert {cell.n for cell in smaller.rows} == {3, 10, 30, 100}


def test_what_was_not_recorded_is_passed_over() -> None:
    (grid,) = adaptive_replay.read_grids(ROOT / "studies" / "denoising-15-minutes")
    made = [cells for cells, _ in adaptive_replay.replay(grid, looks=False)]
    assert len(grid.cells) == 45 and len(made) == len(grid.rows) == 10
