"""Rows of one run count once: repeats, copies, trainings measured at several numbers of steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reconscale.format import tell_apart
from reconscale.laws.findings import finding, unique_findings
from reconscale.laws.points import Points
from reconscale.laws.steps.levels import at_most_steps, label_trainings


def without_repeats(points: Points) -> Points:
    """The points with each run once: rows of one n, network and seed are one run, where their values are equal.

    Of a training that was measured at several numbers of steps the most count; all of its rows are in ``trainings``.
    Rows that differ in the value alone are kept, and a finding asks which one holds. Without seeds, and where there is
    nothing of this kind, the points come back as they are.
    """
    points = at_their_most_steps(points)
    if points.seed is None:
        return points
    labels = {"n": points.n, "p": points.p, "width": points.width, "seed": points.seed}
    known = np.stack([np.asarray(value, float) for value in labels.values() if value is not None], axis=1)
    _, run, count = np.unique(known, axis=0, return_inverse=True, return_counts=True)
    if count.max() == 1:
        return points
    measured = np.stack([run.ravel().astype(np.float64), points.y], axis=1)
    first = np.sort(np.unique(measured, axis=0, return_index=True)[1])
    kept, found = points.rows(first), []
    if len(first) < len(points):
        found.append(finding("repeated-rows", count=len(points) - len(first)))
    runs = np.bincount(run.ravel()[first])
    if runs.max() > 1:
        rows = first[run.ravel()[first] == int(runs.argmax())]
        shared = ", ".join(f"{name} = {value[rows[0]]:g}" for name, value in labels.items() if value is not None)
        values = ", ".join(tell_apart(points.y[rows][:3].tolist()))
        found.append(finding("same-labels", count=int(runs.max()), labels=shared, values=values))
    return replace(kept, findings=unique_findings(kept.findings, tuple(found)))


def at_their_most_steps(points: Points) -> Points:
    """The rows at the most steps of each training, with all of them as ``trainings``; see :func:`.label_trainings`."""
    if points.steps is None or points.trainings is not None:
        return points
    owner = label_trainings([points.n, points.p, points.width, points.seed], points.steps)
    if owner is None:
        return points
    keep = at_most_steps(owner, points.steps)
    found = finding("last-of-training", column="steps", kept=int(keep.sum()), rows=len(points))
    kept = points.rows(keep)
    return replace(kept, trainings=points, findings=unique_findings(kept.findings, (found,)))


def without_copies(points: Points) -> Points:
    """Rows that repeat n and value without a seed to tell them apart are one run, not replicates without noise."""
    if points.seed is not None:
        return points
    _, first = np.unique(np.stack([points.n, points.y]), axis=1, return_index=True)
    if len(first) == len(points):
        return points
    found = finding("copies", count=len(points) - len(first))
    kept = points.rows(np.sort(first))
    return replace(kept, findings=unique_findings(kept.findings, (found,)))
