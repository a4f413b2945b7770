"""Is the forecast gain of twice the steps right? Held-out doublings of every study that was trained until it converged.

    python benchmarks/steps.py             # errors and intervals, by study
    python benchmarks/steps.py --choose    # the constants, with every study left out in turn (minutes)

Each run of the policy ``converge`` was measured at every doubling of its steps, on validation. For every number of
steps S from the third on, all runs of a study are known up to S, and the gain of the doubling after S is forecast for
those that went on: so does a study look whose limit is S. The last doubling alone is shown as well, but there the
choice tells the answer: a run ends because its last doubling gained little. Nothing is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.steps.endings import PRIOR as ENDING
from reconscale.laws.steps.law import END_PRIOR, infer_steps
from reconscale.laws.steps.rates import PRIOR as RATE
from reconscale.results import Folder, Result
from reconscale.results.measurements import points_of_branches
from reconscale.study import load_study, runs_of

STUDIES = Path(__file__).resolve().parent.parent / "studies"
LEAST = 3
"""Numbers of steps that a run is known at before its next doubling is forecast."""
WORTHWHILE = 0.1
"""dB, of which the chance is stated."""
ROUNDING = 1e-3
"""dB: what is forecast to gain nothing and gains nothing is inside."""
PER_DB = float(np.log(10.0) / 10.0)
COLUMNS = (
    "study", "doublings", "gain", "no gain", "again", "halved", "forecast", "CRPS", "90 % holds", "width", "Brier",
)  # fmt: skip
CHANCES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.01)
Priors = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """A doubling that was held out.

    Attributes:
        gain: that was measured, dB.
        last: gain of the doubling before, dB.
        forecast: (D,) draws, dB.
        limited: whether the run had as many doublings as it was allowed.
    """

    gain: float
    last: float
    forecast: Floats
    limited: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, default=STUDIES, help="folder that holds the studies")
    parser.add_argument("--choose", action="store_true", help="try other constants, leaving one study out in turn")
    given = parser.parse_args()
    studies = dict(read_studies(given.studies))
    if given.choose:
        choose(studies)
        return
    held = {name: held_out(done, {}) for name, done in studies.items()}
    print("Every doubling, known up to the steps before it (dB; errors are means of absolute values)")
    every = [item for items in held.values() for item in items]
    print_rows([*held.items(), ("all", every)])
    print_chances(every)
    last = [item for done in studies.values() for item in held_out(done, {}, last=True)]
    print("\nThe last doubling of every run, each known up to the one before it")
    limited, ended = ([h for h in last if h.limited is kind] for kind in (True, False))
    print_rows([("runs at their limit", limited), ("runs that ended by themselves", ended)])


def read_studies(root: Path) -> Iterator[tuple[str, list[Result]]]:
    """The studies whose runs have branches enough."""
    for path in sorted(root.rglob("study.toml")):
        done = [r for r in Folder.beside(path).results(runs_of(load_study(path))) if r.status == "done"]
        if sum(len(r.branches) > LEAST for r in done) > 1:
            yield str(path.parent.relative_to(root)), done


def held_out(done: Sequence[Result], priors: Priors, *, last: bool = False) -> list[Held]:
    """The doublings of a study's runs that can be held out, with their forecasts."""
    if last:
        return _forecast(done, {r.run.id: len(r.branches) - 1 for r in done if len(r.branches) > LEAST}, priors)
    steps = sorted({branch.steps for r in done for branch in r.branches})
    found = []
    for most in steps[LEAST - 1 : -1]:
        known = {r.run.id: sum(branch.steps <= most for branch in r.branches) for r in done}
        found += _forecast(done, known, priors)
    return found


