"""Forecasts on published curves and on simulated truth: ours beside the peers'.

    python benchmarks/laws.py                       # all parts; about ten minutes on two cores
    python benchmarks/laws.py vision language       # some of: vision, language, lcdb, replicates, reconstruction,
                                                    # simulated, designs, published
    python benchmarks/laws.py designs --studies 2000    # more simulated studies

Curves are the units of every mean and of every coverage. M1 to M4 and BNSL-1 are fitted by our own fitter, fully
optimised on the scatter of ln(error); the published figures of these forms depend on the optimiser's start. LCDB is
reported on the half of the data sets that nothing was tuned on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from curves import PLACE, Curve, halves, lcdb, revisiting, rows_of, study_curves, study_replicates, tomography
from reconscale.errors import UserError
from reconscale.laws import METRICS, Points, forecast, infer
from reconscale.laws.named.fit import point_fit
from scoring import HEADER, LEVELS, METRIC_HEADER, Score, metric_row, row_of, score_ours, score_point
from simulated import KINDS, NOISE, designs, studies

Floats = NDArray[np.float64]
HERE = Path(__file__).resolve().parent
PEER = Path(os.environ.get("RECONSCALE_PEER", HERE.parent / ".venv-peers/bin/python"))
PEER_CURVES = 100
STUDIES = 500
"""Simulated studies of ``simulated`` and of ``designs``."""
NAMED = ("power", "power+floor", "shifted", "M4", "bnsl-1")
console = Console(width=120)


def last_value(curve: Curve) -> Floats:
    last = curve.logs(curve.y[curve.n == curve.n.max()]).mean()
    return METRICS[curve.metric].from_error(np.exp(np.full(len(curve.ahead), last)))


def last_third(curve: Curve) -> Floats:
    x, group = np.unique(np.log(curve.n), return_inverse=True)
    z = np.bincount(group, curve.logs(curve.y)) / np.bincount(group)
    many = max(3, -(-len(x) // 3))
    error = np.exp(np.polyval(np.polyfit(x[-many:], z[-many:], 1), np.log(curve.ahead)))
    return METRICS[curve.metric].from_error(error)


def named(curve: Curve, law: str) -> Floats:
    """A law that refuses the curve (too few sizes) counts as the straight line."""
    try:
        return point_fit(curve.points, law).evaluate(curve.ahead)
    except UserError:
        return last_third(curve)


CONTESTANTS: dict[str, Callable[[Curve], Score]] = {
    "reconscale": score_ours,
    **{law: partial(score_point, predict=partial(named, law=law)) for law in NAMED},
    "last value": partial(score_point, predict=last_value),
    "line, last third": partial(score_point, predict=last_third),
}


def compared(title: str, curves: Sequence[Curve], pool: ProcessPoolExecutor, *, peer: bool = False) -> None:
    """A table of all contestants on the curves."""
    table = Table(*HEADER, title=f"{title}: {len(curves)} curves", title_justify="left")
    for name, score in CONTESTANTS.items():
        table.add_row(*row_of(name, list(pool.map(score, curves, chunksize=8))))
    console.print(table)
    if peer:
        against_peer(title, curves[:: max(1, len(curves) // PEER_CURVES)][:PEER_CURVES])


def against_peer(title: str, curves: Sequence[Curve]) -> None:
    """``simple-scaling-laws`` and ours on the same curves (it needs a Python of its own)."""
    if not PEER.exists():
        console.print(f"simple-scaling-laws is left out: {PEER} is not there (make bench-laws makes it)\n")
        return
    lines = "\n".join(
        json.dumps({"n": c.n.tolist(), "y": c.y.tolist(), "ahead": np.unique(c.ahead).tolist()}) for c in curves
    )
    command = [str(PEER), str(HERE / "peer_simple_scaling_laws.py")]
    answers = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [json.loads(line) for line in answers]
    kept = [(c, t) for c, t in zip(curves, told, strict=True) if "error" not in t]
    table = Table(*HEADER, title=f"{title}: {len(kept)} curves (the peer refused {len(told) - len(kept)})")
    table.add_row(*row_of("simple-scaling-laws", [score_quantiles(c, t) for c, t in kept]))
    table.add_row(*row_of("reconscale", [score_ours(c) for c, _ in kept]))
    console.print(table)


def score_quantiles(curve: Curve, told: dict[str, object]) -> Score:
    """Score nine quantiles: error of the median, CRPS as the mean of pinball losses, place between quantiles."""
    levels = np.array([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975])
    rows = np.log(np.maximum(np.array(told["quantiles"]), 1e-9))
    back = np.unique(curve.ahead, return_inverse=True)[1]
    truth, rows = np.log(curve.truth), rows[:, back]
    away = truth - rows
    pinball = 2 * np.maximum(levels[:, None] * away, (levels[:, None] - 1) * away).mean()
    place = float(np.interp(truth[-1], rows[:, -1], levels, left=0.0, right=1.0))
    rmsle = float(np.sqrt(np.mean(away[4] ** 2)))
    return Score(rmsle, float(pinball), place=place, seconds=float(told["seconds"]))  # type: ignore[arg-type]


def vision(pool: ProcessPoolExecutor) -> None:
    compared("vision, development half", revisiting("revisiting_nsl_vision_birds_cifar.csv"), pool)


def language(pool: ProcessPoolExecutor) -> None:
    curves = revisiting("revisiting_nsl_lang.csv")
    for domain in ("NMT", "LM", "BB"):
        compared(domain, [curve for curve in curves if curve.domain == domain], pool)


def lcdb_means(pool: ProcessPoolExecutor) -> None:
    both = halves(lcdb(replicates=False))
    compared("LCDB, five means each, reporting half", both[1], pool)
    compared("LCDB, five means each, both halves", [*both[0], *both[1]], pool)


def lcdb_replicates(pool: ProcessPoolExecutor) -> None:
    both = halves(lcdb(replicates=True))
    compared("LCDB, replicates, reporting half", both[1], pool, peer=True)
    compared("LCDB, replicates, both halves", [*both[0], *both[1]], pool)


def simulated(pool: ProcessPoolExecutor, count: int = STUDIES) -> None:
    """Coverage of a new run at 2 and 10 times the largest n, in studies like ours."""
    found = list(pool.map(_placed, range(count), chunksize=10))
    table = Table("truth", "studies", "2x: cover 50/80/90/95", "10x: cover 50/80/90/95", "bias at 10x, dB",
                  title=f"simulated truth: {count} studies of 5 sizes x 3 seeds, 2 % noise")  # fmt: skip
    for kind in (*KINDS, "all"):
        mine = [(places, bias) for name, places, bias in found if kind in (name, "all")]
        places = np.array([entry[0] for entry in mine])
        shares = [[float(np.mean(np.abs(column - 0.5) < level / 2)) for level in LEVELS] for column in places.T]
        cells = [" ".join(f"{100 * share:.0f}" for share in row) for row in shares]
        table.add_row(kind, str(len(mine)), *cells, f"{np.mean([entry[1] for entry in mine]):+.2f}")
    console.print(table)


def _placed(index: int) -> tuple[str, list[float], float]:
    study = studies(index + 1, seed=7)[index]
    ahead = study.points.n.max() * np.array([2.0, 10.0])
    told = forecast(study.points, ahead)
    noise = study.noise * np.random.default_rng([7, index]).standard_normal(2)
    run = -10 * np.log10(study.truth(ahead) * np.exp(noise))
    expected = -10 * np.log10(study.truth(ahead))
    return study.kind, (told.draws < run).mean(axis=0).tolist(), float(told.median[1] - expected[1])


def designed(pool: ProcessPoolExecutor, count: int = STUDIES) -> None:
    """Coverage of 90 % intervals in studies of many shapes, and how often a floor is called identified."""
    found = list(pool.map(_designed, range(count), chunksize=10))
    header = ("number", "at the largest n", "2x", "10x", "gain of 2x", "width at 10x, dB", "bias at 10x, dB")
    title = "90 % intervals, many designs: 3 to 8 sizes, 1 to 5 seeds, exponents 0.01 to 1"
    table = Table("studies", *header, title=title)
    for name, chosen in (
        ("one seed", lambda row: row[0] == 1),
        ("2 or 3 seeds", lambda row: 2 <= row[0] <= 3),
        ("4 or 5 seeds", lambda row: row[0] >= 4),
        ("3 or 4 sizes", lambda row: row[1] <= 4),
        ("7 or 8 sizes", lambda row: row[1] >= 7),
        ("exponent < 0.1, as images", lambda row: row[8] < 0.1),
        *((kind, lambda row, index=index: row[9] == index) for index, kind in enumerate(KINDS)),
        ("all", lambda row: True),
    ):
        mine = np.array([row[2:8] for row in found if chosen(row)])
        cells = [f"{100 * share:.0f}" for share in mine[:, :4].mean(axis=0)]
        table.add_row(name, str(len(mine)), *cells, f"{np.median(mine[:, 4]):.2f}", f"{mine[:, 5].mean():+.2f}")
    console.print(table)
    slow = Table(
        "truth: exponent, no floor", "called a floor, of 40", title="floors that are not there: 5 sizes x 3 seeds"
    )
    for exponent in (0.02, 0.035, 0.05):
        slow.add_row(f"{exponent:g}", str(sum(pool.map(partial(_called_floor, exponent), range(40)))))
    console.print(slow)


def _designed(index: int) -> tuple[float, ...]:
    study = designs(index + 1, seed=9)[index]
    last = float(study.points.n.max())
    curve = infer(study.points)
    told = curve.forecast(last * np.array([1.0, 2.0, 10.0]))
    expected = -10.0 * np.log10(study.truth(last * np.array([1.0, 2.0, 10.0])))
    run = expected - study.noise * 10.0 / np.log(10.0) * np.random.default_rng([9, index]).standard_normal(3)
    low, high = told.interval(0.9)
    inside = (low <= run) & (run <= high)
    low_mean, high_mean = np.quantile(told.expected[:, 0], [0.05, 0.95])
    level = low_mean <= expected[0] <= high_mean
    gain = np.quantile(told.expected[:, 1] - told.expected[:, 0], [0.05, 0.95])
    seeds = len(study.points) // len(study.points.sizes)
    known = gain[0] <= expected[1] - expected[0] <= gain[1]
    bias = told.median[2] - expected[2]
    kind = KINDS.index(study.kind)
    return (seeds, len(study.points.sizes), level, inside[1], inside[2], known, high[2] - low[2], bias,
            study.law.exponent, kind)  # fmt: skip


def _called_floor(exponent: float, index: int) -> bool:
    n = np.repeat(np.geomspace(100.0, 1e4, 5), 3)
    error = n**-exponent * np.exp(NOISE * np.random.default_rng([4, index]).standard_normal(15))
    return bool(forecast(Points(n, error, np.tile(np.arange(3), 5)), [2e4]).known["floor"].identified)


def reconstruction(pool: ProcessPoolExecutor) -> None:
    """Reconstruction curves: published ones of CT, and the repository's own studies, seed by seed and together."""
    for title, curves in (
        ("CT (LoDoPaB), development half", tomography()),
        ("own studies", study_curves()),
        ("own studies, seeds together", study_replicates()),
    ):
        for metric, unit in (("psnr", "dB"), ("ssim", "SSIM")):
            mine = [curve for curve in curves if curve.metric == metric]
            if not mine:
                continue
            table = Table(*METRIC_HEADER, title=f"{title}: {len(mine)} curves, {unit}", title_justify="left")
            for name, score in CONTESTANTS.items():
                table.add_row(*metric_row(name, list(pool.map(score, mine, chunksize=4))))
            console.print(table)


