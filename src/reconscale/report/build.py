"""From a study, or from points, to a folder with the page, its figures and all its numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reconscale.files import to_json, write_whole
from reconscale.laws import Finding, Points
from reconscale.report import grids, prose
from reconscale.report.answer import Answer, answer_of
from reconscale.report.comparison import exchange_table, rates_grid
from reconscale.report.expected import (
    backtest_table,
    fan_table,
    gains_table,
    known_table,
    law_table,
    members_table,
)
from reconscale.report.explanation import Explanation, explanation_sentences, explanation_table
from reconscale.report.gather import Gathered, gather
from reconscale.report.landscape import budget_table, frontier_table, map_table
from reconscale.report.next_steps import next_steps
from reconscale.report.page import Page, render
from reconscale.report.pictures import strips_of
from reconscale.report.plots import plots_of
from reconscale.report.problems import problem_words
from reconscale.report.records import choice_record, cleaned
from reconscale.report.runs import cost_table, faults_table, hours_from, runs_table, shift_table, validation_table
from reconscale.report.sentences import members_sentence, price_sentence, target_sentence
from reconscale.report.tables import (
    Table,
    anchors_table,
    curve_table,
    findings_table,
    points_table,
    size_table,
)
from reconscale.report.text import backtest_lines
from reconscale.report.volumes import sets_grid, volumes_grid, volumes_table
from reconscale.report.wording import amount, times
from reconscale.study import Folder, Result, Run, Study
from reconscale.study.defaults import written_out
from reconscale.study.faults import noted
from reconscale.study.folder import others_sentence

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What a report is made of.

    Attributes:
        answer: what the laws say; none where no run is done.
        tables: all numbers, by the name of their file.
        explanation: the linear estimator that was computed for the study, or None.
    """

    answer: Answer | None
    tables: Mapping[str, Table]
    explanation: Explanation | None = None


def report_study(
    study: Study, folder: Folder, out: Path, *, pictures: bool = True, progress: Progress | None = None
) -> Path:
    """Write the report of a study, however far it is.

    Args:
        study: the study.
        folder: its folder of results.
        out: where ``report.html``, the figures, the CSV files and ``numbers.json`` go; made where it is missing.
        pictures: whether reconstructed images are embedded.
        progress: is told what is being done.

    Returns:
        The path of ``report.html``.

    Raises:
        Mistake: a result is damaged, results were measured on different images, or ``out`` cannot be written to.
    """
    return write_study(gather(study, folder, progress=progress), out, pictures=pictures, progress=progress)


def write_study(known: Gathered, out: Path, *, pictures: bool = True, progress: Progress | None = None) -> Path:
    """Write the report of a study whose results are gathered already; see :func:`report_study`."""
    study, answer, done = known.study, known.answer, known.done
    profile, main, quantity = study.analysis.profile, study.images.main_test, known.quantity
    best = None if answer is None else answer.best
    costs = cost_table(done, None if known.sets is None else known.sets.numbers("pixels")[0])
    faults = faults_table(noted(known.folder.root))
    extra = (
        runs_table(known.runs, known.results, main),
        *((faults,) if len(faults) else ()),
        costs,
        shift_table(done, profile),
        validation_table(done, best),
        explanation_table(known.explanation, done, best, main),
        known.steps,
        *((known.sets,) if known.sets is not None else ()),
        *((volumes,) if len(volumes := volumes_table(done, best, profile)) else ()),
    )
    material = replace(_material(answer, known.lines, extra, known.findings), explanation=known.explanation)
    page = replace(
        _page(material, study.name, (known.verdict, known.sentence)),
        subtitle=prose.sentence_case(problem_words(study)),
        facts=prose.facts(study, answer, known.results),
        costs=prose.costs(answer, costs, hours_from(done), study),
        cost_grid=grids.cost_grid(costs),
        strips=strips_of(known.anchors, known.folder, done, best, main) if pictures else (),
        explanation=_explained(material),
        shift=grids.shift_grid(material.tables["shift"], quantity, main),
        volumes=volumes_grid(volumes, quantity),
        sets=sets_grid(known.sets, study.images.noun),
        runs=grids.runs_grid(material.tables["runs"], profile),
        runs_summary=_summary(known.runs, known.results, known.folder.others(known.runs)),
        faults=prose.faults(faults),
        method=prose.method(study, answer, known.results),
        commands=_commands(study),
        provenance=grids.provenance_grid([result.provenance for result in known.results]),
        source=json.dumps(written_out(study), indent=2, ensure_ascii=False),
    )
    return _write(page, material, out, progress or (lambda _: None))


