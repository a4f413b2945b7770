"""What is believed about every network that was measured at one n, whichever of them looks best.

The largest of several noisy means is too large (the winner's curse), so the difference between the network that was
selected and the next one must not be read off the two means alone. Here the levels of all networks are a random walk
along ln p about an unknown mean: before any data, doubling p gains nothing on average, and steps have a standard
deviation tau that is learnt from all of them. Given tau everything is normal; the variance of the noise is summed over
in closed form (Student's t) and tau on a grid. What is believed of a network does not depend on which one is selected.
Sources: Harvey, Forecasting, structural time series models and the Kalman filter (1989), chapter 2, for the walk;
Efron and Morris, Stein's estimation rule and its competitors (1973), for the shrinkage; Kass and Wasserman, A reference
Bayesian test for nested hypotheses (1995), for tau that is at least the noise.
"""

from __future__ import annotations

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.grouping import SizeMeans

RATIOS = np.geomspace(1.0, 1000.0, 9)
"""Tau over the standard error of one network's mean, equally likely before any data."""


def sample_levels(along: SizeMeans, draws: int, rng: np.random.Generator) -> Floats:
    """(draws, K) coherent draws of the expected ln(error) of each network.

    Args:
        along: the runs at one n, grouped by p.
        draws: how many.
        rng: source of the draws.
    """
    typical = float(np.exp(np.log(along.variance).mean()))
    noise = along.variance / typical
    walk = np.minimum.outer(along.x - along.x[0], along.x - along.x[0]) * (len(along.x) - 1) / np.ptp(along.x)
    # The spread that was guessed before any run counts as one of them; with two seeds at three widths it would be a
    # quarter of all that is known, and intervals would be an eighth too narrow.
    tail = along.dof - along.replicated + len(along.x) - 1
    logs, means, roots = [], [], []
    for ratio in RATIOS:
        weight = np.linalg.inv(np.diag(noise) + ratio**2 * walk)
        total = weight.sum()
        residual = along.z - weight.sum(0) @ along.z / total
        squares = along.dof * typical + residual @ weight @ residual
        logs.append(0.5 * (np.linalg.slogdet(weight)[1] - np.log(total) - tail * np.log(squares)))
        gain = noise[:, None] * weight
        means.append(along.z - gain @ residual)
        left = np.diag(noise) - gain * noise + np.outer(gain.sum(1), gain.sum(1)) / total
        roots.append(np.linalg.cholesky(left) * np.sqrt(squares / tail))
    chances = np.exp(np.array(logs) - max(logs))
    pick = np.searchsorted(np.cumsum(chances) / chances.sum(), rng.random(draws))
    unit = rng.standard_normal((draws, len(noise))) * np.sqrt(tail / rng.chisquare(tail, (draws, 1)))
    return np.asarray(np.array(means)[pick] + np.einsum("dij,dj->di", np.array(roots)[pick], unit))
