"""Runs of one mix and one network are a cell: its mean, how many runs, and how far they scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.findings import Finding
from reconscale.laws.mixture.points import Mixture, distinct_runs
from reconscale.laws.seed_noise import SLOPE, fit_variance


@dataclass(frozen=True, eq=False)
class MixtureCells:
    """What was measured, C cells of K sources, the target first.

    Attributes:
        mixes: (C, K) images.
        p: (C,) parameters, or None where they do not vary.
        z: (C,) mean over runs of ln(error).
        count: (C,) runs.
        squares: (C,) sums of squared deviations from the means.
        relative: (C,) variance of one run, relative to the typical cell: it falls with n.
        findings: about repeated rows.
    """

    mixes: Floats
    p: Floats | None
    z: Floats
    count: Floats
    squares: Floats
    relative: Floats
    findings: tuple[Finding, ...]

    @property
    def dof(self) -> float:
        """Degrees of freedom of the spread between seeds."""
        return float((self.count - 1.0).sum())


def group_cells(points: Mixture) -> MixtureCells:
    """The cells of the runs.

    Raises:
        UserError: there are fewer different mixes than sources and one more.
    """
    kept, findings = distinct_runs(points)
    counts, u = points.counts[kept], np.log(points.error[kept])
    least, found = len(points.sources) + 1, len(np.unique(counts, axis=0))
    if found < least:
        said = f"found {found} different mix{'es' if found > 1 else ''} of {len(points.sources)} sources"
        raise UserError("mixture", said, f"at least {least} are needed, with other shares, and six or more tell much")
    sized = points.p is not None and len(np.unique(points.p[kept])) > 1
    labels = np.column_stack([counts, points.p[kept]]) if sized and points.p is not None else counts
    cells, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.ravel()
    count = np.bincount(group).astype(np.float64)
    z = np.bincount(group, u) / count
    squares = np.bincount(group, (u - z[group]) ** 2)
    mixes = cells[:, : counts.shape[1]]
    return MixtureCells(
        mixes, cells[:, -1] if sized else None, z, count, squares, _relative(mixes, squares, count - 1.0), findings
    )


def _relative(mixes: Floats, squares: Floats, dof: Floats) -> Floats:
    """(C,) variance of one run, relative to the typical cell."""
    x = np.log(mixes.sum(1))
    if squares.sum() <= 0.0 or dof.sum() < 2:
        return np.asarray(np.exp(SLOPE * (x - x.mean())))
    line = np.maximum(fit_variance(x, squares, dof), 1e-12)
    return np.asarray(line / np.exp(np.log(line).mean()))
