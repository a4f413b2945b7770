"""The interface of a law: a curve in log n, linear in some of its parameters."""

from __future__ import annotations

from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.laws import smc

LOG_LIMIT = 690.0
"""Log errors are kept within this bound, so that their exponential is a number."""
STEEPEST = 5.0
"""The largest exponent, of either sign, that a power law may have."""
FINE = {0: 1, 1: 256, 2: 40}
"""Nodes of a grid along each coordinate, by their number."""


class Law(Protocol):
    """What a law must offer; ``LAWS["mine"] = MyLaw()`` adds one."""

    @property
    def name(self) -> str:
        """The key in :data:`~reconscale.laws.named.registry.LAWS`."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the P parameters, in the order of the last axis of ``theta``."""

    @property
    def formula(self) -> str:
        """The law as people write it."""

    @property
    def of(self) -> str:
        """The working scale u of the fit: ``error`` for u = ln(error), ``metric`` for u = log10(metric)."""

    @property
    def least(self) -> int:
        """Distinct n that the law needs."""

    @property
    def curved(self) -> tuple[str, ...]:
        """The parameter that each of the Q coordinates of the unit cube stands for."""

    def window(self, count: int) -> slice:
        """Which of ``count`` ascending levels the law is fitted to."""

    def nodes(self, x: Floats, u: Floats) -> Floats:
        """Places in the unit cube (N, Q) among which a descent to u (K,) finds a start; :func:`grid` will do."""

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """At x = ln n (K,) and t (..., Q): the known part of u (..., K) and the linear columns (..., K, J)."""

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """The named parameters (..., P) from t (..., Q) and the linear coefficients (..., J)."""

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """The values u (..., N) at x = ln n (N,) for theta (..., P)."""


def bounded(u: Floats) -> Floats:
    """Log errors whose exponential is a number above 0."""
    return np.clip(u, -LOG_LIMIT, LOG_LIMIT)


def split(theta: ArrayLike) -> list[Floats]:
    """The P parameters of theta (..., P), each (..., 1)."""
    values = np.asarray(theta, dtype=np.float64)
    return [values[..., index : index + 1] for index in range(values.shape[-1])]


def grid(many: int) -> Floats:
    """Places (N, Q) that fill the unit cube of ``many`` coordinates evenly; one place without coordinates."""
    if many not in FINE:
        return smc.uniform_sequence(512, many)
    axis = (np.arange(FINE[many]) + 0.5) / FINE[many]
    return np.array(list(product(axis, repeat=many)))


def constant(known: Floats) -> Floats:
    """The one column (..., K, 1) of a law whose only linear coefficient is a level."""
    return np.broadcast_to(1.0, (*known.shape, 1))


def log_grid(t: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """From ``low`` to ``high`` (both above 0), evenly on the log scale."""
    return np.asarray(low * (high / low) ** t)


def sinh_grid(t: Floats, most: float = STEEPEST) -> Floats:
    """From -``most`` to ``most``, 0 in the middle and finer there; nowhere flat."""
    return np.asarray(most * np.sinh(4.0 * (2.0 * t - 1.0)) / np.sinh(4.0))


def log1p_grid(t: Floats, small: Floats | float, most: Floats | float) -> Floats:
    """From exactly 0 to ``most``: evenly up to about ``small``, from there on evenly on the log scale."""
    return np.asarray(small * np.expm1(t * np.log1p(most / small)))


def signed_place(value: Floats, most: float = STEEPEST) -> Floats:
    """The inverse of :func:`sinh_grid`."""
    return np.asarray(0.5 * (1.0 + np.arcsinh(value / most * np.sinh(4.0)) / 4.0))


def log_floor_from_unit(t: Floats, falling: Floats) -> Floats:
    """Ln of a floor (..., 1) that is added to exp(falling) (..., K); t (..., 1) = 0 is no floor at all.

    At t = 1 the falling part is nowhere more than a part in 10^8 of the floor: the curve is constant. Half way, the
    floor is as large as the falling part somewhere among the data, however steep that is.
    """
    low, high = falling.min(-1, keepdims=True), falling.max(-1, keepdims=True)
    with np.errstate(divide="ignore"):
        rise = np.log(np.expm1(t * (high - low + np.log(1e11))))
    return np.asarray(low + np.log(1e-3) + rise)


def unit_from_log_floor(log_value: Floats, falling: Floats) -> Floats:
    """The inverse of :func:`log_floor_from_unit`."""
    low, high = falling.min(-1, keepdims=True), falling.max(-1, keepdims=True)
    rise = np.logaddexp(0.0, log_value - low - np.log(1e-3))
    return np.asarray(np.clip(rise / (high - low + np.log(1e11)), 0.0, 1.0))


def floored(log_value: Floats) -> Floats:
    """A floor from its logarithm; -inf is no floor."""
    return np.asarray(np.exp(np.minimum(log_value, LOG_LIMIT)))


def middle(x: Floats) -> float:
    """Ln of the size half way between the smallest and the largest, on the log scale."""
    return float(0.5 * (x[0] + x[-1]))
