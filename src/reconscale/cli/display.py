"""Output of commands: the console, progress, and errors."""

from __future__ import annotations

import gc
import math
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from reconscale.cli.live_curve import Bars, LiveCurve
from reconscale.cli.notebook_bars import NotebookBars
from reconscale.errors import UserError
from reconscale.format import duration

CONTROLS = dict.fromkeys((*range(32), *range(127, 160), *range(8234, 8239), *range(8294, 8298)), "�")
"""Characters that move the cursor, colour the terminal or reverse the text."""


class PlainConsole(Console):
    """A console that prints control characters as replacement characters.

    Names of files and runs, and contents of files, reach the terminal; their control characters must not.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of text for the terminal; the control codes of rich itself stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


def plain(text: str) -> str:
    """A text without control characters, but for line ends, and without halves of surrogate pairs.

    >>> plain("a" + chr(27) + "[31mb")
    'a\ufffd[31mb'
    """
    shown = text.translate(CONTROLS | {10: "\n"})
    return shown.encode("utf-8", "replace").decode()


console = PlainConsole(markup=False)
errors = PlainConsole(stderr=True, markup=False)


@dataclass
class Verbosity:
    """How much a command prints.

    Attributes:
        quiet: no progress and no notes.
        verbose: the traceback of an error as well.
    """

    quiet: bool = False
    verbose: bool = False


VERBOSITY = Verbosity()
"""Of this process; set by ``-q`` and ``-v``."""


def set_verbosity(*, quiet: bool, verbose: bool) -> None:
    """Set how much this process prints.

    Raises:
        typer.BadParameter: both are asked for.
    """
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose exclude each other")
    VERBOSITY.quiet, VERBOSITY.verbose = quiet, verbose


@contextmanager
def handle_errors(resume: str | None = None) -> Iterator[None]:
    """Turn a user error into one line and exit code 2, and an interrupt into the command that continues."""
    try:
        yield
    except UserError as error:
        if VERBOSITY.verbose:
            errors.print(traceback.format_exc().rstrip(), markup=False, highlight=False, soft_wrap=True)
        message = plain(str(error)).replace("\n", " ")
        errors.print(f"reconscale: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        advice = f"; continue with: {resume}" if resume else ""
        errors.print(f"reconscale: stopped, nothing is lost{advice}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None
    finally:
        gc.unfreeze()  # results that a command has set aside


def ask(question: str) -> bool:
    """Ask on the terminal whether to go on; the answer is no where there is none but the return key.

    Raises:
        KeyboardInterrupt: there was no answer.
    """
    try:
        return typer.confirm(plain(question), default=False, err=True)
    except typer.Abort as error:
        raise KeyboardInterrupt from error


REST = 20.0
"""What is computed of all runs of a sweep is computed again after this many times the seconds that it took."""
SILENCE = 20.0
"""Without a terminal a stage says where it is once this many seconds have gone by without a line."""


def _bars(*columns: ProgressColumn, curve: LiveCurve | None = None) -> Any:
    """Bars on the terminal or in a notebook; they are silent elsewhere. On the terminal the curve stands above them."""
    if errors.is_jupyter and not VERBOSITY.quiet:
        return NotebookBars()
    silent = VERBOSITY.quiet or not errors.is_terminal
    return Bars(*columns, curve=curve, console=errors, transient=True, disable=silent)


def _leave_curve(curve: LiveCurve | None) -> None:
    """The curve as it is in the end stays on the terminal, when bars are gone."""
    if curve is not None and errors.is_terminal and not errors.is_jupyter and not VERBOSITY.quiet:
        for row in curve.rows(errors):
            errors.print(row, highlight=False)


class StageProgress:
    """A progress bar for each stage of a preparation; without a terminal, a line now and then."""

    def __init__(self) -> None:
        self._bars: dict[str, TaskID] = {}
        self._spoke = time.monotonic()
        counts = TextColumn("{task.completed:.0f}/{task.total:.0f}")
        self._progress = _bars(TextColumn("{task.description}"), BarColumn(), counts, TimeRemainingColumn())

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._progress.start()
        return self._update

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars away for a while."""
        self._progress.stop()
        yield
        self._progress.start()

    def _update(self, label: str, done: int, total: int) -> None:
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(label, total=total)
        self._progress.update(self._bars[label], completed=done, total=total)
        if done >= total > 0:  # the terminal's rows are for what is under way
            self._progress.remove_task(self._bars.pop(label))
        if time.monotonic() - self._spoke > SILENCE:
            self._spoke = time.monotonic()
            if not errors.is_terminal and not errors.is_jupyter and not VERBOSITY.quiet:
                errors.print(f"{label}: {done} of {total}")


