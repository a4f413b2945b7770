"""The statistical model of a surface: the nested family with its prior, seed noise and model discrepancy.

**The family** is E + A (n^-a + R p^-b)^k. On the log scale, with u = -alpha ln n and v = ln R - beta ln p, the part
that falls is k ln(e^(u/k) + e^(v/k)): a soft maximum of two power laws, whose temperature is the coupling k. As k
falls to 0 the worse of the two decides (a bottleneck), k = 1 adds them (Hoffmann et al. 2022, "Chinchilla"), and for
large k they multiply. So alpha = a k and beta = b k are the exponents that one sees where the other term is negligible,
whatever the coupling.
Kaplan et al. 2020 write ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D: the exponent inside is 1 for the data, so it
is this family with a = 1, that is k = alpha; the mirror image has b = 1, k = beta. Free k is Videau et al. 2026.

Two more forms say that p has no effect (R = 0) and that neither n nor p has (E alone): without them a gain of p would
be certain, and only its size would be left to the data.

**Noise and discrepancy.** The covariance of the cell means is sigma^2 S + tau^2 C. S is the spread of seeds in each
cell, relative to the typical one; means of one p covary by what their seeds have in common at all n
(:mod:`reconscale.laws.surface.shared_seeds`). C is the discrepancy, half of it of its own in each cell and half a
smooth function over the plane. Both scales are unknown and summed over on a grid; the level of the surface and the
smooth function are integrated in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.grouping import GUESSED_SD
from reconscale.laws.surface.cells import Cells

NO_P, CONSTANT = "no p", "constant"
"""The form in which p has no effect (R = 0), and that in which neither n nor p has."""
COUPLINGS = ("additive", "kaplan", "free", NO_P, CONSTANT)
"""The forms that are averaged; all but the last have the same weight before any data."""
NO_EFFECT = 0.4
"""Weight of the last."""
NO_FLOOR = 0.25
"""Probability, before any data, that the error falls without end."""
MOST_SHARE = 1.0 - 1e-6
EXPONENT, EXPONENT_SPREAD = 0.3, 1.0
"""Median of the exponents alpha and beta, and the spread of their logarithms."""
BALANCE_SPREAD = 1.5
"""Spread of ln of the ratio of the two terms in the middle of the data."""
NO_TERM, ALL_FLOOR = -200.0, 9.0
"""Of the balance and of the floor's share, standard normal a priori: where there is no p-term, and nothing but E."""
COUPLING, COUPLING_SPREAD = 0.5, 1.0
"""Median of the free k, and the spread of its logarithm."""


@dataclass(frozen=True)
class Form:
    """One member of the family.

    Attributes:
        coupling: one of :data:`COUPLINGS`.
        tied: 0 or 1 where k is the exponent alpha or beta ("kaplan"), else -1.
        floor: whether the error has a floor above 0.
        weight: probability before any data.
    """

    coupling: str
    tied: int
    floor: bool
    weight: float

    @property
    def dimensions(self) -> int:
        """Number of parameters, the level aside."""
        if self.coupling in (NO_P, CONSTANT):
            return 1 + (self.coupling == NO_P and self.floor)
        return 3 + self.floor + (self.coupling == "free")


def _forms() -> tuple[Form, ...]:
    ties = [("additive", -1, 1.0), ("kaplan", 0, 0.5), ("kaplan", 1, 0.5), ("free", -1, 1.0), (NO_P, -1, 1.0)]
    odds = [(True, 1.0 - NO_FLOOR), (False, NO_FLOOR)]
    one = (1.0 - NO_EFFECT) / (len(COUPLINGS) - 1)
    both = [Form(name, tied, floor, one * part * chance) for name, tied, part in ties for floor, chance in odds]
    return (*both, Form(CONSTANT, -1, True, NO_EFFECT))


FORMS = _forms()


