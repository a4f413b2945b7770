"""Infer the posterior over surfaces from points."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from reconscale.arrays import Floats
from reconscale.laws.findings import finding, unique_findings
from reconscale.laws.inference import smc
from reconscale.laws.inference.laplace import fit_proposal, importance_posterior, map_estimate
from reconscale.laws.points import Points
from reconscale.laws.surface.cells import Cells, cells
from reconscale.laws.surface.discrepancy import SurfaceNoise, fit_noise, sample_discrepancy
from reconscale.laws.surface.family import COUPLINGS, FORMS, Form, SurfaceDraws, concatenate, surfaces_from_normals
from reconscale.laws.surface.surface import Surface

DRAWS = 1024
PARTICLES = 512
STARTS = 32
NEGLIGIBLE = 12.0
"""A form this many nats behind the best one is not sampled; its probability is counted all the same."""
TAILS = 3.0
"""Degrees of freedom of the change of slope beyond the data: mostly small, now and then much larger."""
NOTHING = 0.02
"""A floor that is a smaller part of the error than this is as good as none."""


LogLikelihood = Callable[[Floats], Floats]


class _Guess(NamedTuple):
    form: Form
    mean: Floats
    root: Floats
    log_weight: float


def infer_surface(points: Points, seed: int = 0) -> Surface:
    """The posterior over surfaces error(n, p) = E + A (n^-a + R p^-b)^k.

    Additive (Hoffmann et al. 2022), Kaplan's (2020) and free coupling, each with and without a floor, are averaged by
    their evidence; priors are in :mod:`reconscale.laws.surface.family`, noise and discrepancy in
    :mod:`reconscale.laws.surface.discrepancy`. Several seeds of a cell (n, p) show the spread between seeds.

    Args:
        points: the measurements, with p: at least 3 distinct n, 3 distinct p and 6 cells.
        seed: the same seed gives the same bits, whatever the order of the rows.

    Raises:
        UserError: there are too few cells, or p is not known.
    """
    known = cells(points)
    scatter = fit_noise(known)
    rng = np.random.default_rng(seed)
    guesses = [_guess(form, known, scatter) for form in FORMS]
    best = max(guess.log_weight for guess in guesses)
    log_weights = np.array([guess.log_weight for guess in guesses])
    clouds = {}
    for index, guess in enumerate(guesses):
        if guess.log_weight < best - NEGLIGIBLE:
            continue
        unit = smc.normal_sequence(PARTICLES, guess.form.dimensions)
        likely = _likelihood(guess.form, known, scatter)
        clouds[index] = importance_posterior(likely, guess.mean, guess.root, unit, rng)
        log_weights[index] = np.log(guess.form.weight) + clouds[index].log_evidence
    chances = np.exp(log_weights - log_weights.max())
    chances /= chances.sum()
    shares = np.cumsum(chances)
    owner = np.minimum(np.searchsorted(shares, (np.arange(DRAWS) + 0.5) / DRAWS), len(FORMS) - 1)
    parts = []
    for index, cloud in clouds.items():
        count = int((owner == index).sum())
        parts.append(surfaces_from_normals(FORMS[index], cloud.v[rng.permutation(DRAWS)[:count] % len(cloud)]))
    return _assembled(known, scatter, concatenate(parts), chances, rng)


def _assembled(
    known: Cells, scatter: SurfaceNoise, drawn: SurfaceDraws, chances: Floats, rng: np.random.Generator
) -> Surface:
    x, y = known.centre
    wrongs = sample_discrepancy(scatter, known.z - drawn.log(known.x - x, known.y - y), rng)
    couplings = {name: _total(chances, [form.coupling == name for form in FORMS]) for name in COUPLINGS}
    corner = np.exp(drawn.log(np.array([known.x.max() - x]), np.array([known.y.max() - y])))
    share = drawn.share / corner
    found = known.findings
    if (share < NOTHING).mean() > 0.05:
        found = unique_findings(found, (finding("floor-unidentified", share=float(np.quantile(share, 0.95))),))
    return Surface(
        couplings=couplings,
        floor=_total(chances, [form.floor for form in FORMS]),
        metric=known.metric,
        findings=found,
        _cells=known,
        _shapes=drawn,
        _wrongs=wrongs,
        _bends=_bends(len(drawn.share), rng),
    )


def _likelihood(form: Form, known: Cells, scatter: SurfaceNoise) -> LogLikelihood:
    x, y = known.centre
    return lambda v: scatter.log_likelihood(known.z - surfaces_from_normals(form, v).log(known.x - x, known.y - y))


def _guess(form: Form, known: Cells, scatter: SurfaceNoise) -> _Guess:
    """About where the posterior of ``form`` lies, and how much of the whole it holds."""
    x, y = known.centre

    def residual(v: Floats) -> Floats:
        return known.z - surfaces_from_normals(form, v).log(known.x - x, known.y - y)

    start, root = map_estimate(residual, scatter, smc.normal_sequence(STARTS, form.dimensions))
    unit = smc.normal_sequence(PARTICLES, form.dimensions)
    mean, root, evidence = fit_proposal(_likelihood(form, known, scatter), unit, start, root)
    return _Guess(form, mean, root, evidence + float(np.log(form.weight)))


def _bends(count: int, rng: np.random.Generator) -> Floats:
    """(count, 2) Student's t, evenly spread, so that medians beyond the data do not wander."""
    quantiles = stdtrit(TAILS, (np.arange(count) + 0.5) / count)
    return np.stack([rng.permutation(quantiles) for _ in range(2)], axis=1)


def _total(chances: Floats, chosen: list[bool]) -> float:
    return float(chances[np.array(chosen)].sum())
