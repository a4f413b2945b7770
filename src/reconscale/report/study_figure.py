"""The figure of a study: its runs at each n and width, and which of them are done."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from reconscale.format import amount, short, times
from reconscale.report.axes import AxesSpec, Ticks, axis_between, log_ticks
from reconscale.report.colours import BLUE, INK, MUTED
from reconscale.report.marks import Figure, Mark, Series
from reconscale.results.external_results import ExternalFolder
from reconscale.results.results_folder import Folder
from reconscale.study import Run, Study
from reconscale.study.external import ExternalRun, ExternalStudy
from reconscale.study.plan import runs_of

MOST_TICKS = 8
"""Sizes up to this many are all named on an axis."""
SIZES = (5.0, 10.0)
"""Of the markers of a cell with one run, and of the one with the most."""
AnyStudy = Study | ExternalStudy
Cell = tuple[float, float]


def done_runs(study: AnyStudy) -> frozenset[str] | None:
    """Ids of the runs that are done; None where the study was not read from a file, or nothing was run.

    Raises:
        UserError: a result is damaged.
    """
    root = study.results_folder
    if root is None or not root.is_dir():
        return None
    if isinstance(study, ExternalStudy):
        return frozenset(ExternalFolder(root).status(study.runs()).done)
    return frozenset(Folder(root).status(runs_of(study)).done)


def study_figure(study: AnyStudy) -> tuple[Figure, str, str]:
    """The runs of a study, what that shows in words, and how it is read.

    A dot for each n and width, the larger the more seeds; where there is no width, a dot for each n and seed.

    Raises:
        UserError: a result is damaged.
    """
    runs: Sequence[Any]
    if isinstance(study, ExternalStudy):
        runs, unit = study.runs(), study.images.unit
        by_seed = any(run.width is None for run in runs)
    else:
        runs, unit, by_seed = runs_of(study), study.images.noun, False
    done = done_runs(study)
    made = [run for run in runs if done and run.id in done]
    left = [run for run in runs if not done or run.id not in done]
    most = max(Counter(_cell(run, by_seed) for run in runs).values())
    plain = ("each", INK, False) if done is None else ("not done", MUTED, True)
    marks = [*_dots(left, by_seed, most, plain), *_dots(made, by_seed, most, ("done", BLUE, False))]
    n, side = (sorted({_cell(run, by_seed)[place] for run in runs}) for place in (0, 1))
    spec = axis_between(side[0], side[-1]) if by_seed else (_around(side), _ticks(side))
    across = f"training set size n, number of {unit}"
    axes = AxesSpec(_around(n), spec[0], _ticks(n), _whole(side) if by_seed else spec[1], across,
                    "seed" if by_seed else "width of the network", log_y=not by_seed)  # fmt: skip
    known = "" if done is None else f", {len(made)} of them done"
    other = f"seeds {side[0]:g} to {side[-1]:g}" if by_seed else f"widths {side[0]:g} to {side[-1]:g}"
    count = times(len(runs), "run")
    alt = f"Study {study.name}: {count}{known}, n = {amount(n[0])} to {amount(n[-1])}, {other}."
    dot = "a network of one n and seed" if by_seed else "a network at one n, trained once for each seed"
    return Figure(axes, tuple(marks), 3.8), alt, f"Every dot is {dot}: {count}{known}."


def _cell(run: Run | ExternalRun, by_seed: bool) -> Cell:
    if isinstance(run, Run):
        return float(run.n), float(run.network.width)
    return float(run.n), float(run.seed if by_seed else run.width or 0)


def _dots(runs: Sequence[Any], by_seed: bool, most: int, look: tuple[str, str, bool]) -> list[Mark]:
    """The cells of some runs: one series for each number of seeds."""
    word, colour, hollow = look
    cells = Counter(_cell(run, by_seed) for run in runs)
    marks: list[Mark] = []
    for count in sorted(set(cells.values())):
        there = [cell for cell, number in sorted(cells.items()) if number == count]
        size = SIZES[0] + (SIZES[1] - SIZES[0]) * (count - 1) / max(1, most - 1)
        seeds = times(count, "seed")
        said = f" ({word})" if word != "each" else ""
        texts = [f"n = {amount(k)}, {f'seed {w:g}' if by_seed else f'width {w:g}{chr(10)}{seeds}'}{said}"
                 for k, w in there]  # fmt: skip
        name = word if by_seed else f"{seeds} each" if word == "each" else f"{seeds} {word}"
        marks.append(Series([k for k, _ in there], [w for _, w in there], f"{count} seeds {word}".removesuffix(" each"),
                            name, colour, 0.75, marker="o", size=size + 2 * hollow, hollow=hollow,
                            hover=texts))  # fmt: skip
    return marks


def _around(values: Sequence[float]) -> tuple[float, float]:
    """A range of a logarithmic axis with room at its ends."""
    room = 10 ** (0.08 * math.log10(values[-1] / values[0]) + 0.06)
    return values[0] / room, values[-1] * room


def _ticks(values: Sequence[float]) -> Ticks:
    return tuple((v, short(v)) for v in values) if len(values) <= MOST_TICKS else log_ticks(values[0], values[-1])


def _whole(values: Sequence[float]) -> Ticks:
    """Ticks of a linear axis at some of the values."""
    step = -(-len(values) // MOST_TICKS)
    return tuple((v, f"{v:g}") for v in values[::step])