@dataclass(frozen=True, eq=False)
class SurfaceDraws:
    """D surfaces, but for their level; ln n and ln p are counted from the middle of the data.

    Attributes:
        alpha: (D, 1) exponent of n where p is plenty.
        beta: (D, 1) exponent of p where n is plenty.
        balance: (D, 1) ln of the p-term over the n-term, before the coupling, in the middle of the data.
        k: (D, 1) coupling.
        share: (D, 1) the floor's part of the error in the middle of the data, 0 or more.
    """

    alpha: Floats
    beta: Floats
    balance: Floats
    k: Floats
    share: Floats

    def log(self, x: Floats, y: Floats) -> Floats:
        """(D, N) ln of the error over the error in the middle, at x and y, (N,) or (D, N)."""
        falling = self.falling(x, y) - self.falling(np.zeros(1), np.zeros(1))
        return np.asarray(np.log(self.share + (1.0 - self.share) * np.exp(np.clip(falling, -690.0, 690.0))))

    def falling(self, x: Floats, y: Floats) -> Floats:
        """(D, N) ln of (n^-a + R p^-b)^k."""
        u = -self.alpha * x
        apart = self.balance - self.beta * y - u
        return np.asarray(u + np.maximum(apart, 0.0) + self.k * np.log1p(np.exp(-np.abs(apart) / self.k)))


def surfaces_from_normals(form: Form, v: Floats) -> SurfaceDraws:
    """The surfaces of parameters v (D, Q), standard normal a priori."""
    if form.coupling in (NO_P, CONSTANT):
        rest = v[:, 1:] if form.coupling == NO_P else np.full((len(v), 1), ALL_FLOOR)
        v = np.column_stack([v[:, 0], np.zeros(len(v)), np.full(len(v), NO_TERM), rest])
    alpha, beta = EXPONENT * np.exp(EXPONENT_SPREAD * np.clip(v[:, :2].T, -9.0, 5.0))
    share = MOST_SHARE * ndtr(v[:, 3]) if form.floor else np.zeros(len(v))
    if form.coupling == "free":
        k = COUPLING * np.exp(COUPLING_SPREAD * np.clip(v[:, -1], -6.0, 6.0))
    else:
        k = (alpha, beta, np.ones(len(v)))[form.tied]
    return SurfaceDraws(*(part[:, None] for part in (alpha, beta, BALANCE_SPREAD * v[:, 2], k, share)))


def concatenate(parts: Sequence[SurfaceDraws]) -> SurfaceDraws:
    """All surfaces of several groups, in order."""
    columns = zip(*((s.alpha, s.beta, s.balance, s.k, s.share) for s in parts), strict=True)
    return SurfaceDraws(*(np.concatenate(column) for column in columns))


SEED_SPREAD, SEED_TAILS = 1.0, 1.0
"""Scale and degrees of freedom (Student's t) of ln of the standard deviation between seeds about ``GUESSED_SD``, before
any data: a spread of decibels is rare, but not out of the question."""
OWN_DOF = 4.0
"""A cell's own spread counts against the pooled one as if the pooled had this many degrees of freedom."""
SLOPE_SPREAD = 2.0
"""Spread of the change of ln of that variance over the measured range of ln n or ln p, before any data."""
WRONG, WRONG_SPREAD = 0.004, 1.5
"""Median of the discrepancy's scale tau in ln(error), and the spread of its logarithm."""
TAUS = 9
SIGMAS, SIGMA_RANGE = 7, (0.02, 0.99)
"""Nodes for sigma, at equal steps of its logarithm between these quantiles: large values count where seeds are few."""
SMOOTH = 0.5
"""Part of the discrepancy's variance that is a smooth function."""
REACH = 0.5
"""Correlation length of the smooth function, in parts of the measured range."""
WAVES = 24


