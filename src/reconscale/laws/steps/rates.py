"""How much a doubling of the steps gains as long as training has not ended: a Gaussian process, in logarithms.

ln(gain) falls in a straight line over log2(steps), as it does where error = a + c steps^-g; the line is the same for
all runs but for shrunk slopes along ln n and ln p, a random walk, and what is a run's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from reconscale.arrays import Floats
from reconscale.laws.steps.trainings import NOTHING, Trainings


@dataclass(frozen=True)
class RatePrior:
    """What is believed of ln(fall of ln(error) in a doubling of the steps) before any data.

    Chosen by the continuous ranked probability score of held-out doublings (``python benchmarks/steps.py``).

    Attributes:
        level: of ln(gain) at the most steps.
        level_sd: its standard deviation.
        ratio: the next doubling gains this part of the one before.
        ratio_sd: standard deviation of the logarithm of that part.
        n_sd: of the slope along ln n.
        p_sd: of the slope along ln p.
        wander: of how far the line walks off in one doubling, for all runs alike.
        run_sd: of a run.
        noise: of a single gain.
        measured: of a difference of two ln(error), as test images are few.
    """

    level: float = -3.0
    level_sd: float = 3.0
    ratio: float = 0.73
    ratio_sd: float = 0.1
    n_sd: float = 0.2
    p_sd: float = 0.15
    wander: float = 0.15
    run_sd: float = 0.05
    noise: float = 0.37
    measured: float = 0.004


PRIOR = RatePrior()
MOST_GAINS = 1500
"""From more gains than this every second, third, ... run is left out, so that time stays bounded."""


@dataclass(frozen=True, eq=False)
class Rates:
    """The posterior of ln(gain of a doubling) at n, p and steps.

    Places are (4, N): n, p, log2(steps) in the middle of the doubling, and the number of a run, or -1 for none.
    """

    prior: RatePrior
    _known: Floats
    _centre: Floats
    _weight: Floats
    _factor: tuple[Floats, bool]

    def mean(self, places: Floats) -> Floats:
        """(N,) the expected ln(gain)."""
        where = _centred(places, self._centre)
        return np.asarray(_line(self.prior, where) + _kernel(self.prior, where, self._known) @ self._weight)

    def draw(self, places: Floats, draws: int, rng: np.random.Generator, *, noise: bool = True) -> Floats:
        """(draws, N) ln(gain); a row is one coherent possibility.

        Args:
            places: see above.
            draws: how many.
            rng: of the draws.
            noise: whether what single doublings have of their own is in it.
        """
        where = _centred(places, self._centre)
        cross = _kernel(self.prior, where, self._known)
        cover = _kernel(self.prior, where, where) - cross @ cho_solve(self._factor, cross.T)
        values, vectors = np.linalg.eigh(0.5 * (cover + cover.T))
        root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T  # the symmetric root: no sign to choose
        made = self.mean(places) + rng.standard_normal((draws, len(cover))) @ root
        return np.asarray(made + (self.prior.noise * rng.standard_normal(made.shape) if noise else 0.0))


def infer_rates(known: Trainings, prior: RatePrior = PRIOR) -> Rates:
    """The posterior, in closed form; doublings in which a run ended say nothing of those before."""
    keep = np.ones(len(known.gain), dtype=bool)
    keep[known.final] = ~known.ended
    few = -(-int(keep.sum()) // MOST_GAINS)
    keep &= (len(known) - 1 - known.run) % max(few, 1) == 0  # the runs of the largest n are last
    run, length = known.run[keep], (known.end - known.start)[keep]
    gain = np.maximum(known.gain[keep], NOTHING)
    middle = 0.5 * (known.start + known.end)[keep]
    places = np.stack([known.n[run], known.p[run], middle, run.astype(np.float64)])
    centre = np.array([np.log(known.n).max(), np.log(known.p).max(), known.last.max()])
    where = _centred(places, centre)
    noise = prior.noise**2 + (prior.measured / gain / length) ** 2
    factor = cho_factor(_kernel(prior, where, where) + np.diag(noise), lower=True)
    return Rates(prior, where, centre, cho_solve(factor, np.log(gain) - _line(prior, where)), factor)


def _centred(places: Floats, centre: Floats) -> Floats:
    return np.stack([*(np.log(places[:2]) - centre[:2, None]), places[2] - centre[2], places[3]])


def _line(prior: RatePrior, where: Floats) -> Floats:
    return np.asarray(prior.level + np.log(prior.ratio) * where[2])


def _kernel(prior: RatePrior, a: Floats, b: Floats) -> Floats:
    """Prior covariance between places (4, N) and (4, M) about the centre."""
    made = prior.level_sd**2 + prior.n_sd**2 * np.outer(a[0], b[0]) + prior.p_sd**2 * np.outer(a[1], b[1])
    made = made + prior.ratio_sd**2 * np.outer(a[2], b[2])
    same_side = np.outer(a[2], b[2]) > 0  # two walks, which start at the centre
    made = made + prior.wander**2 * same_side * np.minimum.outer(np.abs(a[2]), np.abs(b[2]))
    return np.asarray(made + prior.run_sd**2 * ((a[3][:, None] == b[3]) & (b[3] >= 0)))
