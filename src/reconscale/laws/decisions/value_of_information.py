"""The expected value of a run: simulated scenarios with reweighted posterior draws.

A scenario is one draw of the posterior taken for the truth. Every candidate is measured in it, with noise; the other
draws are weighted by the likelihood of what was measured, without any new fit. The mean over scenarios of the
variance that is left is what is expected after the measurement (preposterior analysis; Raiffa and Schlaifer 1961).

Beyond the data a draw bends once, so a measurement there would seem to say how it continues without end. A new fit
would allow for a new bend beyond the new largest n, and so do the scenarios. Where the calibration stretches the curve
for being faint or surprising, the new bend is not stretched: more sizes make a curve less so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.curve.ensemble import BEND_TAILS
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.cells import has_surface
from reconscale.laws.surface.surface import ALWAYS_WRONG, BENDS, NUDGE, Surface
from reconscale.laws.width_selection import select_width

FARTHER = (1.5, 2.0, 3.0, 4.0)
"""Multiples of the largest n that are considered; a forecast reaches no farther with confidence."""
GAP = 1.7
"""Neighbouring sizes further apart than this factor have a candidate between them."""
MOST_SIZES = 8
"""This many of the measured sizes, and of the gaps between them, are considered."""
SEEDS = (1, 3)
"""Runs of one candidate."""


@dataclass(frozen=True)
class Candidate:
    """Runs that could be made.

    Attributes:
        n: training-set size.
        p: parameters of the network, or None where there is but one.
        width: its width dial, or None.
        seeds: runs.
    """

    n: float
    p: float | None = None
    width: int | None = None
    seeds: int = 1


def candidates_of(points: Points) -> tuple[Candidate, ...]:
    """What is considered where the user names nothing.

    One or three runs at the measured sizes, at sizes between them, and at 1.5 to 4 times the largest, each with the
    network chosen at the nearest measured n; nothing below the smallest, where training goes by other rules. Where a
    surface over n and p exists, also the other networks at the largest n, and the three largest, with one of twice
    the largest width (four times the largest p), at twice that n.
    """
    best = select_width(points)
    places = [_network(best, n) for n in _sizes(best.sizes)]
    if has_surface(points):
        last = float(best.n.max())
        known = {(place.n, place.p) for place in places}
        networks = _networks(points)
        places += [
            replace(place, n=n)
            for n in (last, _whole(2.0 * last))
            for place in networks
            if (n, place.p) not in known and (n == last or place in networks[-3:])
        ]
    return tuple(replace(place, seeds=seeds) for place in places for seeds in SEEDS)


def check_candidate(candidates: Sequence[Candidate], points: Points) -> tuple[Candidate, ...]:
    """The user's candidates, with the network chosen at the nearest n where they name none.

    Raises:
        UserError: there are none, or a number is not above 0.
    """
    if not candidates:
        raise UserError("candidates", "found none", "name one or more, or leave them out")
    best = select_width(points)
    filled = []
    for item in candidates:
        for name in ("n", "p", "width", "seeds"):
            value = getattr(item, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UserError(f"candidates, {name}", f"found {value}", "a number above 0 is expected")
        usual = _network(best, item.n)
        if item.p is None and item.width is not None and item.width != usual.width:
            item = replace(item, p=_p_of(points, item.width))
        elif item.p is None:
            item = replace(item, p=usual.p, width=usual.width)
        filled.append(item)
    return tuple(filled)


def _sizes(sizes: Floats) -> list[float]:
    """Ascending, without near doubles of measured ones."""
    last = float(sizes[-1])
    measured = sizes[np.unique(np.linspace(0, len(sizes) - 1, MOST_SIZES).astype(int))]
    ratio = sizes[1:] / sizes[:-1]
    wide = np.sort(np.argsort(-ratio, kind="stable")[:MOST_SIZES])
    new = [math.sqrt(sizes[k] * sizes[k + 1]) for k in wide if ratio[k] > GAP]
    new += [factor * last for factor in FARTHER]
    fresh = {_whole(n) for n in new} - {float(n) for n in sizes}
    return sorted(fresh | {float(n) for n in measured})


def _whole(n: float) -> float:
    """Two leading digits, and at least a whole number."""
    digits = max(0, math.floor(math.log10(max(n, 1.0))) - 1)
    return max(1.0, float(round(n / 10**digits) * 10**digits))


def _network(best: Points, n: float) -> Candidate:
    """The network chosen at the measured size nearest to n."""
    near = int(np.abs(np.log(best.n / n)).argmin())
    p = None if best.p is None else float(best.p[near])
    return Candidate(n, p, None if best.width is None else int(best.width[near]))


def _networks(points: Points) -> list[Candidate]:
    """Every network measured, by p, and a larger one."""
    assert points.p is not None
    each = sorted({(float(p), None if points.width is None else int(points.width[i])) for i, p in enumerate(points.p)})
    p, width = each[-1]
    larger = None if width is None else 2 * width
    beyond = 4.0 * p if larger is None else _p_of(points, larger)
    return [Candidate(1.0, p, width) for p, width in [*each, (beyond, larger)] if p is not None]


def _p_of(points: Points, width: int) -> float | None:
    """Parameters at a width, by a power law through those measured; p ~ width^2 where there is but one."""
    if points.p is None or points.width is None:
        return None
    x, y = np.log(points.width), np.log(points.p)
    slope = 2.0 if np.ptp(x) == 0 else float(np.polyfit(x, y, 1)[0])
    near = int(np.abs(x - np.log(width)).argmin())
    return float(np.exp(y[near] + slope * (np.log(width) - x[near])))


SCENARIOS = 128
PARTICLES = 2000
LEAST_EFFECTIVE = 30.0
"""Fewer effective draws than this say nothing: the likelihood is then widened, so that less is claimed to be learnt."""
TRIM = 0.05
"""For the variance aims beyond these quantiles are drawn in, so that no wild draw is most of it."""


@dataclass(frozen=True, eq=False)
class ScenarioDraws:
    """Equally likely possibilities.

    Attributes:
        at: (C, M) ln of the error that is expected to be measured at each of M candidates.
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

    def outcomes(self, far: float) -> Floats:
        """(C, A) the aims, as gains or ln(error), once ``far`` is the largest ln n measured."""
        away = np.maximum(self.places - far, 0.0) if far > self.last else np.zeros(len(self.places))
        values = self.aims + self.bend[:, None] * away
        if self.before is None:
            return np.asarray(values)
        return METRICS[self.metric].gain(np.exp(self.before)[:, None], np.exp(values))


