import numpy as np
import pytest

from reconscale.errors import UserError, check_int, check_real
from reconscale.theory import Converged, Descent, Flow, Population, Ridge, Subspace


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Subspace(0, 10, 0.1), "dim: found 0; a whole number from 1 to 10 is expected"),
        (lambda: Subspace(11, 10, 0.1), "dim: found 11; a whole number from 1 to 10 is expected"),
        (lambda: Subspace(2.5, 10, 0.1), "dim: found 2.5; a whole number"),
        (lambda: Subspace(2, 10.5, 0.1), "ambient: found 10.5"),
        (lambda: Subspace(2, float("inf"), 0.1), "ambient: found inf"),
        (lambda: Subspace(2, 10**13, 0.1), "ambient: found 10000000000000"),
        (lambda: Subspace(True, 10, 0.1), "dim: found True"),
        (lambda: Subspace("2", 10, 0.1), "dim: found '2'"),
        (lambda: Subspace(2, 10, -0.1), "sigma: found -0.1; a number of 0 or more expected"),
        (lambda: Subspace(2, 10, float("nan")), "sigma: found nan"),
        (lambda: Subspace(2, 10, "0.1"), "sigma: found '0.1'"),
        (lambda: Subspace(2, 10, 0.1).step(0), "n: found 0"),
        (lambda: Descent(0.0, 3), "step: found 0.0; a number above 0 expected"),
        (lambda: Descent(-1.0, 3), "step: found -1.0"),
        (lambda: Descent(0.1, -1), "k: found -1"),
        (lambda: Descent(0.1, 1.5), "k: found 1.5"),
        (lambda: Descent(0.1, 10**400), r"k: found a number of 401 digits; at most .* use Converged\(\)"),
        (lambda: Flow(-1.0), "time: found -1.0"),
        (lambda: Ridge(0.0), "penalty: found 0.0"),
        (lambda: Population([1, 2], [1], [0, 0], 0.1), "Population, counts: holds 1 numbers; variances hold 2"),
        (lambda: Population([1, 0], [1, 1], [0, 0], 0.1), "Population, variances: found 0"),
        (lambda: Population([1], [1], [-1], 0.1), "Population, signal: found -1"),
        (lambda: Population([1], [1], [np.nan], 0.1), "Population, signal: found nan"),
        (lambda: Population([], [], [], 0.1), "Population, variances: is empty"),
        (lambda: Population([1], [1], [1], -0.1), "Population, floor: found -0.1"),
        (lambda: Population([1], [1], [1], 0.1, 0.0), "Population, outputs: found 0"),
        (lambda: Population([1], [1], [1], 0.1, 1.0, [1, 2]), "Population, leverage: holds 2 numbers"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make, said):
    with pytest.raises(UserError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_numbers_of_any_type_are_taken():
    assert check_int("n", np.int64(3), 1) == check_int("n", 3.0, 1) == 3
    assert isinstance(check_int("n", np.float32(3), 1), int)
    assert check_real("sigma", np.float32(0.5)) == 0.5
    assert Subspace(np.int32(2), 10.0, 0).sigma == 0.0


def test_arrays_of_a_population_are_read_only_copies():
    variances = np.array([2.0, 1.0])
    population = Population(variances, [1, 3], [0.5, 0], 0.2, 2.0)
    variances[0] = 9
    assert population.variances[0] == 2
    with pytest.raises(ValueError, match="read-only"):
        population.variances[0] = 1
    assert population.measurements == 4
    assert population.power == pytest.approx((0.5 * 2 + 0.2) / 2)


def test_populations_of_the_subspace_model():
    model = Subspace(10, 100, 0.1)
    assert model.population.power == pytest.approx(1)
    assert model.population.floor / model.population.outputs == model.floor
    assert len(Subspace(10, 100, 0).population.variances) == 1
    assert len(Subspace(10, 10, 0.1).population.variances) == 1


@pytest.mark.parametrize("filter_", [Descent(0.3, 7), Flow(2.0), Ridge(0.4), Converged()])
def test_gain_and_residual_agree(filter_):
    variance = np.array([1e-3, 0.2, 1.0, 3.0, 5.0])
    np.testing.assert_allclose(variance * filter_.gain(variance), 1 - filter_.residual(variance), rtol=1e-12)
    both = filter_.residual(variance + 0j)
    np.testing.assert_allclose(both.real, filter_.residual(variance), atol=1e-14)


def test_gain_keeps_its_digits_where_little_is_fitted():
    assert Flow(1e-3).gain(np.array([1e-14]))[0] == pytest.approx(1e-3, rel=1e-12)
    assert Descent(1e-3, 5).gain(np.array([1e-14]))[0] == pytest.approx(5e-3, rel=1e-12)
    assert Flow(2.0).gain(np.array([0.0]))[0] == 2
    assert Descent(0.5, 4).gain(np.array([0.0]))[0] == 2
