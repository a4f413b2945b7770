"""The one fitter of all laws: nodes in the unit cube, then descent from the best of them. No step is random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reconscale.laws import even
from reconscale.laws.named.descent import Problem, descend, project, slopes
from reconscale.laws.named.law import Law

Floats = NDArray[np.float64]

BEGUN = {1: 128, 2: 96, 3: 64, 4: 64, 5: 96}
"""Best nodes that a descent is begun from, by the number of coordinates; 256 for more."""
CARRIED, FINISHED = 20, 4
"""How many of these descents are carried on, and how many to full accuracy."""
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
    """Weighted least squares for D data sets that are much alike: :func:`search` of the first, then :func:`follow`.

    Args:
        law: the law.
        x: (K,) ascending distinct ln n.
        u: (D, K) values in the law's working scale.
        weight: (K,) inverse variances of u.

    Returns:
        theta (D, P) and the weighted sums of squares (D,).
    """
    first = search(law, x, u[0], weight)
    if len(u) == 1:
        return first.theta, first.rss
    _, theta, rss = follow(first, u[1:])
    return np.concatenate([first.theta, theta]), np.concatenate([first.rss, rss])


def search(law: Law, x: Floats, u: Floats, weight: Floats) -> Solution:
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


def follow(first: Solution, copies: Floats) -> tuple[Floats, Floats, Floats]:
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


def scatter(first: Solution, copies: Floats) -> Floats:
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
    t, rss = descend(problem, _copies(u, begun), begun, 8, 1e-3)
    t = t[np.argsort(rss, kind="stable")]
    carried, rss = descend(problem, _copies(u, t[:CARRIED]), t[:CARRIED], 60, 1e-5)
    carried = carried[np.argsort(rss, kind="stable")]
    ends, rss = descend(problem, _copies(u, carried[:FINISHED]), carried[:FINISHED], 200, 1e-15)
    return np.concatenate([ends[np.argsort(rss, kind="stable")], carried[FINISHED:], t[CARRIED:], begun])


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
    away = ndtri(even.places(len(copies), many)) @ scatter(first, copies).T
    near = np.clip(first.ends[0] + away, 0.0, 1.0)
    starts = np.stack([own, near], axis=1)
    t, found = descend(problem, np.repeat(copies, 2, axis=0), starts.reshape(-1, many), 6, 1e-3)
    best = t.reshape(starts.shape)[np.arange(len(copies)), found.reshape(-1, 2).argmin(1)]
    return descend(problem, copies, best, 25, 1e-6)[0]


def _copies(u: Floats, t: Floats) -> Floats:
    return np.broadcast_to(u, (len(t), len(u)))
