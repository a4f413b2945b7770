"""What a command shows while it works, and how it says that something is wrong."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.segment import Segment
from rich.table import Table

from reconscale.errors import UserError

CONTROLS = dict.fromkeys((*range(32), *range(127, 160), *range(8234, 8239), *range(8294, 8298)), "�")
"""Characters that move the cursor, colour the terminal or turn the text around; a terminal obeys them."""


class PlainConsole(Console):
    """A console that shows control characters in what it is told as replacement characters.

    Names of files and runs, and what files say, reach the terminal; what they hold must not.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The pieces of text that go to the terminal; those that rich itself makes to move the cursor stay."""
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


@contextmanager
def handle_errors(resume: str | None = None) -> Iterator[None]:
    """Turn a user's mistake into one sentence and exit code 2, and an interrupt into the command that continues."""
    try:
        yield
    except UserError as mistake:
        told = plain(str(mistake)).replace("\n", " ")
        errors.print(f"reconscale: {told}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        remedy = f"; continue with: {resume}" if resume else ""
        errors.print(f"reconscale: stopped, nothing is lost{remedy}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


def format_duration(seconds: float) -> str:
    """A duration for people.

    >>> format_duration(42), format_duration(600), format_duration(7260)
    ('42 s', '10 min', '2 h 1 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class StageProgress:
    """A bar for each thing that is prepared, shown only when it takes a while."""

    def __init__(self) -> None:
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            console=errors, transient=True, disable=not errors.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._progress.start()
        return self._update

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def _update(self, label: str, done: int, total: int) -> None:
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(label, total=total)
        self._progress.update(self._bars[label], completed=done, total=total)


class SweepProgress:
    """One display for a whole sweep: an overall bar with the time left, and a line for each run at work.

    Without a terminal it prints a line for each run that ends.
    """

    def __init__(self, verbose: bool = True) -> None:
        self._verbose = verbose
        self._seconds: dict[str, float] = {}
        self._fraction: dict[str, float] = {}
        self._psnr: dict[str, float] = {}
        self._bars: dict[str, TaskID] = {}
        self._began = time.monotonic()
        self._ended = 0
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"),
            console=errors, transient=True, disable=not errors.is_terminal,
        )  # fmt: skip
        self._overall = self._progress.add_task("study", total=1.0, note="")

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._progress.start()
        return self._tell

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def _tell(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "plan":
            self._plan(event)
        elif kind == "start":
            self._bars[event["run"]] = self._progress.add_task(_escaped(event["run"]), total=1.0, note="starting")
        elif kind == "progress":
            self._work(event)
        elif kind == "fault":
            self._fault(event)
        elif kind == "note":
            self._line(event["text"])
        elif kind == "queue":
            self._line(f"in the queue: {event['waiting']} jobs waiting, {event['running']} running")
        elif kind == "waiting":
            self._line(f"waiting: no node of the cluster is large enough for a run ({event['for']})")
        elif kind == "end":
            self._end(event)

    def _plan(self, event: dict[str, Any]) -> None:
        self._began = time.monotonic()
        self._seconds = event["seconds"]
        estimate = f", about {format_duration(event['expected'])}" if event["expected"] else ""
        stack = event.get("stack", 1)
        many = f"up to {stack} in one pass, " if stack > 1 else ""
        self._line(f"{len(event['runs'])} runs to do, {many}{event['workers']} side by side{estimate}")

    def _fault(self, event: dict[str, Any]) -> None:
        fault = event["fault"]
        lost = f", {format_duration(fault['lost'])} of work lost" if fault["lost"] else ""
        goes_on = {"worker died": "; continuing from its checkpoint", "node lost": "; continuing elsewhere"}
        name, then = "", ""
        if event["run"]:
            name, then = f"{event['run']}: ", goes_on.get(fault["kind"], "")
        if then:
            self._remove(event["run"])
        self._line(f"{name}{fault['kind']} ({fault['detail']}){lost}{then}")

    def _work(self, event: dict[str, Any]) -> None:
        name = event["run"]
        bar = self._bars.get(name)
        note = "checkpoint kept"
        if "step" in event:
            self._fraction[name] = 0.95 * event["step"] / event["steps"]
            self._psnr[name] = event["psnr"]
            note = f"step {event['step']}/{event['steps']}  best {event['psnr']:.2f} dB"
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
        self._remove(name)
        psnr = f", best on validation {self._psnr[name]:.2f} dB" if name in self._psnr else ""
        self._line(f"[{self._ended}/{len(self._seconds)}] {name}: {event['status']}{psnr}; {self._left()}")
        self._show_overall()

    def _remove(self, name: str) -> None:
        bar = self._bars.pop(name, None)
        if bar is not None:
            self._progress.remove_task(bar)

    def _left(self) -> str:
        done = sum(self._seconds.get(name, 0.0) * fraction for name, fraction in self._fraction.items())
        total = sum(self._seconds.values())
        if done <= 0:
            return ""
        return f"about {format_duration(max(0.0, total - done) * (time.monotonic() - self._began) / done)} left"

    def _show_overall(self) -> None:
        total = sum(self._seconds.values()) or 1.0
        done = sum(self._seconds.get(name, 0.0) * fraction for name, fraction in self._fraction.items())
        self._progress.update(self._overall, completed=done / total, note=self._left())

    def _line(self, text: str) -> None:
        if self._verbose:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def print_json(value: Any) -> None:
    """Write strict JSON to standard output, for machines."""
    from reconscale.files import to_json

    sys.stdout.write(to_json(value))


def plain_table(*columns: str) -> Table:
    """A table that fits 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", caption_justify="left")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table
