"""Flags that verbs about a study share, and what is made of them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.results import Folder
    from reconscale.study import Study
    from reconscale.study.proposed_sweep import ProposedSweep
    from reconscale.training import ExecutionConfig

StudyPath = Annotated[Path, typer.Argument(help="A study file, or the folder of a study.toml.")]
Data = Annotated[Path | None, typer.Option(help="The folder above the image folders. [default: $RECONSCALE_DATA]")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(help="Runs at a time. [default: one per core, or one on a GPU]")]
Threads = Annotated[int, typer.Option(help="CPU threads per run.")]
Devices = Annotated[int, typer.Option(help="GPUs (or CPU processes) per run.")]
Stack = Annotated[str, typer.Option(help="Runs of equal shape trained in one pass: a number, or auto (1 on a CPU).")]
Slurm = Annotated[list[str] | None, typer.Option(help="Submit runs as Slurm jobs: key=value,key=value; repeatable.")]
Ray = Annotated[str | None, typer.Option(help="Run on Ray: auto, or the address of a cluster.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(path: Path, proposed: ProposedSweep | None = None) -> tuple[Study, Folder]:
    """A study and the folder of its results; of one without a grid with what is proposed."""
    from reconscale.results import Folder
    from reconscale.study import load_our_study

    return load_our_study(path, proposed), Folder.beside(path)


def where_to_run(
    data: Path | None, device: str = "cpu", workers: int | None = None, threads: int = 1, **more: Any
) -> ExecutionConfig:
    """Where runs are made.

    Raises:
        UserError: a package that training needs is missing.
    """
    try:
        import_module("reconscale.training.sweep")  # torch, and what else training needs
        from reconscale.training import ExecutionConfig
    except ModuleNotFoundError as error:
        raise UserError("this command", f"needs the package {error.name}, which is not installed",
                      "pip install 'reconscale[train]'") from error  # fmt: skip
    return ExecutionConfig(data=data, device=device, workers=workers, threads=threads, **more)


def stack_size(text: str) -> int | None:
    """The value of ``--stack``; None is auto."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise UserError("--stack", f"found '{text}'", "give a number, or auto")
    return int(text)
