"""Verbs that analyse: fit, forecast, decide, compare, report. None of them needs torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import console, echo, handle_errors, print_json
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws import Costs, Finding, Fit, Forecast, NoiseLevel, Points

Source = Annotated[
    Path,
    typer.Argument(help="A study file or its folder, or a CSV with columns n and a metric (optional: p, width, seed)."),
]
Profile = Annotated[str | None, typer.Option(help="Metric profile of a study. [default: the study's]")]
TestSet = Annotated[str | None, typer.Option(help="Test set of a study. [default: the main one]")]
MetricName = Annotated[
    str | None, typer.Option(help="Metric of a CSV: error, psnr or ssim. [default: the column's name]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

FACTORS = (2.0, 4.0, 10.0)


def load_points(
    source: Path, *, metric: str | None = None, profile: str | None = None, test_set: str | None = None
) -> Points:
    """The points of a CSV or of a study.

    Raises:
        UserError: the source cannot be read, or an option is not for this kind of source.
    """
    from reconscale.laws import Points

    if source.suffix.lower() == ".csv":
        if profile or test_set:
            raise UserError(source, "--profile and --test-set are for studies", "leave them out, or give a study file")
        return Points.from_csv(source, metric=metric)
    if metric:
        raise UserError(source, "--metric is for CSV files", "use --profile, or give a CSV")
    from reconscale.study import Folder, load_study
    from reconscale.study.measurements import load_points

    return load_points(load_study(source), Folder.beside(source), profile=profile, test_set=test_set)


def fit(
    source: Source,
    law: Annotated[
        str | None,
        typer.Option(help="power, power+floor, shifted, M4, bnsl-1, bnsl-2, paper or paper-2. [default: several]"),
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Fit named laws to the measurements, with 90 % intervals."""
    with handle_errors():
        from reconscale.laws import USUAL
        from reconscale.laws import fit as fit_law

        points = load_points(source, metric=metric, profile=profile, test_set=test_set)
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


