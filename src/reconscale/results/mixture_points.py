"""Measurements of a study whose training images come from several sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.laws import Finding, Mixture, finding
from reconscale.results.result import Result
from reconscale.results.results_folder import Folder, folder_of, image_cautions
from reconscale.study.mixes import judged_runs, share_words, shares_of
from reconscale.study.plan import runs_of
from reconscale.study.profiles import PROFILES
from reconscale.study.run import Run
from reconscale.study.study_model import Study


def load_mixture(
    study: Study,
    folder: Folder | str | Path,
    *,
    results: Sequence[Result] | None = None,
    profile: str | None = None,
    test_set: str | None = None,
    target: str | None = None,
) -> Mixture:
    """The measurements of a study of mixes: one row a run that is done.

    Args:
        study: the study.
        folder: its results folder, or the path of that.
        results: those that are over; none: they are read from the folder.
        profile: a name in ``PROFILES``; none: the study's own.
        test_set: ``test``, a source, or a further test set; none: the main one.
        target: the source whose image counts 1; none: the source that the test set is of, else the study's target.

    Raises:
        UserError: the images come from one source, no run is done, a result is damaged, or the profile, the test set or
            the target is not there.
    """
    folder = folder_of(folder)
    names = study.images.source_names
    if not names:
        raise UserError(f"study '{study.name}'", "has images of one source",
                        "ask `decide`, or name several in [images.sources.NAME] and say sweep.mix")  # fmt: skip
    over = folder.results(runs_of(study)) if results is None else results
    done = [result for result in over if result.status == "done"]
    if not done:
        raise UserError(folder.root, "has no run that is done", "train its networks first: `reconscale run`")
    profile, main = profile or study.analysis.profile, test_set or study.images.main_test
    own = main if main in names else study.images.target or names[0]
    if target is not None and target not in names:
        raise UserError("target", f"there is no source '{target}'", suggest(target, names))
    for result in done:
        if main not in result.metrics:
            raise UserError(result.run.id, f"has no test set '{main}'", f"it has: {', '.join(sorted(result.metrics))}")
        if profile not in result.metrics[main]:
            known = ", ".join(sorted(result.metrics[main]))
            raise UserError(result.run.id, f"has no metric '{profile}' on '{main}'", f"it has: {known}")
    return Mixture(
        {name: np.array([float(result.run.mix.get(name, 0)) for result in done]) for name in names},
        np.array([result.metrics[main][profile] for result in done]),
        np.array([result.run.seed for result in done]),
        np.array([float(result.p) for result in done]),
        PROFILES[profile].kind,
        target=target or own,
        unit=study.images.noun if study.images.noun != "images" else "training images",
        findings=_findings(folder, over),
    )


def _findings(folder: Folder, results: Sequence[Result]) -> tuple[Finding, ...]:
    """What was noticed about the images, and the runs that are lost."""
    noticed = image_cautions(folder)
    found = [finding("images", what="; ".join(noticed))] if noticed else []
    lost = [result for result in results if result.status != "done"]
    if lost:
        sizes = ", ".join(f"{n:g}" for n in sorted({result.run.n for result in lost}))
        found.append(finding("failed-runs", count=len(lost), runs=len(results), sizes=sizes))
    return tuple(found)


def judged_words(study: Study, runs: Sequence[Run]) -> str:
    """The mix that the curve over n is of, in words; empty where there is one source."""
    return share_words(shares_of(max(judged_runs(study, runs), key=lambda run: run.n))) if study.images.sources else ""


def judged_findings(study: Study, runs: Sequence[Run]) -> tuple[Finding, ...]:
    """That the curve over n is of one mix alone; nothing where there is one source."""
    if not study.images.sources:
        return ()
    judged = judged_runs(study, runs)
    return (finding("one-mix", mix=judged_words(study, runs), count=len(judged), runs=len(runs)),)


def judged_results(study: Study, results: Sequence[Result], runs: Sequence[Run]) -> list[Result]:
    """The results of :func:`judged_runs`."""
    if not study.images.sources:
        return list(results)
    judged = {run.id for run in judged_runs(study, runs)}
    return [result for result in results if result.run.id in judged]
