"""What more steps give: forecasts that are right for simulated trainings, and what is measured."""

import numpy as np
import pytest

from reconscale.laws import Points
from reconscale.laws.steps.endings import EndingPrior, infer_endings
from reconscale.laws.steps.law import infer_steps, mark_ended
from reconscale.laws.steps.rates import PRIOR, infer_rates
from reconscale.laws.steps.trainings import read_trainings

TRUE = 0.6
"""Fall of ln(error) in the first doubling of the synthetic trainings, and the part of it that the next one falls."""


def test_the_forecast_goes_on_as_the_doublings_did(train):
    """Gains shrink by the factor that they had; 10 studies, of the largest n, which has not ended."""
    falls = [infer_steps(train(ends=1e6, rng=rng)).fall(300, None)[0] for rng in range(10)]
    true = TRUE * TRUE**6
    assert np.mean([np.median(fall) for fall in falls]) == pytest.approx(true, rel=0.35)
    inside = [np.quantile(fall, 0.05) <= true <= np.quantile(fall, 0.95) for fall in falls]
    assert sum(inside) >= 8


def test_runs_that_ended_gain_nothing_and_those_near_their_end_little(train):
    law = infer_steps(train())  # n = 10 and 30 end after 400 and 1,200 steps
    assert law.known.ended[law.known.at(10, None)].all() and not law.known.ended[law.known.at(300, None)].any()
    assert np.median(law.fall(10, None)[0]) == 0.0
    rested = np.median(infer_steps(train(ends=1e6)).fall(100, None)[0])
    assert np.median(law.fall(100, None)[0]) < rested  # 4,000 steps in all, of which 3,200 were measured


def test_where_runs_end_is_learnt_from_those_that_did(train):
    """After 40 steps for each image: at n = 300 after 12,000."""
    known = mark_ended(read_trainings(train(n=(10, 30, 100, 300), seeds=4, levels=8)))
    ends = infer_endings(known, 4000, np.random.default_rng(0))
    expected = np.exp(np.median(ends.expected(300.0, 1.0)))
    assert 6_000 < expected < 24_000
    assert float(ends.hazard(300.0, 1.0, np.log2(100), np.log2(200)).mean()) < 0.02
    assert float(ends.hazard(300.0, 1.0, np.log2(12_800), np.log2(25_600)).mean()) > 0.5


def test_without_an_end_the_prior_says_where_it_is(train):
    prior = EndingPrior()
    known = read_trainings(train(ends=1e6))
    ends = infer_endings(known, 4000, np.random.default_rng(0), prior)
    assert np.median(ends.expected(300.0, 1.0)) > np.log(2.0) * known.last.max()
    assert (ends.hazard(300.0, 1.0, -np.inf, 3.0) >= 0).all()


def test_the_posterior_of_rates_is_that_of_ordinary_formulae(train):
    """Against the conditional of the joint normal distribution, written out."""
    known = read_trainings(train(n=(10, 100), seeds=1, levels=4, ends=1e6))
    rates = infer_rates(known)
    run = known.run
    middle = 0.5 * (known.start + known.end)
    here = np.stack([known.n[run], known.p[run], middle, run.astype(float)])
    asked = np.array([[100.0], [1.0], [known.last.max() + 0.5], [1.0]])
    every = np.concatenate([here, asked], axis=1)
    x, t = np.log(every[0] / 100.0), every[2] - known.last.max()
    cover = PRIOR.level_sd**2 + PRIOR.n_sd**2 * np.outer(x, x) + PRIOR.ratio_sd**2 * np.outer(t, t)
    walk = np.minimum.outer(np.abs(t), np.abs(t)) * (np.outer(t, t) > 0)
    cover = cover + PRIOR.wander**2 * walk + PRIOR.run_sd**2 * np.equal.outer(every[3], every[3])
    noise = PRIOR.noise**2 + (PRIOR.measured / known.gain) ** 2
    line = PRIOR.level + np.log(PRIOR.ratio) * t
    known_cover = cover[:-1, :-1] + np.diag(noise)
    mean = line[-1] + cover[-1, :-1] @ np.linalg.solve(known_cover, np.log(known.gain) - line[:-1])
    variance = cover[-1, -1] - cover[-1, :-1] @ np.linalg.solve(known_cover, cover[:-1, -1])
    assert rates.mean(asked)[0] == pytest.approx(mean)
    drawn = rates.draw(asked, 20_000, np.random.default_rng(0), noise=False)
    assert drawn.std() == pytest.approx(np.sqrt(variance), rel=0.03)


def test_what_was_measured_is_not_forecast():
    """The curve stands at 1,000 steps, and 4,000 gained 2 dB: of it twice the steps gain more than half."""
    rows = {"n": [10, 10, 100, 100], "steps": [1000, 4000, 1000, 4000]}
    points = Points(rows["n"], [25.0, 25.0, 26.0, 28.0], [0] * 4, metric="psnr", steps=rows["steps"])
    law = infer_steps(points, points.rows(points.steps == 1000))
    fall, source = law.fall(100, None)
    assert source == "measured"
    assert np.median(fall) * 10 / np.log(10) == pytest.approx(2.0 / (1.0 + PRIOR.ratio), rel=0.02)
    assert (law.fall(100, None)[0] == fall).all()


def test_a_size_without_trainings_is_told_by_the_others(train):
    law = infer_steps(train(n=(10, 30, 300), ends=1e6))
    assert law.fall(100, None) is None
    fall, source = law.fall(100, None, 6400)
    assert source == "forecast" and np.median(fall) == pytest.approx(np.median(law.fall(300, None)[0]), rel=0.5)
