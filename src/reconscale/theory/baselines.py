"""Risks of the subspace model that are known exactly, or without randomness."""

from __future__ import annotations

import math

from reconscale.theory.sizes import whole
from reconscale.theory.subspace import LARGEST, Subspace


def projection_risk(model: Subspace, n: int) -> float:
    """The risk of Proj(span X) / (1 + sigma^2): R* for n >= dim, 1 - (n / dim) (1 - R*) below. Exact.

    n clean images in general position span n directions of the subspace, and in these the estimator is the best one.
    It needs the clean images alone: no learning from pairs is better at the same n before noise comes into it. The
    paper does not draw it.
    """
    n = whole("n", n, 1, LARGEST)
    return 1 - min(n, model.dim) / model.dim * (1 - model.floor)


def converged_mean(model: Subspace, n: int) -> float | None:
    """The mean risk of converged gradient descent where it is known in closed form.

    R* (n - 1) / (n - ambient - 1) for n > ambient + 1 (the mean of an inverse Wishart matrix), infinite where
    n is within 1 of ambient, None for fewer images. Without noise it is the projection's.
    """
    n = whole("n", n, 1, LARGEST)
    if model.sigma == 0:
        return max(0.0, 1 - n / model.dim)
    if abs(n - model.ambient) <= 1:
        return math.inf
    return model.floor * (n - 1) / (n - model.ambient - 1) if n > model.ambient else None


def mean_is_infinite(model: Subspace, n: int) -> bool:
    """Whether averages over runs of the converged risk say nothing: n within one of ``ambient``, with noise."""
    return model.sigma > 0 and abs(n - model.ambient) <= 1
