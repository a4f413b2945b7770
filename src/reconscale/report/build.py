"""Write a report folder from a study or from points: page, figures and tables."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reconscale.files import to_json, write_atomic
from reconscale.format import amount, times
from reconscale.laws import Finding, Points
from reconscale.laws.findings import unique_findings
from reconscale.report import figures, html_tables, page_text
from reconscale.report.analysis import Analysis, analyse, decision_record, json_safe
from reconscale.report.choices import choices_grid, choices_table
from reconscale.report.comparison import exchange_table, rates_grid
from reconscale.report.convergence import probes_table, steps_table
from reconscale.report.crowds import MOST_ROWS, lost_runs
from reconscale.report.explanation import (
    Explanation,
    explanation_sentences,
    explanation_table,
)
from reconscale.report.first_screen import answer_in_short, next_step_of, question_of
from reconscale.report.mixture import Mixes, StudyMixture, mixes_grid, mixes_of_external, mixes_words
from reconscale.report.next_steps import next_steps
from reconscale.report.page import Page, render
from reconscale.report.page_plots import plots_of
from reconscale.report.pictures import fitting, left_out_words, strips_of
from reconscale.report.published import (
    Beside,
    published_tables,
    shown_beside,
)
from reconscale.report.run_tables import (
    cost_table,
    faults_table,
    hours_from,
    runs_table,
    sets_grid,
    shift_table,
    validation_table,
    volumes_grid,
    volumes_table,
)
from reconscale.report.sentences import backtest_lines, members_sentence, target_sentence
from reconscale.report.study_analysis import StudyAnalysis, analyse_study
from reconscale.report.tables import (
    Table,
    backtest_table,
    baselines_table,
    budget_table,
    curve_table,
    fan_table,
    findings_table,
    frontier_table,
    gains_table,
    known_table,
    law_table,
    map_table,
    members_table,
    points_table,
    size_table,
)
from reconscale.report.training_budget import training_budget_grid, training_budget_table
from reconscale.report.trust import find_trust
from reconscale.results import Folder, Result
from reconscale.results.choices import read_choices
from reconscale.results.external_points import points_of_external
from reconscale.results.external_results import ExternalFolder
from reconscale.results.results_folder import folder_of, others_sentence, own_root, read_incidents
from reconscale.study import Run, Study
from reconscale.study.defaults import written_out
from reconscale.study.external import ExternalStudy, load_study

Progress = Callable[[str], None]
MOST_RECORDS = 20_000
"""Rows of a table of ``numbers.json``; longer ones are in their CSV files alone, and counted there."""


def report_study(
    study: Study | ExternalStudy | str | Path,
    folder: Folder | str | Path | None = None,
    out: str | Path | None = None,
    *,
    pictures: bool = True,
    progress: Progress | None = None,
    spreadsheet: str = "",
) -> Path:
    """Write the report of a study, however far it is.

    Args:
        study: the study, or its file or folder: also a folder of ``rs.measure``, or of a file with ``[command]``.
        folder: its results folder, or the path of that; none: ``runs`` beside the study file.
        out: where ``report.html``, the figures, the CSV files and ``numbers.json`` go; made where it is missing; none:
            ``report`` beside the results folder.
        pictures: whether reconstructed images are embedded.
        progress: called with what is being done.
        spreadsheet: ``point`` or ``comma``: CSV files for one with that mark of decimals; empty: for programs.

    Returns:
        The path of ``report.html``.

    Raises:
        UserError: the study cannot be read, it is not known where its results are, a result is damaged, results were
            measured on different images, or ``out`` cannot be written to.
    """
    study = load_study(study) if isinstance(study, str | Path) else study
    root = own_root(study, folder)
    out = root.parent / "report" if out is None else Path(out)
    if isinstance(study, ExternalStudy):
        results = ExternalFolder(root).results(study.runs())
        points = points_of_external(study, results, root.parent)
        again = f"reconscale report {shlex.quote(str(root.parent))}"
        return report_points(points, out, title=study.name, worthwhile=study.worthwhile, command=again,
                             spreadsheet=spreadsheet, mixes=mixes_of_external(study, results))  # fmt: skip
    known = analyse_study(study, folder_of(folder or root), progress=progress)
    return write_study(known, out, pictures=pictures, progress=progress, spreadsheet=spreadsheet)


def write_study(
    known: StudyAnalysis,
    out: Path,
    *,
    pictures: bool = True,
    progress: Progress | None = None,
    beside: Beside | None = None,
    statement: Sequence[str] = (),
    spreadsheet: str = "",
) -> Path:
    """Write the report of a study whose results are gathered already; see :func:`report_study`.

    Args:
        known: the study and what came out.
        out: the folder of the report.
        pictures: whether reconstructed images are embedded.
        progress: called with what is being done.
        beside: published curves to show beside that of the study, or None.
        statement: the paragraph on sample size to show; empty: none.
        spreadsheet: ``point`` or ``comma``: CSV files for one with that mark of decimals; empty: for programs.
    """
    study, answer, done = known.study, known.answer, known.done
    profile, main, quantity = study.analysis.profile, study.images.main_test, known.quantity
    best = None if answer is None else answer.best
    strips, left_out = fitting(strips_of(known.anchors, known.folder, done, best, main) if pictures else ())
    costs = cost_table(done, None if known.sets is None else known.sets.numbers("pixels")[0])
    volumes = volumes_table(done if study.images.volumes else (), best, profile)
    faults, chosen = faults_table(read_incidents(known.folder.root)), read_choices(known.folder.root)
    extra = (
        runs_table(known.runs, known.results, main),
        *((faults,) if len(faults) else ()),
        *((choices_table(chosen),) if chosen else ()),
        costs,
        shift_table(done, profile),
        validation_table(done, best),
        *(item for item in (steps_table(done, best), probes_table(study, known.probes)) if len(item)),
        *(() if answer is None else (training_budget_table(answer),)),
        explanation_table(known.explanation, done, best, main),
        known.steps,
        *((known.sets,) if known.sets is not None else ()),
        *((volumes,) if len(volumes) else ()),
        *published_tables(beside),
        *((known.mixture.table,) if known.mixture is not None else ()),
    )
    tables = _tables(answer, known.baselines, extra, known.findings)
    page = replace(
        _page(answer, tables, study.name, (known.verdict, known.sentence)),
        subtitle=question_of(answer, study.problem.words, study.images.noun),
        facts=page_text.facts(study, answer, known.results, known.anchors),
        costs=page_text.costs(answer, costs, hours_from(done), study),
        cost_grid=html_tables.cost_grid(costs),
        training_budget=None if answer is None else training_budget_grid(tables["training-budget"], answer),
        strips=strips,
        pictures_left=left_out_words(left_out, known.folder.root),
        explanation=_explained(known.explanation, tables["explanation"]),
        shift=html_tables.shift_grid(tables["shift"], quantity, main),
        volumes=volumes_grid(volumes, quantity),
        sets=sets_grid(known.sets, study.images.noun),
        runs=html_tables.runs_grid(tables["runs"], profile),
        lost=lost_runs(tables["runs"]) if len(tables["runs"]) > MOST_ROWS else None,
        runs_summary=_summary(known.runs, known.results, known.folder.others(known.runs)),
        faults=page_text.faults(faults),
        choices=choices_grid(chosen, study.images.noun),
        method=[*page_text.method(study, answer, known.results), *mixes_words(study, known.runs)],
        commands=_commands(study),
        provenance=html_tables.provenance_grid([result.provenance for result in known.results]),
        source=json.dumps(written_out(study), indent=2, ensure_ascii=False),
        statement=tuple(statement),
        mixture=() if known.mixture is None else known.mixture.sentences,
        mixes=None if known.mixture is None else mixes_grid(known.mixture, study),
        **shown_beside(beside),
    )
    drawn = (known.explanation, known.mixture)
    return _write(page, answer, tables, out, drawn=drawn, progress=progress, spreadsheet=spreadsheet)


def report_points(  # noqa: PLR0913 - options
    points: Points,
    out: str | Path,
    *,
    title: str,
    worthwhile: float | None = None,
    target: float | None = None,
    command: str = "reconscale report points.csv",
    beside: Beside | None = None,
    statement: Sequence[str] = (),
    spreadsheet: str = "",
    mixes: Mixes = None,
) -> Path:
    """Write the report of measurements that anybody took, for instance from ``Points.from_csv``.

    Args:
        points: the measurements.
        out: where ``report.html``, the figures, the CSV files and ``numbers.json`` go; made where it is missing.
        title: heading of the page.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: that of the metric.
        target: a value of the metric whose n is asked for.
        command: what writes this page again, for the page.
        beside: published curves to show beside this one, or None.
        statement: the paragraph on sample size to show; empty: none.
        spreadsheet: ``point`` or ``comma``: CSV files for one with that mark of decimals; empty: for programs.
        mixes: of several sources, what is said of them and the table of it; None where there is one.

    Returns:
        The path of ``report.html``.

    Raises:
        UserError: ``out`` cannot be written to, or the target is not a value of the metric.
    """
    answer = analyse(points, worthwhile=worthwhile, target=target)
    sources, grid = (None, None) if mixes is None else mixes
    findings = unique_findings(answer.findings, () if sources is None else sources.findings)
    more = (next_steps(answer), *published_tables(beside), *(() if sources is None else (sources.table,)))
    tables = _tables(answer, baselines_table([]), more, findings)
    rows = html_tables.points_grid(tables["points"], answer.quantity)
    page = replace(
        _page(answer, tables, title, (answer.verdict, answer.sentence)),
        subtitle=question_of(answer, "", points.unit),
        facts=page_text.facts(None, answer, ()),
        runs=rows,
        runs_summary=times(len(points), "measurement"),
        method=page_text.analysis(answer),
        commands=(command,),
        statement=tuple(statement),
        mixture=() if sources is None else sources.sentences,
        mixes=grid,
        **shown_beside(beside),
    )
    return _write(page, answer, tables, Path(out), drawn=(None, sources), spreadsheet=spreadsheet)


def draw_points(points: Points, *, title: str = "") -> dict[str, bytes]:
    """The main figure of measurements, quality against n with the forecast, as ``png`` and ``svg``."""
    from reconscale.report.draw import figure_files

    answer = analyse(points)
    made = (points_table(answer), curve_table(answer), fan_table(answer), backtest_table(answer), baselines_table([]))
    return figure_files(figures.quality_figure({item.name: item for item in made}, answer.quantity), title)


def _tables(
    answer: Analysis | None,
    baselines: Table,
    extra: Sequence[Table],
    findings: tuple[Finding, ...],
) -> dict[str, Table]:
    """All numbers of a report, by the name of their file."""
    tables = [*extra, baselines, findings_table(findings)]
    if answer is not None:
        measured = (points_table, curve_table, size_table)
        expected = (fan_table, members_table, known_table, law_table, backtest_table)
        makers = (*measured, *expected, map_table, frontier_table, budget_table)
        tables += [make(answer) for make in makers]
    if answer is not None and answer.has_curve:
        tables.append(gains_table(answer))
    tables.append(exchange_table(() if answer is None else answer.exchange))
    return {item.name: item for item in tables}


def _page(answer: Analysis | None, tables: Mapping[str, Table], title: str, verdict: tuple[str, str]) -> Page:
    """What every report has."""
    findings = [(str(row["severity"]), str(row["code"]), str(row["text"])) for row in tables["findings"].records()]
    page = Page(
        title=title,
        subtitle="",
        verdict=verdict[0],
        sentence=verdict[1],
        steps=html_tables.steps_grid(tables["next-steps"]),
        next_step=next_step_of(tables["next-steps"], tables.get("gains"), answer),
        findings=findings,
    )
    if answer is None:
        return page
    known, largest, codes = answer.has_curve, float(answer.points.n.max()), [code for _, code, _ in findings]
    return replace(
        page,
        surety=answer.surety,
        in_short=answer_in_short(answer),
        reservation=answer.reservation,
        gains=html_tables.gains_grid(tables["gains"], answer) if known else None,
        needs=(*target_sentence(answer), answer.price.sentence) if known else (),
        sizes=html_tables.sizes_grid(answer),
        exchange=rates_grid(tables["exchange"]),
        trust=find_trust(answer, codes, classical="classical" in tables["anchors"].column("kind")),
        known=html_tables.known_grid(tables["known"], largest),
        members=members_sentence(answer.forecast) if known else (),
        laws=html_tables.laws_grid(tables["laws"]),
        backtest=backtest_lines(answer),
        landscape=page_text.landscape(answer),
    )


def _explained(computed: Explanation | None, drawn: Table) -> list[str]:
    return [] if computed is None or not len(drawn) else explanation_sentences(computed, drawn)


def _write(
    page: Page,
    answer: Analysis | None,
    tables: Mapping[str, Table],
    out: Path,
    *,
    drawn: tuple[Explanation | None, StudyMixture | None] = (None, None),
    progress: Progress | None = None,
    spreadsheet: str = "",
) -> Path:
    """Draw the figures of a page, and write it with its tables and numbers."""
    say = progress or (lambda _: None)
    say("drawing figures")
    explanation, mixture = drawn
    plots, files = plots_of(page.title, answer, tables, explanation, mixture)
    filled = [item for item in tables.values() if len(item)]
    names = [*sorted(f"{item.name}.csv" for item in filled), *files, "numbers.json"]
    say("writing the report")
    for item in filled:
        write_atomic(out / f"{item.name}.csv", item.csv(spreadsheet))
    for name, content in files.items():
        write_atomic(out / name, content)
    write_atomic(out / "numbers.json", to_json(_numbers(page, answer, tables, explanation)))
    path = out / "report.html"
    write_atomic(path, render(replace(page, plots=plots, files=names)))
    return path


def _numbers(
    page: Page, answer: Analysis | None, tables: Mapping[str, Table], explanation: Explanation | None
) -> dict[str, Any]:
    """Everything that the page says, for other programs."""
    record: dict[str, Any] = {
        "schema": 2,
        "reconscale": version("reconscale"),
        "title": page.title,
        "verdict": page.verdict,
        "surety": page.surety,
        "sentence": " ".join(filter(None, (page.reservation, page.sentence))),
        "tables": {name: item.records() for name, item in tables.items() if len(item) <= MOST_RECORDS},
        "tables_in_files": {name: len(item) for name, item in tables.items() if len(item) > MOST_RECORDS},
    }
    if page.mixture:
        record["mixture"] = list(page.mixture)
    if answer is not None:
        quantity = answer.quantity
        record |= {
            "metric": quantity.metric,
            "profile": quantity.profile,
            "unit": quantity.unit,
            "worthwhile": answer.worthwhile,
        }
        if answer.surface is not None:
            record["surface"] = {
                "couplings": answer.surface.couplings,
                "floor": answer.surface.floor,
                "parameters": {name: list(value) for name, value in answer.surface.parameters.items()},
            }
    if answer is not None and answer.has_curve:
        record |= decision_record(answer)
    if explanation is not None and page.explanation:
        record["explanation"] = explanation.record | {"sentences": list(page.explanation)}
    return dict(json_safe(record))


def _summary(runs: Sequence[Run], results: Sequence[Result], others: int) -> str:
    counts = {word: sum(result.status == word for result in results) for word in ("done", "diverged", "failed")}
    counts["to do"] = len(runs) - len(results)
    listed = ", ".join(f"{amount(count)} {word}" for word, count in counts.items() if count)
    more = f"; {others_sentence(others)}" if others else ""
    return f"{times(len(runs), 'run')}: {listed}{more}"


def _commands(study: Study) -> list[str]:
    canonical = json.dumps(written_out(study), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    own = study.images.source not in ("bundled", "deadleaves") or bool(study.images.test_sets)
    return [
        f"# {study.name}, digest {digest}, with reconscale {version('reconscale')}",
        f"reconscale run study.toml{' --data FOLDER' * own}       # trains what is missing"
        + "; FOLDER: that of the images" * own,
        "reconscale report study.toml",
    ]
