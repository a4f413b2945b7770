"""What a run that is not yet made would teach: simulated worlds, and draws of the posterior reweighted in each.

A world is one draw of the posterior taken for the truth. Every candidate is measured in it, with noise; the other
draws are weighted by the likelihood of what was measured, without any new fit. The mean over worlds of the variance
that is left is what is expected after the measurement (preposterior analysis; Raiffa and Schlaifer 1961).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.decisions.ahead import Ahead
from reconscale.laws.decisions.candidates import Candidate
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surfaces.noise import SMOOTH
from reconscale.laws.surfaces.surface import Surface

Floats = NDArray[np.float64]

WORLDS = 128
PARTICLES = 2000
LEAST_EFFECTIVE = 30.0
"""Fewer effective draws than this say nothing: the likelihood is then widened, so that less is claimed to be learnt."""
TRIM = 0.01
"""Aims beyond these quantiles are drawn in, so that no single wild draw is all of the variance."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Equally likely possibilities.

    Attributes:
        at: (C, M) ln of the expected error where each of M candidates would be measured.
        noise: (M,) standard deviation of the mean over a candidate's runs.
        aims: (C, A) what the experiments are for: gains in the metric's unit, or ln(error) far ahead.
    """

    at: Floats
    noise: Floats
    aims: Floats


@dataclass(frozen=True, eq=False)
class Left:
    """What is expected to be left after some measurements.

    Attributes:
        variance: of the aims, summed, mean over worlds.
        regret: how much worse the best choice (any aim, or none) is than if everything were known, mean over worlds.
    """

    variance: float
    regret: float


def belief_1d(told: Ahead, candidates: tuple[Candidate, ...], metric: str, forecast_at: float | None) -> Belief:
    """From a curve over n."""
    x = np.log([item.n for item in candidates])
    aims = [told.last, told.last + np.log(2.0)] if forecast_at is None else [np.log(forecast_at)]
    drawn = told.curves(np.concatenate([x, aims]), images=False)[:PARTICLES]
    runs = np.array([item.seeds for item in candidates], dtype=np.float64)
    noise = told.noise(x) / np.sqrt(runs)
    if forecast_at is not None:
        return Belief(drawn[:, : len(x)], noise, _trimmed(drawn[:, -1:]))
    error = np.exp(drawn[:, -2:])
    gain = METRICS[metric].gain(error[:, 0], error[:, 1])
    return Belief(drawn[:, : len(x)], noise, _trimmed(gain[:, None]))


def belief_2d(
    drawn: Surface, candidates: tuple[Candidate, ...], points: Points, forecast_at: float | None, p: float
) -> Belief:
    """From a surface over n and p; the aims are the gains of doubling n and of doubling p at the chosen network."""
    last = float(points.n.max())
    n = [item.n for item in candidates]
    networks = [item.p or p for item in candidates]
    more = [(last, p), (2.0 * last, p), (last, 2.0 * p)] if forecast_at is None else [(forecast_at, p)]
    log_error = drawn.log_error([*n, *(a for a, _ in more)], [*networks, *(b for _, b in more)])
    seeds, wrong = drawn.parameters["seed_sd"][0], drawn.parameters["wrong_sd"][0]
    runs = np.array([item.seeds for item in candidates], dtype=np.float64)
    noise = np.sqrt(seeds**2 / runs + (1.0 - SMOOTH) * wrong**2)
    if forecast_at is not None:
        return Belief(log_error[:, : len(n)], noise, _trimmed(log_error[:, -1:]))
    error = np.exp(log_error[:, -3:])
    gains = [METRICS[points.metric].gain(error[:, 0], error[:, k]) for k in (1, 2)]
    return Belief(log_error[:, : len(n)], noise, _trimmed(np.stack(gains, axis=1)))


@dataclass(frozen=True, eq=False)
class Worlds:
    """Worlds in which some candidates have been measured already.

    Attributes:
        belief: the possibilities.
        truth: (W,) the draw that is true in each world.
        weight: (W, C) of each draw, given what was measured; rows sum to 1, and the true one is left out.
    """

    belief: Belief
    truth: NDArray[np.int64]
    weight: Floats

    @property
    def effective(self) -> float:
        """How many draws still count, in a typical world."""
        return float(np.median(1.0 / (self.weight**2).sum(axis=1)))

    def left(self, worthwhile: float | None) -> Left:
        """What is left now; without ``worthwhile`` there is no decision to regret."""
        aims = self.belief.aims - self.belief.aims.mean(axis=0)
        variance = float((self.weight @ aims**2 - (self.weight @ aims) ** 2).sum(axis=1).mean())
        if worthwhile is None:
            return Left(variance, 0.0)
        net = self.belief.aims - worthwhile
        known = self.weight @ np.maximum(net.max(axis=1), 0.0)
        chosen = np.maximum((self.weight @ net).max(axis=1), 0.0)
        return Left(variance, float(np.maximum(known - chosen, 0.0).mean()))

    def after(self, candidate: int, least: float, rng: np.random.Generator) -> Worlds:
        """The same worlds, with one more candidate measured.

        Args:
            candidate: which.
            least: effective draws below which the likelihood is widened.
            rng: source of the noise.
        """
        at, noise = self.belief.at[:, candidate], float(self.belief.noise[candidate])
        measured = at[self.truth] + noise * rng.standard_normal(len(self.truth))
        square = (measured[:, None] - at) ** 2
        square -= square.min(axis=1, keepdims=True, where=self.weight > 0.0, initial=np.inf)
        while True:
            weight = self.weight * np.exp(-0.5 * square / noise**2)
            made = Worlds(self.belief, self.truth, weight / weight.sum(axis=1, keepdims=True))
            if made.effective >= least:
                return made
            noise *= 1.4

    def tried(self, rng: np.random.Generator) -> list[Worlds]:
        """The worlds after each candidate."""
        least = min(LEAST_EFFECTIVE, 0.5 * self.effective)
        return [self.after(k, least, rng) for k in range(self.belief.at.shape[1])]


def worlds(belief: Belief, rng: np.random.Generator) -> Worlds:
    """Worlds in which nothing has been measured yet."""
    truth = rng.permutation(len(belief.at))[:WORLDS]
    weight = np.full((len(truth), len(belief.at)), 1.0 / (len(belief.at) - 1))
    weight[np.arange(len(truth)), truth] = 0.0
    return Worlds(belief, truth, weight)


def _trimmed(aims: Floats) -> Floats:
    low, high = np.quantile(aims, [TRIM, 1.0 - TRIM], axis=0)
    return np.clip(aims, low, high)
