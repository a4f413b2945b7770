"""The risks at each n side by side: drawn, expected, bounded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reconscale.mistakes import Mistake
from reconscale.theory.baselines import converged_mean, projection_risk
from reconscale.theory.bound import theorem_bound
from reconscale.theory.closed import knee, numeric_knee
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.experiments import Experiment
from reconscale.theory.filters import Converged
from reconscale.theory.path import stable_step
from reconscale.theory.settings import Summary, summaries
from reconscale.theory.stopping import best_descent, best_flow
from reconscale.theory.subspace import Subspace


@dataclass(frozen=True)
class RiskRow:
    """All that is known of one n.

    Attributes:
        n: number of training images.
        projection: the exact risk of the projection on the clean images' span.
        drawn: mean and spread over the runs.
        early_stopped, converged, pca: deterministic equivalents; ``converged`` is exact for n > ambient + 1 and
            infinite within 1 of it.
        bound: what the risk stays below with probability 0.99; None where that is 1 or more.
    """

    n: int
    projection: float
    drawn: Summary
    early_stopped: float
    converged: float
    pca: float
    bound: float | None


def risk_rows(model: Subspace, found: Sequence[Experiment]) -> list[RiskRow]:
    """One row for each n that was drawn."""
    return [_row(model, drawn) for drawn in summaries(found)]


def _row(model: Subspace, drawn: Summary) -> RiskRow:
    n = drawn.n
    equivalent = Equivalent(model.population, n)
    bound, mean = theorem_bound(model, n), converged_mean(model, n)
    early = best_descent(equivalent, stable_step(model.step(n), equivalent.extent[1])).risk
    converged = equivalent.risk(Converged()) if mean is None else mean
    return RiskRow(n, projection_risk(model, n), drawn, early, converged, pca_equivalent(model, n),
                   None if bound is None else bound.risk)  # fmt: skip


@dataclass(frozen=True)
class Landmarks:
    """Where the curve of the early-stopped estimator turns.

    Attributes:
        floor: R*.
        cliff: the dimension of the subspace: below it images are missing, whatever the estimator.
        knee: the closed form of the n at which the risk is twice the floor; None without a floor below 1/2.
        numeric_knee: the same from the equivalent.
        near: the n at which the equivalent is within a tenth of the floor; None without a floor.
    """

    floor: float
    cliff: int
    knee: float | None
    numeric_knee: float | None
    near: float | None


def landmarks(model: Subspace) -> Landmarks:
    """Where the curve turns."""
    closed, numeric = _knees(model)
    return Landmarks(model.floor, model.dim, closed, numeric, _reaching(model, 1.1))


def _knees(model: Subspace) -> tuple[float | None, float | None]:
    try:
        return knee(model), numeric_knee(model)
    except Mistake:  # without a floor, or with one above half the power, there is no such n
        return None, None


def _reaching(model: Subspace, factor: float) -> float | None:
    """The n at which the equivalent of the best flow is ``factor`` times the floor, to 1 %; by bisection in log n."""
    if model.floor == 0 or factor * model.floor >= 1:
        return None

    def above(log: float) -> bool:
        return best_flow(Equivalent(model.population, math.exp(log))).risk > factor * model.floor

    low, high = 0.0, math.log(4 * model.ambient + 4 * model.dim)
    while above(high):
        low, high = high, high + math.log(4)
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) else (low, middle)
    return math.exp(high)
