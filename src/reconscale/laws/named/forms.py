"""The laws, and the one fitter that all of them use.

A law is a curve through log n. Everything that enters linearly (a level, a slope) is eliminated in closed form;
what remains (an exponent, the share of a floor, the place of a break) lives in the unit cube, is laid out on a
grid and refined from there, for all bootstrap draws at once. No step is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]

LOG_LIMIT = 690.0
"""Log errors are kept within this bound, so that their exponential is a number."""
STEEPEST = 5.0
"""The largest exponent, of either sign, that a power law may have."""


class Law(Protocol):
    """What a law must offer; ``LAWS["mine"] = MyLaw()`` adds one."""

    @property
    def name(self) -> str:
        """The key in :data:`LAWS`."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the P parameters, in the order of the last axis of ``theta``."""

    @property
    def of(self) -> str:
        """The working scale u of the fit: ``error`` for u = ln(error), ``metric`` for u = log10(metric)."""

    @property
    def least(self) -> int:
        """Distinct n that the law needs."""

    @property
    def curved(self) -> int:
        """Number of coordinates in the unit cube (Q)."""

    def window(self, count: int) -> slice:
        """Which of ``count`` ascending levels the law is fitted to."""

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """At x = ln n (K,) and t (..., Q): the known part of u (..., K) and the linear columns (..., K, J)."""

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """The named parameters (..., P) from t (..., Q) and the linear coefficients (..., J)."""

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """The values u (..., N) at x = ln n (N,) for theta (..., P)."""


