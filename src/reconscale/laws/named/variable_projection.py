"""Fit laws by variable projection: multi-start Levenberg-Marquardt, without randomness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.named.law import Law

CLOSE = 1e-5
"""Step of the central differences in the unit cube."""
EXACT = 1e-9
"""Gains smaller than this, as a part of the sum of squares, are worth accurate derivatives."""
SETTLED = 1e-11
"""A fit whose next step is shorter than this in every coordinate has arrived."""
STIFF = 1e9
"""Damping above which no step is worth trying."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is fitted, and where.

    Attributes:
        law: the law.
        x: (K,) ascending distinct ln n.
        root: (K,) square roots of the weights.
    """

    law: Law
    x: Floats
    root: Floats


@dataclass(frozen=True, eq=False)
class Fitted:
    """The best linear coefficients at some place in the cube.

    Attributes:
        linear: (..., J) coefficients.
        residual: (..., K) weighted residuals.
        basis: (..., K, J) orthonormal basis of the weighted linear columns.
        rss: (...) sum of squares of the residuals.
    """

    linear: Floats
    residual: Floats
    basis: Floats
    rss: Floats


def project(problem: Problem, u: Floats, t: Floats) -> Fitted:
    """Weighted linear least squares at t (..., Q) for u (..., K): variable projection.

    Source: Golub and Pereyra 1973.
    """
    known, columns = problem.law.terms(problem.x, t)
    return linear_fit(columns * problem.root[:, None], (u - known) * problem.root)


def linear_fit(columns: Floats, target: Floats) -> Fitted:
    """Linear least squares of target (..., K) by columns (..., K, J); one that depends on others gets coefficient 0."""
    basis, upper = _orthonormal(columns)
    inside = np.empty((*target.shape[:-1], basis.shape[-1]))
    for j in range(basis.shape[-1]):
        inside[..., j] = (basis[..., j] * target).sum(-1)
        target = target - inside[..., j : j + 1] * basis[..., j]
    linear = np.zeros_like(inside)
    for j in reversed(range(basis.shape[-1])):
        left = inside[..., j] - (upper[..., j, j + 1 :] * linear[..., j + 1 :]).sum(-1)
        pivot = upper[..., j, j]
        linear[..., j] = np.where(pivot > 0, left / np.where(pivot > 0, pivot, 1.0), 0.0)
    return Fitted(linear, target, basis, (target**2).sum(-1))


def levenberg_marquardt(problem: Problem, u: Floats, t: Floats, rounds: int, enough: float) -> tuple[Floats, Floats]:
    """Levenberg-Marquardt on the projected residuals in the unit cube, each row with its own damping.

    A coordinate at an edge from which the descent points outwards is held there. A row stops when its step is
    negligible, or when it gains less than the part ``enough`` of its sum of squares.

    Args:
        problem: what is fitted.
        u: (D, K) data sets.
        t: (D, Q) starts.
        rounds: at most this many steps.
        enough: below EXACT derivatives are central differences.

    Returns:
        t (D, Q) and the sums of squares (D,).
    """
    t, best = t.copy(), project(problem, u, t)
    rss, total = best.rss.copy(), (u**2 * problem.root**2).sum(-1) + 1e-300
    live, damping = np.arange(len(t)), np.full(len(t), 1e-2)
    for _ in range(rounds):
        step = _step(problem, t[live], best, damping, enough < EXACT)
        there = np.clip(t[live] + step, 0.0, 1.0)
        new = project(problem, u[live], there)
        better = new.rss < rss[live]
        moved = np.abs(there - t[live]).max(-1)
        gain = rss[live] - new.rss
        done = (moved < SETTLED) | (better & (gain <= enough * rss[live])) | (rss[live] < 1e-29 * total[live])
        t[live] = np.where(better[:, None], there, t[live])
        rss[live] = np.where(better, new.rss, rss[live])
        damping = np.where(better, np.maximum(damping / 8.0, 1e-12), damping * 5.0)
        keep = ~done & (damping < STIFF)
        if not keep.any():
            break
        best = _either(better, new, best, keep)
        live, damping = live[keep], damping[keep]
    return t, rss


def slopes(problem: Problem, t: Floats, fitted: Fitted, central: bool = True) -> Floats:
    """d(model) / dt (D, Q, K), weighted and with its part along the linear columns taken out.

    Source: Kaufman 1975; with the residuals it gives the exact gradient of the projected sum of squares.
    """
    moves = np.eye(t.shape[-1]) * (CLOSE if central else 1e-7)
    base = t[:, None, :]
    if central:
        up, down = np.minimum(base + moves, 1.0), np.maximum(base - moves, 0.0)
        change = _model(problem, up, fitted) - _model(problem, down, fitted)
    else:
        up, down = base + np.where(base > 0.5, -moves, moves), base
        change = _model(problem, up, fitted) - _model(problem, down, fitted)
    slope = change * problem.root / (up - down).sum(-1)[..., None]
    for j in range(fitted.basis.shape[-1]):
        column = fitted.basis[:, None, :, j]
        slope = slope - (slope * column).sum(-1)[..., None] * column
    return np.asarray(slope)


def _model(problem: Problem, t: Floats, fitted: Fitted) -> Floats:
    known, columns = problem.law.terms(problem.x, t)
    return np.asarray(known + (columns * fitted.linear[:, None, None, :]).sum(-1))


def _step(problem: Problem, t: Floats, fitted: Fitted, damping: Floats, central: bool) -> Floats:
    slope = slopes(problem, t, fitted, central)
    uphill = (slope * fitted.residual[:, None, :]).sum(-1)
    held = ((t <= 0.0) & (uphill < 0)) | ((t >= 1.0) & (uphill > 0))
    slope = np.where(held[..., None], 0.0, slope)
    normal = slope @ np.swapaxes(slope, -1, -2)
    size = np.einsum("dqq->dq", normal)
    ridge = damping[:, None] * size + 1e-14 * size.sum(-1, keepdims=True) + 1e-290
    normal = normal + ridge[..., None] * np.eye(t.shape[-1])
    return np.asarray(np.linalg.solve(normal, np.where(held, 0.0, uphill)[..., None])[..., 0])


def _either(better: NDArray[np.bool_], new: Fitted, old: Fitted, keep: NDArray[np.bool_]) -> Fitted:
    def choose(one: Floats, other: Floats) -> Floats:
        chosen = better.reshape(-1, *(1,) * (one.ndim - 1))
        return np.asarray(np.where(chosen, one, other)[keep])

    return Fitted(
        choose(new.linear, old.linear),
        choose(new.residual, old.residual),
        choose(new.basis, old.basis),
        choose(new.rss, old.rss),
    )


def _orthonormal(columns: Floats) -> tuple[Floats, Floats]:
    """Gram-Schmidt, twice: basis (..., K, J), 0 for a column that depends on earlier ones; triangle (..., J, J)."""
    many = columns.shape[-1]
    basis = np.zeros(columns.shape)
    upper = np.zeros((*columns.shape[:-2], many, many))
    for j in range(many):
        column = columns[..., j]
        before = np.sqrt((column**2).sum(-1))
        for i in [*range(j), *range(j)]:
            along = (basis[..., i] * column).sum(-1)
            column = column - along[..., None] * basis[..., i]
            upper[..., i, j] += along
        length = np.sqrt((column**2).sum(-1))
        whole = length > 1e-12 * before
        upper[..., j, j] = np.where(whole, length, 0.0)
        basis[..., j] = np.where(whole[..., None], column / np.where(whole, length, 1.0)[..., None], 0.0)
    return basis, upper


BEGUN = {1: 128, 2: 96, 3: 64, 4: 64, 5: 96}
"""Best nodes that a descent is begun from, by the number of coordinates; 256 for more."""
CONTINUED, FINISHED = 20, 4
"""How many of these descents are continued, and how many to full accuracy."""
WIDE = 0.3
"""Standard deviation of a coordinate of the unit cube that the data say nothing about."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Least squares of a law.

    Attributes:
        problem: what was fitted.
        u: (K,) the values it was fitted to.
        ends: (N, Q) where descents in the unit cube ended, best first.
        theta: (1, P) named parameters of the best.
        rss: (1,) its weighted sum of squares, for weights of mean 1.
    """

    problem: Problem
    u: Floats
    ends: Floats
    theta: Floats
    rss: Floats


def solve(law: Law, x: Floats, u: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted least squares for D data sets that are much alike: :func:`multistart` of the first, then :func:`refit`.

    Args:
        law: the law.
        x: (K,) ascending distinct ln n.
        u: (D, K) values in the law's working scale.
        weight: (K,) inverse variances of u.

    Returns:
        theta (D, P) and the weighted sums of squares (D,).
    """
    first = multistart(law, x, u[0], weight)
    if len(u) == 1:
        return first.theta, first.rss
    _, theta, rss = refit(first, u[1:])
    return np.concatenate([first.theta, theta]), np.concatenate([first.rss, rss])


