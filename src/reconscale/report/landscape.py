"""Quality over n and p, as tables: the map, which network is large enough, and the best use of a budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import Surface
from reconscale.report.answer import NEAR, Answer
from reconscale.report.tables import Cell, Table, table

Floats = NDArray[np.float64]

INSIDE, BEYOND = 21, 9
"""Places of the map along n, and along p, within the measured range and beyond it."""
BUDGETS = 13
"""Budgets whose best use is looked for."""


def map_table(answer: Answer) -> Table:
    """The expected metric (mean over seeds) on a grid of n and p, up to 4 times beyond the largest of either."""
    name, columns = "map", "n p median low90 high90 measured_range"
    if answer.surface is None or answer.points.p is None:
        return table(name, columns, [])
    across, up = _axis(answer.points.n), _axis(answer.points.p)
    n, p = (part.ravel() for part in np.meshgrid(across, up))
    value = answer.surface.error(n, p)
    low, high = value.interval(0.9)
    inside = (n <= answer.points.n.max() * (1 + 1e-9)) & (p <= answer.points.p.max() * (1 + 1e-9))
    parts = (n.tolist(), p.tolist(), value.median.tolist(), low.tolist(), high.tolist(), inside.astype(int).tolist())
    return table(name, columns, zip(*parts, strict=True))


def frontier_table(answer: Answer) -> Table:
    """For each n the p from which on doubling it gains less than what is worthwhile, with its 90 % interval.

    None: more than 4 times the largest p measured; ``beyond`` is the chance of that.
    """
    name, columns = "frontier", "n median low90 high90 beyond"
    if answer.surface is None:
        return table(name, columns, [])
    n = _axis(answer.points.n)[::2]
    enough = answer.surface.frontier(n, worthwhile=max(answer.worthwhile, 1e-6))
    beyond = np.isinf(enough.draws).mean(0)
    numbers = np.stack([enough.median, *enough.interval(0.9)]).T
    rows = [(float(n[i]), *(_finite(v) for v in numbers[i]), float(beyond[i])) for i in range(len(n))]
    return table(name, columns, rows)


def budget_table(answer: Answer) -> Table:
    """For budgets in proportion to n p (6 FLOPs a parameter and example, one pass): the best n and p on the map."""
    name, columns = "budget", "flops n p median low90 high90"
    if answer.surface is None or answer.points.p is None:
        return table(name, columns, [])
    limits = [(float(axis.min()), NEAR * float(axis.max())) for axis in (answer.points.n, answer.points.p)]
    (n_low, n_high), (p_low, p_high) = limits
    rows: list[tuple[Cell, ...]] = []
    for flops in np.geomspace(6 * n_low * p_low, 6 * n_high * p_high, BUDGETS + 2)[1:-1]:
        row = _best_use(answer.surface, float(flops))
        inside = n_low <= row[1] <= n_high and p_low * 1.01 < row[2] < p_high * 0.99
        rows += [row] if inside else []
    return table(name, columns, rows)


def _best_use(surface: Surface, flops: float) -> tuple[float, ...]:
    best = surface.compute_optimal(flops)
    low, high = best.value.interval(0.9)
    return flops, best.n, best.p, float(best.value.median[0]), float(low[0]), float(high[0])


def _axis(values: Floats) -> Floats:
    """From the smallest to the largest and on to 4 times that, evenly spaced on the log scale in both parts."""
    small, large = float(values.min()), float(values.max())
    return np.unique(np.concatenate([np.geomspace(small, large, INSIDE), np.geomspace(large, NEAR * large, BEYOND)]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