def _forecast(done: Sequence[Result], known: dict[str, int], priors: Priors) -> list[Held]:
    cut = [r.model_copy(update={"branches": r.branches[: known[r.run.id]]}) for r in done if known.get(r.run.id)]
    cut = sorted((r for r in cut if len(r.branches) > 1), key=lambda r: (r.run.n, r.p, r.run.network.width, r.run.seed))
    whole = {r.run.id: r for r in done}
    wanted = [k for k, r in enumerate(cut) if len(whole[r.run.id].branches) > len(r.branches) >= LEAST]
    if not wanted:
        return []
    law = infer_steps(points_of_branches(cut), **priors)
    assert law is not None and len(law.known) == len(cut)
    drawn = law.next_falls(np.array(wanted)) / PER_DB
    found = []
    for column, k in enumerate(wanted):
        r, psnr = whole[cut[k].run.id], [branch.psnr for branch in whole[cut[k].run.id].branches]
        here = len(cut[k].branches)
        limited = len(psnr) > r.run.recipe.doublings
        found.append(Held(psnr[here] - psnr[here - 1], psnr[here - 1] - psnr[here - 2], drawn[:, column], limited))
    return found


def crps(held: Held) -> float:
    """Continuous ranked probability score of a forecast, dB (Gneiting and Raftery 2007)."""
    drawn, many = np.sort(held.forecast), len(held.forecast)
    spread = float(((2 * np.arange(1, many + 1) - many - 1) * drawn).sum()) / many**2
    return float(np.abs(drawn - held.gain).mean()) - spread


def chance_of(held: Held) -> float:
    """That the gain is worthwhile."""
    return float((held.forecast > WORTHWHILE).mean())


def print_rows(rows: Sequence[tuple[str, list[Held]]]) -> None:
    """One row a study."""
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, held in rows:
        gain, last = np.array([h.gain for h in held]), np.array([h.last for h in held])
        low, middle, high = np.array([np.quantile(h.forecast, [0.05, 0.5, 0.95]) for h in held]).T
        inside = (gain >= low - ROUNDING) & (gain <= high + ROUNDING)
        errors = [gain, gain - last, gain - last / 2, gain - middle]
        brier = np.mean([(chance_of(h) - (h.gain > WORTHWHILE)) ** 2 for h in held])
        numbers = [gain.mean(), *(np.abs(error).mean() for error in errors), np.mean([crps(h) for h in held])]
        cells = [f"{value:.3f}" for value in numbers]
        cells += [f"{100 * inside.mean():.0f} %", f"{(high - low).mean():.2f}", f"{brier:.3f}"]
        print(f"| {name} | {len(held)} | {' | '.join(cells)} |")


def print_chances(held: Sequence[Held]) -> None:
    """How often a gain of more than what is worthwhile came true, by the chance that was stated."""
    stated, happened = np.array([chance_of(h) for h in held]), np.array([h.gain > WORTHWHILE for h in held])
    print(f"\nchance of more than {WORTHWHILE:g} dB: stated, happened, of how many")
    for low, high in pairwise(CHANCES):
        there = (stated >= low) & (stated < high)
        if there.any():
            print(f"  {100 * stated[there].mean():3.0f} %  {100 * happened[there].mean():3.0f} %  {there.sum()}")


def choose(studies: dict[str, list[Result]]) -> None:
    """Each constant a quarter smaller and larger: the score with all studies, and with each family left out in turn."""
    table = []
    for label, priors in candidates():
        scores = [relative_score(held_out(done, priors)) for done in studies.values()]
        table.append(scores)
        print(f"{np.mean(scores):.4f}  {label}", flush=True)
    scores, family = np.array(table), np.array([name.partition("/")[0] for name in studies])
    left = np.concatenate(
        [scores[scores[:, family != one].mean(1).argmin(), family == one] for one in dict.fromkeys(family)]
    )
    print(f"as they are {scores[0].mean():.4f}, best of all {scores.mean(1).min():.4f}, chosen on the other studies "
          f"{left.mean():.4f} (CRPS as a part of the mean gain, mean over studies)")  # fmt: skip


def relative_score(held: Sequence[Held]) -> float:
    """CRPS as a part of the mean gain."""
    return float(np.mean([crps(h) for h in held]) / np.mean([h.gain for h in held]))


def candidates() -> Iterator[tuple[str, Priors]]:
    """The constants as they are, and with one of them changed."""
    yield "as they are", {}
    for key, prior in (("rate", RATE), ("ending", ENDING), ("end", END_PRIOR)):
        for item in fields(prior):
            for factor in (0.75, 1.33):
                value = factor * getattr(prior, item.name)
                yield f"{key}.{item.name} = {value:.3g}", {key: replace(prior, **{item.name: value})}


if __name__ == "__main__":
    main()
