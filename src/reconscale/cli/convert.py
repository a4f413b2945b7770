"""The verbs import (logs of other tools) and metrics. Import needs no torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from reconscale.cli.display import console, echo, errors, handle_errors, print_json
from reconscale.cli.next_command import command
from reconscale.cli.options import Spreadsheet, check_output_path
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.importers import Imported

KeyOf = "Setting with {}; 'pattern': from the run's name; 'none': leave out. [default: usual names]"


def import_logs(  # noqa: PLR0913 - flags
    source: Annotated[
        Path, typer.Argument(help="A folder of runs, or a file: TensorBoard, Lightning, BasicSR, KAIR, Ray, a CSV.")
    ],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("points.csv"),
    kind: Annotated[
        str | None,
        typer.Option(help="tensorboard, lightning, basicsr, kair, ray, wandb, mlflow, ... [default: detected]"),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="psnr, ssim, mse, nmse, error, loss, accuracy, ...")] = None,
    value: Annotated[str | None, typer.Option(help="The full tag to read, such as test/psnr.")] = None,
    take: Annotated[str | None, typer.Option(help="last, best, or a step: 'at 5000'. [default: last]")] = None,
    choose_by: Annotated[str, typer.Option(help="A validation tag: take the value at its best step.")] = "",
    n_from: Annotated[str | None, typer.Option(help=KeyOf.format("n, the number of training images"))] = None,
    p_from: Annotated[str | None, typer.Option(help=KeyOf.format("p, the number of parameters"))] = None,
    width_from: Annotated[str | None, typer.Option(help=KeyOf.format("the width"))] = None,
    seed_from: Annotated[str | None, typer.Option(help=KeyOf.format("the seed"))] = None,
    pattern: Annotated[str, typer.Option(help="Pattern of the runs' names, such as 'n{n}_w{width}_s{seed}'.")] = "",
    spreadsheet: Spreadsheet = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Turn logs of other tools into a CSV. Read it with fit, forecast, decide or report."""
    with handle_errors():
        from reconscale.importers import ColumnMapping, parse_take
        from reconscale.importers import import_logs as read
        from reconscale.laws.spreadsheets import check_spreadsheet

        check_spreadsheet(spreadsheet)
        check_output_path(out, source, force)
        keys = {"n": n_from, "p": p_from, "width": width_from, "seed": seed_from}
        labelling = ColumnMapping({label: key for label, key in keys.items() if key is not None}, pattern)
        imported = read(
            source, kind=kind, metric=metric, value=value, take=parse_take(take), choose_by=choose_by,
            labelling=labelling,
        )  # fmt: skip
        imported.to_csv(out, spreadsheet=spreadsheet)
        echo(*summary_lines(imported, out))


def summary_lines(imported: Imported, out: Path) -> list[str]:
    """What was read and skipped, the findings, and the next command."""
    rows, skipped = imported.rows, imported.skipped
    absent = [label for label in ("p", "width", "seed") if label not in imported.origins]
    origins = [f"{label} from {origin}" for label, origin in imported.origins.items()]
    origins += [f"no {' and no '.join(absent)}"] if absent else []
    return [
        f"{imported.title}: {imported.measure}",
        "; ".join(origins),
        *map(str, skipped),
        *map(str, imported.findings),
        f"points: {out} ({len(rows)} run{'s' * (len(rows) != 1)}, {len(skipped)} skipped)",
        f"next: {command('forecast', out)}",
    ]


def metrics(
    found: Annotated[Path, typer.Argument(help="The reconstruction: .npy, .h5, .nii, .png, .tif or .jpg.")],
    truth: Annotated[Path, typer.Argument(help="The ground truth, of the same shape.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compute PSNR and SSIM of a reconstruction. Under every convention: the same images give different numbers."""
    with handle_errors():
        try:
            from reconscale.physics.metric_conventions import conventions, data_set_of, range_caution, read_pair
        except ModuleNotFoundError as error:
            raise UserError("this command", f"needs the package {error.name}, which is not installed",
                          "pip install 'reconscale[train]'") from error  # fmt: skip
        pair = read_pair(found, truth)
        rows = conventions(*pair)
        if (caution := range_caution(*pair)) is not None:
            errors.print(f"caution: {caution}", markup=False, highlight=False, soft_wrap=True)
        if json:
            print_json([asdict(row) for row in rows])
            return
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("convention", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("meaning", overflow="fold")
        for row in rows:
            shown = f"{row.value:.2f} dB" if row.unit == "dB" else f"{row.value:.5f}"
            table.add_row(row.name, shown, row.meaning)
        console.print(table)
        for path, key in ((found, data_set_of(found)), (truth, data_set_of(truth))):
            if key:
                console.print(f"{path.name}: {key}", markup=False, highlight=False, soft_wrap=True)
        console.print("Compare numbers of one convention only. Studies use the first ones.",
                      markup=False, highlight=False)  # fmt: skip
