"""How much each member of the ensemble counts, near the data and far beyond them.

Any error: the same shares everywhere. Metrics of images: curves of reconstruction go on for a while and then flatten,
where and by how much nobody can tell. So each curve stops in part, at a place of its own beyond the data. From three
sizes alone, and where replicates say what is noise and what is not, the curve itself is trusted more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from reconscale.arrays import Floats
from reconscale.laws.curve.calibration import RECONSTRUCTION, domain_of, known_share
from reconscale.laws.grouping import SizeMeans

EVERYWHERE = {"curve": 0.64, "last value": 0.16, "line": 0.2}
"""Shares for an error of any kind; chosen on the development curves (``benchmarks/laws.py``)."""
NEAR_LINE = 0.2
"""Share of the straight line before a curve of images stops, and of what is left of it afterwards."""
FAR_LAST = (0.15, 0.75)
"""Share of the curve that stops, for metrics of images: where little speaks for more, and for single runs at four sizes
or more. Chosen on single runs of CT and of the repository's studies, and on simulated studies."""
ENOUGH = (3.0, 4.0)
"""Up to the first many sizes little speaks for more; from the second on all does."""
PASSAGE = 0.6
"""Scale, in ln n beyond the data, of where it stops: within d with probability 1 - exp(-(d / scale)^2)."""
EVEN = 2.0
"""Sum of the parameters of the beta density of that share: nearly even from nothing to all."""
PLACES = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.2, 1.8])
"""Distances between which curves are straight in log-log, where they are asked for the value at which they stop."""


@dataclass(frozen=True)
class MemberWeights:
    """Shares of the members.

    Attributes:
        near: member -> share next to the data; they sum to 1.
        far: member -> share far beyond them; they sum to 1.
        stops: whether curves stop somewhere beyond the data, in part: the last value's share far beyond.
    """

    near: dict[str, float]
    far: dict[str, float]
    stops: bool = False

    def at(self, away: float) -> dict[str, float]:
        """Member -> mean share at a distance of ``away`` in ln n beyond the data; they sum to 1."""
        passed = float(_passed(np.array(away)))
        return {name: near + passed * (self.far[name] - near) for name, near in self.near.items()}

    def stop(self, mixed: Floats, away: Floats, at_places: Floats, rng: np.random.Generator) -> Floats:
        """Curves that stop, each in part and at a place of its own; none rises that did not rise before.

        Args:
            mixed: (C, N) ln(error) of curves that go on.
            away: (N,) their distances in ln n beyond the data.
            at_places: (C, P) ln(error) of the same curves at :data:`PLACES`.
            rng: source of shares and places.

        Returns:
            (C, N) ln(error).
        """
        mean, count = self.far["last value"], len(mixed)
        share = np.full((count, 1), mean)
        if 1e-3 < mean < 1.0 - 1e-3:
            share = betaincinv(EVEN * mean, EVEN * (1.0 - mean), rng.random((count, 1)))
        place = np.minimum(PASSAGE * np.sqrt(rng.standard_exponential(count)), PLACES[-1])
        index = np.clip(np.searchsorted(PLACES, place, side="right") - 1, 0, len(PLACES) - 2)
        part = (place - PLACES[index]) / (PLACES[index + 1] - PLACES[index])
        rows = np.arange(count)
        stopped = at_places[rows, index] + part * (at_places[rows, index + 1] - at_places[rows, index])
        beyond = away[None, :] > place[:, None]
        return np.where(beyond, mixed + share * (stopped[:, None] - mixed), mixed)


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
    near = _shared({"curve": 1.0 - NEAR_LINE, "last value": 0.0, "line": NEAR_LINE}, laws, trust)
    last = last * trust[1] / (last * trust[1] + 1.0 - last)
    far = {name: last if name == "last value" else (1.0 - last) * share for name, share in near.items()}
    return MemberWeights(near, far, stops=True)


def _shared(shares: dict[str, float], laws: Sequence[str], trust: Sequence[float]) -> dict[str, float]:
    every = shares | {key: shares["curve"] / len(laws) for key in laws}
    weights = np.array(list(every.values())) * np.asarray(trust)
    return dict(zip(every, (weights / weights.sum()).tolist(), strict=True))


def _passed(away: Floats) -> Floats:
    """How far the passage has come at a distance in ln n, 0 to 1."""
    return np.asarray(1.0 - np.exp(-((np.maximum(away, 0.0) / PASSAGE) ** 2)))
