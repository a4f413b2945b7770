"""Two-dimensional laws on published grids: ours beside least-squares point fits of each form.

    python benchmarks/surfaces.py

Data are looked for in $RECONSCALE_SHARED, or in the folder `shared` beside this repository.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from reconscale.laws import Points, chinchilla, infer_surface

ROOT = Path(__file__).resolve().parent.parent
CURVES = Path(os.environ.get("RECONSCALE_SHARED", ROOT.parent / "shared")) / "data" / "learning_curves"
FORMS = ("additive", "kaplan-n", "kaplan-p", "skaling")
STARTS = 60


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name, show in (("hoffmann_epoch_reconstruction.csv", hoffmann), ("olmo_ladder_final_c4.csv", olmo)):
        if (CURVES / name).is_file():
            show(CURVES / name)
        else:
            print(f"{name}: not in {CURVES}, skipped (set RECONSCALE_SHARED)\n")


def hoffmann(path: Path) -> None:
    """The additive law on the 240 runs read off a figure of Hoffmann et al."""
    p, flops, loss = columns(path, "Model Size", "Training FLOP", "loss")
    keep = loss < np.sort(loss)[-5]
    n, p, loss = flops[keep] / 6.0 / p[keep], p[keep], loss[keep]
    print("Hoffmann et al., 240 runs: E + A p^-alpha + B n^-beta, Huber loss (0.001) of ln(loss)")
    print(f"{'':34s} {'objective':>11s} {'E':>7s} {'A':>7s} {'B':>8s} {'alpha':>7s} {'beta':>7s} {'s':>6s}")
    print(f"{'printed by the replication':34s} {'0.0010186':>11s}  1.8169   482.0   2085.4  0.3478  0.3659")
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(n))
        start = time.perf_counter()
        found = chinchilla((n[order], p[order], loss[order]), seed=seed)
        seconds = time.perf_counter() - start
        numbers = f"{found.objective:11.9f} {found.E:7.4f} {found.A:7.1f} {found.B:8.1f} {found.alpha:7.4f}"
        print(f"{f'ours, rows and seed shuffled ({seed})':34s} {numbers} {found.beta:7.4f} {seconds:6.2f}")
    print("90 % intervals:", {name: f"{low:.4g} to {high:.4g}" for name, (low, high) in found.intervals().items()})
    start = time.perf_counter()
    told = infer_surface(Points(n, loss, p=p))
    seconds = time.perf_counter() - start
    best = told.compute_optimal(5.76e23)
    low, high = best.p_draws.interval()
    chances = ", ".join(f"{name} {chance:.2f}" for name, chance in told.couplings.items())
    print(f"posterior ({seconds:.2f} s): {chances}; E {told.parameters['E'][0]:.3f}")
    print(f"best p for 5.76e23 FLOPs: {best.p:.3g} ({low[0]:.3g} to {high[0]:.3g})\n")


def olmo(path: Path) -> None:
    """Root mean square error of ln(loss) on networks and amounts of text that were not seen."""
    n, p, ratio, loss = columns(path, "tokens", "N", "xC", "c4_loss")
    splits = {
        "<= 760M": p < 8e8,
        "<= 1.3B and <= 2x tokens": (p < 1.4e9) & (ratio <= 2),
        "< 3B": p < 2e9,
    }
    print("OLMo ladder: RMSE of ln(loss)")
    print(f"{'trained on':26s} {'by':12s} {'seen':>8s} {'3B':>8s} {'rest':>8s} {'in 90 %':>8s} {'s':>6s}")
    for split, seen in splits.items():
        for form in FORMS:
            line(split, form, np.log(point_fit(form, n, p, loss, seen)(n, p) / loss), seen, p > 2e9)
        start = time.perf_counter()
        told = infer_surface(Points(n[seen], loss[seen], p=p[seen]))
        seconds = time.perf_counter() - start
        low, high = told.interval(n, p)
        inside = ((low <= loss) & (loss <= high))[~seen].mean()
        away = np.log(told.median(n, p) / loss)
        line(split, "ours", away, seen, p > 2e9, f" {inside:8.2f} {seconds:6.2f}")
        print(f"{'':26s} {', '.join(f'{name} {chance:.2f}' for name, chance in told.couplings.items())}")


def line(split: str, name: str, away: Any, seen: Any, large: Any, more: str = "") -> None:
    rms = [float(np.sqrt((away[part] ** 2).mean())) for part in (seen, large, ~seen)]
    print(f"{split:26s} {name:12s} " + " ".join(f"{value:8.5f}" for value in rms) + more)


def point_fit(form: str, n: Any, p: Any, loss: Any, seen: Any) -> Callable[[Any, Any], Any]:
    """Least squares of ln(loss) for one form, the best of many random starts."""
    middle = np.log(n[seen]).mean(), np.log(p[seen]).mean()

    def law(theta: Any, x: Any, y: Any) -> Any:
        floor, level, balance = theta[:3]
        alpha, beta, free = np.exp(theta[3:])
        k = {"additive": 1.0, "kaplan-n": alpha, "kaplan-p": beta, "skaling": free}[form]
        inside = np.logaddexp(-alpha * (x - middle[0]) / k, (balance - beta * (y - middle[1])) / k)
        return np.logaddexp(floor, level + k * inside)

    x, y, z = np.log(n), np.log(p), np.log(loss)
    rng = np.random.default_rng(0)
    best = None
    for _ in range(STARTS):
        start = [z.min() + np.log(rng.uniform(0.02, 0.95)), z.mean() - 1 + rng.normal(), rng.normal()]
        start += [*np.log(rng.uniform(0.05, 0.6, 2)), rng.normal() - 0.5]
        found = least_squares(lambda t: law(t, x[seen], y[seen]) - z[seen], start, max_nfev=3000)
        best = found if best is None or found.cost < best.cost else best
    return lambda n, p: np.exp(law(best.x, np.log(n), np.log(p)))


def columns(path: Path, *names: str) -> list[Any]:
    with path.open() as lines:
        rows = list(csv.DictReader(lines))
    return [np.array([float(row[name]) for row in rows]) for name in names]


if __name__ == "__main__":
    main()
