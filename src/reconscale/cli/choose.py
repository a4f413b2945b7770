"""Verbs that decide: decide, compare. None of them needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconscale.cli.analyse import AsJson, MetricName, Profile, Source, TestSet, codes, points_at, say
from reconscale.cli.screen import print_json, refusing
from reconscale.mistakes import Mistake

if TYPE_CHECKING:
    from reconscale.laws import Costs, Finding, Noise, Points

Price = "{}; a price in any currency."


def decide(  # noqa: PLR0913 - flags
    source: Source,
    worthwhile: Annotated[
        float | None,
        typer.Option(
            help="The smallest gain worth paying for, in dB or SSIM. [default: a study's own, or 0.1 dB, 0.01 SSIM]"
        ),
    ] = None,
    target: Annotated[float | None, typer.Option(help="A value of the metric; say how many images it needs.")] = None,
    double: Annotated[str, typer.Option(help="Which is looked at first where both are worth it: n or p.")] = "n",
    cost_per_image: Annotated[float | None, typer.Option(help=Price.format("What one more image costs"))] = None,
    cost_per_hour: Annotated[
        float | None, typer.Option(help=Price.format("For a study: what an hour of training costs"))
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Say whether more data or a larger network is worth it, what a target needs, and what to run next."""
    with refusing():
        from reconscale.laws.findings import merged
        from reconscale.report import choice_of
        from reconscale.report.records import choice_record, cleaned
        from reconscale.report.text import decided_lines

        points = points_at(source, metric=metric, profile=profile, test_set=test_set)
        costs = costs_of(source, cost_per_image, cost_per_hour)
        least = _worthwhile(source, points) if worthwhile is None else worthwhile
        choice = choice_of(points, worthwhile=least, double=double, target=target, costs=costs)
        findings = merged(choice.findings, _run_findings(source, points, test_set))
        if json:
            print_json(cleaned(choice_record(choice) | {"findings": codes(findings)}))
        else:
            say(*decided_lines(choice, points, findings))


def compare(
    first: Source,
    second: Annotated[Path, typer.Argument(help="The other method, in the same way.")],
    out: Annotated[
        Path | None, typer.Option(help="Also write a page with figure, tables and numbers into this folder.")
    ] = None,
    metric: MetricName = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """Compare two methods as n grows: at which n the one overtakes the other, and what the difference is worth."""
    with refusing():
        from reconscale.report.comparison import Method, compared, report_comparison
        from reconscale.report.records import cleaned

        names = _names(first, second)
        methods = [
            Method(name, points_at(place, metric=metric, profile=profile, test_set=test_set), noise_at(place, profile))
            for name, place in zip(names, (first, second), strict=True)
        ]
        known = compared(methods[0], methods[1])
        if json:
            print_json(cleaned(known.record() | {"findings": codes(known.findings)}))
        else:
            say(*known.lines(), *map(str, known.findings))
        if out is not None:
            path = report_comparison(known, out, (str(first), str(second)))
            if not json:
                say(f"Written: {path}")


def noise_at(source: Path, profile: str | None) -> Noise | None:
    """The networks of a study at other levels of noise; a CSV says nothing about them."""
    if source.suffix.lower() == ".csv":
        return None
    from reconscale.study import Folder, load_study, runs_of
    from reconscale.study.points import noise_from

    study = load_study(source)
    done = [result for result in Folder.beside(source).results(runs_of(study)) if result.status == "done"]
    return noise_from(done, profile=profile or study.analysis.profile, test_set=study.images.main_test)


def costs_of(source: Path, per_image: float | None, per_hour: float | None) -> Costs:
    """Prices, with the measured hours of a study; those of a CSV are not known.

    Raises:
        Mistake: a price is below 0, or hours are priced that nobody measured.
    """
    from reconscale.laws import Costs
    from reconscale.report.choice import untimed

    for flag, value in (("--cost-per-image", per_image), ("--cost-per-hour", per_hour)):
        if value is not None and not 0 <= value < float("inf"):
            raise Mistake(flag, f"found {value:g}", "a price of 0 or more is expected")
    if per_image is not None and per_hour is None:
        per_hour = 0.0
    if source.suffix.lower() == ".csv":
        if per_hour:
            raise Mistake("--cost-per-hour", "a CSV does not say how long runs took", "leave it out, or give a study")
        return Costs(untimed, per_hour, per_image)
    from reconscale.report.runs import costs_from
    from reconscale.study import Folder, load_study, runs_of

    results = Folder.beside(source).results(runs_of(load_study(source)))
    return costs_from(results, per_hour, per_image)


def _worthwhile(source: Path, points: Points) -> float:
    """The study's own; for a CSV what its metric counts as worthwhile."""
    if source.suffix.lower() == ".csv":
        from reconscale.laws import METRICS

        return METRICS[points.metric].worthwhile
    from reconscale.study import load_study

    return load_study(source).analysis.worthwhile


def _run_findings(source: Path, points: Points, test_set: str | None) -> tuple[Finding, ...]:
    """Cautions about the runs of a study; a CSV says nothing about them."""
    if source.suffix.lower() == ".csv":
        return ()
    from reconscale.report import run_findings
    from reconscale.study import Folder, load_study

    return run_findings(load_study(source), Folder.beside(source), points, test_set)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """What to call two methods: by their files, or by their paths where these are called the same."""
    folders = [place.parent if place.name == "study.toml" else place for place in (first, second)]
    names = [place.stem if place.suffix.lower() == ".csv" else place.resolve().name for place in folders]
    return (names[0], names[1]) if names[0] != names[1] else (str(first), str(second))
