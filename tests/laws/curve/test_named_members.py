"""A named law that was asked for is one more member of the ensemble."""

from __future__ import annotations

import numpy as np
import pytest

import reconscale as rs
from reconscale.laws import LAWS, Points, backtest, evaluate
from reconscale.laws.curve.ensemble import can_weigh, held_back
from reconscale.laws.named.registry import keys_of

N = np.repeat(np.geomspace(100, 1e5, 10), 2)
SEED = np.tile([0, 1], 10)
BROKEN = (0.02, 2.0, 0.1, 0.5, 3000.0, 0.2)


def drawn(law: str, theta: tuple[float, ...], noise: float = 0.003, n: np.ndarray = N) -> Points:
    wobble = np.exp(noise * np.random.default_rng(0).standard_normal(len(n)))
    return Points(n, evaluate(LAWS[law], n, theta) * wobble, SEED[: len(n)])


def test_the_default_is_the_forecast_without_laws_to_the_bit() -> None:
    points = drawn("bnsl-1", BROKEN)
    curve, plain = rs.infer(points, laws=[]), rs.infer(points)
    named = rs.infer(points, laws=["power"])
    x = np.log([30.0, 1e4, 3e5])
    assert list(plain.forecast([3e5]).weights) == ["curve", "last value", "line"]
    assert curve.forecast([3e5]).draws.tobytes() == plain.forecast([3e5]).draws.tobytes()
    assert curve.draw(x).tobytes() == plain.draw(x).tobytes()
    # a law changes nothing but the average: the same posterior, and the same curves within the data
    assert named.ensemble.curve.shapes.share.tobytes() == plain.ensemble.curve.shapes.share.tobytes()
    np.testing.assert_array_equal(named.draw(x)[:, 1], plain.draw(x)[:, 1])
    assert (named.draw(x)[:, 2] != plain.draw(x)[:, 2]).any()


@pytest.mark.parametrize(
    ("law", "theta"), [("bnsl-1", BROKEN), ("shifted", (2.0, 1e-4, 0.4)), ("M4", (0.05, 1.0, 2.0, 5.0, 0.5))]
)
def test_a_true_law_has_much_weight_and_forecasts_well(law: str, theta: tuple[float, ...]) -> None:
    points, far = drawn(law, theta), np.array([3e5])
    made = rs.forecast(points, far, laws=[law])
    true = evaluate(LAWS[law], far, theta)
    assert made.weights[law] > 0.3 and sum(made.weights.values()) == pytest.approx(1)
    low, high = made.interval(0.9)
    assert low[0] < true[0] < high[0]


def test_a_law_that_missed_the_largest_sizes_loses_weight() -> None:
    points = drawn("power+floor", (0.3, 30.0, 0.8), noise=0.001)
    made = rs.forecast(points, [3e5], laws=["power", "power+floor"])
    assert made.weights["power"] < made.weights["power+floor"] / 3


def test_the_members_share_the_forecast_by_their_weights() -> None:
    points, x = drawn("power", (2.0, 0.3), noise=0.02), np.log([1e6])
    curve = rs.infer(points, laws=["power"])
    ensemble = curve.ensemble
    member, weight = ensemble.laws["power"], ensemble.weights.at(float(x[0] - np.log(1e5)))["power"]
    rest = rs.infer(points).ensemble
    pure = np.median(member.drawn(x, 4000))
    plain = np.median(rest.curves(x, 4000, np.random.default_rng(1), calibrated=False)[0])
    mixed = np.median(ensemble.curves(x, 4000, np.random.default_rng(1), calibrated=False)[0])
    trust = 1 - np.exp(-(x[0] - np.log(1e5)) / 0.25)
    assert mixed == pytest.approx(plain + weight * trust * (pure - plain), abs=0.02)
    assert member.variance(x)[0] == pytest.approx(member.drawn(x, 1000).var(), rel=0.3)


def test_every_question_is_asked_of_the_same_curve() -> None:
    points = drawn("bnsl-1", BROKEN)
    curve = rs.infer(points, laws="bnsl-1")  # one name may stand alone
    assert curve.required_n(0.05) != rs.infer(points).required_n(0.05)
    assert curve.decide(worthwhile=2.0).verdict
    rows = curve.backtest()
    assert rows == backtest(points, laws=["bnsl-1"]) != backtest(points)


def test_aliases_and_repeats_are_one_member() -> None:
    assert keys_of(["M2", "power+floor", "shifted"]) == ("power+floor", "shifted") and keys_of("M1") == ("power",)


def test_unknown_laws_are_refused_with_a_suggestion() -> None:
    points = drawn("power", (2.0, 0.3))
    for name in ("bnsl1", "BNSL-1"):
        with pytest.raises(rs.UserError, match=r"law: found '.*bnsl-1"):
            rs.infer(points, laws=[name])
    with pytest.raises(rs.UserError, match="law"):
        backtest(points, laws=["unheard of"])


def test_too_few_sizes_to_weigh_a_law_are_refused_with_their_number() -> None:
    few = drawn("power", (2.0, 0.3), n=N[:12])
    with pytest.raises(rs.UserError, match=r"law 'bnsl-1': found 6 distinct n.* needs at least 7"):
        rs.forecast(few, [1e4], laws=["bnsl-1"])
    assert can_weigh("bnsl-1", 7) and not can_weigh("bnsl-1", 6) and held_back(3) == 0
    seven = drawn("power", (2.0, 0.3), n=N[:14])
    assert rs.infer(seven, laws=["bnsl-1"]).backtest() == []  # fewer sizes cannot weigh it
    with pytest.raises(rs.UserError, match=r"'power': found 2 distinct n; in a forecast it needs at least 3$"):
        rs.infer(drawn("power", (2.0, 0.3), n=N[:4]), laws=["power"])  # nothing would be held back
    three = drawn("power", (2.0, 0.3), n=N[:6])
    assert rs.forecast(three, [1e3], laws=["power"]).weights["power"] == pytest.approx(0.64 / 1.64)
