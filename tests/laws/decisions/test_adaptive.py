"""The order in which an adaptive sweep makes its runs: a function of what is measured and what is under way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.laws import Points, infer
from reconscale.laws.decisions.adaptive import Cell, choose_cells, find_unsettled, is_settled, rank_widths, spaced_sizes

SIZES, WIDTHS, SEEDS = (10, 25, 63, 158, 398, 1000), (8, 16, 32), (0, 1, 2)
GRID = [Cell(n, width, seed) for n in SIZES for width in WIDTHS for seed in SEEDS]


def measured(cells: list[Cell], best: int = 32) -> Points:
    """PSNR that grows with n, and is best at one width."""
    y = [25 + 2 * np.log10(c.n) - 0.3 * abs(np.log2(c.width / best)) + 0.01 * c.seed for c in cells]
    n, width, seed = (np.array([getattr(c, name) for c in cells]) for name in ("n", "width", "seed"))
    return Points(n, np.array(y), seed, 60.0 * width**2, "psnr", width=width)


def sequence(count: int, workers: int = 1, best: int = 32) -> list[Cell]:
    """The cells that are made, with some under way; runs end in the order in which they began."""
    done: list[Cell] = []
    under_way: list[Cell] = []
    while len(done) + len(under_way) < count:
        known = measured(done, best) if done else None
        found = choose_cells(GRID, known, under_way, workers - len(under_way))
        under_way += [choice.cell for choice in found]
        if len(under_way) == workers or not found:
            done.append(under_way.pop(0))
    return done + under_way


def test_every_width_at_three_sizes_first_then_seeds_and_then_the_size_next_to_the_largest() -> None:
    made = sequence(18)
    for k, n in enumerate((1000, 158, 25)):
        assert {(c.n, c.width, c.seed) for c in made[3 * k : 3 * k + 3]} == {(n, width, 0) for width in WIDTHS}
    assert made[9:14] == [Cell(1000, 32, 1), Cell(1000, 16, 1), Cell(158, 32, 1), Cell(25, 32, 1), Cell(1000, 32, 2)]
    assert made[14:18] == [Cell(158, 16, 1), Cell(25, 16, 1), Cell(398, 32, 0), Cell(398, 32, 1)]


@pytest.mark.parametrize("best", WIDTHS)
def test_the_best_width_is_followed(best: int) -> None:
    made = sequence(18, best=best)
    assert {cell.width for cell in (made[9], *made[11:14], *made[16:])} == {best}


def test_a_verdict_that_looks_sure_is_checked_next_to_the_largest_n_at_once() -> None:
    made = sequence(9)
    assert choose_cells(GRID, measured(made), unsettled="")[0].cell == Cell(398, 32, 0)
    assert choose_cells(GRID, measured(made[:8]), unsettled="")[0].cell.n == 25


@pytest.mark.parametrize("sizes", [(5,), (5, 9), (5, 9, 20), (8, 24, 64, 130)])
def test_grids_with_few_sizes_are_spread_as_far_as_they_go(sizes: tuple[int, ...]) -> None:
    grid = [Cell(n, width, seed) for n in sizes for width in (4, 8) for seed in (0, 1)]
    first = [choice.cell for choice in choose_cells(grid, None, count=6)]
    assert {cell.n for cell in first[:6]} >= {sizes[0], sizes[-1]}
    assert len({(cell.n, cell.width) for cell in first}) == min(6, 2 * len(sizes))


def test_the_open_question_decides_what_comes_next() -> None:
    made = sequence(18)
    known = measured(made)
    p, n = (choose_cells(GRID, known, count=3, unsettled=open_) for open_ in ("p", "n"))
    assert all(choice.why.endswith("as p is unsettled") for choice in p) and {c.cell.n for c in p} <= {1000, 398}
    assert all(choice.why.endswith("as n is unsettled") for choice in n) and {c.cell.width for c in n} <= {32, 16}


@given(st.integers(1, 7), st.sampled_from(WIDTHS))
@settings(max_examples=20, deadline=None)
def test_each_run_is_made_once_and_in_the_end_all_of_them(workers: int, best: int) -> None:
    made = sequence(len(GRID), workers, best)
    assert len(made) == len(set(made)) == len(GRID) and set(made) == set(GRID)
    assert choose_cells(GRID, measured(made)) == ()


@given(st.permutations(GRID[:20]))
@settings(max_examples=20, deadline=None)
def test_the_order_of_results_on_disk_does_not_matter(cells: list[Cell]) -> None:
    assert choose_cells(GRID, measured(cells), count=5) == choose_cells(GRID, measured(sorted(cells)), count=5)


def test_a_grid_of_one_width_without_widths_in_its_points() -> None:
    grid = [Cell(n, 0, seed) for n in SIZES for seed in SEEDS]
    points = replace(measured([Cell(1000, 32, 0)]), width=None, p=None)
    first = [choice.cell for choice in choose_cells(grid, points, count=4)]
    assert first == [Cell(158, 0, 0), Cell(25, 0, 0), Cell(1000, 0, 1), Cell(158, 0, 1)]


def test_no_grid_is_refused() -> None:
    with pytest.raises(UserError, match="the grid: has no runs; give n, widths and seeds"):
        choose_cells([], None)


def test_widths_are_ranked_by_validation_and_unknown_ones_last() -> None:
    points = measured([Cell(1000, 8, 0), Cell(1000, 16, 0)], best=16)
    assert rank_widths(points, WIDTHS, 1000) == [16, 8, 32]
    turned = replace(points, validation=-points.y + 60)
    assert rank_widths(turned, WIDTHS, 1000) == [8, 16, 32]
    assert rank_widths(None, WIDTHS, 1000)[0] == 16


def test_sizes_are_spaced_by_fractions_of_the_largest() -> None:
    assert spaced_sizes(sorted(SIZES, reverse=True)) == [1000, 398, 158, 63, 25, 10]
    assert spaced_sizes([1000]) == [1000]


def test_settled_means_that_every_chance_is_far_from_even() -> None:
    points = measured(GRID)
    decision = infer(points).decide(worthwhile=0.1)
    assert decision.gain_p is not None
    sure = replace(
        decision, gain_n=replace(decision.gain_n, probability=0.95), gain_p=replace(decision.gain_p, probability=0.02)
    )
    assert is_settled(sure, points, GRID)
    assert not is_settled(replace(sure, gain_n=replace(sure.gain_n, probability=0.85)), points, GRID)
    assert not is_settled(replace(sure, gain_p=replace(decision.gain_p, probability=0.2)), points, GRID)
    assert not is_settled(replace(sure, gain_p=None), points, GRID)
    assert is_settled(replace(sure, gain_p=None), points, [cell for cell in GRID if cell.width == 8])
    assert not is_settled(sure, measured(GRID[-7:]), GRID)
    assert not is_settled(sure, points.rows(points.n >= 398), GRID)
    assert not is_settled(sure, points.rows(points.n != 398), GRID)  # nothing next to the largest n


def test_a_bend_before_the_largest_n_is_seen_before_anything_is_settled() -> None:
    """Quality stops at n = 150: from 10, 63 and 398 alone it seems to rise."""
    cells = [Cell(n, width, seed) for n in (10, 25, 63, 158, 398) for width in WIDTHS for seed in SEEDS]
    rng = np.random.default_rng(1)
    luck = {cell: rng.normal(0, 0.02) for cell in cells}
    made: list[Cell] = []
    while len(made) < len(cells):
        y = [25 + 3 * np.log10(min(c.n, 150)) + 0.001 * c.width + luck[c] for c in made]
        n, width, seed = (np.array([getattr(c, name) for c in made], float) for name in ("n", "width", "seed"))
        known = Points(n, np.array(y), seed, 60.0 * width**2, "psnr", width=width) if made else None
        decision = infer(known).decide(worthwhile=0.1) if known is not None and len(known.sizes) > 1 else None
        if known is not None and decision is not None and is_settled(decision, known, cells):
            assert decision.verdict != "COLLECT MORE"
            break
        made.append(choose_cells(cells, known, unsettled=find_unsettled(decision, len(WIDTHS)))[0].cell)
