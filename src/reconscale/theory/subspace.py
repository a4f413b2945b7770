"""The paper's model: signals in a subspace, measured in white noise (Klug and Heckel 2023, section 5)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reconscale.mistakes import Mistake
from reconscale.theory.population import Population
from reconscale.theory.sizes import real, whole

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
            U. Beyond, the variances of signal and noise are further apart than eigenvalues can be told in double
            precision.

    Raises:
        Mistake: a size is not a whole number, or out of range.

    >>> round(Subspace(dim=10, ambient=100, sigma=0.05).floor, 8)
    0.00249377
    """

    dim: int
    ambient: int
    sigma: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "ambient", whole("ambient", self.ambient, 1, LARGEST))
        object.__setattr__(self, "dim", whole("dim", self.dim, 1, self.ambient))
        object.__setattr__(self, "sigma", real("sigma", self.sigma))
        if self.sigma and not QUIETEST <= self.sigma <= LOUDEST:
            raise Mistake("sigma", f"found {self.sigma:g}", f"0, or {QUIETEST:g} to {LOUDEST:g} is expected")

    @property
    def floor(self) -> float:
        """R* = sigma^2 / (1 + sigma^2), the risk of the best linear estimator U U^T / (1 + sigma^2)."""
        return self.sigma**2 / (1 + self.sigma**2)

    def step(self, n: int) -> float:
        """The paper's step size, times n: gradient descent on ||W Y - X||_F^2 / (2 n).

        1 / ((1 + eps) (1 + sigma^2)), eps = sqrt(10 (dim + sigma^2 ambient) ln(ambient) / n). It is below the limit
        of stability (2 over the largest eigenvalue of Y Y^T / n) with high probability, not always.
        """
        n = whole("n", n, 1, LARGEST)
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
