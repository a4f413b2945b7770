"""What a run costs besides its training, and the built-in study beside the same training through ``rs.measure``.

    python benchmarks/measure.py [--seconds 5] [--workers 2]

The first table: seconds of a run beyond those of the function (a sleep of known length), in this process, in processes
of their own, and as a command; the median run, and the first one, which waits until workers have loaded torch. The
second: the points of a tiny study of ours, and those that the same training gives when a function calls it: the same
images, subsets and seeds, so that they differ by nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import reconscale as rs

TINY = """
name = "tiny"
[problem]
kind = "denoising"
[images]
source = "deadleaves"
size = 32
total = 24
patch = 16
val = 4
test = 6
[sweep]
n = [2, 4]
width = [2]
seed = [0, 1]
[recipe]
steps = 30
batch = 2
"""
COMMAND = """
name = "sleep"
[command]
run = ["python", "-S", "sleep.py", "{train}", "{folder}"]
[images]
list = "items.txt"
val = 2
test = 4
[sweep]
n = [2, 4]
seed = [0, 1, 2, 3]
"""
SLEEP = """
import sys, time
time.sleep(SECONDS)
open(sys.argv[2] + "/metrics.json", "w").write("30")
"""


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a run")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        overheads(Path(home), args.seconds, args.workers)
        compare(Path(home))


class Clock:
    """Takes the events of runs, and notes how long each one took."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.took: list[float] = []

    def take(self, event: dict[str, object]) -> None:
        """Note when a run begins and ends."""
        run = str(event.get("run", ""))
        if event["event"] == "start":
            self.began[run] = time.perf_counter()
        elif event["event"] == "end":
            self.took.append(time.perf_counter() - self.began[run])


def overheads(home: Path, seconds: float, workers: int) -> None:
    """Seconds of a run beyond those of its training."""

    def train(job: rs.Job) -> dict[str, object]:
        time.sleep(seconds)
        return {"psnr": [30.0 + item / 100 for item in job.test], "validation": 30.0, "p": 100}

    grid = {"n": [2, 4], "seed": 4, "val": 2, "test": 4}
    print(f"{'where':<24} {'overhead, median':>16} {'of the run':>11} {'first run':>10}")
    for name, on in (("in this process", None), (f"{workers} processes", rs.Local(workers=workers))):
        clock = Clock()
        rs.measure(train, 20, folder=home / name, on=on, tell=clock.take, **grid)
        report(name, clock, seconds)
    folder = home / "command"
    folder.mkdir()
    (folder / "study.toml").write_text(COMMAND)
    (folder / "sleep.py").write_text(SLEEP.replace("SECONDS", str(seconds)))
    (folder / "items.txt").write_text("".join(f"{item}\n" for item in range(20)))
    from reconscale.jobs.command_study import run_commands

    clock = Clock()
    run_commands(folder, rs.Local(workers=workers), allowed=True, tell=clock.take)
    report(f"command, {workers} processes", clock, seconds)


def report(name: str, clock: Clock, seconds: float) -> None:
    """One row of the first table."""
    middle = sorted(clock.took)[len(clock.took) // 2] - seconds
    print(f"{name:<24} {middle:>15.3f}s {100 * middle / seconds:>10.1f}% {clock.took[0] - seconds:>9.3f}s", flush=True)


def compare(home: Path) -> None:
    """A tiny study of ours, and the same training called by a function."""
    from reconscale.results import Folder
    from reconscale.study import load_study, runs_of
    from reconscale.training import prepare
    from reconscale.training.worker import Placement, Task, run_task

    path = home / "ours" / "study.toml"
    path.parent.mkdir()
    path.write_text(TINY)
    study = load_study(path)
    rs.run(study, Folder.beside(path), rs.Local(workers=1, device="cpu"), probe=False)
    ours = rs.load_points(study, Folder.beside(path))
    images = prepare(study, rs.Local(device="cpu").resolved())
    runs = {(run.n, run.network.width, run.seed): run for run in runs_of(study)}
    names = sorted(
        name for pixels in (images.training(14, 0), images.sets["val"], images.sets["test"]) for name in pixels.names
    )

    def train(job: rs.Job) -> dict[str, object]:
        run = runs[job.n, job.width, job.seed]
        assert list(images.training(job.n, job.seed).names) == job.train, "other subsets"
        assert list(images.sets["test"].names) == job.test and list(images.sets["val"].names) == job.val
        folder = Folder(job.folder)
        run_task(Task(run, images, folder, Placement()), lambda message: None, lambda: False)
        result = folder.read(run)
        assert result is not None and result.status == "done", result
        profile = study.analysis.profile
        each = {name: values[profile] for name, values in result.images["test"].items()}
        return {"psnr": each, "validation": result.metrics["val"][profile], "p": result.p, "steps": result.steps}

    grid = {"n": [2, 4], "width": [2], "seed": 2, "val": 4, "test": 6, "tell": lambda event: None}
    own = rs.measure(train, names, folder=home / "own", **grid)
    print(f"\n{'n':>4} {'width':>6} {'seed':>5} {'study of ours':>14} {'rs.measure':>12}")
    for row in range(len(ours)):
        cell = (ours.n[row], ours.width[row], ours.seed[row])
        (other,) = (i for i in range(len(own)) if (own.n[i], own.width[i], own.seed[i]) == cell)
        print(f"{cell[0]:>4.0f} {cell[1]:>6} {cell[2]:>5} {ours.y[row]:>14.6f} {own.y[other]:>12.6f}")
    print(f"largest difference {np.abs(np.sort(ours.y) - np.sort(own.y)).max():.2g} dB, the same subsets: yes")


if __name__ == "__main__":
    sys.exit(main())
