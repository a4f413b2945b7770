"""Synthetic trainings: every doubling gains a part of the one before, until a run begins to overfit."""

import numpy as np
import pytest

from reconscale.laws import Points


def trainings(*, n=(10, 30, 100, 300), seeds=2, first=100, levels=7, ends=40.0, scale=0.6, rate=0.6, noise=0.1, rng=0):
    """Points at 100, 200, ... steps; a run ends after ``ends`` steps for each image.

    Args:
        scale: fall of ln(error) in the first doubling.
        rate: the next doubling falls this part of it.
        noise: of ln(fall).
    """
    random, rows = np.random.default_rng(rng), []
    for size in n:
        for seed in range(seeds):
            end, value = ends * size * np.exp(0.2 * random.standard_normal()), 3.0 - 0.3 * np.log(size)
            for k in range(levels):
                steps = first * 2.0**k
                if k:
                    fall = scale * rate ** (k - 1) * np.exp(noise * random.standard_normal())
                    value -= fall if steps <= end else 0.0
                rows.append((size, seed, steps, np.exp(value)))
                if k > 1 and steps > end:
                    break
    size, seed, steps, error = (np.array(column) for column in zip(*rows, strict=True))
    return Points(size, -10.0 * np.log10(1e-3 * error), seed, metric="psnr", steps=steps)


@pytest.fixture
def train():
    return trainings
