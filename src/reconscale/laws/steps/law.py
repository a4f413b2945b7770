"""L(n, p, steps): what more steps of training give, measured where runs were trained for longer, else forecast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.laws.points import Points
from reconscale.laws.steps.endings import PRIOR as ENDING_PRIOR
from reconscale.laws.steps.endings import EndingPrior, Endings, infer_endings
from reconscale.laws.steps.rates import PRIOR as RATE_PRIOR
from reconscale.laws.steps.rates import RatePrior, Rates, infer_rates
from reconscale.laws.steps.trainings import SAME, Trainings, read_trainings

DRAWS = 4000
NO_RUN = -1.0


@dataclass(frozen=True)
class EndPrior:
    """What is believed of doublings in which a run ends, and of those after it.

    Attributes:
        dip: a last gain below this part of the one before may be an end.
        little: it is one below this part of what the other runs say it should have been.
        partly: chance that the doubling in which a run ends gains something, up to ``little_gain`` of a whole one.
        little_gain: the largest part that it then gains.
        missed: chance that a doubling in which a run should end, by where the others did, gains as if it did not.
        revived: chance that a run that has ended gains something yet. Nothing measures it: training ends there.
    """

    dip: float = 0.25
    little: float = 0.1
    partly: float = 0.4
    little_gain: float = 0.5
    missed: float = 0.1
    revived: float = 0.2


END_PRIOR = EndPrior()


@dataclass(frozen=True, eq=False)
class StepsLaw:
    """What more steps give: D draws of how much every doubling gains, and of when it gains nothing any more.

    Attributes:
        known: the runs that it was learnt from.
        rates: of gains.
        endings: of when they end.
    """

    known: Trainings
    rates: Rates
    endings: Endings
    prior: EndPrior
    seed: int

    def fall(self, n: float, p: float | None, steps: float | None = None) -> tuple[Floats, str] | None:
        """How far twice the steps lower ln(error) of the networks of n and p, on average over seeds.

        Args:
            n: training-set size.
            p: parameters, or None where they are not known.
            steps: of the runs there; asked for only where none of them was measured at several numbers of steps.

        Returns:
            (D,) draws, 0 or more where it is a forecast; and ``measured`` or ``forecast``. None where nothing is known.
        """
        rng, runs = np.random.default_rng((self.seed, 11)), self.known.at(n, p)
        if not len(runs):
            now = None if steps is None else float(np.log2(steps))
            return None if now is None else (self._of_no_run(n, p or 1.0, now, rng), "forecast")
        parts = [self._measured(int(run)) for run in runs]
        left = np.array([part[1] for part in parts])
        done = self._measured_mean(np.array([part[0] for part in parts]), rng) if (left < 1.0).any() else 0.0
        if not (left > 0.0).any():
            return done + np.zeros(DRAWS), "measured"
        return done + (self.next_falls(runs) * left).mean(axis=1), "forecast"

    def last(self, n: float, p: float | None) -> float | None:
        """The fall of ln(error) in the last doubling that was measured, mean over the runs of n and p."""
        runs = self.known.at(n, p)
        return float(self.known.gain[self.known.final[runs]].mean()) if len(runs) else None

    def next_falls(self, runs: NDArray[np.int64]) -> Floats:
        """(D, N) fall of ln(error) of each of N runs in the doubling after the last one measured.

        Runs of one n and p end alike.
        """
        known, prior, rng = self.known, self.prior, np.random.default_rng((self.seed, 13))
        places = np.stack([known.n[runs], known.p[runs], known.last[runs] + 0.5, runs.astype(np.float64)])
        whole = np.exp(self.rates.draw(places, DRAWS, rng))
        luck = rng.random(DRAWS) / (1.0 - prior.missed)
        partly = np.where(rng.random(DRAWS) < prior.partly, prior.little_gain * rng.random(DRAWS), 0.0)
        revived = np.where(rng.random(DRAWS) < prior.revived, rng.random(DRAWS), 0.0)
        made = []
        for k, run in enumerate(runs):
            hazard = self.endings.hazard(known.n[run], known.p[run], known.last[run], known.last[run] + 1.0)
            share = revived if known.ended[run] else np.where(luck < hazard, partly, 1.0)
            made.append(whole[:, k] * share)
        return np.stack(made, axis=1)

    def _of_no_run(self, n: float, p: float, now: float, rng: np.random.Generator) -> Floats:
        whole = np.exp(self.rates.draw(np.array([[n], [p], [now + 0.5], [NO_RUN]]), DRAWS, rng))[:, 0]
        ended = rng.random(DRAWS) < self.endings.hazard(n, p, -np.inf, now + 1.0)
        return np.asarray(np.where(ended, 0.0, whole))

    def _measured(self, run: int) -> tuple[float, float]:
        """What a run has shown of the doubling from where it stands in the curve, and which part of it it has not."""
        known = self.known
        start, left = known.now[run], max(0.0, known.now[run] + 1.0 - known.last[run])
        fall = 0.0
        for g in np.flatnonzero(known.run == run):
            low, high = max(start, known.start[g]), min(start + 1.0, known.end[g])
            if high > low:
                fall += known.gain[g] * (known.end[g] - known.start[g]) * self._share(g, low, high)
        return fall, 0.0 if left <= SAME else min(left, 1.0)

    def _share(self, g: np.int64, low: float, high: float) -> float:
        """The part of a lengthening that falls between two numbers of steps: gains shrink as they do in the prior."""
        rate, known = np.log(self.rates.prior.ratio), self.known
        whole = np.expm1(rate * (known.end[g] - known.start[g]))
        part = np.exp(rate * (high - known.start[g])) - np.exp(rate * (low - known.start[g]))
        return float(part / whole)

    def _measured_mean(self, falls: Floats, rng: np.random.Generator) -> Floats:
        """(D,) draws of the mean over seeds, from their spread and what is believed of it."""
        guessed = max(self.rates.prior.measured, self.rates.prior.noise * abs(float(falls.mean())))
        spread = np.sqrt((guessed**2 + ((falls - falls.mean()) ** 2).sum()) / len(falls))
        return np.asarray(falls.mean() + spread / np.sqrt(len(falls)) * rng.standard_t(len(falls) + 2.0, DRAWS))


def infer_steps(
    measured: Points,
    curve: Points | None = None,
    *,
    seed: int = 0,
    rate: RatePrior = RATE_PRIOR,
    ending: EndingPrior = ENDING_PRIOR,
    end: EndPrior = END_PRIOR,
) -> StepsLaw | None:
    """The law of what more steps give.

    Args:
        measured: one row for each run and number of steps; a row is what a whole training of that length gives (or a
            branch in which the rate falls to zero), never a look in the middle of one.
        curve: the rows that stand in the curve over n; none: those of the most steps.
        seed: the same seed gives the same bits.
        rate: the prior of gains.
        ending: of where they end.
        end: of ends themselves.

    Returns:
        The law; None where no run was measured at two numbers of steps.
    """
    known = read_trainings(measured, curve)
    if known is None:
        return None
    known = mark_ended(known, rate, end)
    endings = infer_endings(known, DRAWS, np.random.default_rng((seed, 10)), ending)
    return StepsLaw(known, infer_rates(known, rate), endings, end, seed)


def mark_ended(known: Trainings, rate: RatePrior = RATE_PRIOR, end: EndPrior = END_PRIOR) -> Trainings:
    """The runs; those that gained far less in their last doubling than before, and than others do, have ended."""
    final, many = known.final, known.final > known.first
    dip = many & (known.gain[final] < end.dip * known.gain[np.where(many, final - 1, final)])
    rates = infer_rates(replace(known, ended=known.ended | dip), rate)
    middle = 0.5 * (known.start + known.end)[final]
    expected = rates.mean(np.stack([known.n, known.p, middle, np.arange(len(known), dtype=np.float64)]))
    return replace(known, ended=known.ended | (dip & (known.gain[final] < end.little * np.exp(expected))))
