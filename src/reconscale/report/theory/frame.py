"""Where things go in the figures of the theory: one setting, risk against n, both logarithmic."""

from __future__ import annotations

import math

from reconscale.report.frame import BLUE, GREEN, GREY, INK, PURPLE, VERMILLION, Frame, log_ticks
from reconscale.report.tables import Table
from reconscale.report.wording import general

CURVES = {
    "early_stopped": ("early-stopped gradient descent", BLUE, "circle"),
    "converged": ("converged gradient descent", VERMILLION, "square"),
    "pca": ("PCA", PURPLE, "diamond"),
}
"""Column -> name, colour and sign of what is drawn with error bars."""
LINES = {
    "projection": ("projection on the clean images", GREEN),
    "bound": ("bound, probability 0.99", GREY),
    "optimum": ("optimum R*", INK),
}
"""Column -> name and colour of what is known without drawing."""


def risk_frame(rows: Table) -> Frame:
    """Axes of one setting, wide enough for every marker."""
    n = rows.numbers("n")
    usual = [v for name in ("early_stopped", "pca", "projection") for v in rows.numbers(name)]
    low = min(v for v in [*usual, *rows.numbers("optimum")] if v > 0)
    low = max(low, 1e-12) / 1.6
    peak = max((v for v in rows.numbers("converged") if math.isfinite(v)), default=0.0)
    x, y = (min(n) / 1.25, max(n) * 1.25), (low, max(2.0, 1.6 * peak))
    first, last = math.ceil(math.log10(y[0])), math.floor(math.log10(y[1]))
    every = max(1, (last - first + 5) // 6)
    ticks = tuple((10.0**p, general(10.0**p)) for p in range(first, last + 1) if (p - last) % every == 0)
    return Frame(x, y, log_ticks(*x), ticks, "training images n", "risk per direction", log_y=True)


def marks(rows: Table, knee: float | None) -> list[tuple[float, str]]:
    """Vertical lines: where directions are missing, the knee, and the peak."""
    row = rows.records()[0]
    found = [(float(row["dim"] or 0), "dim"), (float(row["ambient"] or 0), "ambient")]
    if knee is not None:
        found.append((knee, "knee"))
    low, high = min(rows.numbers("n")), max(rows.numbers("n"))
    return sorted((n, name) for n, name in found if low <= n <= high)


def fitted(fits: Table, which: str) -> tuple[list[float], list[float]] | None:
    """End points of a fitted power law, where there is one."""
    row = fits.records()[0]
    if row[f"{which}_exponent"] is None:
        return None
    names = [f"{which}_{name}" for name in ("factor", "exponent", "first", "last")]
    factor, exponent, first, last = (float(row[name] or 0) for name in names)
    return [first, last], [factor * n**exponent for n in (first, last)]
