import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from reconscale.errors import UserError
from reconscale.laws import LAWS, Points, evaluate, fit
from reconscale.laws.named.fit import point_fit

QUICK = settings(derandomize=True, deadline=None, max_examples=20, database=None)

X = np.array([10.0, 20, 50, 100, 200, 400, 1000, 2000, 5000, 10000, 30000, 100000])
THETA = {
    "power": (0.5, 0.3),
    "power+floor": (0.02, 0.5, 0.4),
    "shifted": (2.0, 1e-3, 0.4),
    "M4": (0.02, 0.9, 0.8, 16.0, 0.6),
    "bnsl-1": (0.01, 1.0, 0.1, 0.4, 300.0, 0.5),
    "bnsl-2": (0.005, 1.0, 0.3, -0.25, 100.0, 0.3, 0.5, 3000.0, 0.4),
    "paper": (200.0, 29.0, 0.02, 0.004),
    "paper-2": (150.0, 4000.0, 29.0, 0.02, 0.004, 0.001),
}
FLAT = ("M4", "bnsl-1", "bnsl-2")
"""Laws whose parameters can make up for each other: their curve is recovered, their parameters less so."""


@pytest.mark.parametrize("name", sorted(LAWS))
class TestEveryLaw:
    """What any law in the registry must do."""

    def exact(self, name):
        value = evaluate(LAWS[name], X, THETA[name])
        return Points(X, value, metric="psnr" if LAWS[name].of == "metric" else "error")

    def test_recovers_its_own_parameters(self, name):
        result = fit(self.exact(name), name, draws=20)
        for parameter, true in zip(LAWS[name].parameters, THETA[name], strict=True):
            accuracy = 1e-2 if name in FLAT else 1e-4
            assert result.parameters[parameter][0] == pytest.approx(true, rel=accuracy), parameter

    def test_recovers_its_own_curve(self, name):
        result = point_fit(self.exact(name), name)
        between = np.geomspace(X[0], X[-1], 50)
        true = evaluate(LAWS[name], between, THETA[name])
        np.testing.assert_allclose(result.evaluate(between), true, rtol=1e-5)
        assert result.residual_sd < 1e-6

    def test_evaluates_and_brackets_its_points(self, name):
        points = self.exact(name)
        result = fit(points, name)
        np.testing.assert_allclose(result.evaluate(X), points.y, rtol=1e-6)
        low, high = result.interval(X, 0.99)
        assert (low < points.y).all()
        assert (points.y < high).all()
        for value, below, above in result.parameters.values():
            assert below <= value <= above
            assert below < above

    def test_point_fit_is_the_same_optimum(self, name):
        points = self.exact(name)
        assert point_fit(points, name).parameters == {
            parameter: value for parameter, (value, _, _) in fit(points, name, draws=20).parameters.items()
        }

    def test_refuses_fewer_sizes_than_it_needs(self, name):
        least = LAWS[name].least
        assert least >= len(LAWS[name].parameters)
        if least > 3:
            with pytest.raises(UserError, match=f"the law '{name}' needs at least {least}"):
                fit(self.exact(name).rows(np.arange(least - 1)), name)

    def test_same_bits_twice_and_other_bits_with_another_seed(self, name):
        points = self.exact(name)
        assert fit(points, name).draws.tobytes() == fit(points, name).draws.tobytes()
        assert fit(points, name).draws.tobytes() != fit(points, name, seed=1).draws.tobytes()

    def test_the_order_of_rows_does_not_matter(self, name):
        points = self.exact(name)
        twice = Points(np.tile(X, 2), np.concatenate([points.y, 1.001 * points.y]), metric=points.metric)
        for rows in (points, twice):
            turned = rows.rows(np.random.default_rng(3).permutation(len(rows)))
            assert fit(turned, name, draws=20).draws.tobytes() == fit(rows, name, draws=20).draws.tobytes()

    def test_prints_a_page(self, name):
        page = str(fit(self.exact(name), name))
        assert page.count("90 % interval") == len(LAWS[name].parameters)
        assert len(page.splitlines()) < 20


