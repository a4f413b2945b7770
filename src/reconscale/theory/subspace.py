"""The paper's model: signals in a subspace with white noise (Klug and Heckel 2023, section 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_int, check_real


@dataclass(frozen=True, eq=False)
class Population:
    """A linear inverse problem as a regression of x on y: x = V y + rest, the rest uncorrelated with y.

    V = Cov(x, y) Cov(y)^-1 is the Wiener filter. For Gaussian x and noise the rest is independent of y, and the law
    of every risk along the learning path depends on the four arrays below alone (``docs/explanation/theory.md``).

    Attributes:
        variances: (L,) distinct or repeated eigenvalues of Cov(y), above 0.
        counts: (L,) how many directions have this eigenvalue, above 0.
        signal: (L,) sum over these directions u of ||V u||^2, 0 or more.
        floor: E ||x - V y||^2, the total risk of the best linear estimator, 0 or more.
        outputs: what risks are divided by, for instance the number of pixels of x.
        leverage: (L,) sum over these directions u of E[||x - V y||^2 (u^T y)^2] / (variance * floor), the
            count itself where the rest is independent of y; None: that.

    Raises:
        UserError: lengths differ, a number is not finite or out of range.
    """

    variances: Floats
    counts: Floats
    signal: Floats
    floor: float
    outputs: float = 1.0
    leverage: Floats | None = None

    def __init__(
        self,
        variances: ArrayLike,
        counts: ArrayLike,
        signal: ArrayLike,
        floor: float,
        outputs: float = 1.0,
        leverage: ArrayLike | None = None,
    ) -> None:
        columns = {"variances": variances, "counts": counts, "signal": signal}
        if leverage is not None:
            columns["leverage"] = leverage
        for name, values in columns.items():
            object.__setattr__(self, name, _column(name, values, strict=name in ("variances", "counts")))
            if len(getattr(self, name)) != len(self.variances):
                raise UserError(f"Population, {name}", f"holds {len(getattr(self, name))} numbers",
                              f"variances hold {len(self.variances)}")  # fmt: skip
        if leverage is None:
            object.__setattr__(self, "leverage", None)
        for name, value, least in (("floor", floor, 0.0), ("outputs", outputs, np.nextafter(0.0, 1.0))):
            if not np.isfinite(value) or value < least:
                raise UserError(f"Population, {name}", f"found {value}", "a finite number of 0 or more is expected")
            object.__setattr__(self, name, float(value))

    @property
    def measurements(self) -> float:
        """The rank of Cov(y): the number of directions in which measurements vary."""
        return float(self.counts.sum())

    @property
    def power(self) -> float:
        """E ||x||^2 / outputs, the risk of the estimator that always answers 0 (the mean)."""
        return (float(self.signal @ self.variances) + self.floor) / self.outputs


def _column(name: str, values: ArrayLike, strict: bool) -> Floats:
    array = np.array(values, dtype=np.float64).reshape(-1)
    if not len(array):
        raise UserError(f"Population, {name}", "is empty", "give at least one level")
    if not np.isfinite(array).all() or (array <= 0 if strict else array < 0).any():
        wrong = array[~np.isfinite(array) | (array <= 0 if strict else array < 0)][0]
        expected = "numbers above 0 are expected" if strict else "numbers of 0 or more are expected"
        raise UserError(f"Population, {name}", f"found {wrong:g}", expected)
    array.setflags(write=False)
    return array


LARGEST = 10**12
"""Largest number of images and of pixels; beyond it, 1 - 1/n is no longer exact enough to be of use."""
QUIETEST, LOUDEST = 1e-5, 1e6
"""Range of sigma, where it is not 0."""


@dataclass(frozen=True)
class Subspace:
    """x = U c and y = x + z: c ~ N(0, I) in ``dim`` directions of ``ambient`` pixels, z ~ N(0, sigma^2 I).

    A linear estimator W is learned from n pairs (x, y). Its risk is E ||W y - x||^2 / dim =
    (||(W - I) U||_F^2 + sigma^2 ||W||_F^2) / dim: that of W = 0 is 1.

    Attributes:
        dim: dimension of the subspace, 1 to ``ambient``.
        ambient: number of pixels.
        sigma: standard deviation of the noise in each pixel, 0 or 1e-5 to 1e6; the signal's is 1 in each direction of
            U. Beyond, the variances of signal and noise are further apart than eigenvalues in double precision can
            resolve.

    Raises:
        UserError: a size is not a whole number, or out of range.

    >>> round(Subspace(dim=10, ambient=100, sigma=0.05).floor, 8)
    0.00249377
    """

    dim: int
    ambient: int
    sigma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "ambient", check_int("ambient", self.ambient, 1, LARGEST))
        object.__setattr__(self, "dim", check_int("dim", self.dim, 1, self.ambient))
        object.__setattr__(self, "sigma", check_real("sigma", self.sigma))
        if self.sigma and not QUIETEST <= self.sigma <= LOUDEST:
            raise UserError("sigma", f"found {self.sigma:g}", f"0, or {QUIETEST:g} to {LOUDEST:g} is expected")

    @property
    def floor(self) -> float:
        """R* = sigma^2 / (1 + sigma^2), the risk of the best linear estimator U U^T / (1 + sigma^2)."""
        return self.sigma**2 / (1 + self.sigma**2)

    def step(self, n: int) -> float:
        """The paper's step size, times n: gradient descent on ||W Y - X||_F^2 / (2 n).

        1 / ((1 + eps) (1 + sigma^2)), eps = sqrt(10 (dim + sigma^2 ambient) ln(ambient) / n). It is below the limit
        of stability (2 over the largest eigenvalue of Y Y^T / n) with high probability, not always.
        """
        n = check_int("n", n, 1, LARGEST)
        spread = 10 * (self.dim + self.sigma**2 * self.ambient) * math.log(self.ambient) / n
        return 1 / ((1 + math.sqrt(spread)) * (1 + self.sigma**2))

    @property
    def population(self) -> Population:
        """The same problem as a regression: two levels of variance, 1 + sigma^2 (dim times) and sigma^2.

        E[x | y] = U U^T y / (1 + sigma^2); what is left of x is independent of y with variance R* in each direction
        of U. Without noise the directions outside U are never seen, and are left out.
        """
        variance, rest = 1 + self.sigma**2, self.ambient - self.dim
        signal = self.dim / variance**2
        if self.sigma == 0 or rest == 0:
            return Population((variance,), (self.dim,), (signal,), self.dim * self.floor, self.dim)
        levels = (variance, self.sigma**2)
        return Population(levels, (self.dim, rest), (signal, 0.0), self.dim * self.floor, self.dim)
