"""Sequential Monte Carlo with a fixed random sequence.

All parameters are standard normal a priori; a family maps them to its own, so that the prior is in the map.
Source of the scheme: Del Moral, Doucet, Jasra, Sequential Monte Carlo samplers (2006), with the differential-evolution
move of ter Braak (2006), whose proposals come from the cloud itself and so follow ridges and jump between modes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reconscale.arrays import Floats

Stages = Callable[[Floats], Floats]
"""From parameters (D, Q) to the log likelihoods (D, S) of S growing parts of the data; -inf where impossible."""

KEEP = 0.5
"""A step is as large as leaves this share of the cloud effective."""


@dataclass(frozen=True, eq=False)
class Particles:
    """Equally weighted draws from a posterior.

    Attributes:
        v: (D, Q) parameters, standard normal a priori.
        log_evidence: log of the likelihood's mean over the prior.
    """

    v: Floats
    log_evidence: float

    def __len__(self) -> int:
        return len(self.v)


def smc_sample(
    stages: Stages, start: Floats, rng: np.random.Generator, *, moves: int = 4, count: int | None = None
) -> list[Particles]:
    """Move draws from the prior to the posterior of each stage in turn, along geometric paths.

    Args:
        stages: log likelihoods (D, S) of the parameters (D, Q); a later stage has the data of those before it too.
        start: (D, Q) draws from the prior, see :func:`normal_sequence`.
        rng: source of resampling and moves.
        moves: moves of every draw after each step.
        count: draws that are kept from the first step on, which is as long as leaves that number effective; none: as
            many as there are at the start. What is lost early on is never found again, and many draws cost least there.

    Returns:
        One cloud a stage.
    """
    v, evidence, clouds, many = start, 0.0, [], count or len(start)
    logs = stages(v)
    for stage in range(logs.shape[1]):
        part = 0.0
        while part < 1.0:
            change = logs[:, stage] - (logs[:, stage - 1] if stage else 0.0)
            step = _step(change, 1.0 - part, many / len(v) if many < len(v) else KEEP)
            weight = np.exp(step * (change - change.max()))
            evidence += float(np.log(weight.mean()) + step * change.max())
            part = min(part + step, 1.0)
            kept = _resampled(weight, many, rng)
            v, logs = v[kept], logs[kept]
            for _ in range(moves):
                v, logs = _moved(v, logs, stages, _mixed(stage, part), rng)
        clouds.append(Particles(v, evidence))
    return clouds


def _mixed(stage: int, part: float) -> Callable[[Floats], Floats]:
    """The log likelihood between one stage and the next."""
    if stage == 0:
        return lambda logs: part * logs[:, 0]
    return lambda logs: (1.0 - part) * logs[:, stage - 1] + part * logs[:, stage]


def effective_share(logs: Floats, power: float) -> float:
    """Effective sample size over the number of draws, for weights exp(power * logs)."""
    weight = np.exp(power * (logs - logs.max()))
    return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))


def _step(change: Floats, most: float, keep: float) -> float:
    """The largest step, ``most`` at most, that leaves the share ``keep`` of the draws effective."""
    if effective_share(change, most) >= keep:
        return most
    low, high = 0.0, most
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective_share(change, middle) >= keep else (low, middle)
    return max(low, 1e-9)


def _resampled(weight: Floats, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Systematic resampling: (count,) indices."""
    shares = np.cumsum(weight) / weight.sum()
    places = (np.arange(count) + rng.random()) / count
    return np.minimum(np.searchsorted(shares, places), len(weight) - 1)


def _moved(
    v: Floats, logs: Floats, stages: Stages, mixed: Callable[[Floats], Floats], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """One Metropolis move of every draw: along the difference of two others, and a little in every direction."""
    count, dimensions = v.shape
    one, other = rng.integers(count, size=(2, count))
    reach = 2.38 / np.sqrt(2.0 * dimensions) * rng.choice([0.3, 0.7, 1.0], size=(count, 1))
    there = v + reach * (v[one] - v[other]) + 0.02 * rng.standard_normal(v.shape)
    new = stages(there)
    gain = mixed(new) - mixed(logs) + 0.5 * ((v**2).sum(1) - (there**2).sum(1))
    take = np.log(rng.random(count)) < gain
    return np.where(take[:, None], there, v), np.where(take[:, None], new, logs)


def uniform_sequence(count: int, dimensions: int) -> Floats:
    """(count, Q) places in the unit cube; the first is its middle."""
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    steps = root ** -np.arange(1.0, dimensions + 1.0)
    return np.asarray((0.5 + np.outer(np.arange(count), steps)) % 1.0)


def normal_sequence(count: int, dimensions: int) -> Floats:
    """(count, Q) standard normal draws."""
    return np.asarray(ndtri(uniform_sequence(count + 1, dimensions)[1:]))