@dataclass(frozen=True)
class Power:
    """error = b n^-c; c above 0 means that the error falls. With ``tail`` through the last third of the sizes only."""

    name: str = "power"
    tail: bool = False
    parameters: tuple[str, ...] = ("b", "c")
    of: str = "error"
    least: int = 2
    curved: int = 0

    def window(self, count: int) -> slice:
        """All levels, or the last third of them (at least three)."""
        return slice(max(0, count - max(3, -(-count // 3))) if self.tail else 0, count)

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level and a slope about the last size."""
        away = np.broadcast_to(x - x[-1], (*t.shape[:-1], len(x)))
        return np.zeros_like(away), np.stack([np.ones_like(away), away], axis=-1)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:  # noqa: ARG002
        """(..., 2): b and c."""
        c = np.clip(-linear[..., 1], -STEEPEST, STEEPEST)
        return np.stack([np.exp(bounded(linear[..., 0] + c * x[-1])), c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(b) - c ln(n)."""
        b, c = _split(theta)
        return bounded(np.log(b) - c * np.asarray(x))


@dataclass(frozen=True)
class PowerFloor:
    """error = a + b n^-c with a floor a >= 0 that no amount of data goes below, and c from 0.02 to 4.

    This is the shape of the paper's theorem on early-stopped gradient descent: an irreducible part plus a part
    that falls with the number of training examples.
    """

    name: str = "power+floor"
    parameters: tuple[str, ...] = ("a", "b", "c")
    of: str = "error"
    least: int = 3
    curved: int = 2

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, t: Floats) -> tuple[Floats, Floats]:
        share = (1.0 - 1e-9) * np.sin(0.5 * np.pi * t[..., 1:2]) ** 2
        return 0.02 * 200.0 ** t[..., 0:1], share

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """ln(share + (1 - share) (n / m)^-c), share being the floor's part of the error at mid size m; a level."""
        c, share = self._shape(t)
        known = np.log(share + (1.0 - share) * np.exp(-c * (x - 0.5 * (x[0] + x[-1]))))
        return known, np.ones((*known.shape, 1))

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 3): a, b and c."""
        c, share = self._shape(t)
        level = np.exp(bounded(linear))
        falling = np.exp(bounded(linear + np.log(1.0 - share) + c * 0.5 * (x[0] + x[-1])))
        return np.concatenate([share * level, falling, c], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(a + b n^-c)."""
        a, b, c = _split(theta)
        with np.errstate(divide="ignore"):
            return bounded(np.logaddexp(np.log(a), np.log(b) - c * np.asarray(x)))


@dataclass(frozen=True)
class Paper:
    """The paper's law: log10(metric) against log10(n) is two straight lines that meet at a break.

    ``alpha1`` and ``alpha2`` are the signed exponents below and above the break, ``value`` is the metric at the
    break. The break is found by its profile, with at least two sizes on either side (the break
    itself may be one).
    Source: Scaling Laws for Deep Learning Based Image Reconstruction, where the metric is PSNR in dB or SSIM and
    the two intervals are chosen by hand.
    """

    name: str = "paper"
    parameters: tuple[str, ...] = ("break", "value", "alpha1", "alpha2")
    of: str = "metric"
    least: int = 4
    curved: int = 1

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _break(self, x: Floats, t: Floats) -> Floats:
        return np.asarray(x[1] + t[..., 0:1] * (x[-2] - x[1]))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level, a slope, and a change of slope at the break; lengths in units of the range of ln n."""
        away = (x - self._break(x, t)) / (x[-1] - x[0])
        return np.zeros_like(away), np.stack([np.ones_like(away), away, np.maximum(away, 0.0)], axis=-1)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 4): break, value, alpha1 and alpha2."""
        slopes = np.cumsum(linear[..., 1:], axis=-1) * np.log(10.0) / (x[-1] - x[0])
        level = 10.0 ** np.clip(linear[..., :1], -290.0, 290.0)
        return np.concatenate([np.exp(self._break(x, t)), level, slopes], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """log10(value) + alpha log10(n / break)."""
        place, value, below, above = _split(theta)
        decades = (np.asarray(x) - np.log(place)) / np.log(10.0)
        u = np.log10(value) + np.where(decades < 0, below, above) * decades
        return np.asarray(np.clip(u, -290.0, 290.0))


@dataclass(frozen=True)
class Last:
    """error = b, the mean at the largest n: what one forecasts who believes that nothing will change."""

    name: str = "last value"
    parameters: tuple[str, ...] = ("b",)
    of: str = "error"
    least: int = 1
    curved: int = 0

    def window(self, count: int) -> slice:
        """The last level."""
        return slice(count - 1, count)

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level."""
        known = np.zeros((*t.shape[:-1], len(x)))
        return known, np.ones((*known.shape, 1))

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:  # noqa: ARG002
        """(..., 1): b."""
        return np.exp(bounded(linear))

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(b), whatever n."""
        (b,) = _split(theta)
        return bounded(np.log(b) + np.zeros_like(np.asarray(x, dtype=np.float64)))


LAWS: dict[str, Law] = {"power": Power(), "power+floor": PowerFloor(), "paper": Paper()}
"""The laws by name."""

NAIVE: dict[str, Law] = {"last value": Last(), "line": Power(name="line", tail=True)}
"""What needs no theory: the last value, and the straight line in log-log through the last third of the sizes."""


def evaluate(law: Law, n: ArrayLike, theta: ArrayLike) -> Floats:
    """The law's own quantity, error or metric, at n (N,) for parameters (..., P); shape (..., N).

    Raises:
        Mistake: some n is not a number above 0.
    """
    u = law.working(np.log(checked_sizes(n)), theta)
    return np.asarray(np.exp(u) if law.of == "error" else 10.0**u)


def checked_sizes(n: ArrayLike) -> Floats:
    """The sizes n as floats (N,); a single number gives N = 1.

    Raises:
        Mistake: some n is not a finite number above 0.
    """
    sizes = np.atleast_1d(np.asarray(n, dtype=np.float64))
    bad = ~(np.isfinite(sizes) & (sizes > 0))
    if sizes.ndim != 1 or not sizes.size or bad.any():
        found = f"found {sizes[bad][0]:g}" if bad.any() else f"found shape {sizes.shape}"
        raise Mistake("n", found, "one or more finite numbers above 0 are expected")
    return sizes


def solve(law: Law, x: Floats, u: Floats, weight: Floats, starts: int = 1) -> tuple[Floats, Floats]:
    """Weighted least squares of ``law`` for D data sets at once.

    Args:
        law: the law.
        x: (K,) ascending distinct ln n.
        u: (D, K) values in the law's working scale.
        weight: (K,) inverse variances of u.
        starts: how many of the best grid nodes to descend from, for each data set.

    Returns:
        theta (D, P) and the weighted residual sum of squares (D,).
    """
    part = law.window(len(x))
    x, u, weight = x[part], u[:, part], weight[part] / weight[part].mean()
    if not law.curved:
        t = np.zeros((len(u), 0))
    else:
        many = np.repeat(u, starts, axis=0)
        t = _refine(law, x, many, weight, _best_nodes(law, x, u, weight, starts))
        t = _descend(law, x, many, weight, t, 0.0 if starts > 1 else 1e-6)
        rss = _project(law, x, many, weight, t)[1].reshape(len(u), starts)
        t = t.reshape(len(u), starts, -1)[np.arange(len(u)), rss.argmin(1)]
    linear, rss, _ = _project(law, x, u, weight, t)
    return law.theta(x, t, linear), rss


def bounded(u: Floats) -> Floats:
    """Log errors whose exponential is a number above 0."""
    return np.clip(u, -LOG_LIMIT, LOG_LIMIT)


def _split(theta: ArrayLike) -> list[Floats]:
    values = np.asarray(theta, dtype=np.float64)
    return [values[..., index : index + 1] for index in range(values.shape[-1])]


def _project(law: Law, x: Floats, u: Floats, weight: Floats, t: Floats) -> tuple[Floats, Floats, Floats]:
    """For t (..., Q) and u (..., K): linear coefficients (..., J), sum of squares (...), residuals (..., K)."""
    known, columns = law.terms(x, t)
    target = u - known
    weighted = columns * weight[:, None]
    normal = np.swapaxes(weighted, -1, -2) @ columns
    normal += 1e-13 * np.trace(normal, axis1=-2, axis2=-1)[..., None, None] * np.eye(normal.shape[-1])
    linear = np.linalg.solve(normal, np.swapaxes(weighted, -1, -2) @ target[..., None])[..., 0]
    residual = np.sqrt(weight) * (target - (columns @ linear[..., None])[..., 0])
    return np.asarray(linear), np.asarray((residual**2).sum(-1)), np.asarray(residual)


def _best_nodes(law: Law, x: Floats, u: Floats, weight: Floats, keep: int) -> Floats:
    """The ``keep`` best grid nodes of each data set, (D * keep, Q)."""
    axis = (np.arange(24) + 0.5) / 24 if law.curved > 1 else np.linspace(0.0, 1.0, 49)
    nodes = np.array(list(product(axis, repeat=law.curved)))
    known, columns = law.terms(x, nodes)
    root = np.sqrt(weight)
    basis = np.linalg.qr(columns * root[:, None])[0]
    target, known = (u - u.mean(1, keepdims=True)) * root, known * root
    rss = (known**2).sum(1) - 2.0 * target @ known.T
    for j in range(basis.shape[-1]):
        rss -= (target @ basis[..., j].T - (known * basis[..., j]).sum(1)) ** 2
    best = np.argsort(rss, axis=1, kind="stable")[:, :keep]
    return np.asarray(nodes[best.ravel()])


def _refine(law: Law, x: Floats, u: Floats, weight: Floats, t: Floats) -> Floats:
    """Move each row of t to its best neighbour, and halve its step where it is the best itself."""
    moves = np.array(list(product((0.0, -1.0, 1.0), repeat=law.curved)))
    step = np.full((len(t), 1, 1), 0.02)
    for _ in range(6):
        around = np.clip(t[:, None, :] + step * moves, 0.0, 1.0)
        best = _project(law, x, u[:, None, :], weight, around)[1].argmin(1)
        t = np.asarray(around[np.arange(len(t)), best])
        step[best == 0] /= 2.0
    return t


def _descend(law: Law, x: Floats, u: Floats, weight: Floats, t: Floats, enough: float) -> Floats:
    """Levenberg-Marquardt on the projected residuals, each row of t (D, Q) with its own damping, in the unit cube.

    It stops after 40 rounds, or when no row gains more than the part ``enough`` of its sum of squares.
    """
    _, rss, residual = _project(law, x, u, weight, t)
    damping = np.full((len(t), 1, 1), 1e-3)
    inward = 1e-6 * np.eye(law.curved)
    for _ in range(40):
        moves = np.where(t[:, None, :] > 0.5, -inward, inward)
        beside = _project(law, x, u[:, None, :], weight, t[:, None, :] + moves)[2]
        slope = (beside - residual[:, None, :]) / moves.sum(-1)[..., None]
        normal = slope @ np.swapaxes(slope, -1, -2)
        scale = np.einsum("dqq->dq", normal)[..., None] * np.eye(law.curved) * damping
        scale += (1e-12 * np.trace(normal, axis1=1, axis2=2) + 1e-300)[:, None, None] * np.eye(law.curved)
        step = np.linalg.solve(normal + scale, slope @ residual[..., None])[..., 0]
        there = np.clip(t - step, 0.0, 1.0)
        _, new_rss, new_residual = _project(law, x, u, weight, there)
        better = new_rss < rss
        gains = rss - new_rss > enough * rss
        t = np.where(better[:, None], there, t)
        rss, residual = np.where(better, new_rss, rss), np.where(better[:, None], new_residual, residual)
        damping = np.where(better[:, None, None], damping / 10.0, damping * 10.0)
        if not gains.any() and (enough or float(damping.min()) > 1e6):
            break
    return t
