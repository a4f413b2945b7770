"""How much runs of one size scatter: a variance that falls with n, and runs that lie far from the others.

The variance of ln(error) between seeds is log-linear in ln n. Its slope has a prior, so that three seeds a size are
enough, and each size's own spread is shrunk to the line. The fit is the mode of a gamma regression: a sum of squares
with d degrees of freedom and variance v has log density -d/2 ln v - squares / (2 v).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from reconscale.arrays import Floats

SLOPE, SLOPE_SPREAD = -0.4, 0.6
"""Change of ln(variance) with ln n before any data: mean and spread over 335 curves of the Learning Curve Database with
five seeds at each of nine sizes (``python benchmarks/seed_spread.py``)."""
OWN_DOF = 4.0
"""A size's own spread counts against the line as if the line had this many degrees of freedom."""
SIGNIFICANT = 0.01
"""A run is an outlier when one so far away would be among all runs with no more than this probability."""
MOST_OUTLIERS = 0.2
"""No more than this part of the runs can be outliers."""
CHANCE = 0.01
"""A rise of the error counts when chance alone would show one as large in no more than this part of studies."""


def falling_variance(x: Floats) -> Floats:
    """(K,) variance of one run at ln n = x (K,), relative to the largest size, where nothing was run twice."""
    return np.asarray(np.exp(SLOPE * (x - x[-1])))


def fit_variance(x: Floats, squares: Floats, dof: Floats) -> Floats:
    """The log-linear variance of one run.

    Args:
        x: (K,) ln n.
        squares: (K,) sums of squared deviations from the means.
        dof: (K,) their degrees of freedom.

    Returns:
        (K,) variance; of no meaning where all squares or all degrees of freedom are 0.
    """
    total = float(dof.sum())
    centre = float(dof @ x / total) if total else 0.0
    away = x - centre
    level, slope = np.log(max(float(squares.sum()) / max(total, 1.0), 1e-30)), SLOPE
    for _ in range(30):
        half = 0.5 * squares * np.exp(-np.clip(level + slope * away, -80.0, 80.0))
        gradient = np.array([(half - 0.5 * dof).sum(), (half - 0.5 * dof) @ away - (slope - SLOPE) / SLOPE_SPREAD**2])
        cross = half @ away
        curvature = np.array([[half.sum() + 1e-9, cross], [cross, half @ away**2 + SLOPE_SPREAD**-2]])
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        level, slope = level + float(step[0]), slope + float(step[1])
        if np.abs(step).max() < 1e-6:
            break
    return np.asarray(np.exp(np.clip(level + slope * away, -80.0, 80.0)))


def dof_at_largest(x: Floats, dof: Floats) -> float:
    """Degrees of freedom behind the variance of the line at the largest size.

    Fewer than there are in all, as its slope is learnt too: 2 over the variance of the logarithm of the variance there,
    by the Fisher information of :func:`fit_variance`.

    Args:
        x: (K,) ln n, ascending.
        dof: (K,) degrees of freedom of each size.

    Returns:
        0 without replicates, and never more than all of them.
    """
    total = float(dof.sum())
    if not total:
        return 0.0
    away = x - float(dof @ x / total)
    slope = 1.0 / (0.5 * float(dof @ away**2) + SLOPE_SPREAD**-2)
    return min(total, 2.0 / (2.0 / total + slope * float(away[-1]) ** 2))


def shrink_variance(squares: Floats, dof: Floats, line: Floats) -> Floats:
    """(K,) variance of one run: each size's own, shrunk to that of the line."""
    return np.asarray((OWN_DOF * line + squares) / (OWN_DOF + dof))


def rise_beyond_chance(x: Floats, z: Floats, count: Floats, sd: Floats, dof: float, replicated: bool) -> str:
    """What the rise from the first level to the last is judged by; empty where it may be due to chance.

    Replicates say how far seeds alone take the two apart. Where one of the two was run once, they say so of other
    sizes, so the rise must also stand out of the scatter about a line in log-log; with two sizes there is none.

    Args:
        x: (K,) ln n, ascending.
        z: (K,) mean over seeds of ln(error).
        count: (K,) runs.
        sd: (K,) spread of one run's ln(error).
        dof: degrees of freedom behind ``sd``.
        replicated: whether replicates say what ``sd`` is.
    """
    if len(x) < 2:
        return ""
    if replicated:
        error = float(np.hypot(sd[0] / np.sqrt(count[0]), sd[-1] / np.sqrt(count[-1])))
        if z[-1] - z[0] <= error * float(stdtrit(dof, 1.0 - CHANCE)):
            return ""
        if min(count[0], count[-1]) > 1:
            return "the spread between runs"
    spare = len(x) - 2
    if spare < 1:
        return ""
    weight = count / falling_variance(x)
    away = x - weight @ x / weight.sum()
    slope = float((weight * away) @ z / (weight @ away**2))
    residual = z - weight @ z / weight.sum() - slope * away
    error = float(np.sqrt(weight @ residual**2 / spare / (weight @ away**2)))
    return "the scatter about a straight line" if slope > error * float(stdtrit(spare, 1.0 - CHANCE)) else ""


def find_outliers(x: Floats, values: Floats, group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Runs far from the others at their size.

    One after the other: the run with the largest Student t is an outlier when the Bonferroni bound on its probability
    is at most :data:`SIGNIFICANT`. It is judged against the other runs of its size, by a scale that falls with n as
    the line says and that all runs but this one say (an externally studentised residual). Two runs of a size cannot
    tell which of them is off.

    Args:
        x: (K,) ln n of the sizes.
        values: (M,) ln(error).
        group: (M,) the size of each.
    """
    out = np.zeros(len(values), dtype=bool)
    for _ in range(max(1, int(MOST_OUTLIERS * len(values)))):
        found = _worst(x, values, group, ~out)
        if found is None:
            break
        out[found] = True
    return out


def _worst(x: Floats, values: Floats, group: NDArray[np.int64], kept: NDArray[np.bool_]) -> int | None:
    """The run that is an outlier among those kept, or none."""
    many = len(x)
    runs = np.bincount(group[kept], minlength=many).astype(np.float64)
    mean = np.bincount(group[kept], values[kept], minlength=many) / np.maximum(runs, 1.0)
    away = np.where(kept, values - mean[group], 0.0)
    judged = np.flatnonzero(kept & (runs[group] >= 3))
    squares = np.bincount(group[kept], away[kept] ** 2, minlength=many).astype(np.float64)
    dof = np.maximum(runs - 1.0, 0.0)
    if dof.sum() < 3 or not len(judged):
        return None
    line = np.maximum(fit_variance(x, squares, dof), 1e-12)
    size, part = group[judged], runs[group[judged]] / (runs[group[judged]] - 1.0)
    own = away[judged] ** 2 * part / line[size]
    rest, spare = float((squares / line).sum()), float(dof.sum()) - 1.0
    t = np.sqrt(own * spare / np.maximum(rest - own, 1e-12))
    worst = int(t.argmax())
    return int(judged[worst]) if 2.0 * stdtr(spare, -t[worst]) * len(judged) <= SIGNIFICANT else None
