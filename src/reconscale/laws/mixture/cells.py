"""Runs of one mix and one network are a cell: its mean, how many runs, and how far they scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        squares: (C,) sums of squared deviations from the means, without what a seed has in common in all cells.
        dof: their degrees of freedom.
        common: variance of what the seeds have in common, of the mean over them.
        relative: (C,) variance of one run, relative to the typical cell: it falls with n.
        findings: about repeated rows.
    """

    mixes: Floats
    p: Floats | None
    z: Floats
    count: Floats
    squares: Floats
    dof: float
    common: float
    relative: Floats
    findings: tuple[Finding, ...]


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
    count: Floats = np.bincount(group).astype(np.float64)
    z: Floats = np.bincount(group, u) / count
    shift = np.zeros(1) if points.seed is None else _shared_seeds(points.seed[kept], group, u - z[group])
    squares: Floats = np.asarray(
        np.bincount(group, (u - z[group] - (shift if len(shift) > 1 else 0.0)) ** 2), np.float64
    )
    seeds, mixes = int(count[0]), cells[:, : counts.shape[1]]
    dof, common = count - 1.0, 0.0
    if len(shift) > 1:
        dof = dof * (len(count) - 1) / len(count)
        common = float((shift[group == 0] ** 2).sum()) / (seeds - 1) / seeds
    relative = _relative(mixes, squares, dof)
    return MixtureCells(
        mixes, cells[:, -1] if sized else None, z, count, squares, float(dof.sum()), common, relative, findings
    )


def _shared_seeds(seed: NDArray[np.int64], group: NDArray[np.int64], away: Floats) -> Floats:
    """(M,) what the seed of each run adds to all cells, where every cell has every seed once; else (1,) nothing.

    It moves all cells by the same, and so says nothing of the mixes.
    """
    names, which = np.unique(seed, return_inverse=True)
    which, cells = which.ravel(), int(group.max()) + 1
    once = np.bincount(group * len(names) + which, minlength=cells * len(names))
    if len(names) < 2 or (once != 1).any():
        return np.zeros(1)
    return np.asarray((np.bincount(which, away) / cells)[which])


def _relative(mixes: Floats, squares: Floats, dof: Floats) -> Floats:
    """(C,) variance of one run, relative to the typical cell."""
    x = np.log(mixes.sum(1))
    if squares.sum() <= 0.0 or dof.sum() < 2:
        return np.asarray(np.exp(SLOPE * (x - x.mean())))
    line = np.maximum(fit_variance(x, squares, dof), 1e-12)
    return np.asarray(line / np.exp(np.log(line).mean()))
