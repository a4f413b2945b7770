"""Bars for a function that is called from a notebook or on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module

from reconscale.training.executors.base import Tell

BARS = "reconscale.cli.display"
"""The module that shows them, by name: where nobody looks it is not needed."""
Stages = Callable[[str, int, int], None]


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook (Jupyter, VS Code, Colab)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ in ("ZMQInteractiveShell", "Shell")


@contextmanager
def shown_progress() -> Iterator[tuple[Stages | None, Tell | None]]:
    """What shows the stages of a preparation and the events of runs; None and None where nobody looks."""
    if not in_notebook() and not sys.stderr.isatty():
        yield None, None
        return
    display = import_module(BARS)
    with display.StageProgress() as stages, display.SweepProgress() as events:
        yield stages, events


def runs_bar() -> AbstractContextManager[tuple[Callable[[str], None], Tell]]:
    """A bar of the runs that are over: what prints a line below it, and what takes the events."""
    bar: AbstractContextManager[tuple[Callable[[str], None], Tell]] = import_module(BARS).RunsProgress()
    return bar
