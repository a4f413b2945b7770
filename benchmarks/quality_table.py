"""Tables and the figure of ``benchmarks/quality.py``: from rows to the seconds that each needs to a level."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from quality_tasks import Task

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """PSNR against seconds of the processor.

    Attributes:
        who: trained.
        points: (seconds, mean PSNR, half of the range over seeds, seeds), by rising seconds.
        budgets: whether every point is a run of its own, planned for this many seconds.
    """

    who: str
    points: tuple[tuple[float, float, float, int], ...]
    budgets: bool


@dataclass(frozen=True)
class Reached:
    """When a level is reached.

    Attributes:
        seconds: of the processor.
        how: ``=``: between two points, or on one; ``<=``: the first point is above the level already; ``>``: it was not
            reached in this many seconds.
    """

    seconds: float
    how: str

    def __str__(self) -> str:
        """For the table."""
        return f"{'' if self.how == '=' else self.how + ' '}{self.seconds:.3g} s"


def time_to(level: float, points: Sequence[tuple[float, float]]) -> Reached:
    """The first time that a curve reaches a level, linear in the logarithm of time between its points."""
    ordered = sorted((seconds, psnr) for seconds, psnr in points if math.isfinite(psnr))
    if not ordered:
        return Reached(0.0, ">")
    if ordered[0][1] >= level:
        return Reached(ordered[0][0], "=" if ordered[0][1] == level else "<=")
    for (t0, p0), (t1, p1) in pairwise(ordered):
        if p1 >= level:
            share = (level - p0) / (p1 - p0)
            return Reached(t0 * (t1 / t0) ** share, "=")
    return Reached(ordered[-1][0], ">")


def ratio(ours: Reached, theirs: Reached) -> str:
    """How many times as long a peer takes: a lower bound where ours is an upper one, or theirs was not reached."""
    if ours.how == ">" and theirs.how == ">":
        return "-"
    value = theirs.seconds / ours.seconds if ours.seconds else math.inf
    if ours.how == ">" or (theirs.how == "<=" and ours.how == "="):
        return f"< {value:.3g}"
    if theirs.how == "<=":
        return "-"
    return f"> {value:.3g}" if ours.how == "<=" or theirs.how == ">" else f"{value:.3g}"


def curves_of(rows: Iterable[Row]) -> list[Curve]:
    """The curves of one task, ours first: means over seeds, at every budget or moment."""
    found: dict[tuple[str, bool], dict[float, list[tuple[float, float]]]] = {}
    for row in rows:
        if row.get("psnr") is None:
            continue
        points = row.get("curve") or [row]
        for place, point in enumerate(points):
            planned = row["seconds"][place]
            cells = found.setdefault((row["who"], "curve" not in row), {})
            cells.setdefault(planned, []).append((point["core_seconds"], point["psnr"]))
    curves = []
    for (who, budgets), cells in found.items():
        points = []
        for _, values in sorted(cells.items()):
            seconds, psnr = zip(*values, strict=True)
            half = (max(psnr) - min(psnr)) / 2
            points.append((statistics.mean(seconds), statistics.mean(psnr), half, len(values)))
        curves.append(Curve(who, tuple(points), budgets))
    return sorted(curves, key=lambda curve: (curve.who != "ours", curve.who))


def levels_of(task: Task, lines: Mapping[str, float]) -> dict[str, float]:
    """Label -> dB of the levels that are known."""
    known = {}
    for label, level in task.levels.items():
        value = lines.get(level) if isinstance(level, str) else level
        if value is not None:
            known[label] = value
    return known


def report(task: Task, rows: Sequence[Row]) -> str:
    """Everything that is known of a task, as text."""
    lines = lines_of(rows)
    curves, levels = curves_of(row for row in rows if row["who"] != "lines"), levels_of(task, lines)
    text = [f"## {task.name}: {task.profile} on {task.main}", ""]
    text += [f"  {task.lines.get(name, name):28}{value:8.2f} dB" for name, value in lines.items()]
    text += [f"  {label:28}{value:8.2f} dB as published" for label, value in task.published.items()]
    text += ["", *_points(curves), "", *_times(curves, levels), "", *_best_of_theirs(curves), ""]
    text += [f"{row['who']}, {row['seconds'][-1]:g} s, seed {row['seed']}: {row['failed']}" for row in _lost(rows)]
    return "\n".join(text)


def _lost(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row.get("failed")]


def lines_of(rows: Iterable[Row]) -> dict[str, float]:
    """What was measured without training, by name."""
    found: dict[str, float] = {}
    for row in rows:
        found |= row.get("lines", {})
    return found


def _points(curves: Sequence[Curve]) -> list[str]:
    text = [f"{'':18}{'core-seconds':>14}{'PSNR/dB':>10}{'+-':>7}{'seeds':>7}"]
    for curve in curves:
        for seconds, psnr, half, seeds in curve.points:
            text.append(f"{curve.who:18}{seconds:14.1f}{psnr:10.2f}{half:7.2f}{seeds:7}")
    return text


def _times(curves: Sequence[Curve], levels: Mapping[str, float]) -> list[str]:
    """Core-seconds to every level, and how many times as long as ours."""
    ours = next((curve for curve in curves if curve.who == "ours"), None)
    text = ["core-seconds to a level, and how many times ours"]
    for label, level in levels.items():
        text.append(f"  {label}: {level:.2f} dB")
        for curve in curves:
            reached = _of(curve, level)
            known = "" if ours is None or curve is ours else f"{ratio(_of(ours, level), reached):>12}"
            text.append(f"    {curve.who:18}{reached!s:>16}{known}")
    text.append(
        "(ours and version-1: every budget is a run of its own, and between budgets their means are interpolated on"
    )
    text.append(
        "the logarithm of time; the others: moments of one run; <= and >: bounds, and ratios are then bounds as well)"
    )
    return text


def _best_of_theirs(curves: Sequence[Curve]) -> list[str]:
    """When ours has what a peer ends with."""
    ours = next((curve for curve in curves if curve.who == "ours"), None)
    if ours is None:
        return []
    text = ["the best of each, and when ours has that"]
    for curve in curves:
        if curve is not ours:
            seconds, psnr, *_ = max(curve.points, key=lambda point: point[1])
            reached = _of(ours, psnr)
            there = Reached(seconds, "=")
            text.append(f"{curve.who:18}{psnr:8.2f} dB at {seconds:7.1f} s{reached!s:>16}{ratio(reached, there):>12}")
    return text


def _of(curve: Curve, level: float) -> Reached:
    return time_to(level, [point[:2] for point in curve.points])


def figure(task: Task, rows: Sequence[Row], path: Path) -> None:
    """Draw PSNR against core-seconds, with the lines; the numbers go into a CSV file beside it."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curves, lines = curves_of(row for row in rows if row["who"] != "lines"), lines_of(rows)
    shown = {task.lines.get(name, name): value for name, value in lines.items()}
    shown |= {f"{label} (published)": value for label, value in task.published.items() if label not in shown}
    drawn, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    for curve in curves:
        seconds, psnr, half, _ = zip(*curve.points, strict=True)
        style = {"color": "black", "linewidth": 2.2, "zorder": 5} if curve.who == "ours" else {"linewidth": 1.2}
        axes.errorbar(seconds, psnr, half, marker="o", markersize=4, capsize=2, label=curve.who, **style)
    for label, value in shown.items():
        axes.axhline(value, color="grey", linewidth=0.7, linestyle=":")
        axes.text(1.0, value, f" {label}", transform=axes.get_yaxis_transform(), va="center", fontsize=8, color="grey")
    axes.set_xscale("log")
    for axis in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        axis(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "13" else "")
    axes.set_xlabel("seconds of one core, training alone")
    axes.set_ylabel(f"{task.profile} on {task.main} (dB)")
    axes.legend(fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=150)
    plt.close(drawn)
    with path.with_suffix(".csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["who", "core_seconds", "psnr", "half_range", "seeds"])
        for curve in curves:
            writer.writerows([curve.who, *(f"{value:.4f}" for value in point[:3]), point[3]] for point in curve.points)
        writer.writerows([label, "", f"{value:.4f}", "", ""] for label, value in shown.items())
