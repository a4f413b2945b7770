import time

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, infer_surface

FORMS = ("additive", "kaplan", "free")
AHEAD = (np.array([3000.0, 6000.0, 6000.0, 500.0]), np.array([1.28e6, 6.4e5, 1.28e6, 1e5]))
"""Twice as far as the grid in p, in n, in both; and inside."""


@pytest.mark.parametrize("form", FORMS)
def test_each_coupling_is_recovered(make, true, exponents, form):
    made = infer_surface(make(true(form)))
    assert made.couplings[form] > 1 / 3
    assert sum(made.couplings.values()) == pytest.approx(1.0)
    assert made.floor > 0.9
    np.testing.assert_allclose(made.median(*AHEAD), true(form)(*AHEAD), rtol=0.03)
    for name, value in zip(("alpha", "beta", "k"), exponents(form), strict=True):
        middle, low, high = made.parameters[name]
        assert low - 0.15 <= value <= high + 0.15, (name, middle, low, high)


@pytest.mark.parametrize("form", FORMS)
def test_the_formula_with_its_parameters_is_the_surface(make, true, form):
    made = infer_surface(make(true(form), noise=0.003))
    draws = np.median(made.log_error(300.0, 8e4))
    value = {name: part[0] for name, part in made.parameters.items()}
    assert np.exp(draws) == pytest.approx(true(form)(300.0, 8e4), rel=0.01)
    assert 0 <= value["E"] < 1.3
    assert value["alpha"] == pytest.approx(value["a"] * value["k"], rel=0.15)


def test_ninety_per_cent_intervals_cover(make, true):
    inside, gains, times = np.zeros(4), np.zeros(2), 24
    for rng in range(times):
        error = true(FORMS[rng % 3], floor=0.0 if rng % 5 == 0 else 0.3)
        made = infer_surface(make(error, noise=(0.005, 0.02)[rng % 2], rng=rng))
        low, high = made.interval(*AHEAD)
        inside += (low <= error(*AHEAD)) & (error(*AHEAD) <= high)
        for index, (double, n, p) in enumerate((("n", 6000.0, 6.4e5), ("p", 3000.0, 1.28e6))):
            gain = 100 * (1 - error(n, p) / error(3000.0, 6.4e5))
            low, high = made.gain(3000.0, 6.4e5, double).interval()
            gains[index] += low[0] <= gain <= high[0]
    assert (inside / times >= 0.83).all(), inside / times
    assert (gains / times >= 0.83).all(), gains / times


def test_the_same_seed_gives_the_same_bits_in_any_order_of_rows(make, true):
    points = make(true("additive"))
    turned = points.rows(np.random.default_rng(0).permutation(len(points)))
    first, again, other = infer_surface(points), infer_surface(turned), infer_surface(points, seed=1)
    assert first.log_error(*AHEAD).tobytes() == again.log_error(*AHEAD).tobytes()
    assert first.log_error(*AHEAD).tobytes() != other.log_error(*AHEAD).tobytes()
    assert first.couplings == again.couplings


def test_seeds_of_the_sampler_agree(make, true):
    points = make(true("free"))
    first, other = infer_surface(points), infer_surface(points, seed=1)
    np.testing.assert_allclose(first.median(*AHEAD), other.median(*AHEAD), rtol=0.005)
    np.testing.assert_allclose(list(first.couplings.values()), list(other.couplings.values()), atol=0.08)


def test_two_hundred_runs_take_a_second_at_most(make, true):
    points = make(true("free"), seeds=10)
    infer_surface(points)
    start = time.process_time()
    infer_surface(points)
    assert len(points) == 200
    assert time.process_time() - start < 1.0


def test_a_thousand_cells_are_merged(true):
    rng = np.random.default_rng(0)
    n, p = np.exp(rng.uniform(3, 8, 1000)), np.exp(rng.uniform(9, 14, 1000))
    made = infer_surface(Points(n, true("additive")(n, p) * np.exp(0.02 * rng.standard_normal(1000)), p=p))
    assert "sizes-merged" in [item.code for item in made.findings]
    np.testing.assert_allclose(made.median(*AHEAD), true("additive")(*AHEAD), rtol=0.02)


def test_metrics_tell_the_same_story(make, true):
    error, psnr, ssim = (
        infer_surface(make(lambda n, p: 0.1 * true("additive")(n, p), metric=metric))
        for metric in ("error", "psnr", "ssim")
    )
    np.testing.assert_allclose(psnr.median(*AHEAD), -10 * np.log10(error.median(*AHEAD)), rtol=1e-3)
    np.testing.assert_allclose(ssim.median(*AHEAD), 1 - error.median(*AHEAD), rtol=1e-3)
    percent = 100 * (1 - 10 ** (-psnr.gain(300, 1e5).median[0] / 10))
    assert error.gain(300, 1e5).median[0] == pytest.approx(percent, rel=1e-3)
    assert 0 < ssim.gain(300, 1e5).median[0] < 0.1


