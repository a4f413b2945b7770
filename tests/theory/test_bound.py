import math

import numpy as np
import pytest
from tests.theory.training_sets import blocks_of, given_measurements

from reconscale.errors import UserError
from reconscale.theory import Descent, Flow, Subspace, TrainingSet, best_descent, draw_training_set, path_of, sample
from reconscale.theory.bound import high_probability_blocks, lemma_bound, theorem_bound

CASES = [
    (3, 40, 0.1, 60),
    (10, 100, 0.05, 200),
    (10, 100, 0.05, 24),
    (5, 200, 0.1, 300),
    (2, 20, 0.3, 400),
    (4, 4, 0.2, 50),
    (3, 30, 0.0, 20),
    (8, 60, 0.2, 6),
]


@pytest.mark.parametrize(("dim", "ambient", "sigma", "n"), CASES)
def test_lemma_holds_on_every_training_set(dim, ambient, sigma, n):
    """Ten training sets, eight times each, flow and descent: the risk expected given Y never exceeds the bound."""
    model, rng, informative = Subspace(dim, ambient, sigma), np.random.default_rng(0), 0
    for _ in range(10):
        data = draw_training_set(model, n, rng)
        blocks, step = blocks_of(data), 0.9 / path_of(data).extent[1]
        for k in (1, 3, 10, 30, 100, 300, 1000, 3000):
            bound = lemma_bound(model, n, blocks, k * step)
            informative += bound < 1
            assert given_measurements(data, Flow(k * step)) <= bound * (1 + 1e-12) + 1e-15
            assert given_measurements(data, Descent(step, k)) <= bound * (1 + 1e-12) + 1e-15
    assert informative or n < 2 * dim or n == 24  # it says something where n is not tiny


def test_expectation_given_measurements_is_the_mean_over_clean_images():
    """Against 3,000 draws of the clean images of one set of noisy ones: within four standard errors."""
    model, rng = Subspace(3, 15, 0.3), np.random.default_rng(1)
    data, filter_ = draw_training_set(model, 12, rng), Flow(1.5)
    mean = data.basis.T @ data.noisy / (1 + model.sigma**2)
    risks = []
    for _ in range(3000):
        codes = mean + math.sqrt(model.floor) * rng.standard_normal(mean.shape)
        risks.append(path_of(TrainingSet(model, data.basis, codes, data.basis @ codes, data.noisy)).risk(filter_))
    away = given_measurements(data, filter_) - np.mean(risks)
    assert abs(away) < 4 * np.std(risks) / math.sqrt(3000)


@pytest.mark.parametrize(
    ("dim", "ambient", "sigma", "n"), [(10, 100, 0.05, 1000), (5, 300, 0.1, 2000), (20, 20, 0.3, 3000)]
)
def test_theorem_bounds_the_early_stopped_risk(dim, ambient, sigma, n):
    model, rng = Subspace(dim, ambient, sigma), np.random.default_rng(2)
    bound = theorem_bound(model, n)
    risks = [best_descent(sample(model, n, rng), model.step(n)).risk for _ in range(20)]
    assert bound is not None
    assert max(risks) < bound.risk < model.floor + 4 * (np.mean(risks) - model.floor)
    assert theorem_bound(model, n, failure=1e-9).risk > bound.risk


def test_likely_blocks_contain_those_of_training_sets():
    model, n = Subspace(5, 80, 0.2), 300
    likely, rng = high_probability_blocks(model, n, failure=0.01), np.random.default_rng(3)
    for _ in range(50):
        found = blocks_of(draw_training_set(model, n, rng))
        assert found.least_signal >= likely.least_signal
        for name in ("largest_noise", "cross", "cross_squares", "inverse_trace", "noise_trace"):
            assert getattr(found, name) <= getattr(likely, name)


def test_nothing_is_said_where_nothing_is_known():
    assert theorem_bound(Subspace(10, 100, 0.05), 8) is None
    assert theorem_bound(Subspace(10, 10000, 0.1), 100) is None
    assert (
        lemma_bound(
            Subspace(3, 20, 0.1),
            2,
            blocks_of(draw_training_set(Subspace(3, 20, 0.1), 2, np.random.default_rng(0))),
            1.0,
        )
        == math.inf
    )


def test_without_noise_the_bound_goes_to_zero():
    assert theorem_bound(Subspace(5, 50, 0.0), 200).risk < 1e-12


@pytest.mark.parametrize("failure", [0.0, 1.0, -0.1, float("nan")])
def test_failure_is_a_probability(failure):
    with pytest.raises(UserError, match="failure: found"):
        theorem_bound(Subspace(5, 50, 0.1), 200, failure)
