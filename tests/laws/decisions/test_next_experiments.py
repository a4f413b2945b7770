import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Candidate, Costs, Hours, Points, decide, next_experiments
from reconscale.laws.decisions.value_of_information import ScenarioDraws, candidates_of, simulate_scenarios

SAME = Costs(lambda n, p: 1.0)
"""Every run costs the same, as with a fixed number of steps."""


def undecided(make, **more):
    """Points, and an amount worthwhile that is just what doubling n is expected to add."""
    points = make(0.1, 1.0, 0.5, metric="psnr", unit="images", **more)
    return points, decide(points).gain_n.median


def grid(noise=0.01, last=1000.0):
    rng = np.random.default_rng(4)
    rows = [(n, w, s) for n in (30, 100, 300, last) for w in (8, 16, 32) for s in range(2)]
    n, width, seed = (np.array(column) for column in zip(*rows, strict=True))
    p = 840.0 * width**2
    error = (1e-3 + 0.02 * n**-0.5 + 0.5 * p**-0.5) * np.exp(noise * rng.standard_normal(len(n)))
    return Points(n, -10 * np.log10(error), seed, p, "psnr", width=width)


def test_what_a_measurement_teaches_about_a_gaussian_is_known():
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((2000, 2))
    aim = 0.6 * normal[:, 0] + 0.8 * normal[:, 1]
    zero = np.zeros(1)
    start = simulate_scenarios(
        ScenarioDraws(normal[:, :1], zero, np.array([0.5]), aim[:, None], zero, 0.0, np.ones(2000)), rng
    )
    after = start.tried(rng)[0]
    left = after.left(0.0).variance / start.left(0.0).variance
    assert left == pytest.approx(1 - 0.36 / (1 + 0.25), abs=0.04)
    assert after.left(0.0).regret < start.left(0.0).regret
    assert start.left(0.0).regret == pytest.approx(1 / np.sqrt(2 * np.pi), abs=0.03)


def test_a_settled_decision_needs_no_experiment(make):
    only = next_experiments(make(0.0, 1.0, 0.5, noise=0.005, metric="psnr"))
    assert [(item.kind, item.seeds, item.n, item.cost) for item in only] == [("stop", 0, None, 0)]
    assert "Whether to double is settled." in only[0].why


def test_an_open_decision_is_tested_beyond_the_data(make):
    points, worthwhile = undecided(make)
    first, *others = next_experiments(points, SAME, worthwhile=worthwhile)
    assert (first.kind, first.p, first.width, first.cost_unit) == ("new size", None, None, "GPU-hours")
    assert first.n >= 4500
    assert 0.2 < first.reduction < 1
    assert first.regret > 0
    assert all(item.reduction < first.reduction for item in others)
    assert f"at the new size n = {first.n:,.6g} should remove" in first.why


def test_only_what_is_offered_is_chosen(make):
    points, worthwhile = undecided(make)
    offered = [Candidate(30), Candidate(5000), Candidate(3000)]
    chosen = next_experiments(points, SAME, worthwhile=worthwhile, candidates=offered)
    assert {item.n for item in chosen} <= {30, 3000, 5000}
    assert chosen[0].n == 5000


def test_a_lone_noisy_run_at_the_end_is_repeated(make):
    alone = make(0.1, 1.0, 0.5, noise=0.05).rows(np.arange(13))
    offered = [Candidate(n) for n in (30, 100, 3000)]
    chosen = next_experiments(alone, SAME, forecast_at=3000, candidates=offered)[0]
    assert (chosen.kind, chosen.n) == ("repeat", 3000)
    assert chosen.reduction > 0.3


def test_the_same_cell_twice_is_one_experiment(make):
    points, worthwhile = undecided(make, noise=0.05)
    chosen = next_experiments(points, SAME, worthwhile=worthwhile, candidates=[Candidate(6000)], count=2)
    assert [(item.n, item.seeds, item.cost) for item in chosen] == [(6000, 2, 2.0)]