def test_scale_does_not_matter(make, true):
    small = infer_surface(make(true("kaplan")))
    large = infer_surface(make(lambda n, p: 1e15 * true("kaplan")(n, p)))
    np.testing.assert_allclose(large.median(*AHEAD), 1e15 * small.median(*AHEAD), rtol=0.002)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_constant_error_gains_nothing(make, noise):
    made = infer_surface(make(lambda n, p: 0.5 + 0 * n * p, noise=noise))
    np.testing.assert_allclose(made.median(*AHEAD), 0.5, rtol=0.02)
    low, high = made.gain(3000, 6.4e5, "n").interval()
    assert low[0] < 1.2  # per cent, 0.05 dB
    assert high[0] < 6.7  # 0.3 dB
    assert np.isfinite(made.log_error(1e9, 1e12)).all()


def test_missing_cells_do_no_harm(make, true):
    points = make(true("additive"))
    made = infer_surface(points.rows(~((points.n < 200) & (points.p > 1e5))))
    np.testing.assert_allclose(made.median(*AHEAD), true("additive")(*AHEAD), rtol=0.05)


def test_intervals_widen_with_the_distance_from_the_cells(make, true):
    made = infer_surface(make(true("additive")))
    low, high = made.interval(3000 * np.array([1.0, 2, 4, 8]), 6.4e5 * np.array([1.0, 2, 4, 8]))
    assert (np.diff(np.log(high / low)) > 0).all()
    assert {item.code for item in made.cautions(24000, 5e6)} == {"far-in-n", "far-in-p"}
    assert not made.cautions(12000, 2.5e6)


def test_seeds_that_scatter_more_for_small_networks_are_seen(make, true):
    points = make(true("additive"), noise=0.0)
    noise = np.where(points.p < 2e4, 0.15, 0.005) * np.random.default_rng(0).standard_normal(len(points))
    made = infer_surface(Points(points.n, points.y * np.exp(noise), points.seed, points.p))
    low, high = made.interval(300.0, [1e4, 6.4e5])
    assert np.log(high / low)[0] > 2 * np.log(high / low)[1]


def test_networks_that_overfit_widen_the_interval_and_raise_a_finding(make, true):
    def overfits(n, p):
        return true("additive")(n, p) + 0.6 * (p / 6.4e5) ** 0.5 * (30.0 / n) ** 1.2

    plain, made = infer_surface(make(true("additive"))), infer_surface(make(overfits))
    assert "overfits" in [item.code for item in made.findings]
    assert "overfits" not in [item.code for item in plain.findings]
    widths = [np.log(np.divide(*s.interval(3000.0, 1.28e6)[::-1]))[0] for s in (plain, made)]
    assert widths[1] > widths[0]


def test_too_few_cells_are_refused(make, true):
    points = make(true("additive"))
    with pytest.raises(UserError, match="found 5 distinct n and 1 distinct p"):
        infer_surface(points.rows(points.p == 1e4))
    with pytest.raises(UserError, match="found 2 distinct n"):
        infer_surface(points.rows(points.n < 200))
    with pytest.raises(UserError, match="in 3 cells"):
        infer_surface(Points([10, 30, 100], [3, 2, 1.0], p=[1, 2, 3.0]))
    with pytest.raises(UserError, match="found no p"):
        infer_surface(Points([10, 30, 100], [3, 2, 1.0]))


def test_networks_that_grow_with_the_data_raise_a_finding(true):
    n = 30.0 * 2.0 ** np.arange(7)
    made = infer_surface(Points(n, true("additive")(n, n * 300), p=n * 300))
    codes = [item.code for item in made.findings]
    assert "p-follows-n" in codes
    assert "no-seeds" in codes
    assert np.isfinite(made.interval(1e4, 1e7)).all()


def test_a_floor_that_is_not_seen_is_said(make, true):
    codes = [item.code for item in infer_surface(make(true("additive", floor=0.0), noise=0.05)).findings]
    assert "floor-unidentified" in codes


@pytest.mark.parametrize(
    ("n", "p", "message"),
    [
        (0, 1e4, "n: found 0"),
        (10, np.nan, "p: found nan"),
        ([1, 2], [1, 2, 3], "found 3 values for 2"),
        ([], 1, "shape"),
    ],
)
def test_sizes_out_of_range_are_refused(make, true, n, p, message):
    with pytest.raises(UserError, match=message):
        infer_surface(make(true("additive"))).median(n, p)
