"""Points for the laws from a results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws import METRICS, NoiseLevel, Points, finding, select_width
from reconscale.results.external_points import points_of_external
from reconscale.results.external_results import ExternalFolder
from reconscale.results.judged import judged_findings, judged_results
from reconscale.results.result import Result
from reconscale.results.results_folder import Folder, folder_of, own_root
from reconscale.results.score_tables import scores_of_runs
from reconscale.results.unit_grouping import set_record, values_of_units
from reconscale.study.external import ExternalStudy, load_study
from reconscale.study.plan import runs_of
from reconscale.study.profiles import PROFILES
from reconscale.study.study_model import Study


def load_points(
    study: Study | ExternalStudy | str | Path,
    folder: Folder | str | Path | None = None,
    *,
    results: Sequence[Result] | None = None,
    profile: str | None = None,
    test_set: str | None = None,
) -> Points:
    """The measured points of a study: one row a run that is done; of several sources the runs of one mix alone.

    Args:
        study: the study, or its file or folder: also a folder of ``rs.measure``, or of a file with ``[command]``.
        folder: its results folder, or the path of that; none: ``runs`` beside the study file.
        results: those that are over; none: they are read from the folder.
        profile: a name in ``PROFILES``; none: the study's own. Of networks of ours alone, as ``test_set``.
        test_set: ``test`` or a named test set; none: the study's main one.

    Raises:
        UserError: the study cannot be read, it is not known where its results are, no run is done yet, a result is
            damaged, or the profile or test set is not in the results.
    """
    study = load_study(study) if isinstance(study, str | Path) else study
    root = own_root(study, folder)
    if isinstance(study, ExternalStudy):
        return _external_points(study, root, profile or test_set)
    folder, runs = folder_of(folder or root), runs_of(study)
    over = judged_results(study, folder.results(runs) if results is None else results, runs)
    done = [result for result in over if result.status == "done"]
    if not done:
        raise UserError(folder.root, "has no run that is done", "train its networks first: `reconscale run`")
    points = points_from_results(
        done, profile=profile or study.analysis.profile, test_set=test_set or study.images.main_test, folder=folder
    )
    return replace(points, findings=(*judged_findings(study, runs), *points.findings))


def _external_points(study: ExternalStudy, root: Path, asked: str | None) -> Points:
    """The points of runs that other code trained: of one metric, on one test set."""
    if asked:
        what = f"has one metric, {study.analysis.metric}, on one test set"
        raise UserError(f"study '{study.name}'", what, f"leave '{asked}' out")
    return points_of_external(study, ExternalFolder(root).results(study.runs()), root.parent)


def points_from_results(
    results: Sequence[Result], *, profile: str, test_set: str, folder: Folder | None = None
) -> Points:
    """The points of results that are done, all on one test set and in one profile.

    Args:
        results: those that are done.
        profile: a name in ``PROFILES``.
        test_set: ``test`` or a named test set.
        folder: their folder, which says how many patients a test set of volumes has; none: nothing is known.

    Raises:
        UserError: the profile or the test set is not in the results.
    """
    for result in results:
        if test_set not in result.metrics:
            raise UserError(
                result.run.id, f"has no test set '{test_set}'", f"it has: {', '.join(sorted(result.metrics))}"
            )
        if profile not in result.metrics[test_set]:
            known = ", ".join(sorted(result.metrics[test_set]))
            raise UserError(result.run.id, f"has no metric '{profile}' on '{test_set}'", f"it has: {known}")
    kind = PROFILES[profile].kind
    record = {} if folder is None else set_record(folder, test_set)
    per_unit = values_of_units(results, profile=profile, test_set=test_set, record=record)
    unsure = () if per_unit is None or not per_unit.unsure else (finding("patients-unknown", what=per_unit.unsure),)
    return Points(
        n=np.array([r.run.n for r in results], float),
        y=np.array([r.metrics[test_set][profile] for r in results]),
        seed=np.array([r.run.seed for r in results]),
        p=np.array([r.p for r in results], float),
        width=np.array([r.run.network.width for r in results]),
        validation=np.array([r.metrics["val"][profile] for r in results]),
        steps=np.array([r.steps for r in results], float) if all(r.steps for r in results) else None,
        images=_errors_of_images(results, profile, test_set),
        per_unit=per_unit,
        findings=unsure,
        metric=kind,
        profile=profile,
        unit=results[0].run.images.noun,
        trainings=trainings_from_branches(results, profile=profile, test_set=test_set),
    )


def _errors_of_images(results: Sequence[Result], profile: str, test_set: str) -> Floats | None:
    """(M, K) error of each test image in the metric of ``profile``; of a metric of volumes, the MSE of each slice.

    None without truth.
    """
    names = list(results[0].images.get(test_set, {}))
    known = results[0].images[test_set][names[0]] if names else {}
    if "mse" not in known:
        return None
    key = profile if profile in known else "mse"
    values = scores_of_runs([r.images[test_set] for r in results], names, key)
    if values is None:
        return None
    return values if key == "mse" else np.maximum(METRICS[PROFILES[profile].kind].to_error(values), 0.0)


def points_of_branches(results: Sequence[Result]) -> Points:
    """Quality at every number of steps that was tried: one row for each branch of runs with the policy ``converge``.

    The values are PSNRs on the validation images (dB), as test images are measured at the end alone.

    Raises:
        UserError: no result has branches.
    """
    rows = [(r, branch) for r in results if r.status == "done" for branch in r.branches]
    if not rows:
        raise UserError("steps", "no run has branches", "run the study with recipe.policy = 'converge'")
    return Points(
        n=np.array([r.run.n for r, _ in rows], float),
        y=np.array([branch.psnr for _, branch in rows]),
        seed=np.array([r.run.seed for r, _ in rows]),
        p=np.array([r.p for r, _ in rows], float),
        metric="psnr",
        width=np.array([r.run.network.width for r, _ in rows]),
        steps=np.array([branch.steps for _, branch in rows], float),
        unit=rows[0][0].run.images.noun,
    )


LEAST_RANGE = 0.1
"""Of ln(MSE) between runs: with less of it nothing says what a fall of the MSE is in another metric."""


def trainings_from_branches(results: Sequence[Result], *, profile: str, test_set: str) -> Points | None:
    """Quality at every number of steps, in the metric of a curve: what it is at the end, less what it gained since.

    Branches are measured in PSNR on validation. A PSNR on the test images is taken to change as much; ln(error) in
    another metric is taken to change in proportion, as it does from run to run at their ends (least squares).

    Args:
        results: those that are done.
        profile: a name in ``PROFILES`` that they have.
        test_set: likewise.

    Returns:
        One row for each branch; None where there are no branches, or the runs do not show that proportion.
    """
    branched = [r for r in results if r.status == "done" and len(r.branches) > 1]
    if not branched:
        return None
    metric = METRICS[PROFILES[profile].kind]
    end = np.log(metric.to_error(np.array([r.metrics[test_set][profile] for r in branched])))
    part = 1.0 if PROFILES[profile].kind == "psnr" else _slope(_log_mse([r.branches[-1].psnr for r in branched]), end)
    if part is None:
        return None
    rows = [
        (r, branch.steps, float(z + part * (_log_mse([branch.psnr]) - _log_mse([r.branches[-1].psnr]))[0]))
        for r, z in zip(branched, end, strict=True)
        for branch in r.branches
    ]
    return points_at_steps(rows, profile)


def points_at_steps(rows: Sequence[tuple[Result, float, float]], profile: str) -> Points:
    """One row for each run and number of steps: a result, the steps, and ln(error) in the metric of ``profile``."""
    metric = METRICS[PROFILES[profile].kind]
    return Points(
        n=np.array([r.run.n for r, _, _ in rows], float),
        y=metric.from_error(np.exp(np.array([z for _, _, z in rows]))),
        seed=np.array([r.run.seed for r, _, _ in rows]),
        p=np.array([r.p for r, _, _ in rows], float),
        metric=metric.name,
        width=np.array([r.run.network.width for r, _, _ in rows]),
        steps=np.array([steps for _, steps, _ in rows], float),
        profile=profile,
        unit=rows[0][0].run.images.noun,
    )


def _log_mse(psnr: Sequence[float]) -> Floats:
    return np.asarray(-np.log(10.0) / 10.0 * np.asarray(psnr, np.float64))


def _slope(x: Floats, z: Floats) -> float | None:
    """Of z over x, by least squares; above 0, or None."""
    if len(x) < 3 or np.ptp(x) < LEAST_RANGE:
        return None
    slope = float(np.polyfit(x, z, 1)[0])
    return slope if slope > 0 else None


def noise_levels_from_results(results: Sequence[Result], *, profile: str, test_set: str) -> NoiseLevel | None:
    """The runs at the largest n, of the width chosen there, at the levels of noise that were tested.

    Args:
        results: those that are done.
        profile: a name in ``PROFILES``.
        test_set: the main one, which other levels are measured on.

    Returns:
        Two levels or more; none where the problem was tested at one alone, or trained without noise.
    """
    if not results:
        return None
    trained = float(getattr(results[0].run.problem, "sigma", 0.0))
    levels = {trained: test_set}
    for sigma in getattr(results[0].run.problem, "test_sigma", ()):
        levels[float(sigma)] = f"{test_set} at sigma {sigma:g}"
    levels = {sigma: name for sigma, name in sorted(levels.items()) if sigma > 0}
    if trained not in levels or len(levels) < 2:
        return None
    best = select_width(points_from_results(results, profile=profile, test_set=test_set))
    largest = best.n.max()
    width = None if best.width is None else best.width[best.n == largest][0]
    there = [r for r in results if r.run.n == largest and width in (None, r.run.network.width)]
    values = tuple(tuple(r.metrics[name][profile] for name in levels.values()) for r in there)
    return NoiseLevel(tuple(levels), values, trained)
