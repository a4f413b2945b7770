"""The best network for n: crossings and optima along p, for every draw of a surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_level
from reconscale.laws.findings import Finding, finding
from reconscale.laws.surface.cells import Cells


@dataclass(frozen=True, eq=False)
class Draws:
    """N uncertain numbers; a row of draws is one coherent possibility.

    Attributes:
        draws: (D, N) equally likely values; inf where there is none within reach.
    """

    draws: Floats

    @property
    def median(self) -> Floats:
        """(N,) the middle value."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> Floats:
        """(N,) the value that is not exceeded with probability ``q``; a draw, so that infinite ones do no harm.

        Raises:
            UserError: ``q`` is not between 0 and 1.
        """
        return np.asarray(np.sort(self.draws, axis=0)[round(check_level(q) * (len(self.draws) - 1))])

    def interval(self, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) the central interval that has the number in it with probability ``level``.

        Raises:
            UserError: ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - check_level(level))
        return self.quantile(tail), self.quantile(1.0 - tail)

    def chance(self, above: float) -> Floats:
        """(N,) probability that the number is larger than ``above``."""
        return np.asarray((self.draws > above).mean(0))


Cost = Callable[[Floats, Floats], Floats]

RUNGS = 129
WIDEST = 14.0
"""ln of how far beyond the measured range of n an optimum is looked for."""
OFTEN = 0.05
"""An optimum at the end of the ladder is worth a finding from this share of the draws on."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best use of a budget.

    Attributes:
        n: training-set size at which the mean of ln(error) over the draws is least.
        p: parameters there; n and p together cost the budget.
        n_draws: the best n of each draw, (D, 1).
        p_draws: the best p of each draw, (D, 1), paired with ``n_draws``.
        value: the expected metric at n and p, (D, 1).
        findings: cautions.
    """

    n: float
    p: float
    n_draws: Draws
    p_draws: Draws
    value: Draws
    findings: tuple[Finding, ...]


def six_n_p(n: Floats, p: Floats) -> Floats:
    """FLOPs of training: 6 for each sample (token) and parameter. Source: Kaplan et al. 2020."""
    return 6.0 * n * p


def grid(log_range: tuple[float, float]) -> Floats:
    """(RUNGS,) equally spaced ln p."""
    return np.linspace(*log_range, RUNGS)


def first_below(ladder: Floats, values: Floats, bound: float) -> Floats:
    """(D,) the p at which each row of values (D, L) first comes down to ``bound``; inf if it never does."""
    reached = values <= bound
    rung = reached.argmax(1)
    rows = np.arange(len(values))
    before, after = values[rows, np.maximum(rung - 1, 0)], values[rows, rung]
    part = np.where(before > after, (before - bound) / np.where(before > after, before - after, 1.0), 1.0)
    step = np.where(rung > 0, ladder[rung] - ladder[np.maximum(rung - 1, 0)], 0.0)
    place = ladder[rung] - (1.0 - np.clip(part, 0.0, 1.0)) * step
    return np.where(reached.any(1), np.exp(place), np.inf)


def first_not_worthwhile(ladder: Floats, gains: Floats, worthwhile: float) -> Floats:
    """(D,) the p from which on a doubling gains ``worthwhile`` at most; inf if it gains more at the largest.

    Args:
        ladder: (L,) ln p.
        gains: (D, L) what doubling gains there.
        worthwhile: the bound.
    """
    above = gains > worthwhile
    rung = len(ladder) - 1 - above[:, ::-1].argmax(1)
    after = np.minimum(rung + 1, len(ladder) - 1)
    rows = np.arange(len(gains))
    drop = gains[rows, rung] - gains[rows, after]
    part = np.where(drop > 0, (gains[rows, rung] - worthwhile) / np.where(drop > 0, drop, 1.0), 0.0)
    place = ladder[rung] + np.clip(part, 0.0, 1.0) * (ladder[after] - ladder[rung])
    place = np.where(above.any(1), place, ladder[0])
    return np.asarray(np.where(above[:, -1], np.inf, np.exp(place)))


def optimum(log_error: Callable[[Floats], Floats], ladder: Floats, budget: float, cost: Cost, cells: Cells) -> Optimum:
    """The best point of the curve cost(n, p) = budget, for all draws together and for each.

    Args:
        log_error: (D, N) at ln n and ln p (2, N).
        ladder: (L,) ln p that are tried.
        budget: above 0.
        cost: of n and p, rising with n.
        cells: they say where n is looked for.

    Raises:
        UserError: no p on the ladder is within the budget.
    """
    if not (np.isfinite(budget) and budget > 0):
        raise UserError("budget", f"found {budget}", "a finite number above 0 is expected")
    bounds = float(cells.x.min()) - WIDEST, float(cells.x.max()) + WIDEST
    log_n = _spent(ladder, budget, cost, bounds)
    possible = np.isfinite(log_n)
    if possible.sum() < 3:
        least = f"p = {np.exp(ladder[0]):.3g}"
        raise UserError("budget", f"found {budget:g}", f"it is too small for all but the smallest network ({least})")
    ladder, log_n = ladder[possible], log_n[possible]
    values = log_error(np.stack([log_n, ladder]))
    every = _lowest(ladder, values)
    best = _lowest(ladder, values.mean(0, keepdims=True))
    n, p = np.exp(_spent(best, budget, cost, bounds)), np.exp(best)
    draws = [Draws(np.exp(part)[:, None]) for part in (_spent(every, budget, cost, bounds), every)]
    found = []
    for side, rung in (("smallest", 0), ("largest", -1)):
        share = float((every == ladder[rung]).mean())
        if share > OFTEN:
            found.append(finding("optimum-at-edge", side=side, p=float(np.exp(ladder[rung])), share=share))
    return Optimum(float(n[0]), float(p[0]), draws[0], draws[1], draws[1], tuple(found))


def _spent(ladder: Floats, budget: float, cost: Cost, bounds: tuple[float, float]) -> Floats:
    """(L,) the ln n at which each ln p costs the budget, within ``bounds``; nan where the smallest n costs more."""
    p = np.exp(ladder)
    low, high = np.full(len(p), bounds[0]), np.full(len(p), bounds[1])
    too_dear = np.asarray(cost(np.exp(low), p)) > budget
    for _ in range(60):
        middle = 0.5 * (low + high)
        within = np.asarray(cost(np.exp(middle), p)) <= budget
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    return np.asarray(np.where(too_dear, np.nan, low))


def _lowest(ladder: Floats, values: Floats) -> Floats:
    """(D,) ln p of the least value of each row (D, L), refined by a parabola through its neighbours."""
    rung = values.argmin(1)
    inner = np.clip(rung, 1, len(ladder) - 2)
    rows = np.arange(len(values))
    left, here, right = (values[rows, inner + shift] for shift in (-1, 0, 1))
    bend = left - 2.0 * here + right
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    spacing = ladder[1] - ladder[0]
    refined = ladder[inner] + np.clip(shift, -0.5, 0.5) * spacing
    return np.asarray(np.where(rung == inner, refined, ladder[rung]))
