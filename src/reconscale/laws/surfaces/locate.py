"""Where a posterior peaks and how wide it is there: many descents at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.surfaces.noise import Noise

Floats = NDArray[np.float64]
Residual = Callable[[Floats], Floats]
"""From parameters (D, Q), standard normal a priori, to the residuals of the cell means (D, K), of unknown level."""

FIRST, ROUNDS = 7, 24
"""Rounds of all descents, and then of the best quarter of them."""
ENOUGH = 1e-4
"""A descent that gains less than so many nats in a round has arrived."""
STEP = 1e-5


def peak(residual: Residual, noise: Noise, starts: Floats) -> tuple[Floats, Floats]:
    """Descend from all ``starts`` (S, Q) and keep the best.

    Levenberg-Marquardt on the weighted residuals and the prior. The weights are the mean inverse variances given
    the residuals, so that the slope is that of the likelihood summed over the noise's scales.

    Returns:
        v (Q,) at the peak, and a root (Q, Q) of the inverse of the curvature there.
    """
    v, cost = _descended(residual, noise, starts, FIRST)
    best = cost.argsort(kind="stable")[: max(1, len(v) // 4)]
    v, cost = _descended(residual, noise, v[best], ROUNDS)
    best = v[cost.argmin()]
    curvature = _slope(residual, noise, best[None])[1][0]
    return best, np.linalg.cholesky(np.linalg.inv(curvature))


def _descended(residual: Residual, noise: Noise, v: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Where the rows of v (S, Q) come to in so many rounds, each with its own damping, and their costs (S,)."""
    cost = _cost(residual, noise, v)
    damping = np.full((len(v), 1, 1), 1e-2)
    eye = np.eye(v.shape[1])
    for _ in range(rounds):
        slope, curvature = _slope(residual, noise, v)
        ridge = damping * (curvature * eye) + 1e-12 * eye
        step = np.linalg.solve(curvature + ridge, slope[..., None])[..., 0]
        there = v - np.clip(step, -2.0, 2.0)
        new = _cost(residual, noise, there)
        better = new < cost
        enough = cost - np.where(better, new, cost) < ENOUGH
        v, cost = np.where(better[:, None], there, v), np.where(better, new, cost)
        damping = np.clip(np.where(better[:, None, None], damping / 6.0, damping * 6.0), 1e-8, 1e8)
        if (enough & (better | (damping[:, 0, 0] > 1e2))).all():
            break
    return v, cost


def _cost(residual: Residual, noise: Noise, v: Floats) -> Floats:
    cost = 0.5 * (v**2).sum(1) - noise.log_likelihood(residual(v))
    return np.where(np.isfinite(cost), cost, np.inf)


def _slope(residual: Residual, noise: Noise, v: Floats) -> tuple[Floats, Floats]:
    """Slope (S, Q) of the cost and its Gauss-Newton curvature (S, Q, Q)."""
    count, dimensions = v.shape
    moved = np.concatenate([v[None], v + STEP * np.eye(dimensions)[:, None, :]]).reshape(-1, dimensions)
    here = residual(moved).reshape(dimensions + 1, count, -1)
    weight = noise.mean_weight(here[0])
    independent = noise.turned(here.reshape(-1, here.shape[-1])).reshape(here.shape)
    one = noise.turned(np.ones((1, here.shape[-1])))
    independent = independent - one * ((weight * one * independent).sum(-1) / (weight * one**2).sum(-1))[..., None]
    change = (independent[1:] - independent[0]) / STEP
    slope = np.einsum("qsk,sk,sk->sq", change, weight, independent[0]) + v
    curvature = np.einsum("qsk,sk,rsk->sqr", change, weight, change) + np.eye(dimensions)
    return slope, curvature
