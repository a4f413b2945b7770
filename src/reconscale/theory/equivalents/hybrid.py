"""A few signal directions simulated exactly, the many noise directions in the limit.

With few signal directions and n near their number the smallest of ``dim`` signal variances makes the risk, and it
is a random one. So the spectrum of the signal block is drawn (Wishart), and only the noise block is replaced by its
limit, given the signal block (an information-plus-noise model; Dozier and Silverstein 2007, Hachem, Loubaton and
Najim 2007; derived in ``docs/explanation/theory.md``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.optimize import brentq

from reconscale.arrays import Array, Complex, Floats
from reconscale.errors import UserError, check_int, suggest
from reconscale.theory.equivalents.contour import Ellipse, boundary, check_known, ellipse, residual_on, shape_for, solve
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.filters import Converged, Descent, Filter, Flow, Ridge, best_descent
from reconscale.theory.path import check_stable, stable_step
from reconscale.theory.subspace import LARGEST, Subspace

DIGITS = 11.0
"""Accuracy of the contour integrals."""


@dataclass(frozen=True, eq=False)
class NoiseLaw:
    """z(k) = k - g sigma^2 / (1 + sigma^2 S(k)), g = (ambient - dim) / n, S(k) = ((n - q) / k + sum 1 / (p + k)) / n.

    Attributes:
        signal: (q,) positive eigenvalues p of P P^T / n, P the signal rows of Y; q = min(dim, n).
        n: number of images.
        power: sigma^2.
        rest: number of noise directions, ambient - dim.
    """

    signal: Floats
    n: int
    power: float
    rest: int

    @property
    def _null(self) -> float:
        return self.power * (self.n - len(self.signal)) / self.n

    @property
    def _short(self) -> float:
        return self._null - self.power * self.rest / self.n

    @cached_property
    def zero(self) -> float:
        """The last root of z(k) = 0."""
        if self._short >= 0:
            return 0.0

        def value(log: float) -> float:
            k = math.exp(log)
            return self._short + k + self.power * float((k / (self.signal + k)).sum()) / self.n

        return math.exp(brentq(value, math.log(-self._short) - 60, math.log(-self._short), xtol=1e-15, rtol=1e-14))

    @property
    def lift(self) -> float:
        """The factor g sigma^2."""
        return self.power * self.rest / self.n

    def s(self, k: Array) -> Array:
        """S(k), the limit of the trace of (Y^T Y / n + z)^-1 / n."""
        return np.asarray(((self.n - len(self.signal)) / k + (1 / (self.signal + k[:, None])).sum(-1)) / self.n)

    def _grown(self, k: Array) -> Array:
        return np.asarray(k + self.power / self.n * (k[:, None] / (self.signal + k[:, None])).sum(-1))

    def z(self, k: Array) -> Array:
        """Written so that nothing cancels where n is close to the rank."""
        grown = self._grown(k)
        return np.asarray(k * (self._short + grown) / (self._null + grown))

    def slope(self, k: Array) -> Array:
        """dz/dk."""
        spread = self.n - len(self.signal) + ((k[:, None] / (self.signal + k[:, None])) ** 2).sum(-1)
        return np.asarray(1 - self.lift * self.power * spread / self.n / (self._null + self._grown(k)) ** 2)

    @cached_property
    def edges(self) -> tuple[float, float]:
        """Smallest and largest value, 0 aside, of the limiting spectrum: dz/dk = 0."""
        least, most = float(self.signal.min()), float(self.signal.max())

        def rising(k: float, sign: int) -> bool:
            """Whether k lies beyond the outermost turning point of z, and beyond its outermost pole."""
            at = np.array([k])
            beyond = sign * (1 + self.power * self.s(at)[0]) > 0
            return bool(beyond and self.slope(at)[0] > 0)

        far = 2 * (most + self.power * (1 + math.sqrt(self.rest / self.n)) ** 2 + self.lift)
        high = -most - boundary(lambda e: rising(-most - e, 1), far, 1e-14 * most)
        if self._short >= 0:  # down from 0, between a pole of S and a root of 1 + sigma^2 S
            start = 1e-9 * min(least, max(self._short, 1e-9 * self.power))
            low = -boundary(lambda e: rising(-e, -1), start, least)
        else:
            base = 0.0 if self._null > 0 else -least
            low = base + boundary(lambda e: rising(base + e, 1), self.zero - base, 1e-14 * (self.zero - base))
        ends = -self.z(np.array([low, high]))
        return max(float(ends[0]), 0.0), float(ends[1])


class _Sums(NamedTuple):
    """Of a gain g(x): sums over the spectrum that make up the risk; (q,) but for the last.

    Attributes:
        gain: F of g, in each signal direction.
        square: F of g^2.
        moved: F of g^2 x.
        trace: T of g^2 x.
    """

    gain: Floats
    square: Floats
    moved: Floats
    trace: float


class _Nodes(NamedTuple):
    """Nodes of a contour, and what a function f is summed with: F = signal @ f, T = trace @ f, real parts."""

    x: Complex
    signal: Complex
    trace: Complex


@dataclass(frozen=True, eq=False)
class Hybrid:
    """The expected risk given the spectrum of the signal block, the noise block in its limit.

    Works like a path: ``risk`` and ``extent``. Where there is no noise block (sigma = 0, dim = ambient) it is exact.

    Attributes:
        model: the subspace model.
        n: number of training images.
        signal: (min(dim, n),) eigenvalues of the sample covariance of the signal rows; see ``draw_hybrid``.
    """

    model: Subspace
    n: int
    signal: Floats
    _cache: dict[Ellipse, _Nodes] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _law(self) -> NoiseLaw | None:
        rest, power = self.model.ambient - self.model.dim, self.model.sigma**2
        return NoiseLaw(self.signal, self.n, power, rest) if rest and power else None

    @property
    def extent(self) -> tuple[float, float]:
        """Smallest and largest variance that filters act on."""
        if self._law is None:
            return float(self.signal.min()), float(self.signal.max())
        low, high = self._law.edges
        return max(low, self.model.sigma**2 / (4 * self.model.ambient**2)), high

    def risk(self, filter_: Filter) -> float:
        """The risk per direction of the subspace.

        Raises:
            UserError: a descent diverges; the contour failed (never a wrong number); the filter is not one of
                Converged, Descent, Flow, Ridge.
        """
        if isinstance(filter_, Descent):
            check_stable(filter_, self.extent[1])
        if not isinstance(filter_, Converged | Descent | Flow | Ridge):
            raise UserError("filter", f"found {type(filter_).__name__}", "known here: Converged, Descent, Flow, Ridge")
        if self._law is None:
            gain = filter_.gain(self.signal)
            moved = (gain * self.signal) ** 2
            sums = _Sums(gain * self.signal, gain**2 * self.signal, moved, float(moved @ (1 / self.signal)) / self.n)
        elif isinstance(filter_, Converged):
            if self.n == self.model.ambient:
                return math.inf
            sums = _converged(self._law)
        else:
            sums = self._filtered(self._law, filter_)
        return self._assembled(sums)

    def _assembled(self, sums: _Sums) -> float:
        model, power, n = self.model, self.model.sigma**2, self.n
        bias = (((sums.gain - 1) ** 2).sum() + model.dim - len(self.signal)) / (1 + power)
        leak = power * (sums.moved - sums.gain**2).sum() / (1 + power) ** 2
        noise = model.floor * model.dim / n * (sums.square.sum() + power * n * sums.trace)
        return model.floor + max(float(bias + leak + noise), 0.0) / model.dim

    def _filtered(self, law: NoiseLaw, filter_: Descent | Flow | Ridge) -> _Sums:
        low, high = law.edges
        shape = shape_for(filter_, 0.0 if self.n == self.model.ambient else low, high)
        if shape not in self._cache:
            self._cache[shape] = _nodes(law, shape)
        nodes = self._cache[shape]
        gain = _gain_on(nodes.x, filter_, shape.low)
        moved = gain**2 * nodes.x
        signal = 2 * np.real(nodes.signal @ np.stack([gain, gain**2, moved], axis=1))
        return _Sums(signal[:, 0], signal[:, 1], signal[:, 2], float(2 * np.real(nodes.trace @ moved)))


def draw_hybrid(model: Subspace, n: int, rng: np.random.Generator) -> Hybrid:
    """Draw the spectrum of the signal block: (1 + sigma^2) / n times a Wishart matrix of ``dim`` rows.

    Raises:
        UserError: ``n`` is not a whole number from 1 to 10^12.
    """
    n, dim = check_int("n", n, 1, LARGEST), model.dim
    if n <= 2 * dim:
        root = rng.standard_normal((dim, n))
    else:
        root = np.tril(rng.standard_normal((dim, dim)), -1)
        root[np.diag_indices(dim)] = np.sqrt(rng.chisquare(n - np.arange(dim)))
    size = np.linalg.svd(root, compute_uv=False)
    return Hybrid(model, n, np.asarray((1 + model.sigma**2) / n * size**2, dtype=float))


class Mean(NamedTuple):
    """A mean over draws.

    Attributes:
        risk: the mean.
        error: its standard error.
    """

    risk: float
    error: float


def hybrid_mean(model: Subspace, n: int, draws: int = 200, seed: int = 0, *, converged: bool = False) -> Mean:
    """The mean risk over draws of the signal block, each at its own best number of steps of the paper's descent.

    Args:
        model: the subspace model.
        n: number of training images.
        draws: how many, 2 or more.
        seed: of the random numbers.
        converged: the end of gradient descent instead of its best point.

    Raises:
        UserError: a number is out of range.
    """
    draws, rng, step = check_int("draws", draws, 2), np.random.default_rng(seed), model.step(n)
    risks = []
    for _ in range(draws):
        hybrid = draw_hybrid(model, n, rng)
        risks.append(hybrid.risk(Converged()) if converged else best_descent(hybrid, step).risk)
    if not np.isfinite(risks).all():
        return Mean(math.inf, math.nan)
    return Mean(float(np.mean(risks)), float(np.std(risks, ddof=1) / math.sqrt(draws)))


def _nodes(law: NoiseLaw, shape: Ellipse) -> _Nodes:
    curve = ellipse(shape, DIGITS)
    k = solve(law, -curve.x)
    nodes = _Nodes(curve.x, curve.weight * law.signal[:, None] / (law.signal[:, None] + k), curve.weight * law.s(k))
    check_known(2 * np.real(nodes.signal.sum(1)) / shape.high, law.signal / shape.high)
    total = (law.signal.sum() + law.power * law.rest) / law.n
    check_known(2 * np.real(nodes.trace @ nodes.x) / total, 1.0)
    return nodes


def _gain_on(x: Complex, filter_: Descent | Flow | Ridge, low: float) -> Complex:
    if isinstance(filter_, Ridge):
        return 1 / (x + filter_.penalty)
    return (1 - residual_on(x, filter_, low)) / x


def _converged(law: NoiseLaw) -> _Sums:
    """The gain 1 / x, summed over the spectrum without 0: values and derivatives at z = 0."""
    k, p, n = law.zero, law.signal, law.n
    at = np.array([max(k, np.finfo(float).tiny)])
    square = p / (p + k) ** 2 / float(law.slope(at)[0])
    if k > 0:
        return _Sums(p / (p + k), square, p / (p + k), float(law.s(at)[0]))
    inverse = float((1 / p).sum()) / n
    trace = inverse + (1 + law.power * inverse) * law.rest / law.power / (n - law.rest - len(p))
    return _Sums(np.ones(len(p)), square, np.ones(len(p)), trace)


Estimator = Literal["early-stopped", "converged", "pca"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)

FEW = 20
"""Below this many signal directions the hybrid is taken, for n from dim / 2 to 4 dim."""


class Expected(NamedTuple):
    """An expected risk, per direction of the subspace.

    Attributes:
        risk: the expectation.
        error: standard error of what was drawn for it; 0 where nothing was.
        method: "exact", "limit" or "hybrid".
    """

    risk: float
    error: float
    method: str


def expected_risk(model: Subspace, n: int, estimator: Estimator, draws: int = 200, seed: int = 0) -> Expected:
    """The expected risk of an estimator learned from n images, without simulating training sets.

    Against simulated means of the paper's eight settings (``benchmarks/theory_equivalents.py regions``), early-stopped
    and converged: 0.5 % for n >= ambient (converged: exact); 2 % from the knee to ambient, the converged risk of few
    dimensions 6 %; 3 % for dim of 50 and 100 at any n. With dim 10 the limit is 2 to 25 % too low around n = dim; the
    hybrid, taken there, is 1 % too low (3,000 draws), which its standard error of 1 to 5 % with the usual ``draws``
    hides, but just beyond 4 dim, where the limit takes over, it can be 6 % too low. PCA is always the limit's:
    3 % too low, with dim 10 and n from 8 to 30 up to 13 %.

    Args:
        model: the subspace model.
        n: number of training images.
        estimator: "early-stopped" (the paper's descent at its best step, 5,000 at most), "converged" or "pca".
        draws: of the signal block, where the hybrid is used.
        seed: of these.

    Raises:
        UserError: a number is out of range, or the estimator is none of these.
    """
    n = check_int("n", n, 1, LARGEST)
    if estimator not in ESTIMATORS:
        raise UserError("estimator", f"found {estimator!r}", suggest(str(estimator), ESTIMATORS))
    if estimator == "pca":
        return Expected(pca_equivalent(model, n), 0.0, "limit")
    equivalent = Equivalent(model.population, n)
    if estimator == "converged" and n >= equivalent.population.measurements - 1:
        return Expected(equivalent.risk(Converged()), 0.0, "exact")
    if model.dim < FEW and model.dim / 2 <= n <= 4 * model.dim:
        return Expected(*hybrid_mean(model, n, draws, seed, converged=estimator == "converged"), "hybrid")
    if estimator == "converged":
        return Expected(equivalent.risk(Converged()), 0.0, "limit")
    return Expected(best_descent(equivalent, stable_step(model.step(n), equivalent.extent[1])).risk, 0.0, "limit")
