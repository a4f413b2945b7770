"""Verbs about a study: demo, plan, run, status, data, reconstruct."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from reconscale.cli.display import (
    StageProgress,
    SweepProgress,
    ask,
    console,
    echo,
    errors,
    handle_errors,
    plain,
    print_json,
)
from reconscale.cli.next_command import command, known_data, known_plugins, needs_data, remember_data, stated_data
from reconscale.errors import EndedOnPurpose, UserError, suggest
from reconscale.files import write_atomic
from reconscale.format import duration

if TYPE_CHECKING:
    from reconscale.study import Folder, Plan, Status, Study
    from reconscale.study.budget import Budget
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


def _load(path: Path) -> tuple[Study, Folder]:
    from reconscale.study import Folder, load_study

    return load_study(path), Folder.beside(path)


def _is_external(path: Path) -> bool:
    from reconscale.study.external import is_external

    return is_external(path)


def _where(
    data: Path | None, device: str = "cpu", workers: int | None = None, threads: int = 1, **more: Any
) -> ExecutionConfig:
    try:
        import_module("reconscale.training.sweep")  # torch, and what else training needs
        from reconscale.training import ExecutionConfig
    except ModuleNotFoundError as error:
        raise UserError("this command", f"needs the package {error.name}, which is not installed",
                      "pip install 'reconscale[train]'") from error  # fmt: skip
    return ExecutionConfig(data=data, device=device, workers=workers, threads=threads, **more)


def _stack(text: str) -> int | None:
    """The value of ``--stack``; None is auto."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise UserError("--stack", f"found '{text}'", "give a number, or auto")
    return int(text)


DEMOS = {"denoising": "demo.toml", "mri": "demo-mri.toml"}


def demo(
    problem: Annotated[str, typer.Option(help="denoising, or mri (simulated).")] = "denoising",
    out: Annotated[Path | None, typer.Option(help="Output folder. [default: demo, demo-mri]")] = None,
    workers: Workers = None,
    threads: Threads = 1,
    stack: Stack = "auto",
) -> None:
    """Train, fit and report on bundled photographs. Takes minutes on a laptop CPU."""
    from reconscale.report import analyse_study, study_lines, write_study

    out = out or Path("demo" if problem == "denoising" else f"demo-{problem}")
    path = out / "study.toml"
    with handle_errors(command("run", path, workers=workers, threads=threads, stack=stack)):
        if problem not in DEMOS:
            raise UserError("--problem", f"found '{problem}'", suggest(problem, DEMOS))
        if not path.is_file():
            write_atomic(path, files("reconscale.cli").joinpath(DEMOS[problem]).read_bytes())
        study, folder = _load(path)
        status = _run_study(study, folder, _where(None, "auto", workers, threads, stack=_stack(stack)))
        known = analyse_study(study, folder)
        page = write_study(known, out / "report")
        for line in (*study_lines(known), f"report: {page}"):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(_code(status))


def plan(  # noqa: PLR0913 - flags
    study: StudyPath,
    data: Data = None,
    device: Device = "auto",
    workers: Workers = None,
    threads: Threads = 1,
    devices: Devices = 1,
    stack: Stack = "auto",
    ray: Ray = None,
    calibrate: Annotated[bool, typer.Option(help="Time a few steps of every width.")] = True,
    json: AsJson = False,
) -> None:
    """Show the runs of a study and estimate their time. Also: parameters, FLOPs and memory."""
    with handle_errors():
        value, folder = _load(study)
        where = _where(data, device, workers, threads, devices=devices, stack=_stack(stack), ray=ray)
        from reconscale.study import runs_of
        from reconscale.study.trunks import continuing_runs, continuing_sentence
        from reconscale.training import plan as make_plan

        with StageProgress() as progress:
            made = make_plan(value, folder, where, progress, calibrate=calibrate)
        if json:
            known = {
                name: getattr(made, name) for name in ("workers", "seconds", "start", "baselines", "memory", "flops")
            }
            print_json(known | {"cautions": list(made.cautions), "cells": [asdict(cell) for cell in made.cells]})
            return
        console.print(_plan_table(made))
        echo(*(f"caution: {sentence}" for sentence in made.cautions))
        again = command(
            "run", study, data=stated_data(data) if needs_data(value.images) else data, device=device, workers=workers,
            threads=threads, devices=devices, stack=stack, ray=ray,
        )  # fmt: skip
        if continuing := continuing_sentence(len(continuing_runs(folder, runs_of(value))), counted=calibrate):
            echo(continuing)
        echo(f"{_left_words(made, calibrate, value.recipe.steps_are_fixed)}; start with: {again}")


