"""What ``benchmarks/learn_prior.py`` rests on: evidence under another prior from draws that were made under one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from curves import Curve
from learn_prior import Evidence, Known, holds, learn, rounded
from reconscale.laws.curve.posterior import infer_posterior
from reconscale.laws.curve.prior import GROUPS, MANY, Belief, read_beliefs
from reconscale.laws.grouping import group_by_size
from whole_curves import NAMES, belief_at, broadened, coordinates_of, draw_whole

START = read_beliefs()
OTHER = GROUPS[1]


def simulated(index: int, sizes: int = 5, floor: float = 0.3, noise: float = 0.01) -> Curve:
    rng = np.random.default_rng(index)
    n = 100.0 * 3.0 ** np.arange(sizes + 2)
    y = (floor + (1 - floor) * (n / n[-1]) ** -0.5) * np.exp(noise * rng.standard_normal(len(n)))
    return Curve("sim", str(index), str(index), n[:-2], y[:-2], None, n[-2:], y[-2:], np.zeros(2))


def known(group: str, count: int, sizes: int, **more: float) -> list[Known]:
    curves = [simulated(index, sizes, **more) for index in range(count)]
    draws = [draw_whole(curve, broadened(START[group])) for curve in curves]
    return [Known(group, f"set {i % 2}", c, d) for i, (c, d) in enumerate(zip(curves, draws, strict=True))]


@pytest.mark.parametrize(("group", "sizes"), [(OTHER, 4), (MANY, 9), (MANY, 13)])
def test_slopes_are_those_of_finite_differences(group: str, sizes: int) -> None:
    evidence, like = Evidence(known(group, 1, sizes), START[OTHER]), START[group]
    place = coordinates_of(like)
    _, slope = evidence.at(place, like)
    for index, name in enumerate(NAMES):
        if name in ("before", "after") or (name == "second" and not like.curve.second):
            continue  # their edges cut draws off
        step = 1e-4 * np.eye(len(place))[index]
        ends = [evidence.at(place + sign * step, like)[0][0] for sign in (1, -1)]
        assert slope[0, index] == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-3, abs=1e-5), name


def test_evidence_from_draws_is_that_of_the_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what was seen: the evidence of another belief over that of the start, by ratios and by sampling again."""
    from reconscale.laws.curve import posterior

    items, like = known(OTHER, 4, 5), START[OTHER]
    other = Belief(replace(like.curve, exponent=0.3, floor=0.6, kinds=(0.1, 0.7, 0.1, 0.1)), like.noise)
    sampled = np.empty((2, len(items)))
    for row, belief in zip(sampled, (like, other), strict=True):
        beliefs = {**START, OTHER: Belief(belief.curve, replace(belief.noise, count=96))}
        monkeypatch.setattr(posterior, "read_beliefs", lambda beliefs=beliefs: beliefs)
        for index, item in enumerate(items):
            level = group_by_size(item.curve.points)
            row[index] = infer_posterior(level, rng=np.random.default_rng(0)).log_evidence
    evidence = Evidence(items, like)
    evidence.parts = [part for part in evidence.parts if part[-1] < 0]  # the seen sizes, which count negatively
    ratios = [-evidence.at(coordinates_of(belief), like)[0] for belief in (like, other)]
    by_ratio, by_sampler = (ratios[1] - ratios[0]).mean(), (sampled[1] - sampled[0]).mean()
    assert by_ratio == pytest.approx(by_sampler, abs=0.15)
    assert abs(by_sampler) > 0.3


def test_coordinates_there_and_back() -> None:
    for group in GROUPS:
        back = belief_at(coordinates_of(START[group]), START[group])
        assert rounded(back) == rounded(START[group])


def test_noisy_curves_teach_more_noise_and_the_same_bits_twice() -> None:
    curves = known(OTHER, 6, 5, noise=0.1)
    first = learn(curves, START, OTHER, 1.0)
    assert first.noise.noise > 1.1 * START[OTHER].noise.noise
    assert learn(curves, START, OTHER, 1.0) == first
    left_out = learn(curves, START, OTHER, 1.0, without="set 0")
    assert left_out != first
    assert learn([item for item in curves if item.data_set == "set 1"], START, OTHER, 1.0) == left_out


def test_what_holds() -> None:
    before = {"a": {"crps": 1.0, "density": 0.0}, "b": {"crps": 1.0, "density": 0.0}}

    def after(a: float, b: float, density: float = 0.1) -> float:
        return holds(before, {"a": {"crps": a, "density": density}, "b": {"crps": b, "density": density}})

    assert after(0.9, 0.9) == pytest.approx(np.log(0.9))
    assert after(0.999, 0.999) == after(0.5, 1.03) == after(0.9, 0.9, -0.1) == np.inf
