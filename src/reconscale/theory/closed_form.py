"""Closed forms for the subspace model: the knee, and the risk on both sides.

Each docstring says where the form holds and how far it was off there against the deterministic equivalent
(``benchmarks/theory_equivalents.py`` prints these figures). Derivations: ``docs/explanation/theory.md``.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq

from reconscale.errors import UserError
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.filters import best_flow, check_int, check_real
from reconscale.theory.subspace import LARGEST, Subspace

SOONEST = 0.05
"""Least stopping time of ``stopping_time``."""


def knee(model: Subspace) -> float:
    """The n at which the early-stopped risk is about twice the floor: 2 dim + sigma (1 - sigma) ambient.

    From two limits of ``attenuation``: dim / (n - dim) = 1 without noise energy, and (sigma^2 ambient / n)^2 = sigma^2
    with it; interpolated. Against ``numeric_knee`` over 154 settings (dim 1 to 300, ambient 100 to 10^5): a factor of
    0.98 to 1.18 for sigma up to 0.3 (median 1.01), up to 1.35 for sigma 0.5 and 1.77 for 0.7.

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


def _size(n: float) -> float:
    if (n := check_real("n", n, 1.0)) > LARGEST:
        raise UserError("n", f"found {n:g}", f"at most {LARGEST:.0e} is expected")
    return n


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
    """Whether averages over runs of the converged risk say nothing: n within one of ``ambient``, with noise."""
    return model.sigma > 0 and abs(n - model.ambient) <= 1