def multistart(law: Law, x: Floats, u: Floats, weight: Floats) -> Solution:
    """Weighted least squares of ``law`` for one data set: the global optimum, as far as its nodes can tell.

    With up to five coordinates the best of many descents has been the best of all that is known; with more (two
    smooth breaks) it may be a local optimum with a sum of squares a few per cent larger.

    Args:
        law: the law.
        x: (K,) ascending distinct ln n.
        u: (K,) values in the law's working scale.
        weight: (K,) inverse variances of u.
    """
    part = law.window(len(x))
    x, u, weight = x[part], u[part], weight[part] / weight[part].mean()
    problem = Problem(law, x, np.sqrt(weight))
    ends = _optima(problem, u) if law.curved else np.zeros((1, 0))
    best = project(problem, u[None], ends[:1])
    return Solution(problem, u, ends, law.theta(x, ends[:1], best.linear), best.rss)


def refit(first: Solution, copies: Floats) -> tuple[Floats, Floats, Floats]:
    """The same for noisy copies of the data set, from where its descents ended and from each copy's own best nodes.

    Args:
        first: the solution for the data set itself.
        copies: (D, K) values at all levels.

    Returns:
        t (D, Q) in the unit cube, theta (D, P) and the weighted sums of squares (D,).
    """
    law, x = first.problem.law, first.problem.x
    copies = copies[:, law.window(copies.shape[1])]
    t = _follow(first, copies) if law.curved else np.zeros((len(copies), 0))
    fitted = project(first.problem, copies, t)
    return t, law.theta(x, t, fitted.linear), fitted.rss


