"""Verbs that analyse: fit, forecast, decide, compare, report. None of them needs torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import console, echo, handle_errors, print_json
from reconscale.cli.next_command import command
from reconscale.cli.options import Spreadsheet
from reconscale.cli.published_prior import PublishedPrior
from reconscale.cli.source import ExternalSource, Source, StudySource, is_csv, open_source
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws import Finding, Fit, Forecast, Points

SourcePath = Annotated[
    Path,
    typer.Argument(help="A study file or its folder, or a CSV with columns n and a metric (optional: p, width, seed)."),
]
Profile = Annotated[str | None, typer.Option(help="Metric profile of a study. [default: the study's]")]
TestSet = Annotated[str | None, typer.Option(help="Test set of a study. [default: the main one]")]
MetricName = Annotated[
    str | None, typer.Option(help="Metric of a CSV: psnr, ssim, error, accuracy, ... [default: the column's name]")
]
Higher = Annotated[
    bool | None,
    typer.Option(
        "--higher-is-better/--lower-is-better", help="For a --metric that is not known here. [default: known]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

FACTORS = (2.0, 4.0, 10.0)


def fit(
    source: SourcePath,
    law: Annotated[
        str | None,
        typer.Option(help="power, power+floor, shifted, M4, bnsl-1, bnsl-2, paper or paper-2. [default: several]"),
    ] = None,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Fit named laws to the measurements, with 90 % intervals."""
    with handle_errors():
        from reconscale.laws import USUAL
        from reconscale.laws import fit as fit_law

        points = open_source(source, metric=metric, higher=higher, profile=profile, test_set=test_set).points
        fits: list[Fit] = []
        failed: list[UserError] = []
        for name in [law] if law else USUAL:
            try:
                fits.append(fit_law(points, name))
            except UserError as error:
                failed.append(error)
        if not fits:
            raise failed[0]
        if json:
            print_json([_fit_record(value) for value in fits])
            return
        echo(*(value.summary() for value in fits), *(f"not fitted: {error}" for error in failed))
        echo(*dict.fromkeys(str(item) for value in fits for item in value.findings))


