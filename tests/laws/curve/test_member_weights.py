"""How much the members of the ensemble count, near the data and far beyond them."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.laws import METRICS, Points, forecast, infer
from reconscale.laws.curve.member_weights import (
    EVERYWHERE,
    FAR_LAST,
    NEAR_LINE,
    PASSAGE,
    PLACES,
    weigh_members,
)
from reconscale.laws.grouping import group_by_size

ALL = (1.0, 1.0, 1.0)
N = np.array([3.0, 10.0, 30.0, 100.0])
DENOISED = {"psnr": [26.95, 28.26, 29.54, 30.43], "ssim": [0.713, 0.758, 0.822, 0.863]}
"""A U-Net of the study ``denoising-photos`` (width 24, mean of two seeds) up to 100 photographs."""
MORE = {"psnr": [30.92, 30.99], "ssim": [0.879, 0.880]}
"""The same at 300 and at 638."""


def weights(make, metric="psnr", seeds=1, sizes=(30.0, 100.0, 300.0, 1000.0, 3000.0)):
    return weigh_members(group_by_size(make(0.1, 1, 0.5, seeds=seeds, metric=metric, sizes=np.array(sizes))), (), ALL)


def test_for_an_error_of_any_kind_the_shares_are_the_same_everywhere(make):
    made = weights(make, "error")
    assert made.near == made.far == pytest.approx(EVERYWHERE) and not made.stops


def test_for_images_the_last_value_counts_the_more_the_farther(make):
    made = weights(make)
    assert made.at(0.0) == pytest.approx({"curve": 1 - NEAR_LINE, "last value": 0.0, "line": NEAR_LINE})
    assert made.at(9.0)["last value"] == pytest.approx(FAR_LAST[1])
    last = [made.at(away)["last value"] for away in np.linspace(0, 2, 20)]
    assert (np.diff(last) > 0).all()
    assert all(sum(made.at(away).values()) == pytest.approx(1) for away in (0.0, 0.7, 2.3))


def test_replicates_and_three_sizes_leave_the_last_value_less(make):
    single, three, many = (weights(make, seeds=seeds).far["last value"] for seeds in (1, 3, 100))
    assert single == FAR_LAST[1] > three > many and many == pytest.approx(FAR_LAST[0], abs=0.02)
    assert weights(make, sizes=(30.0, 100.0, 300.0)).far["last value"] == pytest.approx(FAR_LAST[0])
    assert weights(make, sizes=(30.0, 100.0, 300.0, 1000.0)).far["last value"] == FAR_LAST[1]


def test_curves_stop_in_part_each_at_a_place_of_its_own(make):
    made, away = weights(make), np.array([-1.0, 0.0, 0.3, 0.7, 2.0, 4.0])
    mixed, at_places = np.tile(-away, (4000, 1)), np.tile(-PLACES, (4000, 1))
    stopped = made.stop(mixed, away, at_places, np.random.default_rng(0))
    np.testing.assert_allclose(stopped[:, :2], mixed[:, :2])  # nothing stops within the data
    assert (np.diff(stopped, axis=1) <= 1e-12).all()  # and what falls never rises
    for k, distance in ((2, 0.3), (3, 0.7)):
        chance = 1.0 - np.exp(-((distance / PASSAGE) ** 2))
        assert np.mean(stopped[:, k] > mixed[:, k] + 1e-9) == pytest.approx(chance, abs=0.03)
    share = (stopped[:, 5] - stopped[:, 4]) / (mixed[:, 5] - mixed[:, 4])  # what is left of the slope
    assert share.mean() == pytest.approx(1 - FAR_LAST[1], abs=0.02)


def test_a_member_that_missed_counts_less_near_and_far(make):
    level = group_by_size(make(0.1, 1, 0.5, seeds=1, metric="psnr"))
    made = weigh_members(level, ("power",), (1.0, 1e-6, 0.5, 1.0))
    assert made.far["last value"] < 1e-5 and made.far["curve"] == pytest.approx(made.far["power"])
    near = 0.5 * NEAR_LINE / (2 * (1 - NEAR_LINE) + 0.5 * NEAR_LINE)
    assert made.near["line"] == pytest.approx(near) and sum(made.near.values()) == pytest.approx(1)
    falls = -PLACES[None, :]
    np.testing.assert_allclose(made.stop(falls, PLACES, falls, np.random.default_rng(0)), falls, atol=1e-4)


def test_a_forecast_that_flattens_never_turns_back():
    for metric, better in DENOISED.items():
        made = forecast(Points(N, better, metric=metric), np.geomspace(100, 1000, 24))
        assert (np.diff(made.median) > -0.1 * np.ptp(made.median)).all()
        assert made.median[-1] > 0.999 * made.median.max()


@pytest.mark.parametrize(("metric", "off"), [("psnr", 0.25), ("ssim", 0.012)])
def test_a_network_that_flattens_is_forecast_to(metric, off):
    made = forecast(Points(N, DENOISED[metric], metric=metric), [300, 638])
    np.testing.assert_allclose(made.median, MORE[metric], atol=off)
    low, high = made.interval(0.9)
    assert (low < MORE[metric]).all() and (high > MORE[metric]).all()


def test_the_same_errors_called_an_error_of_any_kind_flatten_less():
    error = METRICS["psnr"].to_error(np.array(DENOISED["psnr"]))
    images = METRICS["psnr"].to_error(forecast(Points(N, DENOISED["psnr"], metric="psnr"), [638]).median)
    assert forecast(Points(N, error), [638]).median[0] < images[0]


def test_what_doubling_n_adds_is_hardly_biased(make):
    gains = []
    for rng in range(6):
        curve = infer(make(0.0, 1, 0.35, noise=0.02, rng=rng, metric="psnr"))
        ahead = np.exp(curve.draw(curve.last + np.log([1.0, 2.0]), images=False))
        gains.append(np.median(METRICS["psnr"].gain(ahead[:, 0], ahead[:, 1])))
    assert np.mean(gains) == pytest.approx(0.35 * 10 * np.log10(2.0), abs=0.1)
