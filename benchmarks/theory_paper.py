"""The paper's theory figure: our time and numbers beside the literal method's and the printed ones.

python benchmarks/theory_paper.py     # two minutes on two cores; `make bench-theory` runs it with the others
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import ks_2samp

from curves import PLACE
from reconscale.theory import (
    SETTINGS,
    Converged,
    Descent,
    Experiment,
    Subspace,
    SubspacePath,
    best_descent,
    converged_mean,
    draw_training_set,
    experiment,
    experiments,
    path_of,
    power_fit,
    sample,
    sample_converged,
    sample_truncated,
    summaries,
)

WORKERS = 2


def reproduction() -> list[Experiment]:
    cases = [(setting.model, n) for setting in SETTINGS for n in setting.n]
    began = time.perf_counter()
    found = experiments(cases, runs=5, workers=WORKERS)
    seconds = time.perf_counter() - began
    print(f"all eight settings, {len(cases)} n x 5 runs = {len(found)} training sets: {seconds:.1f} s with {WORKERS} "
          "processes of one thread (target 60 s)")  # fmt: skip
    literal(found, seconds)
    print("\nfits over the published stretches (mean of 5 runs):")
    for setting in SETTINGS:
        rows = summaries([item for item in found if item.model == setting.model])
        n = [row.n for row in rows]
        early = power_fit(n, [row.early_stopped[0] for row in rows], *setting.early_stopped)
        pca = power_fit(n, [row.pca[0] for row in rows], *setting.pca)
        printed = "" if setting.printed is None else f"   printed {setting.printed[0]} and {setting.printed[1]}"
        print(f"  {setting.name:>14}  early-stopped {early.exponent:6.2f}  PCA {pca.exponent:6.2f}{printed}")
    return found


def literal(found: list[Experiment], seconds: float) -> None:
    """Time iterations of the literal method, float32 as published, and add up what all experiments would take."""
    print("\nthe literal method: W -= step (W Y - X) Y^T with full matrices in float32, all cores")
    rates = {}
    for ambient, n, count in ((100, 1024, 50), (1000, 1024, 5), (1000, 4096, 3), (10000, 128, 2)):
        each = iteration(ambient, n, count)
        rates[ambient] = 4 * ambient**2 * n / each
        print(f"  ambient {ambient:>6}, n {n:>5}: {each:8.4f} s an iteration, {rates[ambient] / 1e9:5.1f} GFLOP/s")
    iterations = sum(4 * e.model.ambient**2 * e.n * (e.k + 101) / rates[e.model.ambient] for e in found)
    each = decomposition(1000)
    print(f"  ambient   1000: {each:.2f} s for the full singular value decomposition that PCA takes there")
    decompositions = sum((e.model.ambient / 1000) ** 3 * each for e in found)
    for name, total in (("iterations alone", iterations), ("with decompositions", iterations + decompositions)):
        print(f"  {len(found)} training sets of k + 101 iterations, {name}: {total:.3g} s ({total / 86400:.1f} days, "
              f"extrapolated) = {total / seconds:,.0f} times ours (target 5,000)")  # fmt: skip


def decomposition(ambient: int) -> float:
    noisy = np.random.default_rng(0).standard_normal((ambient, ambient))
    gram = noisy @ noisy.T
    began = time.perf_counter()
    np.linalg.svd(gram)
    return time.perf_counter() - began


def iteration(ambient: int, n: int, count: int) -> float:
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((ambient, n), dtype=np.float32)
    noisy = clean + np.float32(0.1) * rng.standard_normal((ambient, n), dtype=np.float32)
    weights, step = np.zeros((ambient, ambient), np.float32), np.float32(0.1 / n)
    weights -= step * (weights @ noisy - clean) @ noisy.T
    began = time.perf_counter()
    for _ in range(count):
        weights -= step * (weights @ noisy - clean) @ noisy.T
    return (time.perf_counter() - began) / count


def printed(runs: int = 200) -> None:
    """Every mean within four standard errors of the printed one; the fit within .2 of the printed exponent."""
    path = PLACE / "official_theory_d10_n100_s0.05.csv"
    if not path.exists():
        print(f"\nprinted means: {path.name} is not here, left out")
        return
    setting = SETTINGS[2]
    theirs: dict[tuple[str, int], list[float]] = {}
    for row in csv.DictReader(path.read_text().splitlines()):
        theirs.setdefault((row["estimator"], int(row["N"])), []).append(float(row["risk"]))
    ours = experiments([(setting.model, n) for n in setting.n], runs=runs, seed=1, workers=WORKERS)
    print(f"\nsetting {setting.name}: mean of the 5 printed runs, of {runs} of ours, standard errors between them")
    names = {"early_stopped": "gd_early_stopped", "converged": "gd_converged", "pca": "pca"}
    print(f"  {'n':>6} " + " ".join(f"{name:>34}" for name in names))
    worst = 0.0
    for n in setting.n:
        cells = []
        for mine, other in names.items():
            values = np.array([getattr(e, mine) for e in ours if e.n == n])
            printed_mean, error = np.mean(theirs[other, n]), values.std(ddof=1) * np.sqrt(1 / 5 + 1 / runs)
            away = abs(printed_mean - values.mean()) / np.hypot(error, 5e-9)
            if mine == "converged" and n == setting.model.ambient:
                cells.append(f"{'infinite mean, not compared':>34}")
                continue
            worst = max(worst, away)
            cells.append(f"{printed_mean:10.6f} {values.mean():10.6f} {away:9.1f} se")
        print(f"  {n:>6} " + " ".join(f"{cell:>34}" for cell in cells))
    print(f"  largest: {worst:.1f} standard errors (criterion: 4)")
    exponents = []
    for first in range(0, runs, 5):
        rows = summaries([e for e in ours if first <= e.run < first + 5])
        exponents.append(power_fit([r.n for r in rows], [r.early_stopped[0] for r in rows], 8, 24).exponent)
    rows = summaries(ours)
    whole = power_fit([r.n for r in rows], [r.early_stopped[0] for r in rows], 8, 24)
    print(f"  early-stopped, n 8 to 24: {whole.factor:.0f} n^{whole.exponent:.3f} over all runs; by fives")
    print(f"  {np.mean(exponents):.3f} +- {np.std(exponents):.3f}; printed 390 n^-3.658 (criterion: within .2)")


def means(draws: int = 20000) -> None:
    """The converged risk averages to R* (n - 1) / (n - ambient - 1)."""
    print(f"\nconverged risk, mean of {draws} draws against R* (n - 1) / (n - ambient - 1)")
    rng = np.random.default_rng(2)
    cases = [
        (10, 100, 0.2, 120), (10, 100, 0.1, 256), (10, 100, 0.05, 512), (50, 1000, 0.1, 1100),
        (10, 1000, 0.05, 1024), (10, 1000, 0.1, 4096), (100, 1000, 0.1, 2048), (10, 10**6, 0.1, 2 * 10**6),
    ]  # fmt: skip
    for dim, ambient, sigma, n in cases:
        model = Subspace(dim, ambient, sigma)
        count = draws if dim <= 10 else draws // 20
        risks = np.array([sample_converged(model, n, rng) for _ in range(count)])
        exact, error = converged_mean(model, n), risks.std(ddof=1) / np.sqrt(count)
        assert exact is not None
        print(f"  dim {dim:>3} ambient {ambient:>7} sigma {sigma:<4} n {n:>7}: {risks.mean():.6g} +- {error:.2g}, "
              f"exact {exact:.6g}, {abs(risks.mean() - exact) / error:.1f} se")  # fmt: skip


def laws(draws: int = 1000) -> None:
    """Kolmogorov and Smirnov's test between samplers and direct data: p-values, uniform if the laws are the same."""
    print(f"\nKS p-values, {draws} draws, against direct data: early-stopped, converged, PCA, 8 steps | small form")
    rng = np.random.default_rng(3)
    few = [(3, 30, 0.1, n) for n in (2, 10, 28, 50)]
    for dim, ambient, sigma, n in (*few, (3, 80, 0.2, 40), (6, 12, 0.3, 9)):
        model = Subspace(dim, ambient, sigma)
        direct = [figures(path_of(draw_training_set(model, n, rng)), rng) for _ in range(draws)]
        reduced = [figures(sample(model, n, rng), rng) for _ in range(draws)]
        values = [
            ks_2samp(a, b, method="asymp").pvalue
            for a, b in zip(np.transpose(direct), np.transpose(reduced), strict=True)
        ]
        small = [sample_converged(model, n, rng) for _ in range(draws)]
        last = "-" if small[0] is None else f"{ks_2samp(np.transpose(direct)[1], small, method='asymp').pvalue:.2f}"
        print(f"  {dim, ambient, sigma, n}: " + " ".join(f"{value:.2f}" for value in values) + f" | {last}")
    model = Subspace(4, 300, 0.1)
    dense = [figures(sample(model, 260, rng), rng) for _ in range(draws // 2)]
    band = [figures(sample_truncated(model, 260, 12, rng), rng) for _ in range(draws // 2)]
    values = [ks_2samp(np.transpose(dense)[i], np.transpose(band)[i], method="asymp").pvalue for i in (0, 2, 3)]
    print(
        "  band of 12 blocks (4, 300, 0.1, 260), early-stopped, PCA, 8 steps: "
        + " ".join(f"{value:.2f}" for value in values)
    )


def figures(path: SubspacePath, rng: np.random.Generator) -> list[float]:
    step = path.model.step(path.n)
    return [best_descent(path, step).risk, path.risk(Converged()), path.pca(rng), path.risk(Descent(step, 8))]


def large() -> None:
    print("\nn and ambient beyond any matrix: one training set")
    for dim, ambient, n in ((10, 10**6, 10**5), (10, 10**6, 10**6), (50, 10**6, 10**5)):
        seconds, found = timed(lambda case=(dim, ambient, n): experiment(Subspace(case[0], case[1], 0.1), case[2]))
        print(f"  dim {dim:>3} ambient {ambient:.0e} n {n:.0e}: early-stopped {found.early_stopped:.6f}, "
              f"k = {found.k}, {found.how}, {seconds:.2f} s")  # fmt: skip


def timed(work: Callable[[], Experiment]) -> tuple[float, Experiment]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def main() -> None:
    reproduction()
    printed()
    means()
    laws()
    large()


if __name__ == "__main__":
    sys.exit(main())
