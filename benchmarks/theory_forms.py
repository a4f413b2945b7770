"""Approximate closed forms of learning curves; ``theory_equivalents.py`` measures how far off they are.

Each docstring says where a form is good and how far it was off there against the deterministic equivalent.
Derivations: ``docs/explanation/theory.md``; sums over the directions of a power-law spectrum are taken as integrals.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from reconscale.errors import UserError, check_int, check_real
from reconscale.theory import Population, Subspace
from reconscale.theory.subspace import LARGEST

Floats = NDArray[np.float64]

SOONEST = 0.05
"""Least stopping time of ``stopping_time``."""
EXACT = 1000
"""This many pixels get a level each."""
SINGLY = 200
"""With more, this many of the first ones."""
BINS = 800
"""And the others that many bins, uniform in log j."""


def attenuation(model: Subspace, n: float) -> float:
    """The early-stopped risk between dim and ambient images: regression with errors in the variables.

    With m = n - dim and e = sigma^2 ambient:
    floor (1 + dim / m + (e / m) / (1 + e / m)^2) + (e / (m + e))^2 (1 + dim / m).
    For dim, e << n << sigma ambient the last term rules, and the risk falls like n^-2.
    Error for sigma up to 0.1, in multiples of the knee: up to 10 % from 1, 3 % from 1.5, 1.3 % from 2; too high
    beyond use below the knee. For sigma 0.2 and 0.3: 34, 11 and 5 %.

    Raises:
        UserError: ``n`` is not above dim.
    """
    more = _size(n) - model.dim
    if more <= 0:
        raise UserError(
            "n", f"found {n:g}", f"above dim ({model.dim}) is expected; up to it projection_risk is the lower envelope"
        )
    energy = model.sigma**2 * model.ambient
    spread = (energy / more) / (1 + energy / more) ** 2
    bias = (energy / (more + energy)) ** 2 * (1 + model.dim / more)
    return model.floor * (1 + model.dim / more + spread) + bias


def after_knee(model: Subspace, n: float) -> float:
    """The early-stopped risk beyond the knee: first order in 1 / n, and the quadratic term of the knee.

    With e = sigma^2 ambient and t the ``stopping_time``:
    floor (1 + (dim + e (1 + sigma^2 t (t + 1))) / n) + (e / (n + e))^2. No spectral filter does better in the limit
    than floor (1 + (dim + (ambient - dim) floor) / n). Error for sigma up to 0.1, in multiples of the knee: 6 % from 2,
    1.6 % from 4, 0.2 % from 10; for sigma 0.2 and 0.3: 22, 11 and 4 %.

    Raises:
        UserError: ``n`` is not a number from 1 to 10^12.
    """
    n, energy, t = _size(n), model.sigma**2 * model.ambient, stopping_time(model, n)
    linear = model.dim + energy * (1 + model.sigma**2 * t * (t + 1)) if model.sigma else 0.0
    return model.floor * (1 + linear / n) + (energy / (n + energy)) ** 2


def stopping_time(model: Subspace, n: float) -> float:
    """The best time of gradient flow beyond the knee: 2 t = ln(n / (floor ambient sigma^4 t)); inf without noise."""
    if model.sigma == 0:
        return math.inf
    scale, t = _size(n) / (model.floor * model.ambient * model.sigma**4), 1.0
    for _ in range(100):
        t = max(0.5 * math.log(max(scale / t, 1.0)), SOONEST)
    return t


def pca_after(model: Subspace, n: float) -> float:
    """The risk of PCA with many images: floor + sigma^2 ambient / n.

    Error against ``pca_equivalent``, in multiples of the knee of the early-stopped risk: 19 % from 2, 7 % from 4, 4 %
    from 10 on.
    """
    return model.floor + model.sigma**2 * model.ambient / _size(n)


def power_law_population(exponent: float, pixels: int, sigma: float = 0.0, scale: float = 1.0) -> Population:
    """Denoising with a power-law spectrum as a regression; risks are totals over the pixels.

    Args:
        exponent: of the variances, above 0.
        pixels: number of directions; above ``EXACT`` they are binned.
        sigma: standard deviation of the noise in each pixel.
        scale: variance of the first direction, above 0.

    Raises:
        UserError: a number is out of range.
    """
    exponent, scale = check_real("exponent", exponent, open_end=True), check_real("scale", scale, open_end=True)
    pixels, power = check_int("pixels", pixels, 1, LARGEST), check_real("sigma", sigma) ** 2
    counts, shares = _binned(exponent, pixels)
    clean = scale * shares
    noisy = clean + power
    return Population(noisy, counts, counts * (clean / noisy) ** 2, float((counts * clean * power / noisy).sum()))


def _binned(exponent: float, pixels: int) -> tuple[Floats, Floats]:
    """Numbers of directions, and the mean of j^-exponent over them (midpoint rule: off by < 1e-5)."""
    if pixels <= EXACT:
        return np.ones(pixels), np.arange(1, pixels + 1.0) ** -exponent
    ends = np.unique(np.round(np.geomspace(SINGLY, pixels + 1, BINS)))
    counts, low, high = np.diff(ends), ends[:-1] - 0.5, ends[1:] - 0.5
    if exponent == 1:
        total = np.log(high / low)
    else:
        total = (low ** (1 - exponent) - high ** (1 - exponent)) / (exponent - 1)
    first = np.arange(1, SINGLY * 1.0) ** -exponent
    return np.append(np.ones(len(first)), counts), np.append(first, total / counts)


def power_law_risk(exponent: float, n: float, pixels: int, sigma: float = 0.0, scale: float = 1.0) -> float:
    """The converged risk (a total) with up to a third as many images as pixels, sums over j taken as integrals.

    Without noise and with many pixels it is scale C^a n (n + 1/2)^-a, C = (pi / a) / sin(pi / a), a the exponent: a
    power law. In general, with q = sigma^2 / w and the sums over p_j = l_j / (l_j + w)
    D = scale^(1/a) C w^(-1/a) - 1/2 - scale pixels^(1-a) / ((a - 1) w) of p_j and
    E = scale^(1/a) C (1 - 1/a) w^(-1/a) - 1/2 of p_j^2, w solves pixels q + (1 - q) D = n, and the risk is
    w (D - (1 - q) E) / (1 - (pixels q^2 + 2 q (1 - q) D + (1 - q)^2 E) / n).

    Against the equivalent at 10^5 pixels, exponents 1.5, 2 and 3, sigma^2 of 0, 1e-7 and 1e-5: 0.1 % from n = 10 to
    10,000, 1.9 % at n = 3, 2.4 % at 30,000. The early-stopped risk is the same to 0.4 % up to n = 10,000 and with noise
    up to 14 % lower at 30,000.

    Raises:
        UserError: the exponent is not above 1, ``n`` is above a third of the pixels, or a number is out of range.
    """
    a, n, power, scale = _checked(exponent, n, sigma, scale)
    if n > (pixels := check_int("pixels", pixels, 1, LARGEST)) / 3:
        raise UserError("n", f"found {n:g}", f"at most a third of the pixels ({pixels / 3:g}); use Equivalent beyond")
    amount, tail = float(scale ** (1 / a)) * _constant(a), scale * float(pixels) ** (1 - a) / (a - 1)

    def sums(w: float) -> tuple[float, float]:
        main = amount * w ** (-1 / a)
        return main - 0.5 - tail / w, main * (1 - 1 / a) - 0.5

    def images(log: float) -> float:
        w = math.exp(log)
        return pixels * power / w + (1 - power / w) * sums(w)[0] - n

    low = max((a * tail / amount) ** (a / (a - 1)), power)
    high = 2**a * max(pixels * power / (n + 0.5), (amount / (n + 0.5)) ** a)
    w = math.exp(brentq(images, math.log(low), math.log(high), xtol=1e-14))
    (first, second), q = sums(w), power / w
    spread = pixels * q**2 + 2 * q * (1 - q) * first + (1 - q) ** 2 * second
    return w * (first - (1 - q) * second) / (1 - spread / n)


def _checked(exponent: float, n: float, sigma: float, scale: float) -> tuple[float, float, float, float]:
    a = check_real("exponent", exponent, 1.0, open_end=True)
    return a, check_real("n", n, 1.0), check_real("sigma", sigma) ** 2, check_real("scale", scale, open_end=True)


def _constant(a: float) -> float:
    """C = (pi / a) / sin(pi / a), the integral of 1 / (1 + x^a)."""
    return math.pi / a / math.sin(math.pi / a)


def _size(n: float) -> float:
    if (n := check_real("n", n, 1.0)) > LARGEST:
        raise UserError("n", f"found {n:g}", f"at most {LARGEST:.0e} is expected")
    return n
