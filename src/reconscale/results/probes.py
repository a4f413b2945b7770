"""Probes: a few runs trained four times as long, which show whether a curve is one of the data or of the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconscale.laws import METRICS, Points, select_width
from reconscale.results.measurements import points_at_steps, points_from_results, trainings_from_branches
from reconscale.results.result import Result
from reconscale.results.results_folder import Folder
from reconscale.study.run import MOST_DOUBLINGS, Recipe, Run

LONGER = 4
"""A probe has this many times the steps."""
NO_TOLERANCE = 1e-9
"""dB: a probe of policy ``converge`` ends where twice the steps gain nothing."""
PROBES = "probe"
"""The folder of probes, inside the results folder."""


@dataclass(frozen=True)
class Probe:
    """A run and the same one with more steps.

    Attributes:
        before: the run of the study.
        after: trained four times as long, or until it gained nothing any more.
    """

    before: Result
    after: Result

    def values(self, profile: str, test_set: str) -> tuple[float, float]:
        """The metric before and after.

        Args:
            profile: a name in ``PROFILES`` that the results have.
            test_set: a test set that they have.
        """
        return self.before.metrics[test_set][profile], self.after.metrics[test_set][profile]


def probes_folder(folder: Folder) -> Folder:
    """Where the probes of a study are."""
    return Folder(folder.root / PROBES)


def longer_run(result: Result) -> Run:
    """The run of a result with four times the steps.

    Policies that validation ends get four times the patience too; ``converge`` two doublings more than it took.
    """
    recipe = result.run.recipe
    changes: dict[str, float] = {"steps": LONGER * recipe.steps}
    if recipe.policy == "converge":
        longer = min(MOST_DOUBLINGS, max(1, len(result.branches) - 1) + 2)
        changes = {"doublings": longer, "tolerance": NO_TOLERANCE}
    elif not recipe.steps_are_fixed:
        changes["patience"] = LONGER * recipe.patience
        if recipe.epochs is not None:
            changes["epochs"] = LONGER * recipe.epochs
    changed = Recipe.model_validate({**recipe.model_dump(exclude_defaults=True), **changes})
    return result.run.model_copy(update={"recipe": changed})


def results_to_probe(results: Sequence[Result], *, profile: str, test_set: str) -> list[Result]:
    """The runs that a probe trains for longer: the smallest and the largest n, at the width selected at the largest.

    Args:
        results: of the study.
        profile: by which the width is selected.
        test_set: likewise.

    Returns:
        One result of the lowest seed at each of the two n; nothing where no run is done.
    """
    # A run that broke off would do so again, and look as if more steps gained nothing.
    done = [result for result in results if result.status == "done" and not result.reason]
    if not done:
        return []
    points: Points = select_width(points_from_results(done, profile=profile, test_set=test_set))
    largest = points.n.max()
    width = None if points.width is None else points.width[points.n == largest][0]
    alike = [result for result in done if width in (None, result.run.network.width)]
    sizes = sorted({result.run.n for result in alike})
    chosen = []
    for n in dict.fromkeys((sizes[0], sizes[-1])):
        chosen.append(min((r for r in alike if r.run.n == n), key=lambda r: r.run.seed))
    return chosen


def with_probes(
    points: Points, results: Sequence[Result], probes: Sequence[Probe], *, profile: str, test_set: str
) -> Points:
    """The points, with what probes say of more steps among their ``trainings``.

    A probe of policy ``converge`` has all branches of its run, and more: it stands for that run. Of other policies it
    is a second measurement of the run.

    Args:
        points: of the study.
        results: they are from.
        probes: of the study.
        profile: a name in ``PROFILES`` that the results have.
        test_set: likewise.
    """
    longer = {probe.before.run.id: probe.after for probe in probes if probe.after.branches}
    if longer:
        instead = [longer.get(result.run.id, result) for result in results]
        return replace(points, trainings=trainings_from_branches(instead, profile=profile, test_set=test_set))
    if not probes:
        return points
    metric = METRICS[points.metric]
    rows = [
        (result, float(result.steps), float(np.log(metric.to_error(np.array([value])))[0]))
        for probe in probes
        for result, value in zip((probe.before, probe.after), probe.values(profile, test_set), strict=True)
    ]
    return replace(points, trainings=points_at_steps(rows, profile)) if all(row[1] for row in rows) else points


def read_probes(folder: Folder, results: Sequence[Result], *, profile: str, test_set: str) -> list[Probe]:
    """The probes that are done, in the order of n. Those of another width or n, of an earlier plan, are left out.

    Args:
        folder: of the study's results.
        results: of the study.
        profile: by which the width is selected.
        test_set: likewise.

    Raises:
        UserError: the result of a probe is damaged.
    """
    inside = probes_folder(folder)
    if not inside.root.is_dir():
        return []
    found = []
    for result in results_to_probe(results, profile=profile, test_set=test_set):
        after = inside.read(longer_run(result), images=False)
        if after is not None and after.status == "done":
            found.append(Probe(result, after))
    return found
