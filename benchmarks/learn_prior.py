"""Learn the prior of the forecasts from whole curves (empirical Bayes), and keep what holds on data sets left out.

    python benchmarks/learn_prior.py                     # about ten minutes on one core; prints, writes nothing
    python benchmarks/learn_prior.py --leave-out CT      # what would be learnt without it, and how well it foresees it
    python benchmarks/learn_prior.py --write             # writes laws/curve/prior.json

Three beliefs are learnt: of few sizes, for metrics of images (CT, the repository's studies) and for any other error
(LCDB), and of many sizes (vision, language). Every curve is drawn once under a broad prior, from the sizes seen and
from all; ``whole_curves.py`` then says of any other belief how likely it makes the sizes ahead, given those seen. The
sum over curves, no data set counting more than twenty, plus a normal density about where the file starts from
(``start``), is made as large as can be. How far it may go from there, the strength, is chosen by forecasts of data
sets that were left out: the smallest mean of ln(CRPS), if it falls by 1 % at least, in no data set rises by more than
2 %, and the mean log density does not fall. Else the belief stays where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

import reconscale.laws.curve
from curves import PLACE, Curve, halves, lcdb, lcdb_seeds, revisiting, study_curves, study_replicates, tomography
from reconscale.laws.curve import posterior
from reconscale.laws.curve.prior import GROUPS, MANY, VERSION, Belief, mix_beliefs, parse_beliefs, read_prior
from scoring import Score, score_ours
from whole_curves import NAMES, Draws, belief_at, broadened, coordinates_of, draw_whole, log_density, numbers_of

Floats = NDArray[np.float64]
Beliefs = dict[str, Belief]
COMMAND = "python benchmarks/learn_prior.py --write"
EVERY = 4
"""Of the tuning half of LCDB each so manieth curve is used."""
CAP = 20.0
"""No data set counts more than so many curves, and no curve more than once."""
STRENGTHS = (0.2, 0.4, 0.8)
SPREADS = dict.fromkeys(NAMES, 0.5) | dict.fromkeys(("floor", "shift", "second"), 0.7)
SPREADS |= dict.fromkeys(("exponent_sd", "sharpness_sd", "noise_sd", "rough_sd", "length_sd"), 0.3)
SPREADS |= dict.fromkeys(("saturating", "speeding up", "slowing down"), 0.7) | {"floor_bend": 0.4, "length": 0.4}
"""Spreads of the density about the start at a strength of 1, in the coordinates of ``whole_curves.NAMES``."""
STEP = 1e-5
LEAST_GAIN, MOST_LOSS = 0.01, 0.02
SCORES = ("rmsle", "crps", "density")
FOLDS = 4
"""Parts of LCDB, by OpenML id."""


@dataclass(frozen=True, eq=False)
class Known:
    """One curve that is learnt from.

    Attributes:
        group: the belief that it teaches.
        data_set: what is left out together.
        curve: itself.
        draws: of the whole curve.
    """

    group: str
    data_set: str
    curve: Curve
    draws: Draws


def read_curves() -> list[tuple[str, str, Curve]]:
    """Group, data set and curve of every curve that is learnt from."""
    few_images, few_other, _ = GROUPS
    made: list[tuple[str, str, Curve]] = []
    for curve in revisiting("revisiting_nsl_vision_birds_cifar.csv"):
        made.append((MANY, "birds" if curve.group.startswith("bird") else "CIFAR", curve))
    made += [(MANY, curve.domain, curve) for curve in revisiting("revisiting_nsl_lang.csv")]
    for curve in [*halves(lcdb(False))[0][::EVERY], *halves(lcdb_seeds())[0]]:
        made.append((few_other, f"LCDB {int(curve.group) // 2 % FOLDS}", curve))
    made += [(few_images, "CT", curve) for curve in tomography()]
    for curve in [*study_curves(), *study_replicates()]:
        made.append((few_images, curve.group.split("/")[0], curve))
    return sorted(made, key=lambda item: (GROUPS.index(item[0]), item[1]))


class Evidence:
    """How likely a belief makes the sizes ahead of some curves, given those seen, by the draws of each."""

    def __init__(self, known: Sequence[Known], few: Belief) -> None:
        """``few``: the belief at a share of 0, where the one that is asked for is of many."""
        self.few, self.group = few, known[0].group
        names = [item.data_set for item in known]
        self.weight = np.array([min(1.0, CAP / names.count(name)) for name in names])
        share = np.array([item.draws.share for item in known])
        self.parts = []
        for value in np.unique(share):
            rows = np.flatnonzero(share == value)
            first = np.array([[known[i].draws.first] for i in rows])
            for stage, sign in (("whole", 1.0), ("seen", -1.0)):
                columns = [known[i].draws.columns[stage] for i in rows]
                stacked = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
                base = log_density(stacked, first, known[rows[0]].draws.base)[0]
                self.parts.append((float(value), rows, stacked, first, base, sign))

    def at(self, place: Floats, like: Belief) -> tuple[Floats, Floats]:
        """(C,) log likelihood over that of the base, but for a constant, and its slopes (C, Q) by the coordinates."""
        gain, slope = np.zeros(len(self.weight)), np.zeros((len(self.weight), len(place)))
        for share, rows, columns, first, base, sign in self.parts:
            numbers, turned = self._numbers(place, like, share)
            logs, by_number = log_density(columns, first, self._mixed(belief_at(place, like), share))
            logs = logs - base
            most = np.maximum(logs.max(axis=1, keepdims=True), -700.0)
            ratio = np.exp(logs - most)
            total = np.maximum(ratio.sum(axis=1), 1e-300)
            gain[rows] += sign * (most[:, 0] + np.log(total / logs.shape[1]))
            mean = np.einsum("cd,cdp->cp", ratio / total[:, None], by_number)
            slope[rows] += sign * (mean @ (turned - numbers).T / STEP)
        return gain, slope

    def _numbers(self, place: Floats, like: Belief, share: float) -> tuple[Floats, Floats]:
        """(P,) numbers of the belief, and (Q, P) with one coordinate after the other a step further."""
        steps = place + STEP * np.eye(len(place))
        there = [numbers_of(self._mixed(belief_at(step, like), share)) for step in steps]
        return numbers_of(self._mixed(belief_at(place, like), share)), np.array(there)

    def _mixed(self, belief: Belief, share: float) -> Belief:
        return mix_beliefs(self.few, belief, share) if self.group == MANY else belief


def learn(known: Sequence[Known], start: Beliefs, group: str, strength: float, without: str = "") -> Belief:
    """The belief of a group, learnt from its curves; ``without``: a data set that is left out."""
    kept = [item for item in known if item.group == group and item.data_set != without]
    evidence, like, spreads = Evidence(kept, start[GROUPS[1]]), start[group], strength * np.array([*SPREADS.values()])
    begin = coordinates_of(like)

    def loss(away: Floats) -> tuple[float, Floats]:
        gain, slope = evidence.at(begin + spreads * away, like)
        down = -(evidence.weight @ slope) * spreads + away
        return float(-(evidence.weight @ gain) + 0.5 * away @ away), down

    settings = {"maxiter": 60, "ftol": 1e-6}
    bounds = [(-3.0, 3.0)] * len(begin)
    found = minimize(loss, np.zeros(len(begin)), jac=True, method="L-BFGS-B", bounds=bounds, options=settings)
    return rounded(belief_at(begin + spreads * found.x, like))


def rounded(belief: Belief) -> Belief:
    """With four significant digits, as in the file; the first kind makes the sum 1."""
    entry = entry_of(belief)
    entry["curve"] = {k: v if k == "kinds" else float(f"{v:.4g}") for k, v in entry["curve"].items()}
    kinds = [float(f"{value:.4f}") for value in entry["curve"]["kinds"][1:]]
    entry["curve"]["kinds"] = [round(1.0 - sum(kinds), 4), *kinds]
    entry["noise"] = {k: float(f"{v:.4g}") for k, v in entry["noise"].items()}
    return parse_beliefs("learnt", dict.fromkeys(GROUPS, entry))[GROUPS[0]]


def entry_of(belief: Belief) -> dict[str, dict[str, object]]:
    """As in the file."""
    noise = asdict(belief.noise)
    noise.pop("count")
    return {"curve": asdict(belief.curve), "noise": noise}


def foresee(known: Sequence[Known], beliefs: Beliefs, data_set: str) -> list[Score]:
    """Scores of the forecasts of a data set's curves under these beliefs."""
    before = posterior.read_beliefs
    posterior.read_beliefs = lambda: beliefs  # type: ignore[assignment]
    try:
        return [score_ours(item.curve) for item in known if item.data_set == data_set]
    finally:
        posterior.read_beliefs = before  # type: ignore[assignment]


