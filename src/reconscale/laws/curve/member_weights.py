"""How much each member of the ensemble counts, near the data and far beyond them.

Any error: the same shares everywhere. Metrics of images: near the data the last slope goes on, so that the straight
line counts; far beyond them curves of reconstruction flatten, by how much nobody can tell, so that the share of the
last value differs from draw to draw. From three sizes alone, and where replicates say what is noise and what is not,
the curve itself is trusted more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.curve.calibration import RECONSTRUCTION, domain_of, known_share
from reconscale.laws.grouping import SizeMeans

EVERYWHERE = {"curve": 0.64, "last value": 0.16, "line": 0.2}
"""Shares for an error of any kind; chosen on the development curves (``benchmarks/laws.py``)."""
NEAR_LINE = 0.3
"""Share of the straight line next to the data, for metrics of images."""
FAR_LAST = (0.1, 0.6)
"""Share of the last value far beyond the data, for metrics of images: where little speaks for more, and for single runs
at four sizes or more. Chosen on single runs of CT and of the repository's studies, and on simulated studies."""
ENOUGH = (3.0, 4.0)
"""Up to the first many sizes little speaks for more; from the second on all does."""
PASSAGE = 1.2
"""Over this much of ln n beyond the data the shares next to them pass into those far beyond."""
EVEN = 2.0
"""Sum of the parameters of the beta density of that share: nearly even from nothing to all."""


@dataclass(frozen=True)
class MemberWeights:
    """Shares of the members.

    Attributes:
        near: member -> share next to the data; they sum to 1.
        far: member -> share far beyond them; they sum to 1.
        varies: whether the share of the last value far beyond the data differs from draw to draw, about its mean.
    """

    near: dict[str, float]
    far: dict[str, float]
    varies: bool = False

    def at(self, away: float) -> dict[str, float]:
        """Member -> mean share at a distance of ``away`` in ln n beyond the data; they sum to 1."""
        passed = float(_passed(np.array(away)))
        return {name: near + passed * (self.far[name] - near) for name, near in self.near.items()}

    def draw(self, away: Floats, count: int, rng: np.random.Generator) -> dict[str, Floats]:
        """Member -> (count, N), or (1, N), shares at distances ``away`` (N,) in ln n beyond the data."""
        passed, mean = _passed(away), self.far["last value"]
        share = np.array([[mean]])
        if self.varies and 1e-3 < mean < 1.0 - 1e-3:
            share = rng.beta(EVEN * mean, EVEN * (1.0 - mean), (count, 1))
        rest = (1.0 - share) / (1.0 - mean)
        far = {name: share if name == "last value" else rest * value for name, value in self.far.items()}
        return {name: near + passed * (far[name] - near) for name, near in self.near.items()}


def weigh_members(level: SizeMeans, laws: Sequence[str], trust: Sequence[float]) -> MemberWeights:
    """Shares of the members of a curve.

    Args:
        level: what was measured.
        laws: named laws, by key; they share as much as the curve has, and then all is scaled to sum to 1.
        trust: for ``curve``, ``last value``, ``line`` and the laws, in this order: by how much each falls for having
            missed the sizes that were held back, 1 where it did not.
    """
    if domain_of(level.metric) != RECONSTRUCTION:
        shares = _shared(EVERYWHERE, laws, trust)
        return MemberWeights(shares, shares)
    least, most = FAR_LAST
    speaks = float(np.interp(len(level.x), ENOUGH, (0.0, 1.0))) * (1.0 - known_share(level))
    last = least + (most - least) * speaks
    near = {"curve": 1.0 - NEAR_LINE, "last value": 0.0, "line": NEAR_LINE}
    far = {"curve": 1.0 - last, "last value": last, "line": 0.0}
    return MemberWeights(_shared(near, laws, trust), _shared(far, laws, trust), varies=True)


def _shared(shares: dict[str, float], laws: Sequence[str], trust: Sequence[float]) -> dict[str, float]:
    every = shares | {key: shares["curve"] / len(laws) for key in laws}
    weights = np.array(list(every.values())) * np.asarray(trust)
    return dict(zip(every, (weights / weights.sum()).tolist(), strict=True))


def _passed(away: Floats) -> Floats:
    """How far the passage has come at a distance in ln n, 0 to 1."""
    return np.asarray(1.0 - np.exp(-((np.maximum(away, 0.0) / PASSAGE) ** 2)))
