"""Mean and spread per size: the data that laws are fitted to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.doubtful_values import find_doubtful_values
from reconscale.laws.findings import Finding, finding
from reconscale.laws.named.registry import LAWS, bounded, solve
from reconscale.laws.points import METRICS, Points
from reconscale.laws.repeated_rows import without_copies, without_repeats
from reconscale.laws.seed_noise import dof_at_largest, find_outliers, fit_variance, rise_beyond_chance, shrink_variance
from reconscale.laws.width_selection import select_width

LEAST_SD = 0.002
"""No spread of the log error between seeds is taken to be smaller: intervals are never of zero width."""
GUESSED_SD = 0.005
"""The spread that is expected before any data, worth one run."""
MOST_LEVELS = 64
"""More sizes than this are merged with their neighbours."""
LEAST_SIZES = 2
"""Distinct n below which there is no curve at all."""


@dataclass(frozen=True, eq=False)
class SizeMeans:
    """Sufficient statistics of the points, on the log-error scale.

    Attributes:
        x: (K,) ln n, ascending.
        z: (K,) mean over seeds of ln(error).
        count: (K,) runs.
        sd: (K,) spread between seeds of one run's ln(error), which falls with n; each size's own, shrunk to the line.
        dof: degrees of freedom behind ``sd``.
        pool: (R,) deviations of the seeds from their means, scaled to unit spread; empty without replicates.
        group: (M,) which level each row of the points belongs to.
        images: (M, I) error of each test image, or None.
        metric: name of the metric.
        findings: cautions.
        replicated: whether replicates say what ``sd`` is; else it is guessed from the scatter about a curve.
        seed_dof: degrees of freedom of the replicates, 0 without any.
        seed_squares: their sum of squared deviations, in units of ``sd``.
        largest_dof: degrees of freedom behind the spread at the largest n.
    """

    x: Floats
    z: Floats
    count: Floats
    sd: Floats
    dof: float
    pool: Floats
    group: NDArray[np.int64]
    images: Floats | None
    metric: str
    findings: tuple[Finding, ...]
    replicated: bool = False
    seed_dof: float = 0.0
    seed_squares: float = 0.0
    largest_dof: float = 0.0

    @property
    def variance(self) -> Floats:
        """(K,) variance of ``z`` that seeds explain."""
        return self.sd**2 / self.count

    def until(self, last: int) -> SizeMeans:
        """The first ``last`` levels; the spread between seeds is kept."""
        cut = slice(0, last)
        return replace(self, x=self.x[cut], z=self.z[cut], count=self.count[cut], sd=self.sd[cut], images=None)


def group_by_size(points: Points, most: int = MOST_LEVELS, *, outliers: bool = True) -> SizeMeans:
    """Reduce ``points`` (first to their frontier) to levels.

    Args:
        points: the measurements.
        most: more sizes than this are merged with their neighbours.
        outliers: whether the mean of a size with an outlier is its median. The outlier stays in the spread of its
            size, but not in that of the others.

    Raises:
        UserError: there are fewer than two distinct n.
    """
    best = without_copies(select_width(without_repeats(points)))
    sizes, group = _sizes(best.n)
    if len(sizes) < LEAST_SIZES:
        raise UserError(
            "points",
            f"found {len(sizes)} distinct n ({', '.join(f'{n:g}' for n in sizes)})",
            f"a curve needs at least {LEAST_SIZES} training-set sizes, and 4 or more to see it bend",
        )
    log_error = np.log(best.error)
    runs = np.bincount(group).astype(np.float64)
    mean = _sum(group, log_error) / runs
    wild = np.zeros(len(group), dtype=bool)
    if outliers:
        wild = find_outliers(np.log(sizes), log_error, group)
        mean = np.where(np.bincount(group, wild) > 0, _medians(log_error, group), mean)
    away = log_error - mean[group]
    findings = (
        best.findings
        + tuple(_cautions(sizes, runs))
        + find_doubtful_values(points, best)
        + _growing_networks(points, best)
    )
    if wild.any():
        which = int(np.flatnonzero(wild)[0])
        findings += (finding("outlier", count=int(wild.sum()), n=float(best.n[which]), value=float(best.y[which])),)
    merged = _merge(np.log(sizes), most)
    if len(merged) < len(sizes):
        findings += (finding("sizes-merged", sizes=len(sizes), levels=len(merged)),)
    owner = np.repeat(np.arange(len(merged)), [len(part) for part in merged])
    count = _sum(owner, runs)
    x = _sum(owner, runs * np.log(sizes)) / count
    z = _sum(owner, runs * mean) / count
    squares, seed_dof = _sum(owner, _sum(group, away**2)), _sum(owner, runs - 1)
    calm = _sum(owner, _sum(group, np.where(wild, 0.0, away) ** 2))
    sd, dof = _spread(x, z, count, squares, seed_dof, calm, seed_dof - _sum(owner, _sum(group, wild)))
    pool = _pool(np.where(wild, 0.0, away), runs[group], sd[owner[group]])
    more = (bool((runs > 1).any()), float(seed_dof.sum()), float((squares / sd**2).sum()), dof_at_largest(x, seed_dof))
    made = SizeMeans(x, z, count, sd, dof, pool, owner[group], best.images, best.metric, findings, *more)
    return replace(made, findings=(*findings, *_rises(made)))


CONFOUNDED = 0.7
"""From this correlation of ln n and ln p on, networks that were not varied at one n are said to grow with n."""


SAME_P = 1.01
"""Networks whose p differ by no more than this factor are one network, counted in two ways."""


def _growing_networks(points: Points, best: Points) -> tuple[Finding, ...]:
    """Which p a curve over n assumes where p grows with n, and that their effects cannot be told apart."""
    if best.p is None or points.p is None:
        return ()
    n, p = best.sizes, np.array([np.median(best.p[best.n == size]) for size in best.sizes])
    if len(n) < 2 or p[-1] <= p[0] * SAME_P:
        return ()
    found = [finding("p-assumed", first=float(p[0]), low=float(n[0]), last=float(p[-1]), high=float(n[-1]))]
    varied = any(len(np.unique(points.p[points.n == size])) > 1 for size in points.sizes)
    correlation = float(np.corrcoef(np.log(n), np.log(p))[0, 1])
    if not varied and correlation >= CONFOUNDED:
        found.insert(0, finding("p-follows-n", correlation=correlation))
    return tuple(found)


def resample(level: SizeMeans, draws: int, rng: np.random.Generator, images: bool) -> tuple[Floats, Floats]:
    """Hierarchical bootstrap of the level means.

    Seeds are drawn again within each size from the pooled, rescaled deviations, the whole is stretched by one
    factor a draw that reflects how few seeds the spread was learnt from (so that the draws have Student's tails),
    and, with ``images``, the test images are drawn again, the same ones for all runs.

    Returns:
        (draws, K) deviations from ``z``, and (draws, 1) the stretch.
    """
    many = len(level.x)
    noise = rng.standard_normal((draws, many))
    if len(level.pool) >= 6:
        for k in np.flatnonzero(level.count <= 30):
            times = int(level.count[k])
            noise[:, k] = rng.choice(level.pool, size=(draws, times)).sum(1) / np.sqrt(times)
    stretch = np.clip(np.sqrt(level.dof / rng.chisquare(level.dof, (draws, 1))), 0.6, 4.0)
    shift = noise * stretch * np.sqrt(level.variance)
    if images and level.images is not None:
        shift = shift + _images_again(level, draws, rng)
    return shift, stretch


def image_bootstrap_shift(level: SizeMeans, x: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """(draws, N) change of ln(error) at x = ln n when the test images are drawn again, the same ones for all runs.

    Beyond the data the change continues along the straight line through the last third of the levels. Zero where the
    errors of single images are not known.
    """
    if level.images is None:
        return np.zeros((draws, len(x)))
    shift = _images_again(level, draws, rng)
    last = slice(max(0, len(level.x) - max(3, -(-len(level.x) // 3))), None)
    away = level.x[last] - level.x[last].mean()
    slope = shift[:, last] @ away / (away @ away)
    near = np.clip(x, level.x[0], level.x[-1])
    k = np.clip(np.searchsorted(level.x, near, side="right") - 1, 0, len(level.x) - 2)
    rise = (shift[:, k + 1] - shift[:, k]) / (level.x[k + 1] - level.x[k])
    inside = np.where(near == level.x[-1], shift[:, -1:], rise * (near - level.x[k]) + shift[:, k])
    return np.asarray(inside + slope[:, None] * (x - near))


def to_working(z: Floats, of: str, metric: str) -> Floats:
    """ln(error) as a law's working scale: itself, or log10 of the metric (an error counts as an MSE for range 1).

    Raises:
        UserError: the metric is not above 0, so that it has no logarithm.
    """
    if of == "error":
        return z
    shown = METRICS["psnr" if METRICS[metric].is_error else metric]
    value = shown.from_error(np.exp(z))
    if (value <= 0).any():
        raise UserError(
            "law 'paper'",
            f"found a {shown.label or shown.name} of {value.min() + 0.0:.3g}",
            "the paper's law is a power law of a metric above 0; use law='power+floor'",
        )
    return np.asarray(np.log10(value))


def from_working(u: Floats, of: str, metric: str) -> Floats:
    """The inverse of :func:`to_working`."""
    if of == "error":
        return u
    if METRICS[metric].unit != "dB" and not METRICS[metric].is_error:
        return np.log(np.maximum(METRICS[metric].to_error(10.0**u), 1e-12))
    return bounded(-(10.0 ** np.minimum(u, 6.0)) * np.log(10.0) / 10.0)


def _sizes(n: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct sizes, ascending, and which one each row has; sizes within one in a million are one size."""
    every, row = np.unique(n, return_inverse=True)
    step = np.concatenate([[False], np.diff(np.log(every)) > 1e-6])
    group = np.cumsum(step)
    return every[np.concatenate([[0], np.flatnonzero(step)])], group[row]


def _cautions(sizes: Floats, runs: Floats) -> list[Finding]:
    found = []
    if len(sizes) < 4:
        found.append(finding("few-sizes", sizes=len(sizes)))
    if sizes[-1] / sizes[0] < 10:
        found.append(finding("short-range", factor=float(sizes[-1] / sizes[0])))
    if runs.max() == 1:
        found.append(finding("no-seeds"))
    elif runs.min() != runs.max():
        found.append(finding("unequal-seeds", low=int(runs.min()), high=int(runs.max())))
    return found


NOTICED = 2.0
"""Per cent of the error, about 0.1 dB: a rise of less is not said."""


def _rises(level: SizeMeans) -> list[Finding]:
    """That the error at the largest n is above that at the smallest, by more than chance explains.

    A rise that is not there without the smallest size says little about the largest ones, on which verdicts rest. Of
    four sizes or more that rise at every step, which one flat curve in 24 or fewer does, it is said that they may.
    """
    basis, later = _rise(level, 0), _rise(level, 1)
    low, high = float(np.exp(level.x[0])), float(np.exp(level.x[-1]))
    if not basis:
        falls = len(level.x) > LEAST_SIZES + 1 and (np.diff(level.z) > 0).all()
        worse = 100.0 * float(np.expm1(level.z[-1] - level.z[0]))
        return [finding("may-rise", low=low, high=high, worse=worse)] if falls and worse > NOTICED else []
    early = len(level.x) > LEAST_SIZES and not later
    return [finding("early-rise" if early else "error-rises", low=low, high=high, basis=basis)]


def _rise(level: SizeMeans, first: int) -> str:
    x, z, count, sd = (column[first:] for column in (level.x, level.z, level.count, level.sd))
    return rise_beyond_chance(x, z, count, sd, level.dof, level.replicated)


def _medians(values: Floats, group: NDArray[np.int64]) -> Floats:
    """The median of ``values`` over each group."""
    ordered = values[np.lexsort((values, group))]
    count = np.bincount(group)
    first = np.cumsum(count) - count
    return np.asarray(0.5 * (ordered[first + (count - 1) // 2] + ordered[first + count // 2]))


def _merge(x: Floats, most: int) -> list[NDArray[np.int64]]:
    """Neighbouring sizes in at most ``most`` groups, cut at equal steps of ln n and at equal shares of the sizes."""
    if len(x) <= most:
        return [np.array([k]) for k in range(len(x))]
    half = most // 2
    shares = x[np.linspace(0, len(x) - 1, half + 1).astype(int)[1:-1]]
    marks = np.concatenate([np.linspace(x[0], x[-1], half + 1)[1:-1], shares])
    bins = np.searchsorted(np.sort(marks), x, side="right")
    return [np.flatnonzero(bins == value) for value in np.unique(bins)]


def _spread(
    x: Floats, z: Floats, count: Floats, squares: Floats, dof: Floats, calm: Floats, calm_dof: Floats
) -> tuple[Floats, float]:
    """Spread of one run at each level, and the degrees of freedom behind it.

    ``calm`` and ``calm_dof`` are squares and degrees of freedom without outliers: those of the line.
    """
    total = float(calm_dof.sum())
    if dof.sum() == 0:
        law = LAWS["power+floor"]
        fitted = law.working(x, solve(law, x, z[None], np.ones_like(x))[0])[0]
        spare = max(len(x) - 3, 0)
        pooled = (2 * (2 * GUESSED_SD) ** 2 + float(((z - fitted) ** 2 * count).sum())) / (2 + spare)
        return np.full(len(x), max(np.sqrt(pooled), LEAST_SD)), float(2 + spare)
    line = fit_variance(x, calm, calm_dof)
    relative = np.maximum(line / np.exp(np.log(line).mean()), 1e-6)
    pooled = (GUESSED_SD**2 + float((calm / relative).sum())) / (1 + total)
    return np.maximum(np.sqrt(shrink_variance(squares, dof, pooled * relative)), LEAST_SD), 1 + total


def _pool(away: Floats, runs: Floats, sd: Floats) -> Floats:
    chosen = runs > 1
    if not chosen.any():
        return np.zeros(0)
    pool = away[chosen] * np.sqrt(runs[chosen] / (runs[chosen] - 1)) / sd[chosen]
    size = np.sqrt((pool**2).mean())
    return np.asarray(pool / size) if size > 1e-9 else np.zeros(0)


def _images_again(level: SizeMeans, draws: int, rng: np.random.Generator) -> Floats:
    """A metric is a mean over images in its own unit: PSNRs are averaged in dB."""
    if level.images is None:
        return np.zeros((draws, len(level.x)))
    metric, many = METRICS[level.metric], level.images.shape[1]
    values = metric.from_error(np.maximum(level.images, 1e-12 * level.images.mean(1, keepdims=True)))
    times = rng.multinomial(many, np.full(many, 1.0 / many), size=draws) / many
    shift = np.log(metric.to_error(times @ values.T)) - np.log(metric.to_error(values.mean(1)))
    return np.stack([shift[:, level.group == k].mean(1) for k in range(len(level.x))], axis=1)


def _sum(group: NDArray[np.int64], values: Floats) -> Floats:
    """The sum of ``values`` over each group."""
    return np.bincount(group, values).astype(np.float64)
