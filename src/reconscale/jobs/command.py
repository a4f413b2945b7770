"""Train one run by a command, and read what it wrote."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import MOST_JSON, read_limited
from reconscale.importers.labels import ColumnMapping, map_columns
from reconscale.importers.log import RunLog
from reconscale.importers.pipeline import TOOLS, kind_of
from reconscale.importers.values import MetricSelection, MetricValue, read_metric, select_metric
from reconscale.jobs.job import Job
from reconscale.jobs.lists import WRITERS, Item
from reconscale.laws.metrics import METRICS
from reconscale.study.external import PLACEHOLDER, Command

GRACE = 10.0
"""Seconds that a command gets to end by itself when it is told to."""
SLACK = 2.0
"""Seconds by which the clock of a file system may be behind."""
WHO = "the command"
OPTIONS = {"--value": "command.value", "--choose-by": "command.choose_by", "--metric": "analysis.metric"}
"""Options of ``reconscale import`` -> what says the same in a study file."""
TRACEBACK = "Traceback (most recent call last)"


class CommandError(UserError):
    """The command did not give a result."""


@dataclass(frozen=True)
class CommandTrainer:
    """A command as a function that trains.

    Attributes:
        command: of the study file.
        metric: that is measured.
        folder: of the study file; the command is run there.
        root: the folder above the items.
        names: whether items are paths below the root, and not ids.
    """

    command: Command
    metric: str
    folder: Path
    root: Path
    names: bool

    def __call__(self, job: Job) -> Any:
        """Run the command and read its result.

        Raises:
            UserError: it cannot be started, ends badly or not in time, or leaves no result of its own.
        """
        lists = job.folder.parent / "lists"
        places = {name: WRITERS[self.command.list](lists / name, self._items(getattr(job, name)))
                  for name in ("train", "val", "test")}  # fmt: skip
        _set_aside(job.folder, self.command.result)
        before, began = files_of_results(job.folder, self.command.result), time.time()
        run_command(self._spelled(job, places), self.folder, job, self.command.time_limit)
        return read_result(job.folder, self.command, self.metric, began, before)

    def _items(self, names: list[Any]) -> list[Item]:
        return [Item(name, str(self.root / name) if self.names else name) for name in map(str, names)]

    def _spelled(self, job: Job, places: Mapping[str, Path]) -> list[str]:
        """The command with everything filled in."""
        known = {**places, "width": job.width, "seed": job.seed, "n": job.n, "folder": job.folder, "device": job.device,
                 "threads": job.threads, "root": self.root}  # fmt: skip
        words = [PLACEHOLDER.sub(lambda found: str(known[found[1]]), part) for part in self.command.run]
        return [sys.executable if words[0] == "python" else words[0], *words[1:]]


def run_command(words: list[str], folder: Path, job: Job, time_limit: float | None) -> None:
    """Run a command, its output kept beside the run's folder of files.

    Args:
        words: the program and its arguments; no shell reads them.
        folder: where it is run.
        job: the run.
        time_limit: seconds, or none.

    Raises:
        CommandError: as the class says.
        KeyboardInterrupt: asked to end; the command has been told so, too.
    """
    home = job.folder.parent
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
    with (home / "stdout.log").open("ab") as out, (home / "stderr.log").open("ab") as err:
        try:
            process = subprocess.Popen(
                words, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=os.environ | threads
            )
        except OSError as error:
            raise CommandError(WHO, f"cannot be started: {words[0]} ({error.strerror})",
                               "check command.run") from error  # fmt: skip
        try:
            code = process.wait(timeout=time_limit)
        except subprocess.TimeoutExpired as error:
            end(process)
            remedy = "raise command.time_limit, or see stdout.log and stderr.log in the run's folder"
            raise CommandError(WHO, f"was not over after {time_limit:g} seconds and was ended", remedy) from error
        except BaseException:
            end(process)
            raise
    end_others()
    if code:
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        raise CommandError(WHO, f"ended with {how}{_last_words(home / 'stderr.log')}",
                           "see stdout.log and stderr.log in the run's folder")  # fmt: skip


def end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started: politely, then at once."""
    process.terminate()
    try:
        process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    end_others()


def end_others() -> None:
    """End whatever else is left in this process's group, where the process leads one and the system lists them."""
    group, here = os.getpgid(0), os.getpid()
    if group != here or not Path("/proc/self/stat").is_file():
        return
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != here:
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[2]) == group:
                    os.kill(int(entry.name), signal.SIGKILL)
            except (OSError, IndexError, ValueError):
                continue