def report_points(
    points: Points, out: Path, *, title: str, worthwhile: float = 0.1, target: float | None = None
) -> Path:
    """Write the report of measurements that anybody took, for instance from ``Points.from_csv``.

    Args:
        points: the measurements.
        out: where ``report.html``, the figures, the CSV files and ``numbers.json`` go; made where it is missing.
        title: heading of the page.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        target: a value of the metric whose n is asked for.

    Returns:
        The path of ``report.html``.

    Raises:
        Mistake: ``out`` cannot be written to, or the target is not a value of the metric.
    """
    answer = answer_of(points, worthwhile=worthwhile, target=target)
    material = _material(answer, [], (next_steps(answer),), answer.findings)
    rows = grids.points_grid(material.tables["points"], answer.quantity)
    page = replace(
        _page(material, title, (answer.verdict, answer.sentence)),
        facts=prose.facts(None, answer, ()),
        runs=rows,
        runs_summary=times(len(points), "measurement"),
        method=prose.analysis(answer),
        commands=("reconscale report points.csv",),
    )
    return _write(page, material, out, lambda _: None)


def _material(
    answer: Answer | None,
    lines: Sequence[tuple[str, str, float]],
    extra: Sequence[Table],
    findings: tuple[Finding, ...],
) -> Material:
    tables = [*extra, anchors_table(lines), findings_table(findings)]
    if answer is not None:
        measured = (points_table, curve_table, size_table)
        expected = (fan_table, members_table, known_table, law_table, backtest_table)
        makers = (*measured, *expected, map_table, frontier_table, budget_table)
        tables += [make(answer) for make in makers]
    if answer is not None and answer.choice is not None:
        tables.append(gains_table(answer.choice))
    tables.append(exchange_table(() if answer is None else answer.rates))
    return Material(answer, {item.name: item for item in tables})


def _page(material: Material, title: str, verdict: tuple[str, str]) -> Page:
    """What every report has."""
    answer, tables = material.answer, material.tables
    findings = [(str(row["severity"]), str(row["code"]), str(row["text"])) for row in tables["findings"].records()]
    page = Page(
        title=title,
        subtitle="",
        verdict=verdict[0],
        sentence=verdict[1],
        steps=grids.steps_grid(tables["next-steps"]),
        findings=findings,
    )
    if answer is None:
        return page
    choice, outlook, largest = answer.choice, answer.outlook, float(answer.points.n.max())
    return replace(
        page,
        surety=answer.surety,
        gains=None if choice is None else grids.gains_grid(tables["gains"], choice, answer.quantity),
        needs=() if choice is None else (*target_sentence(choice), price_sentence(choice, answer.quantity)),
        sizes=grids.sizes_grid(answer),
        exchange=rates_grid(tables["exchange"]),
        known=grids.known_grid(tables["known"], largest),
        members=() if outlook is None else members_sentence(outlook),
        laws=grids.laws_grid(tables["laws"]),
        backtest=backtest_lines(answer),
        landscape=prose.landscape(answer),
    )


def _explained(material: Material) -> list[str]:
    drawn = material.tables["explanation"]
    if material.explanation is None or not len(drawn):
        return []
    return explanation_sentences(material.explanation, drawn)


def _write(page: Page, material: Material, out: Path, say: Progress) -> Path:
    say("drawing figures")
    plots, files = plots_of(page.title, material.answer, material.tables, material.explanation)
    tables = [item for item in material.tables.values() if len(item)]
    names = [*sorted(f"{item.name}.csv" for item in tables), *files, "numbers.json"]
    say("writing the report")
    for item in tables:
        write_whole(out / f"{item.name}.csv", item.csv())
    for name, content in files.items():
        write_whole(out / name, content)
    write_whole(out / "numbers.json", to_json(_numbers(page, material)))
    path = out / "report.html"
    write_whole(path, render(replace(page, plots=plots, files=names)))
    return path


def _numbers(page: Page, material: Material) -> dict[str, Any]:
    """Everything that the page says, for other programs."""
    answer = material.answer
    record: dict[str, Any] = {
        "schema": 2,
        "reconscale": version("reconscale"),
        "title": page.title,
        "verdict": page.verdict,
        "surety": page.surety,
        "sentence": page.sentence,
        "tables": {name: item.records() for name, item in material.tables.items()},
    }
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
    if answer is not None and answer.choice is not None:
        record |= choice_record(answer.choice)
    if material.explanation is not None and page.explanation:
        record["explanation"] = material.explanation.record | {"sentences": list(page.explanation)}
    return dict(cleaned(record))


def _summary(runs: Sequence[Run], results: Sequence[Result], others: int) -> str:
    counts = {word: sum(result.status == word for result in results) for word in ("done", "diverged", "failed")}
    counts["to do"] = len(runs) - len(results)
    listed = ", ".join(f"{amount(count)} {word}" for word, count in counts.items() if count)
    more = f"; {others_sentence(others)}" if others else ""
    return f"{times(len(runs), 'run')}: {listed}{more}"


def _commands(study: Study) -> list[str]:
    canonical = json.dumps(written_out(study), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return [
        f"# {study.name}, digest {digest}, with reconscale {version('reconscale')}",
        "reconscale run study.toml       # trains what is missing",
        "reconscale report study.toml",
    ]
