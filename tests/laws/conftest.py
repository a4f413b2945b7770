import numpy as np
import pytest

from reconscale.laws import Points

SIZES = np.array([30.0, 100.0, 300.0, 1000.0, 3000.0])


def curve(floor, amplitude, exponent, *, noise=0.02, seeds=3, sizes=SIZES, rng=0, metric="error", **more):
    """Points about floor + amplitude n^-exponent, with log-normal noise between seeds."""
    n, seed = np.repeat(sizes, seeds), np.tile(np.arange(seeds), len(sizes))
    wobble = np.exp(noise * np.random.default_rng(rng).standard_normal(len(n)))
    error = (floor + amplitude * n**-exponent) * wobble
    y = {"error": error, "psnr": -10.0 * np.log10(error), "ssim": 1.0 - error}[metric]
    return Points(n, y, seed, metric=metric, **more)


@pytest.fixture
def make():
    return curve