def published(pool: ProcessPoolExecutor) -> None:
    """Published reconstruction curves of two or three sizes: a fan, and a floor that is not called identified."""
    groups: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for row in rows_of(PLACE / "published_reconstruction_points.csv"):
        metric = next((name for name in ("psnr", "ssim") if name in row["metric"].lower()), None)
        if metric and row["N_images"]:
            key = (row["task"], row["model"], row["pool"].rsplit("_", 1)[0], row["split"], row["metric"], metric)
            groups.setdefault(key, []).append((float(row["N_images"]), float(row["value"])))
    table = Table("curve", "metric", "sizes", "last", "10x: median (90 %)", "floor", title="published reconstruction")
    for key, rows in groups.items():
        n, y = np.array(sorted(rows)).T
        if len(np.unique(n)) < 2:
            continue
        told = forecast(Points(n, y, metric=key[-1]), [10 * n.max()])
        low, high = told.interval(0.9)
        floor = "identified" if told.known["floor"].identified else "not identified"
        table.add_row(" ".join(key[:4]), key[4], str(len(np.unique(n))), f"{y[n.argmax()]:.4g}",
                      f"{told.median[0]:.4g} ({low[0]:.4g} to {high[0]:.4g})", floor)  # fmt: skip
    console.print(table)


PARTS = {
    "vision": vision,
    "language": language,
    "lcdb": lcdb_means,
    "replicates": lcdb_replicates,
    "reconstruction": reconstruction,
    "simulated": simulated,
    "designs": designed,
    "published": published,
}
SIMULATED = {"simulated": simulated, "designs": designed}
"""Parts that need no outside data."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Forecasts beside the peers'.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="[default: all]")
    parser.add_argument("--studies", type=int, default=STUDIES, help="of 'simulated' and 'designs'")
    flags = parser.parse_args()
    with ProcessPoolExecutor(max_workers=max(1, len(os.sched_getaffinity(0)))) as pool:
        for name in flags.part or PARTS:
            if name in SIMULATED:
                SIMULATED[name](pool, flags.studies)
                continue
            if not PLACE.is_dir():
                console.print(f"{name}: skipped, the published curves are not at {PLACE} (set RECONSCALE_SHARED)")
                continue
            PARTS[name](pool)


if __name__ == "__main__":
    main()
