"""What ``adaptive.py`` found in simulated worlds, as tables and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gains import GRIDS, WIDTHS, WORTHWHILE
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY
from reconscale.report.colours import BLUE, GREEN, GREY, GRID, INK, PAPER, PURPLE, VERMILLION

Looks = list[dict[str, Any]]
Found = Sequence[Mapping[str, Looks]]
"""World -> design -> what it says, after each number of runs."""

SIZES, SEEDS = GRIDS["6 n, 3 seeds"]
FULL = (len(SIZES) * len(WIDTHS) * SEEDS, len(WIDTHS) * SEEDS * float(np.sqrt(np.array(SIZES) / SIZES[-1]).sum()))
"""Cost of the full grid: runs, and runs whose cost goes as the root of n."""
SURE = (0.1, 0.9)
"""A design stops once both chances are outside of these."""
BINS = (0.0, 0.05, 0.2, 0.5, 0.8, 0.95, 1.0)
"""Edges of the stated chances in the table of reliability."""
QUESTIONS = {"n": ("n_chance", "n_true"), "p": ("p_chance", "p_true")}
COLOURS = {"adaptive": BLUE, "halving": VERMILLION, "single seed": GREEN, "geometric": PURPLE, "full grid": GREY}


def is_sure(chance: float | None) -> bool:
    """Whether a chance is far from even."""
    return chance is not None and not SURE[0] < chance < SURE[1]


def is_settled(look: Mapping[str, Any]) -> bool:
    """Whether a design that stops does so at this look."""
    return look["checked"] and is_sure(look["n_chance"]) and is_sure(look["p_chance"])


def stopped(looks: Looks) -> dict[str, Any]:
    """The look at which a design stops: the last one in any case."""
    return next((each for each in looks if is_settled(each)), looks[-1])


def list_designs(found: Found) -> dict[str, Looks]:
    """Name of a design, with the runs after which it is asked -> what it said in each world."""
    listed: dict[str, Looks] = {}
    for name, looks in found[0].items():
        if len(looks) == 1:
            listed[name] = [each[name][0] for each in found]
            continue
        for k, first in enumerate(looks):
            listed[f"{name}, {first['runs']}"] = [each[name][k] for each in found]
        listed[f"{name}, stops"] = [stopped(each[name]) for each in found]
    return listed


def answers(looks: Looks, question: str) -> tuple[float, float]:
    """Shares of right and of wrong answers to the question of n or p."""
    chance, true = QUESTIONS[question]
    said = [(e[chance] >= LIKELY, e[true] > WORTHWHILE) for e in looks if is_answer(e[chance])]
    right = sum(a == b for a, b in said)
    return right / len(looks), (len(said) - right) / len(looks)


def is_answer(chance: float | None) -> bool:
    """Whether a chance is an answer, yes or no."""
    return chance is not None and not UNLIKELY < chance < LIKELY


def summarise(looks: Looks) -> dict[str, float]:
    """Shares of the grid's cost in % (runs, and where a run costs the root of n), answers in %, errors in dB."""
    n, p = answers(looks, "n"), answers(looks, "p")
    error, ten = (np.sqrt(np.mean([e[key] ** 2 for e in looks])) for key in ("n_error", "ten_error"))
    return {
        "runs": 100 * float(np.mean([e["runs"] for e in looks])) / FULL[0],
        "root": 100 * float(np.mean([e["cost_root"] for e in looks])) / FULL[1],
        "n right": 100 * n[0], "n wrong": 100 * n[1], "p right": 100 * p[0], "p wrong": 100 * p[1],
        "right": 50 * (n[0] + p[0]), "wrong": 50 * (n[1] + p[1]),
        "error": float(error), "ten": float(ten),
        "ten median": float(np.median([abs(e["ten_error"]) for e in looks])),
    }  # fmt: skip


def print_table(title: str, found: Found) -> None:
    """Cost, answers and errors of each design."""
    print(f"\n{title}: {len(found)} worlds (an answer's standard error: {50 / np.sqrt(len(found)):.0f} points at most)")
    print(
        "design                   runs % root %   n: right wrong  p: right wrong   both: right wrong   error dB   "
        "10x dB: rms, median"
    )
    for name, looks in list_designs(found).items():
        s = summarise(looks)
        print(
            f"{name:24} {s['runs']:6.1f} {s['root']:6.1f}      {s['n right']:5.1f} {s['n wrong']:5.1f}     "
            f"{s['p right']:5.1f} {s['p wrong']:5.1f}         {s['right']:5.1f} {s['wrong']:5.1f}      "
            f"{s['error']:.3f}        {s['ten']:.3f}, {s['ten median']:.3f}"
        )


