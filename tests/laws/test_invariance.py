"""The same measurements in other words have the same answer."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.laws import METRICS, Points, decide, forecast

N = np.repeat([30.0, 100.0, 300.0, 1000.0, 3000.0], 2)
SEED = np.tile([0, 1], 5)
ERROR = (0.1 + N**-0.5) * np.exp(0.02 * np.random.default_rng(0).standard_normal(10))
AHEAD = np.array([3000.0, 9000.0, 30000.0])
FEW = settings(derandomize=True, deadline=None, max_examples=4, database=None)
ROUNDING = 1e-6
"""Part of the 90 % interval by which a rounding error may move an answer."""
SAMPLER = 0.1
"""The same for other random numbers: those of another order of rows, or of more sizes asked for at once."""


def told(n=N, error=ERROR, ahead=AHEAD, **more):
    made = forecast(Points(n, error, SEED, metric="nmse", **more), ahead)
    return np.log(np.stack([made.median, *made.interval(0.9)]))


@cache
def as_it_is():
    return told()


def close(one, other, part=ROUNDING):
    width = one[2] - one[1]
    assert (np.abs(one - other) < part * width).all(), (one - other) / width


@FEW
@given(st.floats(-10, 10))
def test_a_scale_of_the_error_is_a_scale_of_the_answer(power):
    close(as_it_is(), told(error=ERROR * 10.0**power) - power * np.log(10.0))


@FEW
@given(st.floats(-4, 8))
def test_a_unit_of_n_does_not_matter(power):
    close(as_it_is(), told(n=N * 10.0**power, ahead=AHEAD * 10.0**power))


def test_the_order_of_rows_does_not_matter():
    order = np.random.default_rng(1).permutation(10)
    made = forecast(Points(N[order], ERROR[order], SEED[order], metric="nmse"), AHEAD)
    close(as_it_is(), np.log(np.stack([made.median, *made.interval(0.9)])), SAMPLER)


def test_labels_of_seeds_do_not_matter():
    made = forecast(Points(N, ERROR, 17 - 3 * SEED, metric="nmse"), AHEAD)
    close(as_it_is(), np.log(np.stack([made.median, *made.interval(0.9)])))


@pytest.mark.parametrize("metric", ["psnr", "nrmse"])
def test_a_metric_and_its_square_or_logarithm_tell_the_same(metric):
    y = np.sqrt(ERROR) if metric == "nrmse" else METRICS[metric].from_error(ERROR)
    made = forecast(Points(N, y, SEED, metric=metric), AHEAD)
    low, high = made.interval(0.9)
    back = [
        np.log(METRICS[metric].to_error(value)) for value in (made.median, *sorted((low, high), key=lambda v: v[0]))
    ]
    if metric == "psnr":
        back[1], back[2] = back[2], back[1]
        close(as_it_is(), np.stack(back))
    else:  # half of ln(error): what is believed about slopes and noise is wide, but not without a scale
        close(as_it_is(), 2.0 * np.stack(back), 0.25)


def test_a_finer_grid_tells_the_same_at_the_same_sizes():
    grid = np.union1d(np.geomspace(30.0, 30000.0, 37), AHEAD)
    close(as_it_is(), told(ahead=grid)[:, np.searchsorted(grid, AHEAD)], SAMPLER)


def test_a_size_beside_another_that_says_the_same_changes_little():
    n, error = np.append(N, [31.0, 31.0]), np.append(ERROR, 0.1 + 31.0**-0.5 * np.exp([0.02, -0.02]))
    made = forecast(Points(n, error, np.append(SEED, [0, 1]), metric="nmse"), AHEAD)
    close(as_it_is(), np.log(np.stack([made.median, *made.interval(0.9)])), 0.25)


def test_a_verdict_is_the_same_in_other_units():
    one = decide(Points(N, ERROR, SEED, metric="nmse"), worthwhile=5.0)
    other = decide(Points(N * 64.0, ERROR * 1e-3, SEED, metric="nmse"), worthwhile=5.0)
    assert one.verdict == other.verdict
    assert one.gain_n.median == pytest.approx(other.gain_n.median, rel=1e-6)
    assert one.gain_n.probability == pytest.approx(other.gain_n.probability, abs=1e-3)
