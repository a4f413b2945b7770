"""The verb mixture: images of several sources, what each is worth, and which to collect. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconscale.cli.analysis import AsJson, Higher, MetricName, Profile, TestSet, finding_records
from reconscale.cli.display import console, echo, handle_errors, plain_table, print_json
from reconscale.cli.source import ExternalSource, StudySource, is_csv, named_metric, open_source
from reconscale.errors import UserError
from reconscale.format import amount, format_chance, plain, round_count, round_interval, times

if TYPE_CHECKING:
    from reconscale.laws import BestMix, ExchangeRate, Gain, Metric, Mixture, MixtureCurve, SourceGain


FORMATS = (".png", ".svg")
"""Of the figure."""


def mixture(  # noqa: PLR0913 - flags
    source: Annotated[
        Path,
        typer.Argument(
            help="A study of several sources, or a CSV: one line a run, a column n_NAME for each source, a metric "
            "(optional: seed, p)."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Option(help="The source whose image counts 1. [default: that of the test set, or the first column]"),
    ] = None,
    cost: Annotated[
        list[str] | None, typer.Option(help="NAME=2.5, the cost of an image; repeatable. [default: 1 each]")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="What may be spent. [default: what doubling all images costs]")
    ] = None,
    have: Annotated[
        list[str] | None,
        typer.Option(help="NAME=100, images there are; repeatable. [default: the largest mix with all sources]"),
    ] = None,
    worthwhile: Annotated[
        float | None, typer.Option(help="Smallest worthwhile gain. [default: 0.1 dB, 2 %, 0.01 SSIM]")
    ] = None,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    figure: Annotated[
        Path | None, typer.Option(help="Write a map of quality over the images of two sources: .png or .svg.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Say what images of several sources are worth: exchange rates, and which to collect for a budget."""
    with handle_errors():
        from reconscale.laws import infer_mixture
        from reconscale.laws.decisions.gate import not_yet
        from reconscale.laws.findings import unique_findings

        if figure is not None and figure.suffix.lower() not in FORMATS:
            raise UserError(figure, f"ends in '{figure.suffix}'", f"give a name that ends in {' or '.join(FORMATS)}")
        points, least = _measured(source, target, named_metric(metric, higher), profile, test_set)
        worthwhile = least if worthwhile is None else worthwhile
        costs, there = read_pairs("--cost", cost), read_pairs("--have", have)
        curve = infer_mixture(points)
        mix = there or None
        gains = curve.gains(worthwhile, mix)
        best = curve.best_mix(costs, budget, worthwhile=worthwhile, have=mix)
        rates = curve.exchange_rates(mix)
        start = there or curve.base
        asked = [start.get(name, 0.0) + best.more[name] for name in points.sources]
        findings = unique_findings(curve.findings, curve.cautions([asked]))
        if figure is not None:
            _draw(curve, figure)
        if json:
            print_json(_record(curve, rates, gains, best) | {"findings": finding_records(findings)})
            return
        echo(*filter(None, [not_yet(findings)]), *map(str, rates), *map(str, gains), str(best))
        console.print(_table(rates, gains, best))
        echo(f"{times(len(points), 'run')} of {len(points.mixes)} mixes; laws: {_laws(curve)}", *map(str, findings))


