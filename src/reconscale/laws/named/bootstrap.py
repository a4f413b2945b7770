"""One law, fitted to many resampled data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.levels import Levels, from_working, resample, to_working
from reconscale.laws.named.law import Law
from reconscale.laws.named.search import Solution, follow, scatter, search

Floats = NDArray[np.float64]

EDGE = 1e-3
"""A coordinate of the unit cube nearer than this to 0 or 1 is at the edge of what is allowed."""
OPEN = 0.8
"""An interval of 90 % as wide as this part of what is allowed says nothing."""


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A law with the uncertainty of its parameters.

    Attributes:
        law: the law.
        metric: name of the metric.
        theta: (1, P) the least-squares parameters.
        draws: (D, P) the same for D resampled data sets.
        stretch: (D, 1) how much wider than estimated the noise is in each draw.
        ratio: mean square of residuals over what seeds explain, shrunk to 1 and not below it.
        residual_sd: root mean square residual of ln(error), over the degrees of freedom left; 0 where none is.
        spare: degrees of freedom left by the fit.
        loose: names of parameters that the data do not determine.
    """

    law: Law
    metric: str
    theta: Floats
    draws: Floats
    stretch: Floats
    ratio: float
    residual_sd: float
    spare: int
    loose: tuple[str, ...]

    def log_error(self, x: Floats, theta: Floats | None = None) -> Floats:
        """ln(error) at x = ln n (N,) for each draw (D, N), or for ``theta`` (..., P)."""
        u = self.law.working(x, self.draws if theta is None else theta)
        return from_working(u, self.law.of, self.metric)


def bootstrap(law: Law, level: Levels, draws: int, rng: np.random.Generator, *, images: bool = False) -> Bootstrap:
    """Fit ``law`` to the levels, and again to ``draws`` hierarchically resampled copies of them.

    Weights are inverse seed variances. Where the residuals are larger than seeds explain, the resampled noise is
    enlarged to match, so that a law that is too simple gets wider intervals.

    Args:
        law: the law; the levels must be at least ``law.least``.
        level: what it is fitted to.
        draws: number of resampled data sets (D).
        rng: source of the draws.
        images: draw the test images again too, jointly for all sizes.
    """
    found = fit_levels(law, level)
    part = law.window(len(level.x))
    residual = residuals(found, level)
    spare = max(len(residual) - len(law.parameters), 0)
    chi2 = float((residual**2 / level.variance[part]).sum())
    ratio = max(1.0, (3.0 + chi2) / (3.0 + spare))
    shift, stretch = resample(level, draws, rng, images)
    copies = to_working_safely(level.z + shift * np.sqrt(ratio), law, level.metric)
    t, theta, _ = follow(found, copies)
    loose = _loose(found, t, scatter(found, copies)) if law.curved else ()
    return Bootstrap(law, level.metric, found.theta, theta, stretch, ratio, rms(residual, spare), spare, loose)


def fit_levels(law: Law, level: Levels) -> Solution:
    """Weighted least squares of ``law`` through the levels, in its own working scale."""
    u = to_working(level.z, law.of, level.metric)
    jump = to_working(level.z + 1e-4, law.of, level.metric) - u
    weight = (1e-4 / np.maximum(np.abs(jump), 1e-300)) ** 2 / level.variance
    return search(law, level.x, u, weight / weight.mean())


def residuals(found: Solution, level: Levels) -> Floats:
    """(K',) what is left of ln(error) at the levels that the law is fitted to."""
    law = found.problem.law
    fitted = from_working(law.working(level.x, found.theta), law.of, level.metric)[0]
    return np.asarray((level.z - fitted)[law.window(len(level.x))])


def to_working_safely(z: Floats, law: Law, metric: str) -> Floats:
    """:func:`to_working` for noisy copies: a metric that noise pushes below 0 is held just above it."""
    if law.of == "error":
        return z
    return to_working(np.minimum(z, -1e-6), law.of, metric)


def rms(residual: Floats, spare: int) -> float:
    """Root mean square residual over the degrees of freedom left; 0 where none is."""
    return float(np.sqrt((residual**2).sum() / spare)) if spare else 0.0


def _loose(found: Solution, t: Floats, root: Floats) -> tuple[str, ...]:
    """Parameters whose coordinate rests on an edge of the unit cube, or may be anywhere between the edges."""
    low, high = np.quantile(np.concatenate([found.ends[:1], t]), [0.05, 0.95], axis=0)
    best, sd = found.ends[0], np.sqrt((root**2).sum(1))
    edge = (np.minimum(best, low) < EDGE) | (np.maximum(best, high) > 1.0 - EDGE)
    open_ = edge | (high - low > OPEN) | (2.0 * 1.645 * sd > OPEN)
    return tuple(name for name, is_open in zip(found.problem.law.curved, open_, strict=True) if is_open)
