"""Bars in the output of a notebook's cell: rich draws there with ipywidgets alone, which Jupyter does not bring."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from html import escape
from typing import Any

EVERY = 0.3
"""Seconds between two drawings."""
LINES = 200
"""Lines that are kept below the bars."""
LOOK = "font-family: system-ui, sans-serif; font-size: 13px; line-height: 1.6"


@dataclass
class Bar:
    """One bar: how much of ``total`` is done, and what stands behind it."""

    description: str
    total: float
    completed: float = 0.0
    note: str = ""

    @property
    def html(self) -> str:
        """The bar, with everything escaped."""
        counted = self.note or (f"{self.completed:.0f}/{self.total:.0f}" if self.total > 1 else "")
        known = f'value="{self.completed:g}" max="{self.total:g}"' if self.total > 0 else ""
        return f"<div>{escape(self.description)} <progress {known}></progress> {escape(counted)}</div>"


class NotebookBars:
    """Bars and lines in one output, which is drawn over itself; used as rich's ``Progress`` is."""

    def __init__(self) -> None:
        self._bars: dict[int, Bar] = {}
        self._lines: list[str] = []
        self._numbers = itertools.count()
        self._handle: Any = None
        self._running = False
        self._drawn = 0.0

    @property
    def console(self) -> NotebookBars:
        """What prints lines: itself."""
        return self

    @property
    def html(self) -> str:
        """What is shown now."""
        bars = "".join(bar.html for bar in self._bars.values()) if self._running else ""
        lines = "".join(f"<div>{escape(line)}</div>" for line in self._lines[-LINES:])
        return f'<div style="{LOOK}">{bars}{lines}</div>'

    def start(self) -> None:
        """Show the bars."""
        self._running = True
        self._draw()

    def stop(self) -> None:
        """Take the bars away; the lines stay."""
        self._running = False
        if self._bars or self._lines:
            self._draw(now=True)

    def add_task(self, description: str, *, total: float | None = 1.0, note: str = "") -> int:
        """A new bar; its number."""
        number = next(self._numbers)
        self._bars[number] = Bar(description, total or 0.0, note=note)
        self._draw()
        return number

    def update(self, number: int, **changed: Any) -> None:
        """Change ``completed``, ``total`` or ``note`` of a bar."""
        for name, value in changed.items():
            setattr(self._bars[number], name, value)
        self._draw()

    def remove_task(self, number: int) -> None:
        """Take a bar away."""
        self._bars.pop(number, None)
        self._draw()

    def print(self, text: str, **_: Any) -> None:
        """A line below the bars."""
        self._lines.append(text)
        self._draw(now=True)

    def _draw(self, *, now: bool = False) -> None:
        if not now and time.monotonic() - self._drawn < EVERY:
            return
        from IPython.display import HTML, display

        self._drawn = time.monotonic()
        if self._handle is None:
            self._handle = display(HTML(self.html), display_id=True)
        else:
            self._handle.update(HTML(self.html))