def test_no_run_that_costs_more_than_it_spares(make):
    points, worthwhile = undecided(make)
    dear = Costs(Hours(1e-6, 1.0), per_hour=1.0, per_image=10.0, currency="EUR")
    only = next_experiments(points, dear, worthwhile=worthwhile, candidates=[Candidate(12_000)])
    assert only[0].kind == "stop"
    assert "costs more than it is expected to save" in only[0].why
    at_hand = Costs(Hours(1e-6, 1.0), per_hour=1.0, per_image=10.0, currency="EUR", have=4500)
    first = next_experiments(points, at_hand, worthwhile=worthwhile, candidates=[Candidate(12_000), Candidate(4500)])[0]
    assert (first.n, first.cost_unit, first.bill.images) == (4500, "EUR", 0)


def test_runs_that_teach_nothing_are_not_made(make):
    points, worthwhile = undecided(make)
    only = next_experiments(points, SAME, worthwhile=worthwhile, candidates=[Candidate(30)])
    assert only[0].kind == "stop"
    assert "No run considered would change the decision" in only[0].why


def test_a_forecast_as_the_aim_goes_far_and_never_stops(make):
    points = make(0.05, 1.0, 0.5)
    first = next_experiments(points, SAME, forecast_at=30_000, count=1)[0]
    assert first.n == 12_000
    assert first.regret is None
    assert "of the variance of the forecast at n = 30,000" in first.why


def test_dear_runs_are_weighed_against_cheap_ones(make):
    points = make(0.05, 1.0, 0.5)
    offered = [Candidate(11_000), Candidate(12_000)]
    by_n = next_experiments(points, Costs(Hours(1e-6, 2.0)), forecast_at=30_000, candidates=offered, count=1)[0]
    assert by_n.n == 11_000


def test_a_surface_offers_other_networks():
    offered = candidates_of(grid())
    assert {item.width for item in offered} == {8, 16, 32, 64}
    wider = next(item for item in offered if item.width == 64)
    assert wider.p == pytest.approx(840 * 64**2)
    half = decide(grid()).gain_p.median
    chosen = next_experiments(grid(), worthwhile=half, count=2)
    assert all(item.kind in ("new size", "repeat", "other width", "stop") for item in chosen)
    assert next_experiments(grid(), worthwhile=half, count=2) == chosen


def test_a_named_width_gets_its_parameters():
    chosen = next_experiments(grid(), SAME, candidates=[Candidate(2000, width=64)], forecast_at=4000, count=1)[0]
    assert (chosen.kind, chosen.width) == ("other width", 64)
    assert chosen.p == pytest.approx(840 * 64**2)


def test_two_sizes_wild_seeds_and_a_thousand_points(make):
    few = make(0.05, 1.0, 0.5, sizes=np.array([30.0, 100.0]))
    assert next_experiments(few, SAME, forecast_at=1000)[0].n > 100
    wild = make(0.05, 1.0, 0.5)
    y = wild.y.copy()
    y[-1] *= 3
    assert next_experiments(Points(wild.n, y, wild.seed), SAME, forecast_at=1e4)
    many = make(0.05, 1.0, 0.5, sizes=np.unique(np.geomspace(30, 3000, 400).round()))
    assert len(candidates_of(many)) < 50
    assert next_experiments(many, SAME, forecast_at=1e4)


def test_refusals(make):
    points = make(0.1, 1, 0.5)
    for wrong, said in (
        ({"worthwhile": -1}, "worthwhile: found -1"),
        ({"forecast_at": np.nan}, "forecast_at: found nan"),
        ({"count": 0}, "count: found 0"),
        ({"candidates": []}, "candidates: found none"),
        ({"candidates": [Candidate(-3)]}, "candidates, n: found -3"),
        ({"candidates": [Candidate(3, seeds=0)]}, "candidates, seeds: found 0"),
    ):
        with pytest.raises(UserError, match=said):
            next_experiments(points, **wrong)
