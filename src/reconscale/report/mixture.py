"""Of a study of several sources: quality by mix and test set, and what an image of each source is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconscale.errors import UserError
from reconscale.format import amount, plain
from reconscale.laws import Finding, Mixture, MixtureCurve, infer_mixture
from reconscale.laws.decisions.gate import not_yet
from reconscale.report.analysis import MetricFormat
from reconscale.report.marks import Figure
from reconscale.report.mixture_figure import mixture_figure
from reconscale.report.tables import Cell, Grid, Table
from reconscale.results import Folder, Result
from reconscale.results.external_points import how_they_went
from reconscale.results.external_results import ExternalResult
from reconscale.results.judged import judged_words
from reconscale.results.mixture_points import load_mixture, mixture_of_external
from reconscale.study import Run, Study
from reconscale.study.external import ExternalRun, ExternalStudy
from reconscale.study.mixes import mix_words
from reconscale.study.profiles import PROFILES

CAPTION = (
    "Lines of equal expected quality over the images of the target and of one other source; dots are mixes that were "
    "measured, the frame is around them. Beyond it the map is a forecast."
)


@dataclass(frozen=True, eq=False)
class StudyMixture:
    """What a study says of its sources.

    Attributes:
        judged: the mix that the curve over n and the verdict are of, in words.
        table: a row for each mix and width: images of each source, runs, and mean and standard error on every test set.
        sentences: exchange rates, what doubling each source gains, and what to collect; or why that is not said.
        findings: cautions of these.
        curve: the laws; None where there are too few mixes.
    """

    judged: str
    table: Table
    sentences: tuple[str, ...]
    findings: tuple[Finding, ...]
    curve: MixtureCurve | None

    @property
    def figure(self) -> Figure | None:
        """Expected quality over the images of the target and of the source after it."""
        return None if self.curve is None else mixture_figure(self.curve)

    @property
    def alt(self) -> str:
        """The figure in words."""
        if self.curve is None:
            return ""
        return f"Map of expected quality over the images of {self.curve.points.sources[0]} and of " \
               f"{self.curve.points.sources[1]}. {' '.join(self.sentences)}"  # fmt: skip


Mixes = tuple[StudyMixture, Grid | None] | None
"""What is said of several sources, and the table of it; None where there is one."""


def study_mixture(
    study: Study, folder: Folder, runs: Sequence[Run], results: Sequence[Result], how: tuple[Finding, ...]
) -> StudyMixture | None:
    """What the results of a study say of its sources; None where there is one source.

    Args:
        study: the study.
        folder: its results folder.
        runs: of its plan.
        results: those that are over.
        how: cautions about how the runs went.
    """
    if not study.images.sources:
        return None
    done = [result for result in results if result.status == "done"]
    made = mixes_table(study.images.source_names, study.analysis.profile, done)
    read = lambda: load_mixture(study, folder, results=results)  # noqa: E731
    return _said(judged_words(study, runs), made, read, (study.analysis.worthwhile, how))


def mixes_of_external(study: ExternalStudy, results: Sequence[ExternalResult]) -> Mixes:
    """What a page says of several sources, of networks of other code; None where there is one.

    Args:
        study: the study.
        results: those that are over.
    """
    if not study.images.sources:
        return None
    done = [result for result in results if result.status == "done"]
    made = mixes_table(study.images.source_names, study.known_metric.name, done)
    read = lambda: mixture_of_external(study, results, study.name)  # noqa: E731
    found = _said(judged_words(study, study.runs()), made, read, (study.worthwhile, how_they_went(results)))
    return found, mixes_grid(found, study)


def _said(
    judged: str, made: Table, read: Callable[[], Mixture], asked: tuple[float, tuple[Finding, ...]]
) -> StudyMixture:
    """Sentences on the sources, or why there are none.

    Args:
        judged: the mix that the curve over n is of.
        made: a row for each mix.
        read: gives the measurements.
        asked: what is worthwhile, and cautions about how the runs went.
    """
    if not len(made):
        return StudyMixture(judged, made, (), (), None)
    worthwhile, how = asked
    try:
        points = read()
        curve = infer_mixture(points)
    except UserError as reason:
        return StudyMixture(judged, made, (f"What images of each source are worth is not known yet: {reason}.",), (),
                            None)  # fmt: skip
    best = curve.best_mix(worthwhile=worthwhile)
    said = (*map(str, curve.exchange_rates()), *map(str, curve.gains(worthwhile)), str(best), _budget_words(points))
    said = (*filter(None, [not_yet(how)]), *said)
    return StudyMixture(judged, made, said, curve.findings, curve)


def _budget_words(points: Mixture) -> str:
    return ("Here an image of each costs 1, and the budget is what doubling all of them costs; for your costs: "
            f"reconscale mixture study.toml --cost {points.sources[-1]}=0.1 --budget 500.")  # fmt: skip


def mixes_table(names: Sequence[str], profile: str, done: Sequence[Any]) -> Table:
    """A row for each mix and width: images of each source, n, width, runs, and every test set.

    Args:
        names: of the sources, the target first.
        profile: the metric of the values.
        done: results, of networks of ours or of other code.
    """
    known = {name for r in done for name in r.metrics if name != "val"}
    first = [name for name in ("test", *names) if name in known]
    sets = [*first, *sorted(known - set(first))]
    cells: dict[tuple[int, ...], list[Any]] = {}
    for result in done:
        key = (*(result.run.mix.get(name, 0) for name in names), _width(result.run))
        cells.setdefault(key, []).append(result)
    rows: list[tuple[Cell, ...]] = []
    for key, members in sorted(cells.items(), key=lambda item: (item[0][-1], *item[0][1:-1], item[0][0])):
        row: list[Cell] = [*key[:-1], sum(key[:-1]), key[-1], len(members)]
        for name in sets:
            values = np.array([r.metrics[name][profile] for r in members if profile in r.metrics.get(name, {})])
            row.append(float(values.mean()) if len(values) else None)
            row.append(float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None)
        rows.append(tuple(row))
    columns = [*(f"n_{name}" for name in names), "n", "width", "runs"]
    return Table("mixes", (*columns, *(f"{kind}_{name}" for name in sets for kind in ("y", "se"))), tuple(rows))


def _width(run: Run | ExternalRun) -> int:
    return run.network.width if isinstance(run, Run) else run.width or 0


def mixes_grid(known: StudyMixture, study: Study | ExternalStudy) -> Grid | None:
    """Quality by mix and test set, for the page."""
    if not len(known.table):
        return None
    names = study.images.source_names
    if isinstance(study, Study):
        quantity = MetricFormat(PROFILES[study.analysis.profile].kind, study.analysis.profile, study.images.noun)
    else:
        quantity = MetricFormat(study.known_metric.name, "", study.images.unit)
    sets = [name.removeprefix("y_") for name in known.table.columns if name.startswith("y_")]
    widths = len(set(known.table.column("width"))) > 1
    rows = []
    for row in known.table.records():
        counts = {name: int(row[f"n_{name}"] or 0) for name in names}
        cells = [_with_error(row[f"y_{name}"], row[f"se_{name}"], quantity) for name in sets]
        rows.append((mix_words(counts, of=names), *([str(row["width"])] if widths else []), str(row["runs"]), *cells))
    heads = [f"#on {names[0] if name == 'test' else name}" for name in sets]
    what = f"{quantity.title}, mean over seeds ± its standard error over them"
    caption = f"Quality by mix and test set: {what}; a test set is of images of its source that no network trained on"
    return Grid(caption, ("mix", *(["#width"] if widths else []), "#runs", *heads), tuple(rows))


def _with_error(value: Cell, error: Cell, quantity: MetricFormat) -> str:
    if value is None:
        return ""
    more = "" if error is None else f" ± {plain(float(error), quantity.digits)}"
    return f"{quantity.bare(float(value))}{more}"


def mixes_words(study: Study, runs: Sequence[Run]) -> list[str]:
    """Sentences of the method on the mixes; none where there is one source."""
    if not study.images.sources:
        return []
    names = study.images.source_names
    mixes = len({tuple(sorted(run.mix.items())) for run in runs})
    measured = [name for name in names[1:] if study.images.of_source(name).test]
    own = f"; {' and '.join(measured)} have test sets of their own" if measured else ""
    return [
        f"Training images come from {' and '.join(names)}, in {amount(mixes)} mix{'es' * (mixes > 1)}; every image of "
        f"a mix is seen as often as any other. Validation and the main test set are of {names[0]}{own}. For a seed, "
        "the first k images of a source are the same whatever comes from the others. No image that one source holds "
        "out, nor a near duplicate of it, is trained on as one of another. The curve over n is of "
        f"{judged_words(study, runs)}."
    ]
