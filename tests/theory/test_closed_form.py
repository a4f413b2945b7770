import math
import sys
from pathlib import Path

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import Subspace, best_flow, best_ridge
from reconscale.theory.closed_form import knee, numeric_knee, power_law_regimes
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.filters import Converged

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from theory_forms import (
    after_knee,
    attenuation,
    pca_after,
    power_law_population,
    power_law_risk,
    stopping_time,
)

MODELS = [Subspace(10, 100, 0.05), Subspace(10, 1000, 0.1), Subspace(100, 1000, 0.1), Subspace(1, 10**5, 0.03)]


@pytest.mark.parametrize("model", MODELS)
def test_knee_is_where_the_risk_is_twice_the_floor(model):
    numeric = numeric_knee(model)
    assert best_flow(Equivalent(model.population, numeric)).risk == pytest.approx(2 * model.floor, rel=1e-4)
    assert knee(model) / numeric == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("model", MODELS)
def test_closed_forms_beyond_the_knee(model):
    """The errors that the docstrings state, at 2, 4 and 10 knees."""
    place = numeric_knee(model)
    for factor, near, far, pca in ((2, 0.013, 0.062, 0.19), (4, 0.004, 0.017, 0.072), (10, 0.004, 0.004, 0.04)):
        truth = best_flow(Equivalent(model.population, factor * place)).risk
        assert attenuation(model, factor * place) == pytest.approx(truth, rel=near)
        assert after_knee(model, factor * place) == pytest.approx(truth, rel=far)
        assert pca_after(model, factor * place) == pytest.approx(pca_equivalent(model, factor * place), rel=pca)


def test_closed_forms_know_their_limits():
    model = Subspace(10, 1000, 0.1)
    assert after_knee(model, 1e12) == pytest.approx(model.floor, rel=1e-6)
    assert attenuation(Subspace(10, 100, 0.0), 20) == 0
    assert stopping_time(Subspace(10, 100, 0.0), 20) == math.inf
    t = stopping_time(model, 10**5)
    assert 2 * t == pytest.approx(math.log(10**5 / (model.floor * 1000 * 0.1**4 * t)), rel=1e-9)
    with pytest.raises(UserError, match="above dim"):
        attenuation(model, 10)
    with pytest.raises(UserError, match="sigma"):
        knee(Subspace(10, 100, 0.0))
    with pytest.raises(UserError, match="sigma"):
        numeric_knee(Subspace(10, 100, 1.5))
    with pytest.raises(UserError, match="n: found"):
        after_knee(model, math.nan)


@pytest.mark.parametrize(
    ("exponent", "sigma"),
    [(1.5, 0.0), (2.0, 0.0), (3.0, 0.0), (1.5, 1e-7**0.5), (2.0, 1e-5**0.5), (3.0, 1e-7**0.5)],
)
def test_power_law_spectra_have_power_law_curves(exponent, sigma):
    for n in (10, 100, 1000, 10000):
        truth = Equivalent(power_law_population(exponent, 10**5, sigma), n).risk(Converged())
        assert power_law_risk(exponent, n, 10**5, sigma) == pytest.approx(truth, rel=2e-3)


def test_slopes_of_power_law_spectra():
    regimes = power_law_regimes(2.0, 10**6)
    assert regimes.signal_slope == -1
    assert regimes.noise_from == regimes.floor_from == math.inf
    first, second = (Equivalent(power_law_population(2.0, 10**6), n).risk(Converged()) for n in (100, 1000))
    assert math.log10(second / first) == pytest.approx(regimes.signal_slope, abs=0.01)
    noisy = power_law_regimes(2.0, 10**5, 1e-3)
    population = power_law_population(2.0, 10**5, 1e-3)
    assert population.floor == pytest.approx(noisy.floor, rel=0.02)
    slopes = []
    for n in (100, 400):
        first, second = (best_ridge(Equivalent(population, size)).risk - population.floor for size in (n, 2 * n))
        slopes.append(math.log2(second / first))
    assert regimes.signal_slope < min(slopes) < noisy.noise_slope + 0.1
    scaled = power_law_risk(2.0, 50, 10**5, 1e-3, scale=4.0)
    assert scaled == pytest.approx(4 * power_law_risk(2.0, 50, 10**5, 5e-4), rel=1e-9)


def test_power_law_populations_of_any_size():
    small, large = power_law_population(1.5, 500, 0.1), power_law_population(1.5, 10**6, 0.1)
    assert small.measurements == 500
    assert large.measurements == 10**6
    assert len(large.variances) < 3000
    assert small.power == pytest.approx(float((np.arange(1, 501.0) ** -1.5).sum()), rel=1e-9)
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match="exponent: found"):
            power_law_population(wrong, 100)
    with pytest.raises(UserError, match="at most a third of the pixels"):
        power_law_risk(2.0, 500, 1000)
