"""What `plan` predicts, and what it really takes: hours and memory of the repository's studies.

Every study is run here in a small form: its smallest and largest n at each of its widths, one seed, and this many
steps that a run takes about `--seconds`. What stays is what makes prediction hard: its networks, its images, its looks
at the validation set and its tests. The same code predicts the whole study.

    python benchmarks/plan.py --data DATA                # DATA as the studies' READMEs say
    python benchmarks/plan.py studies/tomography-deadleaves --seconds 60       # a procedural one: needs no data
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.results import Folder
from reconscale.study import Study, load_study, runs_of
from reconscale.training import ExecutionConfig, plan, run

STUDIES = Path(__file__).resolve().parent.parent / "studies"


def main() -> None:
    """Parse the flags, run each study, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, nargs="*", help="study files or folders; none: all of the repository")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seconds", type=float, default=40.0, help="of a run, about")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    flags = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = flags.study or sorted(p for p in STUDIES.rglob("study.toml") if (p.parent / "runs").is_dir())
    found = []
    print(f"{'study':38}{'runs':>5}{'side by side':>14}{'predicted':>11}{'measured':>10}{'ratio':>7}"
          f"{'memory':>9}{'measured':>10}{'ratio':>7}")  # fmt: skip
    for path in paths:
        try:
            found.append(compared(path, flags))
        except UserError as mistake:
            print(f"{name_of(path):38} left out: {mistake}")
    if found:
        errors = [abs(row["predicted"] / row["measured"] - 1) for row in found]
        print(f"\nerror of the time: median {statistics.median(errors):.0%}, largest {max(errors):.0%}")
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=2) + "\n")


def name_of(path: Path) -> str:
    """Of a study, for the table."""
    place = (path if path.is_dir() else path.parent).resolve()
    return str(place.relative_to(STUDIES)) if place.is_relative_to(STUDIES) else place.name


def compared(path: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Predict, run, compare and print one study."""
    where = ExecutionConfig(data=flags.data, workers=flags.workers)
    with tempfile.TemporaryDirectory(prefix="plan-") as home:
        first = plan(small(load_study(path), 1.0), Folder(Path(home) / "first" / "runs"), where)
        longest = statistics.fmean(cell.seconds or 0.0 for cell in first.cells)
        study = small(load_study(path), min(1.0, flags.seconds / longest))
        folder = Folder(Path(home) / "runs")
        made = plan(study, folder, where)
        began = [0.0]

        def tell(event: dict[str, Any]) -> None:
            if event["event"] == "plan":
                began[0] = time.monotonic()

        run(study, folder, where, tell=tell, keep_going=True)
        measured = time.monotonic() - began[0]
        results = folder.results(runs_of(study), images=False)
    memory = sum(sorted((result.memory for result in results), reverse=True)[: made.workers])
    row = {"study": name_of(path), "runs": len(results), "workers": made.workers, "predicted": made.seconds,
           "measured": measured, "memory": made.memory, "memory measured": memory}  # fmt: skip
    print(f"{row['study']:38}{row['runs']:5}{row['workers']:14}{row['predicted'] / 60:7.1f} min{measured / 60:6.1f} min"
          f"{row['predicted'] / measured:7.2f}{row['memory'] / 1e9:6.1f} GB{memory / 1e9:7.1f} GB"
          f"{row['memory'] / memory:7.2f}", flush=True)  # fmt: skip
    return row


def small(study: Study, share: float) -> Study:
    """The smallest and the largest n of a study, its first seed, and a share of its steps."""
    sweep = study.sweep.model_copy(update={
        "n": tuple(sorted({min(study.sweep.n), max(study.sweep.n)})), "seed": study.sweep.seed[:1],
    })  # fmt: skip
    recipe = study.recipe.model_copy(update={"steps": max(20, round(share * study.recipe.steps))})
    return study.model_copy(update={"sweep": sweep, "recipe": recipe})


if __name__ == "__main__":
    main()
