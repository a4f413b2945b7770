"""Functions of a random matrix by a contour around its limiting spectrum.

Let S be the sample covariance of n images. In the limit of many dimensions its resolvent (S + z)^-1 depends on z
through one number k alone, the root of an explicit increasing function z(k): a finite sample turns the penalty z
into the larger penalty k (Silverstein and Bai 1995; Hachem, Loubaton and Najim 2007). By Cauchy's
formula f(S) is then a sum of resolvents over nodes x = -z of a closed curve around the spectrum. The curve is an
ellipse in log x, so that a spectrum of d decades costs O(d) nodes per digit, and the sum converges geometrically.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from reconscale.arrays import Array, Complex, Floats
from reconscale.errors import UserError
from reconscale.theory.filters import Descent, Flow, Ridge

NARROWEST = 0.05
"""Least half-width, in log x, of what a contour encloses."""
MOST_NODES = 6000
"""On the whole curve."""
TURNS = (8, 32, 128, 512)
"""Number of arcs of the path of a root from the real axis to its node; more where fewer fail."""
MOST_TIGHTNESS = 40
"""Number of times that a contour is drawn tighter before a descent is refused."""
LONGEST = 1e30
"""Largest time times variance where the spectrum reaches down to 0."""
MOST_ERROR = 1e-8
"""Error of known integrals over a contour from which on nothing is returned."""
SOLVED = 1e-10
"""Relative change of the last Newton step that counts as solved."""


class SelfConsistent(Protocol):
    """An explicit function z(k), increasing right of its last root and mapping the upper half-plane to itself there.

    For every z off the real axis exactly one k in the same half-plane has z(k) = z; this is the certificate that
    ``solve`` asks for.
    """

    @property
    def zero(self) -> float:
        """The last root k >= 0 of z(k) = 0, above 0 where S is singular in its support."""

    @property
    def lift(self) -> float:
        """A bound of k - z on the real axis right of ``zero``."""

    def z(self, k: Array) -> Array:
        """The penalty that acts as k."""

    def slope(self, k: Array) -> Array:
        """dz/dk."""


def solve(law: SelfConsistent, z: Complex) -> Complex:
    """The roots k of z(k) = z that lie in the same half-plane as z.

    Each root is followed from the positive real axis along the circle |z|, all nodes at once, by Newton's method.

    Args:
        law: the function.
        z: (J,) off the real axis.

    Raises:
        UserError: a root was not found; never a wrong root.
    """
    start, k = _real_roots(law, np.abs(z)), np.full(len(z), np.nan + 0j)
    todo = np.arange(len(z))
    with np.errstate(all="ignore"):
        for turns in TURNS:
            k[todo] = _followed(law, z[todo], start[todo], turns)
            step = (law.z(k[todo]) - z[todo]) / law.slope(k[todo])
            good = (np.abs(step) <= SOLVED * np.abs(k[todo])) & (k[todo].imag * z[todo].imag > 0)
            if not len(todo := todo[~good]):
                return k
    raise UserError("deterministic equivalent", f"no self-consistent solution at {len(todo)} of {len(z)} nodes",
                  "merge nearly equal variances or drop the smallest ones")  # fmt: skip


def _real_roots(law: SelfConsistent, z: Floats) -> Floats:
    """Roots for z > 0 to a few digits: z(k) is convex, and between k - lift and k."""
    beyond = np.geomspace(z.min(), law.lift + z.max(), 200)
    with np.errstate(all="ignore"):
        values = np.maximum.accumulate(np.maximum(law.z(law.zero + beyond), np.finfo(float).tiny))
    k = law.zero + np.exp(np.interp(np.log(z), np.log(values), np.log(beyond)))
    with np.errstate(all="ignore"):
        for _ in range(2):
            k = np.maximum(k - (law.z(k) - z) / law.slope(k), law.zero + 0.5 * (k - law.zero))
    return np.asarray(k)


def _followed(law: SelfConsistent, z: Complex, k: Floats, turns: int) -> Complex:
    size, angle, root = np.abs(z), np.angle(z), k.astype(complex)
    for part in np.arange(1, turns + 1) / turns:
        at = size * np.exp(1j * angle * part) if part < 1 else z
        for _ in range(2 if part < 1 else 7):
            root = root - (law.z(root) - at) / law.slope(root)
    return root


def boundary(inside: Callable[[float], bool], good: float, bad: float, steps: int = 44) -> float:
    """The last point, from ``good`` towards ``bad`` (both above 0), that fulfils a condition; bisected in the log."""
    with np.errstate(all="ignore"):
        for _ in range(steps):
            middle = math.sqrt(good) * math.sqrt(bad)
            good, bad = (middle, bad) if inside(middle) else (good, middle)
    return good


class Ellipse(NamedTuple):
    """The ellipse of a contour.

    Attributes:
        low: lower end of the spectrum, 0 where it reaches down to 0.
        high: upper end.
        shift: the ellipse is one in log(x + shift); with 0 it leaves x = 0 out.
        tightness: 0, or more where a filter grows fast away from the spectrum.
    """

    low: float
    high: float
    shift: float
    tightness: int


@dataclass(frozen=True, eq=False)
class Contour:
    """The upper half of a closed curve: f(S) = sum 2 Re(weight f(x) (S - x)^-1).

    Attributes:
        x: (J,) nodes, imaginary part above 0.
        weight: (J,) quadrature weight / (-2 pi i).
    """

    x: Complex
    weight: Complex


def shape_for(filter_: Descent | Flow | Ridge, low: float, high: float) -> Ellipse:
    """The widest ellipse around the spectrum on which a filter stays bounded; few different ones for a family.

    Args:
        filter_: the filter, with a time or a number of steps above 0.
        low: lower end of the spectrum, 0 where it reaches down to 0.
        high: upper end.

    Raises:
        UserError: the spectrum reaches down to 0 and the filter all but converges.
    """
    shift = 0.0
    if low == 0:
        moved = max(_moved(filter_), 1 / high)
        if moved * high > LONGEST:
            raise UserError("time", f"found {moved:g}", "with as many images as directions the risk has no limit")
        shift = 0.25 * 10.0 ** (-4 * math.ceil(math.log10(moved) / 4))
    shape = Ellipse(low, high, shift, 0)
    return shape._replace(tightness=_tightness(shape, filter_.step)) if isinstance(filter_, Descent) else shape


@lru_cache(maxsize=64)
def _tightness(widest: Ellipse, step: float) -> int:
    """How tight an ellipse must be for |1 - step x| not to exceed 1, or 1 + step shift, on twice its width."""
    most = 1 + step * widest.shift * 1.01
    for tightness in range(MOST_TIGHTNESS):
        if np.abs(1 - step * _reach(widest._replace(tightness=tightness))).max() <= most:
            return tightness
    return MOST_TIGHTNESS


def _moved(filter_: Descent | Flow | Ridge) -> float:
    """The time of a filter."""
    if isinstance(filter_, Ridge):
        return 1 / filter_.penalty
    return filter_.time if isinstance(filter_, Flow) else filter_.step * filter_.k


def ellipse(shape: Ellipse, digits: float) -> Contour:
    """An ellipse in log(x + shift) around [low, high], half as wide as the filter allows.

    Args:
        shape: from ``shape_for``.
        digits: accuracy asked for.

    Raises:
        UserError: it would need too many nodes.
    """
    centre, half, outer = _axes(shape)
    if (needed := digits * math.log(10) / (outer / 2)) > MOST_NODES:
        raise UserError("deterministic equivalent", "the filter grows too fast just outside the spectrum",
                      "take a smaller step of gradient descent")  # fmt: skip
    nodes = 2 * math.ceil(needed / 2)
    t = (np.arange(nodes // 2) + 0.5) * 2 * np.pi / nodes
    across, up = half * math.cosh(outer / 2), half * math.sinh(outer / 2)
    grown = np.exp(centre + across * np.cos(t) + 1j * up * np.sin(t))
    weight = -grown * (-across * np.sin(t) + 1j * up * np.cos(t)) / (1j * nodes)
    return Contour(np.asarray(grown - shape.shift, dtype=complex), np.asarray(weight, dtype=complex))


def residual_on(x: Complex, filter_: Descent | Flow, low: float) -> Complex:
    """(J,) the filter's residual at nodes; a time beyond which e^(-time low) is 0 anyway is cut short."""
    if isinstance(filter_, Flow) and low > 0 and filter_.time * low > 1e4:
        filter_ = Flow(1e4 / low)
    with np.errstate(under="ignore"):
        return np.asarray(filter_.residual(x), dtype=complex)