def forecast(
    source: Source,
    n: Annotated[
        list[float] | None,
        typer.Option(help="A size to forecast; repeatable. [default: 2, 4 and 10 times the largest n]"),
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Forecast quality at larger n. With 50 and 90 % intervals; sizes too far beyond the data are not forecast."""
    with handle_errors():
        from reconscale.laws import forecast as forecast_at

        points = load_points(source, metric=metric, profile=profile, test_set=test_set)
        sizes = sorted(n) if n else [factor * float(points.n.max()) for factor in FACTORS]
        made = forecast_at(points, sizes)
        rows = _forecast_rows(made)
        if json:
            print_json(_forecast_record(points, made, rows))
        else:
            _show(points, rows, made)
        if all(made.refused):
            raise UserError("--n", made.reason, "forecast smaller sizes, or measure larger ones")
        if made.reason and not json:
            echo(f"not forecast: {made.reason}")


def report(
    source: Source,
    out: Annotated[Path | None, typer.Option(help="Output folder. [default: report, beside the source]")] = None,
    metric: MetricName = None,
    worthwhile: Annotated[
        float | None, typer.Option(help="For a CSV: the smallest worthwhile gain. [default: 0.1 dB, 0.01 SSIM]")
    ] = None,
    target: Annotated[float | None, typer.Option(help="A value of the metric: how many images does it need?")] = None,
    pictures: Annotated[bool, typer.Option(help="Show patches of test images.")] = True,
) -> None:
    """Write a report: one HTML page that works offline. Its figures and tables are written beside it."""
    with handle_errors():
        from reconscale.laws import METRICS
        from reconscale.report import gather, report_points, study_lines, write_study

        if source.suffix.lower() == ".csv":
            points = load_points(source, metric=metric)
            least = METRICS[points.metric].worthwhile if worthwhile is None else worthwhile
            folder = out or source.parent / "report"
            page = report_points(points, folder, title=source.stem, worthwhile=least, target=target)
        else:
            from reconscale.study import Folder, load_study

            if metric is not None or worthwhile is not None:
                raise UserError(
                    source, "--metric and --worthwhile are for CSV files", "set them in the study file's [analysis]"
                )
            results = Folder.beside(source)
            known = gather(load_study(source), results, target=target)
            page = write_study(known, out or results.root.parent / "report", pictures=pictures)
            echo(*study_lines(known))
        echo(f"report: {page}")


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
    from reconscale.report.format import MetricFormat

    return MetricFormat(points.metric, points.profile, points.unit).say(value)


def finding_records(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Findings as records."""
    return [{"code": item.code, "text": item.text, "severity": item.severity} for item in findings]


Price = "{}, in any currency."


def decide(  # noqa: PLR0913 - flags
    source: Source,
    worthwhile: Annotated[
        float | None,
        typer.Option(help="The smallest worthwhile gain, in dB or SSIM. [default: the study's, or 0.1 dB, 0.01 SSIM]"),
    ] = None,
    target: Annotated[float | None, typer.Option(help="A value of the metric: how many images does it need?")] = None,
    double: Annotated[str, typer.Option(help="Which to prefer if both are worthwhile: n or p.")] = "n",
    cost_per_image: Annotated[float | None, typer.Option(help=Price.format("Cost of one more image"))] = None,
    cost_per_hour: Annotated[
        float | None, typer.Option(help=Price.format("For a study: cost of an hour of training"))
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Decide whether more data or a larger network is worth it. Also: the n for a target, and what to run next."""
    with handle_errors():
        from reconscale.laws.findings import unique_findings
        from reconscale.report import summarise_decision
        from reconscale.report.analysis import choice_record, json_safe
        from reconscale.report.sentences import decided_lines

        points = load_points(source, metric=metric, profile=profile, test_set=test_set)
        costs = costs_from_options(source, cost_per_image, cost_per_hour)
        least = _worthwhile(source, points) if worthwhile is None else worthwhile
        choice = summarise_decision(points, worthwhile=least, double=double, target=target, costs=costs)
        findings = unique_findings(choice.findings, _run_findings(source, points, test_set))
        if json:
            print_json(json_safe(choice_record(choice) | {"findings": finding_records(findings)}))
        else:
            echo(*decided_lines(choice, points, findings))


def compare(
    first: Source,
    second: Annotated[Path, typer.Argument(help="The other method: a study or a CSV.")],
    out: Annotated[Path | None, typer.Option(help="Also write a page, its figure and tables into this folder.")] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Compare two methods as n grows. Where does one overtake the other, and what is the difference worth?"""
    with handle_errors():
        from reconscale.report.analysis import json_safe
        from reconscale.report.comparison import Method, compared, report_comparison

        names = _names(first, second)
        methods = [
            Method(
                name,
                load_points(place, metric=metric, profile=profile, test_set=test_set),
                load_noise_levels(place, profile),
            )
            for name, place in zip(names, (first, second), strict=True)
        ]
        known = compared(methods[0], methods[1])
        if json:
            print_json(json_safe(known.record() | {"findings": finding_records(known.findings)}))
        else:
            echo(*known.lines(), *map(str, known.findings))
        if out is not None:
            path = report_comparison(known, out, (str(first), str(second)))
            if not json:
                echo(f"Written: {path}")


def load_noise_levels(source: Path, profile: str | None) -> NoiseLevel | None:
    """The results of a study at other noise levels; a CSV has none."""
    if source.suffix.lower() == ".csv":
        return None
    from reconscale.study import Folder, load_study, runs_of
    from reconscale.study.measurements import noise_levels_from_results

    study = load_study(source)
    done = [result for result in Folder.beside(source).results(runs_of(study)) if result.status == "done"]
    return noise_levels_from_results(done, profile=profile or study.analysis.profile, test_set=study.images.main_test)


def costs_from_options(source: Path, per_image: float | None, per_hour: float | None) -> Costs:
    """Prices, with the measured hours of a study; a CSV has no hours.

    Raises:
        UserError: a price is below 0, or hours have a price but were not measured.
    """
    from reconscale.laws import Costs
    from reconscale.report.analysis import hours_unknown

    for flag, value in (("--cost-per-image", per_image), ("--cost-per-hour", per_hour)):
        if value is not None and not 0 <= value < float("inf"):
            raise UserError(flag, f"found {value:g}", "a price of 0 or more is expected")
    if per_image is not None and per_hour is None:
        per_hour = 0.0
    if source.suffix.lower() == ".csv":
        if per_hour:
            raise UserError("--cost-per-hour", "a CSV does not say how long runs took", "leave it out, or give a study")
        return Costs(hours_unknown, per_hour, per_image)
    from reconscale.report.run_tables import costs_from
    from reconscale.study import Folder, load_study, runs_of

    results = Folder.beside(source).results(runs_of(load_study(source)))
    return costs_from(results, per_hour, per_image)


def _worthwhile(source: Path, points: Points) -> float:
    """The smallest worthwhile gain: the study's; for a CSV the default of its metric."""
    if source.suffix.lower() == ".csv":
        from reconscale.laws import METRICS

        return METRICS[points.metric].worthwhile
    from reconscale.study import load_study

    return load_study(source).analysis.worthwhile


def _run_findings(source: Path, points: Points, test_set: str | None) -> tuple[Finding, ...]:
    """Findings about the runs of a study; a CSV has none."""
    if source.suffix.lower() == ".csv":
        return ()
    from reconscale.report import run_findings
    from reconscale.study import Folder, load_study

    return run_findings(load_study(source), Folder.beside(source), points, test_set)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Names of two methods: their files' names, or their paths where these are equal."""
    folders = [place.parent if place.name == "study.toml" else place for place in (first, second)]
    names = [place.stem if place.suffix.lower() == ".csv" else place.resolve().name for place in folders]
    return (names[0], names[1]) if names[0] != names[1] else (str(first), str(second))
