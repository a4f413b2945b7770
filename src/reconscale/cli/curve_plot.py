"""Quality against n as text, for a terminal: points of runs, the way they go on average, and lines without training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

LEAST = (48, 9)
"""Columns and rows below which nothing is drawn."""
MOST = (100, 16)
"""Columns and rows that a plot takes at most."""
MARKS = ("●", "▲", "■", "◆", "○", "△", "□", "◇"), ("o", "x", "+", "*", "#", "@", "%", "&")
"""One for each width, so that colour is not needed: in Unicode, and in ASCII."""
COLOURS = ("bright_blue", "bright_green", "bright_magenta", "bright_yellow", "cyan", "green", "magenta", "yellow")
DASHES = "╌-"
"""Of lines without training: in Unicode, and in ASCII."""
STRETCH = 1.5
"""A line without training that is further from the runs than this times their range is named, and not drawn."""


@dataclass(frozen=True)
class CurveData:
    """What is drawn.

    Attributes:
        values: width (0: there is no such setting) -> n -> the metric of each run that is done.
        sizes: all n of the study; they say where the axis begins and ends.
        lines: what needs no training: label and value.
        metric: its name, with its unit.
        digits: of a value, behind the point.
    """

    values: Mapping[int, Mapping[int, Sequence[float]]]
    sizes: Sequence[int]
    lines: Sequence[tuple[str, float]]
    metric: str
    digits: int = 2

    @property
    def reached(self) -> list[float]:
        """All values."""
        return [value for of_width in self.values.values() for some in of_width.values() for value in some]

    def spell(self, value: float) -> str:
        """A value with as many digits as tell runs apart."""
        return f"{value:.{self.digits}f}"


def curve_line(data: CurveData) -> str:
    """Where there is no room for a plot: the mean at every n, of the last width that has runs."""
    if not data.reached:
        return ""
    width, of_width = max((item for item in data.values.items() if item[1]), key=lambda item: item[0])
    means = ", ".join(f"n {n}: {data.spell(_mean(of_width[n]))}" for n in sorted(of_width))
    beside = "".join(f"; {label} {data.spell(value)}" for label, value in data.lines)
    return f"{data.metric}{f', width {width}' if width else ''}: {means}{beside}"


def draw_curve(data: CurveData, columns: int, rows: int, *, unicode: bool) -> list[Text]:
    """The plot, a text for each row; empty where there is no room or nothing to draw.

    Args:
        data: what is drawn.
        columns: at most.
        rows: at most.
        unicode: whether the terminal can show more than ASCII.
    """
    columns, rows = min(columns, MOST[0]), min(rows, MOST[1])
    if columns < LEAST[0] or rows < LEAST[1] or not data.reached:
        return []
    shown, named = _lines_to_draw(data)
    has_legend = bool(data.lines) or any(data.values)
    grid = _Grid(data, [value for _, value in shown], columns, rows - 3 - has_legend, unicode)
    for _, value in shown:
        grid.line(value)
    for index, width in enumerate(sorted(data.values)):
        grid.curve(data.values[width], index)
    dash = DASHES[not unicode]
    said = [f"{dash} {label} {data.spell(value)}" for label, value in shown if not grid.name_line(label, value)]
    said += [f"{label} {data.spell(value)} (not drawn)" for label, value in named]
    title = Text(f"{data.metric} against n", style="bold", no_wrap=True, overflow="ellipsis")
    return [title, *grid.texts(), *([_legend(data, said, columns, unicode)] if has_legend else [])]


def _lines_to_draw(data: CurveData) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The lines that are near the runs, and those that would leave no room for them."""
    low, high = min(data.reached), max(data.reached)
    room = STRETCH * max(high - low, 10 ** (1 - data.digits) * 5)
    near = [line for line in data.lines if low - room <= line[1] <= high + room]
    return near, [line for line in data.lines if line not in near]


def _legend(data: CurveData, said: Sequence[str], columns: int, unicode: bool) -> Text:
    """What the marks mean, and what is said of lines."""
    legend = Text(no_wrap=True, overflow="ellipsis")
    widths = [width for width in sorted(data.values) if width]
    for index, width in enumerate(widths):
        legend.append(MARKS[not unicode][index % len(COLOURS)], COLOURS[index % len(COLOURS)])
        legend.append(f" width {width}   ")
    legend.append("   ".join(said))
    legend.rstrip()
    if legend.cell_len > columns:
        legend.truncate(columns, overflow="ellipsis" if unicode else "crop")
    return legend


