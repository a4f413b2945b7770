"""What doubling n, or p, is expected to gain, and what the last step of the grid of networks gained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.curve.ensemble import fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.width_levels import sample_levels
from reconscale.laws.grouping import SizeMeans, group_by_size, image_bootstrap_shift
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.surface import Surface
from reconscale.laws.width_selection import best_widths

LEAST_P = 3
"""Sizes of network at one n from which on a curve along p is drawn."""


@dataclass(frozen=True)
class Gain:
    """What more of one thing is expected to add.

    Attributes:
        median: expected gain, in the metric's unit of gains; above 0 is better.
        low: 5 % quantile.
        high: 95 % quantile.
        probability: chance that the gain is larger than worthwhile.
        factor: by how much n, p, or the number of steps is multiplied.
    """

    median: float
    low: float
    high: float
    probability: float
    factor: float = 2.0


def gains_n(curve: CurvePosterior, worthwhile: float, factors: tuple[float, ...]) -> list[Gain]:
    """What each factor of n adds to the largest n: what the curve, and the surface where there is one, say of it."""
    places, metric = curve.last + np.log(np.array([1.0, *factors])), curve.points.metric
    error = np.exp(curve.draw(places))
    return [gain_between(error[:, 0], error[:, k + 1], metric, worthwhile, factor) for k, factor in enumerate(factors)]


def gain_p(curve: CurvePosterior, worthwhile: float) -> tuple[Gain | None, str]:
    """What twice the parameters add at the largest n.

    Where the doubled network lies between measured ones, the measured ones say; else the surface over n and p where
    there are enough cells, else a curve along p.

    Args:
        curve: the curve over n, of the network chosen at each n.
        worthwhile: the smallest gain worth paying for.

    Returns:
        The gain, or None where fewer than three sizes of network were measured there and there is no surface; and what
        it rests on: ``measured``, ``surface``, ``curve``, or nothing.
    """
    points, p = curve.points, curve.p
    if p is None:
        return None, ""
    there = points.rows(points.n == curve.largest)
    assert there.p is not None
    many = len(np.unique(there.p)) >= LEAST_P
    x = np.log(best_widths(there, there.p, curve.largest) * np.array([1.0, 2.0]))
    if many and x[1] <= np.log(there.p.max()):
        return _from_measured(there, x, worthwhile, curve.seed), "measured"
    if curve.surface is not None:
        return _from_surface(curve.surface, there, (curve.largest, p), worthwhile, curve.seed), "surface"
    return (_from_curve(there, x, worthwhile, curve.seed), "curve") if many else (None, "")


def _from_measured(there: Points, x: Floats, worthwhile: float, seed: int) -> Gain:
    """Between networks measured at the largest n, however lucky the selected one was; x: ln p before and after."""
    along = group_along_p(there)
    z = sample_levels(along, DRAWS, np.random.default_rng((seed, 6)))
    z = z + image_bootstrap_shift(along, along.x, DRAWS, np.random.default_rng((seed, 2)))
    error = np.exp(np.stack([np.interp(x, along.x, row) for row in z]))
    return gain_between(error[:, 0], error[:, 1], there.metric, worthwhile)


def _from_curve(there: Points, x: Floats, worthwhile: float, seed: int) -> Gain:
    """From a curve over p at the largest n; x: ln p before and after."""
    rng = np.random.default_rng((seed, 7))
    curve = CurvePosterior(there, fit_ensemble(group_along_p(there), rng), seed, (seed, 8), (seed, 2), rng)
    error = np.exp(curve.draw(x))
    return gain_between(error[:, 0], error[:, 1], there.metric, worthwhile)


def _from_surface(surface: Surface, there: Points, at: tuple[float, float], worthwhile: float, seed: int) -> Gain:
    """Test images are drawn again as far as the networks at the largest n say how they differ between images."""
    n, p = at
    drawn = surface.log_error([n, n], [p, 2.0 * p])
    if there.images is not None and there.p is not None and len(np.unique(there.p)) >= LEAST_P:
        rng = np.random.default_rng((seed, 2))
        drawn = drawn + image_bootstrap_shift(group_along_p(there), np.log([p, 2.0 * p]), len(drawn), rng)
    error = np.exp(drawn)
    return gain_between(error[:, 0], error[:, 1], there.metric, worthwhile)


def last_step(curve: CurvePosterior, worthwhile: float) -> Gain | None:
    """What a doubling of p gained between the two largest networks at the largest n, if the larger one was selected.

    From the surface over n and p where there is one, so that all n count; else from the networks at the largest n.
    A step of another size than 2 is spread evenly over its doublings.

    Args:
        curve: the curve over n, of the network chosen at each n.
        worthwhile: the smallest gain worth paying for.

    Returns:
        The gain of the step, or None where the selected network is not the largest of two or more.
    """
    points, p = curve.points, curve.p
    if p is None:
        return None
    there = points.rows(points.n == curve.largest)
    assert there.p is not None
    tried = np.unique(there.p)
    if len(tried) < 2 or best_widths(there, there.p, curve.largest) < tried[-1]:
        return None
    before, after = float(tried[-2]), float(tried[-1])
    if curve.surface is not None:
        error = np.exp(curve.surface.log_error([curve.largest] * 2, [before, after]))
    else:
        error = np.exp(sample_levels(group_along_p(there), DRAWS, np.random.default_rng((curve.seed, 6)))[:, -2:])
    doublings = float(np.log2(after / before))
    gains = METRICS[points.metric].gain(error[:, 0], error[:, 1]) / doublings
    return _summary(gains, worthwhile, 2.0)


def group_along_p(there: Points) -> SizeMeans:
    """The runs at one n as a curve over p; with few seeds a run far from the others is no reason to leave it out."""
    assert there.p is not None
    along = Points(there.p, there.y, there.seed, metric=there.metric, images=there.images)
    return group_by_size(along, MOST_LEVELS, outliers=False)


def gain_between(before: Floats, after: Floats, metric: str, worthwhile: float, factor: float = 2.0) -> Gain:
    """From errors (D,) before and after."""
    return _summary(METRICS[metric].gain(before, after), worthwhile, factor)


def _summary(gains: Floats, worthwhile: float, factor: float) -> Gain:
    """From gains (D,)."""
    low, median, high = np.quantile(gains, [0.05, 0.5, 0.95]).tolist()
    return Gain(median, low, high, float((gains > worthwhile).mean()), factor)