def _measured(
    source: Path, target: str | None, metric: str | Metric | None, profile: str | None, test_set: str | None
) -> tuple[Mixture, float | None]:
    """The measurements of a table or of a study, and what a study calls worthwhile.

    Raises:
        UserError: they cannot be read, or a flag is for the other of the two.
    """
    from reconscale.laws import Mixture

    if is_csv(source):
        if profile or test_set:
            raise UserError(source, "--profile and --test-set are for studies", "leave them out, or give a study file")
        return Mixture.from_csv(source, metric, target=target or ""), None
    if metric is not None:
        raise UserError(source, "--metric and --higher-is-better are for CSV files", "use --profile, or give a CSV")
    opened = open_source(source)
    from reconscale.results.mixture_points import load_mixture

    if isinstance(opened, ExternalSource):
        return load_mixture(opened.study, opened.folder, profile=profile, test_set=test_set, target=target), \
               opened.worthwhile  # fmt: skip
    assert isinstance(opened, StudySource)
    asked = {"profile": profile, "test_set": test_set, "target": target}
    from reconscale.laws.findings import unique_findings
    from reconscale.report.study_analysis import sources_findings
    from reconscale.study import runs_of

    points = load_mixture(opened.study, opened.folder, results=opened.results, **asked)
    how = sources_findings(opened.study, opened.folder, opened.results, runs_of(opened.study))
    points = replace(points, findings=unique_findings(how, points.findings))
    return points, opened.worthwhile if profile in (None, opened.study.analysis.profile) else None


def _draw(curve: MixtureCurve, path: Path) -> None:
    from reconscale.files import write_atomic
    from reconscale.report.draw import figure_files
    from reconscale.report.mixture_figure import mixture_figure

    title = "Expected quality over the images of each source"
    write_atomic(path, figure_files(mixture_figure(curve), title)[path.suffix.lower()[1:]])


def read_pairs(flag: str, given: list[str] | None) -> dict[str, float]:
    """Name -> number of a flag such as ``others=2.5``.

    Raises:
        UserError: one is no such pair, or a name is there twice.
    """
    from reconscale.laws.column_names import simple_name

    found: dict[str, float] = {}
    for text in given or []:
        name, mark, number = text.partition("=")
        try:
            value = float(number) if mark and name else None
        except ValueError:
            value = None
        if value is None:
            raise UserError(flag, f"found '{text}'", "NAME=NUMBER is expected, for instance others=2.5")
        if simple_name(name) in found:
            raise UserError(flag, f"found '{simple_name(name)}' twice", "give each source once")
        found[simple_name(name)] = value
    return found


def _laws(curve: MixtureCurve) -> str:
    chances = sorted(curve.posterior.forms.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {format_chance(chance)}" for name, chance in chances if chance >= 0.01)


def _table(rates: tuple[ExchangeRate, ...], gains: tuple[SourceGain, ...], best: BestMix) -> Any:
    from reconscale.laws import METRICS

    metric = METRICS[best.metric]
    table = plain_table("source", f"for 1 of {gains[0].source}", f"doubled, {metric.unit}", "cost", "best", "collect")
    told = {rate.source: rate for rate in rates}
    for gain in gains:
        name = gain.source
        worth = "1" if name not in told else _span(told[name])
        doubled = "none there" if gain.gain is None else _gain(gain.gain, metric.digits)
        table.add_row(
            name,
            worth,
            doubled,
            amount(best.costs[name]),
            format_chance(best.first[name]),
            round_count(best.more[name]),
        )
    return table


def _span(rate: ExchangeRate) -> str:
    if not rate.identified:
        return "not known"
    numbers = (rate.rate.median, rate.rate.low, rate.rate.high)
    middle, low, high = ("any" if value == float("inf") else round_interval(value) for value in numbers)
    return f"{middle} ({low} to {high})"


def _gain(gain: Gain, digits: int) -> str:
    return f"{plain(gain.median, digits)} ({plain(gain.low, digits)} to {plain(gain.high, digits)})"


def _record(
    curve: MixtureCurve, rates: tuple[ExchangeRate, ...], gains: tuple[SourceGain, ...], best: BestMix
) -> dict[str, Any]:
    from reconscale.report.analysis import json_safe

    record = {
        "metric": curve.points.metric,
        "sources": list(curve.points.sources),
        "target": curve.points.target,
        "exchange_rates": [asdict(rate) | {"sentence": str(rate)} for rate in rates],
        "gains": [asdict(gain) | {"sentence": str(gain)} for gain in gains],
        "best_mix": asdict(best) | {"source": best.source, "sentence": str(best)},
        "laws": curve.posterior.forms,
    }
    safe: dict[str, Any] = json_safe(record)
    return safe
