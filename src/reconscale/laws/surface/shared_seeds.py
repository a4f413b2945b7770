"""What the runs of one seed have in common at all n of one p.

A seed sets a network's initialisation, and often the order of its images, at every n alike. So a width can be lucky at
all n at once, and its cells then repeat one deviation instead of showing it several times. The deviation of a run is
modelled as a random effect of (p, seed), which has the part rho of the variance, and one of the run itself; rho is the
intraclass correlation. Source: Searle, Casella, McCulloch, Variance components (1992), chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats

EXPECTED, WORTH = 0.5, 2.0
"""Rho before any data, and how many pairs of deviations that is worth."""
UNLABELLED = 0.95
"""Rho where rows do not say their seed: about the worst that is plausible."""
MOST = 0.98
"""Rho is not taken to be larger."""


@dataclass(frozen=True, eq=False)
class SharedSeeds:
    """Random effects of (p, seed).

    Attributes:
        rho: part of the variance between seeds that is alike at all n of one p; 0 without replicates.
        common: (K, K) pairs of runs of two cells that share p and seed; on the diagonal, of one cell with itself.
        own: (K,) degrees of freedom of each cell's spread that do not repeat other cells', as a part of all it has.
    """

    rho: float
    common: Floats
    own: Floats


def estimate_shared_seeds(
    p: Floats, cell: NDArray[np.int64], seed: NDArray[np.int64] | None, away: Floats
) -> SharedSeeds:
    """Rho from the products of deviations of one (p, seed) at different n, shrunk to ``EXPECTED``.

    Two deviations from cell means have covariance rho times what they would have were all variance shared. A sum of
    squares that repeats others has fewer degrees of freedom. Source: Satterthwaite, An approximate distribution of
    estimates of variance components (1946).

    Args:
        p: (K,) parameters of the network of each cell.
        cell: (M,) which cell each run belongs to.
        seed: (M,) label of each run; without labels the cells of one p count as of the same seeds.
        away: (M,) deviation of each run from its cell's mean.
    """
    runs = np.bincount(cell, minlength=len(p)).astype(np.float64)
    labels = np.zeros_like(cell) if seed is None else np.unique(seed, return_inverse=True)[1].ravel()
    counts, sums = np.zeros((2, len(p), int(labels.max()) + 1))
    np.add.at(counts, (cell, labels), 1.0)
    np.add.at(sums, (cell, labels), away)
    pairs = np.minimum.outer(runs, runs) if seed is None else counts @ counts.T
    common = np.where(p[:, None] == p, pairs, 0.0)
    alike = common * (1.0 - 1.0 / runs[:, None] - 1.0 / runs + common / np.outer(runs, runs))
    np.fill_diagonal(alike, 0.0)
    dof = np.maximum(runs - 1.0, 1.0)
    variance = np.bincount(cell, away**2, len(p)) / dof
    rho = UNLABELLED
    if not variance.any():
        rho = 0.0
    elif seed is not None:
        products = np.where(alike > 0.0, sums @ sums.T, 0.0).sum()
        typical = 0.5 * (alike @ variance).sum() + 0.5 * (variance @ alike).sum()
        pooled = typical / alike.sum() if alike.any() else 1.0
        rho = (2.0 * WORTH * EXPECTED * pooled + products) / (2.0 * WORTH * pooled + typical)
    rho = float(np.clip(rho, 0.0, MOST))
    repeated = (alike / np.sqrt(np.outer(dof, dof))).sum(1)
    return SharedSeeds(rho, common, 1.0 / (1.0 + rho**2 * repeated))
