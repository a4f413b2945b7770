"""Whether the runs of a study were trained long enough, and what more steps would change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from reconscale.format import amount, duration, short
from reconscale.laws import Finding, Points, decide, select_width
from reconscale.laws.findings import finding
from reconscale.laws.points import METRICS
from reconscale.report.tables import Table, table
from reconscale.results import Folder, Result
from reconscale.results.probes import LONGER, Probe, results_to_probe
from reconscale.results.results_folder import images_at_hand
from reconscale.study import Study

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
        *_unconverged(done, study.analysis.worthwhile, points),
        *_too_few_validation_images(done),
        *_shared_images(folder, done),
    ]
    if probes and probes[-1].before.run.n == points.n.max():
        found.append(_of_probes(study, points, probes, done))
    elif study.recipe.steps_are_fixed:
        found.append(_not_probed(study, points, done))
    return tuple(found)


def _not_probed(study: Study, points: Points, done: Sequence[Result]) -> Finding:
    """That nobody knows whether a fixed number of steps was enough, why looking does not tell, and how to find out.

    Where the rate falls to zero validation ends flat by construction. And equal steps are unequal training: many passes
    over few images, few over many.
    """
    steps = sorted({result.steps for result in done})
    spelt = amount(steps[0]) if steps[0] == steps[-1] else f"{amount(steps[0])} to {amount(steps[-1])}"
    why = f"all runs had {spelt} steps"
    least, most = (min(done, key=_passes), max(done, key=_passes))
    if not study.images.volumes and _passes(most) > 2.0 * _passes(least) > 0.0:
        why += (
            f", which are {short(_passes(most))} passes over the images at n = {amount(most.run.n)} and "
            f"{short(_passes(least))} at n = {amount(least.run.n)}"
        )
    if study.recipe.policy == "fast" or study.recipe.decay != "none":
        why += ", and the rate falls to zero in them, so that validation is flat at the end whether or not more help"
    probed = results_to_probe(done, profile=points.profile, test_set=study.images.main_test)
    width = probed[0].run.network.width if probed else study.sweep.width[-1]
    sizes = " and ".join(f"n = {amount(result.run.n)}" for result in probed)
    seconds = LONGER * sum(result.seconds for result in probed)
    hours = f" (about {duration(seconds)})" if seconds else ""
    return finding("not-probed", why=why, what=f"{sizes} at width {width}", hours=hours)


def _passes(result: Result) -> float:
    """How often a run has seen each of its images, where n counts images."""
    return result.samples / result.run.n


def _unconverged(done: Sequence[Result], worthwhile: float, points: Points) -> list[Finding]:
    """That no run, or which runs still gained; a warning where selected widths gained what is worthwhile at some n."""
    open_ones = [result for result in done if result.converged is False]
    if not open_ones:
        if not all(result.converged for result in done):
            return []
        return [finding("trained-out", runs=len(done), tolerance=done[0].run.recipe.tolerance)]
    gain = _gain_of_selected(done, points)
    matters = gain >= (worthwhile if METRICS[points.metric].unit == "dB" else DB)
    recipe = open_ones[0].run.recipe
    hours = duration(sum(result.seconds for result in open_ones))  # twice the steps of a trunk cost as much again
    return [finding("not-converged" if matters else "nearly-converged", count=len(open_ones), runs=len(done),
                    sizes=", ".join(f"{n:g}" for n in sorted({result.run.n for result in open_ones})), gain=gain,
                    tolerance=recipe.tolerance, doublings=recipe.doublings + 1, hours=hours)]  # fmt: skip


def _gain_of_selected(done: Sequence[Result], points: Points) -> float:
    """The largest gain of the last doubling of steps (dB) at any n, mean over seeds, at the width selected there."""
    best = select_width(points)
    widths = {} if best.width is None else dict(zip(best.n.tolist(), best.width.tolist(), strict=True))
    gains: dict[int, list[float]] = {}
    for result in done:
        run = result.run
        if result.branches and widths.get(run.n, run.network.width) == run.network.width:
            gains.setdefault(run.n, []).append(result.branches[-1].gain or 0.0)
    return max(float(np.mean(values)) for values in gains.values())


def _too_few_validation_images(done: Sequence[Result]) -> list[Finding]:
    measured = [(r, b.gain_error) for r in done for b in r.branches[-1:] if b.gain_error is not None]
    if not measured:
        return []
    first, error = measured[0][0], float(np.median([error for _, error in measured]))
    if error < first.run.recipe.tolerance:
        return []
    images = len(first.images.get("val", {})) or first.run.images.val
    return [finding("validation-too-small", images=images, error=error, tolerance=first.run.recipe.tolerance)]


def _shared_images(folder: Folder, done: Sequence[Result]) -> list[Finding]:
    available = images_at_hand(folder)
    if available is None:
        return []  # of a folder that was put together by hand
    seeds: dict[int, set[int]] = {}
    for result in done:
        seeds.setdefault(result.run.n, set()).add(result.run.seed)
    beyond = sorted(n for n, several in seeds.items() if n > SHARED * available and len(several) > 1)
    return [finding("seeds-share-images", n=float(beyond[0]), available=float(available))] if beyond else []


def _of_probes(study: Study, points: Points, probes: Sequence[Probe], done: Sequence[Result]) -> Finding:
    """What four times the steps gained, and whether the verdict would be another."""
    profile, main = study.analysis.profile, study.images.main_test
    metric = METRICS[points.metric]
    errors = [[float(e) for e in metric.to_error(np.array(probe.values(profile, main)))] for probe in probes]
    gains = [float(metric.gain(np.array(before), np.array(after))) for before, after in errors]
    unit = f" {metric.unit}" if metric.unit else ""
    spelt = [f"{gain:.2g}{unit} at n = {amount(p.before.run.n)}" for gain, p in zip(gains, probes, strict=True)]
    found = " and ".join(spelt)
    if max(gains) < study.analysis.worthwhile * ALIKE:
        return finding("probe-silent", gains=found)
    now = decide(points, worthwhile=study.analysis.worthwhile).verdict
    longer = with_more_steps(points, [probe.before.run.n for probe in probes], errors)
    then = decide(longer, worthwhile=study.analysis.worthwhile)
    changed = f", and the verdict would be {then.verdict} instead of {now}"
    verdict = changed if then.verdict != now else f", but the verdict would be {now} too"
    hours = duration(LONGER * sum(result.seconds for result in done))
    return finding("probe-gains", gains=found, verdict=verdict, factor=LONGER, hours=hours)


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
