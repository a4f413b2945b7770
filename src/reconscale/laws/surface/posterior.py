"""Infer the posterior over surfaces from points.

For each form: its maximum by many descents at once, the Laplace approximation there, a normal distribution fitted to
the posterior by importance sampling, and the sampler started from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.findings import finding, floor_range, unique_findings
from reconscale.laws.points import Points
from reconscale.laws.smc import Particles, effective_share, smc_sample
from reconscale.laws.surface.cells import Cells, cells
from reconscale.laws.surface.model import (
    COUPLINGS,
    FORMS,
    Form,
    SurfaceDraws,
    SurfaceNoise,
    concatenate,
    fit_noise,
    sample_discrepancy,
    surfaces_from_normals,
)
from reconscale.laws.surface.surface import Surface

LogLikelihood = Callable[[Floats], Floats]
DRAWS = 1024
PARTICLES = 512
STARTS = 32
NEGLIGIBLE = 12.0
"""A form this many nats behind the best one is not sampled; its probability is counted all the same."""
TAILS = 3.0
"""Degrees of freedom of the change of slope beyond the data: mostly small, now and then much larger."""
NOTHING = 0.02
"""A floor that is a smaller part of the error than this is as good as none."""


class _Guess(NamedTuple):
    form: Form
    mean: Floats
    root: Floats
    log_weight: float


def infer_surface(points: Points, seed: int = 0) -> Surface:
    """The posterior over surfaces error(n, p) = E + A (n^-a + R p^-b)^k.

    Additive (Hoffmann et al. 2022), Kaplan's (2020) and free coupling, and no effect of p, each with and without a
    floor, and no effect of either are averaged by their evidence; priors, noise and discrepancy are in
    :mod:`reconscale.laws.surface.model`. Several seeds of a cell (n, p) show the spread between seeds, and equal labels
    at several n how much of it a seed has at all n of one p alike.

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
        found = unique_findings(
            found, (finding("floor-unidentified", **floor_range(*np.quantile(share, [0.05, 0.95]))),)
        )
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
    """About where the posterior of ``form`` lies, and its weight among all forms."""
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


Residual = Callable[[Floats], Floats]
"""From parameters (D, Q), standard normal a priori, to the residuals of the cell means (D, K), of unknown level."""

FIRST_ROUNDS, LAST_ROUNDS = 7, 24
"""Rounds of all descents, and then of the best quarter of them."""
ENOUGH = 1e-4
"""A descent that gains less than this many nats in a round has arrived."""
STEP = 1e-5