class _Grid:
    """Cells of the plot, with both axes."""

    def __init__(self, data: CurveData, lines: Sequence[float], columns: int, rows: int, unicode: bool) -> None:
        self._data, self._unicode = data, unicode
        values = [*data.reached, *lines]
        low, high = min(values), max(values)
        margin = 0.05 * (high - low) or 10 ** (1 - data.digits)
        self._low, self._high = low - margin, high + margin
        self._labels = max(len(data.spell(value)) for value in (self._low, self._high)) + 1
        self._columns, self._rows = columns - self._labels - 1, rows
        self._cells: list[list[tuple[str, str]]] = [[(" ", "")] * self._columns for _ in range(rows)]
        self._first, self._last = math.log(min(data.sizes)), math.log(max(data.sizes))

    def _x(self, n: float) -> int:
        span = self._last - self._first
        part = 0.5 if span <= 0 else (math.log(n) - self._first) / span
        return 2 + round(min(1.0, max(0.0, part)) * (self._columns - 5))

    def _y(self, value: float) -> int:
        return round((self._high - value) / (self._high - self._low) * (self._rows - 1))

    def line(self, value: float) -> None:
        """A line across."""
        self._cells[self._y(value)] = [(DASHES[not self._unicode], "dim")] * self._columns

    def name_line(self, label: str, value: float) -> bool:
        """Write the name of a line into it, at its right end or its left; False where runs are in the way of both."""
        row, name = self._cells[self._y(value)], f" {label} {self._data.spell(value)} "
        name = name if self._unicode else name.encode("ascii", "replace").decode()
        for start in (self._columns - len(name) - 1, 1):
            if start >= 1 and all(letter in DASHES for letter, _ in row[start : start + len(name)]):
                row[start : start + len(name)] = [(letter, "dim") for letter in name]
                return True
        return False

    def curve(self, of_width: Mapping[int, Sequence[float]], index: int) -> None:
        """Marks at every run, and dots from mean to mean."""
        colour, mark = COLOURS[index % len(COLOURS)], MARKS[not self._unicode][index % len(COLOURS)]
        means = [(self._x(n), _mean(of_width[n])) for n in sorted(of_width)]
        for (left, first), (right, last) in pairwise(means):
            for column in range(left + 1, right):
                row = self._y(first + (last - first) * (column - left) / (right - left))
                self._cells[row][column] = ("·" if self._unicode else ".", colour)
        for n, values in of_width.items():
            for value in values:
                self._cells[self._y(value)][self._x(n)] = (mark, colour)

    def texts(self) -> list[Text]:
        """The rows, the axis below them, and its labels."""
        bar, corner, floor = ("│", "└", "─") if self._unicode else ("|", "+", "-")
        rows = []
        ticks = {0: self._high, self._rows - 1: self._low, (self._rows - 1) // 2: 0.0}
        ticks[(self._rows - 1) // 2] = self._high - (self._high - self._low) * ((self._rows - 1) // 2) / (
            self._rows - 1
        )
        for index, cells in enumerate(self._cells):
            label = self._data.spell(ticks[index]) if index in ticks else ""
            text = Text(f"{label:>{self._labels - 1}} {bar}", no_wrap=True)
            for letter, style in cells:
                text.append(letter, style or None)
            rows.append(text)
        axis = " " * self._labels + corner + floor * self._columns
        return [*rows, Text(axis, no_wrap=True), Text(self._size_labels(), no_wrap=True)]

    def _size_labels(self) -> str:
        """The n of the study below their columns; those that would touch another are left out, never the last."""
        row = [" "] * (self._labels + 1 + self._columns)
        sizes = sorted(self._data.sizes)
        for n in (sizes[-1], *sizes[:-1]):
            text = f"n {n}" if n == sizes[0] else str(n)
            start = self._labels + 1 + self._x(n) - len(text) // 2
            start = max(0, min(start, len(row) - len(text)))
            if all(letter == " " for letter in row[max(0, start - 2) : start + len(text) + 2]):
                row[start : start + len(text)] = list(text)
        return "".join(row).rstrip()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