def print_reliability(title: str, found: Found) -> None:
    """How often what was given a chance happened: for each range of chances in %, per cent of how many."""
    listed = list_designs(found)
    edges = [f"{100 * low:.0f} to {100 * high:.0f}" for low, high in pairwise(BINS)]
    for question, (chance, true) in QUESTIONS.items():
        print(f"\n{title}, doubling {question}: of what was given a chance, how many % happened (of how many)")
        print(f"{'design':24} " + " ".join(f"{edge:>11}" for edge in edges) + "   gap  Brier")
        for name, looks in listed.items():
            pairs = np.array([(e[chance], e[true] > WORTHWHILE) for e in looks if e[chance] is not None], float)
            print(f"{name:24} " + " ".join(reliability(pairs)))


def reliability(pairs: np.ndarray[Any, Any]) -> list[str]:
    """From (stated chance, happened) a row: each range, the mean gap between both in points, and Brier's score."""
    place = np.digitize(pairs[:, 0], BINS[1:-1], right=True)
    cells, gap = [], 0.0
    for k in range(len(BINS) - 1):
        here = pairs[place == k]
        cells.append(f"{100 * here[:, 1].mean():5.0f} ({len(here):3})" if len(here) else f"{'':11}")
        gap += abs(here[:, 0].sum() - here[:, 1].sum()) / len(pairs) if len(here) else 0.0
    return [*cells, f"{100 * gap:5.1f}", f"{np.mean((pairs[:, 0] - pairs[:, 1]) ** 2):6.3f}"]


def draw_figure(found: Mapping[str, Found], path: Path) -> None:
    """Right and wrong answers, and the error ten times ahead, against the share of runs; a column a kind of worlds."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rows = (("right", "right answers, %"), ("wrong", "wrong answers, %"), ("ten", "error at 10 n, dB (rms)"))
    settings = {
        "svg.hashsalt": "adaptive", "svg.fonttype": "none", "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": INK,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure = Figure((8.2, 8.6), facecolor=PAPER, layout="constrained")
        panels = figure.subplots(len(rows), len(found), sharex=True, sharey="row", squeeze=False)
        for column, (kind, worlds) in enumerate(found.items()):
            summaries = {name: summarise(looks) for name, looks in list_designs(worlds).items()}
            for axes, (key, label) in zip(panels[:, column], rows, strict=True):
                draw_panel(axes, summaries, key)
                axes.set_ylabel(label if column == 0 else "")
            panels[0, column].set_title(f"{kind} the family of surfaces, {len(worlds)} worlds", fontsize=10, loc="left")
            panels[-1, column].set_xlabel("runs, % of the grid's")
        for row in panels[1:, 0]:
            row.set_ylim(bottom=0)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        figure.savefig(path, metadata={"Date": None, "Creator": "reconscale"})


def draw_panel(axes: Any, summaries: Mapping[str, Mapping[str, float]], key: str) -> None:
    """One amount of all designs; that of the full grid as a line to compare with."""
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlim(0, 50)
    for design, mark in (("adaptive", "o"), ("halving", "s")):
        along = [s for name, s in summaries.items() if name.startswith(design) and name.split()[-1].isdigit()]
        style = {"color": COLOURS[design], "marker": mark, "markersize": 5}
        axes.plot([s["runs"] for s in along], [s[key] for s in along], label=design, linewidth=1.6, **style)
        stops = summaries[f"{design}, stops"]
        style |= {"markersize": 11, "markerfacecolor": "none", "markeredgewidth": 2, "linestyle": "none"}
        axes.plot(stops["runs"], stops[key], label=f"{design}, stops when settled", **style)
    for design, mark in (("single seed", "^"), ("geometric", "D")):
        some = [s for name, s in summaries.items() if name.startswith(design)]
        style = {"color": COLOURS[design], "marker": mark, "linestyle": "none"}
        axes.plot([s["runs"] for s in some], [s[key] for s in some], label=f"{design.replace(' ', '-')} grid", **style)
    axes.axhline(
        summaries["full grid"][key], color=GREY, linewidth=1.4, linestyle=(0, (5, 3)), label="full grid, 100 %"
    )
