"""Verbs that analyse: fit, forecast, report. None of them needs torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.screen import console, print_json, refusing
from reconscale.mistakes import Mistake

if TYPE_CHECKING:
    from reconscale.laws import Finding, Fit, Forecast, Points

Source = Annotated[
    Path,
    typer.Argument(help="A study file (or its folder), or a CSV with columns n, a metric, and maybe p, width, seed."),
]
Profile = Annotated[str | None, typer.Option(help="Metric profile of a study. [default: the study's own]")]
TestSet = Annotated[str | None, typer.Option(help="Test set of a study. [default: its main one]")]
MetricName = Annotated[
    str | None, typer.Option(help="What a CSV's numbers are: error, psnr or ssim. [default: from the column's name]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

FACTORS = (2.0, 4.0, 10.0)


def points_at(
    source: Path, *, metric: str | None = None, profile: str | None = None, test_set: str | None = None
) -> Points:
    """The points of a CSV or of a study.

    Raises:
        Mistake: the source cannot be read, or an option does not belong to its kind.
    """
    from reconscale.laws import Points

    if source.suffix.lower() == ".csv":
        if profile or test_set:
            raise Mistake(source, "--profile and --test-set are for studies", "leave them out, or give a study file")
        return Points.from_csv(source, metric=metric)
    if metric:
        raise Mistake(source, "--metric is for CSV files", "use --profile, or give a CSV")
    from reconscale.study import Folder, load_study
    from reconscale.study.points import points_of

    return points_of(load_study(source), Folder.beside(source), profile=profile, test_set=test_set)


def fit(
    source: Source,
    law: Annotated[
        str | None,
        typer.Option(
            help="power, power+floor, shifted, M4, bnsl-1, bnsl-2, paper or paper-2. [default: the usual ones]"
        ),
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Fit named laws to measured points, with 90 % intervals."""
    with refusing():
        from reconscale.laws import USUAL
        from reconscale.laws import fit as fit_law

        points = points_at(source, metric=metric, profile=profile, test_set=test_set)
        fits: list[Fit] = []
        left_out: list[Mistake] = []
        for name in [law] if law else USUAL:
            try:
                fits.append(fit_law(points, name))
            except Mistake as mistake:
                left_out.append(mistake)
        if not fits:
            raise left_out[0]
        if json:
            print_json([_fit_record(value) for value in fits])
            return
        say(*map(str, fits), *(f"not fitted: {refused}" for refused in left_out))


def forecast(
    source: Source,
    n: Annotated[
        list[float] | None,
        typer.Option(help="A size to forecast; may be given several times. [default: 2, 4 and 10 times the largest]"),
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Forecast quality at larger n, with 50 and 90 % intervals; refuse where the data do not carry."""
    with refusing():
        from reconscale.laws import forecast as forecast_at

        points = points_at(source, metric=metric, profile=profile, test_set=test_set)
        sizes = sorted(n) if n else [factor * float(points.n.max()) for factor in FACTORS]
        made = forecast_at(points, sizes)
        rows = _forecast_rows(made)
        if json:
            print_json(_forecast_record(points, made, rows))
        else:
            _show(points, rows, made)
        if all(made.refused):
            raise Mistake("--n", made.reason, "forecast nearer sizes, or measure larger ones")
        if made.reason and not json:
            say(f"refused: {made.reason}")


def report(
    source: Source,
    out: Annotated[
        Path | None, typer.Option(help="The folder to write into. [default: report beside the source]")
    ] = None,
    metric: MetricName = None,
    worthwhile: Annotated[
        float | None, typer.Option(help="For a CSV: the smallest gain worth paying for. [default: 0.1 dB, 0.01 SSIM]")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="A value of the metric; the report says how many images it needs.")
    ] = None,
    pictures: Annotated[bool, typer.Option(help="Show patches of test images.")] = True,
) -> None:
    """Write the report: one HTML page that opens offline, with its figures and tables beside it."""
    with refusing():
        from reconscale.laws import METRICS
        from reconscale.report import gather, report_points, study_lines, write_study

        if source.suffix.lower() == ".csv":
            points = points_at(source, metric=metric)
            least = METRICS[points.metric].worthwhile if worthwhile is None else worthwhile
            folder = out or source.parent / "report"
            page = report_points(points, folder, title=source.stem, worthwhile=least, target=target)
        else:
            from reconscale.study import Folder, load_study

            if metric is not None or worthwhile is not None:
                raise Mistake(
                    source, "--metric and --worthwhile are for CSV files", "set them in the study file's [analysis]"
                )
            results = Folder.beside(source)
            known = gather(load_study(source), results, target=target)
            page = write_study(known, out or results.root.parent / "report", pictures=pictures)
            say(*study_lines(known))
        say(f"report: {page}")


def say(*lines: str) -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _fit_record(value: Fit) -> dict[str, Any]:
    return {
        "law": value.law,
        "parameters": {name: list(interval) for name, interval in value.parameters.items()},
        "residual_sd": value.residual_sd,
        "seed_sd": value.seed_sd,
        "findings": codes(value.findings),
    }


def _forecast_record(points: Points, made: Forecast, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from reconscale.report.records import cleaned

    return {
        "metric": points.metric,
        "profile": points.profile,
        "unit": points.unit,
        "forecast": rows,
        "reason": made.reason,
        "weights": made.weights,
        "forms": made.forms,
        "known": {name: cleaned(asdict(value)) for name, value in made.known.items()},
        "findings": codes(made.findings),
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
    from reconscale.report.text import believed_lines

    table = Table(f"n ({points.unit})", points.profile or points.metric, "50 % interval", "90 % interval")
    for row in rows:
        if row["refused"]:
            table.add_row(f"{row['n']:g}", "refused", "", "")
        else:
            spans = (f"{_spell(a, points)} to {_spell(b, points)}" for a, b in (row["interval 50"], row["interval 90"]))
            table.add_row(f"{row['n']:g}", _spell(row["median"], points), *spans)
    console.print(table)
    say(*believed_lines(made, float(points.n.max())), *map(str, made.findings))


def _spell(value: float, points: Points) -> str:
    return (
        f"{value:.2f} dB" if points.metric == "psnr" else f"{value:.4f}" if points.metric == "ssim" else f"{value:.4g}"
    )


def codes(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Findings as records."""
    return [{"code": item.code, "text": item.text, "severity": item.severity} for item in findings]
