"""Exchange rates, gains and the best mix, on truths that are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconscale.errors import UserError
from reconscale.laws import Mixture, infer_mixture
from reconscale.laws.mixture.budget import allocations
from reconscale.laws.mixture.cells import group_cells
from reconscale.laws.mixture.forms import FORMS, Reference, dimensions, laws_from_normals

GRID = [(t, o) for t in (10, 30, 100, 300) for o in (0, 100, 550, 3000)]


def additive(rate: float = 8.0, *, mixes=GRID, seeds: int = 2, noise: float = 0.005, start: int = 0) -> Mixture:
    """Runs in dB whose effective data is n_target + n_others / rate."""
    rng = np.random.default_rng(start)
    n = np.repeat(np.array(mixes, float), seeds, axis=0)
    error = (
        1e-3 * (0.4 + 0.6 * ((n[:, 0] + n[:, 1] / rate) / 100) ** -0.5) * np.exp(noise * rng.standard_normal(len(n)))
    )
    seed = np.tile(np.arange(seeds), len(mixes))
    return Mixture({"target": n[:, 0], "others": n[:, 1]}, -10 * np.log10(error), seed, metric="psnr")


def harmful(seeds: int = 2) -> Mixture:
    """A source with a floor of its own, far above what the target reaches."""
    n = np.repeat(np.array(GRID, float), seeds, axis=0)
    share = n[:, 1] / n.sum(1)
    error = 1e-3 * (0.2 + 0.8 * ((n[:, 0] + n[:, 1] / 50) / 100) ** -0.5 + 2.0 * share)
    error = error * np.exp(0.005 * np.random.default_rng(1).standard_normal(len(n)))
    return Mixture({"target": n[:, 0], "others": n[:, 1]}, error, np.tile(np.arange(seeds), len(GRID)))


@pytest.fixture(scope="module")
def curve():
    return infer_mixture(additive())


def codes(curve):
    return {item.code for item in curve.findings}


def test_the_exchange_rate_of_an_additive_truth_is_found(curve):
    (rate,) = curve.exchange_rates()
    assert rate.rate.low < 8 < rate.rate.high and 0.8 < rate.rate.median / 8 < 1.25
    assert rate.identified and rate.harm < 0.01
    assert curve.base == {"target": 300.0, "others": 3000.0}
    assert str(rate).startswith("One image of target is worth ") and "of others" in str(rate)
    assert max(curve.posterior.forms, key=curve.posterior.forms.get) == "additive"


def test_gains_are_those_of_the_truth(curve):
    def error(t, o):
        return 0.4 + 0.6 * ((t + o / 8) / 100) ** -0.5

    for told, mix in zip(curve.gains(), ((600, 3000), (300, 6000)), strict=True):
        true = 10 * np.log10(error(300, 3000) / error(*mix))
        assert told.gain.low < true < told.gain.high and abs(told.gain.median - true) < 0.1
    assert "worthwhile" in str(curve.gains()[0])
    nothing = curve.gains(have={"target": 100})[1]
    assert nothing.gain is None and "no images of others" in str(nothing)


def test_the_better_source_for_its_cost(curve):
    assert curve.best_mix({"target": 5}, 500).source == "target"
    assert curve.best_mix({"target": 12}, 500).source == "others"
    best = curve.best_mix({"target": 20}, 1000)
    assert best.more["others"] > 900 and best.more["target"] < 5
    assert sum(best.more[name] * best.costs[name] for name in best.more) == pytest.approx(1000)
    assert set(best.alone) == {"target", "others"} and best.gain.low < best.gain.median < best.gain.high
    assert "best for the money" in str(best)


def test_an_interval_of_one_value_is_said_as_a_chance(curve):
    """All draws agree on the best mix, so both ends of its interval are the mix itself."""
    best = curve.best_mix({"target": 20}, 1000)
    agreed = dataclasses.replace(
        best,
        more={"target": 0.0, "others": 70.0},
        low={"target": 0.0, "others": 69.8},
        high={"target": 0.0, "others": 70.2},
    )
    said = str(agreed)
    assert (
        "is 70 of others and none" not in said
        and "none of target and 70 of others, with a chance of 90 % or more" in said
    )
    assert "70 to 70" not in said and "0 to 0" not in said
    open_ones = dataclasses.replace(agreed, low={"target": 0.0, "others": 40.0})
    assert "70 of others (90 % interval 40 to 70)" in str(open_ones) and "with a chance" not in str(open_ones)


def test_the_same_question_has_the_same_answer(curve):
    again = infer_mixture(additive())
    assert again.exchange_rates() == curve.exchange_rates() and again.gains() == curve.gains()
    assert curve.gains() == curve.gains()


def test_the_target_may_be_any_source():
    points = additive()
    other = Mixture(points.n, points.y, points.seed, metric="psnr", target="others")
    assert other.sources == ("others", "target")
    (rate,) = infer_mixture(other).exchange_rates()
    assert rate.rate.low < 1 / 8 < rate.rate.high


def test_a_source_that_harms_is_found():
    curve = infer_mixture(harmful())
    assert "no-seeds" not in codes(curve)
    assert "no-seeds" in codes(infer_mixture(additive(seeds=1)))
    (rate,) = curve.exchange_rates({"target": 300, "others": 550})
    assert rate.harm > 0.9 and np.isinf(rate.rate.median) and "worse" in str(rate)
    assert "source-harms" in codes(curve)
    assert curve.best_mix(budget=1000).more["others"] < 100


def test_shares_that_do_not_vary_identify_nothing():
    ray = [(n, 3 * n) for n in (10, 20, 40, 80, 160, 320)]
    curve = infer_mixture(additive(mixes=ray))
    assert "sources-together" in codes(curve)
    (rate,) = curve.exchange_rates()
    assert not rate.identified and "is worth is not known where" in str(rate)
    assert rate.rate.high / rate.rate.low > 10


def test_one_size_of_a_source_is_said():
    curve = infer_mixture(additive(mixes=[(n, 500) for n in (10, 20, 40, 80, 160, 320)]))
    assert "source-of-one-size" in codes(curve) and not curve.exchange_rates()[0].identified


def test_sources_that_are_never_together_are_said():
    mixes = [*((n, 0) for n in (10, 30, 100, 300)), *((0, n) for n in (100, 300, 1000, 3000))]
    assert "sources-apart" in codes(infer_mixture(additive(mixes=mixes)))
    assert "sources-apart" not in codes(infer_mixture(additive(mixes=[*mixes, (30, 30)])))


def test_too_few_mixes():
    with pytest.raises(UserError, match="found 2 different mixes.*at least 3"):
        infer_mixture(additive(mixes=[(10, 0), (10, 10)]))
    assert "few-mixes" in codes(infer_mixture(additive(mixes=GRID[:4])))


def test_three_sources_and_sizes_of_network():
    rng = np.random.default_rng(3)
    n = rng.choice([0, 30, 100, 300, 1000], size=(40, 3)).astype(float)
    n[:, 0] += 10
    p = rng.choice([1e5, 1e6], size=40)
    error = 0.3 + 0.5 * ((n @ [1.0, 0.5, 0.02]) / 100) ** -0.4 + 0.2 * (p / 3e5) ** -0.5
    error *= np.exp(0.005 * rng.standard_normal(40))
    curve = infer_mixture(Mixture({"a": n[:, 0], "b": n[:, 1], "c": n[:, 2]}, error, p=p))
    rates = {rate.source: rate.rate for rate in curve.exchange_rates({"a": 100, "b": 100, "c": 100})}
    assert rates["b"].low < 2 < rates["b"].high and rates["c"].median > 8
    best = curve.best_mix(budget=300)
    assert set(best.more) == {"a", "b", "c"}


def test_a_seed_that_is_lucky_in_all_cells_is_no_noise():
    points = additive(seeds=2, noise=0.002)
    shifted = dataclasses.replace(points, y=points.y + 0.3 * points.seed)
    cells, plain = group_cells(shifted), group_cells(points)
    assert np.allclose(cells.squares, plain.squares) and cells.common > 100 * plain.common
    some = np.arange(1, len(points))  # one cell lacks a seed
    rows = Mixture({k: v[some] for k, v in points.n.items()}, points.y[some], points.seed[some], metric="psnr")
    assert group_cells(rows).common == 0


def test_far_beyond_the_data_is_said(curve):
    assert curve.cautions([[300, 3000]]) == ()
    (far,) = curve.cautions([[300, 30000]])
    assert far.code == "far-in-source" and "10 times" in far.text
    low, high = curve.interval([[300, 3000], [3000, 30000]])
    assert (low < high).all() and (high - low)[1] > 2 * (high - low)[0]
    assert low[0] < curve.median([[300, 3000]])[0] < high[0]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda c: c.best_mix({"other": 1}), "there is no source 'other'; did you mean 'others'"),
        (lambda c: c.best_mix({"others": 0}), "cost, others: found 0; a number above 0"),
        (lambda c: c.best_mix(budget=0), "budget: found 0"),
        (lambda c: c.best_mix({"target": 9, "others": 9}, 3), "one image of target alone costs 9"),
        (lambda c: c.gains(have={"target": -1}), "have, target: found -1"),
        (lambda c: c.gains(have={}), "have: found no images"),
        (lambda c: c.gains(50), "gains of this metric are in dB"),
    ],
)
def test_questions_that_cannot_be_meant(curve, ask, words):
    with pytest.raises(UserError, match=words):
        ask(curve)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [None, 1e5])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), sources=st.integers(2, 4))
def test_laws_are_finite_and_the_target_never_harms(form, p, seed, sources):
    rng = np.random.default_rng(seed)
    v = 3 * rng.standard_normal((20, dimensions(form, sources, sized=p is not None)))
    laws = laws_from_normals(form, v, Reference(np.full(sources, 100.0), p))
    mixes = np.vstack([rng.choice([0, 1, 10, 1e4, 1e9], size=(5, sources)), np.eye(sources)])
    sizes = None if p is None else np.full(len(mixes), 3e5)
    value = laws.log(mixes, sizes)
    assert value.shape == (20, len(mixes)) and np.isfinite(value).all()
    more = mixes.copy()
    more[:, 0] = 2 * more[:, 0] + 1
    if form != "shares":  # there the share of others that help falls
        assert (laws.log(more, sizes) <= value + 1e-9).all()


def test_allocations_sum_to_one():
    for sources in (2, 3, 4, 5):
        shares = allocations(sources)
        assert np.allclose(shares.sum(1), 1) and len(np.unique(shares, axis=0)) == len(shares)
        assert all((shares[:, k] == 1).sum() == 1 for k in range(sources))
