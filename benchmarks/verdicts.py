"""How often verdicts are right: stated chances against the truth of simulated studies.

``python benchmarks/verdicts.py [studies]`` judges doubling n in studies like ours (5 sizes, 3 seeds, 2 % noise; see
``simulated.py``) against five amounts counted as worthwhile, 0.05 to 1 dB, and in studies of 3 sizes; and, where the
outside data are there, on measured curves of the Learning Curve Database (sizes 64 to 1,024 seen; what was measured at
1,024 and 2,048 counts as the truth, noise and all). An interval of a share counts studies, not judgements, as its
units.

``python benchmarks/verdicts.py null [--studies 300]`` judges doubling p where neither n nor p has an effect but seeds
are lucky at a width, and where larger networks help; see ``seed_luck.py``.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from curves import PLACE, Curve, halves, lcdb
from reconscale.laws import infer
from reconscale.laws.decisions.gains import gains_n
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY
from seed_luck import print_seed_luck
from simulated import KINDS, Simulated, studies

Floats = NDArray[np.float64]

WORTHWHILE = (0.05, 0.1, 0.2, 0.5, 1.0)
DISTANCES = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, np.inf)
WORKERS = 2


@dataclass(frozen=True, eq=False)
class Judged:
    """Judgements of one study, one for each amount in ``WORTHWHILE``.

    Attributes:
        kind: of the truth.
        stated: (J,) chance that doubling n gains more.
        true: what doubling n truly gains, in dB.
        low, median, high: what was expected of it.
    """

    kind: str
    stated: Floats
    true: float
    low: float
    median: float
    high: float

    @property
    def happened(self) -> NDArray[np.bool_]:
        """(J,) whether it truly gains more."""
        return self.true > np.array(WORTHWHILE)


def judged(study: Simulated) -> Judged:
    """What would be said about one study."""
    told = infer(study.points)
    gains = [gains_n(told, amount, (2.0,))[0] for amount in WORTHWHILE]
    first = gains[0]
    stated = np.array([gain.probability for gain in gains])
    return Judged(study.kind, stated, study.gain(2.0), first.low, first.median, first.high)


def judged_curve(curve: Curve) -> Judged:
    """What would be said about one measured curve."""
    told = infer(curve.points)
    gains = [gains_n(told, 100.0 * (1.0 - 10.0 ** (-0.1 * amount)), (2.0,))[0] for amount in WORTHWHILE]  # in per cent
    last = curve.n.max()
    after = np.log(curve.truth[np.isclose(curve.ahead, 2.0 * last)]).mean()
    true = float(10.0 / np.log(10.0) * (np.log(curve.y[curve.n == last]).mean() - after))
    stated = np.array([gain.probability for gain in gains])
    low, median, high = -10.0 * np.log10(1.0 - 0.01 * np.array([gains[0].low, gains[0].median, gains[0].high]))
    return Judged(curve.domain, stated, true, float(low), float(median), float(high))


def measured_curves(count: int) -> list[Curve]:
    """About ``count`` curves of the half that nothing was tuned on, evenly over it; none without the outside data."""
    if not PLACE.exists():
        return []
    known = [curve for curve in halves(lcdb(True))[1] if np.isclose(curve.ahead, 2.0 * curve.n.max()).any()]
    return known[:: max(1, len(known) // count)]


def judge_curves(known: Sequence[Curve]) -> list[Judged]:
    """Judge measured curves."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return list(pool.map(judged_curve, known, chunksize=8))


