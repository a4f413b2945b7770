"""Exchange rates between sources on simulated studies whose truth is known, and on published mixtures.

    python benchmarks/mixture.py [--worlds 6]

Two sources; one study is one truth, measured at the mixes of one design with one or three seeds. Truths have an
exponent of median 0.35 and log spread 0.5, a floor of 10 to 80 % of the error in the middle, 1.5 to 30 images of the
other source for one of the target, seed noise of 0.5 to 2 % of the error. Kinds: the five laws that are averaged, and
one that is none of them (``saturating``: the other source is worth w n / (1 + n / s), at most w s).
All designs have 12 mixes, and are asked about one mix: 300 images of the target and 1,000 of the other source.

Published: MLI-lab's table (arXiv 2508.13822) in `published_reconstruction_points.csv`, looked for in
$RECONSCALE_SHARED or in the folder `shared` beside this repository.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import Mixture, infer_mixture

Floats = NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
CURVES = Path(os.environ.get("RECONSCALE_SHARED", ROOT.parent / "shared")) / "data" / "learning_curves"
BASE = {"target": 300.0, "others": 1000.0}
HERE = np.array([list(BASE.values())])
OWN, OTHER = np.eye(2)[:1], np.eye(2)[1:]
COST = 5.0
"""Of an image of the target, where one of the others costs 1: which to collect?"""
KINDS = ("additive", "transfer", "multiplicative", "biased", "shares", "saturating")


def designs() -> dict[str, Floats]:
    """Name -> (12, 2) mixes; the largest have 300 of the target and 3,000 of the others."""
    three, four = (30, 100, 300), (0, 100, 550, 3000)
    shares = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    return {
        "grid": np.array([(t, o) for t in three for o in four], float),
        "curve with and without": np.array([(t, o) for o in (0, 3000) for t in (10, 20, 40, 80, 150, 300)], float),
        "curve and cross": np.array([*((t, 0) for t in (10, 25, 50, 100, 200, 300)),
                                     *((300, o) for o in (30, 100, 300, 550, 1500, 3000))], float),
        "shares at two totals": np.array([(q * n, (1 - q) * n) for n in (100, 600) for q in shares], float),
        "each alone": np.array([*((t, 0) for t in (10, 25, 50, 100, 200, 300)),
                                *((0, o) for o in (30, 100, 300, 550, 1500, 3000))], float),
        "one ray": np.array([(s, 3 * s) for s in (5, 10, 15, 25, 35, 50, 75, 100, 150, 200, 250, 300)], float),
    }  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """A law with its numbers; ``error`` is of mixes (N, 2), at the level 1 in the base mix."""

    kind: str
    fall: Callable[[Floats], Floats]
    share: float

    def error(self, mixes: Floats) -> Floats:
        """(N,)."""
        return self.share + (1.0 - self.share) * self.fall(mixes) / self.fall(HERE)

    @property
    def rate(self) -> float:
        """Images of the others that are worth one of the target in the base mix; infinite where they harm, 0 where the
        target does (a law of shares in which others are better).
        """
        step = 0.01 * HERE.sum()
        here, own, other = self.error(np.vstack([HERE, HERE + step * OWN, HERE + step * OTHER]))
        return float(max(here - own, 0.0) / (here - other)) if other < here else float("inf")

    def gains(self) -> Floats:
        """(2,) dB of doubling each."""
        here, own, other = self.error(np.vstack([HERE, HERE * [[2.0, 1.0]], HERE * [[1.0, 2.0]]]))
        return 10.0 * np.log10(here / np.array([own, other]))


def draw_truth(kind: str, rng: np.random.Generator) -> Truth:
    """A truth; all but the additive one have rates that change with the mix."""
    a = float(np.clip(0.35 * np.exp(0.5 * rng.standard_normal()), 0.08, 1.2))
    w, share = float(np.exp(-rng.uniform(np.log(1.5), np.log(30.0)))), float(rng.uniform(0.1, 0.8))
    c, d = rng.uniform(0.4, 1.0), rng.uniform(0.0, 0.3)
    g, b, m = rng.uniform(0.1, 0.8), 0.4 * np.exp(0.4 * rng.standard_normal()), 100 * np.exp(rng.standard_normal())
    h, t, k = rng.uniform(0.05, 0.5), rng.uniform(1.0, 2.0), rng.uniform(-0.6, 0.6)
    s = float(np.exp(rng.uniform(np.log(500.0), np.log(20000.0))))

    def fall(mixes: Floats) -> Floats:
        own, other = mixes.T
        total = own + other
        if kind == "transfer":
            with np.errstate(divide="ignore"):
                worth = w * 1300.0 * (other / 1300.0) ** c * (np.maximum(own, 1.0) / 1300.0) ** d
            return np.asarray((own + worth) ** -a)
        if kind == "multiplicative":
            return np.asarray((1.0 + own / 10.0) ** -a * (g + (1.0 - g) * (1.0 + other / m) ** -b))
        if kind == "shares":
            return np.asarray((own + w * other) ** -a * np.exp(k * other / total))
        if kind == "saturating":
            return np.asarray((own + w * other / (1.0 + other / s)) ** -a)
        plain = (own + w * other) ** -a
        if kind == "biased":
            return np.asarray(plain / (300.0 + w * 1000.0) ** -a + h * (other / total) ** t)
        return np.asarray(plain)

    return Truth(kind, fall, share)


@dataclass(frozen=True)
class Score:
    """One study."""

    kind: str
    design: str
    seeds: int
    rate: float
    low: float
    median: float
    high: float
    identified: bool
    covered: float
    right: bool
    form: str


def study(truth: Truth, design: str, mixes: Floats, seeds: int, rng: np.random.Generator) -> Score:
    """Measure a truth, and ask."""
    noise = float(np.exp(rng.uniform(np.log(0.005), np.log(0.02))))
    places = np.repeat(mixes, seeds, axis=0)
    error = 1e-3 * truth.error(places) * np.exp(noise * rng.standard_normal(len(places)))
    seed = np.tile(np.arange(seeds), len(mixes)) if seeds > 1 else None
    points = Mixture({"target": places[:, 0], "others": places[:, 1]}, -10 * np.log10(error), seed, metric="psnr")
    curve = infer_mixture(points)
    rate = curve.exchange_rates(BASE)[0]
    gains = [gain.gain for gain in curve.gains(have=BASE)]
    covered = np.mean([told.low <= true <= told.high for told, true in zip(gains, truth.gains(), strict=True) if told])
    best = curve.best_mix({"target": COST}, 500.0, have=BASE).source
    alone = truth.error(np.vstack([HERE + 500.0 / COST * OWN, HERE + 500.0 * OTHER]))
    forms = curve.posterior.forms
    right, told = best == ("target", "others")[int(alone.argmin())], rate.rate
    return Score(
        truth.kind, design, seeds, truth.rate, told.low, told.median, told.high, rate.identified, float(covered), right,
        max(forms, key=lambda name: forms[name]),
    )  # fmt: skip


def show(title: str, rows: list[Score]) -> None:
    """One line of a table."""
    rate = np.array([row.rate for row in rows])
    inside = np.array([row.low <= row.rate <= row.high for row in rows])
    told = np.array([(row.rate, row.median, row.low, row.high) for row in rows])
    finite = (np.isfinite(told) & (told > 0)).all(1)
    kept = [row for row, keep in zip(rows, finite, strict=True) if keep]
    off = np.log([row.median / row.rate for row in kept]) if kept else np.array([np.nan])
    wide = np.log([row.high / row.low for row in kept]) if kept else np.array([np.nan])
    known = np.mean([row.identified for row in rows])
    print(f"{title:34s} {len(rows):5d} {100 * inside.mean():6.0f} % {np.exp(np.median(off)):9.2f} "
          f"{np.exp(np.median(np.abs(off))):9.2f} {np.exp(np.median(wide)):10.1f} {100 * known:8.0f} % "
          f"{100 * np.mean([row.covered for row in rows]):8.0f} % {100 * np.mean([row.right for row in rows]):7.0f} % "
          f"{100 * np.isinf(rate).mean():5.0f} %")  # fmt: skip


HEADER = (
    f"{'':34s} {'n':>5s} {'covered':>8s} {'bias x':>9s} {'error x':>9s} {'high/low':>10s} {'identif.':>10s} "
    f"{'gains cov.':>10s} {'right':>9s} {'harm':>7s}"
)


def simulate(worlds: int) -> list[Score]:
    """All kinds, designs and numbers of seeds."""
    scores = []
    for seeds in (1, 3):
        for kind in KINDS:
            for world in range(worlds):
                rng = np.random.default_rng([KINDS.index(kind), world])
                truth = draw_truth(kind, rng)
                scores += [study(truth, name, mixes, seeds, rng) for name, mixes in designs().items()]
    return scores


def tell(scores: list[Score]) -> None:
    """The tables: told of the rate of exchange in the base mix."""
    print(
        "covered: 90 % intervals of the exchange rate that hold the true one; bias x, error x: median ratio of told to"
    )
    print("true, and how far off, where both are finite; right: collecting the source that is better for its cost")
    print(HEADER)
    told = [row for row in scores if row.design != "one ray"]
    show("all designs but one ray", told)
    for name in designs():
        show(name, [row for row in scores if row.design == name])
    for kind in KINDS:
        show(f"truth {kind}", [row for row in told if row.kind == kind])
    for seeds in (1, 3):
        show(f"{seeds} seed{'s' if seeds > 1 else ''}", [row for row in told if row.seeds == seeds])
    print("\nlikeliest law, by truth:")
    for kind in KINDS:
        forms = [row.form for row in told if row.kind == kind]
        print(f"  {kind:15s}", ", ".join(f"{name} {forms.count(name)}" for name in dict.fromkeys(sorted(forms))))


def published() -> None:
    """MLI-lab's pools: how many images of the whole pool reach what 120,000 of another kind reach."""
    path = CURVES / "published_reconstruction_points.csv"
    if not path.is_file():
        print(f"\n{path.name}: not in {CURVES}, skipped (set RECONSCALE_SHARED)")
        return
    rows = [row for row in csv.DictReader(path.open()) if row["source"].startswith("MLI-lab")]
    print(
        "\nMLI-lab's pools (arXiv 2508.13822), VarNet, mean PSNR of 21 test sets like the training data ('id') and 27"
    )
    print("others: images of the whole pool that reach what 120,000 of one kind reach, between the measured pools")
    for task in ("MRI 4x", "MRI 8x"):
        for split in ("ID", "OOD"):
            value = {row["pool"]: float(row["value"]) for row in rows
                     if row["task"] == task and row["split"] == split and row["metric"].startswith("PSNR")}  # fmt: skip
            n, y = np.log([40003.0, 120000.0, 360000.0]), [value[f"data_pool_{k}"] for k in ("40k", "120k", "360k")]
            for kind in ("id", "aux"):
                reached = value[f"data_pool_{kind}_120k"]
                same = float(np.exp(np.interp(reached, y, n)))
                sign = "more than" if reached > y[-1] else "less than" if reached < y[0] else "about"
                pool = ", ".join(f"{quality:.2f}" for quality in y)
                print(f"  {task}, tests {split:3s}: {kind:3s} {reached:.2f} dB (pool {pool}): "
                      f"{sign} {same:,.0f} of the pool; one for {sign} {same / 120000.0:.2g}")  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=6, help="truths of each kind")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    began = time.perf_counter()
    scores = simulate(asked.worlds)
    tell(scores)
    print(f"\n{len(scores)} studies, {(time.perf_counter() - began) / max(len(scores), 1):.2f} s each")
    published()


if __name__ == "__main__":
    main()
