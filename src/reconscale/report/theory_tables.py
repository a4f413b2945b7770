"""Tables of the theory's curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from reconscale.report.tables import Cell, Table, table
from reconscale.theory import Experiment, Setting, power_fit
from reconscale.theory.settings import RiskRow

NOTHING = 1e-20
"""A risk that is 0 but for rounding."""


def risks_table(parts: Iterable[tuple[Setting, Sequence[Experiment]]]) -> Table:
    """Every training set: its risks, and the step k at which the early-stopped one is reached."""
    rows = [
        (*_model(setting), e.n, e.run, setting.model.floor, e.early_stopped, e.k, _known(e.converged), e.pca)
        for setting, found in parts
        for e in found
    ]
    return table("risks", "dim ambient sigma n run optimum early_stopped k converged pca", rows)


def summary_table(parts: Iterable[tuple[Setting, Sequence[RiskRow]]]) -> Table:
    """Mean and standard deviation over the runs, equivalents and the bound, one row for each n.

    Where the mean of the converged risk is infinite, ``converged`` is the median of the runs, ``converged_sd`` is empty
    and so is ``expected_converged``.
    """
    columns = (
        "dim ambient sigma n optimum projection early_stopped early_stopped_sd k converged converged_sd pca pca_sd "
        "expected_early_stopped expected_converged expected_pca bound"
    )
    return table("summary", columns, [_summary(setting, row) for setting, rows in parts for row in rows])


def _summary(setting: Setting, row: RiskRow) -> tuple[Cell, ...]:
    drawn, model = row.drawn, setting.model
    return (
        *_model(setting), row.n, model.floor, row.projection,
        *drawn.early_stopped, drawn.k, *drawn.converged, *drawn.pca,
        row.early_stopped, _known(row.converged), row.pca, row.bound,
    )  # fmt: skip


def fits_table(parts: Iterable[tuple[Setting, Sequence[RiskRow]]]) -> Table:
    """The power laws over the published stretches: drawn, expected by the equivalent, printed by the official code."""
    columns = (
        "dim ambient sigma early_factor early_exponent early_first early_last expected_exponent "
        "pca_factor pca_exponent pca_first pca_last printed_early printed_pca"
    )
    return table("fits", columns, [_fits(setting, rows) for setting, rows in parts])


def _fits(setting: Setting, rows: Sequence[RiskRow]) -> tuple[Cell, ...]:
    n = [row.n for row in rows]
    early = _fit(n, [row.drawn.early_stopped[0] for row in rows], setting.early_stopped)
    expected = _fit(n, [row.early_stopped for row in rows], setting.early_stopped)
    pca = _fit(n, [row.drawn.pca[0] for row in rows], setting.pca)
    return (*_model(setting), *early, expected[1], *pca, *(setting.printed or (None, None)))


def _fit(n: list[int], risk: list[float], stretch: tuple[int, int]) -> tuple[Cell, ...]:
    """Factor, exponent, first and last n; no factor and exponent where the risk is 0, as it is without noise."""
    if min(value for size, value in zip(n, risk, strict=True) if stretch[0] <= size <= stretch[1]) <= NOTHING:
        return None, None, *stretch
    fit = power_fit(n, risk, *stretch)
    return fit.factor, fit.exponent, fit.first, fit.last


def _model(setting: Setting) -> tuple[Cell, ...]:
    return setting.model.dim, setting.model.ambient, setting.model.sigma


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