@dataclass(frozen=True, eq=False)
class SurfaceNoise:
    """The covariance of the cell means, diagonalised once for all scales.

    Attributes:
        scales: (G, 2) sigma and tau.
        log_prior: (G,) log weight of each pair.
        root: (K, K) root of S: that of the covariance of the cell means over sigma^2, but for the discrepancy.
        turn: (K, K) turns residuals into independent ones.
        strength: (K,) variance of the discrepancy in each of these, over tau^2.
        waves: (K, J) the smooth function's basis at the cells.
    """

    scales: Floats
    log_prior: Floats
    root: Floats
    turn: Floats
    strength: Floats
    waves: Floats

    @property
    def variance(self) -> Floats:
        """(G, K) variance of the independent residuals."""
        return self.scales[:, :1] ** 2 + self.scales[:, 1:] ** 2 * self.strength

    def turned(self, residual: Floats) -> Floats:
        """(D, K) independent residuals from those of the cell means (D, K)."""
        return residual @ self.turn

    def log_likelihoods(self, residual: Floats) -> Floats:
        """(D, G) for residuals (D, K) of unknown level, one for each pair of scales."""
        weight = 1.0 / self.variance
        independent = self.turned(residual)
        one = self.turned(np.ones((1, len(self.root))))[0]
        total = weight @ one**2
        shift = independent @ (one * weight).T
        squares = independent**2 @ weight.T - shift**2 / total
        constant = self.log_prior - 0.5 * (np.log(self.variance).sum(1) + np.log(total))
        return np.asarray(constant - 0.5 * squares)

    def mean_weight(self, residual: Floats) -> Floats:
        """(D, K) mean over the scales, given the residuals (D, K), of the inverse variance of the independent ones."""
        logs = self.log_likelihoods(residual)
        chance = np.exp(logs - _log_sum(logs)[:, None])
        return np.asarray(chance @ (1.0 / self.variance))

    def log_likelihood(self, residual: Floats) -> Floats:
        """(D,) summed over the scales."""
        return _log_sum(self.log_likelihoods(residual))


def _log_sum(logs: Floats) -> Floats:
    """(D,) ln of the sum of e^logs (D, S) over S, finite; ``scipy.special.logsumexp`` to the last bit, in less time."""
    most = logs.max(axis=1, keepdims=True)
    first = logs == most
    count = first.sum(axis=1)
    rest = np.exp(np.where(first, -np.inf, logs) - most).sum(axis=1)
    return np.asarray(np.log1p(rest / count) + np.log(count) + most[:, 0])


def fit_noise(cells: Cells) -> SurfaceNoise:
    """The noise of the means of ``cells``."""
    relative = _relative(cells)
    sd = np.sqrt(relative)
    seeds = cells.shared * cells.overlap * np.outer(sd, sd) + np.diag((1.0 - cells.shared) * relative / cells.count)
    root = np.linalg.cholesky(seeds)
    waves = basis(cells, cells.x, cells.y)
    wrong = SMOOTH * waves @ waves.T + (1.0 - SMOOTH) * np.eye(len(root))
    white = np.linalg.inv(root)
    strength, turn = np.linalg.eigh(white @ wrong @ white.T)
    turn = white.T @ (turn * np.where(turn[np.abs(turn).argmax(0), np.arange(len(turn))] < 0, -1.0, 1.0))
    sigma, chance = _sigmas(cells, relative)
    normal = ndtri((np.arange(TAUS) + 0.5) / TAUS)
    tau = WRONG * np.exp(WRONG_SPREAD * normal)
    scales = np.stack(np.meshgrid(sigma, tau, indexing="ij"), axis=-1).reshape(-1, 2)
    log_prior = np.repeat(np.log(chance / TAUS), TAUS)
    return SurfaceNoise(scales, log_prior, root, turn, np.maximum(strength, 0.0), waves)


def basis(cells: Cells, x: Floats, y: Floats) -> Floats:
    """(N, J) waves at ln n = x and ln p = y (N,), whose random sums are smooth functions of variance 1.

    Source: Rahimi and Recht, Random features for large-scale kernel machines (2007); squared-exponential kernel, with
    frequencies that are the same every time.
    """
    rates = smc.normal_sequence(WAVES, 2) / (REACH * np.array(cells.span))
    place = np.stack([x, y], axis=-1) - np.array(cells.centre)
    phase = place @ rates.T
    return np.asarray(np.concatenate([np.cos(phase), np.sin(phase)], axis=-1) / np.sqrt(WAVES))


