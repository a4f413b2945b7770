"""The verbs of ``reconscale theory``: curve, reproduce, from-images. None of them needs torch."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import (
    VERBOSITY,
    StageProgress,
    console,
    echo,
    errors,
    handle_errors,
    plain_table,
    print_json,
)
from reconscale.cli.linear_limit import from_images
from reconscale.cli.options import Spreadsheet, check_output_path, parse_number, parse_sizes
from reconscale.errors import UserError
from reconscale.format import duration

if TYPE_CHECKING:
    from reconscale.theory import Experiment, Setting, Subspace
    from reconscale.theory.settings import Landmarks, RiskRow

HELP = "Why learning curves flatten: a linear estimator. An exact computation; it explains and does not forecast."

MOST_RUNS = 100_000
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same numbers.")]
Workers = Annotated[int | None, typer.Option(help="Processes. [default: all cores if it takes long, else 1]")]


def curve(  # noqa: PLR0913 - flags
    dim: Annotated[str, typer.Option(help="Dimension of the subspace of the signals.")] = "10",
    ambient: Annotated[str, typer.Option(help="Number of pixels.")] = "100",
    sigma: Annotated[float, typer.Option(help="Noise per pixel; the signal is 1 in each direction.")] = 0.05,
    n: Annotated[
        list[str] | None,
        typer.Option(help="Training images: 24, or 8,16,24, or 1e5; repeatable. [default: a grid]"),
    ] = None,
    runs: Annotated[int, typer.Option(help="Training sets drawn at each n.")] = 5,
    seed: Seed = 0,
    workers: Workers = None,
    csv: Annotated[Path | None, typer.Option(help="Also write the table to this file.")] = None,
    spreadsheet: Spreadsheet = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compute the learning curve of the paper's linear estimator. Simulated values, expected values and the bound."""
    with handle_errors():
        from threadpoolctl import threadpool_limits

        from reconscale.files import write_atomic
        from reconscale.laws.spreadsheets import check_spreadsheet
        from reconscale.report.theory_page import risks_table, summary_table
        from reconscale.theory import Setting, Subspace
        from reconscale.theory.settings import landmarks, risk_rows

        check_spreadsheet(spreadsheet)
        model = Subspace(parse_number("--dim", dim), parse_number("--ambient", ambient), sigma)
        sizes = parse_sizes(n) or _grid(model)
        if csv is not None:
            check_output_path(csv, Path(), force)
        found = _drawn([(model, size) for size in sizes], runs, seed, workers)
        with threadpool_limits(1):
            rows, marks = risk_rows(model, found), landmarks(model)
        setting = Setting(model, tuple(sizes), (sizes[0], sizes[-1]), (sizes[0], sizes[-1]))
        if csv is not None:
            write_atomic(csv, summary_table([(setting, rows)]).csv(spreadsheet))
        if json:
            print_json(_record(model, rows, marks, risks_table([(setting, found)]).records()))
            return
        console.print(_shown(rows, runs))
        echo(*_sentences(model, rows, marks), *([] if csv is None else [f"table: {csv}"]))


