"""Two methods: differences at every n, what they are worth, and exchange rates that give back what was put in."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from reconscale.errors import UserError
from reconscale.laws import NoiseLevel, Points, comparison, exchange_sentence, exchanges

SIZES = (10, 30, 100, 300, 1000)


def points(floor: float, rate: float, *, widths: tuple[int, ...] = (8,), seed: int = 0, shared: float = 0.0) -> Points:
    """PSNRs of an error that falls as floor + rate n^-0.5, p^-0.1; 1 % scatter, part of it shared between methods."""
    rng, both = np.random.default_rng(seed), np.random.default_rng(99)
    rows = [(n, w, s) for n in SIZES for w in widths for s in range(3)]
    common = {(n, s): both.standard_normal() for n in SIZES for s in range(3)}
    y = []
    for n, w, s in rows:
        scatter = 0.01 * (rng.standard_normal() + shared * common[n, s])
        error = (floor + rate * n**-0.5) * (w / 8) ** -0.1 * math.exp(scatter)
        y.append(-10 * math.log10(error))
    n_, w_, s_ = (np.array(column) for column in zip(*rows, strict=True))
    return Points(n_.astype(float), np.array(y), s_, p=100.0 * w_.astype(float) ** 2, width=w_,
                  validation=np.array(y), metric="psnr", unit="images")  # fmt: skip


def test_differences_and_their_sign() -> None:
    early, late = points(2e-3, 2e-3), points(1e-3, 8e-3, seed=1)
    made = comparison(early, late, names=("early", "late"))
    gains = [item.gain for item in made.differences]
    truth = [10 * math.log10((2e-3 + 2e-3 * n**-0.5) / (1e-3 + 8e-3 * n**-0.5)) for n in SIZES]
    assert gains == pytest.approx(truth, abs=0.1) and gains == sorted(gains)
    assert all(item.low < item.gain < item.high for item in made.differences if item.low is not None and item.high)
    assert made.crossing.overtakes == "late" and made.crossing.n.low < 36 < made.crossing.n.high
    assert made.worth is not None and made.worth.better == "late" and made.worth.worse == "early"
    assert "early is not expected to reach that with any number of images" in made.worth.sentence


def test_what_a_constant_lead_is_worth() -> None:
    """An error of n^-0.5 alone: 1 dB less is 10^0.2 times the images."""
    ahead, behind = points(1e-9, 1e-2), points(1e-9, 1e-2 * 10**0.1, seed=1)
    worth = comparison(ahead, behind, names=("a", "b")).worth
    assert worth is not None and worth.better == "a"
    assert worth.needed.low < 1000 * 10**0.2 < worth.needed.high
    assert worth.needed.median == pytest.approx(1000 * 10**0.2, rel=0.15)
    assert "b needs about" in worth.sentence


def test_pairs_cancel_what_runs_share() -> None:
    one, other = points(2e-3, 2e-3, shared=4.0), points(1.9e-3, 2e-3, seed=1, shared=4.0)
    paired = comparison(one, other).differences
    loose = comparison(one, Points(other.n, other.y, other.seed + 10, metric="psnr", unit="images")).differences
    assert all(item.pairs == 3 for item in paired) and all(item.pairs == 0 for item in loose)
    width = lambda item: item.high - item.low  # noqa: E731
    assert np.mean([width(d) for d in paired]) < 0.5 * np.mean([width(d) for d in loose])


def test_without_a_common_n_there_are_no_differences() -> None:
    one = points(2e-3, 2e-3)
    other = Points(one.n * 1.5, one.y, one.seed, metric="psnr", unit="images")
    made = comparison(one, other)
    assert made.differences == () and made.worth is None


def test_methods_in_other_metrics() -> None:
    one = points(2e-3, 2e-3)
    with pytest.raises(UserError, match="found metric 'psnr' and 'ssim'"):
        comparison(one, Points(one.n, np.full(len(one), 0.9), metric="ssim", unit="images"))


@pytest.mark.parametrize(("first", "second", "fine"), [
    ("training images", "images", True), ("photographs", "training images", True),
    ("training images", "patients", False), ("images", "photographs", False),
])  # fmt: skip
def test_what_n_counts_must_be_the_same(first: str, second: str, fine: bool) -> None:
    one, other = replace(points(2e-3, 2e-3), unit=first), replace(points(1e-3, 3e-3), unit=second)
    if fine:
        assert comparison(one, other).differences
    else:
        with pytest.raises(UserError, match=f"found unit '{first}' and '{second}'"):
            comparison(one, other)


class TestExchange:
    def test_images(self) -> None:
        """d dB / d ln n = 5 / ln 10 for an error of n^-0.5: 0.1 dB is a factor 10^0.02."""
        found = {item.what: item for item in exchanges(points(1e-9, 1e-2))}
        assert found["n"].factor.median == pytest.approx(10**0.02, rel=0.02)
        assert set(found) == {"n"}

    def test_parameters(self) -> None:
        """An error of width^-0.1 = p^-0.05: 0.1 dB is a factor 10^0.2."""
        two = {item.what: item for item in exchanges(points(1e-9, 1e-2, widths=(8, 16)))}
        assert "straight line" in two["p"].basis
        assert two["p"].factor.low < 10**0.2 < two["p"].factor.high
        many = {item.what: item for item in exchanges(points(1e-9, 1e-2, widths=(8, 16, 32, 64)))}
        assert "surface" in many["p"].basis
        assert many["p"].factor.low < 10**0.2 < many["p"].factor.high

    def test_noise(self) -> None:
        """A PSNR of -20 log10(sigma): 0.1 dB is 1.14 % less noise."""
        rows = tuple(tuple(30 + s - 20 * math.log10(sigma) for sigma in (20, 25, 30)) for s in (0.0, 0.1, 0.2))
        found = exchanges(points(1e-9, 1e-2), NoiseLevel((20.0, 25.0, 30.0), rows, 25.0))
        assert found[-1].what == "sigma" and found[-1].factor.median == pytest.approx(10**-0.005, rel=1e-6)
        upward = exchanges(points(1e-9, 1e-2), NoiseLevel((25.0, 30.0), tuple(row[1:] for row in rows), 25.0))
        assert upward[-1].factor.median == pytest.approx(10**-0.005, rel=1e-6)
        sentence = exchange_sentence(found, "slices")
        assert sentence.startswith("+0.1 dB = 1.05 times the slices") and "1.1 % less noise" in sentence

    def test_nothing_helps(self) -> None:
        flat = points(1e-3, 0.0)
        found = exchanges(flat)[0]
        assert found.factor.never > 0.3 and "no number of images" in exchange_sentence([found])
        assert exchange_sentence([]) == ""


def test_a_curve_is_not_compared_with_itself():
    points = Points(n=[10, 30, 100, 300], y=[26.0, 27.0, 27.8, 28.1], metric="psnr")
    with pytest.raises(UserError, match="hold the same points"):
        comparison(points, points)