def forecast(  # noqa: PLR0913 - flags
    source: SourcePath,
    n: Annotated[
        list[float] | None,
        typer.Option(help="A size to forecast; repeatable. [default: 2, 4 and 10 times the largest n]"),
    ] = None,
    law: Annotated[
        list[str] | None,
        typer.Option(help="A named law to weigh into the forecast, one that fit knows; repeatable. [default: none]"),
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            help="Published curves, or a group such as ct, that yours may be like; repeatable. Tests it, too."
        ),
    ] = None,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Forecast quality at larger n. With 50 and 90 % intervals; sizes too far beyond the data are not forecast."""
    with handle_errors():
        from reconscale.laws import infer

        points = open_source(source, metric=metric, higher=higher, profile=profile, test_set=test_set).points
        sizes = sorted(n) if n else [factor * float(points.n.max()) for factor in FACTORS]
        if law and like:
            raise UserError("--like", "is given together with --law", "give one of the two")
        prior = PublishedPrior.of(points, like) if like else None
        made = (infer(points, laws=law or ()) if prior is None else prior.curve).forecast(sizes)
        rows = _forecast_rows(made)
        if json:
            print_json(_forecast_record(points, made, rows) | ({} if prior is None else {"like": prior.record()}))
        else:
            _show(points, rows, made)
            echo(*(() if prior is None else prior.lines(lambda value: _spell(value, points))))
        if all(made.refused):
            raise UserError("--n", made.reason, "forecast smaller sizes, or measure larger ones")
        if made.reason and not json:
            echo(f"not forecast: {made.reason}")


def report(  # noqa: PLR0913 - flags
    source: SourcePath,
    out: Annotated[Path | None, typer.Option(help="Output folder. [default: report, beside the source]")] = None,
    metric: MetricName = None,
    higher: Higher = None,
    worthwhile: Annotated[
        float | None, typer.Option(help="For a CSV: the smallest worthwhile gain. [default: 0.1 dB, 2 %, 0.01 SSIM]")
    ] = None,
    target: Annotated[float | None, typer.Option(help="A value of the metric: how many images does it need?")] = None,
    pictures: Annotated[bool, typer.Option(help="Show patches of test images.")] = True,
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Published curves, or a group of them such as ct, to show beside this one; repeatable."),
    ] = None,
    statement: Annotated[bool, typer.Option("--statement", help="Show the paragraph on sample size.")] = False,
    spreadsheet: Spreadsheet = "",
) -> None:
    """Write a report: one HTML page that works offline. Its figures and tables are written beside it."""
    with handle_errors():
        from reconscale.cli.beside import set_beside
        from reconscale.laws.findings import unique_findings
        from reconscale.laws.spreadsheets import check_spreadsheet
        from reconscale.report import analyse, analyse_study, report_points, study_lines, write_study
        from reconscale.report.statement import points_statement, study_statement

        check_spreadsheet(spreadsheet)
        if not is_csv(source) and (metric is not None or worthwhile is not None):
            raise UserError(
                source, "--metric and --worthwhile are for CSV files", "set them in the study file's [analysis]"
            )
        opened = open_source(source, metric=metric, higher=higher)
        published = set_beside(opened, beside) if beside else None
        said: list[str] = []
        if isinstance(opened, StudySource):
            known = analyse_study(opened.study, opened.folder, results=opened.results, target=target)
            said = study_statement(known) if statement else said
            page = write_study(known, out or opened.folder.root.parent / "report", pictures=pictures,
                               beside=published, statement=said, spreadsheet=spreadsheet)  # fmt: skip
            echo(*study_lines(known))
        else:
            least = opened.worthwhile if worthwhile is None else worthwhile
            above = opened.folder.root.parent if isinstance(opened, ExternalSource) else source.parent
            folder = out or above / "report"
            points = replace(opened.points, findings=unique_findings(opened.points.findings, opened.run_findings()))
            flags: dict[str, Any] = {"out": out, "metric": metric, "worthwhile": worthwhile, "target": target}
            said = points_statement(analyse(points, worthwhile=least)) if statement else said
            flags |= {"beside": beside or None} | ({"statement": True} if statement else {})
            flags |= {"spreadsheet": spreadsheet or None}
            page = report_points(points, folder, title=opened.name, worthwhile=least, target=target,
                                 command=command("report", source, **flags), beside=published,
                                 statement=said, spreadsheet=spreadsheet, mixes=opened.mixes)  # fmt: skip
        echo(*(line for paragraph in said for line in ("", paragraph)), *([""] if said else []), f"report: {page}")


def _fit_record(value: Fit) -> dict[str, Any]:
    return {
        "law": value.law,
        "parameters": {name: list(interval) for name, interval in value.parameters.items()},
        "residual_sd": value.residual_sd,
        "seed_sd": value.seed_sd,
        "findings": finding_records(value.findings),
    }


def _forecast_record(points: Points, made: Forecast, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from reconscale.report.analysis import json_safe

    return {
        "metric": points.metric,
        "profile": points.profile,
        "unit": points.unit,
        "forecast": rows,
        "reason": made.reason,
        "weights": made.weights,
        "forms": made.forms,
        "known": {name: json_safe(asdict(value)) for name, value in made.known.items()},
        "findings": finding_records(made.findings),
    }


def _forecast_rows(made: Forecast) -> list[dict[str, Any]]:
    import numpy as np

    rows: list[dict[str, Any]] = []
    expected = np.median(made.expected, axis=0)
    for index, size in enumerate(made.n.tolist()):
        row: dict[str, Any] = {"n": size, "refused": bool(made.refused[index])}
        if not row["refused"]:
            row["median"] = float(expected[index])
            for level in (0.5, 0.9):
                low, high = made.interval(level)
                row[f"interval {100 * level:.0f}"] = [float(low[index]), float(high[index])]
        rows.append(row)
    return rows


def _show(points: Points, rows: list[dict[str, Any]], made: Forecast) -> None:
    from reconscale.format import amount
    from reconscale.report.sentences import believed_lines

    table = Table(f"n ({points.unit})", points.profile or points.metric, "50 % interval", "90 % interval")
    for row in rows:
        if row["refused"]:
            table.add_row(amount(row["n"]), "not forecast", "", "")
        else:
            spans = (f"{_spell(a, points)} to {_spell(b, points)}" for a, b in (row["interval 50"], row["interval 90"]))
            table.add_row(amount(row["n"]), _spell(row["median"], points), *spans)
    console.print(table)
    echo(*believed_lines(made, float(points.n.max())), *map(str, made.findings))


def _spell(value: float, points: Points) -> str:
    from reconscale.report.analysis import MetricFormat

    return MetricFormat(points.metric, points.profile, points.unit).say(value)


def finding_records(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Findings as records."""
    return [{"code": item.code, "text": item.text, "severity": item.severity} for item in findings]


