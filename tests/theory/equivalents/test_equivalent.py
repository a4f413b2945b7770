import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.theory.equivalents import contour
from reconscale.theory.equivalents.equivalent import Equivalent, SampleLaw, levels_of
from reconscale.theory.filters import Converged, Descent, Flow, Ridge, best_descent, best_flow, best_ridge
from reconscale.theory.path import draw_training_set, path_of
from reconscale.theory.subspace import Population, Subspace

QUICK = settings(derandomize=True, deadline=None, max_examples=20, database=None)


def spread_out(levels=20, decades=6, floor=0.3, counts=1.0):
    variances = np.geomspace(2 * 10.0**-decades, 2, levels)
    return Population(variances, np.full(levels, counts), 1 / (1 + variances), floor)


@st.composite
def populations(draw):
    levels = draw(st.integers(1, 6))
    numbers = st.lists(st.floats(0, 1), min_size=levels, max_size=levels).map(np.array)
    decades = draw(st.floats(0, 8))
    counts = np.array(draw(st.lists(st.integers(1, 60), min_size=levels, max_size=levels)))
    floor = draw(st.sampled_from([0.0, 1e-6, 1.0, 30.0]))
    leverage = counts * (0.5 + draw(numbers)) if draw(st.booleans()) else None
    return Population(10 ** (-decades * draw(numbers)), counts, counts * draw(numbers), floor, 3.0, leverage)


def ridge_by_contour(equivalent, penalty):
    """Ridge as a sum over the nodes of a contour that another filter drew."""
    equivalent.risk(Flow(1 / penalty))
    (kernel,) = equivalent._kernels.values()
    left = penalty / (kernel.x + penalty)
    bias = 2 * np.real(left @ (kernel.same @ left + kernel.other @ left.conj()))
    inside = kernel.x != 0
    noise = 2 * np.real(kernel.noise[inside] @ ((1 - left[inside]) ** 2 / kernel.x[inside])) / equivalent.n
    population = equivalent.population
    return (population.floor * (1 + noise) + bias) / population.outputs


@pytest.mark.parametrize("n", [1, 7, 19, 20, 21, 300, 1e9])
@pytest.mark.parametrize("decades", [0.5, 6, 12])
def test_a_flow_of_no_time_leaves_the_power_and_an_endless_one_converges(n, decades):
    population = spread_out(decades=decades)
    equivalent = Equivalent(population, n)
    assert equivalent.risk(Flow(0)) == pytest.approx(population.power, rel=1e-15)
    assert equivalent.risk(Flow(1e-30)) == pytest.approx(population.power, rel=1e-11)
    if n < 19:
        assert equivalent.risk(Flow(1e30)) == pytest.approx(equivalent.risk(Converged()), rel=1e-9)
    if n > 20:
        assert equivalent.risk(Flow(1e30)) == pytest.approx(0.3 * n / (n - 20), rel=1e-9)


@pytest.mark.parametrize("n", [1, 7, 19, 20, 21, 300])
def test_ridge_in_closed_form_is_ridge_by_contour(n):
    leverage = np.linspace(0.2, 5, 20)
    for population in (
        spread_out(),
        Population(*(getattr(spread_out(), name) for name in ("variances", "counts", "signal", "floor")), 1, leverage),
    ):
        for penalty in (1e-3, 0.1, 10):
            equivalent = Equivalent(population, n)
            assert ridge_by_contour(equivalent, penalty) == pytest.approx(equivalent.risk(Ridge(penalty)), rel=1e-10)


@QUICK
@given(populations(), st.floats(1, 400), st.floats(-3, 6))
def test_risks_are_finite_at_least_the_floor_and_the_same_on_twice_the_nodes(population, n, log_time):
    equivalent, finer = Equivalent(population, n), Equivalent(population, n, digits=26)
    floor, flow, ridge = population.floor / population.outputs, Flow(10**log_time), Ridge(10**-log_time)
    for filter_ in (flow, ridge, Descent(1 / equivalent.extent[1], 1 + int(10**log_time))):
        risk = equivalent.risk(filter_)
        assert math.isfinite(risk)
        assert risk >= floor
        assert finer.risk(filter_) == pytest.approx(risk, rel=1e-8, abs=1e-12 * population.power)
    assert equivalent.risk(Flow(0)) == pytest.approx(population.power)
    assert equivalent.risk(Converged()) >= floor


@QUICK
@given(populations(), st.floats(1, 400), st.floats(-3, 3))
def test_small_steps_flow(population, n, log_time):
    equivalent, moved = Equivalent(population, n), 10**log_time
    step = 1e-7 / equivalent.extent[1]
    k = max(round(moved / step), 1)
    expected = equivalent.risk(Flow(step * k))
    assert equivalent.risk(Descent(step, k)) == pytest.approx(expected, rel=1e-5, abs=1e-9 * population.power)


