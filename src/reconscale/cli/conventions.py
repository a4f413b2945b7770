"""The verb that compares two sets of images under every convention."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from reconscale.cli.screen import console, print_json, refusing
from reconscale.mistakes import Mistake


def metrics(
    found: Annotated[Path, typer.Argument(help="The reconstruction: .npy, .h5, .nii, .png, .tif or .jpg.")],
    truth: Annotated[Path, typer.Argument(help="The truth, of the same shape.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Compare a reconstruction with the truth under every convention: the same images, many numbers."""
    with refusing():
        try:
            from reconscale.imaging.conventions import conventions, read_images
        except ModuleNotFoundError as error:
            raise Mistake("this command", f"needs the package {error.name}, which is not installed",
                          "pip install 'reconscale[train]'") from error  # fmt: skip
        rows = conventions(read_images(found), read_images(truth))
        if json:
            print_json([asdict(row) for row in rows])
            return
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column("convention", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("what it is", overflow="fold")
        for row in rows:
            shown = f"{row.value:.2f} dB" if row.unit == "dB" else f"{row.value:.5f}"
            table.add_row(row.name, shown, row.meaning)
        console.print(table)
        console.print("Compare numbers of one convention only; studies here are measured in the first names.",
                      markup=False, highlight=False)  # fmt: skip
