"""The risk of PCA in the limit of many dimensions, from the spectral density of the sample covariance.

With A the ``dim`` leading eigenvectors of Y Y^T the estimator is A A^T / (1 + sigma^2), and its risk depends on the
part ||U^T A||_F^2 of the signal that they capture alone. The limiting density of eigenvalues, and of what their
eigenvectors capture, lives on the curve Im z(k) = 0 off the real axis (Silverstein and Choi 1995, Ledoit and Peche
2011), which for two levels is an explicit one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_real
from reconscale.theory.equivalents.contour import boundary
from reconscale.theory.equivalents.equivalent import SampleLaw, levels_of
from reconscale.theory.subspace import LARGEST, Subspace

GRID = 3000
"""Points along the spectrum."""
MOST_ERROR = 1e-5
"""Relative error of the number of eigenvalues from which on nothing is returned."""


def separation(model: Subspace) -> float:
    """The n above which the ``dim`` leading eigenvalues part from the others: where the spectrum has a gap.

    (dim^(1/3) (1 + sigma^2)^(2/3) + (ambient - dim)^(1/3) sigma^(4/3))^3, from the minimum of df2(k) between the two
    levels; 0 without noise or without other directions. The limiting spectrum; derived here.

    >>> round(separation(Subspace(dim=10, ambient=100, sigma=0.1)), 1)
    13.4
    """
    if model.sigma == 0 or model.dim == model.ambient:
        return 0.0
    signal = (model.dim * (1 + model.sigma**2) ** 2) ** (1 / 3)
    noise = ((model.ambient - model.dim) * model.sigma**4) ** (1 / 3)
    return float((signal + noise) ** 3)


def pca_equivalent(model: Subspace, n: float) -> float:
    """The deterministic equivalent of the risk of PCA with the true ``dim``, per direction of the subspace.

    With n below ``dim`` all n eigenvectors, completed uniformly at random in what they leave open
    (:meth:`~reconscale.theory.path.SubspacePath.pca`).

    Raises:
        UserError: ``n`` is not a number from 1 to 10^12; the density does not add up (never a wrong number).
    """
    if (n := check_real("n", n, 1.0)) > LARGEST:
        raise UserError("n", f"found {n:g}", f"at most {LARGEST:.0e} is expected")
    shrink = 1 / (1 + model.sigma**2)
    return model.floor + shrink * (2 - shrink) * _missed(model, n) / model.dim


def _missed(model: Subspace, n: float) -> float:
    """The part of the subspace outside the span of A: dim - ||U^T A||_F^2."""
    dim, law = model.dim, SampleLaw(levels_of(model.population), n)
    if n <= dim:
        unseen = dim * law.zero / (1 + model.sigma**2 + law.zero)
        return unseen * (model.ambient - dim) / (model.ambient - n) if model.ambient > dim else 0.0
    return 0.0 if len(law.levels.variance) == 1 else _missed_by_leading(model, law)


class _Density(NamedTuple):
    """Along the spectrum, or its upper group, from its upper to its lower end; all (GRID,), per step of ``at``.

    Attributes:
        at: uniform.
        eigenvalues: how many there are.
        outside: the part of their eigenvectors that lies outside U.
    """

    at: Floats
    eigenvalues: Floats
    outside: Floats


class _Ends(NamedTuple):
    """The range of Re k along the spectrum, as distances that keep their digits.

    Attributes:
        span: length of the range.
        beyond: how far its left end lies left of -s_1.
        before: how far its right end lies right of -s_2; below 0 where it ends in a gap.
    """

    span: float
    beyond: float
    before: float


def _ends(model: Subspace, law: SampleLaw) -> _Ends:
    (low, high), (beyond, before) = law.levels.variance, law.margins
    if law.n <= separation(model):
        return _Ends(high - low + before + beyond, beyond, before)
    signal, noise = (np.cbrt(law.levels.count * law.levels.variance**2))[::-1]
    middle = (high - low) * signal / (signal + noise)
    upper = boundary(lambda e: bool(law.slope(np.array([-high + e]))[0] > 0), middle, 1e-9 * middle)
    return _Ends(upper + beyond, beyond, low - high + upper)


def _density(model: Subspace, law: SampleLaw) -> _Density:
    """The density where Im z(k) = 0: with k = a + i b, b^2 is the positive root of a quadratic.

    The ends, where b vanishes like a square root, and all scales next to them are resolved by
    a = (left + right w) / (1 + w), w = e^at, and sums over ``at`` converge geometrically.
    """
    n, ends, (low, high), (noise, signal) = law.n, _ends(model, law), law.levels.variance, law.levels.count
    at = np.linspace(-30.0, 30.0 + math.log(ends.span / low), GRID)
    near = np.exp(-np.abs(at)) / (1 + np.exp(-np.abs(at)))
    to_right, to_left = np.where(at < 0, 1 - near, near), np.where(at < 0, near, 1 - near)
    upper, lower = ends.span * to_left - ends.beyond, ends.before - ends.span * to_right
    few, many = signal * high**2 / n, noise * low**2 / n
    linear, constant = upper**2 + lower**2 - few - many, (upper * lower) ** 2 - few * lower**2 - many * upper**2
    root = np.sqrt(np.maximum(linear**2 - 4 * constant, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        square = np.where(linear > 0, -2 * constant / (linear + root), (root - linear) / 2)
    b = np.sqrt(np.maximum(square, 0))
    k = np.where(to_right < to_left, lower - low, upper - high) + 1j * b
    first, second = upper + 1j * b, lower + 1j * b
    z = (k * ((n - law.rank) / n + k * (signal / first + noise / second) / n)).real
    slope = 1 - few / first**2 - many / second**2
    inside = (b > 0) & (slope.real != 0)
    moved = np.abs(slope) ** 2 / np.where(inside, np.abs(slope.real * z), np.inf) * ends.span * to_left * to_right
    of_signal = signal * high * b / np.abs(first) ** 2 * moved / np.pi
    of_noise = noise * low * b / np.abs(second) ** 2 * moved / np.pi
    return _Density(at, of_signal + of_noise, of_noise)


def _missed_by_leading(model: Subspace, law: SampleLaw) -> float:
    """The part of the ``dim`` leading eigenvectors outside U, with n above ``dim``."""
    density = _density(model, law)
    number = CubicSpline(density.at, density.eigenvalues).antiderivative()
    outside = CubicSpline(density.at, density.outside).antiderivative()
    first, last = density.at[[0, -1]]
    expected = model.dim if (parted := law.n > separation(model)) else min(law.n, law.rank)
    if not abs(error := float(number(last)) / expected - 1) < MOST_ERROR:
        raise UserError("PCA equivalent", f"the spectral density is off by {error:.1g}",
                      "take another n or more noise")  # fmt: skip
    if parted:
        return float(outside(last))
    return float(outside(brentq(lambda at: number(at) - model.dim, first, last)))
