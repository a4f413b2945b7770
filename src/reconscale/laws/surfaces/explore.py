"""From a prior to a narrow posterior in few steps: find about where it lies, then let the sampler start there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.posterior.smc import Cloud, carried

Floats = NDArray[np.float64]
LogLikelihood = Callable[[Floats], Floats]

ROUNDS = 8
"""At most so many rounds of looking."""
LEAST = 0.15
"""A round goes as far from the last normal distribution towards the posterior as leaves this share effective."""
GOOD = 0.3
"""Looking ends when this share of the draws is effective for the posterior itself."""
WIDER = 1.3
"""A normal distribution is made wider than what was found, in each direction."""
MOVES = 5
"""Moves of every draw after each step of the sampler."""


def reference(log_likelihood: LogLikelihood, unit: Floats, mean: Floats, root: Floats) -> tuple[Floats, Floats, float]:
    """A normal distribution that covers the posterior.

    Adaptive importance sampling: draw, weigh, take the moments of the weighted draws, again; the weights are tempered
    while few draws carry them. Source: Cappé, Guillin, Marin, Robert, Population Monte Carlo (2004).

    Args:
        log_likelihood: (D,) of parameters (D, Q) that are standard normal a priori.
        unit: (D, Q) standard normal draws, used in every round.
        mean: (Q,) where to begin.
        root: (Q, Q) root of the covariance to begin with.

    Returns:
        mean, root, and the importance-sampling estimate of the log evidence.
    """
    evidence = -np.inf
    for _ in range(ROUNDS):
        v = mean + unit @ root.T
        logs = log_likelihood(v) + _ratio(unit, v, root)
        evidence = _log_mean(logs)
        heat, effective = _heat(logs)
        weight = np.exp(heat * (logs - logs.max()))
        weight /= weight.sum()
        mean = weight @ v
        away = v - mean
        root = WIDER * np.linalg.cholesky((weight[:, None] * away).T @ away + 1e-10 * np.eye(len(mean)))
        if effective > GOOD:
            break
    return mean, root, evidence


def posterior(
    log_likelihood: LogLikelihood, mean: Floats, root: Floats, unit: Floats, rng: np.random.Generator
) -> Cloud:
    """The posterior's cloud: the sampler, started from the normal distribution of :func:`reference`.

    In that distribution's own coordinates the target is the same if the likelihood is multiplied by prior over
    reference; so is the evidence.
    """

    def stages(w: Floats) -> Floats:
        v = mean + w @ root.T
        return (log_likelihood(v) + _ratio(w, v, root))[:, None]

    cloud = carried(stages, unit, rng, moves=MOVES)[-1]
    return Cloud(mean + cloud.v @ root.T, cloud.log_evidence)


def _ratio(w: Floats, v: Floats, root: Floats) -> Floats:
    """(D,) ln of the prior's density at v over the reference's."""
    return np.asarray(0.5 * (w**2 - v**2).sum(1) + np.log(np.abs(np.diag(root))).sum())


def _heat(logs: Floats) -> tuple[float, float]:
    """The largest power of the weights, 1 at most, that leaves the share ``LEAST`` effective; the share at 1."""

    def effective(heat: float) -> float:
        weight = np.exp(heat * (logs - logs.max()))
        return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))

    whole = effective(1.0)
    if whole >= LEAST:
        return 1.0, whole
    low, high = 0.0, 1.0
    for _ in range(25):
        middle = 0.5 * (low + high) if low else 0.1 * high
        low, high = (middle, high) if effective(middle) >= LEAST else (low, middle)
    return low, whole


def _log_mean(logs: Floats) -> float:
    return float(np.log(np.exp(logs - logs.max()).mean()) + logs.max())