@pytest.mark.parametrize("n", [3, 9, 12, 40])
def test_isotropic_data_have_the_known_risks(n):
    """One level: Marchenko and Pastur's law, and for converged descent the exact means of inverse Wishart traces."""
    rank, floor, signal, variance = 10, 0.4, 3.0, 1.7
    equivalent = Equivalent(Population([variance], [rank], [signal], floor), n)
    ratio, penalty = rank / n, 0.2
    if n > rank + 1:
        assert equivalent.risk(Converged()) == pytest.approx(floor * (n - 1) / (n - rank - 1))
    elif n < rank - 1:
        exact = floor + signal * variance * (1 - n / rank) + floor * n / (rank - n - 1)
        assert equivalent.risk(Converged()) == pytest.approx(exact)
    low, high = (variance * (1 + sign * math.sqrt(ratio)) ** 2 for sign in (-1, 1))
    assert equivalent.extent == pytest.approx((low, high), rel=1e-9)
    angle = (np.arange(4000) + 0.5) * np.pi / 4000  # Gauss-Chebyshev quadrature of the density's square root
    x = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    density = ((high - low) / 2) ** 2 * np.sin(angle) ** 2 / (2 * variance * ratio * x) / 4000
    left = penalty / (x + penalty)
    bias = signal * variance * (density @ left**2 + max(1 - 1 / ratio, 0))
    noise = floor * rank / n * variance * (density @ ((1 - left) ** 2 / x))
    assert equivalent.risk(Ridge(penalty)) == pytest.approx(floor + bias + noise, rel=1e-6)
    left = np.exp(-2 * x)
    bias = signal * variance * (density @ left**2 + max(1 - 1 / ratio, 0))
    noise = floor * rank / n * variance * (density @ ((1 - left) ** 2 / x))
    assert equivalent.risk(Flow(2)) == pytest.approx(floor + bias + noise, rel=1e-6)


@pytest.mark.parametrize("n", [25, 60, 150])
def test_risks_are_those_of_training_sets(n):
    """A hundred training sets of 60 dimensions: within four standard errors and one per cent of the limit."""
    model, rng = Subspace(dim=30, ambient=60, sigma=0.3), np.random.default_rng(n)
    equivalent, paths = Equivalent(model.population, n), [path_of(draw_training_set(model, n, rng)) for _ in range(100)]
    for filter_ in (Flow(0.5), Flow(4), Descent(0.3, 9), Ridge(0.1), Ridge(1)):
        risks = [path.risk(filter_) for path in paths]
        error = np.std(risks, ddof=1) / 10
        assert abs(equivalent.risk(filter_) - np.mean(risks)) < 4 * error + 0.01 * np.mean(risks)


def test_many_images_reach_the_floor_and_images_without_noise_the_subspace():
    population = spread_out()
    assert best_flow(Equivalent(population, 1e10)).risk == pytest.approx(0.3, rel=1e-8)
    for n in (1, 4, 9):
        clean = Equivalent(Subspace(dim=10, ambient=50, sigma=0).population, n)
        assert clean.risk(Converged()) == pytest.approx(1 - n / 10)
        nearly = Equivalent(Subspace(dim=10, ambient=50, sigma=1e-5).population, n)
        assert nearly.risk(Converged()) == pytest.approx(1 - n / 10, rel=1e-4)
    assert Equivalent(Subspace(dim=10, ambient=50, sigma=0).population, 10).risk(Converged()) == 0


def test_more_images_are_never_worse_for_the_best_ridge():
    for population in (spread_out(), Subspace(dim=10, ambient=200, sigma=0.1).population):
        risks = [best_ridge(Equivalent(population, n)).risk for n in np.geomspace(1, 3000, 25)]
        assert (np.diff(risks) < 0).all()


def test_descent_with_the_best_step_count_beats_the_floor_of_no_filter():
    model = Subspace(dim=10, ambient=100, sigma=0.05)
    equivalent = Equivalent(model.population, 24)
    best = best_descent(equivalent, model.step(24))
    assert model.floor < best.risk < best_ridge(equivalent).risk
    assert best.risk == pytest.approx(0.004682425924225, rel=1e-10)  # an independent implementation


def test_the_converged_risk_is_infinite_where_its_mean_is():
    population = spread_out()
    for n, finite in ((18.9, True), (19, False), (20, False), (21, False), (21.1, True)):
        assert math.isfinite(Equivalent(population, n).risk(Converged())) == finite
    assert Equivalent(Population([1.0], [20], [1], floor=0), 20).risk(Converged()) == 0