def _left_words(made: Plan, calibrated: bool, steps_are_fixed: bool) -> str:
    """How many runs are to be done, and what they take: at most, where each ends when it has converged."""
    left = sum(cell.seeds - cell.done - cell.failed for cell in made.cells)
    if not left or made.seconds is None or made.memory is None:
        return f"{left} runs to do"
    parts = f" ({duration(made.start)} to start, {duration(made.baselines)} for baselines)" if calibrated else ""
    memory = f"{made.memory / 1e9:.1f} GB with {made.workers} at a time"
    about = "about" if steps_are_fixed else "at most about"
    return f"{left} runs to do, {about} {duration(made.seconds)}{parts} and {memory}"


def _giga(flops: float) -> str:
    """FLOPs in thousands of millions, with two digits below ten: a small run has not none.

    >>> _giga(4.2e6), _giga(1.23e9), _giga(5.4321e12)
    ('0.0042', '1.2', '5,432')
    """
    return f"{flops / 1e9:,.0f}" if flops >= 1e10 else f"{flops / 1e9:.2g}"


def _plan_table(made: Plan) -> Table:
    table = Table("n", "width", "p", "GFLOPs per run", "time per run", "memory", "seeds", "done", "failed")
    for cell in made.cells:
        estimate = "-" if cell.seconds is None else duration(cell.seconds)
        memory = "-" if cell.memory is None else f"{cell.memory / 1e9:.2f} GB"
        table.add_row(str(cell.n), str(cell.width), f"{cell.p:,}", _giga(cell.flops), estimate, memory,
                      str(cell.seeds), str(cell.done), str(cell.failed))  # fmt: skip
    return table


def run(  # noqa: PLR0913 - flags
    study: StudyPath,
    data: Data = None,
    device: Device = "auto",
    workers: Workers = None,
    threads: Threads = 1,
    devices: Devices = 1,
    stack: Stack = "auto",
    ray: Ray = None,
    slurm: Slurm = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Repeat failed and diverged runs.")] = False,
    probe: Annotated[
        bool | None,
        typer.Option(
            "--probe/--no-probe",
            help="At the end, train the smallest and the largest n 4 times as long: would more steps change the "
            "answer? Default: if that takes a tenth of the study's time at most.",
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Train all runs even where the first ones are no better than their input. Default: ask; without a "
            "terminal, stop.",
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="Choose runs one by one, until the verdict is settled or this is spent: 2h, 90min, 40runs."),
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="decided: choose runs one by one until the verdict is settled.")
    ] = None,
    checkpoint_seconds: Annotated[float, typer.Option(help="Seconds between checkpoints.")] = 30.0,
    track: Annotated[str | None, typer.Option(help="Also log to: tensorboard, wandb, mlflow.")] = None,
    allow_commands: Annotated[
        bool, typer.Option("--allow-commands", help="Run the command of a study file with [command] on this machine.")
    ] = False,
) -> None:
    """Train the missing runs. Stop with Ctrl-C at any time; the next run continues."""
    again = command(
        "run", study, data=stated_data(data), device=device, workers=workers, threads=threads, devices=devices,
        stack=stack, ray=ray, slurm=slurm, probe=probe, keep_going=keep_going or None, budget=budget, until=until,
        checkpoint_seconds=checkpoint_seconds, track=track, allow_commands=allow_commands or None,
    )  # fmt: skip
    with handle_errors(again):
        if _is_external(study):
            from reconscale.cli.external import run_external

            flags: dict[str, Any] = {"data": data, "device": device, "workers": workers, "threads": threads, "ray": ray}
            flags |= {"slurm": tuple(slurm or ()), "allow_commands": allow_commands, "retry_failed": retry_failed}
            flags["budget"] = _budget(budget, until)
            ours = {
                "--devices": devices != 1,
                "--stack": stack != "auto",
                "--track": track,
                "--probe": probe is not None,
            }
            for flag in (flag for flag, given in ours.items() if given):
                raise UserError(flag, "is for networks of ours", f"leave it out: {study} has runs of other code")
            raise typer.Exit(_code(run_external(study, flags, again)))
        places = {"devices": devices, "stack": _stack(stack), "ray": ray, "slurm": tuple(slurm or ())}
        where = _where(data, device, workers, threads, keep_seconds=checkpoint_seconds, tracker=track, **places)
        allowed = _budget(budget, until)
        if allowed is not None:
            _propose(study, where)
        value, folder = _load(study)
        try:
            how: dict[str, Any] = {"retry_failed": retry_failed, "probe": probe, "keep_going": keep_going}
            status = _run_study(value, folder, where, budget=allowed, **how)
        except EndedOnPurpose as ended:
            remedy = f"check recipe.lr, recipe.steps and the images, or train the rest with: {again} --keep-going"
            raise UserError(ended.where, ended.found, remedy) from ended
        finally:
            if folder.root.is_dir():
                with suppress(UserError):  # a note for later commands, which must not hide what went wrong
                    remember_data(folder, value.images, data)
        _print_status(status, study, again, chosen=budget is not None or until is not None)
    raise typer.Exit(_code(status))


