from itertools import pairwise

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, required_n


def test_a_power_law_without_noise_gives_the_n_of_the_law(make):
    needed = required_n(make(0.0, 1.0, 0.5, noise=0.0), 0.01)
    assert needed.n.median == pytest.approx(10_000, rel=0.25)
    assert needed.n.low < 10_000 < needed.n.high
    assert needed.already < 0.01


def test_a_target_within_the_data_is_found_there(make):
    needed = required_n(make(0.0, 1.0, 0.5, noise=0.0), 0.05)
    assert needed.n.median == pytest.approx(400, rel=0.03)
    assert needed.n.never == 0
    assert needed.already == 1
    assert "is already reached at the largest n = 3,000 (very likely)" in needed.sentence


def test_below_the_floor_is_never(make):
    needed = required_n(make(0.2, 1.0, 0.8, noise=0.002), 0.1)
    assert needed.n.median == np.inf
    assert needed.n.never > 0.9
    assert "is probably out of reach (the chance that 1,000 times the largest n reaches it is " in needed.sentence


def test_the_sentence_and_the_other_metrics(make):
    psnr = required_n(make(0.0, 1.0, 0.5, metric="psnr", noise=0.002, unit="images"), 20.0)
    assert psnr.sentence.startswith("20 dB needs about ")
    assert " images (90 % interval " in psnr.sentence
    ssim = required_n(make(0.0, 1.0, 0.5, metric="ssim", noise=0.002), 0.99)
    assert ssim.n.median == pytest.approx(psnr.n.median, rel=0.3)


def test_far_beyond_the_data_is_said(make):
    needed = required_n(make(0.0, 1.0, 0.5, noise=0.001), 0.003)
    assert "beyond-reach" in {item.code for item in needed.findings}


def test_a_better_target_needs_more(make):
    points = make(0.05, 1.0, 0.5)
    needed = [required_n(points, target).n for target in (0.2, 0.1, 0.065, 0.02)]
    assert all(a.median <= b.median and a.never <= b.never for a, b in pairwise(needed))


def test_two_sizes_wild_seeds_and_a_thousand_points(make):
    few = required_n(make(0.0, 1.0, 0.5, sizes=np.array([30.0, 300.0])), 0.03)
    assert few.n.low < few.n.high
    wild = make(0.0, 1.0, 0.5)
    y = wild.y.copy()
    y[4] *= 3
    assert required_n(Points(wild.n, y, wild.seed), 0.01).n.low < 10_000
    many = required_n(make(0.0, 1.0, 0.5, sizes=np.unique(np.geomspace(30, 3000, 400).round())), 0.01)
    assert many.n.median == pytest.approx(10_000, rel=0.3)


def test_the_same_answer_twice(make):
    assert required_n(make(0.1, 1, 0.5), 0.11) == required_n(make(0.1, 1, 0.5), 0.11)


@pytest.mark.parametrize(("metric", "target"), [("error", 0), ("error", np.nan), ("ssim", 1), ("psnr", np.inf)])
def test_what_is_no_value_of_the_metric_is_refused(make, metric, target):
    with pytest.raises(UserError, match="target: found"):
        required_n(make(0.1, 1, 0.5, metric=metric), target)