@dataclass(frozen=True, eq=False)
class DiscrepancyDraws:
    """One draw of everything that the noise hides, for each draw of the shape.

    Attributes:
        level: (D, 1) the surface's ln(error) in the middle of the data.
        sums: (D, J) coefficients of the smooth function.
        scales: (D, 2) sigma and tau.
    """

    level: Floats
    sums: Floats
    scales: Floats


def sample_discrepancy(noise: SurfaceNoise, residual: Floats, rng: np.random.Generator) -> DiscrepancyDraws:
    """Draw scales, level and smooth function given the residuals (D, K) of unknown level."""
    logs = noise.log_likelihoods(residual)
    shares = np.cumsum(np.exp(logs - logs.max(1, keepdims=True)), axis=1)
    pick = (rng.random((len(logs), 1)) * shares[:, -1:] > shares).sum(1)
    weight = 1.0 / noise.variance[pick]
    one = noise.turned(np.ones((1, len(noise.root))))
    total = (weight * one**2).sum(1, keepdims=True)
    independent = noise.turned(residual)
    level = (weight * one * independent).sum(1, keepdims=True) / total
    level += rng.standard_normal(level.shape) / np.sqrt(total)
    sigma, tau = noise.scales[pick].T[..., None]
    loud = tau * np.sqrt(SMOOTH)
    sums = rng.standard_normal((len(logs), noise.waves.shape[1]))
    other = sigma * rng.standard_normal(residual.shape) @ noise.root.T
    other += tau * np.sqrt(1.0 - SMOOTH) * rng.standard_normal(residual.shape)
    left = noise.turned(residual - level - loud * sums @ noise.waves.T - other) * weight
    learnt = left @ noise.turn.T @ noise.waves
    return DiscrepancyDraws(level, loud * (sums + loud * learnt), noise.scales[pick])


def _relative(cells: Cells) -> Floats:
    """(K,) variance of one run in each cell, relative to the typical one.

    The variance is log-linear in ln n and ln p (small networks may scatter several times more than large ones): the
    mode of a gamma regression with a prior on the slopes. Then each cell's own spread is shrunk to it.
    """
    total = float(cells.dof.sum())
    pooled = float(cells.squares.sum()) / total if total else 0.0
    if pooled <= 0.0:
        return np.ones_like(cells.x)
    place = (np.stack([cells.x, cells.y], axis=1) - cells.centre) / cells.span
    columns = np.column_stack([np.ones(len(place)), place])
    precision = np.diag([1e-3, SLOPE_SPREAD**-2, SLOPE_SPREAD**-2])
    line = np.zeros(3)
    for _ in range(30):
        half = 0.5 * cells.squares / pooled * np.exp(-np.clip(columns @ line, -20.0, 20.0))
        slope = columns.T @ (half - 0.5 * cells.dof) - precision @ line
        line = line + np.clip(np.linalg.solve((columns.T * half) @ columns + precision, slope), -0.5, 0.5)
    expected = np.exp(np.clip(columns @ line, -20.0, 20.0))
    return np.asarray((OWN_DOF * expected + cells.squares / pooled) / (OWN_DOF + cells.dof))


def _sigmas(cells: Cells, relative: Floats) -> tuple[Floats, Floats]:
    """(SIGMAS,) standard deviations of one run in the typical cell, and their chances given the replicates."""
    grid = np.linspace(np.log(1e-5), np.log(10.0), 500)
    away = (grid - np.log(GUESSED_SD)) / SEED_SPREAD
    log_density = -0.5 * (SEED_TAILS + 1.0) * np.log1p(away**2 / SEED_TAILS) - float(cells.dof.sum()) * grid
    log_density -= 0.5 * float((cells.squares / relative).sum()) * np.exp(-2.0 * grid)
    mass = np.cumsum(np.exp(log_density - log_density.max()))
    mass /= mass[-1]
    first, last = np.interp(SIGMA_RANGE, mass, grid).tolist()
    nodes = np.linspace(first, last, SIGMAS)
    below = np.interp(0.5 * (nodes[1:] + nodes[:-1]), grid, mass)
    return np.exp(nodes), np.diff(np.concatenate([[0.0], below, [1.0]]))
