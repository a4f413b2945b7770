"""Whether the runs of a study were trained long enough, and what more steps would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reconscale.errors import UserError
from reconscale.files import read_json
from reconscale.format import duration
from reconscale.laws import Finding, Points, decide
from reconscale.laws.findings import finding
from reconscale.laws.points import METRICS
from reconscale.report.tables import Table, table
from reconscale.study import Folder, Result, Study
from reconscale.study.probes import LONGER, Probe

ALIKE = math.log2(LONGER) / 3
"""A probe changes nothing where it gains less than this part of what is worthwhile: a third for each doubling of steps,
as the tolerance of ``converge``."""
DB = 0.1
"""dB on validation that count as worthwhile where the curve is in another unit."""
SHARED = 0.5
"""Of the images: with more of them, two seeds have more in common than not."""


def convergence_findings(
    study: Study, folder: Folder, done: Sequence[Result], points: Points | None, probes: Sequence[Probe]
) -> tuple[Finding, ...]:
    """Cautions about the number of steps, and about seeds that see the same images.

    Args:
        study: the study.
        folder: its results folder.
        done: the results of runs that are done.
        points: their points, or none.
        probes: of the study.
    """
    if points is None or not done:
        return ()
    found = [
        *_unconverged(done, study.analysis.worthwhile, points.metric),
        *_too_few_validation_images(done),
        *_shared_images(study, folder, done),
    ]
    if probes:
        found.append(_of_probes(study, points, probes, done))
    elif study.recipe.steps_are_fixed:
        found.append(finding("not-probed"))
    return tuple(found)


def _unconverged(done: Sequence[Result], worthwhile: float, metric: str) -> list[Finding]:
    """That runs still gained, as a warning where they gained what is worthwhile at some n."""
    open_ones = [result for result in done if result.converged is False]
    if not open_ones:
        return []
    gains: dict[int, list[float]] = {}
    for result in open_ones:
        gains.setdefault(result.run.n, []).append(result.branches[-1].gain or 0.0)
    recipe = open_ones[0].run.recipe
    largest = max(float(np.mean(values)) for values in gains.values())
    matters = largest >= (worthwhile if METRICS[metric].unit == "dB" else DB)
    hours = duration(sum(result.seconds for result in open_ones))  # twice the steps of a trunk cost as much again
    return [finding("not-converged" if matters else "nearly-converged", count=len(open_ones), runs=len(done),
                    sizes=", ".join(f"{n:g}" for n in sorted(gains)), gain=largest, tolerance=recipe.tolerance,
                    doublings=recipe.doublings + 1, hours=hours)]  # fmt: skip


def _too_few_validation_images(done: Sequence[Result]) -> list[Finding]:
    errors = [b.gain_error for r in done for b in r.branches[-1:] if b.gain_error is not None]
    if not errors or float(np.median(errors)) < done[0].run.recipe.tolerance:
        return []
    images = len(next(iter(done)).images.get("val", {})) or done[0].run.images.val
    return [finding("validation-too-small", images=images, error=float(np.median(errors)),
                    tolerance=done[0].run.recipe.tolerance)]  # fmt: skip


def _shared_images(study: Study, folder: Folder, done: Sequence[Result]) -> list[Finding]:
    path = folder.root / "images.json"
    if not path.is_file() or len(study.sweep.seed) < 2:
        return []
    try:
        available = int(read_json(path)["available"])
    except (UserError, KeyError, TypeError, ValueError):
        return []  # of a folder that was put together by hand; whoever runs the study is told
    beyond = sorted({result.run.n for result in done if result.run.n > SHARED * available})
    return [finding("seeds-share-images", n=float(beyond[0]), available=float(available))] if beyond else []


def _of_probes(study: Study, points: Points, probes: Sequence[Probe], done: Sequence[Result]) -> Finding:
    """What four times the steps gained, and whether the verdict would be another."""
    profile, main = study.analysis.profile, study.images.main_test
    metric = METRICS[points.metric]
    errors = [[float(e) for e in metric.to_error(np.array(probe.values(profile, main)))] for probe in probes]
    gains = [float(metric.gain(np.array(before), np.array(after))) for before, after in errors]
    low, high = probes[0].before.run.n, probes[-1].before.run.n
    spelt = [f"{gain:.2g} {metric.unit}" for gain in (gains[0], gains[-1])]
    sizes = {"low": float(low), "high": float(high), "first": spelt[0], "second": spelt[1]}
    if max(gains) < study.analysis.worthwhile * ALIKE:
        return finding("probe-silent", **sizes)
    now = decide(points, worthwhile=study.analysis.worthwhile).verdict
    longer = with_more_steps(points, [probe.before.run.n for probe in probes], errors)
    then = decide(longer, worthwhile=study.analysis.worthwhile)
    verdict = f", and the verdict would be {then.verdict} instead of {now}" if then.verdict != now else ""
    hours = duration(LONGER * sum(result.seconds for result in done))
    return finding("probe-gains", **sizes, verdict=verdict, factor=LONGER, hours=hours)


def with_more_steps(points: Points, n: Sequence[float], errors: Sequence[Sequence[float]]) -> Points:
    """The points as they would be if every run gained what the probes did, in between in a straight line over log n.

    Args:
        points: the measurements.
        n: of the probes, ascending.
        errors: of each probe before and after, as the metric's error.
    """
    ratios = [np.log(after / before) for before, after in errors]
    factor = np.exp(np.interp(np.log(points.n), np.log(np.asarray(n, float)), ratios))
    validation = points.validation
    if validation is not None:
        validation = points.to_metric(METRICS[points.metric].to_error(validation) * factor)
    images = None if points.images is None else points.images * factor[:, None]
    return replace(points, y=points.to_metric(points.error * factor), validation=validation, images=images)


def steps_table(results: Sequence[Result], best: Points | None) -> Table:
    """Validation PSNR at every number of steps that a branch gives, of runs with the policy ``converge``.

    ``selected`` is 1 where the width was chosen for its n; ``converged`` belongs to the last branch of a run.
    """
    chosen: set[tuple[float, int]] = set()
    if best is not None and best.width is not None:
        chosen = {(float(n), int(width)) for n, width in zip(best.n, best.width, strict=True)}
    rows = []
    for result in results:
        run = result.run
        selected = int((float(run.n), run.network.width) in chosen)
        for branch in result.branches if result.status == "done" else ():
            last = branch is result.branches[-1]
            at = (run.n, run.network.width, run.seed, selected, branch.steps, branch.psnr, branch.gain)
            rows.append((*at, branch.gain_error, int(bool(result.converged)) if last else None))
    return table("steps", "n width seed selected steps psnr gain gain_error converged", rows)


def probes_table(study: Study, probes: Sequence[Probe]) -> Table:
    """Every probe beside the run that it repeats with four times the steps; the metric is the curve's, on the test."""
    profile, main = study.analysis.profile, study.images.main_test
    rows = []
    for probe in probes:
        run, values = probe.before.run, probe.values(profile, main)
        rows.append((run.n, run.network.width, run.seed, probe.before.steps, probe.after.steps, *values))
    return table("probes", "n width seed steps longer_steps value longer_value", rows)
