import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import Points, crossing


def test_a_known_crossing_within_the_data(make):
    made = crossing(
        make(0.0, 1.0, 0.3, noise=0.001), make(0.0, 4.0, 0.6, noise=0.001, rng=1), names=("U-Net", "SwinIR")
    )
    assert made.overtakes == "SwinIR"
    assert made.n.low < 4 ** (1 / 0.3) < made.n.high
    assert made.n.median == pytest.approx(4 ** (1 / 0.3), rel=0.05)
    assert made.better > 0.99
    assert made.sentence.startswith("SwinIR overtakes U-Net at about 1")


def test_the_order_of_the_two_does_not_matter(make):
    a, b = make(0.0, 1.0, 0.3, noise=0.01), make(0.0, 4.0, 0.6, noise=0.01, rng=1)
    one, other = crossing(a, b), crossing(b, a)
    assert one.overtakes == "the second"
    assert other.overtakes == "the first"
    assert one.n.median == pytest.approx(other.n.median, rel=0.1)
    assert one.better == pytest.approx(1 - other.better, abs=0.02)


def test_the_same_curve_twice_as_bad_never_crosses(make):
    made = crossing(make(0.1, 1.0, 0.5), make(0.2, 2.0, 0.5, rng=1))
    assert made.n.median == np.inf
    assert made.better < 0.01
    assert "is not expected to overtake" in made.sentence


def test_shared_seeds_narrow_the_comparison():
    rng = np.random.default_rng(3)
    n, seed = np.repeat([30.0, 100.0, 300.0, 1000.0, 3000.0], 5), np.tile(np.arange(5), 5)
    shared, own = 0.05 * rng.standard_normal(25), 0.005 * rng.standard_normal((2, 25))
    y = [(0.1 + n**-0.5) * factor * np.exp(shared + noise) for factor, noise in zip((1.0, 1.03), own, strict=True)]
    paired = crossing(Points(n, y[0], seed), Points(n, y[1], seed))
    apart = crossing(Points(n, y[0], seed), Points(n, y[1], seed + 10))
    assert paired.correlation > 0.6
    assert apart.correlation == 0
    assert paired.better < apart.better
    assert "assumed to share training images" in paired.assumed
    assert "assumed to be independent" in apart.assumed


def test_shared_test_images_are_drawn_together(make):
    rng = np.random.default_rng(0)
    hard = np.exp(rng.standard_normal(20))

    def seen(points, images):
        return Points(points.n, points.y, points.seed, images=points.y[:, None] * images / images.mean())

    a, b = make(0.1, 1.0, 0.5, noise=0.002), make(0.105, 1.05, 0.5, noise=0.002, rng=1)
    same = crossing(seen(a, hard), seen(b, hard))
    other = crossing(seen(a, hard), seen(b, np.exp(rng.standard_normal(30))))
    assert same.better < 0.01 < other.better
    assert "assumed to be the same" in same.assumed
    assert "not paired" in other.assumed


def test_a_profile_that_only_one_names_is_a_finding(make):
    made = crossing(make(0.1, 1, 0.5, profile="mse"), make(0.2, 1, 0.5))
    assert "mixed-profiles" in {item.code for item in made.findings}


def test_two_sizes_and_determinism(make):
    short = {"sizes": np.array([30.0, 300.0])}
    a, b = make(0.0, 1.0, 0.3, **short), make(0.0, 4.0, 0.6, rng=1, **short)
    assert crossing(a, b) == crossing(a, b)
    assert crossing(a, b).n.low < 102


def test_refusals(make):
    a = make(0.1, 1, 0.5)
    with pytest.raises(UserError, match="found metric 'error' and 'psnr'"):
        crossing(a, make(0.1, 1, 0.5, metric="psnr"))
    with pytest.raises(UserError, match="found profile 'x' and 'y'"):
        crossing(make(0.1, 1, 0.5, profile="x"), make(0.1, 1, 0.5, profile="y"))
    with pytest.raises(UserError, match="ranges of n must overlap"):
        crossing(a, make(0.1, 1, 0.5, sizes=np.array([4000.0, 8000.0])))
