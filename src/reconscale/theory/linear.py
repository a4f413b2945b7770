"""Linear inverse problems by second moments: the Wiener filter, and learning it from pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.theory.filters import Descent, Filter
from reconscale.theory.operators import Operator
from reconscale.theory.path import check_stable
from reconscale.theory.subspace import Population

NULL = 1e-12
"""Directions with less than this part of the largest variance count as never measured: eigenvalues are known to 1e-16
of the largest times the size of the matrix, and a filter would divide by them."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of x and y; both have mean 0.

    Attributes:
        power: E ||x||^2.
        cross: E x y^T, (pixels, m).
        gram: E y y^T, (m, m).
    """

    power: float
    cross: Floats
    gram: Floats

    @property
    def pixels(self) -> int:
        """Entries of x."""
        return int(self.cross.shape[0])


def moments_of(covariance: ArrayLike, operator: Operator) -> Moments:
    """The moments of y = A x + z for x of a covariance.

    Raises:
        UserError: the covariance has another size, is not symmetric, not finite, or has a negative eigenvalue.
    """
    cov = checked_covariance(covariance, operator.pixels)
    cross = cov @ operator.matrix.T
    gram = operator.matrix @ cross + operator.sigma**2 * np.eye(operator.measurements)
    return Moments(float(np.trace(cov)), cross, (gram + gram.T) / 2)


@dataclass(frozen=True, eq=False)
class Wiener:
    """The best linear estimator V = Cov(x, y) Cov(y)^-1 in the directions in which y varies.

    Attributes:
        variances: (r,) eigenvalues of Cov(y), rising.
        directions: (m, r) their eigenvectors u.
        response: (pixels, r) V u.
        floor: E ||x - V y||^2, in all.
    """

    variances: Floats
    directions: Floats
    response: Floats
    floor: float

    @property
    def population(self) -> Population:
        """The population that learning curves depend on; risks are for each entry of x."""
        return Population(
            self.variances, np.ones_like(self.variances), (self.response**2).sum(0), self.floor, len(self.response)
        )


def wiener_of(moments: Moments) -> Wiener:
    """The Wiener filter.

    Raises:
        UserError: y does not vary at all.
    """
    variances, vectors = scipy.linalg.eigh(moments.gram)
    if variances[-1] <= 0:
        raise UserError("problem", "the measurements do not vary", "there is nothing to learn from")
    keep = variances > NULL * variances[-1]
    variances, vectors = variances[keep], vectors[:, keep]
    response = moments.cross @ vectors / variances
    floor = moments.power - float(((response**2).sum(0) * variances).sum())
    return Wiener(variances, vectors, response, floor if floor > NULL * moments.power else 0.0)


def population_of(covariance: ArrayLike, operator: Operator) -> Population:
    """The population of a linear problem with x of a covariance: Gaussian x have exactly its learning curves.

    >>> from reconscale.theory.operators import denoising
    >>> white = population_of(np.eye(4), denoising((2, 2, 1), sigma=1.0))
    >>> white.floor / white.outputs
    0.5

    Raises:
        UserError: the covariance is none, or y does not vary.
    """
    return wiener_of(moments_of(covariance, operator)).population


def risk_of_filter(wiener: Wiener, moments: Moments) -> float:
    """E ||x - V y||^2 for each entry of x when x and y have other moments than those that V was made from."""
    filter_ = wiener.response @ wiener.directions.T
    total = moments.power - 2 * (filter_ * moments.cross).sum() + ((filter_ @ moments.gram) * filter_).sum()
    return float(total / moments.pixels)


@dataclass(frozen=True, eq=False)
class LearnedPath:
    """The learning path of V from n pairs, with its exact risk under given moments.

    Attributes:
        variances: (r,) positive eigenvalues of Y^T Y / n.
        products: (r, r) and
        matches: (r,) such that the risk of the gain g is (power - 2 g . matches + g . products g) / pixels.
        power: E ||x||^2.
        pixels: entries of x.
    """

    variances: Floats
    products: Floats
    matches: Floats
    power: float
    pixels: int

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance."""
        return float(self.variances.min()), float(self.variances.max())

    def risk(self, filter_: Filter) -> float:
        """The risk of an estimator on this path, for each entry of x.

        Raises:
            UserError: gradient descent with a step of 2 / (largest variance) or more, which diverges.
        """
        if isinstance(filter_, Descent):
            check_stable(filter_, self.extent[1])
        gain = filter_.gain(self.variances)
        return float((self.power - 2 * gain @ self.matches + gain @ self.products @ gain) / self.pixels)


@dataclass(frozen=True, eq=False)
class _Learned:
    """A learned V = outputs g(variances) vectors^T."""

    variances: Floats
    vectors: Floats
    outputs: Floats


def learned_path(x: Floats, y: Floats, moments: Moments) -> LearnedPath:
    """Learn from pairs, and judge by moments: those of the population, or of held-out pairs.

    Args:
        x: (n, pixels), mean 0.
        y: (n, m), mean 0.
        moments: by which risks are measured.

    Raises:
        UserError: the shapes do not fit, a number is not finite, or y is 0.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or not len(x):
        raise UserError("pairs", f"have the shapes {x.shape} and {y.shape}", "expected (n, pixels) and (n, m)")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UserError("pairs", "hold a number that is not finite", "leave such pairs out")
    if moments.cross.shape != (x.shape[1], y.shape[1]):
        raise UserError("moments", f"are of shape {moments.cross.shape}", f"{(x.shape[1], y.shape[1])} is expected")
    return _judged(_learned(x, y), moments)


def _learned(x: Floats, y: Floats) -> _Learned:
    """By singular values and not by those of Y^T Y, which lose half of the digits of the small ones."""
    n, m = y.shape
    root = scipy.linalg.qr(y, mode="r")[0][:m] if n > m else y
    size, right = scipy.linalg.svd(root, full_matrices=False)[1:]
    if size[0] <= 0:
        raise UserError("pairs", "measurements are all 0", "there is nothing to learn from")
    variances = size**2 / n
    keep = variances > NULL * variances[0]
    vectors = right[keep].T
    return _Learned(variances[keep], vectors, (x.T @ y / n) @ vectors)


def _judged(learned: _Learned, moments: Moments) -> LearnedPath:
    products = (learned.outputs.T @ learned.outputs) * (learned.vectors.T @ moments.gram @ learned.vectors)
    matches = (learned.outputs * (moments.cross @ learned.vectors)).sum(0)
    return LearnedPath(learned.variances, products, matches, moments.power, moments.pixels)


def checked_covariance(covariance: ArrayLike, pixels: int) -> Floats:
    """A covariance matrix, made exactly symmetric.

    Raises:
        UserError: its size is not ``pixels``, an entry is not finite, it is not symmetric to 1e-8, or an eigenvalue is
            below -1e-8 of the largest.
    """
    cov = np.asarray(covariance, np.float64)
    if cov.shape != (pixels, pixels):
        raise UserError("covariance", f"has the shape {cov.shape}", f"{(pixels, pixels)} is expected")
    if not np.isfinite(cov).all():
        raise UserError("covariance", "holds a number that is not finite", "leave such images out")
    scale = np.abs(cov).max()
    if np.abs(cov - cov.T).max() > 1e-8 * scale:
        raise UserError("covariance", "is not symmetric", "give E x x^T")
    cov = (cov + cov.T) / 2
    least = float(scipy.linalg.eigvalsh(cov, subset_by_index=(0, 0))[0])
    if least < -1e-8 * pixels * scale:
        raise UserError("covariance", f"has the eigenvalue {least:.3g}", "a covariance has none below 0")
    return cov
