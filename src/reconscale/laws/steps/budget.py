"""L(n, p, steps), and the best p and steps for a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.points import METRICS
from reconscale.laws.steps.law import NO_RUN, StepsLaw
from reconscale.laws.surface.optimum import Draws

OverSteps = Callable[[NDArray[np.int64], Floats], Floats]

DRAWS = 1000
BEYOND = 2.0
"""Steps up to this multiple of the most measured at an n are considered: beyond it is a forecast of a forecast."""
RUNGS = 17
"""Networks that are tried, from the smallest to the largest measured."""
SIZES, FAR = 13, 4.0
"""Sizes that are tried where images have a price, from the smallest n to this multiple of the largest."""


@dataclass(frozen=True, eq=False)
class Allocation:
    """The best use of a budget.

    Attributes:
        budget: what is spent at most, in the unit of the pace.
        n: training-set size.
        p: parameters at which the mean of ln(error) over the draws is least, or None where one network was measured.
        steps: optimisation steps of it; less than the budget allows where more are beyond what is forecast.
        value: the expected metric there, (D, 1); of a network chosen by its mean, so it is not the best of the draws.
        p_draws: the best p of each draw, (D, 1).
    """

    budget: float
    n: float
    p: float | None
    steps: float
    value: Draws
    p_draws: Draws


class StepsSurface:
    """L(n, p, steps): the surface over n and p (or the curve over n) at the steps of the runs, and the law of steps.

    The error at n, p and steps is that of the runs there times exp(what was still to be gained): the gain of doublings
    is summed from these steps to those of the runs, or to where they end.

    Args:
        curve: with a law of steps.

    Raises:
        UserError: no run of the curve was measured at several numbers of steps.
    """

    def __init__(self, curve: CurvePosterior) -> None:
        law = curve.steps_law
        if law is None:
            remedy = "add rows at other steps, train with policy converge, or run a probe (`reconscale run --probe`)"
            raise UserError("steps", "no run was measured at several numbers of steps", remedy)
        self._curve, self._law = curve, law

    @property
    def p_range(self) -> tuple[float, float] | None:
        """The smallest and the largest p measured; None where the surface does not know p."""
        if self._curve.surface is None or self._curve.points.p is None:
            return None
        return float(self._curve.points.p.min()), float(self._curve.points.p.max())

    def most_steps(self, n: float) -> float:
        """The most steps measured at n; at all n where none was measured there."""
        known = self._law.known
        here = known.at(n, None)
        return float(2.0 ** (known.last[here] if len(here) else known.last).max())

    def steps_range(self, n: float) -> tuple[float, float]:
        """The fewest steps measured, and :data:`BEYOND` times the most at n."""
        return float(2.0 ** self._law.known.start.min()), BEYOND * self.most_steps(n)

    def log_error(self, n: float, p: ArrayLike, steps: ArrayLike) -> Floats:
        """(D, N) ln of the expected error with n images at p (N,) and steps (N,); a row is one coherent possibility.

        Steps beyond :meth:`steps_range` count as its ends.

        Raises:
            UserError: a size is not a finite number above 0.
        """
        p, steps = np.broadcast_arrays(np.atleast_1d(np.asarray(p, float)), np.atleast_1d(np.asarray(steps, float)))
        for name, values in (("n", n), ("p", p), ("steps", steps)):
            check_positive(name, values)
        sizes, which = np.unique(p, return_inverse=True)
        return self._over_steps(n, sizes)(which.ravel(), steps)

    def allocate(
        self,
        budgets: Sequence[float],
        pace: Callable[[float], float],
        *,
        n: float | None = None,
        per_image: float | None = None,
    ) -> tuple[Allocation, ...]:
        """The best p and steps for each budget of training one network, and the best n where images have a price.

        Args:
            budgets: above 0, in the unit of ``pace``.
            pace: cost of one step of a network of p parameters (hours, FLOPs, or a price), above 0.
            n: training-set size; none: the largest measured.
            per_image: cost of an image, in the same unit; none: n is fixed, as more data never hurt and cost nothing.

        Returns:
            One for each budget that pays the fewest steps measured of some network; others are left out.

        Raises:
            UserError: a budget, the pace or the cost of an image is not a finite number above 0.
        """
        check_positive("budgets", budgets)
        known, largest = self._curve.points.n, self._curve.largest
        sizes = np.array([largest if n is None else n], dtype=np.float64)
        if per_image is not None and n is None:
            check_positive("per_image", per_image)
            sizes = np.geomspace(known.min(), FAR * largest, SIZES)
        limits = self.p_range
        p = np.geomspace(*limits, RUNGS) if limits and limits[1] > limits[0] else np.array([self._curve.dial or 1.0])
        cost = np.array([float(pace(float(value))) for value in p])
        check_positive("pace", cost)
        at = {float(size): self._over_steps(float(size), p) for size in sizes}
        found = [self._best(float(b), at, p, cost, 0.0 if per_image is None else per_image) for b in budgets]
        return tuple(best for best in found if best is not None)

    def _best(
        self, budget: float, at: dict[float, OverSteps], p: Floats, cost: Floats, per_image: float
    ) -> Allocation | None:
        """The use of a budget whose mean of ln(error) is least; none where it pays nothing that was measured."""
        best: tuple[float, Allocation] | None = None
        for n, over in at.items():
            low, high = self.steps_range(n)
            steps = np.minimum((budget - per_image * n) / cost, high)
            within = np.flatnonzero(steps >= low * (1.0 - 1e-9))
            if not len(within):
                continue
            drawn = over(within, steps[within])
            k = int(drawn.mean(0).argmin())
            if best is None or drawn[:, k].mean() < best[0]:
                value = Draws(METRICS[self._curve.points.metric].from_error(np.exp(drawn[:, k : k + 1])))
                network = float(p[within[k]]) if self.p_range else self._curve.p
                chosen = Draws(p[within[drawn.argmin(1)]][:, None])
                best = float(drawn[:, k].mean()), Allocation(budget, n, network, float(steps[within[k]]), value, chosen)
        return None if best is None else best[1]

    def _over_steps(self, n: float, p: Floats) -> OverSteps:
        """ln(error) (D, N) at n, as a function of which of the networks p (P,) (N,), and of steps (N,)."""
        low, high = (float(np.log2(bound)) for bound in self.steps_range(n))
        edges = np.linspace(low, high, max(2, round(high - low) + 1))
        gained, end = self._gained(n, p, edges), self._at_the_end(n, p)
        top = np.full(len(p), high - np.log2(BEYOND))
        whole = _at(edges, gained, np.arange(len(p), dtype=np.int64), top)

        def log_error(which: NDArray[np.int64], steps: Floats) -> Floats:
            done = _at(edges, gained, which, np.clip(np.log2(steps), low, high))
            return np.asarray(end[:, which] + whole[:, which] - done)

        return log_error

    def _at_the_end(self, n: float, p: Floats) -> Floats:
        """(D, N) ln(error) with the steps that the runs had."""
        surface = self._curve.surface
        if surface is not None:
            return surface.log_error(np.full(len(p), n), p)[:DRAWS]
        return np.asarray(self._curve.draw(np.log([n]))[:DRAWS] + np.zeros(len(p)))

    def _gained(self, n: float, p: Floats, edges: Floats) -> Floats:
        """(D, P, T) fall of ln(error) from the first of the edges, log2(steps), to each of them."""
        law, rng = self._law, np.random.default_rng((self._curve.seed, 12))
        middle, length = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
        places = np.stack([part.ravel() for part in np.meshgrid([n], p, middle, [NO_RUN], indexing="ij")])
        rate = np.exp(law.rates.draw(places, DRAWS, rng, noise=False)).reshape(DRAWS, len(p), len(middle))
        end = self._ends(law, n, p, rng)[..., None]
        lived = np.clip((end - edges[:-1]) / length, 0.0, 1.0) * length  # the part of each stretch before the end
        steps = np.cumsum(rate * lived, axis=2)
        return np.concatenate([np.zeros((DRAWS, len(p), 1)), steps], axis=2)

    def _ends(self, law: StepsLaw, n: float, p: Floats, rng: np.random.Generator) -> Floats:
        """(D, P) log2 of the steps at which runs end."""
        draws = law.endings.expected(np.full(len(p), n), p)[:DRAWS]
        luck = rng.standard_normal((DRAWS, 1))  # alike for all networks, as n decides
        return np.asarray((draws + law.endings.spread[:DRAWS, None] * luck) / np.log(2.0))


def _at(edges: Floats, gained: Floats, ladder: NDArray[np.int64], t: Floats) -> Floats:
    """(D, N) the gain (D, P, T) at the networks (N,) and log2(steps) (N,), in a straight line between edges."""
    k = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, len(edges) - 2)
    part = (t - edges[k]) / (edges[k + 1] - edges[k])
    before, after = gained[:, ladder, k], gained[:, ladder, k + 1]
    return np.asarray(before + part * (after - before))


def check_positive(name: str, values: ArrayLike) -> None:
    """Refuse numbers that are not finite and above 0.

    Raises:
        UserError: there is one.
    """
    column = np.atleast_1d(np.asarray(values, np.float64))
    bad = ~(np.isfinite(column) & (column > 0))
    if bad.any():
        raise UserError(name, f"found {column[bad][0]:g}", "a finite number above 0 is expected")
