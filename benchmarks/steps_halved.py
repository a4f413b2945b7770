"""Would the verdict have been another with half the steps? For every study that was trained out.

    python benchmarks/steps_halved.py

Each run of the policy ``converge`` has a result at every doubling of its steps, and its last doubling is what twice the
budget gave. So the curve of the branch before is the study with half the steps of every run. Both curves are of the
PSNR on the validation images, as test images are measured at the end alone. Nothing is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reconscale.laws import METRICS, infer
from reconscale.laws.decisions.decide import Decision, Gain
from reconscale.results import Folder, Result
from reconscale.results.measurements import points_of_branches
from reconscale.study import PROFILES, load_study, runs_of

STUDIES = Path(__file__).resolve().parent.parent / "studies"
COLUMNS = (
    "study",
    "runs",
    "twice n: half the steps",
    "all steps",
    "twice p: half",
    "all",
    "verdict: half",
    "all",
    "same",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=Path, default=STUDIES, help="folder that holds the studies")
    given = parser.parse_args()
    print("\n".join("| " + " | ".join(row) + " |" for row in (COLUMNS, ["---"] * len(COLUMNS))))
    for path in sorted(given.studies.rglob("study.toml")):
        study = load_study(path)
        done = [result for result in Folder.beside(path).results(runs_of(study)) if result.status == "done"]
        if len({result.run.n for result in done}) < 3 or not all(len(result.branches) > 1 for result in done):
            continue
        worthwhile = study.analysis.worthwhile if METRICS[PROFILES[study.analysis.profile].kind].unit == "dB" else None
        half, whole = (decided(done, back, worthwhile) for back in (2, 1))
        same = "yes" if half.verdict == whole.verdict else "no"
        cells = [str(path.parent.relative_to(given.studies)), str(len(done)), *gains(half, whole), half.verdict,
                 whole.verdict, same]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def decided(done: Sequence[Result], back: int, worthwhile: float | None) -> Decision:
    """The verdict on the curve of every run's last branch (1), or of the branch before it (2)."""
    cut = [result.model_copy(update={"branches": (result.branches[-back],)}) for result in done]
    return infer(replace(points_of_branches(cut), steps=None)).decide(worthwhile=worthwhile)


def gains(half: Decision, whole: Decision) -> list[str]:
    """Gain of twice n and of twice p, with half of the steps and with all, with 90 % intervals."""
    return [spelt(gain) for gain in (half.gain_n, whole.gain_n, half.gain_p, whole.gain_p)]


def spelt(gain: Gain | None) -> str:
    """A gain in dB with its 90 % interval."""
    return "" if gain is None else f"{gain.median:.2f} ({gain.low:.2f} to {gain.high:.2f})"


if __name__ == "__main__":
    main()