@dataclass(frozen=True)
class ExpectedLoss:
    """What is expected to be left after some measurements.

    Attributes:
        variance: of the aims, summed, mean over scenarios.
        regret: how much worse the best choice (any aim, or none) is than if everything were known, mean over
            scenarios.
    """

    variance: float
    regret: float


def draws_1d(
    curve: CurvePosterior,
    candidates: tuple[Candidate, ...],
    forecast_at: float | None,
    rng: np.random.Generator,
) -> ScenarioDraws:
    """From a curve over n; the aim is the gain of doubling n, or the forecast."""
    x = np.log([item.n for item in candidates])
    places = np.array([curve.last + np.log(2.0) if forecast_at is None else np.log(forecast_at)])
    drawn = curve.draw(np.concatenate([x, places, [curve.last]]), images=False)[:PARTICLES]
    runs = np.array([item.seeds for item in candidates], dtype=np.float64)
    return ScenarioDraws(
        at=drawn[:, : len(x)],
        x=x,
        noise=curve.noise(x) / np.sqrt(runs),
        aims=drawn[:, len(x) : -1],
        places=places,
        last=curve.last,
        bend=curve.ensemble.drift * min(1.0, curve.stretch(float(places[0]))) * rng.standard_t(BEND_TAILS, len(drawn)),
        before=drawn[:, -1] if forecast_at is None else None,
        metric=curve.points.metric,
    )