def _propose(path: Path, where: ExecutionConfig) -> None:
    """Give a study without a grid one, and say which."""
    from reconscale.training.propose import propose_sweep

    with StageProgress() as progress:
        made = propose_sweep(path, where, progress)
    if made is not None:
        axes = (f"{name} = {list(value)}" for name, value in made.model_dump(exclude_none=True).items())
        errors.print(f"note: the study names no grid; chosen for it: {', '.join(axes)}", markup=False, highlight=False,
                     soft_wrap=True)  # fmt: skip


def _budget(budget: str | None, until: str | None) -> Budget | None:
    """The values of ``--budget`` and ``--until``; None: all of the grid is made."""
    from reconscale.study.budget import Budget, parse_budget

    if until not in (None, "decided"):
        raise UserError("--until", f"found '{until}'", "'decided' is expected")
    if budget is not None:
        return parse_budget(budget)
    return None if until is None else Budget()


def status(study: StudyPath, json: AsJson = False) -> None:
    """Show the progress of a study."""
    with handle_errors():
        from reconscale.study import runs_of
        from reconscale.study.trunks import continuing_runs, continuing_sentence

        if _is_external(study):
            from reconscale.cli.external import status_external

            status_external(study, json)
            return
        value, folder = _load(study)
        runs = runs_of(value)
        found = folder.status(runs)
        if json:
            print_json(asdict(found))
            return
        again = command("run", study, data=known_data(folder, value.images), plugin=known_plugins(folder))
        _print_status(found, study, again, continuing_sentence(len(continuing_runs(folder, runs))))


def data(
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
    json: AsJson = False,
) -> None:
    """Prepare the images of a study and describe them. Shows counts, sizes, splits and skipped files."""
    with handle_errors():
        value, _ = _load(study)
        where = _where(data, "cpu", None, 1).resolved()
        if verify and split:
            raise UserError("--verify and --split", "found both", "give one at a time")
        if not split and (n is not None or seed is not None):
            raise UserError("--n and --seed", "are given without --split", "add --split, or leave them out")
        if split:
            _list_split(value, where.data_folder, (n, seed), json)
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


def _list_split(value: Study, data: Path | None, which: tuple[int | None, int | None], json: bool) -> None:
    """Print a split as CSV, or as JSON."""
    from reconscale.data import list_split

    with StageProgress() as progress:
        found = list_split(value, n=which[0], seed=which[1], data=data, progress=progress)
    if json:
        print_json(asdict(found))
    else:
        sys.stdout.write(plain(found.to_csv()))


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
        _where(None, "cpu", None, 1)
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


def _run_study(study: Study, folder: Folder, where: ExecutionConfig, *, keep_going: bool = False, **how: Any) -> Status:
    """Run a study with its progress shown; on a terminal, the user is asked whether to go on below the input."""
    from reconscale.training import run as run_all

    stages, sweep = StageProgress(), SweepProgress()

    def ask_without_bars(question: str) -> bool:
        with sweep.paused(), stages.paused():  # they are drawn one within the other
            return ask(question)

    asked = ask_without_bars if sys.stdin.isatty() and errors.is_terminal else False
    with stages as progress, sweep as show:
        return run_all(study, folder, where, progress=progress, tell=show, keep_going=keep_going or asked, **how)


def _print_status(found: Status, path: Path, again: str, continuing: str = "", *, chosen: bool = False) -> None:
    """Print how far a study is, and what comes next; of ``chosen`` runs the rest of the grid is not missing."""
    from reconscale.study.results_folder import DIVERGED

    counts = {"done": found.done, "diverged": found.diverged, "failed": found.failed,
              "started": found.started, "to do": found.todo}  # fmt: skip
    echo(", ".join(f"{len(runs)} {name}" for name, runs in counts.items()))
    for name in ("diverged", "failed"):
        for run_id in counts[name]:
            echo(f"  {name}: {run_id} ({found.reasons[run_id]})")
    for kind, (count, lost) in found.faults.items():
        repeated = f", {duration(lost)} of work repeated" if lost or kind != DIVERGED else ""
        echo(f"  {kind}: {count} {'time' if count == 1 else 'times'}{repeated}")
    if found.others:
        from reconscale.study.results_folder import others_sentence

        echo(f"  {others_sentence(found.others)}")
    if continuing:
        echo(f"  {continuing}")
    if found.diverged or found.failed:
        echo(f"repeat them with: {again} --retry-failed")
    verb = "start" if len(found.todo) == sum(map(len, counts.values())) else "continue"
    follow = f"{verb} with: {again}" if found.open and not chosen else f"next: {command('report', path)}"
    echo(follow)


def _code(found: Status) -> int:
    return 1 if found.failed or found.diverged else 0


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(entry) for entry in value) or "none"
    return str(value)
