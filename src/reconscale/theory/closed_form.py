"""Closed forms: the knee of the subspace model, its exact baselines, and the slopes of power-law spectra.

Derivations: ``docs/explanation/theory.md``. ``benchmarks/theory_equivalents.py`` compares approximate ones with the
deterministic equivalent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.optimize import brentq

from reconscale.errors import UserError, check_int, check_real
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.filters import best_flow
from reconscale.theory.subspace import LARGEST, Subspace


def knee(model: Subspace) -> float:
    """The n at which the early-stopped risk is about twice the floor: 2 dim + sigma (1 - sigma) ambient.

    Interpolated between two limits of the risk of regression with errors in the variables: dim / (n - dim) = 1 without
    noise energy, and (sigma^2 ambient / n)^2 = sigma^2 with it. Against ``numeric_knee`` over 154 settings (dim 1 to
    300, ambient 100 to 10^5): a factor of 0.98 to 1.18 for sigma up to 0.3 (median 1.01), up to 1.35 for sigma 0.5 and
    1.77 for 0.7.

    Raises:
        UserError: sigma is 0 (there is no floor), or 1 or more (twice the floor is more than the power of the signal).
    """
    _with_a_knee(model)
    return 2 * model.dim + model.sigma * (1 - model.sigma) * model.ambient


def numeric_knee(model: Subspace) -> float:
    """The n at which the deterministic equivalent of the best gradient flow has twice the floor, to 1e-6 of it.

    Raises:
        UserError: as ``knee``; or the risk is below twice the floor from the first image on.
    """
    _with_a_knee(model)

    def above(log_n: float) -> float:
        return math.log(best_flow(Equivalent(model.population, math.exp(log_n))).risk / (2 * model.floor))

    if above(0.0) <= 0:
        raise UserError("sigma", f"found {model.sigma:g}", "the risk is below twice the floor from the first image on")
    high = math.log(2 * knee(model))
    while above(high) > 0:
        high += math.log(2)
    return math.exp(brentq(above, 0.0, high, xtol=1e-6))


def _with_a_knee(model: Subspace) -> None:
    if model.sigma == 0:
        raise UserError("sigma", "found 0", "without noise there is no floor, and no knee: n = dim images do")
    if model.sigma >= 1:
        raise UserError(
            "sigma", f"found {model.sigma:g}", "below 1 is expected: twice the floor is more than the signal"
        )


def projection_risk(model: Subspace, n: int) -> float:
    """The risk of Proj(span X) / (1 + sigma^2): R* for n >= dim, 1 - (n / dim) (1 - R*) below. Exact.

    n clean images in general position span n directions of the subspace, and in these the estimator is the best one.
    It needs the clean images alone: no learning from pairs is better at the same n before noise comes into it. The
    paper does not draw it.
    """
    n = check_int("n", n, 1, LARGEST)
    return 1 - min(n, model.dim) / model.dim * (1 - model.floor)


def converged_mean(model: Subspace, n: int) -> float | None:
    """The mean risk of converged gradient descent where it is known in closed form.

    R* (n - 1) / (n - ambient - 1) for n > ambient + 1 (the mean of an inverse Wishart matrix), infinite where
    n is within 1 of ambient, None for fewer images. Without noise it is the projection's.
    """
    n = check_int("n", n, 1, LARGEST)
    if model.sigma == 0:
        return max(0.0, 1 - n / model.dim)
    if abs(n - model.ambient) <= 1:
        return math.inf
    return model.floor * (n - 1) / (n - model.ambient - 1) if n > model.ambient else None


def mean_is_infinite(model: Subspace, n: int) -> bool:
    """Whether the mean of the converged risk is infinite: n within one of ``ambient``, with noise."""
    return model.sigma > 0 and abs(n - model.ambient) <= 1


class Regimes(NamedTuple):
    """The learning curve of a power-law spectrum on log-log axes.

    Attributes:
        signal_slope: first, while what is missed is signal: -(a - 1).
        noise_from: n at which the noise in the pixels takes over; inf without noise.
        noise_slope: then: -(1 - 1/a).
        floor_from: n at which the floor is reached, pixels a^(-a / (a - 1)) whatever the noise; inf without.
        floor: scale^(1/a) C sigma^(2 - 2/a) for many pixels, with C = (pi / a) / sin(pi / a).
    """

    signal_slope: float
    noise_from: float
    noise_slope: float
    floor_from: float
    floor: float


def power_law_regimes(exponent: float, pixels: int, sigma: float = 0.0, scale: float = 1.0) -> Regimes:
    """Denoising of signals with the variances scale j^-a: slopes of the learning curve, and where they change.

    From the deterministic equivalent with sums over j taken as integrals; compare Caponnetto and De Vito 2007 for the
    exponents.

    Args:
        exponent: a, above 1.
        pixels: number of directions j.
        sigma: standard deviation of the noise in each pixel.
        scale: variance of the first direction, above 0.

    Raises:
        UserError: the exponent is not above 1, or a number is out of range.

    >>> regimes = power_law_regimes(2, 100_000, sigma=1e-3)
    >>> round(regimes.signal_slope, 3), round(regimes.noise_from, 1), regimes.noise_slope, regimes.floor_from
    (-1.0, 24.7, -0.5, 25000.0)
    """
    a, power = check_real("exponent", exponent, 1.0, open_end=True), check_real("sigma", sigma) ** 2
    scale, pixels = check_real("scale", scale, open_end=True), check_int("pixels", pixels, 1, LARGEST)
    integral = math.pi / a / math.sin(math.pi / a)  # of 1 / (1 + x^a)
    if power == 0:
        return Regimes(1 - a, math.inf, 1 / a - 1, math.inf, 0.0)
    noise_from = float((scale * integral**a / (power * pixels)) ** (1 / (a - 1)))
    floor = scale ** (1 / a) * integral * power ** (1 - 1 / a)
    return Regimes(1 - a, noise_from, 1 / a - 1, pixels * a ** (-a / (a - 1)), floor)