def check_known(found: Floats, expected: Floats | float) -> None:
    """Compare integrals over a contour with what they are known to be.

    Raises:
        UserError: they differ by more than ``MOST_ERROR``.
    """
    error = float(np.abs(found - expected).max())
    if not error <= MOST_ERROR:
        raise UserError("deterministic equivalent", f"the contour is wrong by {error:.1g}",
                      "merge nearly equal variances or drop the smallest ones")  # fmt: skip


def _reach(shape: Ellipse) -> Complex:
    """(64,) points on the outermost curve up to which a filter must not grow for ``ellipse`` to keep its accuracy."""
    centre, half, outer = _axes(shape)
    t = np.linspace(0, np.pi, 64)
    across, up = half * math.cosh(outer), half * math.sinh(outer)
    return np.asarray(np.exp(centre + across * np.cos(t) + 1j * up * np.sin(t)) - shape.shift, dtype=complex)


def _axes(shape: Ellipse) -> tuple[float, float, float]:
    """Centre and half-width in log(x + shift), and the elliptic radius at which the angle of x + shift is pi/2."""
    left, right = math.log(shape.low + shape.shift), math.log(shape.high + shape.shift)
    half = max((right - left) / 2, NARROWEST)
    return (left + right) / 2, half, math.asinh(math.pi / 2 / half) * 0.8**shape.tightness