def reproduce(
    out: Annotated[Path, typer.Option(help="Folder for theory.html, the figure and the CSV files.")] = Path("theory"),
    setting: Annotated[
        list[str] | None,
        typer.Option(help="dim,ambient,sigma, such as 10,100,0.05; repeatable. [default: the paper's eight]"),
    ] = None,
    runs: Annotated[int, typer.Option(help="Training sets drawn at each n.")] = 5,
    seed: Seed = 0,
    workers: Workers = None,
    spreadsheet: Spreadsheet = "",
) -> None:
    """Reproduce the paper's theory figure. Risk against n in eight settings, with fits, expectations and the bound."""
    with handle_errors():
        from reconscale.laws.spreadsheets import check_spreadsheet
        from reconscale.report.theory_page import literal_flops, report_theory
        from reconscale.theory.settings import landmarks, risk_rows

        check_spreadsheet(spreadsheet)
        chosen = _settings(setting)
        if out.is_file():
            raise UserError(out, "is a file", "name a folder by --out")
        began = time.perf_counter()
        found = _drawn([(item.model, size) for item in chosen for size in item.n], runs, seed, workers)
        parts = []
        for item in chosen:
            mine = [e for e in found if e.model == item.model]
            parts.append((item, mine, risk_rows(item.model, mine), landmarks(item.model)))
        took = time.perf_counter() - began
        path, fits = report_theory(parts, out, runs=runs, seed=seed, seconds=took, spreadsheet=spreadsheet)
        console.print(_fits_shown(fits))
        console.print(
            f"{len(found):,} training sets in {duration(took)}; gradient descent on full matrices would take "
            f"{literal_flops(found):.2g} floating-point operations\nreport: {path}",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip


def _grid(model: Subspace) -> list[int]:
    """From 1 to well beyond ambient, denser around dim, about 16 sizes."""
    last = 10 ** math.ceil(math.log10(4 * max(model.ambient, 2 * model.dim)))
    around = [model.dim * factor for factor in (0.5, 0.8, 1, 1.2, 1.5, 2, 3)]
    wide = [10 ** (step / 2) for step in range(2 * round(math.log10(last)) + 1)]
    return sorted({max(1, round(value)) for value in [*around, *wide, model.ambient]})


def _settings(texts: list[str] | None) -> list[Setting]:
    from reconscale.theory import SETTINGS, Setting, Subspace

    if not texts:
        return list(SETTINGS)
    known = {item.model: item for item in SETTINGS}
    chosen: list[Setting] = []
    for text in texts:
        parts = text.split(",")
        if len(parts) != 3:
            raise UserError("--setting", f"found '{text}'", "dim,ambient,sigma are expected, such as 10,100,0.05")
        dim, ambient, sigma = (parse_number("--setting", part) for part in parts)
        model = Subspace(dim, ambient, sigma)
        grid = tuple(_grid(model))
        stretches = (_around(grid, 0.8 * dim, 2.4 * dim), _around(grid, dim, 4.4 * dim))  # as the paper's for dim 10
        own = Setting(model, grid, *stretches)
        if model in [item.model for item in chosen]:
            raise UserError("--setting", f"'{text}' is given twice", "give each setting once")
        chosen.append(known.get(model, own))
    return chosen


def _around(grid: tuple[int, ...], low: float, high: float) -> tuple[int, int]:
    """The first and last n of a stretch that holds two at least."""
    inside = [n for n in grid if low <= n <= high]
    return (inside[0], inside[-1]) if len(inside) > 1 else (grid[0], grid[-1])


def _drawn(cases: list[tuple[Subspace, int]], runs: int, seed: int, workers: int | None) -> list[Experiment]:
    from reconscale.errors import check_int
    from reconscale.theory import experiments
    from reconscale.theory.repeated_experiments import checked, seconds

    check_int("--runs", runs, 1, MOST_RUNS)
    check_int("--seed", seed, 0)
    needed = runs * sum(seconds(model, n) for model, n in checked(cases))
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        workers = workers if needed > 4 else 1
    if (needed := needed / check_int("--workers", workers, 1, 1024)) > 2 and not VERBOSITY.quiet:
        errors.print(f"{len(cases) * runs:,} training sets, about {duration(needed)}", highlight=False)
    with StageProgress() as tell:
        return experiments(cases, runs=runs, seed=seed, workers=workers,
                           progress=lambda done, of: tell("drawing training sets", done, of))  # fmt: skip


def _shown(rows: list[RiskRow], runs: int) -> Table:
    table = plain_table("n", "k", "drawn", "± sd", "expected", "converged", "PCA", "bound")
    table.title = f"risk per direction of the subspace; early-stopped after k steps: {runs} training sets, expected"
    for row in rows:
        drawn = row.drawn
        mean, spread = drawn.early_stopped
        end = drawn.converged
        table.add_row(
            f"{row.n:,}",
            f"{drawn.k:.0f}",
            f"{mean:.4g}",
            f"{100 * spread / mean:.1f} %" if mean else "",
            f"{row.early_stopped:.4g}",
            "" if math.isnan(end[0]) else f"{end[0]:.4g}" if end[1] is not None else f"({end[0]:.3g})",
            f"{drawn.pca[0]:.4g}",
            "" if row.bound is None else f"{row.bound:.4g}",
        )
    if any(row.drawn.converged[1] is None for row in rows):
        table.caption = "in brackets: the median, where the mean is infinite"
    return table


def _sentences(model: Subspace, rows: list[RiskRow], marks: Landmarks) -> list[str]:
    from reconscale.theory.equivalents.hybrid import FEW

    floor = f"floor R* = {marks.floor:.4g}: the risk of the best linear estimator; more data cannot go below it"
    if model.sigma == 0:
        floor = "no noise, no floor: the risk is 0 once the images span the subspace"
    lines = [floor, f"cliff at n = dim = {marks.cliff:,}: fewer images miss directions of the subspace"]
    if marks.knee is not None and marks.numeric_knee is not None:
        closed = f"2 dim + sigma (1 - sigma) ambient = {marks.knee:,.0f}"
        lines.append(f"knee (twice the floor) at n = {marks.numeric_knee:,.0f}; {closed}")
    if marks.near is not None:
        lines.append(f"within 10 % of the floor at n = {marks.near:,.0f}")
    if model.dim < FEW and any(model.dim / 2 <= row.n <= 4 * model.dim for row in rows):
        lines.append(
            f"expected values assume many dimensions: with {model.dim} they may be 25 % too low near the cliff"
        )
    flags = f"--dim {model.dim} --ambient {model.ambient} --sigma {model.sigma:g}"
    more = sorted({round(10 * rows[-1].n), *([round(marks.near)] if marks.near else [])})
    return [*lines, f"next: reconscale theory curve {flags} --n {','.join(map(str, more))}"]


def _record(model: Subspace, rows: list[RiskRow], marks: Landmarks, runs: list[dict[str, Any]]) -> dict[str, Any]:
    from dataclasses import asdict

    from reconscale.report.analysis import json_safe

    return dict(json_safe({"model": asdict(model), "landmarks": asdict(marks), "rows": [asdict(row) for row in rows],
                         "runs": runs}))  # fmt: skip


def _fits_shown(fits: Any) -> Table:
    table = plain_table("setting", "early", "expected", "printed", "over n", "PCA", "printed", "over n")
    table.title = "exponents of the power laws that the paper fits to early-stopped descent and PCA"
    for row in fits.records():
        names = ("early_exponent", "expected_exponent", "printed_early", "pca_exponent", "printed_pca")
        cells = ["" if row[name] is None else f"{row[name]:.2f}" for name in names]
        over = [f"{row[f'{which}_first']}-{row[f'{which}_last']}" for which in ("early", "pca")]
        setting = ",".join(str(row[name]) for name in ("dim", "ambient", "sigma"))
        table.add_row(setting, *cells[:3], over[0], *cells[3:], over[1])
    return table


VERBS: dict[str, Callable[..., None]] = {"curve": curve, "reproduce": reproduce, "from-images": from_images}
"""Name -> what it runs, in the order of ``--help``."""
