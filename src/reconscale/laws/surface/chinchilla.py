"""The published point fit of the additive law: Huber loss on ln(error)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_level
from reconscale.laws.points import Points
from reconscale.laws.surface.cells import LEAST_CELLS, LEAST_SIZES

NAMES = ("E", "A", "B", "alpha", "beta")
DELTA = 1e-3
"""Huber's threshold; below it the loss is square, above it linear."""
EXPONENTS = np.linspace(0.05, 1.5, 16)
SEEDS = 6
COPIES = 200
"""Resampled data sets that the intervals come from."""
ROUNDS, AGAIN = 40, 20
"""Rounds of descent from the grid, and for each resampled data set from the optimum."""


@dataclass(frozen=True, eq=False)
class Chinchilla:
    """error = E + A p^-alpha + B n^-beta.

    Attributes:
        E: the floor.
        A: amplitude of the p-term.
        B: amplitude of the n-term.
        alpha: exponent of p.
        beta: exponent of n.
        objective: the sum of Huber losses of ln(error) at the optimum.
        draws: (D, 5) the same parameters, in this order, for resampled runs.
    """

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    objective: float
    draws: Floats

    def error(self, n: ArrayLike, p: ArrayLike) -> Floats:
        """The error at n and p (N,)."""
        x, y = np.log(np.asarray(n, dtype=np.float64)), np.log(np.asarray(p, dtype=np.float64))
        return np.asarray(self.E + self.A * np.exp(-self.alpha * y) + self.B * np.exp(-self.beta * x))

    def intervals(self, level: float = 0.9) -> dict[str, tuple[float, float]]:
        """Name -> (low, high), from the resampled runs.

        Raises:
            UserError: ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - check_level(level))
        low, high = np.quantile(self.draws, [tail, 1.0 - tail], axis=0)
        return {name: (float(low[i]), float(high[i])) for i, name in enumerate(NAMES)}

    def compute_optimal(self, budget: float) -> tuple[float, float]:
        """The n and p that are best for a budget of 6 n p. Source: Hoffmann et al. 2022, equation 4."""
        both = self.alpha + self.beta
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1.0 / both)
        p = ratio * (budget / 6.0) ** (self.beta / both)
        return budget / 6.0 / p, p


def chinchilla(points: Points | tuple[ArrayLike, ArrayLike, ArrayLike], *, seed: int = 0) -> Chinchilla:
    """Fit E + A p^-alpha + B n^-beta by Huber's loss (threshold 0.001) of ln(error).

    Starts are a grid of exponents with the linear parameters eliminated; the best are polished on the log-sum-exp
    form until nothing is left to gain, so no random start decides. Source of loss and form: Hoffmann et al. 2022,
    approach 3.

    Args:
        points: the measurements with p, or n, p and error (M,) each.
        seed: of the resampling of runs that the intervals come from; the optimum does not depend on it.

    Raises:
        UserError: p is not known, or there are fewer than 3 distinct n, 3 distinct p or 6 runs.
    """
    x, y, z = _columns(points)
    middle = np.array([x.mean(), y.mean(), np.median(z)])
    x, y, z = x - middle[0], y - middle[1], z - middle[2]
    starts = _starts(x, y, z)
    theta, losses = _descended(x, y, np.tile(z, (len(starts), 1)), np.ones_like(z), starts, ROUNDS)
    best, objective = _polished(x, y, z, theta[losses.argmin()])
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(z), np.full(len(z), 1.0 / len(z)), size=COPIES).astype(np.float64)
    copies, _ = _descended(x, y, np.tile(z, (COPIES, 1)), times, np.tile(best, (COPIES, 1)), AGAIN)
    e, a, b, alpha, beta = _named(best[None], middle)[0].tolist()
    return Chinchilla(e, a, b, alpha, beta, objective, _named(copies, middle))


def _columns(points: Points | tuple[ArrayLike, ArrayLike, ArrayLike]) -> tuple[Floats, Floats, Floats]:
    if not isinstance(points, Points):
        n, p, error = (np.asarray(column, dtype=np.float64) for column in points)
        points = Points(n, error, p=p)
    if points.p is None:
        raise UserError("points", "found no p", "the number of parameters of every run is needed")
    n_count, p_count = len(np.unique(points.n)), len(np.unique(points.p))
    if min(n_count, p_count) < LEAST_SIZES or len(points) < LEAST_CELLS:
        found = f"found {n_count} distinct n and {p_count} distinct p in {len(points)} runs"
        raise UserError("points", found, f"at least {LEAST_SIZES} of each and {LEAST_CELLS} runs are needed")
    order = np.lexsort((points.error, points.p, points.n))
    x, y, z = np.log(points.n[order]), np.log(points.p[order]), np.log(points.error[order])
    return x, y, z


def _starts(x: Floats, y: Floats, z: Floats) -> Floats:
    """The best nodes (SEEDS, 5) of a grid of exponents, the three amplitudes by non-negative least squares."""
    from scipy.optimize import nnls  # takes half a second to import; only this needs it

    nodes = []
    for alpha in EXPONENTS:
        for beta in EXPONENTS:
            columns = np.stack([np.ones_like(x), np.exp(-alpha * y), np.exp(-beta * x)], axis=1) / np.exp(z)[:, None]
            size = np.linalg.norm(columns, axis=0)
            amplitudes, rest = nnls(columns / size, np.ones_like(z))
            logs = np.log(np.maximum(amplitudes / size, 1e-6))
            nodes.append((rest, *logs, alpha, beta))
    ranked = np.array(sorted(nodes))
    return ranked[:SEEDS, 1:]


def _terms(theta: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(D, M) ln of the law, and the share (D, M, 3) of each of its three terms, for theta (D, 5)."""
    e, a, b, alpha, beta = (theta[:, i : i + 1] for i in range(5))
    logs = np.stack(np.broadcast_arrays(e, a - alpha * y, b - beta * x), axis=-1)
    top = logs.max(-1)
    parts = np.exp(logs - top[..., None])
    total = parts.sum(-1)
    return top + np.log(total), parts / total[..., None]


