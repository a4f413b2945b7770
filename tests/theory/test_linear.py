"""Any linear problem: the Wiener filter in closed form, the path against literal descent, the curves against draws."""

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import Converged, Descent, Flow, Ridge, Subspace, best_flow, best_ridge
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.linear import (
    Moments,
    checked_covariance,
    learned_path,
    moments_of,
    population_of,
    risk_of_filter,
    wiener_of,
)
from reconscale.theory.operators import OPERATORS, compressed_sensing, denoising, operator_of, superresolution

SHAPE = (6, 6, 1)
PIXELS = 36


def covariance_of(kind):
    """Of 36 pixels: smooth images, white ones, or images in a subspace of 5 dimensions."""
    rng = np.random.default_rng(11)
    if kind == "white":
        return np.eye(PIXELS)
    if kind == "singular":
        basis = np.linalg.qr(rng.standard_normal((PIXELS, 5)))[0]
        return basis @ np.diag([1.0, 0.8, 0.5, 0.2, 0.1]) @ basis.T
    place = np.stack(np.divmod(np.arange(PIXELS), 6), 1)
    apart = np.abs(place[:, None] - place).sum(-1)
    return 0.8**apart


def drawn(covariance, operator, n, rng):
    values, vectors = np.linalg.eigh(covariance)
    x = rng.standard_normal((n, len(covariance))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return x, x @ operator.matrix.T + operator.sigma * rng.standard_normal((n, operator.measurements))


class TestPopulation:
    @pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
    def test_white_denoising(self, sigma):
        population = population_of(np.eye(PIXELS), denoising(SHAPE, sigma))
        np.testing.assert_allclose(population.variances, 1 + sigma**2)
        np.testing.assert_allclose(population.signal, 1 / (1 + sigma**2) ** 2)
        assert population.floor / population.outputs == pytest.approx(sigma**2 / (1 + sigma**2))
        assert population.power == pytest.approx(1)

    def test_denoising_by_the_eigenvalues_of_the_covariance(self):
        cov, sigma = covariance_of("smooth"), 0.3
        population, values = population_of(cov, denoising(SHAPE, sigma)), np.linalg.eigvalsh(cov)
        np.testing.assert_allclose(population.variances, values + sigma**2, rtol=1e-12)
        np.testing.assert_allclose(population.signal, (values / (values + sigma**2)) ** 2, rtol=1e-10)
        assert population.floor == pytest.approx((values * sigma**2 / (values + sigma**2)).sum(), rel=1e-11)

    def test_means_of_blocks_of_a_white_image(self):
        """Of 4 pixels with variance 1 the mean tells a quarter, less what noise hides."""
        population = population_of(np.eye(PIXELS), superresolution(SHAPE, 0.5))
        np.testing.assert_allclose(population.variances, 0.25 + 0.25)
        assert population.floor / PIXELS == pytest.approx(1 - 0.25 / 2)

    def test_is_the_papers_model(self):
        basis = np.linalg.qr(np.random.default_rng(0).standard_normal((PIXELS, 5)))[0]
        ours = population_of(basis @ basis.T, denoising(SHAPE, 0.2))
        paper = Subspace(5, PIXELS, 0.2).population
        assert ours.floor == pytest.approx(paper.floor, rel=1e-10)
        for n in (4, 10, 100):
            left, right = Equivalent(ours, n), Equivalent(paper, n)
            assert left.risk(Ridge(0.1)) * PIXELS == pytest.approx(right.risk(Ridge(0.1)) * 5, rel=1e-9)

    @pytest.mark.parametrize("kind", ["white", "smooth", "singular"])
    @pytest.mark.parametrize("name", OPERATORS)
    def test_floor_is_that_of_the_textbook_matrix(self, name, kind):
        cov, operator = covariance_of(kind), operator_of(name, SHAPE, 0.2)
        cross = cov @ operator.matrix.T
        gram = operator.matrix @ cross + 0.2**2 * np.eye(operator.measurements)
        textbook = np.trace(cov) - np.trace(cross @ np.linalg.solve(gram, cross.T))
        population = population_of(cov, operator)
        assert population.floor == pytest.approx(textbook, rel=1e-9)
        assert population.power * PIXELS == pytest.approx(np.trace(cov), rel=1e-12)

    def test_no_other_filter_is_better(self):
        cov, operator = covariance_of("smooth"), operator_of("masked-fourier", SHAPE, 0.1)
        moments = moments_of(cov, operator)
        wiener, rng = wiener_of(moments), np.random.default_rng(0)
        best = risk_of_filter(wiener, moments)
        assert best == pytest.approx(wiener.floor / PIXELS, rel=1e-10)
        for _ in range(20):
            change = 1e-3 * rng.standard_normal(wiener.response.shape)
            other = type(wiener)(wiener.variances, wiener.directions, wiener.response + change, wiener.floor)
            assert risk_of_filter(other, moments) > best

    @pytest.mark.parametrize("name", OPERATORS)
    def test_without_noise_a_singular_covariance_drops_what_is_never_seen(self, name):
        population = population_of(covariance_of("singular"), operator_of(name, SHAPE, 0.0))
        assert population.measurements <= 5
        assert np.isfinite(Equivalent(population, 3).risk(Converged()))

    def test_without_noise_nothing_is_left_of_a_signal_seen_in_full(self):
        for kind in ("smooth", "singular"):
            assert population_of(covariance_of(kind), denoising(SHAPE, 0.0)).floor == 0
        assert population_of(covariance_of("singular"), compressed_sensing(SHAPE, 0.0)).floor == 0

    def test_nothing_to_see(self):
        with pytest.raises(UserError, match="do not vary"):
            population_of(np.zeros((PIXELS, PIXELS)), denoising(SHAPE, 0.0))
        assert population_of(np.zeros((PIXELS, PIXELS)), denoising(SHAPE, 0.1)).floor == 0

    @pytest.mark.parametrize(
        ("covariance", "said"),
        [
            (np.eye(35), r"shape \(35, 35\)"),
            (np.ones(36), "shape"),
            (np.full((36, 36), np.nan), "not finite"),
            (np.eye(36) + np.triu(np.full((36, 36), 0.01), 1), "not symmetric"),
            (np.diag(np.r_[np.ones(35), -0.1]), "eigenvalue -0.1"),
        ],
    )
    def test_covariances_that_are_none(self, covariance, said):
        with pytest.raises(UserError, match=said):
            population_of(covariance, denoising(SHAPE, 0.1))

    def test_rounding_of_a_covariance_is_forgiven(self):
        cov = covariance_of("singular")
        cov[0, 1] += 1e-12
        np.testing.assert_array_equal(checked_covariance(cov, PIXELS), checked_covariance(cov, PIXELS).T)


def literal_risk(weights, moments: Moments):
    total = moments.power - 2 * (weights * moments.cross).sum() + ((weights @ moments.gram) * weights).sum()
    return total / moments.pixels


class TestLearnedPath:
    @pytest.mark.parametrize("n", [1, 7, 20, 36, 90])
    @pytest.mark.parametrize(("name", "sigma"), [("denoising", 0.2), ("masked-fourier", 0.0), ("inpainting", 0.1)])
    def test_equals_literal_descent(self, name, sigma, n):
        cov, operator, rng = covariance_of("smooth"), operator_of(name, SHAPE, sigma), np.random.default_rng(n)
        moments = moments_of(cov, operator)
        x, y = drawn(cov, operator, n, rng)
        path = learned_path(x, y, moments)
        step, weights = 1.2 / path.extent[1], np.zeros((PIXELS, operator.measurements))
        for k in range(201):
            assert path.risk(Descent(step, k)) == pytest.approx(literal_risk(weights, moments), rel=1e-10)
            weights = weights - step / n * (weights @ y.T - x.T) @ y

    @pytest.mark.parametrize("n", [5, 35, 36, 37, 90])
    def test_converged_and_ridge_equal_their_matrices(self, n):
        cov, operator = covariance_of("smooth"), denoising(SHAPE, 0.2)
        moments = moments_of(cov, operator)
        x, y = drawn(cov, operator, n, np.random.default_rng(n))
        path = learned_path(x, y, moments)
        assert path.risk(Converged()) == pytest.approx(literal_risk(x.T @ np.linalg.pinv(y.T), moments), rel=1e-7)
        ridge = x.T @ y / n @ np.linalg.inv(y.T @ y / n + 0.1 * np.eye(PIXELS))
        assert path.risk(Ridge(0.1)) == pytest.approx(literal_risk(ridge, moments), rel=1e-10)

    def test_judged_by_held_out_pairs(self):
        """The same number as reconstructing each held-out image."""
        cov, operator, rng = covariance_of("smooth"), operator_of("inpainting", SHAPE, 0.1), np.random.default_rng(0)
        x, y = drawn(cov, operator, 50, rng)
        held_x, held_y = drawn(cov, operator, 30, rng)
        held = Moments((held_x**2).sum() / 30, held_x.T @ held_y / 30, held_y.T @ held_y / 30)
        path = learned_path(x, y, held)
        ridge = x.T @ y / 50 @ np.linalg.inv(y.T @ y / 50 + 0.1 * np.eye(operator.measurements))
        assert path.risk(Ridge(0.1)) == pytest.approx(((held_x - held_y @ ridge.T) ** 2).mean(), rel=1e-10)

    def test_nothing_learned_is_the_power(self):
        cov, operator = covariance_of("smooth"), denoising(SHAPE, 0.2)
        path = learned_path(*drawn(cov, operator, 9, np.random.default_rng(0)), moments_of(cov, operator))
        assert path.risk(Flow(0)) == path.risk(Descent(0.1, 0)) == pytest.approx(1)

    def test_stops_where_descent_diverges(self):
        cov, operator = covariance_of("smooth"), denoising(SHAPE, 0.2)
        path = learned_path(*drawn(cov, operator, 9, np.random.default_rng(0)), moments_of(cov, operator))
        with pytest.raises(UserError, match="diverges"):
            path.risk(Descent(2.01 / path.extent[1], 5))

    def test_pairs_that_are_none(self):
        moments = moments_of(np.eye(PIXELS), denoising(SHAPE, 0.1))
        good = np.ones((4, PIXELS))
        for x, y, said in (
            (good, good[:3], "shapes"),
            (good[:0], good[:0], "shapes"),
            (good[0], good[0], "shapes"),
            (good[:, :5], good, "moments"),
            (good, good * np.nan, "not finite"),
            (good, 0 * good, "all 0"),
        ):
            with pytest.raises(UserError, match=said):
                learned_path(x, y, moments)


class TestCurves:
    """Gaussian data: what is computed against what is learned."""

    @pytest.mark.parametrize("n", [30, 100, 400])
    @pytest.mark.parametrize(
        ("name", "sigma"), [("denoising", 0.3), ("masked-fourier", 0.05), ("inpainting", 0.0), ("superresolution", 0.1)]
    )
    def test_equivalent_is_the_mean_of_draws(self, name, sigma, n):
        """Within four standard errors and 2 % (1 / size of so small a problem)."""
        cov, operator, rng = covariance_of("smooth"), operator_of(name, SHAPE, sigma), np.random.default_rng(n)
        moments, equivalent = moments_of(cov, operator), Equivalent(population_of(cov, operator), n)
        paths = [learned_path(*drawn(cov, operator, n, rng), moments) for _ in range(24)]
        for search in (best_flow, best_ridge):
            best = search(equivalent)
            risks = np.array([path.risk(best.filter) for path in paths])
            allowed = 4 * risks.std(ddof=1) / np.sqrt(len(risks)) + 0.02 * risks.mean()
            assert abs(best.risk - risks.mean()) < allowed

    def test_least_squares_has_its_exact_mean(self):
        """E risk = floor (n - 1) / (n - m - 1): the mean of 2,000 draws within four standard errors."""
        cov, operator, rng = covariance_of("smooth"), compressed_sensing(SHAPE, 0.1), np.random.default_rng(5)
        moments, population, n = moments_of(cov, operator), population_of(cov, operator), 20
        exact = population.floor / population.outputs * (n - 1) / (n - operator.measurements - 1)
        assert Equivalent(population, n).risk(Converged()) == pytest.approx(exact, rel=1e-12)
        draws = [learned_path(*drawn(cov, operator, n, rng), moments).risk(Converged()) for _ in range(2000)]
        assert abs(np.mean(draws) - exact) < 4 * np.std(draws) / np.sqrt(len(draws))
        assert np.std(draws) / np.sqrt(len(draws)) < 0.03 * (exact - population.floor / population.outputs)
