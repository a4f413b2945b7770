import time

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, chinchilla


@pytest.fixture(scope="module")
def hoffmann(shared, read):
    path = shared / "data" / "learning_curves" / "hoffmann_epoch_reconstruction.csv"
    p, flops, loss = read(path, "Model Size", "Training FLOP", "loss")
    keep = loss < np.sort(loss)[-5]
    return flops[keep] / 6.0 / p[keep], p[keep], loss[keep]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_published_optimum_is_reached_from_any_seed(hoffmann, seed):
    order = np.random.default_rng(seed).permutation(len(hoffmann[0]))
    start = time.process_time()
    found = chinchilla(tuple(column[order] for column in hoffmann), seed=seed)
    assert time.process_time() - start < 1.0
    assert found.objective == pytest.approx(0.00101827, abs=1e-8)
    assert abs(found.E - 1.817) < 1e-3
    assert found.alpha == pytest.approx(0.347, abs=1e-3)
    assert found.beta == pytest.approx(0.367, abs=1e-3)
    sds = dict(zip(("E", "A", "B", "alpha", "beta"), found.draws.std(0), strict=True))
    # standard errors published with the data: 0.026, 125, 1293, 0.015, 0.021
    assert sds["alpha"] == pytest.approx(0.0154, rel=0.25)
    assert sds["beta"] == pytest.approx(0.0206, rel=0.25)
    low, high = found.intervals(0.95)["E"]
    assert low < 1.817 < high


def test_a_law_without_noise_is_found_exactly(make):
    found = chinchilla(make(lambda n, p: 0.2 + 3.0 * p**-0.3 + 4.0 * n**-0.4, noise=0.0))
    for value, expected in ((found.E, 0.2), (found.A, 3.0), (found.B, 4.0), (found.alpha, 0.3), (found.beta, 0.4)):
        assert value == pytest.approx(expected, rel=1e-3)
    assert found.error(300.0, 1e5) == pytest.approx(0.2 + 3.0 * 1e5**-0.3 + 4.0 * 300**-0.4, rel=1e-4)
    n, p = found.compute_optimal(6e9)
    around = [found.error(n * factor, p / factor) for factor in (0.9, 1.0, 1.1)]
    assert around[1] < min(around[0], around[2])
    assert n * p == pytest.approx(1e9)


def test_outliers_hardly_move_it(make):
    points = make(lambda n, p: 0.2 + 3.0 * p**-0.3 + 4.0 * n**-0.4, noise=0.001)
    y = points.y.copy()
    y[7] *= 3.0
    assert chinchilla(Points(points.n, y, p=points.p)).alpha == pytest.approx(0.3, abs=0.03)


def test_a_constant_error_and_other_scales_are_no_trouble(make):
    assert chinchilla(make(lambda n, p: 0.5 + 0 * n * p)).error(1e3, 1e5) == pytest.approx(0.5, rel=0.02)
    large = chinchilla(make(lambda n, p: 1e15 * (0.2 + 3.0 * p**-0.3 + 4.0 * n**-0.4)))
    assert large.error(1e3, 1e5) == pytest.approx(1e15 * (0.2 + 3.0 * 1e5**-0.3 + 4.0 * 1e3**-0.4), rel=0.02)


def test_too_little_is_refused():
    with pytest.raises(UserError, match="1 distinct p"):
        chinchilla(([1, 2, 3, 4, 5, 6], [1] * 6, [6, 5, 4, 3, 2, 1.0]))
    with pytest.raises(UserError, match="no p"):
        chinchilla(Points([1, 2, 3], [3, 2, 1.0]))
