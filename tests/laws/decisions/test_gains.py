"""What more data adds, where several widths were measured."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.laws import METRICS, Points, infer
from reconscale.laws.curve_posterior import average_changes
from reconscale.laws.decisions.gains import gains_n


def study(images: int = 0) -> Points:
    """E + A n^-0.3 + B p^-0.3 in PSNR, six n, three widths, two seeds."""
    rng = np.random.default_rng(3)
    n, width, seed = (
        each.ravel() for each in np.meshgrid([10, 30, 90, 270, 810, 1000], [8, 16, 32], [0, 1], indexing="ij")
    )
    error = 1e-3 * (0.3 + (n / 1000) ** -0.3 + 0.5 * (width / 16) ** -0.6) * np.exp(0.02 * rng.standard_normal(len(n)))
    y = -10 * np.log10(error)
    each = y[:, None] + rng.standard_normal((1, images)) if images else None
    return Points(
        n, y if each is None else each.mean(1), seed, 60.0 * width**2, "psnr", width=width, validation=y, images=each
    )


@pytest.mark.parametrize("images", [0, 20])
def test_the_gain_lies_between_the_curve_and_the_surface(images: int) -> None:
    curve = infer(study(images))
    assert curve.surface is not None and curve.p is not None
    n = np.array([1000.0, 2000.0, 10_000.0])
    alone, _ = curve.ensemble.curves(np.log(n), 4000, np.random.default_rng(0))
    z = (alone, curve.surface.log_error(n, np.full(3, curve.p)))
    for k, gain in enumerate(gains_n(curve, 0.1, (2.0, 10.0)), 1):
        medians = sorted(float(np.median(METRICS["psnr"].gain(np.exp(d[:, 0]), np.exp(d[:, k])))) for d in z)
        assert medians[0] - 0.02 <= gain.median <= medians[1] + 0.02
        assert gain.low < gain.median < gain.high and 0 <= gain.probability <= 1


def test_without_widths_the_curve_alone_says() -> None:
    curve = infer(study().rows(study().width == 16))
    assert curve.surface is None
    error = np.exp(curve.draw(curve.last + np.log([1.0, 2.0])))
    gain = METRICS["psnr"].gain(error[:, 0], error[:, 1])
    assert gains_n(curve, 0.1, (2.0,))[0].median == pytest.approx(np.median(gain), abs=1e-12)


def test_a_forecast_says_the_same_as_the_gain() -> None:
    """One quantity, one value: the gain of twice n is the forecast there less the level expected at the largest n."""
    curve = infer(study())
    made = curve.forecast([1000.0, 2000.0, 10_000.0])
    gains = gains_n(curve, 0.1, (2.0, 10.0))
    for k, gain in enumerate(gains, 1):
        assert np.median(made.expected[:, k] - made.expected[:, 0]) == pytest.approx(gain.median, abs=0.02)


def test_within_the_data_the_surface_changes_nothing() -> None:
    curve = infer(study())
    x = np.log([10.0, 100.0, 1000.0])
    assert np.array_equal(curve.draw(x), infer(study()).draw(x))
    alone, _ = curve.ensemble.curves(x, 4000, np.random.default_rng(curve.curve_seed))
    assert np.array_equal(curve.draw(x, images=False), alone)


def test_quantiles_of_changes_are_averaged_and_ranks_kept() -> None:
    rng = np.random.default_rng(0)
    last = rng.normal(5, 2, (40_000, 1))
    changes = rng.normal(0, 1, (40_000, 2))
    both = average_changes(last + changes, last, 3 + 3 * rng.normal(0, 1, (10_000, 2))) - last
    assert np.quantile(both[:, 1], [0.05, 0.5, 0.95]) == pytest.approx(1.5 + 2 * np.array([-1.645, 0, 1.645]), abs=0.15)
    assert np.array_equal(np.argsort(both, axis=0), np.argsort(changes, axis=0))