class SweepProgress:
    """Progress of a sweep: an overall bar with the time left, and a bar for each running run.

    Without a terminal it prints a line for each finished run.

    Args:
        curve: drawn above the bars of a terminal.
    """

    def __init__(self, curve: LiveCurve | None = None) -> None:
        self._seconds: dict[str, float] = {}
        self._fraction: dict[str, float] = {}
        self._psnr: dict[str, float] = {}
        self._bars: dict[str, TaskID] = {}
        from reconscale.results.time_left import TimeLeft  # commands that run nothing do not wait for it

        self._time = TimeLeft({}, 1)
        self._early = self._chosen = False
        self._ended = 0
        self._said, self._part, self._again = "", 0.0, 0.0
        self._curve = curve
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}")
        self._progress = _bars(*columns, curve=curve)
        self._overall = self._progress.add_task("study", total=1.0, note="")

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._progress.start()
        return self._show

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        _leave_curve(self._curve)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars away for a while."""
        self._progress.stop()
        yield
        self._progress.start()

    def _show(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if self._curve is not None:
            self._curve.take(event)
        if kind == "plan":
            self._plan(event)
        elif kind == "start":
            self._time.start(event["run"])
            self._bars[event["run"]] = self._progress.add_task(_escaped(event["run"]), total=1.0, note="starting")
        elif kind == "progress":
            self._work(event)
        elif kind == "fault":
            self._fault(event)
        elif kind == "note":
            self._line(event["text"])
        elif kind == "queue":
            self._line(f"Slurm queue: {event['waiting']} jobs waiting, {event['running']} running")
        elif kind == "waiting":
            self._line(f"waiting: no node of the cluster is large enough for one run ({event['for']})")
        elif kind == "end":
            self._end(event)

    def _plan(self, event: dict[str, Any]) -> None:
        from reconscale.results.time_left import TimeLeft

        self._seconds, self._fraction, self._psnr, self._ended, self._again = event["seconds"], {}, {}, 0, 0.0
        limit, most = event.get("limit"), event.get("most")
        self._time = TimeLeft(event["seconds"], event["workers"], event.get("continuing", ()), limit=limit, most=most)
        self._early, self._chosen = event.get("early", False), event.get("chosen", False)
        about = "at most about" if self._early or self._chosen else "about"
        estimate = f", {about} {duration(event['expected'])}" if event["expected"] else ""
        stack = event.get("stack", 1)
        stacked = f"up to {stack} in one pass, " if stack > 1 else ""
        what = "probes, 4 times as long, to do" if event.get("probe") else "runs to do"
        self._line(f"{len(event['runs'])} {what}, {stacked}{event['workers']} at a time{estimate}")

    def _fault(self, event: dict[str, Any]) -> None:
        fault = event["fault"]
        lost = f", {duration(fault['lost'])} of work lost" if fault["lost"] else ""
        continues = {"worker died": "; continuing from its checkpoint", "node lost": "; continuing elsewhere"}
        name, then = "", ""
        if event["run"]:
            name, then = f"{event['run']}: ", continues.get(fault["kind"], "")
        if then:
            self._time.lost(event["run"])
            self._remove(event["run"])
        self._line(f"{name}{fault['kind']} ({fault['detail']}){lost}{then}")

    def _work(self, event: dict[str, Any]) -> None:
        name = event["run"]
        bar = self._bars.get(name)
        note = "checkpoint written"
        if "step" in event:
            self._time.advance(name, event["step"], event["steps"])
            self._fraction[name] = 0.95 * event["step"] / event["steps"]
            note = f"step {event['step']}/{event['steps']}"
            if math.isfinite(event["psnr"]):  # else it has not looked at the validation set yet
                self._psnr[name] = event["psnr"]
                note += f"  best {event['psnr']:.2f} dB"
        elif "testing" in event:
            self._fraction[name] = 0.95 + 0.05 * event["done"] / event["of"]
            note = f"testing on {event['testing']} {event['done']}/{event['of']}"
        if bar is not None:
            self._progress.update(bar, completed=self._fraction.get(name, 0.0), note=note)
        self._show_overall()

    def _end(self, event: dict[str, Any]) -> None:
        name = event["run"]
        self._ended += 1
        self._fraction[name] = 1.0
        self._time.end(name, done=event["status"] == "done")
        self._remove(name)
        psnr = f", best validation {self._psnr[name]:.2f} dB" if name in self._psnr else ""
        psnr += f"; {event['beside']}" if "beside" in event else ""
        left = self._left() if self._ended < len(self._seconds) else ""
        self._line(f"[{self._ended}/{len(self._seconds)}] {name}: {event['status']}{psnr}{left and f'; {left}'}")
        self._show_overall()

    def _remove(self, name: str) -> None:
        bar = self._bars.pop(name, None)
        if bar is not None:
            self._progress.remove_task(bar)

    def _left(self) -> str:
        """The time that is left, in words; empty where nothing is known."""
        self._look()
        return self._said

    def _show_overall(self) -> None:
        self._look()
        self._progress.update(self._overall, completed=self._part, note=self._said)

    def _look(self) -> None:
        """Find out how far the sweep is. With thousands of runs that takes a while, and is not done at every event."""
        began = time.perf_counter()
        if began < self._again:
            return
        total = sum(self._seconds.values()) or 1.0
        self._part = sum(self._seconds.get(name, 0.0) * fraction for name, fraction in self._fraction.items()) / total
        self._said = ""
        if any(self._seconds.get(name, 0.0) for name in self._fraction):
            early = self._chosen or (self._early and not self._time.is_known)
            about = "at most about" if early else "about"
            self._said = f"{about} {duration(max(1.0, self._time.seconds))} left"
        now = time.perf_counter()
        self._again = now + REST * (now - began)

    def _line(self, text: str) -> None:
        if not VERBOSITY.quiet:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class RunsProgress:
    """One bar: how many runs are over; lines are worded elsewhere.

    Args:
        curve: drawn above the bar of a terminal.
    """

    def __init__(self, curve: LiveCurve | None = None) -> None:
        self._curve = curve
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}")
        self._progress = _bars(*columns, curve=curve)
        self._bar = self._progress.add_task("runs", total=1.0, note="")
        self._over = self._all = 0

    def __enter__(self) -> tuple[Callable[[str], None], Callable[[dict[str, Any]], None]]:
        self._progress.start()
        return self._line, self._show

    def __exit__(self, *error: object) -> None:
        self._progress.stop()
        _leave_curve(self._curve)

    def _line(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _show(self, event: dict[str, Any]) -> None:
        if self._curve is not None:
            self._curve.take(event)
        if event["event"] == "plan":
            self._all = len(event["runs"])
        self._over += event["event"] == "end"
        if self._all:
            note = f"{self._over} of {self._all}"
            self._progress.update(self._bar, completed=float(self._over), total=float(self._all), note=note)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def echo(*lines: str) -> None:
    """Print lines as they are; with ``--quiet`` without notes."""
    for line in lines:
        if not (VERBOSITY.quiet and line.startswith("note [")):
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write strict JSON to standard output."""
    from reconscale.files import to_json

    sys.stdout.write(to_json(value))


def plain_table(*columns: str) -> Table:
    """A table that fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", caption_justify="left")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
