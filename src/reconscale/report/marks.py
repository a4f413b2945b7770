"""What a figure is made of: axes and marks, as values in data units that know nothing of how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reconscale.report.axes import AxesSpec
from reconscale.report.colours import GREY, INK, MUTED

Dash = Literal["solid", "dashed", "dotted", "dashdot", "long", "dense"]


@dataclass(frozen=True)
class Series:
    """Points, joined by a line, shown by markers, or both.

    Attributes:
        x, y: where the points are; NaN leaves a gap.
        key: its name for programs.
        name: its name in the legend; empty: not there.
        colour, alpha: of everything.
        width, dash: of the line; no line where the width is 0.
        marker, size, hollow: of the markers, as matplotlib names them; none where ``marker`` is empty.
        low, high: ends of error bars; empty for none.
        hover: what each point says when it is pointed at; empty for nothing.
    """

    x: Sequence[float]
    y: Sequence[float]
    key: str
    name: str = ""
    colour: str = INK
    alpha: float = 1.0
    width: float = 0.0
    dash: Dash = "solid"
    marker: str = ""
    size: float = 5.0
    hollow: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    hover: Sequence[str] = ()


@dataclass(frozen=True)
class Band:
    """The area between ``low`` and ``high``."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    key: str
    colour: str
    alpha: float
    hatched: bool = False


@dataclass(frozen=True)
class Rule:
    """A straight line across the figure at one x or one y."""

    at: float
    along: Literal["x", "y"]
    colour: str = MUTED
    width: float = 0.8
    dash: Dash = "dotted"


@dataclass(frozen=True)
class Span:
    """A shaded stretch of x."""

    low: float
    high: float
    colour: str = GREY
    alpha: float = 0.13


@dataclass(frozen=True)
class Box:
    """The outline of a rectangle."""

    x: tuple[float, float]
    y: tuple[float, float]
    colour: str = MUTED


@dataclass(frozen=True)
class Label:
    """A text in the figure.

    Attributes:
        text: what it says.
        x, y: where; in data units, or from 0 to 1 where named in ``within``.
        within: the coordinates that are parts of the axes.
        align, stand: which point of the text is there.
        shift: and how far from it, in points.
        short: what it says on a narrow screen; empty: the same.
    """

    text: str
    x: float
    y: float
    within: Literal["x", "y", "xy"]
    align: Literal["left", "center", "right"]
    stand: Literal["bottom", "center", "top"]
    shift: tuple[float, float] = (0.0, 0.0)
    colour: str = MUTED
    bold: bool = False
    short: str = ""


@dataclass(frozen=True)
class Surface:
    """Filled contours of ``z`` (one row for each y) at ``levels``, which ``labels`` name."""

    x: Sequence[float]
    y: Sequence[float]
    z: Sequence[Sequence[float]]
    levels: Sequence[float]
    labels: Sequence[str]
    ramp: tuple[str, str]
    hover: Sequence[Sequence[str]] = ()


Mark = Series | Band | Rule | Span | Box | Label | Surface


@dataclass(frozen=True)
class Figure:
    """One figure: its axes, and its marks from the lowest to the uppermost."""

    axes: AxesSpec
    marks: tuple[Mark, ...]
    height: float
    """In inches."""

    def series(self, key: str) -> Series:
        """The series of that key."""
        return next(mark for mark in self.marks if isinstance(mark, Series) and mark.key == key)


@dataclass(frozen=True)
class Drawing:
    """A figure as it stands in a page.

    Attributes:
        svg: the drawing for each width of screen, as elements of a page.
        places: for each of them x and y of the points that say something, in units of the drawing.
        texts: what they say.
        ground: ``light`` where it keeps a light ground on a dark page; empty: it goes with the page.
    """

    svg: dict[str, str]
    places: dict[str, list[tuple[float, float]]]
    texts: list[str]
    ground: str = ""
