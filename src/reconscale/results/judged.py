"""Of a study whose training images come from several sources: the one mix that the curve over n is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from reconscale.laws import Finding, finding
from reconscale.results.result import AnyResult
from reconscale.study.external import ExternalStudy
from reconscale.study.mixes import MixedRun, judged_runs, share_words, shares_of
from reconscale.study.study_model import Study

T = TypeVar("T", bound=AnyResult)


def judged_words(study: Study | ExternalStudy, runs: Sequence[MixedRun]) -> str:
    """The mix that the curve over n is of, in words; empty where there is one source."""
    names = study.images.source_names
    return share_words(shares_of(max(judged_runs(names, runs), key=lambda run: run.n), names)) if names else ""


def judged_findings(study: Study | ExternalStudy, runs: Sequence[MixedRun]) -> tuple[Finding, ...]:
    """That the curve over n is of one mix alone; nothing where there is one source."""
    if not study.images.source_names:
        return ()
    judged = judged_runs(study.images.source_names, runs)
    return (finding("one-mix", mix=judged_words(study, runs), count=len(judged), runs=len(runs)),)


def judged_results(study: Study | ExternalStudy, results: Sequence[T], runs: Sequence[Any]) -> list[T]:
    """The results of the runs that the verdict is about: see :func:`~reconscale.study.mixes.judged_runs`."""
    if not study.images.source_names:
        return list(results)
    judged = {run.id for run in judged_runs(study.images.source_names, runs)}
    return [result for result in results if result.run.id in judged]
