"""Related curves inferred together, against each alone, and what pairing their continuations does to differences.

    python benchmarks/related.py                 # all parts; about ten minutes on one core
    python benchmarks/related.py differences     # some of: forecasts, differences, simulated, seeds

- *forecasts*: each curve of a family alone, by ``infer([a, b, ...])``, and with a stronger coupling (degrees up to
  0.95) for comparison. Smaller is better but for the log density (LL).
- *differences*: the difference of ln(error) of two curves at the farthest size that both hold back, with the draws of
  the two paired by how they continue (``decisions/continuations.py``). CRPS as a part of that of independent
  continuations; how often the 90 % interval holds; and the correlation that leaving one source out chooses.
- *simulated*: both, on pairs that share their shape, their exponent alone, or nothing.
- *seeds*: whether runs of one seed at neighbouring n go together, and what it does to coverage.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from curves import Curve
from families import METRICS, NETWORKS, Family, published, simulated
from reconscale.laws import Curve as Inferred
from reconscale.laws import infer
from reconscale.laws.curve.shared_shape import SHARING, SharingPrior
from reconscale.laws.decisions.continuations import ALIKE, pair_continuations
from reconscale.laws.related_curves import relate_curves
from related_seeds import print_seeds
from scoring import Score, coverage, score_ours

Floats = NDArray[np.float64]
STRONG = SharingPrior((0.0, 0.6, 0.8, 0.95), (0.4, 0.2, 0.2, 0.2))
CORRELATIONS = (0.0, 0.3, 0.5, 0.7, 0.9)
WORST = 0.85
"""A correlation with which fewer of the 90 % intervals hold is not chosen."""
PAIRS = 30
console = Console(width=130)


def forecasts(families: Iterable[Family], known: dict[int, Inferred]) -> None:
    """Errors, densities and coverage of each curve alone and together."""
    ways = {"alone": None, "together": SHARING, "stronger": STRONG}
    found: dict[tuple[str, str], dict[str, list[Score]]] = defaultdict(lambda: {name: [] for name in ways})
    for family in families:
        alone = [known[id(curve)] for curve in family.curves]
        for name, way in ways.items():
            made = alone if way is None else relate_curves(alone, belief=way)
            scored = [score_ours(curve, one) for curve, one in zip(family.curves, made, strict=True)]
            found[family.source, family.kind][name] += scored
    table = Table("source", "differ in", "curves", "way", "RMSLE", "CRPS", "LL", "cover 50/80/90/95", "width 90 %")
    for (source, kind), scores in found.items():
        for name, mine in scores.items():
            first = (source, kind, str(len(mine))) if name == "alone" else ("", "", "")
            table.add_row(*first, name, *_cells(mine))
    console.print(table)
    _print_left_out(found)


def _print_left_out(found: dict[tuple[str, str], dict[str, list[Score]]]) -> None:
    """CRPS of each way over that alone, of networks: geometric mean and worst, with one source left out."""
    ratios = {
        source: {name: float(np.mean([s.crps for s in mine]) / np.mean([s.crps for s in scores["alone"]]))
                 for name, mine in scores.items() if name != "alone"}
        for (source, kind), scores in found.items() if kind == NETWORKS
    }  # fmt: skip
    for left in (*ratios, "none"):
        kept = [ratio for source, ratio in ratios.items() if source != left]
        if len(kept) > 2:
            said = [(name, [ratio[name] for ratio in kept]) for name in kept[0]]
            words = "; ".join(
                f"{name} {np.exp(np.log(all_).mean()):.3f}, at worst {max(all_):.3f}" for name, all_ in said
            )
            console.print(f"networks, CRPS over that alone, {left} left out: {words}")
    console.print()


def _cells(scores: list[Score]) -> list[str]:
    held = " ".join(f"{100 * share:.0f}" for share in coverage(scores))
    means = [float(np.mean([getattr(score, what) for score in scores])) for what in ("rmsle", "crps", "density")]
    width = float(np.median([score.width for score in scores]))
    return [f"{means[0]:.4f}", f"{means[1]:.4f}", f"{means[2]:.3f}", held, f"{width:.3g}"]


def differences(families: Iterable[Family], known: dict[int, Inferred]) -> None:
    """CRPS and coverage of forecasts of differences, by the correlation of the continuations."""
    found: dict[tuple[str, str], list[Floats]] = defaultdict(list)
    for family in families:
        if family.kind == METRICS:  # a PSNR less an SSIM is no difference
            continue
        for a, b in combinations(family.curves, 2):
            scored = _difference(a, b, known[id(a)], known[id(b)])
            if scored is not None:
                found[family.source, family.kind].append(scored)
    table = Table("source", "differ in", "pairs", *(f"{value:g}" for value in CORRELATIONS),
                  title="CRPS as a part of that without pairing, and share of 90 % intervals that hold")  # fmt: skip
    means = {key: np.mean(values, axis=0) for key, values in found.items()}
    for (source, kind), mean in means.items():
        cells = [f"{crps / mean[0, 0]:.3f}, {100 * held:.0f} %" for crps, held, _ in mean]
        table.add_row(source, kind, str(len(found[source, kind])), *cells)
    console.print(table)
    sources = sorted({source for source, _ in means})
    if len(sources) > 2:
        chosen = {left: _chosen({key: value for key, value in means.items() if key[0] != left}) for left in sources}
        console.print(
            "chosen with a source left out:", ", ".join(f"{left}: {value:g}" for left, value in chosen.items())
        )
        console.print(f"chosen on all: {_chosen(means):g}; the engine has {ALIKE:g}\n")


def _chosen(means: dict[tuple[str, str], Floats]) -> float:
    """The correlation of the least CRPS (geometric mean over families) whose intervals hold in every large family."""
    ratio = np.mean([np.log(mean[:, 0] / mean[0, 0]) for mean in means.values()], axis=0)
    holds = np.min([mean[:, 1] for mean in means.values() if mean[0, 1] >= WORST], axis=0)
    return float(CORRELATIONS[int(np.argmin(np.where(holds >= WORST, ratio, np.inf)))])


def _difference(a: Curve, b: Curve, one: Inferred, other: Inferred) -> Floats | None:
    """(R, 3) CRPS, whether the 90 % interval holds, and its width, for each correlation; None without a common size."""
    far = min(a.ahead.max(), b.ahead.max())
    near = [np.abs(np.log(curve.ahead / far)) < 0.3 for curve in (a, b)]
    if not (near[0].any() and near[1].any()):
        return None
    x = np.array([min(one.last, other.last), np.log(far)])
    first = one.draw(x)
    second = replace(other, curve_seed=(other.seed, 3)).draw(x)
    truth = float(b.logs(b.truth)[near[1]].mean() - a.logs(a.truth)[near[0]].mean())
    runs = [curve.noise(x[1:])[0] / np.sqrt(mine.sum()) for curve, mine in zip((one, other), near, strict=True)]
    noise = np.hypot(*runs) * np.random.default_rng(4).standard_normal(len(first))
    rows = []
    for value in CORRELATIONS:
        order = pair_continuations(first, second, (0, 1), np.random.default_rng(3), value)
        drawn = second[order, 1] - first[:, 1] + noise
        low, high = np.quantile(drawn, [0.05, 0.95])
        rows.append((_crps(drawn, truth), float(low <= truth <= high), high - low))
    return np.array(rows)


def _crps(draws: Floats, truth: float) -> float:
    ordered, count = np.sort(draws), len(draws)
    spread = (2 * np.arange(1, count + 1) - count - 1) @ ordered / count**2
    return float(np.abs(draws - truth).mean() - spread)


def inferred(families: Iterable[Family]) -> dict[int, Inferred]:
    """Every curve alone, once."""
    return {id(curve): infer(curve.points) for curve in {id(c): c for f in families for c in f.curves}.values()}


PARTS = ("forecasts", "differences", "simulated", "seeds")


def main() -> None:
    """The parts that are asked for."""
    chosen = sys.argv[1:] or list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        sys.exit(f"there is no part '{unknown[0]}'; there are: {', '.join(PARTS)}")
    if {"forecasts", "differences"} & set(chosen):
        families = published()
        known = inferred(families)
        if "forecasts" in chosen:
            forecasts(families, known)
        if "differences" in chosen:
            differences(families, known)
    if "simulated" in chosen:
        families = [*simulated(PAIRS, 1), *simulated(PAIRS, 3)]
        known = inferred(families)
        forecasts(families, known)
        differences(families, known)
    if "seeds" in chosen:
        print_seeds(console)


if __name__ == "__main__":
    main()
