"""One law, fitted to many resampled data sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.named.forms import Law, solve
from reconscale.laws.levels import Levels, from_working, resample, to_working

Floats = NDArray[np.float64]


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
    """

    law: Law
    metric: str
    theta: Floats
    draws: Floats
    stretch: Floats
    ratio: float
    residual_sd: float
    spare: int

    def log_error(self, x: Floats, theta: Floats | None = None) -> Floats:
        """ln(error) at x = ln n (N,) for each draw (D, N), or for ``theta`` (..., P)."""
        u = self.law.working(x, self.draws if theta is None else theta)
        return from_working(u, self.law.of, self.metric)


def bootstrap(
    law: Law, level: Levels, draws: int, rng: np.random.Generator, *, images: bool = False, starts: int = 1
) -> Bootstrap:
    """Fit ``law`` to the levels, and again to ``draws`` hierarchically resampled copies of them.

    Weights are inverse seed variances. Where the residuals are larger than seeds explain, the resampled noise is
    enlarged to match, so that a law that is too simple gets wider intervals.

    Args:
        law: the law; the levels must be at least ``law.least``.
        level: what it is fitted to.
        draws: number of resampled data sets (D).
        rng: source of the draws.
        images: draw the test images again too, jointly for all sizes.
        starts: grid nodes that the fit to the levels themselves descends from.
    """
    u = to_working(level.z, law.of, level.metric)
    jump = to_working(level.z + 1e-4, law.of, level.metric) - u
    weight = (1e-4 / np.maximum(np.abs(jump), 1e-300)) ** 2 / level.variance
    theta, _ = solve(law, level.x, u[None], weight / weight.mean(), starts)
    part = law.window(len(level.x))
    residual = (level.z - from_working(law.working(level.x, theta), law.of, level.metric)[0])[part]
    spare = max(len(residual) - len(law.parameters), 0)
    chi2 = float((residual**2 / level.variance[part]).sum())
    ratio = max(1.0, (3.0 + chi2) / (3.0 + spare))
    shift, stretch = resample(level, draws, rng, images)
    copies = to_working_safely(level.z + shift * np.sqrt(ratio), law, level.metric)
    sampled, _ = solve(law, level.x, copies, weight / weight.mean())
    return Bootstrap(law, level.metric, theta, sampled, stretch, ratio, _rms(residual, spare), spare)


def to_working_safely(z: Floats, law: Law, metric: str) -> Floats:
    """:func:`to_working` for noisy copies: a metric that noise pushes below 0 is held just above it."""
    if law.of == "error":
        return z
    return to_working(np.minimum(z, -1e-6), law.of, metric)


def _rms(residual: Floats, spare: int) -> float:
    return float(np.sqrt((residual**2).sum() / spare)) if spare else 0.0
