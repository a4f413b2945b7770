"""The path against gradient descent as the paper's code iterates it, matrix by matrix."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import (
    Converged,
    Descent,
    Flow,
    Ridge,
    Subspace,
    best_descent,
    best_flow,
    best_ridge,
    descend,
    draw_training_set,
    path_of,
)
from reconscale.theory.path import risk_of

CASES = [
    (10, 100, 0.05, 1, 150),
    (10, 100, 0.05, 8, 600),
    (10, 100, 0.05, 24, 600),
    (10, 100, 0.05, 100, 300),
    (10, 100, 0.2, 64, 300),
    (10, 100, 0.1, 256, 200),
    (40, 80, 0.3, 4, 200),
    (3, 30, 0.1, 29, 300),
    (3, 30, 0.0, 2, 200),
    (3, 30, 0.0, 29, 200),
    (10, 10, 0.1, 30, 200),
    (1, 1, 0.5, 1, 50),
]
"""dim, ambient, sigma, n, steps."""


@pytest.mark.parametrize(("dim", "ambient", "sigma", "n", "steps"), CASES)
def test_equals_literal_descent(dim, ambient, sigma, n, steps):
    data = draw_training_set(Subspace(dim, ambient, sigma), n, np.random.default_rng(n))
    path, step = path_of(data), data.model.step(n)
    risks, _ = descend(data, step, steps)
    ours = [path.risk(Descent(step, k)) for k in range(steps + 1)]
    np.testing.assert_allclose(ours, risks, rtol=0, atol=1e-13)
    best = best_descent(path, step, steps)
    assert best.risk == pytest.approx(risks[1:].min(), rel=1e-9, abs=1e-15)


def test_equals_literal_descent_where_steps_overshoot():
    """Beyond 1 / variance the residual changes its sign with every step."""
    data = draw_training_set(Subspace(3, 20, 0.3), 6, np.random.default_rng(0))
    path = path_of(data)
    step = 1.9 / path.extent[1]
    risks, _ = descend(data, step, 40)
    np.testing.assert_allclose([path.risk(Descent(step, k)) for k in range(41)], risks, rtol=1e-12)


@pytest.mark.parametrize(("dim", "ambient", "sigma", "n", "steps"), CASES)
def test_converged_and_ridge_equal_their_matrices(dim, ambient, sigma, n, steps):
    data = draw_training_set(Subspace(dim, ambient, sigma), n, np.random.default_rng(n))
    path = path_of(data)
    least_norm = data.clean @ np.linalg.pinv(data.noisy)
    assert path.risk(Converged()) == pytest.approx(risk_of(least_norm, data), rel=1e-9, abs=1e-14)
    gram = data.noisy @ data.noisy.T / n + 0.3 * np.eye(ambient)
    ridge = data.clean @ data.noisy.T / n @ np.linalg.inv(gram)
    assert path.risk(Ridge(0.3)) == pytest.approx(risk_of(ridge, data), rel=1e-11)


@pytest.mark.parametrize("n", [12, 30, 200])
def test_pca_equals_its_matrix(n):
    data = draw_training_set(Subspace(10, 60, 0.1), n, np.random.default_rng(0))
    basis = np.linalg.svd(data.noisy)[0][:, :10]
    literal = risk_of(basis @ basis.T / (1 + 0.1**2), data)
    assert path_of(data).pca(np.random.default_rng(1)) == pytest.approx(literal, rel=1e-10)


@pytest.mark.parametrize(("sigma", "n"), [(0.05, 1), (0.3, 6), (0.0, 4)])
def test_pca_with_fewer_images_than_directions_is_completed_uniformly(sigma, n):
    """Mean over 4,000 completions against orthonormal vectors drawn in full: within four standard errors."""
    data = draw_training_set(Subspace(8, 30, sigma), n, np.random.default_rng(3))
    path, rng = path_of(data), np.random.default_rng(4)
    ours = np.array([path.pca(rng) for _ in range(4000)])
    left, size, _ = np.linalg.svd(data.noisy)
    rank = int((size > 1e-10).sum())
    literal = []
    for _ in range(1000):
        mixed = left[:, rank:] @ np.linalg.qr(rng.standard_normal((30 - rank, 8 - rank)))[0]
        basis = np.hstack([left[:, :rank], mixed])
        literal.append(risk_of(basis @ basis.T / (1 + sigma**2), data))
    error = np.hypot(ours.std() / np.sqrt(4000), np.std(literal) / np.sqrt(1000))
    assert abs(ours.mean() - np.mean(literal)) < 4 * error + 1e-12


def test_long_descent_and_flow_converge():
    data = draw_training_set(Subspace(5, 40, 0.1), 20, np.random.default_rng(0))
    path = path_of(data)
    converged = path.risk(Converged())
    assert path.risk(Descent(data.model.step(20), 10**15)) == pytest.approx(converged, rel=1e-12)
    assert path.risk(Flow(1e300)) == pytest.approx(converged, rel=1e-12)
    assert path.risk(Flow(0)) == path.risk(Descent(0.1, 0)) == 1
    assert path.risk(Descent(1e-9, 10**7)) == pytest.approx(path.risk(Flow(1e-2)), rel=1e-6)


def test_searches_find_the_least_risk():
    data = draw_training_set(Subspace(5, 60, 0.2), 30, np.random.default_rng(0))
    path = path_of(data)
    flow, ridge = best_flow(path), best_ridge(path)
    low, high = path.extent
    assert flow.risk <= min(path.risk(Flow(t)) for t in np.geomspace(0.01 / high, 1e3 / low, 3000))
    assert ridge.risk <= min(path.risk(Ridge(p)) for p in np.geomspace(1e-4 * low, 100 * high, 3000))
    assert path.risk(flow.filter) == flow.risk
    assert path.risk(ridge.filter) == ridge.risk


def test_search_equals_exhaustion():
    """The least risk over 1 to 600 steps, on 40 random paths."""
    rng = np.random.default_rng(7)
    for _ in range(40):
        model = Subspace(int(rng.integers(1, 8)), int(rng.integers(10, 60)), float(rng.choice([0.05, 0.2, 0.6])))
        n = int(rng.integers(1, 90))
        path, step = path_of(draw_training_set(model, n, rng)), model.step(n)
        exhausted = min(path.risk(Descent(step, k)) for k in range(1, 601))
        assert best_descent(path, step, 600).risk == pytest.approx(exhausted, rel=1e-12)


def test_diverging_descent_is_refused():
    path = path_of(draw_training_set(Subspace(3, 20, 0.3), 6, np.random.default_rng(0)))
    with pytest.raises(UserError, match=r"step: found 2.*diverges; below .* it is stable"):
        path.risk(Descent(2.0, 5))