@QUICK
@given(st.floats(0, 0.5), st.floats(0.1, 1.5), st.floats(-3, 3))
def test_a_floor_is_recovered_at_any_scale(floor, exponent, scale):
    true = evaluate(LAWS["power+floor"], X, (10**scale * floor, 10**scale, exponent))
    result = fit(Points(X, true), draws=20)
    np.testing.assert_allclose(result.evaluate(X), true, rtol=1e-4)


def test_power_and_floor_agree_with_curve_fit(make):
    for points in (make(0.05, 1.0, 0.5), make(0.2, 2.0, 0.7, rng=3), make(0.01, 1.0, 0.3, rng=8, noise=0.005)):
        mean = np.exp(np.log(points.error).reshape(5, 3).mean(1))
        result = fit(points)
        level_sd = _weights(points)
        start = (0.5 * mean[-1], 1.0, 0.5)
        best, _ = curve_fit(
            lambda x, a, b, c: np.log(a + b * x**-c),
            points.sizes,
            np.log(mean),
            p0=start,
            sigma=level_sd,
            bounds=(0, [1, 50, 4]),
            xtol=1e-14,
            ftol=1e-14,
        )
        np.testing.assert_allclose([value for value, _, _ in result.parameters.values()], best, rtol=2e-3)


def _weights(points):
    from reconscale.laws.grouping import group_by_size

    return np.sqrt(group_by_size(points).variance)


def test_a_power_law_is_a_straight_line_in_log_log(make):
    points = make(0.0, 0.8, 0.25, noise=0.01, seeds=1)
    slope, level = np.polyfit(np.log(points.n), np.log(points.y), 1)
    result = fit(points, "power")
    assert result.parameters["c"][0] == pytest.approx(-slope, rel=1e-9)
    assert result.parameters["b"][0] == pytest.approx(np.exp(level), rel=1e-9)


def test_the_paper_break_is_found_not_typed():
    theta = (600.0, 30.0, 0.0048, 0.0019)
    sizes = np.geomspace(10, 100000, 9)
    rng = np.random.default_rng(0)
    exact = evaluate(LAWS["paper"], np.repeat(sizes, 3), theta)
    result = fit(Points(np.repeat(sizes, 3), exact + 0.01 * rng.standard_normal(27), metric="psnr"), "paper")
    for name, true in zip(LAWS["paper"].parameters, theta, strict=True):
        value, low, high = result.parameters[name]
        assert abs(value - true) < high - low, name
    assert result.parameters["alpha1"][1] > result.parameters["alpha2"][2]


def test_the_paper_law_of_an_error_is_one_of_psnr():
    theta = (300.0, 30.0, 0.02, 0.005)
    psnr = evaluate(LAWS["paper"], X, theta)
    result = fit(Points(X, 10 ** (-psnr / 10)), "paper")
    assert result.parameters["break"][0] == pytest.approx(300, rel=1e-3)
    assert "psnr-of-error" in {item.code for item in result.findings}
    assert result.evaluate(X) == pytest.approx(10 ** (-psnr / 10))


def test_the_paper_law_of_ssim():
    ssim = evaluate(LAWS["paper"], X, (300.0, 0.8, 0.02, 0.005))
    result = fit(Points(X, ssim, metric="ssim"), "paper")
    assert result.parameters["alpha2"][0] == pytest.approx(0.005, rel=1e-3)


def test_fewer_seeds_and_more_noise_widen_the_interval(make):
    def width(points):
        _, low, high = fit(points, "power").parameters["c"]
        return high - low

    assert width(make(0, 1, 0.4, noise=0.03)) > 1.5 * width(make(0, 1, 0.4, noise=0.01))
    assert width(make(0, 1, 0.4, seeds=2)) > width(make(0, 1, 0.4, seeds=12))


