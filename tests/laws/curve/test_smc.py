import numpy as np
import pytest

from reconscale.laws import smc
from reconscale.laws.smc import smc_sample


def normal(mean, sd):
    """Log likelihoods of one measurement 0, then of two more, of a line through v."""

    def stages(v):
        first = -0.5 * ((v[:, 0] - mean) / sd) ** 2
        return np.stack([first, first - 0.5 * ((v[:, 1] + mean) / sd) ** 2], axis=1)

    return stages


def test_a_normal_posterior_and_its_evidence_are_exact():
    mean, sd = 1.5, 0.05
    clouds = smc_sample(normal(mean, sd), smc.normal_sequence(4000, 3), np.random.default_rng(0))
    shrunk, spread = mean / (1 + sd**2), sd / np.sqrt(1 + sd**2)
    evidence = np.log(spread) - 0.5 * mean**2 / (1 + sd**2)
    for index, cloud in enumerate(clouds):
        assert cloud.v[:, 0].mean() == pytest.approx(shrunk, abs=0.01)
        assert cloud.v[:, 0].std() == pytest.approx(spread, rel=0.1)
        assert cloud.log_evidence == pytest.approx((index + 1) * evidence, abs=0.25)
    assert clouds[0].v[:, 1].std() == pytest.approx(1, rel=0.1)
    assert clouds[1].v[:, 1].mean() == pytest.approx(-shrunk, abs=0.01)


def test_two_modes_are_both_found():
    def stages(v):
        one, other = -0.5 * ((v[:, :1] - 2) / 0.1) ** 2, -0.5 * ((v[:, :1] + 2) / 0.1) ** 2
        return np.logaddexp(one, other)

    (cloud,) = smc_sample(stages, smc.normal_sequence(2000, 2), np.random.default_rng(0))
    assert np.mean(cloud.v[:, 0] > 0) == pytest.approx(0.5, abs=0.12)


def test_what_is_impossible_is_left():
    (cloud,) = smc_sample(
        lambda v: np.where(v[:, :1] > 1, 0.0, -np.inf), smc.normal_sequence(1000, 2), np.random.default_rng(0)
    )
    assert (cloud.v[:, 0] > 1).all()
    assert cloud.log_evidence == pytest.approx(np.log(0.1587), abs=0.05)


def test_even_draws_are_even_and_normal():
    draws = smc.normal_sequence(4096, 8)
    assert np.abs(draws.mean(0)).max() < 0.02
    np.testing.assert_allclose(draws.std(0), 1, atol=0.02)
    assert np.abs(np.corrcoef(draws.T) - np.eye(8)).max() < 0.05
