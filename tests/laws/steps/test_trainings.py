"""Which rows are one training at several numbers of steps, and what they gained."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.laws import Points, infer
from reconscale.laws.repeated_rows import at_their_most_steps, without_repeats
from reconscale.laws.steps.law import infer_steps
from reconscale.laws.steps.rates import infer_rates
from reconscale.laws.steps.trainings import read_trainings

ROWS = "10,0,1000,27 10,0,4000,27.1 100,0,1000,28 100,0,4000,29 1000,0,1000,28.4 1000,0,4000,30.4"
TABLE = "\n".join(["n,seed,steps,psnr", *ROWS.split()])


def test_gains_are_those_between_rows():
    points = Points([10, 10, 10], [20.0, 23.0, 24.0], [0, 0, 0], metric="psnr", steps=[100, 200, 800])
    known = read_trainings(points)
    assert known.gain * 10 / np.log(10) == pytest.approx([3.0, 0.5])  # for each doubling
    assert known.end - known.start == pytest.approx([1.0, 2.0])
    assert (known.now, known.last) == (known.last, pytest.approx([np.log2(800)])) and not known.ended[0]


def test_a_run_stands_in_the_curve_at_its_own_steps():
    points = Points([10, 10, 10], [20.0, 23.0, 24.0], [0, 0, 0], metric="psnr", steps=[100, 200, 800])
    known = read_trainings(points, points.rows([1]))
    assert known.now == pytest.approx([np.log2(200)])


def test_one_number_of_steps_is_no_training(make):
    assert read_trainings(make(0.1, 1, 0.5)) is None
    points = make(0.1, 1, 0.5)
    assert read_trainings(replace(points, steps=np.full(len(points), 100.0))) is None
    assert at_their_most_steps(points) is points


def test_replicates_that_ended_by_themselves_stay_replicates():
    """Each seed has steps of its own, and they are no grid."""
    points = Points([10, 10, 30, 30], [20.0, 21.0, 22.0, 23.0], [0, 1, 0, 1], metric="psnr", steps=[100, 200, 200, 800])
    assert at_their_most_steps(points) is points
    assert read_trainings(points) is None and read_trainings(replace(points, seed=None)) is None


@pytest.mark.parametrize("seed", [None, [0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 0]])
def test_a_grid_of_steps_is_read_with_and_without_seeds(seed):
    n, steps = [10, 10, 30, 30, 90, 90], [100, 400] * 3
    points = Points(n, [20.0, 21, 22, 23, 24, 26], seed, metric="psnr", steps=steps)
    longest = at_their_most_steps(points)
    assert longest.y.tolist() == [21, 23, 26] and longest.trainings is points
    assert [item.code for item in longest.findings] == ["last-of-training"]
    assert without_repeats(longest).y.tolist() == [21, 23, 26]


@pytest.mark.parametrize("text", [TABLE, TABLE.replace("seed,", "").replace(",0,", ",")])
def test_tables_with_steps_in_several_values(tmp_path, text):
    """Rows of fewer steps say what more steps add; they are no replicates, and no second curve."""
    path = tmp_path / "points.csv"
    path.write_text(text)
    curve = infer(Points.from_csv(path))
    assert curve.points.y.tolist() == [27.1, 29.0, 30.4] and len(curve.points.trainings) == 6
    assert curve.steps == 4000


def test_looks_in_the_middle_of_a_training_are_no_trainings(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(TABLE.replace("steps", "epoch"))
    assert Points.from_csv(path).trainings is None


def test_a_log_of_looks_is_no_ladder_of_trainings():
    """Many rows a run: the last counts, and nothing is said of more steps."""
    n, steps = np.repeat([10.0, 30.0, 90.0], 200), np.tile(np.arange(1.0, 201.0), 3)
    points = Points(n, 20.0 + np.log10(n) + 0.01 * steps, np.zeros(600, int), metric="psnr", steps=steps)
    curve = infer(points)
    assert len(curve.points) == 3 and curve.steps_law is None and curve.decide().gain_steps is None


def test_steps_that_are_nearly_the_same_are_one():
    points = Points([10] * 4, [20.0, 21.0, 22.0, 23.0], [0] * 4, metric="psnr", steps=[100, 110, 121, 240])
    known = read_trainings(points)
    assert np.exp2(known.start).round().tolist() == [100, 121] and np.exp2(known.end).round().tolist() == [121, 240]
    assert read_trainings(points.rows([0, 1])) is None


def test_many_runs_are_thinned_so_that_time_stays_bounded(train):
    many = train(n=tuple(range(100, 400)), seeds=1, ends=1e6)
    known = read_trainings(many)
    assert len(known.gain) == 1800
    rates = infer_rates(known)
    assert rates._known.shape[1] == 900 and 299.0 in rates._known[3]  # every second run, and the last one


def test_trainings_in_another_metric_or_without_steps_are_refused():
    points = Points([10, 30], [20.0, 21.0], metric="psnr")
    with pytest.raises(UserError, match="found no steps"):
        replace(points, trainings=points)
    with pytest.raises(UserError, match="found 'error'.*'psnr'"):
        replace(points, trainings=Points([10, 30], [1.0, 2.0], steps=[1, 2]))


@given(st.integers(0, 99), st.floats(0.01, 100.0))
def test_the_order_of_rows_and_the_unit_of_the_error_do_not_matter(order, unit):
    n, steps = np.repeat([10.0, 100.0], 3), np.tile([100.0, 200.0, 400.0], 2)
    error = np.array([3.0, 2.0, 1.9, 2.5, 1.5, 1.2])
    one = read_trainings(Points(n, error, np.zeros(6), steps=steps))
    mixed = np.random.default_rng(order).permutation(6)
    other = read_trainings(Points(n[mixed], unit * error[mixed], np.zeros(6), steps=steps[mixed]))
    for name in ("n", "now", "last", "ended", "run", "start", "end", "gain"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-9)


def test_the_same_bits_twice(train):
    first, second = (infer_steps(train()).fall(300, None) for _ in range(2))
    assert first[1] == second[1] == "forecast" and (first[0] == second[0]).all()
