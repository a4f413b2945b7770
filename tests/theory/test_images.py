"""From patches to learning curves: exact moments, made-up images, photographs."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.theory import Flow, best_flow
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.images import linear_curve, n_within_db, population_by, spectrum_of
from reconscale.theory.linear import learned_path, moments_of
from reconscale.theory.operators import OPERATORS, Patches, denoising, operator_of, superresolution

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from theory_learned import learned_curve

SHAPE = (4, 4, 1)
PIXELS = 16


def made_up(images, each, kind, seed=0):
    """Patches of 4 x 4: smooth and Gaussian; of random contrast; a texture or a scene an image."""
    rng = np.random.default_rng(seed)
    place = np.stack(np.divmod(np.arange(PIXELS), 4), 1)
    root = np.linalg.cholesky(0.7 ** np.abs(place[:, None] - place).sum(-1))
    values = rng.standard_normal((images, each, PIXELS))
    if kind == "textures":  # what an image's pixels share differs from image to image
        turns = rng.standard_normal((images, PIXELS, PIXELS)) / 2
        values = np.einsum("iep,iqp->ieq", values, np.eye(PIXELS) + turns)
    if kind == "scenes":  # all patches of an image are nearly the same
        values = values[:, :1] + 0.3 * values
    values = values @ root.T
    if kind == "contrasts":
        values *= rng.lognormal(0, 0.7, (images, each, 1))
    return Patches(0.5 + 0.1 * values.reshape(-1, PIXELS), np.repeat(np.arange(images), each), SHAPE)


def measured(x, operator, rng):
    return x @ operator.matrix.T + operator.sigma * rng.standard_normal((len(x), operator.measurements))


class TestSpectrum:
    @pytest.mark.parametrize("name", OPERATORS)
    def test_fourth_moments_are_means_over_noise(self, name):
        """Both in closed form against 4,000 drawn noises."""
        patches, operator, rng = made_up(6, 5, "scenes"), operator_of(name, SHAPE, 0.05), np.random.default_rng(1)
        spectrum = spectrum_of(patches, operator)
        wiener, x = spectrum.wiener, patches.values - spectrum.mean
        own, once = [], []
        for _ in range(4000):
            scores = measured(x, operator, rng) @ wiener.directions
            rest = x - scores @ wiener.response.T
            own.append(((rest**2).sum(1) @ scores**2) / len(x))
            once.append(rest[:, :, None] * scores[:, None, :])
        error = np.std(own, axis=0) / math.sqrt(len(own))
        assert (np.abs(np.mean(own, 0) - spectrum.own) < 5 * error).all()
        product = np.mean(once, 0)  # noises of two patches are independent: the mean of a product is that of means
        pairs = [(i, j) for i in range(30) for j in range(30) if i != j and patches.image[i] == patches.image[j]]
        shared = np.mean([(product[i] * product[j]).sum(0) for i, j in pairs], 0)
        assert np.abs(shared - spectrum.shared).max() < 0.01 * spectrum.shared.max()
        assert spectrum.shared.max() > 0.05 * spectrum.own.max()

    def test_gaussian_patches_have_leverage_1(self):
        spectrum = spectrum_of(made_up(40_000, 1, "gaussian"), denoising(SHAPE, 0.05))
        leverage = population_by(spectrum, "patches").leverage
        np.testing.assert_allclose(leverage, 1, atol=0.05)

    def test_contrast_raises_leverage(self):
        spectrum = spectrum_of(made_up(40_000, 1, "contrasts"), denoising(SHAPE, 0.05))
        assert population_by(spectrum, "patches").leverage.mean() > 1.5

    def test_independent_patches_share_nothing(self):
        spectrum = spectrum_of(made_up(200, 50, "gaussian"), denoising(SHAPE, 0.05))
        assert np.abs(spectrum.shared).max() < 0.01 * spectrum.own.min()

    def test_mean_is_of_each_channel(self):
        rng = np.random.default_rng(0)
        values = np.tile([0.2, 0.5, 0.8], (300, 4)) + 0.1 * rng.standard_normal((300, 12))
        spectrum = spectrum_of(Patches(values, np.arange(300), (2, 2, 3)), denoising((2, 2, 3), 0.1))
        np.testing.assert_allclose(spectrum.mean, [0.2, 0.5, 0.8], atol=0.02)

    def test_slope_of_a_power_law(self):
        rng = np.random.default_rng(0)
        values = rng.standard_normal((20_000, 64)) * np.arange(1, 65) ** -0.75
        spectrum = spectrum_of(Patches(values, np.arange(20_000), (8, 8, 1)), denoising((8, 8, 1), 0.01))
        assert spectrum.slope == pytest.approx(1.5, abs=0.05)
        tiny = spectrum_of(Patches(values[:, :4], np.arange(20_000), (2, 2, 1)), denoising((2, 2, 1), 0.01))
        assert tiny.slope is None

    def test_floor_of_unseen_images_is_between_the_truth_and_half_of_the_images(self):
        """The filter of few images flatters itself on them, and does worse than the best on others."""
        few, many = made_up(30, 4, "gaussian"), made_up(40_000, 1, "gaussian", seed=1)
        operator = denoising(SHAPE, 0.05)
        truth, spectrum = spectrum_of(many, operator).in_sample, spectrum_of(few, operator)
        assert spectrum.in_sample < truth < spectrum.floor
        assert "not seen" in spectrum.cautions[-1]
        assert spectrum_of(many, operator).cautions == ()

    def test_few_patches_and_few_images_are_said(self):
        cautions = " ".join(spectrum_of(made_up(10, 10, "gaussian"), denoising(SHAPE, 0.05)).cautions)
        assert "16 values is from 100 patches: rough. 160 or more" in cautions
        assert "from 10 images" in cautions

    def test_one_image_has_no_other_half(self):
        spectrum = spectrum_of(made_up(1, 500, "gaussian"), denoising(SHAPE, 0.05))
        assert spectrum.floor == spectrum.in_sample

    def test_what_is_refused(self):
        operator = denoising(SHAPE, 0.05)
        with pytest.raises(UserError, match=r"16 for a covariance of 16 values; at least 17"):
            spectrum_of(made_up(16, 1, "gaussian"), operator)
        with pytest.raises(UserError, match="shape"):
            spectrum_of(made_up(50, 1, "gaussian"), denoising((4, 2, 2), 0.05))
        with pytest.raises(UserError, match="all the same"):
            spectrum_of(Patches(np.full((50, PIXELS), 0.3), np.arange(50), SHAPE), operator)


class TestCurve:
    def test_of_gaussian_patches_is_that_of_the_covariance(self):
        spectrum = spectrum_of(made_up(40_000, 1, "gaussian"), denoising(SHAPE, 0.05))
        curve = linear_curve(spectrum, [10, 100, 1000])
        plain = [best_flow(Equivalent(spectrum.wiener.population, n)).risk for n in (10, 100, 1000)]
        np.testing.assert_allclose(curve.mse, plain, rtol=0.02)
        assert curve.power > curve.mse[0] > curve.mse[1] > curve.mse[2] > curve.floor
        assert curve.psnr == pytest.approx(-10 * np.log10(curve.mse))

    @pytest.mark.parametrize("n", [400, 1600])
    def test_of_patches_with_contrasts(self, n):
        """The excess over the floor within 5 % of 400 draws; as if Gaussian it would be 40 % too low."""
        patches, operator, rng = made_up(40_000, 1, "contrasts"), denoising(SHAPE, 0.05), np.random.default_rng(2)
        spectrum = spectrum_of(patches, operator)
        x = patches.values - spectrum.mean
        moments = moments_of(x.T @ x / len(x), operator)
        best = best_flow(Equivalent(population_by(spectrum, "patches"), n))
        gauss = Equivalent(spectrum.wiener.population, n)
        risks = []
        for _ in range(400):
            chosen = x[rng.integers(0, len(x), n)]
            risks.append(learned_path(chosen, measured(chosen, operator, rng), moments).risk(best.filter))
        excess = np.mean(risks) - spectrum.in_sample
        assert best.risk - spectrum.in_sample == pytest.approx(excess, rel=0.05)
        assert gauss.risk(best.filter) - spectrum.in_sample < 0.6 * excess

    def test_of_images_whose_patches_err_alike(self):
        """30 images of 40 patches: the excess within 15 % of 60 draws; as 1,200 independent ones less than half."""
        patches, operator, rng = made_up(1500, 40, "textures"), superresolution(SHAPE, 0.05), np.random.default_rng(3)
        spectrum = spectrum_of(patches, operator)
        x = (patches.values - spectrum.mean).reshape(1500, 40, PIXELS)
        flat = x.reshape(-1, PIXELS)
        moments = moments_of(flat.T @ flat / len(flat), operator)
        clustered = Equivalent(population_by(spectrum, "images", 40), 30 * 40)
        alone = Equivalent(population_by(spectrum, "patches"), 30 * 40)
        filter_ = Flow(3 / spectrum.wiener.variances[0])  # long: what is left over the floor is noise
        risks = []
        for _ in range(60):
            chosen = x[rng.choice(1500, 30, replace=False)].reshape(-1, PIXELS)
            risks.append(learned_path(chosen, measured(chosen, operator, rng), moments).risk(filter_))
        excess = np.mean(risks) - spectrum.in_sample
        assert clustered.risk(filter_) - spectrum.in_sample == pytest.approx(excess, rel=0.15)
        assert alone.risk(filter_) - spectrum.in_sample < 0.5 * excess

    def test_one_patch_an_image_is_a_curve_in_patches(self):
        spectrum = spectrum_of(made_up(2000, 1, "contrasts"), denoising(SHAPE, 0.05))
        images = linear_curve(spectrum, [50], counts="images", per_image=1)
        assert images.mse == linear_curve(spectrum, [50]).mse

    def test_says_how_far_it_is(self):
        told = []
        linear_curve(spectrum_of(made_up(500, 1, "gaussian"), denoising(SHAPE, 0.05)), [10, 20],
                     progress=lambda done, of: told.append((done, of)))  # fmt: skip
        assert told == [(1, 2), (2, 2)]

    def test_without_noise_and_without_loss_nothing_is_wrong_in_the_end(self):
        spectrum = spectrum_of(made_up(2000, 1, "gaussian"), denoising(SHAPE, 0.0))
        curve = linear_curve(spectrum, [4, 100])
        assert curve.floor == 0
        assert curve.mse[0] > 1e-4
        assert curve.mse[1] < 1e-9
        assert all(psnr > 0 for psnr in curve.psnr)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"n": [0]}, "n: found 0"),
            ({"n": [float("nan")]}, "n: found nan"),
            ({"n": [10], "counts": "volumes"}, "volumes"),
            ({"n": [10], "counts": "images", "per_image": 0}, "per_image"),
        ],
    )
    def test_what_is_refused(self, options, said):
        spectrum = spectrum_of(made_up(500, 1, "gaussian"), denoising(SHAPE, 0.05))
        with pytest.raises(UserError, match=said):
            linear_curve(spectrum, **options)


class TestWithin:
    @pytest.mark.parametrize(("counts", "each"), [("patches", 1), ("images", 20)])
    def test_inverts_the_curve(self, counts, each):
        spectrum = spectrum_of(made_up(300, 20, "textures"), denoising(SHAPE, 0.05))
        for decibels in (1.0, 0.1):
            n = n_within_db(spectrum, decibels, counts=counts, per_image=each)
            curve = linear_curve(spectrum, [n], counts=counts, per_image=each)
            assert 10 * math.log10(curve.mse[0] / curve.floor) == pytest.approx(decibels, rel=5e-3)

    def test_ends(self):
        spectrum = spectrum_of(made_up(500, 1, "gaussian"), denoising(SHAPE, 0.05))
        assert n_within_db(spectrum, 60) == 1
        assert n_within_db(spectrum, 1e-3, most=100) is None
        assert n_within_db(spectrum_of(made_up(500, 1, "gaussian"), denoising(SHAPE, 0.0)), 1) is None

    @pytest.mark.parametrize("decibels", [0, -1, float("nan"), float("inf")])
    def test_decibels_that_are_none(self, decibels):
        spectrum = spectrum_of(made_up(500, 1, "gaussian"), denoising(SHAPE, 0.05))
        with pytest.raises(UserError, match="decibels"):
            n_within_db(spectrum, decibels)


class TestLearnedCurve:
    def test_of_patches_is_the_computed_one(self):
        patches = made_up(4000, 1, "gaussian")
        spectrum = spectrum_of(patches, denoising(SHAPE, 0.05))
        learned = learned_curve(patches, spectrum, [50, 200], repeats=40)
        computed = linear_curve(spectrum, [50, 200])
        for ours, mean, error in zip(computed.mse, learned.mse, learned.error, strict=True):
            assert abs(ours - mean) < 4 * error + 0.02 * mean
            assert 0 < error < 0.02 * mean

    def test_of_images_takes_all_of_their_patches(self):
        """One image of all: its patches, whatever the draw, so that noise alone makes a difference."""
        patches = made_up(1, 300, "gaussian")
        spectrum = spectrum_of(patches, denoising(SHAPE, 0.0))
        images = learned_curve(patches, spectrum, [1], counts="images", repeats=3)
        assert images.mse[0] < 1e-12
        assert learned_curve(patches, spectrum, [3], repeats=3).mse[0] > 1e-4
        many = made_up(400, 30, "scenes")
        spectrum = spectrum_of(many, denoising(SHAPE, 0.05))
        images = learned_curve(many, spectrum, [10], counts="images")
        assert images.mse[0] > 1.5 * learned_curve(many, spectrum, [300]).mse[0] - 0.5 * spectrum.in_sample

    def test_is_the_same_twice(self):
        patches = made_up(100, 2, "gaussian")
        spectrum, told = spectrum_of(patches, denoising(SHAPE, 0.05)), []
        one = learned_curve(patches, spectrum, [5, 9], seed=3, progress=lambda done, of: told.append((done, of)))
        assert one == learned_curve(patches, spectrum, [5, 9], seed=3)
        assert one != learned_curve(patches, spectrum, [5, 9], seed=4)
        assert told == [(1, 2), (2, 2)]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"n": [0]}, "n: found 0"),
            ({"n": [2.5]}, "n: found 2.5"),
            ({"n": [5], "repeats": 1}, "repeats"),
            ({"n": [5], "counts": "volumes"}, "volumes"),
            ({"n": [5], "seed": -1}, "seed"),
        ],
    )
    def test_what_is_refused(self, options, said):
        patches = made_up(100, 1, "gaussian")
        with pytest.raises(UserError, match=said):
            learned_curve(patches, spectrum_of(patches, denoising(SHAPE, 0.05)), **options)

    def test_other_shapes_are_refused(self):
        spectrum = spectrum_of(made_up(100, 1, "gaussian"), denoising(SHAPE, 0.05))
        with pytest.raises(UserError, match="shape"):
            learned_curve(Patches(np.zeros((9, 4)), np.arange(9), (2, 2, 1)), spectrum, [3])


@pytest.fixture(scope="module")
def photographs(shared):
    """150 patches of 8 x 8 of each of 80 photographs."""
    image = pytest.importorskip("PIL.Image")
    rng, values = np.random.default_rng(0), []
    files = sorted((shared / "data/natural_train/BSDS500_train").glob("*.jpg"))[:80]
    if not files:
        pytest.skip("the photographs are not here")
    for path in files:
        with image.open(path) as opened:
            pixels = np.asarray(opened.convert("L"), np.float64) / 255
        tops, lefts = (rng.integers(0, length - 7, 150) for length in pixels.shape)
        values += [pixels[i : i + 8, j : j + 8].ravel() for i, j in zip(tops, lefts, strict=True)]
    return Patches(np.array(values), np.repeat(np.arange(len(files)), 150), (8, 8, 1))


@pytest.mark.parametrize("n", [1000, 3000])
@pytest.mark.parametrize("operator", [denoising((8, 8, 1), 25 / 255), superresolution((8, 8, 1), 5 / 255)])
def test_photographs_are_learned_as_computed(photographs, operator, n):
    """Within 2 % of the mean of 6 estimators really learned (the target is 5 %)."""
    spectrum = spectrum_of(photographs, operator)
    learned = learned_curve(photographs, spectrum, [n], repeats=6)
    assert linear_curve(spectrum, [n]).mse[0] == pytest.approx(learned.mse[0], rel=0.02)
