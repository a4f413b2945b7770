import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.curve.ensemble import calibration, calibration_group, conformal_stretch, out_of_calibration
from reconscale.laws.grouping import group_by_size


def test_the_file_says_where_it_comes_from():
    learnt = calibration()
    assert learnt["command"] == "python benchmarks/calibrate.py"
    assert learnt["curves"] > 1000
    for entry in learnt["factor"].values():
        assert entry["multiple"][0] == entry["by"][0] == 1.0
        assert np.all(np.diff(entry["multiple"]) > 0)
        assert entry["curves"] >= 40
        assert all(0.5 < factor <= 4 for factor in entry["by"])


def test_groups_are_told_by_the_curve_itself(make):
    clear = group_by_size(make(0.0, 1, 0.5, noise=0.01))
    assert calibration_group(clear, float("nan")) == "clear"
    assert [calibration_group(clear, surprise) for surprise in (0.2, 0.7, 3.0)] == ["clear 0", "clear 1", "clear 2"]
    assert calibration_group(group_by_size(make(0.5, 1, 0.5, noise=0.05)), 0.1) == "faint 0"
    assert calibration_group(group_by_size(make(0.0, 1, 0.5, seeds=1)), 0.1) == "single 0"
    assert calibration_group(group_by_size(make(0.0, 1, 0.5, sizes=np.geomspace(10, 1e4, 9))), 0.1) == "many"


def test_only_the_distance_from_the_median_is_stretched_and_only_beyond_the_data(make):
    level = group_by_size(make(0.5, 1, 0.5, noise=0.05))
    drawn = np.random.default_rng(0).standard_normal((500, 3))
    x = np.log([1000.0, 3000.0, 12000.0])
    made = conformal_stretch(drawn, x, level, 2.0)
    np.testing.assert_allclose(np.median(made, axis=0), np.median(drawn, axis=0), atol=1e-12)
    np.testing.assert_allclose(made[:, :2], drawn[:, :2])
    factor = calibration()["factor"]["faint 2"]
    by = factor["by"][factor["multiple"].index(4.0)]
    assert made[:, 2].std() / drawn[:, 2].std() == pytest.approx(by)


def test_outside(make):
    level = group_by_size(make(0.1, 1, 0.5))
    assert out_of_calibration(level, float(np.log(9000))) == []
    (found,) = out_of_calibration(level, float(np.log(3e6)))
    assert "multiple of the largest n 1e+03" in found.text
    assert (
        "number of sizes 2 (learnt on 4 to 7)"
        in out_of_calibration(group_by_size(Points([1, 2], [1, 0.9])), 1.0)[0].text
    )
