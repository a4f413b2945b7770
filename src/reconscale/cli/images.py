"""Verbs about images: data, reconstruct."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import StageProgress, console, echo, errors, handle_errors, plain, print_json
from reconscale.cli.next_command import command, needs_data, stated_data
from reconscale.cli.options import Spreadsheet
from reconscale.cli.study_options import AsJson, Data, StudyPath, load, where_to_run
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.study import Study


def data(  # noqa: PLR0913 - flags
    study: StudyPath,
    data: Data = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check all stored images; exit 2 if any is damaged.")
    ] = False,
    split: Annotated[
        bool, typer.Option("--split", help="List every image: training (in the order of a seed), validation, test.")
    ] = False,
    n: Annotated[int | None, typer.Option(help="With --split: the size of the training set. [default: all]")] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --split: whose order. [default: the first of the study]")
    ] = None,
    spreadsheet: Spreadsheet = "",
    json: AsJson = False,
) -> None:
    """Prepare the images of a study and describe them. Shows counts, sizes, splits and skipped files."""
    with handle_errors():
        from reconscale.laws.spreadsheets import check_spreadsheet

        check_spreadsheet(spreadsheet)
        value, _ = load(study)
        where = where_to_run(data, "cpu", None, 1).resolved()
        if verify and split:
            raise UserError("--verify and --split", "found both", "give one at a time")
        if not split and (n is not None or seed is not None or spreadsheet):
            raise UserError("--n, --seed and --spreadsheet", "are for --split", "add --split, or leave them out")
        if split:
            _list_split(value, where.data_folder, (n, seed), json, spreadsheet)
            return
        if verify:
            _verify(value, where.data_folder, (study, data), json)
            return
        from reconscale.training import prepare

        with StageProgress() as progress:
            described = prepare(value, where, progress).describe()
        if json:
            print_json(described)
            return
        cautions = described.pop("cautions", [])
        if "pixel values" in described:
            from reconscale.data.pixel_values import spread_words

            spreads = described["pixel values"].items()
            described["pixel values"] = {name: [spread_words(one) for one in found] for name, found in spreads}
        table = Table("images", "")
        for key, entry in described.items():
            for name, part in entry.items() if key == "sets" else [(key, entry)]:
                table.add_row(name, _plain(part))
        console.print(table)
        echo(*(f"caution: {sentence}" for sentence in cautions))


def _list_split(
    value: Study, data: Path | None, which: tuple[int | None, int | None], json: bool, spreadsheet: str
) -> None:
    """Print a split as CSV, or as JSON."""
    from reconscale.data import list_split

    with StageProgress() as progress:
        found = list_split(value, n=which[0], seed=which[1], data=data, progress=progress)
    if json:
        print_json(asdict(found))
    else:
        sys.stdout.write(plain(found.to_csv(spreadsheet=spreadsheet)))


def _verify(value: Study, data: Path | None, given: tuple[Path, Path | None], json: bool) -> None:
    from reconscale.data.verify import verify_images

    with StageProgress() as progress:
        found = verify_images(value.images, data=data, progress=progress)
    if json:
        print_json(asdict(found))
    else:
        for line in found.changed:
            console.print(f"changed since: {line}", markup=False, highlight=False, soft_wrap=True)
        checked = f"{found.counted} checked: {len(found.damaged) or 'none'} damaged"
        console.print(checked, markup=False, highlight=False, soft_wrap=True)
        if found.changed and not found.damaged:
            console.print("the next run reads the changed files", markup=False, highlight=False)
    if found.damaged:
        parts = "\n".join(f"  {line}" for line in found.damaged)
        again = command("data", given[0], data=stated_data(given[1]) if needs_data(value.images) else given[1])
        errors.print(f"damaged:\n{parts}\nset aside; read them again with: {again}",
                     style="red", markup=False, highlight=False, soft_wrap=True)  # fmt: skip
        raise typer.Exit(2)


def reconstruct(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run: runs/<id>.")],
    image: Annotated[
        Path, typer.Argument(help="An image, a folder of images, an array (.npy, .npz, .h5), OME-Zarr, or a volume.")
    ],
    out: Annotated[Path, typer.Option(help="Output file, or output folder for a folder.")],
    limits: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="BLACK WHITE", help="Values that are black and white. [default: the run's]"),
    ] = None,
) -> None:
    """Apply a trained network to an image or a folder. Size, bit depth, units and what files say are kept."""
    with handle_errors():
        where_to_run(None, "cpu", None, 1)
        from reconscale.training import reconstruct as reconstruct_file

        with StageProgress() as progress:
            shown = lambda done, total: progress("reconstructing", done, total)  # noqa: E731
            note = lambda sentence: errors.print(f"note: {sentence}", markup=False, highlight=False, soft_wrap=True)  # noqa: E731
            written = reconstruct_file(run, image, out, limits=_limits(limits), progress=shown, say=note)
        console.print(f"{len(written)} written: {', '.join(str(path) for path in written[:5])}"
                      + (" …" if len(written) > 5 else ""), markup=False, highlight=False, soft_wrap=True)  # fmt: skip


def _limits(given: tuple[float, float] | None) -> tuple[float, float] | None:
    """The values of ``--range``, checked."""
    if given is not None and not (all(map(math.isfinite, given)) and given[0] < given[1]):
        raise UserError("--range", f"found {given[0]:g} {given[1]:g}", "give black and white, the smaller one first")
    return given


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(entry) for entry in value) or "none"
    return str(value)
