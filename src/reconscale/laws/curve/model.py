"""The statistical model of a curve: the nested family with its prior, noise and model discrepancy.

**The family.** With u = ln(n / largest n), h(0) = 1 and a floor whose part of the error at the largest n is ``share``,

    error = level * (share^(1/k) + (1 - share^(1/k)) h(u)^(1/k))^k,
    ln h  = -c u - sum over breaks of (c_after - c_before) f (softplus((u - d) / f) - softplus(-d / f)).

- ``power``: no break, no floor. ``+floor``: k = 1, the floor is added. ``+shift``: k = c, which is b (1/n + g)^c
  (M3 of Alabdulmohsin et al. 2022): the floor is approached more abruptly.
- ``saturating``: a break from exponent 0 with f = 1, the curve is flat towards small n (as M4 there).
- ``break``, ``two breaks``: broken power laws (Caballero et al. 2023).

All of them fall, but for two wide breaks that overlap, which may lift a curve for a while.
Parameters are read off standard normal coordinates, so that the prior's form is in this file and nowhere else; its
numbers are in ``prior.json``.

**Noise and discrepancy.** Departures of ln(error) from the family are Gaussian with covariance

    noise^2 / runs  +  rough^2 * matern(|u - u'| / length)

where the noise is known from replicates up to a factor, or unknown, and everything else is unknown. A few dozen
combinations, evenly spread over their prior, stand for all of them: each is whitened once, and the likelihood is
the mean over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import ndtr

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.curve.prior import NoisePrior, Prior

HEADS = ("power", "saturating", "break", "two breaks")
TAILS = ("", "+floor", "+shift")
FORMS = tuple(head + tail for head in HEADS for tail in TAILS)
"""What a curve can be."""


DIMENSIONS = 10


@dataclass(frozen=True, eq=False)
class CurveDraws:
    """Parameters of D curves.

    Attributes:
        share: (D,) the floor's part of the error at the largest n.
        bend: (D,) k, at most 1: how abruptly the floor is approached.
        exponents: (D, 3) before, between and after the breaks; equal where there is no break.
        places: (D, 2) ln n of the breaks over the largest.
        widths: (D, 2) f.
        form: (D,) index in :data:`FORMS`.
    """

    share: Floats
    bend: Floats
    exponents: Floats
    places: Floats
    widths: Floats
    form: NDArray[np.int64]

    def log_shape(self, u: Floats) -> Floats:
        """(D, N) ln(error / level) at u (N,)."""
        log_h = -self.exponents[:, :1] * u
        for index in range(2):
            place, width = self.places[:, index, None], self.widths[:, index, None]
            change = (self.exponents[:, index + 1] - self.exponents[:, index])[:, None] * width
            log_h = log_h - change * (softplus((u - place) / width) - softplus(-place / width))
        k = self.bend[:, None]
        share = self.share[:, None] ** (1.0 / k)
        return np.asarray(k * np.log(share + (1.0 - share) * np.exp(np.clip(log_h / k, -600.0, 600.0))))


def softplus(value: Floats) -> Floats:
    """ln(1 + e^value); four times faster than ``np.logaddexp``."""
    return np.asarray(np.maximum(value, 0.0) + np.log1p(np.exp(-np.abs(value))))


def curves_from_normals(v: Floats, first: float, belief: Prior) -> CurveDraws:
    """Parameters from coordinates v (D, 10); ``first`` is ln(smallest n / largest n)."""
    unit = ndtr(v)
    floored = unit[:, 0] < belief.floor
    part = 1.0 - (1.0 - np.minimum(unit[:, 0] / belief.floor, 1.0)) ** (1.0 / belief.floor_bend)
    share = np.where(floored, np.minimum(part, 1.0 - 1e-6), 0.0)
    last = belief.exponent * np.exp(belief.exponent_sd * v[:, 1])
    cuts = np.cumsum(belief.kinds)
    kind = np.searchsorted(cuts[:-1], unit[:, 2], side="right")
    within = (unit[:, 2] - np.concatenate([[0.0], cuts])[kind]) / np.asarray(belief.kinds)[kind]
    ratio = np.select([kind == 0, kind == 1, kind == 2], [1.0, 0.0, within], np.exp(2.0 * within))
    low, high = first - belief.before, belief.after
    places = low + (high - low) * unit[:, 3:5]
    widths = belief.sharpness * np.exp(belief.sharpness_sd * v[:, 5:7])
    widths[:, 1] = np.where(kind == 1, 1.0, widths[:, 1])
    second = (kind > 1) & (unit[:, 7] < belief.second)
    middle = last * ratio
    start = np.where(second, last * np.exp(0.7 * v[:, 8]), middle)
    shifted = floored & (unit[:, 9] < belief.shift)
    bend = np.where(shifted, np.clip(last, 0.02, 1.0), 1.0)
    form = 3 * np.select([kind == 0, kind == 1, ~second], [0, 1, 2], 3) + floored + shifted
    places = np.where(second[:, None], np.sort(places, axis=1), places[:, [1, 0]])
    return CurveDraws(share, bend, np.stack([start, middle, last], axis=1), places, widths, form)


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
        """The log likelihoods (S, J, D) of the first ``cuts[s]`` levels, the curve's own level integrated out, as a
        function of the residuals (D, K), ln(error) less the curve; without the factor 2 pi.

        A residual's square in the metric of each combination is one product of its K (K + 1) / 2 pairs with a matrix.
        """
        levels, many = len(self.u), len(self.noise)
        row, column = np.tril_indices(levels)
        forms = np.zeros((len(cuts), many, len(row)))
        constant = np.empty((len(cuts), many, 1))
        for s, cut in enumerate(cuts):
            part = self.factor[:, :cut, :cut]
            white = np.linalg.inv(part)
            precision = np.swapaxes(white, 1, 2) @ white
            along = precision.sum(axis=2)
            whole = along.sum(axis=1)
            precision = precision - along[:, :, None] * along[:, None, :] / whole[:, None, None]
            full = np.zeros((many, levels, levels))
            full[:, :cut, :cut] = precision
            forms[s] = -0.5 * full[:, row, column] * np.where(row == column, 1.0, 2.0)
            constant[s, :, 0] = -np.log(np.diagonal(part, axis1=1, axis2=2)).sum(axis=1) - 0.5 * np.log(whole)
        flat = forms.reshape(-1, len(row))

        def of(residual: Floats) -> Floats:
            turned = np.ascontiguousarray(residual.T)
            return np.asarray((flat @ (turned[row] * turned[column])).reshape(len(cuts), many, -1) + constant)

        return of


def noise_nodes(dof: float, squares: float, typical: float, belief: NoisePrior) -> Floats:
    """(J,) equally likely values of the noise, in units of the one that replicates say.

    The prior of ln(noise) times the likelihood of the replicates: one replicate says little, and many say it all.

    Args:
        dof: degrees of freedom of the replicates; 0: the prior, in ln(error).
        squares: their sum of squares, in those units.
        typical: the noise that replicates say, in ln(error); 1 where there are none.
        belief: the prior.
    """
    grid = np.linspace(-8.0, 8.0, 1601) + (np.log(belief.noise) if dof == 0 else 0.0)
    logs = -0.5 * ((grid + np.log(typical) - np.log(belief.noise)) / belief.noise_sd) ** 2
    logs = logs - dof * grid - 0.5 * squares * np.exp(-2.0 * grid)
    mass = np.cumsum(np.exp(logs - logs.max()))
    nodes = np.interp(ndtr(smc.normal_sequence(belief.count, 3)[:, 0]), mass / mass[-1], grid)
    return np.asarray(np.exp(nodes))


def build_discrepancy(u: Floats, variance: Floats, change: float, noise: Floats, belief: NoisePrior) -> DiscrepancyGP:
    """The covariance of the levels in every combination.

    Args:
        u: (K,) ln(n / largest n), ascending.
        variance: (K,) variance of the level means in units of ``noise`` squared.
        change: size of the curve's whole change of ln(error).
        noise: (J,) see :func:`noise_nodes`.
        belief: the prior.
    """
    draws = smc.normal_sequence(belief.count, 3)
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
    root = np.sqrt(np.maximum(values, 0.0))
    return mean, np.asarray((vectors * root) @ vectors.T)  # the symmetric one, which no rounding error turns round


def marginalise(logs: Floats) -> Floats:
    """(D, S) from (S, J, D): the mean likelihood over the combinations."""
    most = logs.max(axis=1)
    return np.asarray((most + np.log(np.exp(logs - most[:, None]).mean(axis=1))).T)
