"""Verbs about a study: demo, plan, run, status."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import asdict
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
    print_json,
)
from reconscale.cli.live_curve import curve_of_study
from reconscale.cli.next_command import command, known_data, known_plugins, needs_data, remember_data, stated_data
from reconscale.cli.study_options import (
    AsJson,
    Data,
    Device,
    Devices,
    Ray,
    Slurm,
    Stack,
    StudyPath,
    Threads,
    Workers,
    load,
    stack_size,
    where_to_run,
)
from reconscale.errors import EndedOnPurpose, UserError, suggest
from reconscale.files import write_atomic
from reconscale.format import duration

if TYPE_CHECKING:
    from reconscale.results import Folder, Status
    from reconscale.study import Plan, Study
    from reconscale.study.budget import Budget
    from reconscale.study.proposed_sweep import ProposedSweep
    from reconscale.training import ExecutionConfig


def _is_external(path: Path) -> bool:
    from reconscale.study.external import is_external

    return is_external(path)


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
        study, folder = load(path)
        status = _run_study(study, folder, where_to_run(None, "auto", workers, threads, stack=stack_size(stack)))
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
        where = where_to_run(data, device, workers, threads, devices=devices, stack=stack_size(stack), ray=ray)
        proposed = _propose(study, where, keep=False)
        value, folder = load(study, proposed)
        from reconscale.results.trunks import continuing_runs, continuing_sentence
        from reconscale.study import runs_of
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
            threads=threads, devices=devices, stack=stack, ray=ray, budget=None if proposed is None else "2h",
        )  # fmt: skip
        if continuing := continuing_sentence(len(continuing_runs(folder, runs_of(value))), counted=calibrate):
            echo(continuing)
        echo(f"{_left_words(made, calibrate, value.recipe.steps_are_fixed)}; start with: {again}")
        if proposed is not None:
            echo("a budget, here of two hours, chooses among these runs, and ends earlier where the verdict is settled")


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
    mixed = any(cell.mix for cell in made.cells)
    last = ("time per run", "memory", "seeds", "done", "failed")
    table = Table("n", *(["mix"] * mixed), "width", "p", "GFLOPs per run", *last)
    for cell in made.cells:
        estimate = "-" if cell.seconds is None else duration(cell.seconds)
        memory = "-" if cell.memory is None else f"{cell.memory / 1e9:.2f} GB"
        table.add_row(str(cell.n), *([cell.mix] * mixed), str(cell.width), f"{cell.p:,}", _giga(cell.flops), estimate,
                      memory, str(cell.seeds), str(cell.done), str(cell.failed))  # fmt: skip
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
        places = {"devices": devices, "stack": stack_size(stack), "ray": ray, "slurm": tuple(slurm or ())}
        where = where_to_run(data, device, workers, threads, keep_seconds=checkpoint_seconds, tracker=track, **places)
        allowed = _budget(budget, until)
        if allowed is not None:
            _propose(study, where)
        value, folder = load(study)
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


def _propose(path: Path, where: ExecutionConfig, *, keep: bool = True) -> ProposedSweep | None:
    """Give a study without a grid one, and say which; none where it has one. Kept beside its results, or for now."""
    from reconscale.training.propose import propose_sweep

    with StageProgress() as progress:
        made = propose_sweep(path, where, progress, keep=keep)
    if made is not None:
        axes = (f"{name} = {list(value)}" for name, value in made.model_dump(exclude_none=True).items())
        chosen = "chosen for it" if keep else "a run with a budget takes"
        errors.print(f"note: the study names no grid; {chosen}: {', '.join(axes)}", markup=False, highlight=False,
                     soft_wrap=True)  # fmt: skip
    return made


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
        from reconscale.cli.external import status_and_cautions, status_external
        from reconscale.results.trunks import continuing_runs, continuing_sentence
        from reconscale.study import runs_of

        if _is_external(study):
            status_external(study, json)
            return
        value, folder = load(study)
        runs = runs_of(value)
        found, noticed = status_and_cautions(folder, runs, value.images)
        if json:
            print_json(asdict(found) | {"cautions": noticed})
            return
        again = command("run", study, data=known_data(folder, value.images), plugin=known_plugins(folder))
        echo(*(f"caution: {sentence}" for sentence in noticed))
        _print_status(found, study, again, continuing_sentence(len(continuing_runs(folder, runs))))


def _run_study(study: Study, folder: Folder, where: ExecutionConfig, *, keep_going: bool = False, **how: Any) -> Status:
    """Run a study with its progress shown; on a terminal, the user is asked whether to go on below the input."""
    from reconscale.training import run as run_all

    curve = curve_of_study(study, folder) if errors.is_terminal else None
    stages, sweep = StageProgress(), SweepProgress(curve)

    def ask_without_bars(question: str) -> bool:
        with sweep.paused(), stages.paused():  # they are drawn one within the other
            return ask(question)

    asked = ask_without_bars if sys.stdin.isatty() and errors.is_terminal else False
    with stages as progress, sweep as show:
        return run_all(study, folder, where, progress=progress, tell=show, keep_going=keep_going or asked, **how)


def _print_status(found: Status, path: Path, again: str, continuing: str = "", *, chosen: bool = False) -> None:
    """Print how far a study is, and what comes next; of ``chosen`` runs the rest of the grid is not missing."""
    from reconscale.cli.external import next_lines
    from reconscale.results import Folder
    from reconscale.results.results_folder import DIVERGED

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
        from reconscale.results.results_folder import others_sentence

        echo(f"  {others_sentence(found.others)}")
    if continuing:
        echo(f"  {continuing}")
    if found.diverged or found.failed:
        echo(f"repeat them with: {again} --retry-failed")
    verb = "start" if len(found.todo) == sum(map(len, counts.values())) else "continue"
    left, root = 0 if chosen else found.open, Folder.beside(path).root
    echo(*next_lines(path, again, left, root, done=bool(found.done), verb=verb))


def _code(found: Status) -> int:
    return 1 if found.failed or found.diverged else 0