def test_leverage_of_one_changes_nothing_and_leverage_scales_the_noise():
    plain = spread_out()
    columns = plain.variances, plain.counts, plain.signal, plain.floor, 1.0
    for n in (7, 300):
        for filter_ in (Converged(), Ridge(0.1), Flow(30.0), Descent(0.1, 40)):
            risks = [Equivalent(Population(*columns, leverage=h * plain.counts), n).risk(filter_) for h in (0, 1, 2)]
            assert Equivalent(plain, n).risk(filter_) == pytest.approx(risks[1], rel=1e-12)
            assert risks[2] - risks[1] == pytest.approx(risks[1] - risks[0], rel=1e-9)
            assert risks[1] > risks[0]


def test_equal_variances_may_come_one_by_one_and_a_part_for_the_whole():
    together = Population([2.0, 0.1], [3, 5], [2.0, 0.2], 0.3)
    apart = Population([2.0] * 3 + [0.1] * 5, np.ones(8), [1.0, 0.5, 0.5, 0.2, 0, 0, 0, 0], 0.3)
    for filter_ in (Flow(3), Ridge(0.1), Converged()):
        assert Equivalent(apart, 5).risk(filter_) == pytest.approx(Equivalent(together, 5).risk(filter_), rel=1e-12)


def test_thousands_of_levels_are_binned_without_harm():
    clean = np.arange(1, 3001.0) ** -2
    noisy = clean + 1e-6
    population = Population(noisy, np.ones(3000), (clean / noisy) ** 2, float((clean * 1e-6 / noisy).sum()))
    assert len(levels_of(population).variance) < 1000
    for n in (10, 300, 2500):
        binned, whole = Equivalent(population, n), Equivalent(population, n)
        whole.__dict__["law"] = SampleLaw(levels_of(population, most=3000), n)
        assert len(whole.law.levels.variance) == 3000
        for filter_ in (Ridge(1e-5), Ridge(1e-3), Converged()):
            assert binned.risk(filter_) == pytest.approx(whole.risk(filter_), rel=3e-5)


@pytest.mark.parametrize("n", [1, 3, 40])
def test_far_fewer_images_than_dimensions(n):
    """Nearly the same spectrum for all 300,000 directions: the limit is a contour as far from 0 as it is narrow."""
    population = Population(np.linspace(0.9, 1.1, 60), np.full(60, 5000.0), np.ones(60), 1.0)
    equivalent = Equivalent(population, n)
    assert equivalent.risk(Flow(1)) == pytest.approx(equivalent.risk(Converged()), rel=1e-9)
    assert ridge_by_contour(equivalent, 1e-7) == pytest.approx(equivalent.risk(Ridge(1e-7)), rel=1e-9)


def test_no_time_is_too_long_but_where_the_risk_has_no_limit():
    assert math.isfinite(Equivalent(spread_out(), 30).risk(Flow(1e308)))
    square = Equivalent(spread_out(), 20)
    assert square.risk(Flow(1e20)) > 1e3
    with pytest.raises(UserError, match="no limit"):
        square.risk(Flow(1e40))
    assert best_flow(square).risk < spread_out().power


def test_steps_beyond_stability_are_refused_and_those_just_within_are_right():
    equivalent = Equivalent(Population([1.0, 0.2], [5, 20], [1.0, 1.0], 0.1), 30)
    high = equivalent.extent[1]
    with pytest.raises(UserError, match="diverges"):
        equivalent.risk(Descent(2.001 / high, 3))
    for factor in (1.5, 1.9):
        step = factor / high
        k = 7
        fine = Equivalent(equivalent.population, 30, digits=20).risk(Descent(step, k))
        assert equivalent.risk(Descent(step, k)) == pytest.approx(fine, rel=1e-8)


def test_failure_of_the_solver_is_said(monkeypatch):
    monkeypatch.setattr(contour, "TURNS", ())
    with pytest.raises(UserError, match="no self-consistent solution"):
        Equivalent(spread_out(), 7).risk(Flow(1))
    monkeypatch.undo()
    monkeypatch.setattr(contour, "_axes", lambda shape: (0.0, 0.5, 1.0))
    with pytest.raises(UserError, match=r"contour is wrong|no self-consistent"):
        Equivalent(spread_out(), 7).risk(Flow(1))


@pytest.mark.parametrize("n", [0.5, 0, -3, math.nan, math.inf, "7", True])
def test_there_is_no_size_below_one(n):
    with pytest.raises(UserError, match="1 or more"):
        Equivalent(Population([1], [1], [1], 0), n)


def test_a_filter_of_another_kind_is_refused():
    with pytest.raises(UserError, match="known here"):
        Equivalent(spread_out(), 7).risk(object())
