"""Whether runs of one seed at neighbouring n go together, and what it does to intervals.

The smaller training sets of a seed are parts of its larger ones, and it begins from the same weights. So deviations of
one seed from the means may be alike at all n (*luck*), or the more alike the closer two sizes are (*nested*).
Used by ``python benchmarks/related.py seeds``.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from curves import PLACE, STUDIES, rows_of
from reconscale.laws import Points, infer
from simulated import KINDS, truth

Floats = NDArray[np.float64]
FACTORS = (1.41, 2.0, 2.83, 4.0, 8.0, 16.0, 64.0)
COUNT, SIZES, SEEDS, NOISE = 100, 6, 3, 0.02
LUCK, NESTED = 0.5, 0.6
"""Correlation at all distances; and next to each other, from where it falls as one over the factor of n."""


def print_seeds(console: Console) -> None:
    """All of it."""
    table = Table("correlation of ln(error) at factor of n", *(f"{factor:g}" for factor in FACTORS))
    for name, within in (("LCDB, seeds of all splits", False), ("LCDB, within a test split", True)):
        table.add_row(name, *(f"{value:.2f}" for value in learners(within)))
    console.print(table)
    near, of_near, apart, of_apart = own()
    console.print(f"own studies, two seeds: same sign at next n {near} of {of_near}, two apart {apart} of {of_apart}")
    told = Table("steps of n", "deviations", "level", "gain of 2x", "gain of 10x", "width of gain of 10x, dB",
                 title=f"90 % intervals that hold, %, in {COUNT} studies of {SIZES} sizes x {SEEDS} seeds")  # fmt: skip
    for step in (3.0, 2.0, 1.5):
        for kind in ("independent", "nested", "luck"):
            *held, width = np.mean([_held(step, kind, index) for index in range(COUNT)], axis=0)
            told.add_row(f"{step:g}", kind, *(f"{100 * share:.0f}" for share in held), f"{width:.2f}")
    console.print(told)


def learners(within: bool) -> list[float]:
    """Mean correlation of the seeds of LCDB at each of :data:`FACTORS`; ``within`` one test split."""
    cells: dict[tuple[str, str], dict[tuple[int, str, str], float]] = defaultdict(dict)
    for row in rows_of(PLACE / "lcdb_perseed_even_openml_ids.csv.gz"):
        place = (int(row["size_train"]), row["outer_seed"], row["inner_seed"])
        cells[row["openmlid"], row["learner"]][place] = float(row["error"])
    found: dict[float, list[float]] = defaultdict(list)
    for cell in cells.values():
        sizes = sorted({n for n, _, _ in cell})
        seeds = sorted({key[1:] for key in cell if all((n, *key[1:]) in cell for n in sizes)})
        error = np.array([[cell[n, *seed] for seed in seeds] for n in sizes])
        if error.size == 0 or error.min() <= 0:
            continue
        away = _centred(np.log(error), [split for split, _ in seeds] if within else [""] * len(seeds))
        for i, j in zip(*np.triu_indices(len(sizes), 1), strict=True):
            scale = float(away[i].std() * away[j].std())
            near = min(FACTORS, key=lambda factor: abs(np.log(factor * sizes[i] / sizes[j])))
            if scale > 1e-12 and abs(np.log(near * sizes[i] / sizes[j])) < 0.1:
                found[near].append(float((away[i] * away[j]).mean()) / scale)
    return [float(np.mean(found[factor])) for factor in FACTORS]


def _centred(values: Floats, split: list[str]) -> Floats:
    """Values (K, S) less the mean of their size and split."""
    away = values.copy()
    for name in set(split):
        mine = np.array([part == name for part in split])
        away[:, mine] -= away[:, mine].mean(axis=1, keepdims=True)
    return away


def own() -> tuple[int, int, int, int]:
    """How often the first of two seeds is the better one at two neighbouring n, of how many, and at n two apart."""
    signs: dict[tuple[str, str], dict[float, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(STUDIES.rglob("figures/runs.csv")):
        for row in rows_of(path):
            if row["status"] == "done" and row["mse"] and int(row["seed"]) < 2:
                signs[str(path), row["width"]][float(row["n"])][int(row["seed"])] = float(row["mse"])
    counts = [0, 0, 0, 0]
    for sizes in signs.values():
        better = [runs[0] < runs[1] for _, runs in sorted(sizes.items()) if len(runs) == 2]
        for apart in (1, 2):
            alike = [a == b for a, b in zip(better, better[apart:], strict=False)]
            counts[2 * apart - 2] += sum(alike)
            counts[2 * apart - 1] += len(alike)
    return counts[0], counts[1], counts[2], counts[3]


def _held(step: float, kind: str, index: int) -> tuple[bool, bool, bool, float]:
    """Whether level, gain of 2x and of 10x lie in their 90 % intervals, and the width of the last."""
    rng = np.random.default_rng([index, 5])
    n = np.round(100.0 * step ** np.arange(SIZES))
    law, x = truth(KINDS[index % len(KINDS)], n, rng), np.log(n)
    alike = {"independent": np.zeros((SIZES, SIZES)), "luck": np.full((SIZES, SIZES), LUCK)}
    correlation = alike.get(kind, NESTED * np.exp(-np.abs(x[:, None] - x)))
    np.fill_diagonal(correlation, 1.0)
    away = NOISE * np.linalg.cholesky(correlation) @ rng.standard_normal((SIZES, SEEDS))
    y = -10.0 / np.log(10.0) * (law.log_error(n)[:, None] + away).ravel()
    curve = infer(Points(np.repeat(n, SEEDS), y, np.tile(np.arange(SEEDS), SIZES), metric="psnr"))
    places = curve.last + np.log([1.0, 2.0, 10.0])
    drawn, true = curve.draw(places), law.log_error(np.exp(places))
    asked = np.column_stack([drawn[:, 0], drawn[:, :1] - drawn[:, 1:]])
    low, high = np.quantile(asked, [0.05, 0.95], axis=0)
    right = np.append(true[0], true[0] - true[1:])
    inside = (low <= right) & (right <= high)
    return bool(inside[0]), bool(inside[1]), bool(inside[2]), 10.0 / np.log(10.0) * float(high[2] - low[2])
