"""What a run that is not yet made would teach: simulated worlds, and draws of the posterior reweighted in each.

A world is one draw of the posterior taken for the truth. Every candidate is measured in it, with noise; the other
draws are weighted by the likelihood of what was measured, without any new fit. The mean over worlds of the variance
that is left is what is expected after the measurement (preposterior analysis; Raiffa and Schlaifer 1961).

Beyond the data a draw bends once, so a measurement there would seem to say how it goes on for ever. A new fit would
allow for a new bend beyond the new largest n, and so do the worlds. Where the calibration stretches the curve for being
faint or surprising, the new bend is not stretched: more sizes make a curve less so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.decisions.ahead import Ahead
from reconscale.laws.decisions.candidates import Candidate
from reconscale.laws.points import METRICS, Points
from reconscale.laws.posterior.stacking import BEND_TAILS
from reconscale.laws.surfaces.noise import SMOOTH
from reconscale.laws.surfaces.surface import ALWAYS_WRONG, BENDS, NUDGE, Surface

Floats = NDArray[np.float64]

WORLDS = 128
PARTICLES = 2000
LEAST_EFFECTIVE = 30.0
"""Fewer effective draws than this say nothing: the likelihood is then widened, so that less is claimed to be learnt."""
TRIM = 0.05
"""For the variance aims beyond these quantiles are drawn in, so that no wild draw is most of it."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Equally likely possibilities.

    Attributes:
        at: (C, M) ln of the expected error where each of M candidates would be measured.
        x: (M,) ln n of the candidates.
        noise: (M,) standard deviation of the mean over a candidate's runs.
        aims: (C, A) ln of the expected error that matters.
        places: (A,) ln n of these.
        last: ln of the largest n measured.
        bend: (C,) change of slope beyond a new largest n.
        before: (C,) ln of the error that gains are counted from, or None where ln(error) itself is the aim.
        metric: name of the metric.
    """

    at: Floats
    x: Floats
    noise: Floats
    aims: Floats
    places: Floats
    last: float
    bend: Floats
    before: Floats | None = None
    metric: str = "error"

    def told(self, far: float) -> Floats:
        """(C, A) the aims, as gains or ln(error), once ``far`` is the largest ln n measured."""
        away = np.maximum(self.places - far, 0.0) if far > self.last else np.zeros(len(self.places))
        values = self.aims + self.bend[:, None] * away
        if self.before is None:
            return np.asarray(values)
        return METRICS[self.metric].gain(np.exp(self.before)[:, None], np.exp(values))


@dataclass(frozen=True)
class Left:
    """What is expected to be left after some measurements.

    Attributes:
        variance: of the aims, summed, mean over worlds.
        regret: how much worse the best choice (any aim, or none) is than if everything were known, mean over worlds.
    """

    variance: float
    regret: float


def belief_1d(
    told: Ahead, candidates: tuple[Candidate, ...], metric: str, forecast_at: float | None, rng: np.random.Generator
) -> Belief:
    """From a curve over n; the aim is the gain of doubling n, or the forecast."""
    x = np.log([item.n for item in candidates])
    places = np.array([told.last + np.log(2.0) if forecast_at is None else np.log(forecast_at)])
    drawn = told.curves(np.concatenate([x, places, [told.last]]), images=False)[:PARTICLES]
    runs = np.array([item.seeds for item in candidates], dtype=np.float64)
    return Belief(
        at=drawn[:, : len(x)],
        x=x,
        noise=told.noise(x) / np.sqrt(runs),
        aims=drawn[:, len(x) : -1],
        places=places,
        last=told.last,
        bend=told.made.drift * min(1.0, told.stretch(float(places[0]))) * rng.standard_t(BEND_TAILS, len(drawn)),
        before=drawn[:, -1] if forecast_at is None else None,
        metric=metric,
    )


def belief_2d(
    drawn: Surface,
    candidates: tuple[Candidate, ...],
    points: Points,
    forecast_at: float | None,
    p: float,
    rng: np.random.Generator,
) -> Belief:
    """From a surface over n and p; the aims are the gains of doubling n and p at the chosen network, or the forecast.

    A gain of p lies at the largest n, where nothing bends anew.
    """
    last = float(points.n.max())
    n, networks = [item.n for item in candidates], [item.p or p for item in candidates]
    more = [(2.0 * last, p), (last, 2.0 * p)] if forecast_at is None else [(forecast_at, p)]
    edge = [(last, p), (last * np.exp(-NUDGE), p)]
    log_error = drawn.log_error([*n, *(a for a, _ in [*more, *edge])], [*networks, *(b for _, b in [*more, *edge])])
    seeds, wrong = drawn.parameters["seed_sd"][0], drawn.parameters["wrong_sd"][0]
    runs = np.array([item.seeds for item in candidates], dtype=np.float64)
    slope = float(np.median(log_error[:, -2] - log_error[:, -1])) / NUDGE
    return Belief(
        at=log_error[:, : len(n)],
        x=np.log(n),
        noise=np.sqrt(seeds**2 / runs + (1.0 - SMOOTH) * wrong**2),
        aims=log_error[:, len(n) : -2],
        places=np.log([a for a, _ in more]),
        last=float(np.log(last)),
        bend=np.hypot(ALWAYS_WRONG, BENDS * slope) * rng.standard_t(BEND_TAILS, len(log_error)),
        before=log_error[:, -2] if forecast_at is None else None,
        metric=points.metric,
    )


@dataclass(frozen=True, eq=False)
class Worlds:
    """Worlds in which some candidates have been measured already.

    Attributes:
        belief: the possibilities.
        truth: (W,) the draw that is true in each world.
        weight: (W, C) of each draw, given what was measured; rows sum to 1, and the true one is left out.
        far: the largest ln n measured by now.
    """

    belief: Belief
    truth: NDArray[np.int64]
    weight: Floats
    far: float

    @property
    def effective(self) -> float:
        """How many draws still count, in a typical world."""
        return float(np.median(1.0 / (self.weight**2).sum(axis=1)))

    def left(self, worthwhile: float | None) -> Left:
        """What is left now; without ``worthwhile`` there is no decision to regret."""
        told = self.belief.told(self.far)
        aims = np.clip(told, *np.quantile(told, [TRIM, 1.0 - TRIM], axis=0))
        aims = aims - aims.mean(axis=0)
        variance = float((self.weight @ aims**2 - (self.weight @ aims) ** 2).sum(axis=1).mean())
        if worthwhile is None:
            return Left(variance, 0.0)
        net = told - worthwhile
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
        belief = self.belief
        at, noise = belief.at[:, candidate], float(belief.noise[candidate])
        far = max(self.far, float(belief.x[candidate]))
        measured = at[self.truth] + noise * rng.standard_normal(len(self.truth))
        square = np.where(self.weight > 0.0, (measured[:, None] - at) ** 2, np.inf)
        square -= square.min(axis=1, keepdims=True)
        while True:
            weight = self.weight * np.exp(-0.5 * square / noise**2)
            made = Worlds(belief, self.truth, weight / weight.sum(axis=1, keepdims=True), far)
            if made.effective >= least:
                return made
            noise *= 1.4

    def tried(self, rng: np.random.Generator) -> list[Worlds]:
        """The worlds after each candidate."""
        least = min(LEAST_EFFECTIVE, 0.5 * self.effective)
        return [self.after(k, least, rng) for k in range(len(self.belief.x))]


def worlds(belief: Belief, rng: np.random.Generator) -> Worlds:
    """Worlds in which nothing has been measured yet."""
    truth = rng.permutation(len(belief.at))[:WORLDS]
    weight = np.full((len(truth), len(belief.at)), 1.0 / (len(belief.at) - 1))
    weight[np.arange(len(truth)), truth] = 0.0
    return Worlds(belief, truth, weight, belief.last)