def linearised_covariance(first: Solution, copies: Floats) -> Floats:
    """(Q, Q) root of the covariance of t, linearised at the best end, for noise as large as that of the copies (D, K).

    Directions that the data do not determine get WIDE as their standard deviation.
    """
    problem, t = first.problem, first.ends[:1]
    noise = np.sqrt((((copies[:, problem.law.window(copies.shape[1])] - first.u) * problem.root) ** 2).mean())
    slope = slopes(problem, t, project(problem, first.u[None], t))[0]
    size, direction = np.linalg.eigh(slope @ slope.T)
    return np.asarray(direction * np.minimum(noise / np.sqrt(np.maximum(size, 1e-300)), WIDE))


def _optima(problem: Problem, u: Floats) -> Floats:
    """Where descents from the best nodes end (N, Q), best first, then where the others had come and had begun."""
    nodes = problem.law.nodes(problem.x, u)
    begun = nodes[np.argsort(project(problem, u, nodes).rss, kind="stable")[: BEGUN.get(nodes.shape[1], 256)]]
    t, rss = levenberg_marquardt(problem, _copies(u, begun), begun, 8, 1e-3)
    t = t[np.argsort(rss, kind="stable")]
    continued, rss = levenberg_marquardt(problem, _copies(u, t[:CONTINUED]), t[:CONTINUED], 60, 1e-5)
    continued = continued[np.argsort(rss, kind="stable")]
    ends, rss = levenberg_marquardt(problem, _copies(u, continued[:FINISHED]), continued[:FINISHED], 200, 1e-15)
    return np.concatenate([ends[np.argsort(rss, kind="stable")], continued[FINISHED:], t[CONTINUED:], begun])


def _follow(first: Solution, copies: Floats) -> Floats:
    """The best end (D, Q) of two descents a copy: from its own best place, and from near the best end of all.

    The latter starts differ as much as the noise makes the optimum differ, so that what the data leave open
    differs among the copies too.
    """
    problem, many = first.problem, first.ends.shape[1]
    target = (copies - first.u) * problem.root
    at = project(problem, first.u, first.ends)
    rss = at.rss + 2.0 * target @ at.residual.T
    for j in range(at.basis.shape[-1]):
        rss -= (target @ at.basis[..., j].T) ** 2
    own = first.ends[rss.argmin(axis=1)]
    away = ndtri(smc.uniform_sequence(len(copies), many)) @ linearised_covariance(first, copies).T
    near = np.clip(first.ends[0] + away, 0.0, 1.0)
    starts = np.stack([own, near], axis=1)
    t, found = levenberg_marquardt(problem, np.repeat(copies, 2, axis=0), starts.reshape(-1, many), 6, 1e-3)
    best = t.reshape(starts.shape)[np.arange(len(copies)), found.reshape(-1, 2).argmin(1)]
    return levenberg_marquardt(problem, copies, best, 25, 1e-6)[0]


def _copies(u: Floats, t: Floats) -> Floats:
    return np.broadcast_to(u, (len(t), len(u)))
