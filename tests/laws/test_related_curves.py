"""Curves inferred together: what they are, what they gain, and what is refused."""

import numpy as np
import pytest
from scipy.integrate import trapezoid

import reconscale as rs
from reconscale.laws import METRICS, Curve, Points, RelatedCurves, infer


@pytest.fixture(scope="module")
def pair():
    n = np.array([10.0, 30.0, 100.0, 300.0, 1000.0])
    wobble = np.random.default_rng(0).standard_normal((2, 5))
    first = Points(n, 31.0 - 8.0 * n**-0.3 + 0.05 * wobble[0], metric="psnr")
    return first, Points(n, 31.5 - 10.0 * n**-0.3 + 0.05 * wobble[1], metric="psnr")


def test_every_curve_is_asked_as_one_alone(pair):
    made = infer(pair)
    first, second = made
    assert isinstance(made, RelatedCurves) and isinstance(first, Curve) and len(made) == 2 and made[1] is second
    assert first.points is pair[0] and first.decide(worthwhile=0.1).verdict
    assert first.forecast([2000]).draws.tobytes() == infer(pair)[0].forecast([2000]).draws.tobytes()
    assert first.compare(second).crossing.sentence
    assert made.words.count("degree of sharing") == 3 and "slope" in repr(made)


def test_one_set_of_points_is_inferred_as_before(pair):
    alone = infer(pair[0])
    assert isinstance(alone, Curve)
    infer(pair)
    assert alone.forecast([2000]).draws.tobytes() == rs.forecast(pair[0], [2000]).draws.tobytes()


def test_a_short_curve_follows_those_it_is_inferred_with(make):
    """Two sizes say little of what comes; a curve that goes on lowers what is expected, one that has ended lifts it."""
    short = make(0.2, 1.0, 0.5, sizes=np.array([10.0, 30.0]), seeds=2)
    steep = make(0.0, 3.0, 0.9, sizes=np.geomspace(3, 3000, 7), noise=0.01, rng=1)
    flat = make(0.3, 1.0, 0.5, sizes=np.geomspace(3, 3000, 7), noise=0.01, rng=2)
    alone, low, high = (
        made.forecast([300]) for made in (infer(short), infer([short, steep])[0], infer([short, flat])[0])
    )
    assert low.median[0] < 0.97 * high.median[0]
    for made in (low, high):  # and is no surer: what curves of one task miss is alike
        widths = [np.diff(np.log(np.quantile(one.expected[:, 0], [0.05, 0.5, 0.95]))) for one in (made, alone)]
        assert (widths[0] > 0.98 * widths[1]).all()


def test_a_curve_that_says_nothing_changes_nothing(pair, make):
    """Two sizes, run once, far apart in noise: what is there to learn from?"""
    blank = Points([10.0, 20.0], [25.0, 25.3], metric="psnr")
    low, middle, high = (infer(pair[0]).forecast([3000]).quantile(q)[0] for q in (0.05, 0.5, 0.95))
    told = infer([pair[0], blank])[0].forecast([3000])
    assert told.median[0] == pytest.approx(middle, abs=0.15 * (high - low))
    assert np.diff(told.interval(0.9), axis=0)[0, 0] == pytest.approx(high - low, rel=0.25)


def test_the_order_of_curves_and_of_rows_hardly_matters(pair):
    told = infer(pair)[0].forecast([3000])
    width = float(np.diff(told.interval(0.9), axis=0)[0, 0])
    turned = pair[0].rows([3, 0, 4, 1, 2])
    for other in (infer(pair[::-1])[1], infer([turned, pair[1]])[0], infer(pair, seed=1)[0]):
        assert other.forecast([3000]).median[0] == pytest.approx(told.median[0], abs=0.1 * width)


def test_scale_does_not_matter(pair):
    """A level of the metric or a unit of n is no part of the shape."""
    told = infer(pair)[0].forecast([3000])
    width = float(np.diff(told.interval(0.9), axis=0)[0, 0])
    louder = [
        Points(points.n, points.y + shift, metric="psnr") for points, shift in zip(pair, (3.0, -2.0), strict=True)
    ]
    larger = [Points(7.0 * points.n, points.y, metric="psnr") for points in pair]
    assert infer(louder)[0].forecast([3000]).median[0] - 3.0 == pytest.approx(told.median[0], abs=0.1 * width)
    assert infer(larger)[0].forecast([21000]).median[0] == pytest.approx(told.median[0], abs=0.1 * width)


def test_metrics_may_differ_and_the_density_integrates_to_one(pair):
    nmse = Points(pair[1].n, METRICS["psnr"].to_error(pair[1].y), metric="nmse")
    told = infer([pair[0], nmse])[1].forecast([3000])
    same = infer(pair)[1].forecast([3000])
    assert -10.0 * np.log10(told.median[0]) == pytest.approx(same.median[0], abs=1e-6)
    y = np.linspace(told.quantile(0.0005)[0], told.quantile(0.9995)[0], 800)
    assert trapezoid(np.exp([told.logpdf(value)[0] for value in y]), y) == pytest.approx(1.0, abs=0.02)


def test_refusals(pair):
    for few in ([], [pair[0]]):
        with pytest.raises(rs.UserError, match="two or more"):
            infer(few)
    with pytest.raises(rs.UserError, match="infer: found str"):
        infer([pair[0], "psnr.csv"])
    with pytest.raises(rs.UserError, match="same points twice"):
        infer([pair[0], pair[0].rows([4, 3, 2, 1, 0])])
    slices = Points(pair[1].n, pair[1].y, metric="psnr", unit="slices")
    with pytest.raises(rs.UserError, match="unit 'training images' and 'slices'"):
        infer([pair[0], slices])
