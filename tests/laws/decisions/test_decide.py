import re

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Costs, Gain, Points, decide, likelihood_words
from reconscale.laws.decisions.decide import choose_verdict


def grid(floor, by_n, by_p, widths=(8, 16, 32), noise=0.002):
    """PSNR of error = floor + by_n[0] n^-by_n[1] + by_p[0] p^-by_p[1] on a grid of n and width."""
    rng = np.random.default_rng(2)
    rows = [(n, w, s) for n in (10, 30, 100, 300, 600) for w in widths for s in range(3)]
    n, width, seed = (np.array(column) for column in zip(*rows, strict=True))
    p = 840.0 * width**2
    error = floor + by_n[0] * n ** -by_n[1] + by_p[0] * p ** -by_p[1]
    psnr = -10 * np.log10(error * np.exp(noise * rng.standard_normal(len(n))))
    more = {"width": width, "validation": psnr, "profile": "psnr-rgb-clip", "unit": "images"}
    return Points(n, psnr, seed, p, "psnr", **more)


def test_collect_more_where_data_pays():
    answer = decide(grid(1e-4, (0.01, 0.4), (1e-9, 0.5)))
    assert answer.verdict == "COLLECT MORE"
    assert answer.gain_n.low < answer.gain_n.median < answer.gain_n.high
    assert answer.probability == answer.gain_n.probability >= 0.8
    assert answer.gain_p.probability < 0.2


def test_train_larger_where_only_the_network_pays():
    answer = decide(grid(1e-4, (1e-9, 0.5), (0.1, 0.4)))
    assert (answer.verdict, answer.unit) == ("TRAIN LARGER", "dB")
    assert answer.gain_n.probability < 0.2
    true = 10 * np.log10((1e-4 + 0.1 * 860160**-0.4) / (1e-4 + 0.1 * (2 * 860160) ** -0.4))
    assert answer.gain_p.low < true < answer.gain_p.high
    assert answer.p == 860160


def test_the_asked_doubling_comes_first_where_both_pay():
    points = grid(1e-6, (0.01, 0.4), (0.2, 0.4))
    assert decide(points, double="n").verdict == "COLLECT MORE"
    answer = decide(points, double="p")
    assert answer.verdict == "TRAIN LARGER"
    assert answer.sentence.index("Doubling p") < answer.sentence.index("Doubling n")


def test_the_larger_gain_wins_where_both_pay_and_prices_weigh_it():
    points = grid(1e-6, (0.01, 0.4), (0.2, 0.4))
    answer = decide(points)
    assert (answer.verdict, answer.gain_p.median > answer.gain_n.median) == ("TRAIN LARGER", True)
    assert answer.sentence.endswith("Both are worthwhile; doubling p is expected to add more.")
    assert decide(grid(1e-6, (0.01, 0.4), (0.02, 0.4))).verdict == "COLLECT MORE"

    def priced(per_image, per_hour):
        costs = Costs(lambda n, p: 1e-6 * p, per_hour=per_hour, per_image=per_image, currency="EUR")
        return decide(points, costs=costs)

    cheap, dear = priced(0.01, 10.0), priced(10.0, 0.01)
    assert (cheap.verdict, dear.verdict) == ("COLLECT MORE", "TRAIN LARGER")
    assert cheap.sentence.endswith("Both are worthwhile; doubling n adds more for its price.")
    # hours alone say nothing of what images cost
    assert decide(points, costs=Costs(lambda n, p: 1e-6 * p, per_hour=10.0)).verdict == "TRAIN LARGER"


def test_stop_where_nothing_pays():
    answer = decide(grid(1e-3, (1e-3, 1.0), (1e-9, 0.5)))
    assert answer.verdict == "STOP"
    assert answer.probability == (1 - answer.gain_n.probability) * (1 - answer.gain_p.probability)


def gain(probability, low=0.1, median=0.5):
    return Gain(median, low, 1.0, probability)


@pytest.mark.parametrize(
    ("of_n", "of_p", "verdict", "probability"),
    [
        (gain(0.05), gain(0.05), "STOP", 0.9025),
        (gain(0.15), gain(0.15), "UNDECIDED", 0.15),  # that neither is: 72 %
        (gain(0.15), None, "STOP", 0.85),
        (gain(0.1), gain(0.9), "TRAIN LARGER", 0.9),
        (gain(0.1), gain(0.9, low=-0.01), "UNDECIDED", 0.9),  # chance alone explains it
        (gain(0.85), gain(0.9, low=-0.01), "COLLECT MORE", 0.85),
        (gain(0.85), gain(0.9, median=0.4), "COLLECT MORE", 0.85),
        (gain(0.85), gain(0.9, median=0.6), "TRAIN LARGER", 0.9),
    ],
)
def test_the_rule(of_n, of_p, verdict, probability):
    assert choose_verdict(of_n, of_p) == (verdict, pytest.approx(probability))


def test_stop_on_the_data_alone_says_so(make):
    answer = decide(make(0.2, 1.0, 1.5, noise=0.002))
    assert (answer.verdict, answer.gain_p, answer.p) == ("STOP", None, None)
    assert "this STOP rests on the data alone" in answer.sentence


def test_undecided_in_between(make):
    points = make(0.1, 1.0, 0.5, metric="psnr")
    half = decide(points).gain_n.median
    answer = decide(points, worthwhile=half)
    assert answer.verdict == "UNDECIDED"
    assert answer.probability == pytest.approx(0.5, abs=0.02)


