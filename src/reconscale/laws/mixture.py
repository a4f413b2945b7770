"""Several laws at once, each trusted as far as it has forecast the largest sizes from the smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.named.bootstrap import Bootstrap, bootstrap
from reconscale.laws.named.forms import LAWS, NAIVE, Law, bounded
from reconscale.laws.levels import Levels

Floats = NDArray[np.float64]

PRIOR = {"power": 0.25, "power+floor": 0.45, "last value": 0.1, "line": 0.2}
"""Weights before any forecast has been checked; the held-out scores can take at most ``LEARNT`` of the whole."""
LEARNT = 0.85
COPIES = 256
"""Resampled data sets for each law."""
DRAWS = 2000
"""Curves drawn from the mixture."""

ALWAYS_WRONG = 0.004
"""No law is exact: relative error of a forecast for each factor e beyond the data, at least."""
BENDS = 0.15
"""The curve's slope in log-log beyond the data may differ from what a law says by this part of its last slope."""
BEND_TAILS = 3
"""Degrees of freedom of that discrepancy: mostly smaller, now and then much larger."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Fitted laws and their weights.

    Attributes:
        level: what they are fitted to.
        members: the fitted laws.
        weights: law -> weight; they sum to 1.
        drift: scale of the discrepancy of ln(error) for each factor e of n beyond the data.
    """

    level: Levels
    members: tuple[Bootstrap, ...]
    weights: dict[str, float]
    drift: float


def mixture(level: Levels, rng: np.random.Generator, images: bool = False) -> Mixture:
    """Fit every member and weigh it by its held-out score.

    A member's weight is ``0.15 prior + 0.85 posterior``, the posterior being proportional to prior times predictive
    density of the largest size seen from all others (times, where there are six or more sizes, that of the largest
    size seen from all but the two largest).
    """
    laws = [({**LAWS, **NAIVE})[name] for name in PRIOR]
    members = tuple(bootstrap(law, level, COPIES, rng, images=images) for law in laws)
    prior = np.array(list(PRIOR.values()))
    scores = _held_out_scores(laws, level, rng)
    learnt = prior * np.exp(np.maximum(scores - scores.max(), -30.0))
    weights = (1.0 - LEARNT) * prior + LEARNT * learnt / learnt.sum()
    return Mixture(level, members, dict(zip(PRIOR, (weights / weights.sum()).tolist(), strict=True)), drift(level))


def drift(level: Levels) -> float:
    """How fast the laws may go wrong beyond the data: scale of ln(error) for each factor e of n."""
    part = NAIVE["line"].window(len(level.x))
    x, z = level.x[part], level.z[part]
    away = x - x.mean()
    slope = float(np.clip(away @ z / (away @ away), -2.0, 2.0))
    return float(np.hypot(ALWAYS_WRONG, BENDS * slope))


def beyond(x: Floats, level: Levels) -> Floats:
    """How far ln n = x lies outside the data, 0 inside."""
    return np.asarray(np.maximum(np.maximum(x - level.x[-1], level.x[0] - x), 0.0))


def curves(mix: Mixture, x: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw curves of the expected ln(error) from the mixture.

    Returns:
        (DRAWS, N) values at x = ln n, each row one coherent curve, and (DRAWS, 1) the stretch of its noise.
    """
    shares = np.cumsum(list(mix.weights.values()))
    owner = np.minimum(np.searchsorted(shares, (np.arange(DRAWS) + 0.5) / DRAWS), len(shares) - 1)
    values, stretch = np.empty((DRAWS, len(x))), np.empty((DRAWS, 1))
    for index, member in enumerate(mix.members):
        mine = np.flatnonzero(owner == index)
        copy = np.arange(len(mine)) % len(member.draws)
        values[mine] = member.log_error(x)[copy]
        stretch[mine] = member.stretch[copy]
    wrong = rng.standard_t(BEND_TAILS, (DRAWS, 1)) * mix.drift
    return bounded(values + wrong * beyond(x, mix.level)), stretch


def _held_out_scores(laws: Sequence[Law], level: Levels, rng: np.random.Generator) -> Floats:
    """Summed log predictive density of the largest size; members that cannot be scored get the mean of the others."""
    many = len(level.x)
    backs = [1, 2] if many >= 6 else [1]
    scores = np.full((len(laws), len(backs)), np.nan)
    for column, back in enumerate(backs):
        seen = level.until(many - back)
        for row, law in enumerate(laws):
            if len(seen.x) >= law.least:
                scores[row, column] = _score(law, seen, level, rng)
    known = np.isfinite(scores)
    mean = np.where(known, scores, 0.0).sum(1) / np.maximum(known.sum(1), 1)
    total = mean * len(backs)
    return np.asarray(np.where(known.any(1), total, total[known.any(1)].mean()))


def _score(law: Law, seen: Levels, level: Levels, rng: np.random.Generator) -> float:
    """Student t5 log density of the last level of ``level`` under ``law`` fitted to ``seen``."""
    x, z = level.x[-1:], float(level.z[-1])
    result = bootstrap(law, seen, 48, rng)
    ahead = result.log_error(x)[:, 0]
    wrong = drift(seen) * beyond(x, seen)[0] if len(seen.x) > 1 else 0.0
    scale = np.sqrt(ahead.var() + level.variance[-1] + wrong**2)
    return float(-np.log(scale) - 3.0 * np.log1p(((z - np.median(ahead)) / scale) ** 2 / 5.0))
