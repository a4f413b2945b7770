"""Points for the laws from runs that other code trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from reconscale.errors import UserError
from reconscale.laws import Points
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import Metric
from reconscale.laws.unit_values import UnitValues
from reconscale.results.external_results import ExternalResult
from reconscale.results.judged import judged_findings, judged_results
from reconscale.study.external import ExternalStudy


def points_of_external(study: ExternalStudy, results: Sequence[ExternalResult], where: object) -> Points:
    """The points of runs that are done, with cautions about those that are not; of several sources those of one mix.

    Args:
        study: the study.
        results: those that are over.
        where: what messages call the study.

    Raises:
        UserError: no run is done.
    """
    runs = study.runs() if study.images.sources else ()
    results = judged_results(study, results, runs)
    done = done_results(results, where)
    metric = study.known_metric
    name = metric.name
    known = {"p": [r.p for r in done], "steps": [r.steps for r in done], "width": [r.run.width or 0 for r in done]}
    columns: dict[str, Any] = {key: np.array(values, float) for key, values in known.items() if all(values)}
    if all("val" in r.metrics for r in done):
        columns["validation"] = np.array([r.metrics["val"][name] for r in done])
    return Points(
        n=np.array([r.run.n for r in done], float),
        y=np.array([r.metrics["test"][name] for r in done]),
        seed=np.array([r.run.seed for r in done]),
        metric=name,
        images=_errors(done, metric),
        per_unit=_values(done, metric),
        unit=study.images.unit,
        findings=(
            *judged_findings(study, runs),
            *how_they_went(results),
            *without_effect(done, name),
            finding("convergence-unknown"),
        ),
        **columns,
    )


def done_results(results: Sequence[ExternalResult], where: object) -> list[ExternalResult]:
    """Those that are done.

    Raises:
        UserError: none is.
    """
    done = [result for result in results if result.status == "done"]
    if not done:
        lost = next(iter(results), None)
        if lost is None:
            raise UserError(where, "has no run that is done", "train its networks first")
        raise UserError(where, f"has no run that is done: {lost.run.words}: {lost.reason}", "mend that, and repeat")
    return done


def how_they_went(results: Sequence[ExternalResult]) -> tuple[Finding, ...]:
    """Cautions about runs that are lost, and about code that has changed between them."""
    return (*_lost(results), *_changed([result for result in results if result.status == "done"]))


def _errors(done: Sequence[ExternalResult], metric: Metric) -> np.ndarray | None:
    """(M, K) error of each test item, where all runs have values item by item."""
    values = _values(done, metric)
    return None if values is None else np.asarray(metric.to_error(values.values))


def _values(done: Sequence[ExternalResult], metric: Metric) -> UnitValues | None:
    """The metric of each test item, where all runs have values item by item."""
    items = list(done[0].images.get("test", {}))
    if not items or any(set(r.images.get("test", {})) != set(items) for r in done):
        return None
    values = np.array([[r.images["test"][item][metric.name] for item in items] for r in done])
    return UnitValues(values, tuple(items), "items")


def _lost(results: Iterable[ExternalResult]) -> tuple[Finding, ...]:
    every = list(results)
    lost = [result for result in every if result.status != "done"]
    if not lost:
        return ()
    sizes = ", ".join(str(n) for n in sorted({result.run.n for result in lost}))
    return (finding("failed-runs", count=len(lost), runs=len(every), sizes=sizes),)


def without_effect(
    done: Sequence[ExternalResult], metric: str, settings: Sequence[str] = ("n", "width", "seed")
) -> Iterator[Finding]:
    """A warning for each of these settings that never changes the value of a run; of mixes n is none of them."""
    for what in settings:
        lines: dict[tuple[object, ...], set[float]] = {}
        counts: Counter[tuple[object, ...]] = Counter()
        for result in done:
            mix = () if what == "n" else tuple(sorted(result.run.mix.items()))
            others = (mix, *(getattr(result.run, other) for other in ("n", "width", "seed") if other != what))
            lines.setdefault(others, set()).add(result.metrics["test"][metric])
            counts[others] += 1
        compared = [values for others, values in lines.items() if counts[others] > 1]
        if compared and all(len(values) == 1 for values in compared):
            yield finding("without-effect", what=what)


def _changed(done: Sequence[ExternalResult]) -> tuple[Finding, ...]:
    """A caution where results are of several versions of the code that trains."""
    versions = [result.provenance.get("code") for result in done]
    counts = {version: versions.count(version) for version in versions if version}
    if len(counts) < 2:
        return ()
    return (finding("train-changed", count=sum(counts.values()) - max(counts.values()), runs=len(done)),)