def _slopes(shares: Floats, x: Floats, y: Floats) -> Floats:
    """(D, M, 5) derivatives of ln of the law by theta."""
    of_p, of_n = shares[..., 1], shares[..., 2]
    return np.concatenate([shares, np.stack([-of_p * y, -of_n * x], axis=-1)], axis=-1)


def _huber(residual: Floats) -> Floats:
    size = np.abs(residual)
    return np.where(size <= DELTA, 0.5 * size**2, DELTA * (size - 0.5 * DELTA))


def _descended(x: Floats, y: Floats, z: Floats, times: Floats, theta: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Damped, reweighted least squares for D data sets z (D, M) with weights ``times``: theta (D, 5), losses (D,)."""
    value, shares = _terms(theta, x, y)
    loss = (times * _huber(z - value)).sum(1)
    damping = np.full((len(theta), 1, 1), 1e-3)
    for _ in range(rounds):
        weight = times / np.maximum(np.abs(z - value), DELTA)
        slopes = _slopes(shares, x, y)
        weighted = np.swapaxes(slopes, 1, 2) * weight[:, None, :]
        normal = weighted @ slopes
        ridge = (damping * normal + 1e-12 * np.trace(normal, axis1=1, axis2=2)[:, None, None]) * np.eye(5)
        step = np.linalg.solve(normal + ridge, weighted @ (z - value)[..., None])[..., 0]
        there = theta + np.clip(step, -1.0, 1.0)
        new_value, new_shares = _terms(there, x, y)
        new = (times * _huber(z - new_value)).sum(1)
        better = new < loss
        theta, loss = np.where(better[:, None], there, theta), np.where(better, new, loss)
        value = np.where(better[:, None], new_value, value)
        shares = np.where(better[:, None, None], new_shares, shares)
        damping = np.clip(np.where(better[:, None, None], damping / 5.0, damping * 5.0), 1e-9, 1e9)
    return theta, loss


def _polished(x: Floats, y: Floats, z: Floats, theta: Floats) -> tuple[Floats, float]:
    """The optimum below theta (5,), by quasi-Newton steps with exact slopes, started again until it stands still."""
    from scipy.optimize import minimize  # takes half a second to import; only this needs it

    def loss(t: Floats) -> tuple[float, Floats]:
        value, shares = _terms(t[None], x, y)
        residual = z - value[0]
        slope = -np.clip(residual, -DELTA, DELTA) @ _slopes(shares, x, y)[0]
        return float(_huber(residual).sum()) / DELTA**2, slope / DELTA**2

    best, least = theta, loss(theta)[0]
    for _ in range(10):
        found = minimize(loss, best, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 400})
        gained = least - float(found.fun)
        if gained > 0:
            best, least = found.x, float(found.fun)
        if gained < 1e-9 * least:
            break
    return best, least * DELTA**2


def _named(theta: Floats, middle: Floats) -> Floats:
    """(D, 5) E, A, B, alpha, beta from parameters that count ln n, ln p and ln(error) from their middle."""
    e, a, b, alpha, beta = theta.T
    logs = [e + middle[2], a + middle[2] + alpha * middle[1], b + middle[2] + beta * middle[0]]
    return np.stack([*np.exp(np.clip(logs, -690.0, 690.0)), alpha, beta], axis=1)
