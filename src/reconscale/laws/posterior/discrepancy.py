"""How measured errors depart from a curve: noise, and what no curve of the family can follow.

Departures of ln(error) are Gaussian with covariance

    noise^2 / runs  +  rough^2 * matern(|u - u'| / length)

where the noise is known from replicates up to a factor, or unknown, and everything else is unknown. A few dozen
combinations, evenly spread over their prior, stand for all of them: each is whitened once, and the likelihood is
the mean over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import logsumexp

from reconscale.laws.posterior.even import even

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Belief:
    """What is believed about departures beforehand; all are log normal.

    Attributes:
        noise, noise_sd: noise of one measurement that was never repeated, in ln(error).
        known_sd: log spread of the factor by which noise known from replicates is wrong.
        rough, rough_sd: departure of the truth from the family, as a part of the curve's whole change of ln(error).
        length, length_sd: over what ln n the departure persists.
        count: combinations.
    """

    noise: float = 0.007
    noise_sd: float = 1.0
    known_sd: float = 0.15
    rough: float = 0.03
    rough_sd: float = 0.9
    length: float = 1.6
    length_sd: float = 0.6
    count: int = 24


@dataclass(frozen=True, eq=False)
class Departures:
    """J combinations of noise and roughness for K levels.

    Attributes:
        u: (K,) where the levels are.
        noise: (J,) noise of one measurement where no replicates say so, else the factor of the known one.
        rough, length: (J,).
        factor: (J, K, K) lower Cholesky factors of the covariance.
        whiten: (J, K, K) their inverses.
        ones: (J, K) the constant curve, whitened.
        log_det: (J, K) cumulated log diagonals.
    """

    u: Floats
    noise: Floats
    rough: Floats
    length: Floats
    factor: Floats
    whiten: Floats
    ones: Floats
    log_det: Floats

    def log_likelihoods(self, residual: Floats, cuts: tuple[int, ...]) -> Floats:
        """(D, S, J) log likelihood of the first ``cuts[s]`` levels, the curve's level integrated out.

        Args:
            residual: (D, K) ln(error) less the curve.
            cuts: S numbers of levels.
        """
        many, levels = len(self.noise), len(self.u)
        white = (residual @ self.whiten.reshape(-1, levels).T).reshape(-1, many, levels)
        square = np.cumsum(white**2, axis=2)
        along = np.cumsum(white * self.ones, axis=2)
        whole = np.cumsum(self.ones**2, axis=1)
        ends = [cut - 1 for cut in cuts]
        quad = square[..., ends] - along[..., ends] ** 2 / whole[:, ends]
        logs = -0.5 * (quad + np.log(whole[:, ends])) - self.log_det[:, ends]
        return np.swapaxes(logs, 1, 2)


def departures(u: Floats, variance: Floats, change: float, known: bool, belief: Belief) -> Departures:
    """Whiten the levels for every combination.

    Args:
        u: (K,) ln(n / largest n), ascending.
        variance: (K,) variance of the level means that replicates explain, or 1 / runs where there are none.
        change: size of the curve's whole change of ln(error).
        known: whether replicates say what the noise is.
        belief: the prior.
    """
    normal = even(3, belief.count)
    noise = np.exp(belief.known_sd * normal[:, 0]) if known else belief.noise * np.exp(belief.noise_sd * normal[:, 0])
    rough = change * belief.rough * np.exp(belief.rough_sd * normal[:, 1])
    length = belief.length * np.exp(belief.length_sd * normal[:, 2])
    covariance = rough[:, None, None] ** 2 * matern(u, u, length)
    covariance += noise[:, None, None] ** 2 * np.diag(variance) + 1e-12 * np.eye(len(u))
    factor = np.linalg.cholesky(covariance)
    whiten = np.asarray(np.linalg.inv(factor), dtype=np.float64)
    log_det = np.asarray(np.cumsum(np.log(np.diagonal(factor, axis1=1, axis2=2)), axis=1), dtype=np.float64)
    return Departures(u, noise, rough, length, factor, whiten, np.asarray(whiten.sum(2)), log_det)


def matern(u: Floats, other: Floats, length: Floats) -> Floats:
    """(J, N, M) Matern 3/2 correlation of curves at u (N,) and other (M,), for each length (J,)."""
    away = np.sqrt(3.0) * np.abs(u[:, None] - other[None, :]) / length[:, None, None]
    return np.asarray((1.0 + away) * np.exp(-away))


def conditioned(parts: Departures, j: int, residual: Floats, ahead: Floats) -> tuple[Floats, Floats]:
    """What combination j expects of ln(error) less the curve at u = ahead (M,), having seen ``residual`` (D, K).

    Returns:
        (D, M) mean, and (M, M) covariance, of level and departure together; without noise.
    """
    seen, length = parts.factor[j], parts.length[j : j + 1]
    cross = parts.rough[j] ** 2 * matern(parts.u, ahead, length)[0]
    weight = cho_solve((seen, True), cross)
    one = parts.ones[j]
    level = (residual @ parts.whiten[j].T) @ one / (one @ one)
    mean = level[:, None] + (residual - level[:, None]) @ weight
    half = solve_triangular(seen, cross, lower=True)
    free = 1.0 - weight.sum(0)
    own = parts.rough[j] ** 2 * matern(ahead, ahead, length)[0]
    return mean, own - half.T @ half + np.outer(free, free) / (one @ one)


def marginal(logs: Floats) -> Floats:
    """(D, S) from (D, S, J): the mean likelihood over the combinations."""
    return np.asarray(logsumexp(logs, axis=2) - np.log(logs.shape[2]))
