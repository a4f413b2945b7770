"""What related curves have in common: draws of each, weighted by how well they go with draws of the others.

Networks that learn the same task often slow down alike. Each curve is inferred alone first. Three quantities of it are
then read as normal scores under what is believed before any data: how fast the error falls at the largest n that all
curves reach, how much of that is left at three times as many, and how fast it fell at a tenth. Between the curves the
scores of one quantity have a common correlation, the *degree of sharing*: 0 leaves every curve as it was, and the
largest degree still leaves it some freedom. Each quantity has a degree of its own, which is learnt with the curves and
averaged over, so curves that are unlike stay nearly as they were. Runs count as independent: two metrics of the same
runs would count the same evidence twice.

The draws of the curves are the proposals of a Metropolis-within-Gibbs sampler over curves and degrees (many short
chains side by side, each begun from independent draws), so nothing is inferred again.
Source of the idea: exchangeable normal effects with a common correlation, as in Gelman and Hill (2007), chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import ndtri

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.curve.model import DIMENSIONS, CurveDraws, curves_from_normals
from reconscale.laws.curve.posterior import CLOUD, LEAST_SLOPE, Posterior, belief_about

QUANTITIES = ("slope", "slowing down", "earlier slope")
"""What curves may share."""
PLACES = np.log([1.0, 3.0, 0.1])
"""Where the slopes are read, in ln n from the largest n that all curves reach."""
SWEEPS = 40
"""Moves of every curve in each chain."""
MARGIN = 1e-4
"""No normal score is more extreme than those of this probability."""


@dataclass(frozen=True)
class SharingPrior:
    """What is believed about the degree of sharing of a quantity before any data.

    Attributes:
        degrees: what it can be, 0 first.
        chances: of each; they sum to 1.
    """

    degrees: tuple[float, ...] = (0.0, 0.3, 0.6, 0.8)
    chances: tuple[float, ...] = (0.4, 0.2, 0.2, 0.2)


SHARING = SharingPrior()
"""``python benchmarks/related.py forecasts`` compares it with a stronger one."""


@dataclass(frozen=True, eq=False)
class SharedShape:
    """Joint draws of related curves.

    Attributes:
        posteriors: of each curve; row d of one goes with row d of the others.
        degree: quantity -> mean degree of sharing, 0 to 1.
        odds: quantity -> Bayes factor of any sharing against none.
    """

    posteriors: tuple[Posterior, ...]
    degree: dict[str, float]
    odds: dict[str, float]


def share_shape(
    posteriors: Sequence[Posterior], rng: np.random.Generator, belief: SharingPrior = SHARING
) -> SharedShape:
    """Couple curves that were inferred alone.

    Args:
        posteriors: two or more.
        rng: source of the sampler's moves.
        belief: about the degrees of sharing.
    """
    last = min(float(one.level.x[-1]) for one in posteriors)
    scores = [normal_scores(one, last + PLACES) for one in posteriors]
    rows, degrees = _sample(scores, rng, belief)
    shared = [_taken(one, rows[:, k]) for k, one in enumerate(posteriors)]
    chance = (degrees > 0).mean(axis=0)
    limited = np.clip(chance, 0.5 / len(degrees), 1.0 - 0.5 / len(degrees))
    odds = limited / (1.0 - limited) * belief.chances[0] / (1.0 - belief.chances[0])
    mean = np.array(belief.degrees)[degrees].mean(axis=0)
    named = (dict(zip(QUANTITIES, values.tolist(), strict=True)) for values in (mean, odds))
    return SharedShape(tuple(shared), *named)


def normal_scores(posterior: Posterior, places: Floats) -> Floats:
    """(D, 3) the quantities of each draw, independent and standard normal before any data.

    Args:
        posterior: of one curve.
        places: (3,) ln n at which slopes are read.
    """
    level = posterior.level
    u, first = places - level.x[-1], float(level.x[0] - level.x[-1])
    belief = belief_about(len(level.x), level.metric).curve
    before = _log_slopes(curves_from_normals(smc.normal_sequence(CLOUD, DIMENSIONS), first, belief), u)
    after = _log_slopes(posterior.shapes, u)
    ranked = [_ranked(before[:, k], np.stack([before[:, k], after[:, k]], axis=1)) for k in range(len(u))]
    known, own = (np.stack([both[:, k] for both in ranked], axis=1) for k in (0, 1))
    root = np.linalg.cholesky(np.cov(known.T) + 1e-3 * np.eye(len(u)))
    return np.asarray(solve_triangular(root, own.T, lower=True).T)


def _log_slopes(drawn: CurveDraws, u: Floats, step: float = 0.01) -> Floats:
    """(D, N) ln of -d ln(error) / d ln(n) at u (N,)."""
    shape = drawn.log_shape(np.concatenate([u - 0.5 * step, u + 0.5 * step]))
    return np.log(np.maximum((shape[:, : len(u)] - shape[:, len(u) :]) / step, LEAST_SLOPE))


def _ranked(known: Floats, values: Floats) -> Floats:
    """Normal scores of ``values`` among ``known`` (D,); equal values have the middle of their ranks."""
    ordered = np.sort(known)
    rank = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(ndtri(np.clip((0.5 * rank + 0.5) / (len(known) + 1), MARGIN, 1.0 - MARGIN)))


def _sample(
    scores: Sequence[Floats], rng: np.random.Generator, belief: SharingPrior
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (D, M) of the curves that go together, and the index (D, Q) of the degree of each quantity."""
    many, draws, values = len(scores), len(scores[0]), np.array(belief.degrees)
    rows = np.stack([np.arange(draws)] + [rng.permutation(draws) for _ in range(many - 1)], axis=1)
    now = np.stack([one[rows[:, k]] for k, one in enumerate(scores)], axis=1)
    degrees = np.zeros((draws, now.shape[2]), dtype=np.int64)
    for _ in range(SWEEPS):
        chance = np.cumsum(np.exp(log_copula(now, values)) * np.array(belief.chances), axis=-1)
        degrees = (chance < rng.random(degrees.shape)[:, :, None] * chance[:, :, -1:]).sum(axis=-1)
        density = _log_density(now, values[degrees])
        for k, one in enumerate(scores):
            proposed, new = rng.integers(draws, size=draws), now.copy()
            new[:, k] = one[proposed]
            better = _log_density(new, values[degrees])
            accepted = np.log(rng.random(draws)) < better - density
            rows[accepted, k], now[accepted] = proposed[accepted], new[accepted]
            density = np.where(accepted, better, density)
    return rows, degrees


