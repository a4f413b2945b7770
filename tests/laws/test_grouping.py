import numpy as np
import pytest

from reconscale.laws import METRICS, Points, select_width
from reconscale.laws.grouping import group_by_size, image_bootstrap_shift


def two_widths(**more):
    n = np.repeat([10.0, 100.0], 6)
    width = np.tile(np.repeat([8, 16, 32], 2), 2)
    # at n = 10 width 8 has the best mean, width 16 the best single run; at n = 100 width 16 is best
    y = np.array([20, 20, 15, 24, 10, 10, 20, 20, 25, 25, 22, 22.0])
    return Points(n, y, np.tile([0, 1], 6), metric="psnr", width=width, **more)


def test_the_mean_over_seeds_decides_and_all_seeds_stay():
    best = select_width(two_widths())
    assert best.width.tolist() == [8, 8, 16, 16]
    assert best.seed.tolist() == [0, 1, 0, 1]
    assert [item.code for item in best.findings] == ["selected-on-test"]


def test_validation_decides_where_there_is_one():
    validation = np.array([1, 1, 1, 1, 9, 9, 9, 9, 1, 1, 1, 1.0])
    best = select_width(two_widths(validation=validation))
    assert best.width.tolist() == [32, 32, 8, 8]
    assert [item.code for item in best.findings] == ["width-at-edge"]
    assert "smallest" in best.findings[0].text


def test_lower_is_better_for_errors():
    points = Points([1, 1], [0.3, 0.2], p=[5, 6])
    best = select_width(points)
    assert best.p.tolist() == [6]
    assert "number of parameters is the largest one tried (6)" in best.findings[1].text


def test_one_width_or_none_is_left_alone():
    for points in (Points([1, 2], [0.3, 0.2]), Points([1, 2], [0.3, 0.2], width=[4, 4])):
        assert select_width(points) is points


def test_the_frontier_of_a_frontier_is_itself_when_one_width_wins():
    best = select_width(two_widths(validation=np.tile([1, 1, 9, 9, 1, 1.0], 2)))
    assert select_width(best) is best


@pytest.mark.parametrize("metric", ["psnr", "ssim", "error"])
def test_test_images_are_averaged_in_the_unit_of_the_metric(metric):
    """A PSNR is the mean of the decibels of the images: its standard error is theirs, not that of the mean MSE."""
    known = METRICS[metric]
    images = 0.01 * np.exp(1.2 * np.random.default_rng(3).standard_normal(40)) * np.array([[2.0], [1.0]])
    values = known.from_error(images)
    level = group_by_size(Points([10.0, 100], values.mean(1), metric=metric, images=images))
    shift = image_bootstrap_shift(level, level.x, 4000, np.random.default_rng(1))[:, 1]
    again = known.from_error(np.exp(np.log(known.to_error(values.mean(1)))[1] + shift))
    assert again.std() == pytest.approx(values[1].std() / np.sqrt(40), rel=0.05)
    assert again.mean() == pytest.approx(values[1].mean(), abs=0.1 * again.std())


def test_between_sizes_and_beyond_them_the_change_of_images_is_straight():
    images = np.random.default_rng(0).gamma(2.0, size=(3, 20)) + 0.1
    level = group_by_size(Points([10.0, 100, 1000], images.mean(1), images=images))
    x = np.log([5.0, 10, 20, 100, 999, 1000, 4000])
    shift = image_bootstrap_shift(level, x, 50, np.random.default_rng(0))
    for row in shift:
        assert row[2] == np.interp(x[2], level.x, row[[1, 3, 5]])
    slope = (shift[:, 6] - shift[:, 5]) / (x[6] - x[5])
    np.testing.assert_allclose(shift[:, 0], shift[:, 1] + slope * (x[0] - x[1]), rtol=1e-12)