def map_estimate(residual: Residual, noise: SurfaceNoise, starts: Floats) -> tuple[Floats, Floats]:
    """Descend from all ``starts`` (S, Q) and keep the best.

    Levenberg-Marquardt on the weighted residuals and the prior. The weights are the mean inverse variances given
    the residuals, so that the slope is that of the likelihood summed over the noise's scales.

    Returns:
        v (Q,) at the peak, and a root (Q, Q) of the inverse of the curvature there.
    """
    v, cost = _descended(residual, noise, starts, FIRST_ROUNDS)
    best = cost.argsort(kind="stable")[: max(1, len(v) // 4)]
    v, cost = _descended(residual, noise, v[best], LAST_ROUNDS)
    best = v[cost.argmin()]
    curvature = _slope(residual, noise, best[None])[1][0]
    return best, np.linalg.cholesky(np.linalg.inv(curvature))


def _descended(residual: Residual, noise: SurfaceNoise, v: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Where the rows of v (S, Q) come to in this many rounds, each with its own damping, and their costs (S,)."""
    cost = _cost(residual, noise, v)
    damping = np.full((len(v), 1, 1), 1e-2)
    eye = np.eye(v.shape[1])
    for _ in range(rounds):
        slope, curvature = _slope(residual, noise, v)
        ridge = damping * (curvature * eye) + 1e-12 * eye
        step = np.linalg.solve(curvature + ridge, slope[..., None])[..., 0]
        there = v - np.clip(step, -2.0, 2.0)
        new = _cost(residual, noise, there)
        better = new < cost
        enough = cost - np.where(better, new, cost) < ENOUGH
        v, cost = np.where(better[:, None], there, v), np.where(better, new, cost)
        damping = np.clip(np.where(better[:, None, None], damping / 6.0, damping * 6.0), 1e-8, 1e8)
        if (enough & (better | (damping[:, 0, 0] > 1e2))).all():
            break
    return v, cost


def _cost(residual: Residual, noise: SurfaceNoise, v: Floats) -> Floats:
    cost = 0.5 * (v**2).sum(1) - noise.log_likelihood(residual(v))
    return np.where(np.isfinite(cost), cost, np.inf)


def _slope(residual: Residual, noise: SurfaceNoise, v: Floats) -> tuple[Floats, Floats]:
    """Slope (S, Q) of the cost and its Gauss-Newton curvature (S, Q, Q)."""
    count, dimensions = v.shape
    moved = np.concatenate([v[None], v + STEP * np.eye(dimensions)[:, None, :]]).reshape(-1, dimensions)
    here = residual(moved).reshape(dimensions + 1, count, -1)
    weight = noise.mean_weight(here[0])
    independent = noise.turned(here.reshape(-1, here.shape[-1])).reshape(here.shape)
    one = noise.turned(np.ones((1, here.shape[-1])))
    independent = independent - one * ((weight * one * independent).sum(-1) / (weight * one**2).sum(-1))[..., None]
    change = (independent[1:] - independent[0]) / STEP
    slope = np.einsum("qsk,sk,sk->sq", change, weight, independent[0]) + v
    curvature = np.einsum("qsk,sk,rsk->sqr", change, weight, change) + np.eye(dimensions)
    return slope, curvature


ROUNDS = 8
"""At most this many rounds of looking."""
LEAST = 0.15
"""A round goes as far from the last normal distribution towards the posterior as leaves this share effective."""
GOOD = 0.3
"""Looking ends when this share of the draws is effective for the posterior itself."""
WIDER = 1.3
"""A normal distribution is made wider than what was found, in each direction."""
MOVES = 5
"""Moves of every draw after each step of the sampler."""


def fit_proposal(
    log_likelihood: LogLikelihood, unit: Floats, mean: Floats, root: Floats
) -> tuple[Floats, Floats, float]:
    """A normal distribution that covers the posterior.

    Adaptive importance sampling: draw, weigh, take the moments of the weighted draws, again; the weights are tempered
    while few draws have most of the weight. Source: Cappé, Guillin, Marin, Robert, Population Monte Carlo (2004).

    Args:
        log_likelihood: (D,) of parameters (D, Q) that are standard normal a priori.
        unit: (D, Q) standard normal draws, used in every round.
        mean: (Q,) where to begin.
        root: (Q, Q) root of the covariance to begin with.

    Returns:
        mean, root, and the importance-sampling estimate of the log evidence.
    """
    evidence = -np.inf
    for _ in range(ROUNDS):
        v = mean + unit @ root.T
        logs = log_likelihood(v) + _ratio(unit, v, root)
        evidence = _log_mean(logs)
        heat, effective = _heat(logs)
        weight = np.exp(heat * (logs - logs.max()))
        weight /= weight.sum()
        mean = weight @ v
        away = v - mean
        root = WIDER * np.linalg.cholesky((weight[:, None] * away).T @ away + 1e-10 * np.eye(len(mean)))
        if effective > GOOD:
            break
    return mean, root, evidence


def importance_posterior(
    log_likelihood: LogLikelihood, mean: Floats, root: Floats, unit: Floats, rng: np.random.Generator
) -> Particles:
    """The posterior's cloud: the sampler, started from the normal distribution of :func:`fit_proposal`.

    In that distribution's own coordinates the target is the same if the likelihood is multiplied by prior over
    reference; so is the evidence.
    """

    def stages(w: Floats) -> Floats:
        v = mean + w @ root.T
        return (log_likelihood(v) + _ratio(w, v, root))[:, None]

    cloud = smc_sample(stages, unit, rng, moves=MOVES)[-1]
    return Particles(mean + cloud.v @ root.T, cloud.log_evidence)


def _ratio(w: Floats, v: Floats, root: Floats) -> Floats:
    """(D,) ln of the prior's density at v over the reference's."""
    return np.asarray(0.5 * (w**2 - v**2).sum(1) + np.log(np.abs(np.diag(root))).sum())


def _heat(logs: Floats) -> tuple[float, float]:
    """The largest power of the weights, 1 at most, that leaves the share ``LEAST`` effective; the share at 1."""
    whole = effective_share(logs, 1.0)
    if whole >= LEAST:
        return 1.0, whole
    low, high = 0.0, 1.0
    for _ in range(25):
        middle = 0.5 * (low + high) if low else 0.1 * high
        low, high = (middle, high) if effective_share(logs, middle) >= LEAST else (low, middle)
    return low, whole


def _log_mean(logs: Floats) -> float:
    return float(np.log(np.exp(logs - logs.max()).mean()) + logs.max())
