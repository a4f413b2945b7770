import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import infer_surface


@pytest.fixture(scope="module")
def case(make, true):
    return infer_surface(make(true("additive"), noise=0.003)), true("additive")


def test_the_optimum_is_the_closed_form_of_the_additive_law(case):
    posterior, _ = case
    # alpha n'^-alpha = beta p'^-beta at the optimum of n p = c, with n' = n / 300 and p' = p / 8e4
    budget = 6.0 * 600 * 1.6e5
    alpha, beta = 0.35, 0.3
    both = np.log(budget / 6 / 300 / 8e4)
    log_n = (np.log(alpha / beta) + beta * both) / (alpha + beta)
    best = posterior.compute_optimal(budget)
    low, high = best.n_draws.interval()
    assert low[0] <= 300 * np.exp(log_n) <= high[0]
    assert np.log(best.n / 300) == pytest.approx(log_n, abs=0.35)
    assert 6 * best.n * best.p == pytest.approx(budget, rel=1e-6)
    np.testing.assert_allclose(6 * best.n_draws.draws * best.p_draws.draws, budget, rtol=1e-3)
    assert np.isfinite(best.value.median).all()
    assert best.findings == ()


def test_the_optimum_is_no_worse_than_its_neighbours_under_any_cost(case):
    posterior, _ = case

    def cost(n, p):
        return 5.0 * n + 0.01 * p + 1e-6 * n * p

    best = posterior.compute_optimal(2e4, cost)
    assert cost(best.n, best.p) == pytest.approx(2e4, rel=1e-6)
    for factor in (0.7, 1.4):
        n = best.n * factor
        p = (2e4 - 5.0 * n) / (0.01 + 1e-6 * n)
        assert posterior.log_error(n, p).mean() > posterior.log_error(best.n, best.p).mean()


def test_an_optimum_at_the_end_of_what_is_allowed_is_said(case):
    best = case[0].compute_optimal(6.0 * 600 * 1.6e5, allowed=(1e4, 3e4))
    assert "optimum-at-edge" in [item.code for item in best.findings]
    assert best.p == pytest.approx(3e4)


def test_larger_is_not_worthwhile_beyond_the_frontier(case):
    posterior, true = case
    p = posterior.frontier([100.0, 1000.0], worthwhile=4.5)  # per cent of the error, 0.2 dB
    for n, middle in zip((100.0, 1000.0), p.median, strict=True):
        assert 100 * (1 - true(n, 2 * middle) / true(n, middle)) == pytest.approx(4.5, abs=1.4)
    assert p.median[1] > p.median[0]
    assert posterior.frontier(100.0, worthwhile=70.0).median[0] == pytest.approx(1e4)
    assert posterior.frontier(1000.0, worthwhile=0.02).chance(1e300)[0] > 0.5


def test_the_isoquant_reaches_its_target(case):
    posterior, true = case
    p = posterior.isoquant(1.2, [300.0, 1000.0]).median
    np.testing.assert_allclose(true(np.array([300.0, 1000.0]), p), 1.2, rtol=0.01)
    assert posterior.isoquant(0.2, 3000.0).median[0] == np.inf
    assert posterior.isoquant(0.2, 3000.0).chance(1e300)[0] > 0.98
    assert posterior.isoquant(50.0, 300.0).median[0] == pytest.approx(100.0)


def test_arguments_out_of_range_are_refused(case):
    posterior, _ = case
    with pytest.raises(UserError, match="worthwhile"):
        posterior.frontier(100.0, worthwhile=0.0)
    with pytest.raises(UserError, match="target"):
        posterior.isoquant(-1.0, 100.0)
    with pytest.raises(UserError, match="budget"):
        posterior.compute_optimal(0.0)
    with pytest.raises(UserError, match="too small"):
        posterior.compute_optimal(1e-3, lambda n, p: 1.0 + n * p)
    with pytest.raises(UserError, match="allowed"):
        posterior.frontier(100.0, allowed=(1e5, 1e4))
    with pytest.raises(UserError, match="double"):
        posterior.gain(100.0, 1e4, "width")
    with pytest.raises(UserError, match="level"):
        posterior.interval(100.0, 1e4, 1.5)