def means(scores: Sequence[Score]) -> dict[str, float]:
    """Means over curves, with four significant digits."""
    return {name: float(f"{np.mean([getattr(score, name) for score in scores]):.4g}") for name in SCORES}


Figures = dict[str, dict[str, float]]


def holds(before: Figures, after: Figures) -> float:
    """Mean ln(CRPS) after over before; infinite where a data set is clearly worse, or the log density falls."""
    ratio = np.array([np.log(after[name]["crps"] / before[name]["crps"]) for name in before])
    density = np.array([after[name]["density"] - before[name]["density"] for name in before])
    fine = ratio.mean() <= -LEAST_GAIN and ratio.max() <= MOST_LOSS and density.mean() >= 0.0
    return float(ratio.mean()) if fine else float("inf")


def judge(known: Sequence[Known], start: Beliefs, group: str) -> tuple[float, Belief, dict[str, Figures]]:
    """The strength that holds on data sets left out (0: none does), the belief, and the figures at each strength."""
    names = list(dict.fromkeys(item.data_set for item in known if item.group == group))
    before = {name: means(foresee(known, start, name)) for name in names}
    tried, beliefs = {"start": before}, {0.0: start[group]}
    for strength in STRENGTHS:
        beliefs[strength] = learn(known, start, group, strength)
        inside = {name: means(foresee(known, start | {group: beliefs[strength]}, name)) for name in names}
        left_out = {
            name: means(foresee(known, start | {group: learn(known, start, group, strength, name)}, name))
            for name in names
        }
        tried |= {f"strength {strength:g}, in sample": inside, f"strength {strength:g}, left out": left_out}
        show(f"{group}, strength {strength:g}", before, inside, left_out)
    gains = {strength: holds(before, tried[f"strength {strength:g}, left out"]) for strength in STRENGTHS}
    best = min(gains, key=lambda strength: gains[strength])
    chosen = best if np.isfinite(gains[best]) else 0.0
    print(f"{group}: strength {chosen:g}{'' if chosen else ', nothing is better on data sets left out'}", flush=True)
    return chosen, beliefs[chosen], tried


