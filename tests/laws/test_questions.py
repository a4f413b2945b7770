"""One value per question: the curve is inferred once, and answers the same whoever asks and how often."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

import reconscale as rs
from reconscale.laws import Costs, Curve, Points, infer, infer_surface, smc
from reconscale.laws import questions as one_question
from reconscale.laws.curve import ensemble

COSTS = Costs(lambda n, p: n / 100, per_hour=2.0, per_image=0.1)


@pytest.fixture(scope="module")
def points() -> Points:
    n = np.repeat([10.0, 30.0, 100.0, 300.0, 600.0], 2)
    return Points(n, 29.5 - 6.0 * n**-0.4 + np.tile([0.0, 0.02], 5), np.tile([0, 1], 5), metric="psnr")


@pytest.fixture(scope="module")
def plane() -> Points:
    n, p, seed = (a.ravel() for a in np.meshgrid([10.0, 30.0, 100.0, 300.0], [1e3, 1e4, 1e5], [0, 1]))
    noise = 0.02 * np.random.default_rng(3).standard_normal(len(n))
    return Points(n, 33 - 9 * n**-0.3 - 20 * p**-0.25 + noise, seed.astype(int), p, metric="psnr")


QUESTIONS = {
    "decide": (lambda it, *a: it.decide(*a, worthwhile=0.05, costs=COSTS)),
    "required_n": (lambda it, *a: it.required_n(*a, 29.6)),
    "price": (lambda it, *a: it.price(*a, COSTS)),
    "exchanges": (lambda it, *a: it.exchanges(*a)),
    "next_experiments": (lambda it, *a: it.next_experiments(*a, COSTS, worthwhile=0.05)),
    "backtest": (lambda it, *a: it.backtest(*a)),
    "forecast": (lambda it, *a: it.forecast(*a, [900.0]).draws.tolist()),
}


def same(one: object, other: object) -> bool:
    """To the bit; NaN is NaN."""
    return repr(asdict(one) if hasattr(one, "__dataclass_fields__") else one) == repr(  # type: ignore[call-overload]
        asdict(other) if hasattr(other, "__dataclass_fields__") else other  # type: ignore[call-overload]
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_curve_answers_as_often_as_it_is_asked_and_as_points_alone_are_answered(points: Points, name: str) -> None:
    ask, curve = QUESTIONS[name], infer(points)
    first = ask(curve)
    for other in QUESTIONS.values():
        other(curve)
    assert same(ask(curve), first) and same(ask(one_question, points), first)


def test_two_curves(points: Points) -> None:
    other = Points(points.n, 31.0 - 12.0 * points.n**-0.4, points.seed, metric="psnr")
    curves = infer(points), infer(other)
    assert same(curves[0].crossing(curves[1]), rs.crossing(points, other))
    assert same(curves[0].compare(curves[1]), one_question.comparison(points, other))


def test_all_questions_infer_once(plane: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"curve": 0, "all": 0}
    infer_posterior, sample = ensemble.infer_posterior, smc.smc_sample

    def counted(*args, **named):
        calls["curve"] += 1
        return infer_posterior(*args, **named)

    def counted_sample(*args, **named):
        calls["all"] += 1
        return sample(*args, **named)

    monkeypatch.setattr(ensemble, "infer_posterior", counted)
    monkeypatch.setattr(smc, "smc_sample", counted_sample)
    curve = rs.infer(plane)
    assert isinstance(curve, Curve) and calls == {"curve": 1, "all": 1}
    for name, ask in QUESTIONS.items():
        if name != "backtest":  # which forecasts from fewer points, so from other curves
            ask(curve)
    assert calls == {"curve": 1, "all": 1} and curve.surface is curve.surface


def test_the_surface_is_that_of_all_points(plane: Points, points: Points) -> None:
    surface = infer(plane, seed=2).surface
    assert surface is not None and infer(points).surface is None
    assert surface.median(500, 2e5)[0] == infer_surface(plane, 2).median(500, 2e5)[0]


def test_one_size_is_no_curve() -> None:
    with pytest.raises(rs.UserError, match="1 distinct"):
        infer(Points([100, 100], [27.0, 28.0], metric="psnr"))