def log_copula(scores: Floats, degrees: Floats) -> Floats:
    """(D, Q, R) log density of scores (D, M, Q) with each correlation (R,), over that of independent ones."""
    return _log_ratio(scores.sum(axis=1)[..., None], (scores**2).sum(axis=1)[..., None], scores.shape[1], degrees)


def _log_density(scores: Floats, degrees: Floats) -> Floats:
    """(D,) the same with a correlation (D, Q) for each quantity, summed over them."""
    every = _log_ratio(scores.sum(axis=1), (scores**2).sum(axis=1), scores.shape[1], degrees)
    return np.asarray(every.sum(axis=1))


def _log_ratio(total: Floats, squares: Floats, many: int, degrees: Floats) -> Floats:
    scale = (many - 1) * np.log1p(-degrees) + np.log1p((many - 1) * degrees)
    form = (squares - degrees / (1.0 + (many - 1) * degrees) * total**2) / (1.0 - degrees)
    return np.asarray(-0.5 * (scale + form - squares))


def _taken(posterior: Posterior, rows: NDArray[np.int64]) -> Posterior:
    kept = {part.name: getattr(posterior.shapes, part.name)[rows] for part in fields(CurveDraws)}
    return replace(posterior, shapes=CurveDraws(**kept), which=posterior.which[rows])
