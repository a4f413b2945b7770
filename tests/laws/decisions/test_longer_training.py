"""Train longer, beside collect and enlarge."""

from dataclasses import replace

import numpy as np
import pytest

from reconscale.laws import Costs, Points, decide
from reconscale.laws.findings import finding


def budgets(gain, *, metric="psnr"):
    """Runs of 1,000 steps, and the same four times as long, which gain so many dB at the largest n."""
    rows = [
        (n, seed, steps, 26.0 + np.log10(n) + 0.01 * seed + gain * (k / 4) * (steps > 1000))
        for k, n in enumerate((10, 30, 100, 300, 1000))
        for seed in range(3)
        for steps in (1000, 4000)
    ]
    n, seed, steps, psnr = (np.array(column) for column in zip(*rows, strict=True))
    y = psnr if metric == "psnr" else 1.0 - 10 ** (-psnr / 20)
    return Points(n, y, seed, metric=metric, steps=steps)


def test_four_times_the_steps_that_gained_two_decibels_stand_first():
    """Audit, defect 8: 4 times the steps gave 2 dB, and nothing said so."""
    answer = decide(budgets(2.0), worthwhile=0.1)
    assert (answer.verdict, answer.curve_verdict, answer.steps) == ("TRAIN LONGER FIRST", "COLLECT MORE", 4000)
    assert answer.gain_steps.probability > 0.8 and answer.gain_steps.low > 0.1 and answer.gain_steps_from == "forecast"
    assert answer.last_gain_steps == pytest.approx(1.0)  # for each of two doublings
    assert "The last doubling of the steps gained 1.00 dB there. Doubling the steps once more is" in answer.sentence
    assert "at n = 1,000 doubling the steps is expected to add" in answer.reservation


def test_steps_that_gain_nothing_stand_in_the_way_of_nothing():
    answer = decide(budgets(0.0), worthwhile=0.1)
    assert answer.verdict == answer.curve_verdict == "COLLECT MORE"
    assert answer.gain_steps.median == pytest.approx(0.0, abs=0.01) and answer.gain_steps.probability < 0.2
    assert "longer-gains" not in {item.code for item in answer.findings}


def test_what_is_said_already_is_not_said_again():
    text = {"count": 1, "runs": 2, "sizes": "3", "gain": 1.0, "tolerance": 0.1, "doublings": 3, "hours": "1 h"}
    known = replace(budgets(2.0), findings=(finding("not-converged", **text),))
    answer = decide(known, worthwhile=0.1)
    assert answer.verdict == "TRAIN LONGER FIRST"
    assert "longer-gains" not in {item.code for item in answer.findings}


def test_gains_of_steps_are_in_the_unit_of_the_metric():
    answer = decide(budgets(2.0, metric="ssim"))
    assert answer.unit == "SSIM" and 0.0 < answer.gain_steps.median < 0.05


def test_twice_the_steps_cost_twice_the_hours():
    costs = Costs(lambda n, p: 3.0, per_hour=2.0, currency="EUR")
    answer = decide(budgets(2.0), worthwhile=0.1, costs=costs)
    assert (answer.cost_steps.hours, answer.cost_steps.images, answer.cost_steps.total) == (6.0, 0.0, 12.0)
    assert "Doubling the steps costs" in answer.sentence


def test_without_other_numbers_of_steps_nothing_is_said_of_them(make):
    answer = decide(make(0.1, 1, 0.5))
    assert (answer.gain_steps, answer.gain_steps_from, answer.last_gain_steps, answer.cost_steps) == (
        None,
        "",
        None,
        None,
    )
    assert "steps" not in answer.sentence


def test_widths_without_parameters_are_told_apart():
    """What the selected width gained counts, and not what another one did."""
    points = budgets(2.0)
    other = replace(budgets(1.0), y=budgets(1.0).y - 3.0)
    both = Points(
        np.tile(points.n, 2), np.concatenate([points.y, other.y]), np.tile(points.seed, 2), metric="psnr",
        width=np.repeat([16, 8], len(points)), steps=np.tile(points.steps, 2),
    )  # fmt: skip
    answer = decide(both, worthwhile=0.1)
    assert answer.last_gain_steps == pytest.approx(1.0) and answer.verdict == "TRAIN LONGER FIRST"


def short_and_long(gains, seeds=3, noise=0.02):
    """Runs of 1,000 steps, and of 4,000 that gain so many dB at each n."""
    rng = np.random.default_rng(0)
    rows = [
        (n, seed, steps, 26.0 + np.log10(n) + gain * (steps > 1000) + noise * rng.standard_normal())
        for n, gain in zip((10, 30, 100, 300, 1000), gains, strict=True)
        for seed in range(seeds)
        for steps in (1000, 4000)
    ]
    n, seed, steps, psnr = (np.array(column) for column in zip(*rows, strict=True))
    return Points(n, psnr, seed, metric="psnr", steps=steps)


@pytest.mark.parametrize("seeds", [1, 3])
def test_longer_trainings_that_are_worse_are_said(seeds):
    found = {item.code: item for item in decide(short_and_long([-4, -2.5, -1, -0.5, 0], seeds)).findings}
    assert found["longer-is-worse"].severity == "caution"
    assert "at n = 10, 30, 100" in found["longer-is-worse"].text and "up to 4" in found["longer-is-worse"].text
    for gains in ([0] * 5, [0.3] * 5, [-1, -1, 0.2, 0.2, 0.2]):
        assert "longer-is-worse" not in {item.code for item in decide(short_and_long(gains, seeds)).findings}
