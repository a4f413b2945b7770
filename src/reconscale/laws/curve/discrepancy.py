"""Noise and model discrepancy of a curve.

DiscrepancyGP of ln(error) are Gaussian with covariance

    noise^2 / runs  +  rough^2 * matern(|u - u'| / length)

where the noise is known from replicates up to a factor, or unknown, and everything else is unknown. A few dozen
combinations, evenly spread over their prior, stand for all of them: each is whitened once, and the likelihood is
the mean over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import logsumexp

from reconscale.arrays import Floats
from reconscale.laws.inference import smc

FEW = 7
"""Up to this many sizes a curve counts as one of few."""


@dataclass(frozen=True)
class NoisePrior:
    """What is believed about departures beforehand; all are log normal.

    Attributes:
        noise, noise_sd: noise of one measurement that was never repeated, in ln(error).
        noise_of_few: the same where there are few sizes (each a training of its own, not a checkpoint among many).
        known_sd: log spread of the factor by which noise known from replicates is wrong.
        rough, rough_sd: departure of the truth from the family, as a part of the curve's whole change of ln(error).
        length, length_sd: over what ln n the departure persists.
        count: combinations.
    """

    noise: float = 0.008
    noise_of_few: float = 0.015
    noise_sd: float = 1.0
    known_sd: float = 0.15
    rough: float = 0.018
    rough_sd: float = 0.9
    length: float = 1.6
    length_sd: float = 0.6
    count: int = 24


@dataclass(frozen=True, eq=False)
class DiscrepancyGP:
    """J combinations of noise and roughness for K levels.

    Attributes:
        u: (K,) where the levels are.
        noise: (J,) noise of one measurement where no replicates say so, else the factor of the known one.
        rough, length: (J,).
        factor: (J, K, K) lower Cholesky factors of the covariance.
    """

    u: Floats
    noise: Floats
    rough: Floats
    length: Floats
    factor: Floats

    def until(self, last: int) -> DiscrepancyGP:
        """Of the first ``last`` levels alone."""
        return replace(self, u=self.u[:last], factor=self.factor[:, :last, :last])

    def likelihood(self, cuts: tuple[int, ...]) -> Callable[[Floats], Floats]:
        """The log likelihoods (D, S, J) of the first ``cuts[s]`` levels, the curve's own level integrated out, as a
        function of the residuals (D, K), ln(error) less the curve.

        A residual's square in the metric of each combination is one product of its K (K + 1) / 2 pairs with a matrix.
        """
        levels, many = len(self.u), len(self.noise)
        row, column = np.tril_indices(levels)
        forms = np.zeros((len(row), len(cuts), many))
        constant = np.empty((len(cuts), many))
        for s, cut in enumerate(cuts):
            part = self.factor[:, :cut, :cut]
            white = np.linalg.inv(part)
            precision = np.swapaxes(white, 1, 2) @ white
            along = precision.sum(axis=2)
            whole = along.sum(axis=1)
            precision = precision - along[:, :, None] * along[:, None, :] / whole[:, None, None]
            full = np.zeros((many, levels, levels))
            full[:, :cut, :cut] = precision
            forms[:, s] = (full[:, row, column] * np.where(row == column, 1.0, 2.0)).T
            constant[s] = -np.log(np.diagonal(part, axis1=1, axis2=2)).sum(axis=1) - 0.5 * np.log(whole)
        flat = forms.reshape(len(row), -1)

        def of(residual: Floats) -> Floats:
            square = (residual[:, row] * residual[:, column]) @ flat
            return np.asarray(constant - 0.5 * square.reshape(-1, len(cuts), many))

        return of


def build_discrepancy(u: Floats, variance: Floats, change: float, known: bool, belief: NoisePrior) -> DiscrepancyGP:
    """The covariance of the levels in every combination.

    Args:
        u: (K,) ln(n / largest n), ascending.
        variance: (K,) variance of the level means that replicates explain, or 1 / runs where there are none.
        change: size of the curve's whole change of ln(error).
        known: whether replicates say what the noise is.
        belief: the prior.
    """
    draws = smc.normal_sequence(belief.count, 3)
    single = (belief.noise_of_few if len(u) <= FEW else belief.noise) * np.exp(belief.noise_sd * draws[:, 0])
    noise = np.exp(belief.known_sd * draws[:, 0]) if known else single
    rough = change * belief.rough * np.exp(belief.rough_sd * draws[:, 1])
    length = belief.length * np.exp(belief.length_sd * draws[:, 2])
    covariance = rough[:, None, None] ** 2 * matern(u, u, length)
    covariance += noise[:, None, None] ** 2 * np.diag(variance) + 1e-12 * np.eye(len(u))
    return DiscrepancyGP(u, noise, rough, length, np.asarray(np.linalg.cholesky(covariance), dtype=np.float64))


def matern(u: Floats, other: Floats, length: Floats) -> Floats:
    """(J, N, M) Matern 3/2 correlation of curves at u (N,) and other (M,), for each length (J,)."""
    away = np.sqrt(3.0) * np.abs(u[:, None] - other[None, :]) / length[:, None, None]
    return np.asarray((1.0 + away) * np.exp(-away))


def predict(parts: DiscrepancyGP, j: int, residual: Floats, ahead: Floats) -> tuple[Floats, Floats]:
    """What combination j expects of ln(error) less the curve at u = ahead (M,), having seen ``residual`` (D, K).

    Returns:
        (D, M) mean, and a root (M, M) of the covariance, of level and departure together; without noise.
    """
    seen, length = parts.factor[j], parts.length[j : j + 1]
    cross = parts.rough[j] ** 2 * matern(parts.u, ahead, length)[0]
    weight = cho_solve((seen, True), cross)
    along = cho_solve((seen, True), np.ones(len(parts.u)))
    level = residual @ along / along.sum()
    mean = level[:, None] + (residual - level[:, None]) @ weight
    half = solve_triangular(seen, cross, lower=True)
    free = 1.0 - weight.sum(0)
    own = parts.rough[j] ** 2 * matern(ahead, ahead, length)[0]
    values, vectors = np.linalg.eigh(own - half.T @ half + np.outer(free, free) / along.sum())
    return mean, np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def marginalise(logs: Floats) -> Floats:
    """(D, S) from (D, S, J): the mean likelihood over the combinations."""
    return np.asarray(logsumexp(logs, axis=2) - np.log(logs.shape[2]))
