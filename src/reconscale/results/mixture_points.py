"""Measurements of a study whose training images come from several sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.laws import Finding, Mixture, finding
from reconscale.results.external_points import done_results, how_they_went, without_effect
from reconscale.results.external_results import ExternalFolder, ExternalResult
from reconscale.results.result import Result
from reconscale.results.results_folder import Folder, image_cautions, own_root
from reconscale.study.external import ExternalStudy, load_study
from reconscale.study.plan import runs_of
from reconscale.study.profiles import PROFILES
from reconscale.study.study_model import Study


def load_mixture(
    study: Study | ExternalStudy | str | Path,
    folder: Folder | ExternalFolder | str | Path | None = None,
    *,
    results: Sequence[Result] | None = None,
    profile: str | None = None,
    test_set: str | None = None,
    target: str | None = None,
) -> Mixture:
    """The measurements of a study of mixes: one row a run that is done.

    Args:
        study: the study, or its file or folder: also a folder of ``rs.measure_mixture``.
        folder: its results folder, or the path of that; none: ``runs`` beside the study file.
        results: those that are over; none: they are read from the folder.
        profile: a name in ``PROFILES``; none: the study's own. Of networks of ours alone, as ``test_set``.
        test_set: ``test``, a source, or a further test set; none: the main one.
        target: the source whose image counts 1; none: the source that the test set is of, else the study's target.

    Raises:
        UserError: the images come from one source, no run is done, a result is damaged, or the profile, the test set or
            the target is not there.
    """
    study = load_study(study) if isinstance(study, str | Path) else study
    names = study.images.source_names
    if not names:
        how = "name several in [images.sources.NAME] and say sweep.mix"
        how = how if isinstance(study, Study) else "measure with rs.measure_mixture"
        raise UserError(f"study '{study.name}'", "has images of one source", f"ask `decide`, or {how}")
    root = own_root(study, folder)
    if isinstance(study, ExternalStudy):
        if profile or test_set:
            what = f"has one metric, {study.analysis.metric}, on one test set"
            raise UserError(f"study '{study.name}'", what, f"leave '{profile or test_set}' out")
        return mixture_of_external(study, ExternalFolder(root).results(study.runs()), root.parent, target)
    folder = Folder(root)
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


def mixture_of_external(
    study: ExternalStudy, results: Sequence[ExternalResult], where: object, target: str | None = None
) -> Mixture:
    """The measurements of runs that other code trained, with cautions about those that are not done.

    Args:
        study: the study, of several sources.
        results: those that are over.
        where: what messages call the study.
        target: the source whose image counts 1; none: the study's own.

    Raises:
        UserError: no run is done, or the target is no source.
    """
    names, name = study.images.source_names, study.known_metric.name
    if target is not None and target not in names:
        raise UserError("target", f"there is no source '{target}'", suggest(target, names))
    done = done_results(results, where)
    return Mixture(
        {source: np.array([float(result.run.mix.get(source, 0)) for result in done]) for source in names},
        np.array([result.metrics["test"][name] for result in done]),
        np.array([result.run.seed for result in done]),
        np.array([float(result.p) for result in done]) if all(result.p for result in done) else None,
        name,
        target=target or names[0],
        unit=study.images.unit,
        findings=(*how_they_went(results), *without_effect(done, name, ("width", "seed"))),
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
