"""The verb that imports logs of other tools. It needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconscale.cli.screen import console, refusing
from reconscale.mistakes import Mistake

if TYPE_CHECKING:
    from reconscale.foreign import Imported

KeyOf = "The setting that holds {}; 'pattern': take it from the name; 'none': leave it out. [default: usual names]"


def import_logs(  # noqa: PLR0913 - flags
    source: Annotated[Path, typer.Argument(help="A folder of runs or a file: TensorBoard, Lightning, BasicSR, W&B.")],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("points.csv"),
    kind: Annotated[
        str | None, typer.Option(help="tensorboard, lightning, basicsr or wandb. [default: what it looks like]")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="psnr, ssim, mse, nmse, error or loss.")] = None,
    value: Annotated[str | None, typer.Option(help="The full tag to read, such as test/psnr.")] = None,
    take: Annotated[str | None, typer.Option(help="last, best, or a step: 'at 5000'. [default: last]")] = None,
    choose_by: Annotated[
        str, typer.Option(help="A validation tag: read the value at the step where this one is best.")
    ] = "",
    n_from: Annotated[str | None, typer.Option(help=KeyOf.format("n, the number of training images"))] = None,
    p_from: Annotated[str | None, typer.Option(help=KeyOf.format("p, the number of parameters"))] = None,
    width_from: Annotated[str | None, typer.Option(help=KeyOf.format("the width"))] = None,
    seed_from: Annotated[str | None, typer.Option(help=KeyOf.format("the seed"))] = None,
    pattern: Annotated[
        str, typer.Option(help="Where numbers stand in the runs' names, such as 'n{n}_w{width}_s{seed}'.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
) -> None:
    """Turn logs of other tools into a CSV that fit, forecast and report read."""
    with refusing():
        from reconscale.foreign import Labelling, parse_take
        from reconscale.foreign import import_logs as read

        check_out(out, source, force)
        keys = {"n": n_from, "p": p_from, "width": width_from, "seed": seed_from}
        labelling = Labelling({label: key for label, key in keys.items() if key is not None}, pattern)
        imported = read(
            source, kind=kind, metric=metric, value=value, take=parse_take(take), choose_by=choose_by,
            labelling=labelling,
        )  # fmt: skip
        imported.to_csv(out)
        for line in told(imported, out):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def check_out(out: Path, source: Path, force: bool) -> None:
    """Refuse a file that must not be written, before anything is read.

    Raises:
        Mistake: ``out`` is not named .csv, is a folder or the source, or is there and ``force`` is off.
    """
    if out.is_dir():
        raise Mistake(out, "is a folder", "name the CSV file to write")
    if out.suffix.lower() != ".csv":
        raise Mistake(out, "is not named .csv", "the other commands know a file of points by that ending")
    if out.exists() and source.exists() and out.samefile(source):
        raise Mistake(out, "is the source itself", "write to another file")
    if out.exists() and not force:
        raise Mistake(out, "is already there", "say --force to write over it, or name another file by --out")


def told(imported: Imported, out: Path) -> list[str]:
    """What was read from where, what was skipped and why, the cautions, and what to type next."""
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
        f"next: reconscale forecast {out}",
    ]
