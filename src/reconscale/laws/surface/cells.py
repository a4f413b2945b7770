"""Mean and spread per cell (n, p): the data that a surface is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.points import Points
from reconscale.laws.surface.shared_seeds import estimate_shared_seeds

LEAST_SIZES, LEAST_CELLS = 3, 6
"""Distinct n, distinct p, and cells that a surface needs."""
MOST_CELLS = 256
"""More cells than this are merged with their neighbours, so that time stays bounded."""
ONE_LINE = 0.98
"""From this correlation of ln n and ln p on, the cells lie on a line."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Sufficient statistics of the points, on the log-error scale.

    Attributes:
        x: (K,) ln n.
        y: (K,) ln p.
        z: (K,) mean over seeds of ln(error).
        count: (K,) runs.
        squares: (K,) sum of squares of the runs about their cell's mean.
        dof: (K,) degrees of freedom behind ``squares``; both count in part where cells share their seeds' deviations.
        overlap: (K, K) part of all pairs of runs of two cells that share p and seed.
        shared: part of the variance between seeds that is alike at all n of one p.
        hull: (H, 2) corners of the convex range of (ln n, ln p), counter-clockwise.
        metric: name of the metric.
        findings: cautions.
    """

    x: Floats
    y: Floats
    z: Floats
    count: Floats
    squares: Floats
    dof: Floats
    overlap: Floats
    shared: float
    hull: Floats
    metric: str
    findings: tuple[Finding, ...]

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the measured range of ln n and of ln p."""
        return 0.5 * float(self.x.min() + self.x.max()), 0.5 * float(self.y.min() + self.y.max())

    @property
    def span(self) -> tuple[float, float]:
        """Length of the measured range of ln n and of ln p."""
        return float(np.ptp(self.x)), float(np.ptp(self.y))


def has_surface(points: Points) -> bool:
    """Whether there are enough cells (n, p) for a surface."""
    if points.p is None:
        return False
    measured = np.unique(np.stack([points.n, points.p], axis=1), axis=0)
    distinct = min(len(np.unique(column)) for column in measured.T)
    return distinct >= LEAST_SIZES and len(measured) >= LEAST_CELLS


def cells(points: Points) -> Cells:
    """Reduce ``points`` to cells; the order of their rows does not matter, to the last bit.

    Raises:
        UserError: p is not known, or there are fewer than 3 distinct n, 3 distinct p or 6 cells.
    """
    if points.p is None:
        raise UserError("points", "found no p", "a surface over n and p needs the number of parameters of every run")
    labels = np.zeros(len(points)) if points.seed is None else points.seed
    order = np.lexsort((labels, points.error, points.p, points.n))
    n, p, log_error = points.n[order], points.p[order], np.log(points.error[order])
    sizes, group = np.unique(np.stack([n, p], axis=1), axis=0, return_inverse=True)
    group = group.ravel()
    _enough(sizes)
    count = np.bincount(group).astype(np.float64)
    z = _sum(group, log_error) / count
    squares = _sum(group, (log_error - z[group]) ** 2)
    x, y = np.log(sizes).T
    found = _cautions(sizes, z, squares, count)
    seed = None if points.seed is None else points.seed[order]
    shared = estimate_shared_seeds(sizes[:, 1], group, seed, log_error - z[group])
    common, squares, dof = shared.common, shared.own * squares, shared.own * (count - 1)
    if len(z) > MOST_CELLS:
        owner = _merge(x, y)
        found.append(finding("sizes-merged", sizes=len(z), levels=int(owner.max()) + 1))
        runs = _sum(owner, count)
        x, y, z = (_sum(owner, count * part) / runs for part in (x, y, z))
        squares, dof, count = _sum(owner, squares), _sum(owner, dof), runs
        merged = (owner == np.arange(len(runs))[:, None]).astype(np.float64)
        common = merged @ common @ merged.T
    hull = convex(np.stack([x, y], axis=1))
    overlap, findings = common / np.outer(count, count), unique_findings(points.findings, tuple(found))
    return Cells(x, y, z, count, squares, dof, overlap, shared.rho, hull, points.metric, findings)


def convex(places: Floats) -> Floats:
    """Corners (H, 2) of the convex range of places (K, 2), counter-clockwise. Source: Andrew's monotone chain."""
    ordered = np.unique(places, axis=0)
    if len(ordered) < 3:
        return ordered
    chains = []
    for side in (ordered, ordered[::-1]):
        chain: list[Floats] = []
        for place in side:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], place) <= 0:
                chain.pop()
            chain.append(place)
        chains += chain[:-1]
    return np.array(chains)


def nearest_inside(hull: Floats, places: Floats) -> Floats:
    """The nearest point (N, 2) of the convex range for each of places (N, 2); a place inside is its own."""
    ends = np.roll(hull, -1, axis=0)
    along = ends - hull
    away = places[:, None, :] - hull
    length = np.maximum((along**2).sum(1), 1e-300)
    part = np.clip((away * along).sum(2) / length, 0.0, 1.0)
    on_edge = hull + part[..., None] * along
    edge = ((places[:, None, :] - on_edge) ** 2).sum(2).argmin(1)
    turns = along[:, 0] * away[..., 1] - along[:, 1] * away[..., 0]
    outside = np.asarray((turns < 0).any(1)) | (len(hull) < 3)
    return np.where(outside[:, None], on_edge[np.arange(len(places)), edge], places)


def _turn(first: Floats, second: Floats, third: Floats) -> float:
    one, two = second - first, third - first
    return float(one[0] * two[1] - one[1] * two[0])


def _enough(sizes: Floats) -> None:
    n, p = (len(np.unique(column)) for column in sizes.T)
    if n < LEAST_SIZES or p < LEAST_SIZES or len(sizes) < LEAST_CELLS:
        raise UserError(
            "points",
            f"found {n} distinct n and {p} distinct p in {len(sizes)} cells",
            f"a surface needs at least {LEAST_SIZES} of each and {LEAST_CELLS} cells",
        )


def _cautions(sizes: Floats, z: Floats, squares: Floats, count: Floats) -> list[Finding]:
    found = []
    if count.max() == 1:
        found.append(finding("no-seeds"))
    elif count.min() != count.max():
        found.append(finding("unequal-seeds", low=int(count.min()), high=int(count.max())))
    line = abs(float(np.corrcoef(np.log(sizes).T)[0, 1]))
    if line > ONE_LINE:
        found.append(finding("p-follows-n", correlation=line))
    pooled = squares.sum() / max(float((count - 1).sum()), 1.0)
    for n in np.unique(sizes[:, 0]):
        here = np.flatnonzero(sizes[:, 0] == n)
        low, high = here[z[here].argmin()], here[-1]
        if z[high] - z[low] > max(3.0 * np.sqrt(pooled * (1 / count[high] + 1 / count[low])), 0.01):
            found.append(finding("overfits", n=float(n), low=float(sizes[low, 1]), high=float(sizes[high, 1])))
            break
    return found


def _merge(x: Floats, y: Floats) -> NDArray[np.int64]:
    """Which of at most MOST_CELLS neighbouring groups each cell belongs to, at equal steps of ln n and ln p."""
    steps = int(np.sqrt(MOST_CELLS))
    bins = [np.minimum((part - part.min()) / np.ptp(part) * steps, steps - 1).astype(np.int64) for part in (x, y)]
    return np.unique(bins[0] * steps + bins[1], return_inverse=True)[1].ravel()


def _sum(group: NDArray[np.int64], values: Floats) -> Floats:
    return np.bincount(group, values).astype(np.float64)
