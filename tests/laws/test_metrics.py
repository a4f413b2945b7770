"""Every metric in its own unit, with its own better side."""

from __future__ import annotations

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import METRICS, Costs, Metric, Points, decide, infer, price, required_n
from reconscale.laws.metrics import higher_is_better

FREE = Costs(lambda n, p: 0.0)
N = [100, 300, 1000, 3000, 10000]
FALLING = np.array([0.15, 0.139, 0.13, 0.126, 0.1235])


@pytest.mark.parametrize("name", sorted(METRICS))
def test_gains_are_told_in_the_unit(name):
    metric = METRICS[name]
    error = FALLING if metric.unit != "dB" else FALLING**2
    points = Points(N, metric.from_error(error), [0] * 5, metric=name)
    made = infer(points).decide()
    assert made.unit == metric.unit and made.worthwhile == metric.worthwhile and made.gain_n.median > 0
    assert f"your {metric.worthwhile:g} {metric.unit} is" in made.sentence
    assert ("dB" in made.sentence) == (metric.unit == "dB")
    assert f"{metric.worthwhile:g} {metric.unit}" in infer(points).price(FREE).sentence


def test_the_same_numbers_as_ssim_and_as_an_error():
    """An error 0.15 of which 1 % is worthwhile, and an SSIM of 0.85 of which 0.01 is."""
    error = decide(Points(N, FALLING, [0] * 5), worthwhile=7.0)
    ssim = decide(Points(N, 1 - FALLING, [0] * 5, metric="ssim"), worthwhile=0.01)
    assert (error.verdict, ssim.verdict) == ("STOP", "STOP")
    assert "to lower the error by" in error.sentence and "SSIM" in ssim.sentence


@pytest.mark.parametrize(
    ("metric", "worthwhile", "message"),
    [
        ("error", 0.01, "in per cent of the error: write 1 for 1 %, 0.23 for what 0.01 dB are, 7.69 for a difference"),
        ("lpips", 0.1, "write 10 for 10 %, 2.3 for what 0.1 dB are, 76.9 for a difference of 0.1 in the lpips"),
        ("nmse", 100, "no error falls by 100 %"),
        ("psnr", 25, "in dB: 25 % less error is 1.2 dB; write for instance 0.1"),
        ("ssim", 1, "differences of values below 1: write 0.01 for 1 hundredths"),
        ("accuracy", 2, "write 0.02 for 2 hundredths"),
        ("error", -1, "a gain of 0 or more is expected"),
    ],
)
def test_a_gain_that_cannot_be_meant(metric, worthwhile, message):
    y = METRICS[metric].from_error(FALLING)
    with pytest.raises(UserError, match=message):
        decide(Points(N, y, [0] * 5, metric=metric), worthwhile=worthwhile)


@pytest.mark.parametrize(
    ("metric", "target", "message"),
    [
        ("psnr", 0.95, "found 0.95 where .* dB were measured; give a PSNR in dB"),
        ("error", 32.0, "found 32 where errors of .* were measured; give an error; 0.000631 is the MSE of 32 dB"),
    ],
)
def test_a_target_in_another_unit(metric, target, message):
    y = METRICS[metric].from_error(FALLING)
    with pytest.raises(UserError, match=message):
        required_n(Points(N, y, [0] * 5, metric=metric), target)


def test_a_metric_of_ones_own():
    mine = higher_is_better("my_score")
    made = decide(Points(N, 1 - FALLING, [0] * 5, metric=mine))
    same = decide(Points(N, 1 - FALLING, [0] * 5, metric="accuracy"))
    assert made.gain_n == same.gain_n and made.unit == "my_score" and "my_score" in METRICS
    with pytest.raises(UserError, match="'my_score' must be below 1|my_score must be below 1"):
        Points([1], [85.0], metric=mine)
    with pytest.raises(UserError, match="give it another name"):
        Points([1], [0.5], metric=Metric("psnr", "lower", "%", np.asarray, np.asarray))


def test_a_scale_of_ones_own():
    """An accuracy in per cent: to an error below 1, and back."""
    percent = Metric("percent", "higher", "points", lambda y: 1 - y / 100, lambda e: 100 * (1 - e), 0.5)
    points = Points(N, 100 * (1 - FALLING), [0] * 5, metric=percent)
    made, same = infer(points), infer(Points(N, 1 - FALLING, [0] * 5, metric="accuracy"))
    assert made.decide().gain_n.median == pytest.approx(100 * same.decide(worthwhile=0.005).gain_n.median)
    outlook, other = made.forecast([2e4]), same.forecast([2e4])
    assert outlook.logpdf([88.0]) == pytest.approx(other.logpdf([0.88]) - np.log(100), abs=1e-4)


@pytest.mark.parametrize("bad", [{"name": "a b"}, {"better": "up"}])
def test_metrics_that_are_none(bad):
    with pytest.raises(UserError, match="Metric, "):
        Metric(**{"name": "a", "better": "lower", "unit": "%"} | bad, to_error=np.asarray, from_error=np.asarray)


def test_losses_are_said_as_losses():
    assert METRICS["psnr"].tell("Doubling n", -0.09) == "Doubling n is expected to lose 0.09 dB"
    assert METRICS["psnr"].tell("Doubling n", -0.001) == "Doubling n is expected to add 0.00 dB"
    assert METRICS["error"].tell("Doubling p", -3) == "Doubling p is expected to raise the error by 3.00 %"


def test_nothing_is_priced_in_db_for_errors():
    assert "dB" not in price(Points(N, FALLING, [0] * 5), FREE).sentence
