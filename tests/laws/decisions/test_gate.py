"""Verdicts that must not be given before something is mended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reconscale.laws import Points, decide, infer
from reconscale.laws.decisions.gate import FIX, LONGER, OBSTACLES
from reconscale.laws.findings import CODES, Finding, finding
from reconscale.laws.grouping import group_by_size

N = np.repeat([10.0, 30, 100, 300, 1000], 3)


def points(slope: float = -0.2, noise: float = 0.01, seed: int = 0) -> Points:
    scatter = np.random.default_rng(seed).normal(0, noise, len(N))
    return Points(N, 2e-3 * (N / 10) ** slope * np.exp(scatter), np.tile([0, 1, 2], 5))


def with_finding(code: str) -> Points:
    return replace(points(), findings=(Finding(code, f"the reason {code}", "warning"),))


def test_nothing_against_it_changes_nothing() -> None:
    made = decide(points())
    assert made.verdict == made.curve_verdict == "COLLECT MORE" and made.first_step == ""
    assert decide(with_finding("data-crime")).verdict == "COLLECT MORE"


@pytest.mark.parametrize("code", OBSTACLES)
def test_obstacles_stand_before_the_verdict(code: str) -> None:
    made = decide(with_finding(code))
    assert made.verdict == OBSTACLES[code][0] and made.curve_verdict == "COLLECT MORE"
    assert made.reservation.startswith(f"Do not act on this yet: the reason {code}. {made.first_step}.")
    assert made.reservation.endswith("On the curve alone the verdict would be COLLECT MORE.")
    head = str(made).splitlines()  # without a likelihood: nothing is likely before it is mended
    assert head[0] == made.verdict and head[1] == made.reservation and head[2] == made.sentence


def two_widths(step: float, noise: float, slope: float = 0.0) -> Points:
    """PSNR of two networks at five n, three seeds; the larger one is ``step`` dB better."""
    n, p, seed = (part.ravel() for part in np.meshgrid([10.0, 30, 100, 300, 1000], [1e4, 2e4], [0, 1, 2]))
    scatter = np.random.default_rng(5).normal(0, noise, len(n))
    y = 30.0 + step * np.log2(p / 1e4) + slope * np.log2(n) + scatter
    return Points(n, y, seed.astype(int), p, "psnr", validation=y + (p > 1e4))  # always selected


@pytest.mark.parametrize(
    ("step", "noise", "slope", "verdict", "alone"),
    [
        (0.01, 0.01, 0.0, "STOP", "STOP"),  # the last step of p is ruled out: nothing says that a third one helps
        (0.5, 0.01, 0.0, "UNDECIDED", "STOP"),  # it helped, and nobody looked beyond
        (0.5, 0.01, 0.5, "COLLECT MORE", "COLLECT MORE"),  # a larger network may help too
        (0.2, 0.6, 3.0, "UNDECIDED", "COLLECT MORE"),  # flat within the noise: nobody knows
    ],
)
def test_the_edge_of_the_widths(step: float, noise: float, slope: float, verdict: str, alone: str) -> None:
    made = decide(two_widths(step, noise, slope))
    assert (made.verdict, made.curve_verdict) == (verdict, alone)
    edge = [finding for finding in made.findings if finding.code == "edge-open"]
    assert bool(edge) == (verdict == "UNDECIDED") == bool(made.first_step)
    if edge:
        assert "the largest network tried (p = 20 k) is the best one" in made.reservation
        assert str(made).startswith("UNDECIDED\nDo not act on this yet")


def test_budgets_that_grow_with_n() -> None:
    def made(steps: np.ndarray) -> Points:
        return replace(points(), steps=steps)

    grown = decide(made(np.where(N < 300, 100.0, 4000.0)))
    assert (grown.verdict, grown.curve_verdict) == ("UNDECIDED", "COLLECT MORE")
    assert grown.first_step == "Train all n with the same steps, or until they have converged"
    converged = np.where(N < 300, 100.0, 4000.0) * np.tile([1.0, 1.0, 2.0], 5)  # as long as each run takes
    ended = (finding("trained-out", runs=len(N), tolerance=0.03),)  # by itself, when more no longer helped
    assert decide(replace(made(np.where(N < 300, 100.0, 4000.0)), findings=ended)).verdict == "COLLECT MORE"
    for steps in (converged, np.full(len(N), 100.0), np.where(N == 10, 4000.0, 100.0), N + 1000.0):
        assert decide(made(steps)).verdict == "COLLECT MORE"


def test_an_undecided_verdict_is_not_settled() -> None:
    curve = infer(points(slope=-0.02, noise=0.03))
    for worthwhile in (1.0, 2.0, 4.0, 8.0, 30.0):
        first = curve.next_experiments(worthwhile=worthwhile)[0]
        if curve.decide(worthwhile=worthwhile).verdict == "UNDECIDED":
            assert first.why != "Whether to double is settled."


def test_what_must_be_fixed_comes_before_longer_training() -> None:
    both = tuple(Finding(code, code, "warning") for code in ("not-converged", "below-input"))
    assert decide(replace(points(), findings=both)).verdict == FIX
    assert decide(replace(points(), findings=both[:1])).verdict == LONGER


def test_every_obstacle_is_a_finding_that_somebody_makes() -> None:
    assert set(OBSTACLES) - set(CODES) == {"below-input", "below-classical"}  # whose texts name what they compare with


def test_errors_that_rise_beyond_chance() -> None:
    assert decide(points(slope=0.05)).verdict == FIX
    rising = Points([10.0, 30, 100, 300, 1000], [0.2, 0.25, 0.3, 0.35, 0.4])
    assert decide(rising).verdict == FIX  # no size was run twice, but they lie on a line


def test_what_is_said_of_a_stop_is_not_said_of_another_verdict(make) -> None:
    """STOP rests on the data alone where there are no sizes of network; TRAIN LONGER FIRST and UNDECIDED do not."""
    stop = make(0.2, 1.0, 1.5, noise=0.002)
    assert "this STOP" in decide(stop).sentence
    for code in ("probe-gains", "steps-follow-n"):
        made = decide(replace(stop, findings=(Finding(code, "why", "warning"),)))
        assert made.curve_verdict == "STOP" and "this STOP" not in str(made)
        assert "The gain of a larger network is not known" in made.sentence


def rises(sizes: list[float], counts: list[int], fall: float) -> int:
    """Of 100 flat curves, those called rising; the spread of a run is 2 % at the largest n and falls by ``fall``."""
    n = np.repeat(sizes, counts)
    seed = np.concatenate([np.arange(count) for count in counts])
    sd = 0.02 * (n / n.max()) ** (-0.5 * fall)
    draws = (np.random.default_rng(k).standard_normal(len(n)) for k in range(100))
    found = (group_by_size(Points(n, 2e-3 * np.exp(sd * z), seed)).findings for z in draws)
    return sum(any(item.code == "error-rises" for item in items) for items in found)


def test_a_flat_curve_is_not_called_rising() -> None:
    assert rises([10, 30, 100, 300, 1000], [3] * 5, 0.4) <= 2


@pytest.mark.parametrize("counts", [[1, 1, 1, 1, 2], [2, 1, 1, 1, 1], [1, 3, 3, 3, 3]])
def test_one_lucky_run_at_a_tiny_size_is_not_called_rising(counts: list[int]) -> None:
    """Two standard errors of replicates elsewhere were passed by 5 to 45 of 100 flat curves."""
    assert rises([3, 10, 30, 100, 300], counts, 1.5) <= 2


def test_two_sizes_and_one_run_at_the_smaller_tell_nothing() -> None:
    made = infer(Points([3.0, 10, 10], [26.4, 26.0, 26.01], [0, 0, 1], metric="psnr"))
    assert "error-rises" not in {item.code for item in made.level.findings}


def test_a_rise_of_the_smallest_size_alone_is_a_caution() -> None:
    """At n = 3 the error is lowest, beyond doubt, but from n = 10 on it falls: more data help where it counts."""
    n = np.repeat([3.0, 10, 30, 100, 300], 3)
    y = np.repeat([28.0, 25.0, 25.7, 26.4, 27.1], 3) + np.tile([-0.01, 0.0, 0.01], 5)
    made = decide(Points(n, y, np.tile([0, 1, 2], 5), metric="psnr"))
    assert "early-rise" in {item.code for item in made.findings} and made.verdict == made.curve_verdict


def test_more_than_there_is_to_gain():
    """An SSIM of 0.995 cannot gain the 0.01 that is worthwhile where nobody says: STOP says nothing about the data."""
    points = Points(n=[100, 300, 1000, 3000], y=[0.98, 0.987, 0.9915, 0.9945], seed=[0] * 4, metric="ssim")
    made = infer(points).decide()
    assert (made.verdict, made.curve_verdict) == ("UNDECIDED", "STOP")
    assert "the SSIM of 0.9945 leaves at most 0.0055 to gain" in made.reservation
    assert infer(points).decide(worthwhile=0.0005).first_step == ""


def test_every_remedy_is_said():
    """The one that stands first is that of the severest; the others follow."""
    run = (Finding("below-classical", "at n = 300 the networks do not reach block DCT", "warning"),)
    rising = Points(n=[10, 30, 100, 300], y=[30.0, 29.0, 28.0, 27.0], metric="psnr", findings=run)
    decision = infer(rising).decide()
    assert decision.verdict == FIX and decision.first_step.startswith("Find out why more data hurt")
    assert "Train longer (policy converge)" in decision.first_step
    assert "the scatter about a straight line explains" in decision.reservation


def test_a_psnr_of_equal_images_is_no_result():
    decision = infer(Points(n=[10, 100, 1000], y=[100.0, 100.0, 100.0], metric="psnr")).decide()
    assert decision.verdict == FIX and "PSNR of an image and itself" in decision.reservation


def test_a_rise_at_every_step_is_said_before_it_is_certain() -> None:
    """Without replicates nothing tells it from chance, and STOP alone would hide it."""
    falling = decide(Points([100, 300, 1000, 3000], [31, 30.5, 30, 29], metric="psnr"))
    assert "may-rise" in {item.code for item in falling.findings} and falling.verdict == falling.curve_verdict
    for y in ([31, 30.5, 30.6, 29], [30.02, 30.01, 30.005, 30.0]):
        made = decide(Points([100, 300, 1000, 3000], y, metric="psnr"))
        assert "may-rise" not in {item.code for item in made.findings}