def test_test_images_add_their_own_uncertainty(make):
    points = make(0, 1, 0.4, noise=0.001)
    rng = np.random.default_rng(5)
    hardness = np.exp(0.8 * rng.standard_normal(20))
    hardness /= hardness.mean()
    images = points.error[:, None] * hardness
    with_images = Points(points.n, points.y, points.seed, images=images)
    few, many = fit(points, "power").parameters, fit(with_images, "power").parameters
    # images that are hard at every n move the level, not the exponent
    assert many["b"][2] - many["b"][1] > 5 * (few["b"][2] - few["b"][1])
    assert many["c"][2] - many["c"][1] < 1.5 * (few["c"][2] - few["c"][1])


def test_fits_are_of_the_frontier(make):
    good = make(0, 1, 0.4)
    n, y = np.tile(good.n, 2), np.concatenate([good.y, 2 * good.y])
    both = Points(n, y, np.tile(good.seed, 2), width=np.repeat([16, 8], 15))
    assert fit(both, "power").parameters == fit(good, "power").parameters


@pytest.mark.parametrize(
    ("points", "law", "message"),
    [
        (Points([1], [1]), "power", r"found 1 distinct n \(1\); a curve needs at least"),
        (Points([5, 5, 7], [1, 1, 1]), "power", "found 2 distinct n; the law 'power' needs at least 3"),
        (Points([1, 2, 3], [0.1, 0.1, 0.1]), "paper", "the law 'paper' needs at least 4"),
        (Points([1, 2, 3], [1, 1, 1]), "m3", "found 'm3'; did you mean 'M3'"),
        (Points([1, 2, 3], [1, 1, 1]), "bnsl1", "did you mean 'bnsl-1'"),
        (Points([1, 2, 3], [1, 1, 1]), "power+flor", "did you mean 'power\\+floor'"),
        (Points([1, 2, 3, 4], [3, 2, 1, 1]), "paper", "found a PSNR of .*use law='power\\+floor'"),
    ],
)
def test_refusals(points, law, message):
    with pytest.raises(UserError, match=message):
        fit(points, law)


def test_bad_arguments_are_refused(make):
    with pytest.raises(UserError, match="20 or more"):
        fit(make(0, 1, 0.4), draws=3)
    with pytest.raises(UserError, match="found 0; one or more finite numbers above 0"):
        fit(make(0, 1, 0.4)).evaluate([1, 0])
    with pytest.raises(UserError, match=r"level: found 1\.5"):
        fit(make(0, 1, 0.4)).interval([1], 1.5)


def test_laws_have_other_names(make):
    points = make(0.05, 1, 0.4)
    for alias, key in {"M1": "power", "M2": "power+floor", "M3": "shifted"}.items():
        assert fit(points, alias).law == point_fit(points, alias).law == key


def codes(result):
    return {item.code for item in result.findings}


def test_findings(make):
    assert codes(fit(make(0.2, 1, 0.6, noise=0.005))) == set()
    assert {"few-sizes", "no-seeds", "short-range", "floor-unidentified"} <= codes(fit(Points([1, 2, 3], [3, 2, 1])))
    assert "error-rises" in codes(fit(make(0, 1, -0.1)))
    assert "misfit" in codes(fit(make(0.3, 1, 0.8, noise=0.002), "power"))
    assert "unequal-seeds" in codes(fit(make(0, 1, 0.4).rows(np.arange(14))))
    many = np.arange(1.0, 301.0)
    assert "sizes-merged" in codes(fit(Points(many, 1 / many)))


def test_many_sizes_are_merged_without_bending_the_curve():
    n = np.arange(1.0, 1001.0)
    result = fit(Points(n, 0.1 + n**-0.5))
    assert result.parameters["c"][0] == pytest.approx(0.5, rel=0.02)
    assert len(result.sizes) <= 64
