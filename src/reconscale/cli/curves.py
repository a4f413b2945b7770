"""The verb curves: published learning curves, and a curve beside them. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconscale.cli.analysis import AsJson, Higher, MetricName, Profile, TestSet
from reconscale.cli.beside import set_beside
from reconscale.cli.display import console, echo, handle_errors, plain_table, print_json
from reconscale.cli.options import Spreadsheet, check_output_path
from reconscale.cli.source import open_source
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.laws.published_curves import PublishedCurve
    from reconscale.report.published import Beside


def curves(  # noqa: PLR0913 - flags
    names: Annotated[
        list[str] | None, typer.Argument(help="Curves, or groups of them: ct, mri, denoising, ... [default: all]")
    ] = None,
    beside: Annotated[Path | None, typer.Option(help="A study or a CSV to set beside them.")] = None,
    group: Annotated[str, typer.Option(help="For a CSV: the group of its problem, as ct. [default: not known]")] = "",
    out: Annotated[Path | None, typer.Option(help="Write one curve as a CSV, for forecast and the others.")] = None,
    spreadsheet: Spreadsheet = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    metric: MetricName = None,
    higher: Higher = None,
    profile: Profile = None,
    test_set: TestSet = None,
    json: AsJson = False,
) -> None:
    """List published learning curves, with sources and licences. Or set your curve beside them: which are alike?"""
    with handle_errors():
        from reconscale.laws.published_curves import select_curves
        from reconscale.laws.spreadsheets import check_spreadsheet

        check_spreadsheet(spreadsheet)
        if beside is not None:
            if out is not None:
                raise UserError("--out", "is for one published curve", "leave --beside out, or write a report")
            opened = open_source(beside, metric=metric, higher=higher, profile=profile, test_set=test_set)
            known = set_beside(opened, names or (), group)
            if json:
                from reconscale.report.analysis import json_safe
                from reconscale.report.published import beside_table, sources

                print_json(json_safe({"curves": beside_table(known).records(), "sources": sources(known)}))
            else:
                _show_beside(known)
            return
        chosen = select_curves(names or (), metric)
        if out is not None:
            if len(chosen) != 1:
                raise UserError("curves", f"found {len(chosen)} for one file", "name one curve")
            check_output_path(out, Path(chosen[0].name), force)
            chosen[0].points.to_csv(out, spreadsheet=spreadsheet)
        if json:
            print_json([asdict(curve) | {"sha256": curve.sha256} for curve in chosen])
        elif len(chosen) == 1:
            _show_one(chosen[0])
        else:
            _show_all(chosen)


def _show_all(chosen: list[PublishedCurve]) -> None:
    from reconscale.format import amount

    width, most = max(len(curve.name) for curve in chosen), max(len(curve.group) for curve in chosen)
    for curve in chosen:
        sizes = f"{amount(curve.n[0])} to {amount(curve.n[-1])} {curve.unit}"
        echo(f"{curve.name:<{width}}  {curve.group:<{most}}  {curve.metric:<5}  {sizes}")
    echo("One of them with its numbers, source and licence: reconscale curves NAME")


def _show_one(curve: PublishedCurve) -> None:
    from reconscale.format import amount

    table = plain_table(f"n ({curve.unit})", curve.metric)
    for n, value in zip(curve.n, curve.value, strict=True):
        table.add_row(amount(n), f"{value:g}")
    echo(f"{curve.name}: {curve.task}; {curve.network}")
    console.print(table)
    said: dict[str, Any] = {
        name: getattr(curve, name) for name in ("convention", "source", "licence", "note", "sha256")
    }
    echo(*(f"{name}: {text}" for name, text in said.items() if text))


def _show_beside(known: Beside) -> None:
    from reconscale.report.published import beside_grid, sources

    echo(*known.lines(), "")
    grid = beside_grid(known)
    width = max(len(row[0]) for row in grid.rows)
    echo(f"{'curve':<{width}}  {'doubling':>8}  {'slope':>7}  {'near n':>9}  alike in")
    for row in grid.rows:
        echo(f"{row[0]:<{width}}  {row[4]:>8}  {row[6]:>7}  {row[8]:>9}  {row[9]}".rstrip())
    echo(grid.caption + ". Intervals: --json.", *(f"from {text}" for text in sources(known)))
