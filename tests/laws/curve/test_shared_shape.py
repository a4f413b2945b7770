"""What related curves share: the copula, its sampler, and the quantities."""

import numpy as np
import pytest
from scipy.stats import kstest, multivariate_normal

from reconscale.laws import smc
from reconscale.laws.curve.model import DIMENSIONS, curves_from_normals
from reconscale.laws.curve.posterior import MOST_LEVELS, belief_about, infer_posterior
from reconscale.laws.curve.shared_shape import (
    PLACES,
    QUANTITIES,
    SHARING,
    SharingPrior,
    _sample,
    log_copula,
    normal_scores,
    share_shape,
)
from reconscale.laws.grouping import group_by_size


def posterior(points):
    return infer_posterior(group_by_size(points, MOST_LEVELS), rng=np.random.default_rng(0))


@pytest.mark.parametrize("many", [2, 4])
def test_the_copula_is_that_of_normals_with_a_common_correlation(many):
    scores = np.random.default_rng(0).standard_normal((5, many, 3))
    degrees = np.array([0.0, 0.3, 0.8])
    told = log_copula(scores, degrees)
    for k, degree in enumerate(degrees):
        matrix = np.full((many, many), degree) + (1.0 - degree) * np.eye(many)
        for q in range(3):
            each = scores[:, :, q]
            right = multivariate_normal(cov=matrix).logpdf(each) - multivariate_normal(cov=np.eye(many)).logpdf(each)
            np.testing.assert_allclose(told[:, q, k], right, atol=1e-10)
    np.testing.assert_allclose(told[..., 0], 0.0, atol=1e-12)


def test_the_sampler_finds_the_posterior():
    """One score is known to be 1; another, of which nothing is known, follows it as far as the prior says."""
    rng = np.random.default_rng(0)
    known, open_ = 1.0 + 0.01 * rng.standard_normal((4000, 1)), rng.standard_normal((4000, 1))
    rows, degrees = _sample([known, open_], rng, SharingPrior((0.0, 0.8), (0.4, 0.6)))
    assert (degrees == 1).mean() == pytest.approx(0.6, abs=0.04)  # an open score says nothing about sharing
    drawn, shared = open_[rows[:, 1], 0], degrees[:, 0] == 1
    assert drawn[shared].mean() == pytest.approx(0.8, abs=0.06)
    assert drawn[shared].std() == pytest.approx(0.6, abs=0.05)
    assert drawn[~shared].mean() == pytest.approx(0.0, abs=0.08)


def test_before_any_data_the_scores_are_independent_normals(make):
    made = posterior(make(0.1, 1, 0.5))
    first = float(made.level.x[0] - made.level.x[-1])
    draws = smc.normal_sequence(2000, DIMENSIONS)
    blank = curves_from_normals(draws, first, belief_about(len(made.level.x), made.level.metric).curve)
    scores = normal_scores(type(made)(**{**vars(made), "shapes": blank}), made.level.x[-1] + PLACES)
    assert scores.shape == (2000, len(QUANTITIES))
    assert np.abs(np.corrcoef(scores.T) - np.eye(3)).max() < 0.05
    assert kstest(scores[:, 0], "norm").statistic < 0.03


def test_alike_curves_share_more_than_unlike_ones(make):
    one = posterior(make(0.0, 1.0, 0.3, noise=0.005))
    alike = share_shape([one, posterior(make(0.0, 7.0, 0.3, noise=0.005, rng=1))], np.random.default_rng(0))
    unlike = share_shape([one, posterior(make(0.5, 1.0, 1.0, noise=0.005, rng=1))], np.random.default_rng(0))
    assert alike.odds["slope"] > 1.2 > 0.8 > unlike.odds["slope"]
    assert alike.degree["slope"] > unlike.degree["slope"] + 0.1
    assert all(0.0 <= degree <= SHARING.degrees[-1] for degree in (*alike.degree.values(), *unlike.degree.values()))


def test_without_sharing_every_curve_stays_as_it_was(make):
    alone = [posterior(make(0.1, 1.0, 0.5)), posterior(make(0.0, 2.0, 0.3, rng=1))]
    made = share_shape(alone, np.random.default_rng(0), SharingPrior((0.0, 0.8), (1.0 - 1e-12, 1e-12)))
    for one, other in zip(alone, made.posteriors, strict=True):
        for q in (0.1, 0.5, 0.9):
            near = np.quantile(other.shapes.exponents[:, 2], q)
            assert near == pytest.approx(np.quantile(one.shapes.exponents[:, 2], q), rel=0.08)
