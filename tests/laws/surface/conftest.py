import csv

import numpy as np
import pytest

from reconscale.laws import Points

SIZES = np.array([30.0, 100.0, 300.0, 1000.0, 3000.0])
NETWORKS = np.array([1e4, 4e4, 1.6e5, 6.4e5])
TRUTHS = {"additive": (0.35, 0.3, 1.0), "kaplan": (0.3, 0.35, 0.3), "free": (0.35, 0.35, 0.6)}
"""alpha, beta and k; for the Kaplan form k is alpha."""


def truth(form, floor=0.3):
    """error(n, p), 1 + floor in the middle of the grid, where both terms weigh the same."""
    alpha, beta, k = TRUTHS[form]

    def error(n, p):
        u, v = -alpha * np.log(np.asarray(n) / 300.0), -beta * np.log(np.asarray(p) / 8e4)
        return floor + np.exp(k * (np.logaddexp(u / k, v / k) - np.log(2.0)))

    return error


def grid(error, *, noise=0.01, seeds=3, rng=0, metric="error", sizes=SIZES, networks=NETWORKS):
    """Points on the whole grid with log-normal noise between seeds."""
    n, p, seed = (a.ravel() for a in np.meshgrid(sizes, networks, np.arange(seeds), indexing="ij"))
    values = error(n, p) * np.exp(noise * np.random.default_rng(rng).standard_normal(len(n)))
    y = {"error": values, "psnr": -10.0 * np.log10(values), "ssim": 1.0 - values}[metric]
    return Points(n, y, seed.astype(int), p, metric)


def columns(path, *names):
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    return [np.array([float(row[name]) for row in rows]) for name in names]


@pytest.fixture(scope="session")
def make():
    return grid


@pytest.fixture(scope="session")
def true():
    return truth


@pytest.fixture(scope="session")
def read():
    return columns


@pytest.fixture(scope="session")
def exponents():
    return TRUTHS.get