def test_a_network_inside_the_grid_is_compared_with_its_measured_double():
    points = grid(1e-4, (0.01, 0.4), (1e-9, 0.5), widths=(8, 16, 32, 64))
    best_at_16 = np.where(points.width == 16, 1.0, 0.0)
    answer = decide(Points(points.n, points.y + best_at_16, points.seed, points.p, "psnr", width=points.width))
    assert answer.p == 840 * 256
    assert answer.gain_p.high < 0


def test_the_sentence():
    points = grid(1e-4, (0.01, 0.4), (1e-9, 0.5))
    sentence = decide(points, worthwhile=0.1).sentence
    number = r"-?\d+\.\d\d"
    pattern = (
        rf"At n = 600 images and p = 860 k we measure {number} ± {number} dB \[psnr-rgb-clip\]\. "
        rf"Doubling n is expected to add {number} dB \(90 % interval {number} to {number}\); "
        r"the chance that it exceeds your 0\.1 dB is (above 99|\d+) % \((very )?likely\)\. "
        rf"Doubling p is expected to add {number} dB .* is below 1 % \(unlikely\)\."
    )
    assert re.fullmatch(pattern, sentence), sentence


def test_sentences_of_errors_and_ssim(make):
    assert "we measure an error of 0." in decide(make(0.1, 1, 0.5)).sentence
    ssim = decide(make(0.1, 1, 0.5, metric="ssim"), worthwhile=0.01)
    assert (ssim.unit, " SSIM" in ssim.sentence) == ("SSIM", True)
    assert ssim.gain_n.median < 0.1


def test_error_and_psnr_agree(make):
    points = make(0.1, 1, 0.5)
    error = decide(Points(points.n, points.y, points.seed, metric="nmse"))
    psnr = decide(make(0.1, 1, 0.5, metric="psnr"))
    assert error.gain_n.median == pytest.approx(100 * (1 - 10 ** (-psnr.gain_n.median / 10)), rel=1e-3)
    assert (error.unit, psnr.unit, error.worthwhile, psnr.worthwhile) == ("%", "dB", 2.0, 0.1)
    assert psnr.error_bar == pytest.approx(10 / np.log(10) * error.error_bar / error.measured, rel=0.01)


def test_same_answer_twice_and_on_a_page():
    points = grid(1e-4, (0.01, 0.4), (1e-9, 0.5))
    assert decide(points) == decide(points)
    page = str(decide(points))
    assert page.startswith("COLLECT MORE (")
    assert "[width-at-edge]" in page


@pytest.mark.parametrize(
    ("probability", "word"),
    [
        (1, "very likely"),
        (0.95, "very likely"),
        (0.8, "likely"),
        (0.79, "undecided"),
        (0.2, "undecided"),
        (0.19, "unlikely"),
    ],
)
def test_wording(probability, word):
    assert likelihood_words(probability) == word


def test_refusals(make):
    points = make(0.1, 1, 0.5)
    with pytest.raises(UserError, match="double: found 'width'"):
        decide(points, double="width")
    with pytest.raises(UserError, match="worthwhile: found -1"):
        decide(points, worthwhile=-1)
    with pytest.raises(UserError, match="at least 2"):
        decide(Points([1], [1]))


def test_ten_times_the_data_add_more_than_twice(make):
    answer = decide(make(0.0, 1.0, 0.5, metric="psnr", noise=0.002))
    assert (answer.gain_n.factor, answer.gain_tenfold.factor) == (2, 10)
    assert answer.gain_tenfold.low < 5.0 < answer.gain_tenfold.high
    assert answer.gain_n.median < answer.gain_tenfold.median


def test_what_the_gain_of_a_larger_network_rests_on(make):
    points = grid(1e-4, (0.01, 0.4), (1e-2, 0.5))
    assert decide(points).gain_p_from == "surface"
    assert decide(points.rows(points.n >= 300)).gain_p_from == "curve"
    inside = Points(points.n, points.y + np.where(points.width == 16, 1.0, 0.0), points.seed, points.p, "psnr")
    assert decide(inside).gain_p_from in ("surface", "measured")
    assert decide(make(0.1, 1, 0.5)).gain_p_from == ""


def test_points_that_no_curve_follows_are_a_finding(make):
    points = make(0.1, 1.0, 0.5, noise=0.002)
    bent = Points(points.n, points.y * np.where(points.n == 300, 1.2, 1.0), points.seed)
    assert "misfit" in {item.code for item in decide(bent).findings}
    assert "misfit" not in {item.code for item in decide(points).findings}


HALF = 100 * (1 - 2**-0.5)
"""Per cent that an error of n^-0.5 falls where n doubles."""


def test_two_sizes_wild_seeds_and_a_thousand_points(make):
    few = decide(make(0.1, 1.0, 0.5, sizes=np.array([30.0, 100.0]), metric="psnr"), worthwhile=1.0)
    assert few.gain_n.low < few.gain_n.high
    assert "few-sizes" in {item.code for item in few.findings}
    wild = make(0.0, 1.0, 0.5)
    y = wild.y.copy()
    y[-2] *= 3
    made = decide(Points(wild.n, y, wild.seed))
    assert made.gain_n.low < HALF < made.gain_n.high
    many = decide(make(0.0, 1.0, 0.5, sizes=np.unique(np.geomspace(30, 3000, 400).round())))
    assert many.gain_n.low < HALF < many.gain_n.high


def test_widths_without_p_ask_for_p_and_not_for_more_sizes():
    known = grid(1e-4, (0.01, 0.4), (0.1, 0.4))
    without = Points(known.n, known.y, known.seed, None, "psnr", width=known.width, validation=known.validation)
    answer = decide(without)
    assert answer.gain_p is None
    assert "add them as p" in answer.sentence and "three or more" not in answer.sentence