def show(title: str, before: Figures, *columns: Figures) -> None:
    """Print figures beside those of the start."""
    print(
        f"{title} ({time.perf_counter() - BEGAN:.0f} s): RMSLE, CRPS, log density; each at start, in sample, left out"
    )
    for name, first in before.items():
        cells = (
            "".join(f"{row[key]:9.4f}" for row in (first, *(column[name] for column in columns))) for key in SCORES
        )
        print(f"    {name:24s}", "   ".join(cells), flush=True)


def without(known: Sequence[Known], start: Beliefs, left_out: str) -> None:
    """Print what would be learnt without a data set, and how well it is foreseen so."""
    group = next(item.group for item in known if item.data_set == left_out)
    before = {left_out: means(foresee(known, start, left_out))}
    for strength in STRENGTHS:
        full, learnt = learn(known, start, group, strength), learn(known, start, group, strength, left_out)
        print(f"{group}, strength {strength:g}, without {left_out}:", json.dumps(entry_of(learnt)))
        told = [{left_out: means(foresee(known, start | {group: belief}, left_out))} for belief in (full, learnt)]
        show(f"strength {strength:g}", before, *told)


def main() -> None:
    """Learn, print, and write if asked to."""
    parser = argparse.ArgumentParser(description="Learn the prior of the forecasts.")
    parser.add_argument("--leave-out", metavar="SOURCE", help="a data set: print what is learnt without it")
    parser.add_argument("--write", action="store_true", help="write laws/curve/prior.json")
    asked = parser.parse_args()
    if not PLACE.is_dir():
        parser.error(f"the published curves are not at {PLACE}: set RECONSCALE_SHARED")
    listed, record = read_curves(), read_prior()
    start = parse_beliefs("start", record["start"])
    names = list(dict.fromkeys(data_set for _, data_set, _ in listed))
    if asked.leave_out and asked.write:
        parser.error("--leave-out only prints: what is written is learnt from all data sets")
    if asked.leave_out and asked.leave_out not in names:
        parser.error(f"there is no data set '{asked.leave_out}'; there are: {', '.join(names)}")
    if asked.leave_out:
        groups = {group for group, data_set, _ in listed if data_set == asked.leave_out}
        listed = [item for item in listed if item[0] in groups]
    known: list[Known] = []
    for group, data_set, curve in listed:
        if not known or known[-1].data_set != data_set:
            print(
                f"drawing {data_set}: {len(known)} of {len(listed)} curves, {time.perf_counter() - BEGAN:.0f} s",
                flush=True,
            )
        known.append(Known(group, data_set, curve, draw_whole(curve, broadened(start[group]))))
    if asked.leave_out:
        without(known, start, asked.leave_out)
        return
    learnt, strength, figures = dict(start), {}, {}
    for group in GROUPS:
        strength[group], learnt[group], figures[group] = judge(known, learnt, group)
    made = {
        "version": VERSION,
        "command": COMMAND,
        "curves": {name: sum(item.data_set == name for item in known) for name in names},
        "strength": strength,
        "start": {name: entry_of(belief) for name, belief in start.items()},
        "beliefs": {name: entry_of(belief) for name, belief in learnt.items()},
        "figures": figures,
    }
    if asked.write:
        place = Path(reconscale.laws.curve.__path__[0]) / "prior.json"
        place.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        print("wrote", place)


BEGAN = time.perf_counter()

if __name__ == "__main__":
    main()
