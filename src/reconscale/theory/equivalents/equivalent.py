"""The risk of a linear estimator learned from n images, in the limit of many dimensions.

The images' number and the dimensions grow together; what is left is a function of the population alone. Formulas:
one- and two-point equivalents of sample-covariance resolvents (Hachem, Loubaton and Najim 2007; for ridge regression
Dobriban and Wager 2018, Hastie, Montanari, Rosset and Tibshirani 2022), put together for any filter by Cauchy's
formula; derived in ``docs/explanation/theory.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.optimize import brentq

from reconscale.arrays import Array, Complex, Floats
from reconscale.errors import UserError, check_real
from reconscale.theory.equivalents.contour import Ellipse, boundary, check_known, ellipse, residual_on, shape_for, solve
from reconscale.theory.filters import Converged, Descent, Filter, Flow, Ridge
from reconscale.theory.path import check_stable
from reconscale.theory.subspace import Population

MOST_LEVELS = 1000
"""Populations of more distinct variances are binned."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Distinct variances s_j in rising order with what belongs to them; all (L,).

    Attributes:
        variance: s_j.
        count: number of directions m_j.
        signal: b_j, sum of ||V u||^2 over them.
        leverage: m_j, or that of the population where it has one.
    """

    variance: Floats
    count: Floats
    signal: Floats
    leverage: Floats


def levels_of(population: Population, most: int = MOST_LEVELS) -> Levels:
    """Merge equal variances, and all within a bin of the logarithm where more than ``most`` are distinct.

    A bin keeps the number of its directions, their total variance, signal power and noise. At a thousand bins over
    12 decades a bin is 3 % wide; what that does to the risk is second order in it (below 1e-4 of the risk on
    power-law spectra; ``benchmarks/theory_equivalents.py`` measures it).
    """
    order = np.argsort(population.variances)
    variance, count, signal = (a[order] for a in (population.variances, population.counts, population.signal))
    leverage = count if population.leverage is None else population.leverage[order]
    new = np.diff(variance, prepend=-1.0) != 0
    if new.sum() > most:
        log = np.log(variance)
        bins = np.floor((log - log[0]) / (log[-1] - log[0]) * most * (1 - 1e-12))
        new = np.diff(bins, prepend=-1.0) != 0
    label, first = np.cumsum(new) - 1, variance[new]
    if len(first) == len(variance):
        return Levels(variance, count, signal, leverage)

    def total(values: Floats) -> Floats:
        return np.asarray(np.bincount(label, values), dtype=np.float64)

    merged = total(count * variance) / total(count)
    return Levels(merged, total(count), total(signal * variance) / merged, total(leverage * variance) / merged)


SQUARE = 1e-6
"""|n / rank - 1| below which the spectrum is taken to reach down to 0."""


@dataclass(frozen=True, eq=False)
class SampleLaw:
    """z(k) = k (1 - df1(k) / n) of a population, df1(k) = sum m s / (s + k)."""

    levels: Levels
    n: float

    @property
    def rank(self) -> float:
        """Number of directions that vary."""
        return float(self.levels.count.sum())

    @cached_property
    def zero(self) -> float:
        """0 with enough images; else the implicit penalty k, at which df1(k) = n."""
        if self.n >= self.rank:
            return 0.0
        s = self.levels.variance
        high = math.log(s.max() * self.rank / self.n)
        low = math.log(s.min()) + math.log(self.rank / self.n - 1) - 1
        return math.exp(brentq(lambda log: self.z(np.array([math.exp(log)]))[0], low, high, xtol=1e-15, rtol=1e-14))

    @property
    def lift(self) -> float:
        """Sum m s / n."""
        return float(self.levels.count @ self.levels.variance) / self.n

    def z(self, k: Array) -> Array:
        """Written so that 1 - df1 / n keeps its digits where n is close to the rank, and where it is far below."""
        inverse = 1 / (self.levels.variance + k[:, None])
        if self.n < self.rank / 2:
            return np.asarray(k * (1 - inverse @ (self.levels.count * self.levels.variance) / self.n))
        return np.asarray(k * ((self.n - self.rank) / self.n + k * (inverse @ self.levels.count) / self.n))

    def acting(self, penalty: float) -> float:
        """The k > ``zero`` with z(k) = penalty, to full accuracy for penalties of any size."""
        s, zero = self.levels.variance, self.zero
        weight = self.levels.count * s / self.n * (s / (s + zero) if zero else 1.0)

        def missing(log: float) -> float:
            """z(zero + e) - z(zero) as e (1 - sum), nothing of the size of ``zero`` being subtracted."""
            e = math.exp(log)
            reached = self.z(np.array([e]))[0] if zero == 0 else e * (1 - float(weight @ (1 / (s + zero + e))))
            return float(reached / penalty - 1)

        low, high = math.log(penalty) - 1e-9, math.log(penalty + 2 * self.lift)
        return zero + math.exp(brentq(missing, low, high, xtol=1e-14))

    def slope(self, k: Array) -> Array:
        """1 - df2(k) / n, df2(k) = sum m s^2 / (s + k)^2."""
        return np.asarray(1 - (1 / (self.levels.variance + k[:, None])) ** 2 @ self._squared / self.n)

    @cached_property
    def _squared(self) -> Floats:
        return self.levels.count * self.levels.variance**2

    @cached_property
    def margins(self) -> tuple[float, float]:
        """How far the roots k of dz/dk = 0 lie left of -s_max and right of -s_min."""
        s = self.levels.variance

        def left(e: float) -> bool:
            return bool(self.slope(np.array([-s.max() - e]))[0] > 0)

        def right(e: float) -> bool:
            return bool(self.slope(np.array([-s.min() + e]))[0] > 0)

        far, near = s.max() * (1 + 2 * math.sqrt(self.rank / self.n)), self.zero + s.min()
        least = 1e-9 / math.sqrt(self.n)
        return boundary(left, far, least * s.max()), boundary(right, near, least * s.min())

    @cached_property
    def edges(self) -> tuple[float, float]:
        """Smallest and largest value, 0 aside, of the limiting spectrum of the sample covariance."""
        left, right = self.margins
        k = np.array([-self.levels.variance.min() + right, -self.levels.variance.max() - left])
        low, high = (float(x) for x in -self.z(k))
        return max(low, 0.0), high


@dataclass(frozen=True, eq=False)
class _Kernel:
    """The terms of the risk of any filter, at the nodes of one contour.

    Attributes:
        x: (J,) nodes; the last may be 0, the null space of the sample covariance.
        same: (J, J) of a pair of nodes in the same half-plane.
        other: (J, J) of a node and another's conjugate.
        noise: (J,).
    """

    x: Complex
    same: Complex
    other: Complex
    noise: Complex


@dataclass(frozen=True, eq=False)
class Equivalent:
    """The deterministic equivalent of the risk of linear estimators learned from n images.

    Setting it up costs a few milliseconds for two levels and tenths of a second for hundreds; each further filter a
    fraction of that.

    Attributes:
        population: the problem.
        n: number of training images, a real number of 1 or more.
        digits: accuracy of the contour integrals.

    Raises:
        UserError: ``n`` is out of range.

    >>> from reconscale.theory.subspace import Subspace
    >>> equivalent = Equivalent(Subspace(dim=50, ambient=1000, sigma=0.1).population, n=400)
    >>> round(equivalent.risk(Flow(4.0)), 5)
    0.01698
    """

    population: Population
    n: float
    digits: float = 13.0
    _kernels: dict[Ellipse, _Kernel] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", check_real("n", self.n, 1.0))

    @cached_property
    def law(self) -> SampleLaw:
        """The function z(k) of this population and n."""
        return SampleLaw(levels_of(self.population), self.n)

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance of the data: the ends of the limiting spectrum.

        Close to n = rank, where the limit is 0, the order of the smallest variance of a finite sample instead.
        """
        low, high = self.law.edges
        return max(low, float(self.law.levels.variance.min()) / (4 * self.law.rank**2)), high

    def risk(self, filter_: Filter) -> float:
        """The risk per output.

        Descent, Flow: the limit. Ridge: the limit, in closed form. Converged: the exact mean for Gaussian data
        with n > rank + 1, floor (n - 1) / (n - rank - 1) without leverage; infinite for |n - rank| <= 1 unless the
        floor is 0; the limit below, and exact there too for a single level.

        Raises:
            UserError: a descent diverges; the contour failed (never a wrong number); the filter is not one of these.
        """
        if isinstance(filter_, Converged):
            excess = self._converged()
        elif isinstance(filter_, Ridge):
            excess = self._ridge(filter_.penalty)
        elif isinstance(filter_, Descent | Flow):
            excess = self._filtered(filter_)
        else:
            raise UserError("filter", f"found {type(filter_).__name__}", "known here: Converged, Descent, Flow, Ridge")
        return (self.population.floor + excess) / self.population.outputs

    def _ridge(self, penalty: float) -> float:
        """Excess at z(k) = penalty: (k^2 sum b s / (s + k)^2 + floor sum h s^2 / (s + k)^2 / n) / (1 - df2 / n)."""
        return self._at(self.law.acting(penalty))

    def _at(self, k: float) -> float:
        level, law = self.law.levels, self.law
        bias = k * k * float(level.signal @ (level.variance / (level.variance + k) ** 2))
        noise = self.population.floor / self.n * float(level.leverage @ (level.variance / (level.variance + k)) ** 2)
        return (bias + noise) / float(law.slope(np.array([k]))[0])

    def _converged(self) -> float:
        law, n, rank, floor = self.law, self.n, self.law.rank, self.population.floor
        if abs(n - rank) <= 1 and floor > 0:
            return math.inf
        if n >= rank:
            return floor * float(law.levels.leverage.sum()) / (n - rank - 1) if floor > 0 else 0.0
        if len(law.levels.variance) == 1:
            bias = (1 - n / rank) * float(law.levels.signal @ law.levels.variance)
            return bias + floor * n * float(law.levels.leverage.sum()) / rank / (rank - n - 1) if floor else bias
        return self._at(law.zero)

    def _filtered(self, filter_: Descent | Flow) -> float:
        low, high = self.law.edges
        if isinstance(filter_, Descent):
            check_stable(filter_, high)
        if (filter_.k if isinstance(filter_, Descent) else filter_.time) == 0:
            return self.population.power * self.population.outputs - self.population.floor
        square = abs(self.n / self.law.rank - 1) < SQUARE
        shape = shape_for(filter_, 0.0 if square else low, high)
        if shape not in self._kernels:
            self._kernels[shape] = self._built(shape)
        kernel = self._kernels[shape]
        left = residual_on(kernel.x, filter_, shape.low)
        bias = 2 * np.real(left @ (kernel.same @ left + kernel.other @ left.conj()))
        inside = kernel.x != 0
        fitted = (1 - left[inside]) ** 2 / kernel.x[inside]
        noise = self.population.floor / self.n * 2 * np.real(kernel.noise[inside] @ fitted)
        return max(float(bias + noise), 0.0)

    def _built(self, shape: Ellipse) -> _Kernel:
        law, s, high = self.law, self.law.levels.variance, shape.high
        curve = ellipse(shape, self.digits)
        x, k = curve.x, solve(law, -curve.x)
        g = curve.weight * k / -x
        if (
            law.zero > 0 and not shape.shift
        ):  # the null space of the sample covariance: half a node, and half its conjugate
            x, k, g = np.append(x, 0), np.append(k, law.zero), np.append(g, law.zero / 2)
        each = 1 / (s + k[:, None])
        check_known(2 * np.real(g @ each), 1.0)
        check_known(2 * np.real((g * x) @ each) / high, s / high)
        pair, spread = each * (law.levels.signal * s), each * (law.levels.count * s**2 / self.n)

        def joined(partner: Complex, gain: Complex) -> Complex:
            return np.asarray(pair @ partner.T / (1 - spread @ partner.T) * g[:, None] * gain)

        noise = g * (each @ (law.levels.leverage * s))
        return _Kernel(x, joined(each, g), joined(each.conj(), g.conj()), noise)
