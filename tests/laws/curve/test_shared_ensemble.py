"""A curve that was inferred with others keeps the width of the curve alone."""

import numpy as np
import pytest

from reconscale.laws import infer
from reconscale.laws.curve.shared_ensemble import as_wide, share_ensemble


def test_narrow_sides_are_stretched_and_wide_ones_are_left():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((4000, 2))
    alone = np.where(normal > 0, 2.0, 0.5) * normal
    made = as_wide(3.0 + normal, alone)
    low, middle, high = np.quantile(made, [0.05, 0.5, 0.95], axis=0)
    np.testing.assert_allclose(middle, 3.0, atol=0.05)
    np.testing.assert_allclose(high - middle, 2.0 * 1.645, rtol=0.06)
    np.testing.assert_allclose(middle - low, 1.645, rtol=0.06)
    assert (np.argsort(made, axis=0) == np.argsort(normal, axis=0)).all()


def test_with_its_own_posterior_it_is_the_ensemble_itself(make):
    alone = infer(make(0.1, 1.0, 0.5, metric="psnr")).ensemble
    x = np.log([3000.0, 6000.0, 30000.0])
    for calibrated in (True, False):
        one, other = (
            made.curves(x, 500, np.random.default_rng(0), calibrated=calibrated)[0]
            for made in (alone, share_ensemble(alone, alone.curve))
        )
        assert one == pytest.approx(other, abs=1e-12)
