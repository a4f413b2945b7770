"""One door to the expected risks of the paper's estimators: the limit, or the hybrid where the limit is not enough."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from reconscale.mistakes import Mistake, nearest
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.hybrid import hybrid_mean
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.filters import Converged
from reconscale.theory.path import stable_step
from reconscale.theory.sizes import whole
from reconscale.theory.stopping import best_descent
from reconscale.theory.subspace import LARGEST, Subspace

Estimator = Literal["early-stopped", "converged", "pca"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

FEW = 20
"""Below so many signal directions the hybrid is taken, for n from dim / 2 to 4 dim."""


class Expected(NamedTuple):
    """An expected risk, per direction of the subspace.

    Attributes:
        risk: the expectation.
        error: standard error of what was drawn for it; 0 where nothing was.
        method: "exact", "limit" or "hybrid".
    """

    risk: float
    error: float
    method: str


def expected_risk(model: Subspace, n: int, estimator: Estimator, draws: int = 200, seed: int = 0) -> Expected:
    """The expected risk of an estimator learned from n images, without simulating training sets.

    Against simulated means of the paper's eight settings (``benchmarks/theory_equivalents.py regions``), early-stopped
    and converged: 0.5 % for n >= ambient (converged: exact); 2 % from the knee to ambient, the converged risk of few
    dimensions 6 %; 3 % for dim of 50 and 100 at any n. With dim 10 the limit is 2 to 25 % too low around n = dim; the
    hybrid, taken there, is 1 % too low (3,000 draws), which its standard error of 1 to 5 % with the usual ``draws``
    hides, but just beyond 4 dim, where the limit takes over, it can be 6 % too low. PCA is always the limit's:
    3 % too low, with dim 10 and n from 8 to 30 up to 13 %.

    Args:
        model: the subspace model.
        n: number of training images.
        estimator: "early-stopped" (the paper's descent at its best step, 5,000 at most), "converged" or "pca".
        draws: of the signal block, where the hybrid is used.
        seed: of these.

    Raises:
        Mistake: a number is out of range, or the estimator is none of these.
    """
    n = whole("n", n, 1, LARGEST)
    if estimator not in ESTIMATORS:
        raise Mistake("estimator", f"found {estimator!r}", nearest(str(estimator), ESTIMATORS))
    if estimator == "pca":
        return Expected(pca_equivalent(model, n), 0.0, "limit")
    equivalent = Equivalent(model.population, n)
    if estimator == "converged" and n >= equivalent.population.measurements - 1:
        return Expected(equivalent.risk(Converged()), 0.0, "exact")
    if model.dim < FEW and model.dim / 2 <= n <= 4 * model.dim:
        return Expected(*hybrid_mean(model, n, draws, seed, converged=estimator == "converged"), "hybrid")
    if estimator == "converged":
        return Expected(equivalent.risk(Converged()), 0.0, "limit")
    return Expected(best_descent(equivalent, stable_step(model.step(n), equivalent.extent[1])).risk, 0.0, "limit")
