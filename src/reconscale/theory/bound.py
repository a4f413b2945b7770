"""An upper bound on the early-stopped risk with explicit constants.

With P and G the rows of Y in the subspace and outside it, and S_ij the blocks of Y Y^T / n, the lemma holds for every
Y, and the theorem inserts Gaussian concentration (Davidson and Szarek 2001; Laurent and Massart 2000) into it. The
proof (Sylvester's equation as in Davis and Kahan 1970, Cauchy interlacing) is in ``docs/explanation/theory.md``. For
n well beyond dim + sigma^2 ambient its excess is of the order
floor (dim + sigma^2 ambient (1 + sigma^2 ln^2 n)) / n + ((dim + sigma^2 ambient) / n)^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from reconscale.errors import UserError, check_int, check_real
from reconscale.theory.subspace import LARGEST, Subspace

EVENTS = 6
"""Each is true with probability 1 - e^-u: two ends of the spectrum of P, the upper of G, the cross block's largest
singular value and its sum of squares, the trace of G G^T."""
LATEST = 700.0
"""Longest time, times the smallest signal variance; e^-700 is nothing."""


@dataclass(frozen=True)
class Blocks:
    """The blocks of Y Y^T / n that the lemma depends on, in coordinates in which the subspace comes first.

    Attributes:
        least_signal: smallest eigenvalue of S_11 (dim x dim); 0 with fewer images than dim.
        largest_noise: largest eigenvalue of S_22.
        cross: largest singular value of S_12.
        cross_squares: ||S_12||_F^2.
        inverse_trace: trace of S_11^-1.
        noise_trace: trace of S_22.
    """

    least_signal: float
    largest_noise: float
    cross: float
    cross_squares: float
    inverse_trace: float
    noise_trace: float


def lemma_bound(model: Subspace, n: int, blocks: Blocks, time: float) -> float:
    """A bound on the risk expected given Y, of gradient flow stopped at a time, or of descent with step k = time.

    With a = least_signal > b = largest_noise, c = cross / (a - b), f = cross_squares / (dim (a - b)^2) (both at most
    1) and r = e^(-a time):
    floor + ((r + c sqrt f)^2 + floor (1 + r)^2 f) / (1 + sigma^2)
    + floor / n ((1 + sigma^2) inverse_trace + time^2 (sigma^2 noise_trace + b dim f)).

    Args:
        model: the subspace model.
        n: number of images.
        blocks: of a training set, or bounds of them.
        time: step times number of steps, where step times the largest eigenvalue of Y Y^T / n is at most 1.

    Returns:
        The bound; inf where a <= b.
    """
    a, b, power = blocks.least_signal, blocks.largest_noise, model.sigma**2
    if a <= b:
        return math.inf
    tilt = min(blocks.cross / (a - b), 1.0)
    tilts = min(blocks.cross_squares / (a - b) ** 2 / model.dim, 1.0)
    left = math.exp(-min(a * time, LATEST))
    bias = ((left + tilt * math.sqrt(tilts)) ** 2 + model.floor * (1 + left) ** 2 * tilts) / (1 + power)
    fitted = power * blocks.noise_trace + b * model.dim * tilts
    grown = time**2 * fitted if fitted else 0.0
    return model.floor + bias + model.floor / n * ((1 + power) * blocks.inverse_trace + grown)


class Bound(NamedTuple):
    """A bound on the risk.

    Attributes:
        risk: with the probability asked for, the risk expected given Y is at most this.
        time: when gradient flow has to be stopped for it, or step times number of steps of gradient descent.
    """

    risk: float
    time: float


def high_probability_blocks(model: Subspace, n: int, failure: float = 0.01) -> Blocks:
    """Bounds of all blocks that are true together with probability 1 - ``failure``.

    Raises:
        UserError: ``n`` or ``failure`` is out of range.
    """
    n, failure = check_int("n", n, 1, LARGEST), check_real("failure", failure, open_end=True)
    if failure >= 1:
        raise UserError("failure", f"found {failure:g}", "a probability below 1 is expected")
    u, dim, rest, power = math.log(EVENTS / failure), model.dim, model.ambient - model.dim, model.sigma**2
    slack, root, few, many = math.sqrt(2 * u), math.sqrt(n), math.sqrt(dim), math.sqrt(rest)
    least = (1 + power) * max(1 - (few + slack) / root, 0.0) ** 2
    if rest == 0 or power == 0:
        return Blocks(least, 0.0, 0.0, 0.0, dim / least if least else math.inf, 0.0)
    longest, both = (root + few + slack) / root, power * (1 + power)
    return Blocks(
        least_signal=least,
        largest_noise=power * (1 + (many + slack) / root) ** 2,
        cross=math.sqrt(both) * longest * (many + few + slack) / root,
        cross_squares=both * longest**2 * _chi_square(dim * rest, u) / n,
        inverse_trace=dim / least if least else math.inf,
        noise_trace=power * _chi_square(rest * n, u) / n,
    )


def theorem_bound(model: Subspace, n: int, failure: float = 0.01) -> Bound | None:
    """The lemma with blocks that are bounded with high probability, at the time that makes it least.

    Its excess over the floor, as a multiple of the true one in the paper's settings, by n / (dim + sigma^2 ambient): at
    most 1.7 from 300 on, 2.2 from 200, 11 from 50. Below 10 it is useless; below 5 there is none.

    Args:
        model: the subspace model.
        n: number of training images.
        failure: the probability with which the bound may be wrong, between 0 and 1.

    Returns:
        The bound; None where it is above 1, the risk of the estimator that always answers 0.

    Raises:
        UserError: ``n`` or ``failure`` is out of range.
    """
    blocks = high_probability_blocks(model, n, failure)
    if blocks.least_signal <= blocks.largest_noise:
        return None
    most = LATEST / blocks.least_signal
    if blocks.noise_trace == 0:
        best = most
    else:
        grid = np.geomspace(1e-2 / blocks.least_signal, most, 120)
        i = int(np.argmin([lemma_bound(model, n, blocks, time) for time in grid]))
        ends = np.log(grid[[max(i - 1, 0), min(i + 1, len(grid) - 1)]])
        found = minimize_scalar(lambda log: lemma_bound(model, n, blocks, math.exp(log)), bounds=ends, method="bounded")
        best = math.exp(found.x)
    risk = lemma_bound(model, n, blocks, best)
    return Bound(risk, best) if risk < 1 else None


def _chi_square(freedom: float, u: float) -> float:
    """A value that a chi-square variable exceeds with probability e^-u at most."""
    return freedom + 2 * math.sqrt(freedom * u) + 2 * u