def draws_2d(
    drawn: Surface,
    candidates: tuple[Candidate, ...],
    points: Points,
    forecast_at: float | None,
    p: float,
    rng: np.random.Generator,
) -> ScenarioDraws:
    """From a surface over n and p; the aims are the gains of doubling n and p at the chosen network, or the forecast.

    A gain of p lies at the largest n, where nothing bends again. What a seed has at all n alike is not measured again
    by its runs at another n; candidates that share new seeds count as if they did not.
    """
    last = float(points.n.max())
    n, networks = [item.n for item in candidates], [item.p or p for item in candidates]
    more = [(2.0 * last, p), (last, 2.0 * p)] if forecast_at is None else [(forecast_at, p)]
    edge = [(last, p), (last * np.exp(-NUDGE), p)]
    log_error = drawn.log_error([*n, *(a for a, _ in [*more, *edge])], [*networks, *(b for _, b in [*more, *edge])])
    shift, noise = drawn.seed_noise(n, networks, np.array([item.seeds for item in candidates], dtype=np.float64))
    slope = float(np.median(log_error[:, -2] - log_error[:, -1])) / NUDGE
    return ScenarioDraws(
        at=log_error[:, : len(n)] + shift,
        x=np.log(n),
        noise=noise,
        aims=log_error[:, len(n) : -2],
        places=np.log([a for a, _ in more]),
        last=float(np.log(last)),
        bend=np.hypot(ALWAYS_WRONG, BENDS * slope) * rng.standard_t(BEND_TAILS, len(log_error)),
        before=log_error[:, -2] if forecast_at is None else None,
        metric=points.metric,
    )


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Scenarios in which some candidates have been measured already.

    Attributes:
        belief: the possibilities.
        truth: (W,) the draw that is true in each scenario.
        weight: (W, C) of each draw, given what was measured; rows sum to 1, and the true one is left out.
        far: the largest ln n measured by now.
    """

    belief: ScenarioDraws
    truth: NDArray[np.int64]
    weight: Floats
    far: float

    @property
    def effective(self) -> float:
        """How many draws still count, in a typical scenario."""
        return float(np.median(1.0 / (self.weight**2).sum(axis=1)))

    def left(self, worthwhile: float | None) -> ExpectedLoss:
        """What is left now; without ``worthwhile`` there is no decision to regret."""
        outcomes = self.belief.outcomes(self.far)
        aims = np.clip(outcomes, *np.quantile(outcomes, [TRIM, 1.0 - TRIM], axis=0))
        aims = aims - aims.mean(axis=0)
        variance = float((self.weight @ aims**2 - (self.weight @ aims) ** 2).sum(axis=1).mean())
        if worthwhile is None:
            return ExpectedLoss(variance, 0.0)
        net = outcomes - worthwhile
        known = self.weight @ np.maximum(net.max(axis=1), 0.0)
        chosen = np.maximum((self.weight @ net).max(axis=1), 0.0)
        return ExpectedLoss(variance, float(np.maximum(known - chosen, 0.0).mean()))

    def after(self, candidate: int, least: float, rng: np.random.Generator) -> Scenarios:
        """The same scenarios, with one more candidate measured.

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
            made = Scenarios(belief, self.truth, weight / weight.sum(axis=1, keepdims=True), far)
            if made.effective >= least:
                return made
            noise *= 1.4

    def tried(self, rng: np.random.Generator) -> list[Scenarios]:
        """The scenarios after each candidate."""
        least = min(LEAST_EFFECTIVE, 0.5 * self.effective)
        return [self.after(k, least, rng) for k in range(len(self.belief.x))]


def simulate_scenarios(belief: ScenarioDraws, rng: np.random.Generator) -> Scenarios:
    """Scenarios in which nothing has been measured yet."""
    truth = rng.permutation(len(belief.at))[:SCENARIOS]
    weight = np.full((len(truth), len(belief.at)), 1.0 / (len(belief.at) - 1))
    weight[np.arange(len(truth)), truth] = 0.0
    return Scenarios(belief, truth, weight, belief.last)