def judge(known: Sequence[Simulated]) -> list[Judged]:
    """Judge every study, on two processes of one thread each."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        return list(pool.map(judged, known, chunksize=8))


def reliability(results: Sequence[Judged], rng: np.random.Generator) -> list[tuple[float, ...]]:
    """Rows: from, to, judgements, mean stated chance, share that happened, its 90 % interval (studies drawn again)."""
    stated, happened, owner = _columns(results)
    rows = []
    for step in range(10):
        low, high = step / 10.0, (step + 1) / 10.0
        inside = (stated >= low) & ((stated < high) | (step == 9))
        if inside.any():
            share = [_again(happened[inside], owner[inside], len(results), rng) for _ in range(500)]
            bounds = np.nanquantile(share, [0.05, 0.95])
            rows.append((low, high, float(inside.sum()), stated[inside].mean(), happened[inside].mean(), *bounds))
    return rows


def verdicts(results: Sequence[Judged]) -> dict[str, tuple[int, float]]:
    """Verdict -> how many, and the share that is right; an UNDECIDED cannot be wrong."""
    stated, happened, _ = _columns(results)
    collect, stop = stated >= LIKELY, stated < UNLIKELY
    return {
        "COLLECT MORE": (int(collect.sum()), float(happened[collect].mean())),
        "STOP": (int(stop.sum()), float(1.0 - happened[stop].mean())),
        "UNDECIDED": (int((~collect & ~stop).sum()), float("nan")),
    }


def undecided(results: Sequence[Judged]) -> list[tuple[float, float, int, float]]:
    """Rows: from, to, judgements, and the share UNDECIDED, by how far the true gain is from worthwhile, in dB."""
    stated, _, _ = _columns(results)
    away = np.concatenate([np.abs(item.true - np.array(WORTHWHILE)) for item in results])
    open_ = (stated < LIKELY) & (stated >= UNLIKELY)
    rows = []
    for low, high in pairwise(DISTANCES):
        inside = (away >= low) & (away < high)
        rows.append((low, high, int(inside.sum()), float(open_[inside].mean()) if inside.any() else float("nan")))
    return rows


def coverage(results: Sequence[Judged]) -> float:
    """Share of studies whose true gain lies in the 90 % interval."""
    return float(np.mean([item.low <= item.true <= item.high for item in results]))


def brier(results: Sequence[Judged]) -> float:
    """Mean square of stated chance less what happened; 0.25 for a coin."""
    stated, happened, _ = _columns(results)
    return float(((stated - happened) ** 2).mean())


def gap(results: Sequence[Judged]) -> float:
    """Mean distance of stated chances from shares that happened, over tenths weighted by judgements."""
    rows = reliability(results, np.random.default_rng(0))
    weight = np.array([row[2] for row in rows])
    return float(weight @ [abs(row[3] - row[4]) for row in rows] / weight.sum())


def _columns(results: Sequence[Judged]) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    stated = np.concatenate([item.stated for item in results])
    happened = np.concatenate([item.happened for item in results])
    return stated, happened, np.repeat(np.arange(len(results)), len(WORTHWHILE))


def _again(happened: NDArray[np.bool_], owner: NDArray[np.int64], many: int, rng: np.random.Generator) -> float:
    times = np.bincount(rng.integers(many, size=many), minlength=many)[owner]
    return float(times @ happened / times.sum()) if times.sum() else float("nan")


def show(title: str, results: Sequence[Judged]) -> None:
    """Print the tables."""
    print(f"\n{title}: {len(results)} studies, {len(results) * len(WORTHWHILE)} judgements of doubling n")
    print(
        f"Brier score {brier(results):.3f}, mean gap of the reliability table {100 * gap(results):.1f} points, ", end=""
    )
    print(f"90 % interval of the gain holds in {100 * coverage(results):.0f} %")
    print("stated chance   judgements   mean stated   happened (90 % interval)")
    for low, high, many, said, share, least, most in reliability(results, np.random.default_rng(0)):
        print(f"{low:.1f} to {high:.1f} {many:16.0f} {said:13.2f} {share:10.2f} ({least:.2f} to {most:.2f})")
    for verdict, (many, right) in verdicts(results).items():
        print(f"{verdict:14s} {many:6d}", "" if np.isnan(right) else f"right in {100 * right:.1f} %")
    print("distance of the true gain from worthwhile, dB: share UNDECIDED")
    for low, high, many, share in undecided(results):
        print(f"{low:5.2f} to {high:5.2f} {many:6d} {100 * share:6.0f} %")


def main(count: int = 500) -> None:
    """Print everything."""
    results = judge(studies(count))
    show("5 sizes", results)
    print("\nby kind: Brier score, 90 % interval holds, COLLECT MORE right, STOP right")
    for kind in KINDS:
        chosen = [item for item in results if item.kind == kind]
        right = verdicts(chosen)
        shares = [f"{100 * right[name][1]:.0f} % of {right[name][0]}" for name in ("COLLECT MORE", "STOP")]
        print(f"{kind:12s} {brier(chosen):.3f}  {100 * coverage(chosen):.0f} %  ", ", ".join(shares))
    show("3 sizes", judge(studies(count // 2, 1, sizes=3)))
    curves = measured_curves(count // 2)
    if curves:
        show("measured curves", judge_curves(curves))


def parsed() -> argparse.Namespace:
    """What the command line says: ``verdicts.py [500]`` or ``verdicts.py null [--studies 300]``."""
    parser = argparse.ArgumentParser(description="How often verdicts are right.")
    parser.add_argument(
        "what", nargs="?", default="500", help="a number of studies, or 'null': luck of seeds at a width"
    )
    parser.add_argument("--studies", type=int, default=300, help="studies in each row of 'null'")
    return parser.parse_args()


if __name__ == "__main__":
    told = parsed()
    if told.what == "null":
        print_seed_luck(told.studies, WORKERS)
    else:
        main(int(told.what))
