"""Deterministic equivalents, closed forms and the bound beside simulation and beside each other.

    python benchmarks/theory_equivalents.py            # all parts; two minutes on two cores
    python benchmarks/theory_equivalents.py knee       # some of: regions, closed, knee, power, bins, bound, time

Errors are relative to the simulated mean; its standard error stands beside. A cell is a setting and an n.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from reconscale.theory import Converged, Population, Subspace, best_descent, best_flow, best_ridge
from reconscale.theory.bound import Blocks, lemma_bound, theorem_bound
from reconscale.theory.closed_form import knee, numeric_knee
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.equivalents.hybrid import ESTIMATORS, expected_risk
from reconscale.theory.equivalents.pca import pca_equivalent
from reconscale.theory.repeated_experiments import experiments
from theory_forms import after_knee, attenuation, pca_after, power_law_population, power_law_risk

Floats = NDArray[np.float64]
Cell = tuple[Subspace, int]
console = Console(width=150)

WORKERS = 2
DRAWS = 100
"""Of the hybrid."""
PAPER = [
    Subspace(*setting)
    for setting in (
        (10, 100, 0.2), (10, 100, 0.1), (10, 100, 0.05), (10, 1000, 0.1),
        (10, 10000, 0.1), (50, 1000, 0.1), (100, 1000, 0.1), (10, 1000, 0.05),
    )
]  # fmt: skip
SMALL, FEW, MANY = PAPER[:3], [PAPER[3], PAPER[7]], [PAPER[5], PAPER[6]]
REGIONS: dict[str, tuple[int, list[Cell]]] = {
    "n >= ambient 100": (200, [*product(SMALL, (150, 400, 2000))]),
    "n >= ambient 1000, 10000": (15, [*product(FEW, (2000, 16384)), (PAPER[4], 30000)]),
    "n = ambient - 2, ambient, ambient + 2 (converged: no variance)": (200, [*product(SMALL, (98, 100, 102))]),
    "knee .. ambient, dim 10, ambient 100": (200, [*product(SMALL, (40, 60, 80))]),
    "knee .. ambient, dim 10, ambient 1000": (60, [*product(FEW, (128, 256, 512))]),
    "dim 50 and 100, n 20 .. 512": (40, [*product(MANY, (20, 45, 55, 80, 120, 256, 512))]),
    "dim 10, ambient 10000, n 8 .. 8192": (60, [*product(PAPER[4:5], (8, 24, 64, 256, 512, 2048, 8192))]),
    "dim 10, ambient 1000, n 2 .. 7": (100, [*product(FEW, (2, 4, 7))]),
    "dim 10, ambient 1000, n 8 .. 44": (100, [*product(FEW, (8, 10, 12, 16, 24, 44))]),
    "dim 10, ambient 100, n 8 .. 30": (500, [*product(SMALL, (8, 10, 12, 16, 24, 30))]),
}


def in_pool(work: Callable[[Cell], Floats], cells: Sequence[Cell]) -> Floats:
    with ProcessPoolExecutor(WORKERS) as pool:
        return np.array(list(pool.map(work, cells, chunksize=2)))


def limits(cell: Cell) -> Floats:
    """Early-stopped, converged, PCA: the equivalents, whatever the region."""
    model, n = cell
    equivalent = Equivalent(model.population, n)
    early = best_descent(equivalent, model.step(n)).risk
    return np.array([early, equivalent.risk(Converged()), pca_equivalent(model, n)])


def offered(cell: Cell) -> Floats:
    """What ``expected_risk`` says: early-stopped, converged, PCA, and the standard errors of what it draws."""
    model, n = cell
    seed = 1000 * n + round(100 * model.sigma)  # other draws in each cell
    predicted = [expected_risk(model, n, name, draws=DRAWS, seed=seed) for name in ESTIMATORS]
    return np.array([[each.risk for each in predicted], [each.error for each in predicted]])


def simulated(cells: Sequence[Cell], runs: int) -> tuple[Floats, Floats]:
    """Means and relative standard errors of early-stopped, converged, PCA; (cells, 3)."""
    found = experiments(cells, runs=runs, seed=1, workers=WORKERS)
    each = np.array([[e.early_stopped, e.converged, e.pca] for e in found]).reshape(len(cells), runs, 3)
    return each.mean(1), each.std(1, ddof=1) / np.sqrt(runs) / each.mean(1)


def regions() -> None:
    """Where the limit is good, and where the hybrid is needed."""
    ways = [f"{name}, {way}" for name in ESTIMATORS for way in ("limit", "offered")]
    title = (
        "relative error in %, least .. greatest (greatest standard error: of the simulation, and of what is offered)"
    )
    table = Table("region", "cells", "runs", *ways, title=title)
    details = Table("setting", "n", *ways, title="the last two regions cell by cell, % (standard error)")
    for name, (runs, cells) in REGIONS.items():
        (mean, error), limit, predicted = simulated(cells, runs), in_pool(limits, cells), in_pool(offered, cells)
        with np.errstate(invalid="ignore"):
            off, off_predicted = 100 * (limit / mean - 1), 100 * (predicted[:, 0] / mean - 1)
        both = np.hypot(error, np.nan_to_num(predicted[:, 1]) / mean)
        row = [name, str(len(cells)), str(runs)]
        for j in range(3):
            row += [ranged(off[:, j], 100 * error[:, j]), ranged(off_predicted[:, j], 100 * both[:, j])]
        table.add_row(*row)
        if name in list(REGIONS)[-2:]:
            for i, (model, n) in enumerate(cells):
                pairs = [[(off[i, j], error[i, j]), (off_predicted[i, j], both[i, j])] for j in range(3)]
                numbers = [f"{away:+.1f} ({100 * sem:.1f})" for pair in pairs for away, sem in pair]
                details.add_row(named(model), str(n), *numbers)
    console.print(table, details)


def ranged(values: Floats, error: Floats) -> str:
    keep = np.isfinite(values)
    return f"{values[keep].min():+.1f} .. {values[keep].max():+.1f} ({error[keep].max():.1f})" if keep.any() else "inf"


def named(model: Subspace) -> str:
    return f"{model.dim}, {model.ambient}, {model.sigma:g}"


def closed() -> None:
    """Closed forms against the best gradient flow of the equivalent, by distance from the knee."""
    forms = ("attenuation", "after_knee", "pca_after")
    columns = [f"{name}: {what}" for name in forms for what in ("sigma <= .1", "sigma .2, .3")]
    table = Table("n / knee", *columns, title="error in % of the risk, least .. greatest")
    places = {model: numeric_knee(model) for model in settings_with_a_knee()}
    groups = (
        [m for m in settings_with_a_knee() if m.sigma <= 0.1],
        [m for m in settings_with_a_knee() if m.sigma > 0.1],
    )
    for low, high in ((0.5, 1), (1, 1.5), (1.5, 2), (2, 4), (4, 10), (10, 1000)):
        row = [f"{low:g} .. {high:g}"]
        for form in (attenuation, after_knee, pca_after):
            for group in groups:
                errors = []
                for model, factor in product(group, np.geomspace(low, high, 3)):
                    n = factor * places[model]
                    if n > 1.3 * model.dim:
                        truth = (
                            pca_equivalent(model, n)
                            if form is pca_after
                            else best_flow(Equivalent(model.population, n)).risk
                        )
                        errors.append(100 * (form(model, n) / truth - 1))
                row.append(f"{min(errors):+.1f} .. {max(errors):+.1f}")
        table.add_row(*row)
    console.print(table)


def settings_with_a_knee() -> list[Subspace]:
    noise = (
        (100, 0.05),
        (100, 0.2),
        (1000, 0.02),
        (1000, 0.1),
        (1000, 0.3),
        (10000, 0.01),
        (10000, 0.1),
        (10**5, 0.03),
    )
    return [Subspace(dim, *rest) for dim in (1, 10, 100, 300) for rest in noise if dim <= rest[0] / 3]


def knees() -> None:
    """2 dim + sigma (1 - sigma) ambient against the knee of the equivalent."""
    dims = (1, 3, 10, 30, 100, 300)
    noise = [(a, s) for a in (100, 1000, 10**4, 10**5) for s in (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7)]
    models = [Subspace(dim, *rest) for dim in dims for rest in noise if dim <= rest[0] / 3]
    with ProcessPoolExecutor(WORKERS) as pool:
        true = np.array(list(pool.map(numeric_knee, models, chunksize=8)))
    ratio = np.array([knee(model) for model in models]) / true
    table = Table("sigma", "settings", "least", "median", "greatest", title="knee(model) / numeric_knee(model)")
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7)):
        part = ratio[[low < model.sigma <= high for model in models]]
        table.add_row(f"{low:g} .. {high:g}", str(len(part)), *[f"{v:.3f}" for v in np.quantile(part, [0, 0.5, 1])])
    console.print(table)


def power() -> None:
    """Power-law spectra: the closed form against the equivalent."""
    table = Table("exponent", "sigma^2", "n", "converged", "best flow", title="power_law_risk: error in %, 10^5 pixels")
    for a, noise, n in product((1.5, 2.0, 3.0), (0.0, 1e-7, 1e-5), (3, 10, 100, 1000, 10000, 30000)):
        equivalent = Equivalent(power_law_population(a, 10**5, noise**0.5), n)
        truths = equivalent.risk(Converged()), best_flow(equivalent).risk
        predicted = power_law_risk(a, n, 10**5, noise**0.5)
        table.add_row(f"{a:g}", f"{noise:g}", str(n), *[f"{100 * (predicted / truth - 1):+.1f}" for truth in truths])
    console.print(table)


def bins() -> None:
    """What binning thousands of levels does: 3,000 of them in 300 .. 1,000 bins, against each its own level."""
    from reconscale.theory.equivalents import equivalent as module
    from reconscale.theory.equivalents.equivalent import levels_of

    table = Table("bins", "exponent", "worst relative change of the best flow, n = 10 .. 30000")
    for most, a in product((300, 1000), (1.5, 4.0)):
        clean = np.arange(1, 3001.0) ** -a
        noisy = clean + 1e-12
        whole = Population(noisy, np.ones(3000), (clean / noisy) ** 2, float((clean * 1e-12 / noisy).sum()))
        worst = 0.0
        for n in (10, 300, 2000, 30000):
            risks = []
            for levels in (10**9, most):
                merged = levels_of(whole, levels)
                law = module.SampleLaw(merged, n)
                equivalent = Equivalent(whole, n)
                equivalent.__dict__["law"] = law
                risks.append(best_flow(equivalent).risk)
            worst = max(worst, abs(risks[1] / risks[0] - 1))
        table.add_row(str(most), f"{a:g}", f"{worst:.1e}")
    console.print(table)


def typical_blocks(model: Subspace, n: int) -> Blocks:
    """The blocks at their limits, for the lemma."""
    s2, dim, rest, root = model.sigma**2, model.dim, model.ambient - model.dim, np.sqrt(n)
    return Blocks(
        least_signal=(1 + s2) * max(1 - np.sqrt(dim) / root, 0) ** 2,
        largest_noise=s2 * (1 + np.sqrt(rest) / root) ** 2,
        cross=model.sigma * np.sqrt(1 + s2) * (1 + np.sqrt(dim) / root) * (np.sqrt(rest) + np.sqrt(dim)) / root,
        cross_squares=s2 * (1 + s2) * dim * rest / n,
        inverse_trace=dim / (1 + s2) * n / max(n - dim - 1, 1),
        noise_trace=s2 * rest,
    )


def bounds() -> None:
    """The bound's excess over the floor, in units of the true one (the equivalent's)."""
    table = Table("n / (dim + sigma^2 ambient)", "cells", "lemma, typical blocks", "theorem, 99 %", "says nothing",
                  title="excess of the bound / true excess, least .. greatest")  # fmt: skip
    rows: dict[int, list[tuple[float, float]]] = {}
    for model, n in product(PAPER, 2 ** np.arange(5, 19)):
        true = best_flow(Equivalent(model.population, n)).risk - model.floor
        blocks = typical_blocks(model, n)
        lemma = min(lemma_bound(model, n, blocks, time) for time in np.geomspace(0.1, 50, 400)) - model.floor
        theorem = theorem_bound(model, int(n))
        place = int(np.searchsorted(EDGES, n / (model.dim + model.sigma**2 * model.ambient)))
        rows.setdefault(place, []).append(
            (lemma / true, theorem.risk / true - model.floor / true if theorem else np.inf)
        )
    for place in sorted(rows):
        typical, likely = np.array(rows[place]).T
        name = f"{EDGES[place - 1] if place else 0:g} .. {EDGES[place] if place < len(EDGES) else np.inf:g}"
        said = np.isfinite(likely)
        table.add_row(name, str(len(typical)), between(typical[np.isfinite(typical)]), between(likely[said]),
                      str((~said).sum()))  # fmt: skip
    console.print(table)


EDGES = [5, 10, 50, 200, 300, 1000, 10000]


def between(values: Iterable[float]) -> str:
    values = list(values)
    return f"{min(values):.2f} .. {max(values):.2f}" if values else "-"


def timing() -> None:
    """Milliseconds to set up and to optimise, one core."""
    table = Table("levels", "n", "best descent", "best flow", "best ridge", title="milliseconds, set-up included")
    for levels, n in product((2, 64, 256, 1000), (20, 300, 3000)):
        if levels == 2:
            population = PAPER[3].population
        else:
            noisy = np.geomspace(1e-9, 1, levels)
            population = Population(noisy, np.ones(levels), 1 / (1 + noisy), 0.1)
        row = []
        for find in (lambda e: best_descent(e, 0.9 / e.extent[1]), best_flow, best_ridge):
            began = time.perf_counter()
            for _ in range(3):
                find(Equivalent(population, n))
            row.append(f"{1000 * (time.perf_counter() - began) / 3:.0f}")
        table.add_row(str(levels), str(n), *row)
    console.print(table)


PARTS = {
    "regions": regions,
    "closed": closed,
    "knee": knees,
    "power": power,
    "bins": bins,
    "bound": bounds,
    "time": timing,
}


def main() -> None:
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        raise SystemExit(f"known parts: {', '.join(PARTS)}; found {', '.join(sorted(unknown))}")
    for name in chosen:
        began = time.perf_counter()
        PARTS[name]()
        console.print(f"{name}: {time.perf_counter() - began:.1f} s\n")


if __name__ == "__main__":
    main()
