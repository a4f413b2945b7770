"""Verbs about studies whose networks other code trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconscale.cli.display import VERBOSITY, RunsProgress, echo, errors, print_json
from reconscale.cli.live_curve import curve_of_external
from reconscale.cli.next_command import command, known_plugins, stated_data
from reconscale.errors import UserError

if TYPE_CHECKING:
    from reconscale.results import Status
    from reconscale.results.external_results import ExternalFolder
    from reconscale.results.results_folder import AnyFolder
    from reconscale.study.external import ExternalStudy
    from reconscale.study.images import Images
    from reconscale.training.executors.base import Tell

AS_IT_IS: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}


def run_external(path: Path, flags: dict[str, Any], again: str) -> Status:
    """Run the command of a study file for the runs that are missing, and print how far it is.

    Args:
        path: the study file, or its folder.
        flags: of ``run``.
        again: the command that continues.

    Raises:
        UserError: see ``run_commands``.
    """
    from reconscale.jobs.command_study import run_commands
    from reconscale.results.external_results import ExternalFolder
    from reconscale.study.external import load_external
    from reconscale.training.placement import ExecutionConfig

    places = {name: flags[name] for name in ("data", "device", "workers", "threads", "ray", "slurm")}
    study = load_external(path)

    with _shown(study, ExternalFolder.beside(path)) as tell:
        status = run_commands(
            path,
            ExecutionConfig(**places),
            allowed=flags["allow_commands"],
            tell=tell,
            retry_failed=flags["retry_failed"],
            budget=flags["budget"],
        )
    print_external(status, path, f"{again} --retry-failed", again)
    return status


@contextmanager
def _shown(study: ExternalStudy, folder: ExternalFolder) -> Iterator[Tell]:
    """What takes the events: a line for each run that is over, and on a terminal a bar below the curve."""
    from reconscale.jobs.run_jobs import printer

    runs, metric = study.runs(), study.analysis.metric
    if not errors.is_terminal or VERBOSITY.quiet:
        say = lambda line: None if VERBOSITY.quiet else errors.print(line, **AS_IT_IS)  # noqa: E731
        yield printer(runs, metric, say)
        return
    with RunsProgress(curve_of_external(study, folder)) as (print_line, advance):
        words = printer(runs, metric, print_line)
        yield lambda event: (words(event), advance(event))[0]


def status_external(path: Path, json: bool) -> None:
    """Print how far such a study is."""
    from reconscale.results.external_results import ExternalFolder
    from reconscale.results.results_folder import known_place
    from reconscale.study.external import load_external

    study = load_external(path)
    folder, runs = ExternalFolder.beside(path), study.runs()
    found, noticed = status_and_cautions(folder, runs)
    if json:
        print_json(asdict(found) | {"cautions": noticed})
        return
    echo(*(f"caution: {sentence}" for sentence in noticed))
    data = stated_data(None) or known_place(folder.root)
    again = command("run", path, data=data, allow_commands=True, plugin=known_plugins(folder))
    retry = f"{again} --retry-failed"
    if study.callable is not None:
        again = study.callable.again
        retry = f"{again}, with retry_failed=True in the call"
    print_external(found, path, retry, again)


def status_and_cautions(
    folder: AnyFolder[Any, Any], runs: Sequence[Any], images: Images | None = None
) -> tuple[Status, list[str]]:
    """How far runs are, and why a command that comes next would refuse.

    That is: results that cannot be read whole, and other images than before.

    Raises:
        UserError: not even how far they are can be read.
    """
    from reconscale.results.seen_files import changed_files

    said, results = [], None
    try:
        results = folder.results(runs)
    except UserError as mistake:
        said.append(str(mistake))
    found = folder.status(runs, results)
    return found, said + [sentence for sentence in [changed_files(folder, images) if images else ""] if sentence]


def print_external(found: Status, path: Path, retry: str, again: str) -> None:
    """Print how far such a study is, and what comes next."""
    counts = {"done": found.done, "diverged": found.diverged, "failed": found.failed, "to do": found.todo}
    echo(", ".join(f"{len(runs)} {name}" for name, runs in counts.items()))
    for name in ("diverged", "failed"):
        for run in counts[name]:
            echo(f"  {name}: {run} ({found.reasons[run]})")
    for kind, (count, _) in found.faults.items():
        echo(f"  {kind}: {count} {'time' if count == 1 else 'times'}")
    if found.others:
        from reconscale.results.results_folder import others_sentence

        echo(f"  {others_sentence(found.others)}")
    from reconscale.results.external_results import ExternalFolder

    if found.diverged or found.failed:
        echo(f"repeat them with: {retry}")
    echo(*next_lines(path, again, found.open, ExternalFolder.beside(path).root, done=bool(found.done)))


def next_lines(path: Path, again: str, left: int, root: Path, *, done: bool, verb: str = "continue") -> list[str]:
    """What comes next: the runs that are missing, or the report; the latter first where runs were chosen one by one.

    Args:
        path: the study file, or its folder.
        again: the command that makes the runs that are missing.
        left: how many these are.
        root: the results folder.
        done: whether any run is done; without one the report refuses.
        verb: ``start`` where no run is begun.
    """
    from reconscale.results.choices import read_choices

    report = [f"next: {command('report', path)}"] if done else []
    if not left:
        return report
    return [*report, f"more runs with: {again}"] if read_choices(root) else [f"{verb} with: {again}"]
