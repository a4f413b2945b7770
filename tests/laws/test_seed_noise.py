import numpy as np
import pytest
from scipy.special import stdtrit

from reconscale.laws import Points, forecast
from reconscale.laws.grouping import group_by_size
from reconscale.laws.seed_noise import dof_at_largest, find_outliers, fit_variance, shrink_variance

SIZES = np.array([10.0, 30, 100, 300, 1000])
CONSTANT, FALLING = np.full(5, 0.02), np.geomspace(0.08, 0.004, 5)


def study(sd, seeds, rng):
    """ln(error) of a study about a power law, and the size that each run belongs to."""
    group = np.repeat(np.arange(5), seeds)
    return -0.3 * np.log(SIZES)[group] + sd[group] * np.random.default_rng(rng).standard_normal(len(group)), group


@pytest.mark.parametrize("sd", [CONSTANT, FALLING], ids=["constant", "falling"])
def test_clean_runs_are_hardly_ever_outliers(sd):
    flagged = 0
    for rng in range(200):
        z, group = study(sd, 3, rng)
        flagged += find_outliers(np.log(SIZES), z, group).any()
    assert flagged <= 8  # 1 % are expected


@pytest.mark.parametrize("sd", [CONSTANT, FALLING], ids=["constant", "falling"])
def test_the_spread_is_right_at_every_size(sd):
    found = []
    for rng in range(100):
        z, group = study(sd, 3, rng)
        points = Points(SIZES[group], np.exp(z), np.tile(np.arange(3), 5))
        found.append(group_by_size(points).sd)
    np.testing.assert_allclose(np.median(found, axis=0), sd, rtol=0.3)


def test_the_line_is_the_variance_where_there_are_many_runs():
    x, variance = np.log(SIZES), 0.01 * SIZES**-1.3
    np.testing.assert_allclose(fit_variance(x, 1000 * variance, np.full(5, 1000.0)), variance, rtol=0.01)
    own = shrink_variance(np.array([0.4]), np.array([1000.0]), np.array([0.01]))
    assert own[0] == pytest.approx(0.4 / 1000, rel=0.2)


def test_an_outlier_is_named_and_stays_in_the_spread_of_its_size():
    z, group = study(CONSTANT, 3, 0)
    z[7] += 1.0
    assert find_outliers(np.log(SIZES), z, group).nonzero()[0].tolist() == [7]
    points = Points(SIZES[group], np.exp(z), np.tile(np.arange(3), 5))
    level = group_by_size(points)
    assert "outlier" in {item.code for item in level.findings}
    assert level.z[2] == pytest.approx(np.median(z[6:9]))
    assert level.sd[2] > 0.2
    assert max(level.sd[[0, 1, 3, 4]]) < 0.04


def test_two_runs_cannot_tell_which_is_off():
    z, group = study(CONSTANT, 2, 0)
    z[5] += 1.0
    assert not find_outliers(np.log(SIZES), z, group).any()


def test_runs_that_scatter_less_at_large_n_make_the_largest_n_count():
    """With one spread for all sizes the level at the largest n would be four times too uncertain."""
    width, inside = [], 0
    for rng in range(20):
        z, group = study(FALLING, 3, rng)
        told = forecast(Points(SIZES[group], np.exp(z), np.tile(np.arange(3), 5)), 1000)
        low, high = np.quantile(np.log(told.expected[:, 0]), [0.05, 0.95])
        width.append(high - low)
        inside += low <= -0.3 * np.log(1000) <= high
    assert np.median(width) < 0.016
    assert inside >= 15


def test_fewer_degrees_of_freedom_at_the_largest_size_than_in_all() -> None:
    """The slope of the spread is learnt as well: 10 in all are 4 there; with the slope known they would all count."""
    x = np.log(10.0 * 3.0 ** np.arange(5))
    assert dof_at_largest(x, np.zeros(5)) == 0.0
    assert 3.0 < dof_at_largest(x, np.full(5, 2.0)) < 4.5
    assert dof_at_largest(x[-1:], np.array([2.0])) == 2.0
    only_smallest, only_largest = np.eye(5)[0] * 2, np.eye(5)[-1] * 2
    assert dof_at_largest(x, only_smallest) < 0.5 < dof_at_largest(x, only_largest) == pytest.approx(2.0)


@pytest.mark.parametrize(("sizes", "seeds", "falls"), [(3, 2, 0.2), (5, 2, 0.0), (5, 3, 0.2), (8, 3, 0.0), (5, 5, 0.4)])
def test_student_intervals_of_the_largest_size_hold(sizes: int, seeds: int, falls: float) -> None:
    """With all degrees of freedom they held 79 to 87 %."""
    rng, held, count = np.random.default_rng(5), 0, 400
    n = 10.0 * 3.0 ** np.arange(sizes)
    every, label = np.repeat(n, seeds), np.tile(np.arange(seeds), sizes)
    for _ in range(count):
        z = -5 - 0.2 * np.log(every) + 0.02 * (every / n[-1]) ** -falls * rng.standard_normal(len(every))
        level = group_by_size(Points(every, -10 / np.log(10) * z, label, metric="psnr"))
        away = abs(z[-seeds:].mean() + 5 + 0.2 * np.log(n[-1])) / np.sqrt(level.variance[-1])
        held += bool(away < stdtrit(level.largest_dof, 0.95))
    assert 0.85 <= held / count <= 0.97
