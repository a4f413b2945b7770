"""When more steps stop to help: the number of steps at which runs begin to overfit, over n and p."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from reconscale.arrays import Floats
from reconscale.laws.steps.trainings import Trainings


@dataclass(frozen=True)
class EndingPrior:
    """What is believed of ln(steps at which a run ends) before any data.

    Chosen as :class:`.rates.RatePrior`.

    Attributes:
        level: at the largest n and p, above ln(the most steps that were tried at that n).
        level_sd: its standard deviation.
        n: slope along ln n; 1 would be after as many passes over the images at every n.
        n_sd: its standard deviation.
        p: slope along ln p.
        p_sd: its standard deviation.
        spread: of single runs.
        spread_sd: standard deviation of its logarithm.
    """

    level: float = 1.0
    level_sd: float = 1.2
    n: float = 0.8
    n_sd: float = 0.15
    p: float = -0.3
    p_sd: float = 0.3
    spread: float = 0.3
    spread_sd: float = 0.4


PRIOR = EndingPrior()
PROPOSED, TAILS = 1.3, 6.0
"""The proposal is that much wider than the normal approximation, and has Student's tails with these degrees of
freedom."""
PER_DRAW = 4
"""Proposals for each draw that is kept."""
STEP = 0.05
"""Of a prior standard deviation: over this much the second derivatives are taken."""
LEAST = 1e-12
"""Probabilities below are this."""


@dataclass(frozen=True, eq=False)
class Endings:
    """D draws of where runs end: ln(steps) = level + n ln n + p ln p + spread times a normal number of the run.

    Attributes:
        draws: (D, 4) level, slopes along ln n and ln p, and ln(spread), at the centre of the runs.
    """

    draws: Floats
    _centre: Floats

    @property
    def spread(self) -> Floats:
        """(D,) standard deviation of ln(steps) between runs of one n and p."""
        return np.exp(self.draws[:, 3])

    def expected(self, n: Floats | float, p: Floats | float) -> Floats:
        """(D, N) ln of the steps at which runs of n and p (N,) are expected to end."""
        x, y = (np.atleast_1d(np.log(v)) - c for v, c in zip((n, p), self._centre, strict=True))
        return np.asarray(self.draws[:, :1] + self.draws[:, 1:2] * x + self.draws[:, 2:3] * y)

    def hazard(self, n: float, p: float, start: float, end: float) -> Floats:
        """(D,) chance that a run that has not ended at log2(steps) = start has at log2(steps) = end.

        A start of minus infinity: that a run of which nothing is known has.
        """
        away = (np.log(2.0) * np.array([start, end]) - self.expected(n, p)) / self.spread[:, None]
        before, after = log_ndtr(-away).T
        return np.asarray(-np.expm1(np.minimum(after - before, 0.0)))


def infer_endings(known: Trainings, draws: int, rng: np.random.Generator, prior: EndingPrior = PRIOR) -> Endings:
    """The posterior by importance sampling about its mode.

    A run that has ended did so in its last doubling, one that has not will after it (Kalbfleisch and Prentice 2002,
    The Statistical Analysis of Failure Time Data, chapter 3: interval and right censoring).
    """
    x, y, high = np.log(known.n), np.log(known.p), np.log(2.0) * known.last
    low = np.log(2.0) * known.start[known.final]
    centre = np.array([x.max(), y.max()])
    mean = np.array([high[x == x.max()].max() + prior.level, prior.n, prior.p, np.log(prior.spread)])
    scale = np.array([prior.level_sd, prior.n_sd, prior.p_sd, prior.spread_sd])
    design = np.stack([np.ones_like(x), x - centre[0], y - centre[1]])

    def log_posterior(value: Floats) -> Floats:
        spread, expected = np.exp(value[:, 3:]), value[:, :3] @ design
        after, before = log_ndtr(-(high - expected) / spread), log_ndtr(-(low - expected) / spread)
        within = before + np.log(np.maximum(-np.expm1(np.minimum(after - before, 0.0)), LEAST))
        return np.asarray(np.where(known.ended, within, after).sum(1) - 0.5 * (((value - mean) / scale) ** 2).sum(1))

    mode = minimize(lambda value: -float(log_posterior(value[None])[0]), mean, method="L-BFGS-B").x
    root = PROPOSED * np.linalg.cholesky(_covariance(log_posterior, mode, scale))
    z = rng.standard_normal((PER_DRAW * draws, 4)) / np.sqrt(rng.chisquare(TAILS, (PER_DRAW * draws, 1)) / TAILS)
    value = mode + z @ root.T
    log_weight = log_posterior(value) + 0.5 * (TAILS + 4.0) * np.log1p((z**2).sum(1) / TAILS)
    weight = np.exp(log_weight - log_weight.max())
    return Endings(value[rng.choice(len(value), draws, p=weight / weight.sum())], centre)


def _covariance(log_density: Callable[[Floats], Floats], mode: Floats, scale: Floats) -> Floats:
    """Inverse of the negative Hessian at the mode, by differences; no direction is wider than the prior."""
    step = STEP * np.diag(scale)
    ahead = mode + step[:, None] + step[None], mode + step[:, None] - step[None]
    behind = mode - step[:, None] + step[None], mode - step[:, None] - step[None]
    corners = [log_density(part.reshape(-1, 4)).reshape(4, 4) for part in (*ahead, *behind)]
    bent = -(corners[0] - corners[1] - corners[2] + corners[3]) / (4.0 * STEP**2)  # in prior standard deviations
    values, vectors = np.linalg.eigh(0.5 * (bent + bent.T))
    return np.asarray(np.outer(scale, scale) * (vectors / np.maximum(values, 1.0) @ vectors.T))
