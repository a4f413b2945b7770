import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.curve.calibration import (
    REPLICATED,
    SINGLE,
    calibration,
    conformal_stretch,
    domain_of,
    out_of_calibration,
    stretch_factor,
)
from reconscale.laws.grouping import group_by_size

FAR = np.log([12000.0])


def test_the_file_says_where_it_comes_from():
    learnt = calibration()
    assert learnt["command"] == "python benchmarks/calibrate.py"
    assert learnt["curves"] > 500
    assert set(learnt["factor"]) == {f"{a} {b}" for a in ("other", "reconstruction") for b in (SINGLE, REPLICATED)}
    for entry in learnt["factor"].values():
        assert entry["multiple"][0] == entry["by"][0] == 1.0
        assert np.all(np.diff(entry["multiple"]) > 0)
        assert entry["curves"] >= 40
        assert all(0.5 < factor <= 4 for factor in entry["by"])


def test_metrics_of_images_are_one_domain():
    assert {domain_of(name) for name in ("psnr", "ssim", "nmse")} == {"reconstruction"}
    assert {domain_of(name) for name in ("error", "accuracy", "dice")} == {"other"}


def test_the_factor_moves_gradually_with_replicates_and_fades_with_sizes(make):
    single = stretch_factor(FAR, group_by_size(make(0.0, 1, 0.5, seeds=1)))[0]
    factors = [stretch_factor(FAR, group_by_size(make(0.0, 1, 0.5, seeds=seeds)))[0] for seeds in (2, 3, 30)]
    by = calibration()["factor"]["other replicated"]
    assert factors[-1] == pytest.approx(by["by"][by["multiple"].index(4.0)], rel=0.05)
    assert sorted(factors) in (factors, factors[::-1])
    assert min(single, factors[-1]) <= factors[0] <= max(single, factors[-1])
    sizes = [np.geomspace(10, 3000, many) for many in (7, 8, 12)]
    seven, eight, twelve = (stretch_factor(FAR, group_by_size(make(0.0, 1, 0.5, sizes=n, seeds=1)))[0] for n in sizes)
    assert twelve == pytest.approx(1.0)
    assert abs(np.log(eight / seven)) <= 0.25 * abs(np.log(seven)) + 1e-9


def test_only_the_distance_from_the_median_is_stretched_and_only_beyond_the_data(make):
    level = group_by_size(make(0.5, 1, 0.5, noise=0.05, seeds=1))
    drawn = np.random.default_rng(0).standard_normal((500, 3))
    x = np.log([1000.0, 3000.0, 12000.0])
    made = conformal_stretch(drawn, x, level)
    np.testing.assert_allclose(np.median(made, axis=0), np.median(drawn, axis=0), atol=1e-12)
    np.testing.assert_allclose(made[:, :2], drawn[:, :2])
    assert made[:, 2].std() / drawn[:, 2].std() == pytest.approx(stretch_factor(x, level)[2])


def test_outside(make):
    level = group_by_size(make(0.1, 1, 0.5))
    assert out_of_calibration(level, float(np.log(9000))) == []
    (found,) = out_of_calibration(level, float(np.log(3e6)))
    assert "multiple of the largest n 1e+03" in found.text
    two = out_of_calibration(group_by_size(Points([1, 2], [1, 0.9])), 1.0)[0].text
    assert "number of sizes 2 (learnt on 3 to 8)" in two
