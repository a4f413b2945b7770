"""PCA in the limit, the hybrid, and the door to both, against training sets that were drawn."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import Converged, Flow, Ridge, Subspace, best_descent, experiments, sample
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.hybrid import ESTIMATORS, draw_hybrid, expected_risk, hybrid_mean
from reconscale.theory.equivalents.pca import pca_equivalent


@pytest.mark.parametrize(
    ("dim", "ambient", "sigma", "n"),
    [
        (40, 300, 0.1, 10),
        (40, 300, 0.1, 40),
        (40, 300, 0.1, 90),
        (40, 300, 0.5, 200),
        (40, 300, 0.1, 3000),
        (30, 30, 0.2, 50),
        (30, 200, 0.0, 12),
    ],
)
def test_pca_in_the_limit(dim, ambient, sigma, n):
    """Mean of 40 draws: within 4 standard errors and 2 %."""
    model, rng = Subspace(dim, ambient, sigma), np.random.default_rng(0)
    risks = [sample(model, n, rng).pca(rng) for _ in range(40)]
    error = 4 * np.std(risks) / np.sqrt(40) + 0.02 * np.mean(risks)
    assert abs(pca_equivalent(model, n) - np.mean(risks)) < error + 1e-12


@pytest.mark.parametrize("n", [10, 16, 24])
def test_hybrid_is_right_where_the_limit_is_not(n):
    """dim 10: the limit is 10 to 25 % too low near n = dim; the hybrid is within four standard errors of 600 draws."""
    model = Subspace(10, 100, 0.05)
    drawn = np.array([e.early_stopped for e in experiments([(model, n)], runs=600, workers=2)])
    hybrid = hybrid_mean(model, n, 300, seed=1)
    error = np.hypot(drawn.std() / np.sqrt(600), hybrid.error)
    assert abs(hybrid.risk - drawn.mean()) < 4 * error
    assert best_descent(Equivalent(model.population, n), model.step(n)).risk < drawn.mean()


def test_hybrid_tends_to_the_limit_of_many_dimensions():
    model, n = Subspace(150, 2000, 0.1), 400
    hybrid, limit = draw_hybrid(model, n, np.random.default_rng(0)), Equivalent(model.population, n)
    for filter_ in (Flow(0.5), Flow(5.0), Ridge(0.1), Converged()):
        assert hybrid.risk(filter_) == pytest.approx(limit.risk(filter_), rel=0.02)


def test_one_door_says_how_it_knows():
    model = Subspace(10, 100, 0.05)
    assert expected_risk(model, 200, "converged").method == "exact"
    assert expected_risk(model, 200, "converged").risk == pytest.approx(model.floor * 199 / 99)
    assert expected_risk(model, 100, "converged").risk == np.inf
    told = expected_risk(model, 16, "early-stopped", draws=20)
    assert told.method == "hybrid"
    assert told.error > 0
    for estimator in ESTIMATORS:
        assert expected_risk(model, 60, estimator).method in ("limit", "exact")
    with pytest.raises(UserError, match="did you mean 'early-stopped'"):
        expected_risk(model, 16, "early-stoped")
    with pytest.raises(UserError, match="n: found 0"):
        expected_risk(model, 0, "pca")


@pytest.mark.parametrize(("dim", "ambient", "sigma"), [(5, 60, 0.0), (5, 5, 0.2)])
def test_no_noise_and_no_noise_directions(dim, ambient, sigma):
    model = Subspace(dim, ambient, sigma)
    for n in (2, 5, 8, 40):
        told = expected_risk(model, n, "early-stopped", draws=40)
        drawn = [e.early_stopped for e in experiments([(model, n)], runs=60)]
        assert abs(told.risk - np.mean(drawn)) < 4 * np.hypot(np.std(drawn) / np.sqrt(60), told.error) + 0.05 * np.mean(
            drawn
        )