Price = "{}, in any currency."


def decide(  # noqa: PLR0913 - flags
    source: SourcePath,
    worthwhile: Annotated[
        float | None,
        typer.Option(
            help="Smallest worthwhile gain: dB, % of an error, SSIM. [default: the study's; 0.1 dB, 2 %, 0.01 SSIM]"
        ),
    ] = None,
    target: Annotated[float | None, typer.Option(help="A value of the metric: how many images does it need?")] = None,
    double: Annotated[
        str, typer.Option(help="Which to prefer if both are worthwhile: n, p, or auto: the one that gains more.")
    ] = "auto",
    cost_per_image: Annotated[float | None, typer.Option(help=Price.format("Cost of one more image"))] = None,
    cost_per_hour: Annotated[
        float | None, typer.Option(help=Price.format("For a study: cost of an hour of training"))
    ] = None,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Decide whether more data or a larger network is worth it. Also: the n for a target, and what to run next."""
    with handle_errors():
        from reconscale.laws.findings import unique_findings
        from reconscale.report import analyse
        from reconscale.report.analysis import decision_record, json_safe
        from reconscale.report.sentences import decided_lines

        opened = open_source(source, metric=metric, higher=higher, profile=profile, test_set=test_set)
        points = replace(opened.points, findings=unique_findings(opened.points.findings, opened.run_findings()))
        costs = opened.costs(*check_prices(cost_per_image, cost_per_hour))
        least = opened.worthwhile if worthwhile is None else worthwhile
        answer = analyse(points, worthwhile=least, double=double, target=target, costs=costs)
        findings = answer.decision_findings
        if json:
            print_json(json_safe(decision_record(answer) | {"findings": finding_records(findings)}))
        else:
            echo(*decided_lines(answer, findings))


def compare(  # noqa: PLR0913 - flags
    first: SourcePath,
    second: Annotated[Path, typer.Argument(help="The other method: a study or a CSV.")],
    out: Annotated[Path | None, typer.Option(help="Also write a page, its figure and tables into this folder.")] = None,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    spreadsheet: Spreadsheet = "",
    json: AsJson = False,
) -> None:
    """Compare two methods as n grows. Where does one overtake the other, and what is the difference worth?"""
    with handle_errors():
        from reconscale.laws.spreadsheets import check_spreadsheet
        from reconscale.report.analysis import json_safe
        from reconscale.report.comparison import Method, compare_methods, report_comparison

        check_spreadsheet(spreadsheet)
        one, other = (
            open_source(path, metric=metric, higher=higher, profile=profile, test_set=test_set)
            for path in (first, second)
        )
        pairs = zip(method_names(one, other), (one.points, other.points), (one, other), strict=True)
        first_method, second_method = (Method(name, points, item.noise) for name, points, item in pairs)
        known = compare_methods(first_method, second_method)
        if json:
            print_json(json_safe(known.record() | {"findings": finding_records(known.findings)}))
        else:
            echo(*known.lines(), *map(str, known.findings))
        if out is not None:
            path = report_comparison(known, out, (str(first), str(second)), spreadsheet=spreadsheet)
            if not json:
                echo(f"Written: {path}")


def check_prices(per_image: float | None, per_hour: float | None) -> tuple[float | None, float | None]:
    """Both prices; an hour costs nothing where only images have a price.

    Raises:
        UserError: a price is below 0.
    """
    for flag, value in (("--cost-per-image", per_image), ("--cost-per-hour", per_hour)):
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(flag, f"found {value:g}", "a price of 0 or more is expected")
    return per_image, 0.0 if per_image is not None and per_hour is None else per_hour


def method_names(first: Source, second: Source) -> tuple[str, str]:
    """Names of two methods: their files' names, or their paths where these are equal."""
    names = (first.name, second.name)
    return names if names[0] != names[1] else (str(first.path), str(second.path))
