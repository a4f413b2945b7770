"""What more of one thing adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.decisions.ahead import DRAWS, Ahead, surface_of
from reconscale.laws.frontier import best_dial
from reconscale.laws.levels import Levels, image_shift, levels, resample
from reconscale.laws.points import METRICS, Points
from reconscale.laws.posterior.posterior import MOST_LEVELS
from reconscale.laws.posterior.stacking import stack
from reconscale.laws.surfaces.cells import LEAST_CELLS, LEAST_SIZES

Floats = NDArray[np.float64]

LEAST_P = 3
"""Sizes of network at one n from which on a curve along p is drawn."""


@dataclass(frozen=True)
class Gain:
    """What more of one thing is expected to add.

    Attributes:
        median: expected gain, in dB (or SSIM); above 0 is better.
        low: 5 % quantile.
        high: 95 % quantile.
        probability: chance that the gain is larger than worthwhile.
        factor: by how much n, or p, is multiplied.
    """

    median: float
    low: float
    high: float
    probability: float
    factor: float = 2.0


def gains_n(told: Ahead, metric: str, worthwhile: float, factors: tuple[float, ...]) -> list[Gain]:
    """What each factor of n adds to the largest n, coherently."""
    places = told.last + np.log(np.array([1.0, *factors]))
    error = np.exp(told.curves(places))
    return [_gain(error[:, 0], error[:, k + 1], metric, worthwhile, factor) for k, factor in enumerate(factors)]


def gain_p(points: Points, best: Points, worthwhile: float, seed: int) -> tuple[float | None, Gain | None, str]:
    """What twice the parameters add at the largest n.

    Where the doubled network lies between measured ones, the measured ones say; else the surface over n and p where
    there are enough cells, else a curve along p.

    Args:
        points: all runs.
        best: the runs of the network chosen at each n.
        worthwhile: the smallest gain worth paying for.
        seed: of all draws.

    Returns:
        p of the network chosen at the largest n, or None; the gain, or None where fewer than three sizes of network
        were measured there and there is no surface; and what it rests on: ``measured``, ``surface``, ``curve``, or
        nothing.
    """
    if points.p is None or best.p is None:
        return None, None, ""
    last = float(best.n.max())
    p = float(np.median(best.p[best.n == last]))
    there = points.rows(points.n == last)
    many = 0 if there.p is None else len(np.unique(there.p))
    if many >= LEAST_P and there.p is not None:
        chosen = best_dial(there, there.p, last)
        along = _along_p(there)
        x = np.log([chosen, 2.0 * chosen])
        if x[1] <= along.x[-1]:
            rng = np.random.default_rng((seed, 6))
            z = along.z + resample(along, DRAWS, rng, images=True)[0]
            error = np.exp(np.stack([np.interp(x, along.x, row) for row in z]))
            return p, _gain(error[:, 0], error[:, 1], points.metric, worthwhile), "measured"
        if not has_surface(points):
            told = Ahead(stack(along, np.random.default_rng((seed, 7))), (seed, 8), (seed, 2))
            error = np.exp(told.curves(x))
            return p, _gain(error[:, 0], error[:, 1], points.metric, worthwhile), "curve"
    if has_surface(points):
        return p, _from_surface(points, there, (last, p), worthwhile, seed), "surface"
    return p, None, ""


def has_surface(points: Points) -> bool:
    """Whether there are enough cells (n, p) for a surface."""
    if points.p is None:
        return False
    cells = np.unique(np.stack([points.n, points.p], axis=1), axis=0)
    distinct = min(len(np.unique(column)) for column in cells.T)
    return distinct >= LEAST_SIZES and len(cells) >= LEAST_CELLS


def _from_surface(points: Points, there: Points, at: tuple[float, float], worthwhile: float, seed: int) -> Gain:
    """Test images are drawn again as far as the networks at the largest n say how they differ between images."""
    n, p = at
    drawn = surface_of(points, seed).log_error([n, n], [p, 2.0 * p])
    if there.images is not None and there.p is not None and len(np.unique(there.p)) >= LEAST_P:
        rng = np.random.default_rng((seed, 2))
        drawn = drawn + image_shift(_along_p(there), np.log([p, 2.0 * p]), len(drawn), rng)
    error = np.exp(drawn)
    return _gain(error[:, 0], error[:, 1], points.metric, worthwhile)


def _along_p(there: Points) -> Levels:
    """The runs at one n as a curve over p."""
    assert there.p is not None
    along = Points(there.p, there.y, there.seed, metric=there.metric, images=there.images)
    return levels(along, MOST_LEVELS)


def _gain(before: Floats, after: Floats, metric: str, worthwhile: float, factor: float = 2.0) -> Gain:
    """From errors (D,) before and after."""
    gains = METRICS[metric].gain(before, after)
    low, median, high = np.quantile(gains, [0.05, 0.5, 0.95]).tolist()
    return Gain(median, low, high, float((gains > worthwhile).mean()), factor)
