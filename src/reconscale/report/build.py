"""From a study, or from points, to a folder with the page, its figures and all its numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reconscale.files import to_json, write_whole
from reconscale.laws import Finding, Points
from reconscale.laws.findings import merged
from reconscale.report import grids, plotly_figures, prose
from reconscale.report.answer import Answer, answer_of
from reconscale.report.next_steps import next_steps
from reconscale.report.page import Page, Plot, render
from reconscale.report.pictures import anchors_of, strips_of
from reconscale.report.runs import (
    anchor_findings,
    cost_table,
    runs_table,
    shift_table,
    training_findings,
    validation_table,
)
from reconscale.report.tables import (
    Table,
    anchors_table,
    backtest_table,
    curve_table,
    fan_table,
    findings_table,
    law_table,
    points_table,
    size_table,
)
from reconscale.report.text import backtest_lines
from reconscale.report.wording import Quantity, amount, times
from reconscale.study import Folder, Result, Run, Study, runs_of
from reconscale.study.points import points_from

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Material:
    """What a report is made of.

    Attributes:
        answer: what the laws say; none where no run is done.
        tables: all numbers, by the name of their file.
        findings: all cautions, of the laws and of the runs.
    """

    answer: Answer | None
    tables: Mapping[str, Table]
    findings: tuple[Finding, ...]


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
    say = progress or (lambda _: None)
    say("reading results")
    runs, profile, main = runs_of(study), study.analysis.profile, study.images.main_test
    results = folder.results(runs)
    done = [result for result in results if result.status == "done"]
    answer = None
    if done:
        points = points_from(done, profile=profile, test_set=main)
        answer = answer_of(points, worthwhile=study.analysis.worthwhile, asked=study.analysis.forecast, progress=say)
    anchors = anchors_of(folder)
    quantity = Quantity("psnr", profile, study.images.counts) if answer is None else answer.quantity
    lines = anchors.lines(main, quantity) if anchors is not None else []
    best = None if answer is None else answer.best
    costs = cost_table(done)
    extra = (
        runs_table(runs, results, main),
        costs,
        shift_table(done, profile),
        validation_table(done, best),
        next_steps(answer, runs, results, costs),
    )
    cautions = (*training_findings(study, results), *anchor_findings(best, lines))
    material = _material(answer, lines, extra, cautions)
    page = replace(
        _page(material, study.name, _verdict(answer, runs, results)),
        subtitle=prose.sentence_case(prose.problem(study)),
        facts=prose.facts(study, answer, results),
        costs=prose.costs(answer, costs, study),
        strips=strips_of(anchors, folder, done, best, main) if pictures else (),
        shift=grids.shift_grid(material.tables["shift"], quantity, main),
        runs=grids.runs_grid(material.tables["runs"], profile),
        runs_summary=_summary(runs, results),
        method=prose.method(study, answer, results),
        commands=_commands(study),
        provenance=grids.provenance_grid([result.provenance for result in results]),
        source=json.dumps(study.model_dump(mode="json", exclude_defaults=True), indent=2, ensure_ascii=False),
    )
    return _write(page, material, out, say)


def report_points(points: Points, out: Path, *, title: str, worthwhile: float = 0.1) -> Path:
    """Write the report of measurements that anybody took, for instance from ``Points.from_csv``.

    Args:
        points: the measurements.
        out: where ``report.html``, the figures, the CSV files and ``numbers.json`` go; made where it is missing.
        title: heading of the page.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.

    Returns:
        The path of ``report.html``.

    Raises:
        Mistake: ``out`` cannot be written to.
    """
    answer = answer_of(points, worthwhile=worthwhile)
    costs = cost_table([])
    material = _material(answer, [], (next_steps(answer, [], [], costs),), ())
    rows = grids.points_grid(material.tables["points"], answer.quantity)
    page = replace(
        _page(material, title, (answer.verdict, answer.sentence)),
        facts=prose.facts(None, answer, ()),
        costs=prose.costs(answer, costs, None),
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
    own = () if answer is None else answer.findings
    together = merged(own, findings)
    tables = [*extra, anchors_table(lines), findings_table(together)]
    if answer is not None:
        makers = (points_table, curve_table, size_table, fan_table, law_table, backtest_table)
        tables += [make(answer) for make in makers]
    return Material(answer, {item.name: item for item in tables}, together)


def _page(material: Material, title: str, verdict: tuple[str, str]) -> Page:
    """What every report has."""
    answer, tables = material.answer, material.tables
    findings = [(str(row["severity"]), str(row["code"]), str(row["text"])) for row in tables["findings"].records()]
    return Page(
        title=title,
        subtitle="",
        verdict=verdict[0],
        sentence=verdict[1],
        sizes=None if answer is None else grids.sizes_grid(answer),
        steps=grids.steps_grid(tables["next-steps"]),
        cost_grid=grids.cost_grid(tables["cost"]) if "cost" in tables else None,
        laws=grids.laws_grid(tables["laws"]) if "laws" in tables else None,
        backtest=[] if answer is None else backtest_lines(answer),
        findings=findings,
    )


def _write(page: Page, material: Material, out: Path, say: Progress) -> Path:
    say("drawing figures")
    plots, files = _plots(page.title, material)
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


def _plots(title: str, material: Material) -> tuple[dict[str, Plot], dict[str, bytes]]:
    """The figures that the numbers allow, for the page and as files."""
    from reconscale.report import figures  # matplotlib takes a second to import, and only this function needs it

    answer, tables = material.answer, material.tables
    if answer is None:
        return {}, {}
    quantity, cells, curves = answer.quantity, tables["network-size"], tables.get("validation")
    used = tuple(name for name in ("points", "curve", "fan", "anchors") if len(tables[name]))
    words = (prose.quality_alt(answer), prose.quality_caption(answer))
    figure = plotly_figures.quality_figure(tables, quantity)
    drawn = [(Plot("quality", figure, *words, used), figures.quality_files(tables, quantity, title))]
    if len(set(cells.column("p"))) > 1:
        words = (prose.size_alt(cells, quantity), prose.SIZE_CAPTION)
        figure = plotly_figures.size_figure(tables, quantity)
        plot = Plot("network-size", figure, *words, ("network-size", "points"))
        drawn.append((plot, figures.size_files(tables, quantity, title)))
    if curves is not None and any(step for step in curves.where(selected=1).column("step")):
        words = (prose.VALIDATION_ALT, prose.VALIDATION_CAPTION)
        figure = plotly_figures.validation_figure(curves)
        plot = Plot("validation", figure, *words, ("validation",))
        drawn.append((plot, figures.validation_files(curves, title)))
    plots = {plot.name: replace(plot, svg=files["svg"]) for plot, files in drawn}
    return plots, {f"{plot.name}.{kind}": content for plot, files in drawn for kind, content in files.items()}


def _numbers(page: Page, material: Material) -> dict[str, Any]:
    """Everything that the page says, for other programs."""
    answer = material.answer
    record: dict[str, Any] = {
        "schema": 1,
        "reconscale": version("reconscale"),
        "title": page.title,
        "verdict": page.verdict,
        "sentence": page.sentence,
        "tables": {name: [_clean(row) for row in item.records()] for name, item in material.tables.items()},
    }
    if answer is not None:
        quantity = answer.quantity
        record |= {
            "metric": quantity.metric,
            "profile": quantity.profile,
            "unit": quantity.unit,
            "worthwhile": answer.worthwhile,
        }
    decision = None if answer is None else answer.decision
    if decision is not None:
        fields = ("probability", "n", "p", "measured", "error_bar", "unit")
        record["decision"] = _clean({name: getattr(decision, name) for name in fields})
        for name in ("gain_n", "gain_p"):
            gain = getattr(decision, name)
            names = ("median", "low", "high", "probability")
            record["decision"][name] = None if gain is None else _clean({key: getattr(gain, key) for key in names})
    return record


def _clean(record: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON cannot spell is none."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in record.items()
    }


def _verdict(answer: Answer | None, runs: Sequence[Run], results: Sequence[Result]) -> tuple[str, str]:
    if answer is not None:
        return answer.verdict, answer.sentence
    over = f"; {times(len(results), 'run')} failed or diverged, see their reasons below" if results else ""
    remedy = "Carry the study out with `reconscale run`, then write the report again"
    return "UNDECIDED", f"No run is done yet of {len(runs)}{over}. {remedy}."


def _summary(runs: Sequence[Run], results: Sequence[Result]) -> str:
    counts = {word: sum(result.status == word for result in results) for word in ("done", "diverged", "failed")}
    counts["to do"] = len(runs) - len(results)
    listed = ", ".join(f"{amount(count)} {word}" for word, count in counts.items() if count)
    return f"{times(len(runs), 'run')}: {listed}"


def _commands(study: Study) -> list[str]:
    canonical = json.dumps(study.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:12]
    return [
        f"# {study.name}, digest {digest}, with reconscale {version('reconscale')}",
        "reconscale run study.toml       # trains what is missing",
        "reconscale report study.toml",
    ]