def read_result(
    folder: Path, command: Command, metric: str, began: float, before: Mapping[Path, tuple[int, int]] | None = None
) -> Any:
    """What a command wrote: the content of a JSON file, or a mapping from a log.

    Args:
        folder: of the run's files.
        command: of the study file.
        metric: that is measured.
        began: when the command began (``time.time``).
        before: what ``files_of_results`` found then: folders of logs that are as they were do not count.

    Raises:
        UserError: there is no result, an old one, more than one, or one that cannot be read.
    """
    before = before or {}
    there = _results(folder, command.result)
    found = [path for path in there if not path.is_dir() or _is_new(path, before)]
    if there and not found:
        name = there[0].relative_to(folder)
        remedy = "name the folder that it writes to now; * stands for any part of a name, as in version_*"
        raise CommandError(WHO, f"wrote nothing into {name}, which an earlier attempt left", remedy)
    if not found:
        raise CommandError(
            WHO, f"wrote no {command.result} into {{folder}}", "let it write there, or mend command.result"
        )
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:3])
        raise CommandError(WHO, f"wrote {len(found)} results ({names})", "name the one that counts as command.result")
    (path,) = found
    if path.resolve() != path and not path.resolve().is_relative_to(folder):
        raise CommandError(WHO, f"left a link as {command.result}", "let it write the file itself")
    if path.is_file() and path.stat().st_mtime < began - SLACK:
        raise CommandError(
            WHO, f"left a {command.result} that is older than the run", "let it measure again, and write"
        )
    if path.suffix == ".json":
        return _read_json(path)
    return _read_log(path, command, metric, before)


def files_of_results(folder: Path, result: str) -> dict[Path, tuple[int, int]]:
    """What is or lies below what ``command.result`` names, with the time of the last change (ns) and size of files.

    Many loggers begin a new folder (``version_1``) where there is one of an earlier attempt, which then must not count.
    """
    found = (place for path in _results(folder, result) for place in (path, *path.rglob("*")))
    return {place: _stamp(place) for place in found}


def _results(folder: Path, result: str) -> list[Path]:
    """What is there of what ``command.result`` names, sorted."""
    found = sorted(folder.glob(result)) if "*" in result else [folder / result]
    return [path for path in found if path.exists()]


def _is_new(place: Path, before: Mapping[Path, tuple[int, int]]) -> bool:
    """Whether a folder was made since, or a file below it changed or added."""
    return place not in before or any(before.get(below) != _stamp(below) for below in place.rglob("*"))


def _stamp(place: Path) -> tuple[int, int]:
    """When a file was changed last (ns), and its size; (0, 0) of a folder or of a link that leads nowhere."""
    return (place.stat().st_mtime_ns, place.stat().st_size) if place.is_file() else (0, 0)


def _read_json(path: Path) -> Any:
    text = read_limited(path, MOST_JSON).decode(errors="replace")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = next((key for key in keys if keys.count(key) > 1), None) if len(keys) < 1000 else None
        if twice is not None:
            raise CommandError(WHO, f"wrote '{twice}' twice into {path.name}", "let it write one value")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=once)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        several = "Extra data" in str(error)
        what = (
            f"wrote more than one result into {path.name}"
            if several
            else f"wrote a {path.name} that is not JSON ({error})"
        )
        raise CommandError(WHO, what, "let it write one JSON object, once") from error


def _read_log(path: Path, command: Command, metric: str, before: Mapping[Path, tuple[int, int]]) -> dict[str, Any]:
    """The value of a log that ``reconscale import`` reads."""
    kinds = [kind for kind, tool in TOOLS.items() if tool.matches(path)]
    if len(kinds) > 1:
        raise CommandError(WHO, f"wrote logs of several tools ({', '.join(kinds)}) into {command.result}",
                           "name the file of one of them as command.result")  # fmt: skip
    read = TOOLS[kind_of(path)].read(path)
    if len(read) > 1 and path.is_dir():
        read = [run for run in read if not (path / run.name).is_dir() or _is_new(path / run.name, before)]
    runs = [run for run in read if isinstance(run, RunLog)]
    if len(read) == 1 and not runs:
        raise CommandError(WHO, f"wrote a log that cannot be used ({read[0]})", "see what it printed")
    if len(runs) != 1:
        raise CommandError(WHO, f"wrote the logs of {len(runs)} runs into {command.result}", "one is expected")
    asked = MetricSelection("", "", "last", command.choose_by)
    column = metric if metric in ("psnr", "ssim", "error") or metric in METRICS else None
    try:
        measure = select_metric(runs, column, command.value, asked)
    except UserError as mistake:  # of the command line, which says the same in other words
        where = OPTIONS.get(mistake.where, mistake.where)
        raise UserError(f"{command.result}, {where}", mistake.found, mistake.remedy) from mistake
    value = read_metric(runs[0], measure)
    if not isinstance(value, MetricValue):
        raise CommandError(WHO, f"wrote a log that cannot be used ({value})", "see command.value and command.choose_by")
    given = {metric: value.value, **({"validation": value.chosen_by} if measure.validation else {})}
    labels = map_columns(runs[0], ColumnMapping())
    return given | ({"p": labels["p"].value} if "p" in labels else {})


def _set_aside(folder: Path, result: str) -> None:
    """Take away what an earlier attempt left as a result; its other files stay."""
    for path in folder.glob(result):
        if path.is_file() or path.is_symlink():
            path.unlink()


def _last_words(path: Path) -> str:
    """The last line of what was printed; of a traceback, the error and what it says, which may take several lines."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 20_000))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    began = max((place for place, line in enumerate(lines) if TRACEBACK in line), default=len(lines))
    error = next((place for place in range(began + 1, len(lines)) if lines[place][:1].strip()), len(lines) - 1)
    words = " ".join(" ".join(lines[error:]).split()) if lines else ""
    return f" ({words[:300]})" if words else ""
