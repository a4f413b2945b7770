"""The posterior over laws of mixtures: each form by sequential Monte Carlo, and all of them by their evidence.

Seeds scatter with a standard deviation sigma in a typical cell, about a mean that departs from the law by tau in each
cell, both unknown. The level of the law is integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.grouping import GUESSED_SD
from reconscale.laws.mixture.cells import MixtureCells
from reconscale.laws.mixture.forms import FORMS, MixtureDraws, Reference, dimensions, laws_from_normals
from reconscale.laws.surface.model import WRONG, WRONG_SPREAD

SEED_SPREAD = 1.2
"""Spread of ln(sigma) about ``GUESSED_SD`` before any data."""
START, CLOUD, MOVES = 6000, 1200, 3
"""Draws of the prior, draws of each posterior, and moves of each after every step."""
DRAWS = 2000
"""Draws of all forms together."""


@dataclass(frozen=True, eq=False)
class MixturePosterior:
    """D equally likely laws, of several forms.

    Attributes:
        parts: the laws of each form that has any.
        level: (D, 1) ln(error) in the typical mix.
        sigma, tau: (D, 1) spread of one run in the typical cell, and of the departure of a cell from the law.
        forms: form -> probability.
    """

    parts: tuple[MixtureDraws, ...]
    level: Floats
    sigma: Floats
    tau: Floats
    forms: dict[str, float]

    def log_error(self, mixes: Floats, p: Floats | None = None) -> Floats:
        """(D, N) ln of the expected error at mixes (N, K) and parameters (N,); a row is one coherent law."""
        return np.asarray(self.level + np.concatenate([part.log(mixes, p) for part in self.parts]))


def reference_of(cells: MixtureCells) -> Reference:
    """The typical mix: the mean of the cells, each divided by its total, times the typical total."""
    total = cells.mixes.sum(1)
    mix = (cells.mixes / total[:, None]).mean(0) * np.exp(np.log(total).mean())
    return Reference(mix, None if cells.p is None else float(np.exp(np.log(cells.p).mean())))


def infer_posterior(cells: MixtureCells, rng: np.random.Generator, forms: Sequence[str] = FORMS) -> MixturePosterior:
    """Infer the laws.

    Args:
        cells: what was measured.
        rng: source of the sampler's moves.
        forms: those that are averaged.
    """
    reference, found = reference_of(cells), []
    for form, stream in zip(forms, rng.spawn(len(forms)), strict=True):
        found.append(_sampled(cells, form, reference, stream))
    logs = np.array([particles.log_evidence for particles in found])
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    counts = _shares(chance, DRAWS)
    parts, levels, scales = [], [], []
    for form, particles, count in zip(forms, found, counts.tolist(), strict=True):
        if count:
            v = particles.v[rng.permutation(np.arange(count) % len(particles))]
            laws, sigma, tau = _unpacked(form, v, reference)
            parts.append(laws)
            levels.append(_levels(cells, laws, sigma, tau, rng))
            scales.append((sigma, tau))
    sigma, tau = (np.concatenate(column) for column in zip(*scales, strict=True))
    return MixturePosterior(
        tuple(parts), np.concatenate(levels), sigma, tau, dict(zip(forms, chance.tolist(), strict=True))
    )


def prior_laws(cells: MixtureCells, forms: Sequence[str] = FORMS, count: int = 500) -> tuple[MixtureDraws, ...]:
    """Laws before any data, as many of each form."""
    reference = reference_of(cells)
    return tuple(
        laws_from_normals(form, smc.normal_sequence(count, _size(form, cells) + 2)[:, 2:], reference) for form in forms
    )


def _size(form: str, cells: MixtureCells) -> int:
    return dimensions(form, cells.mixes.shape[1], sized=cells.p is not None)


def _sampled(cells: MixtureCells, form: str, reference: Reference, rng: np.random.Generator) -> smc.Particles:
    def stages(v: Floats) -> Floats:
        laws, sigma, tau = _unpacked(form, v, reference)
        return _log_likelihood(cells, laws, sigma, tau)[:, None]

    start = smc.normal_sequence(START, 2 + _size(form, cells))
    return smc.smc_sample(stages, start, rng, moves=MOVES, count=CLOUD)[0]


def _unpacked(form: str, v: Floats, reference: Reference) -> tuple[MixtureDraws, Floats, Floats]:
    """The laws of parameters (D, Q), and sigma and tau (D, 1)."""
    scale = np.clip(v[:, :2], -8.0, 8.0)
    sigma, tau = GUESSED_SD * np.exp(SEED_SPREAD * scale[:, :1]), WRONG * np.exp(WRONG_SPREAD * scale[:, 1:])
    return laws_from_normals(form, v[:, 2:], reference), sigma, tau


def _variance(cells: MixtureCells, sigma: Floats, tau: Floats) -> Floats:
    """(D, C) of a cell's mean about the law."""
    return np.asarray(sigma**2 * cells.relative / cells.count + tau**2)


def _log_likelihood(cells: MixtureCells, laws: MixtureDraws, sigma: Floats, tau: Floats) -> Floats:
    """(D,) of the means, the level integrated out, and of the spread between seeds."""
    variance = _variance(cells, sigma, tau)
    residual = cells.z - laws.log(cells.mixes, cells.p)
    weight = 1.0 / variance
    total = weight.sum(1, keepdims=True)
    middle = (weight * residual).sum(1, keepdims=True) / total
    means = -0.5 * (np.log(variance).sum(1) + np.log(total[:, 0]) + (weight * (residual - middle) ** 2).sum(1))
    squares = float((cells.squares / cells.relative).sum())
    spread = -cells.dof * np.log(sigma[:, 0]) - 0.5 * squares / sigma[:, 0] ** 2
    return np.asarray(means + spread)


def _levels(cells: MixtureCells, laws: MixtureDraws, sigma: Floats, tau: Floats, rng: np.random.Generator) -> Floats:
    """(D, 1) draws of the level given the rest."""
    weight = 1.0 / _variance(cells, sigma, tau)
    residual = cells.z - laws.log(cells.mixes, cells.p)
    total = weight.sum(1, keepdims=True)
    middle = (weight * residual).sum(1, keepdims=True) / total
    return np.asarray(middle + rng.standard_normal(total.shape) * np.sqrt(1.0 / total + cells.common))


def _shares(chance: Floats, count: int) -> Floats:
    """Whole numbers that sum to ``count``, in these proportions."""
    ends = np.rint(np.cumsum(chance) * count).astype(np.int64)
    return np.diff(np.concatenate([[0], ends]))
