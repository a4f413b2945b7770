"""Ten thousand runs: what `status`, `decide` and `report` take, and what driving a sweep on 256 slots takes.

Results are drawn here (a power law of n and p with a floor, and noise), and written by the package's own writer into a
temporary folder that is deleted in the end. Every command is a fresh process on a quiet machine; what is printed is the
time on the clock, that of processors, and the largest memory.

    python benchmarks/growth.py results                      # 10,000 runs: about 5 minutes, 200 MB of disk
    python benchmarks/growth.py results --runs 1000 --policy converge
    python benchmarks/growth.py slots                        # 10,000 runs that sleep, on 256 slots
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reconscale.results import Folder, Result
from reconscale.results.result import Branch, Validation
from reconscale.study import Run, load_study, runs_of
from reconscale.study.toml_text import write_toml

GOALS = {"status": 3.0, "decide": 5.0, "report": 15.0}
"""Seconds on the clock, of 10,000 runs."""
LINE = "{:<22}{:>10}{:>14}{:>12}{:>12}{:>14}"
SIZES, WIDTHS = 20, 10
TEST, VAL = 48, 24


def main() -> None:
    """Parse the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("results", "slots"), nargs="?", default="results")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--policy", choices=("fast", "converge"), default="fast")
    parser.add_argument("--folder", type=Path, help="where the study is kept [default: a temporary folder]")
    parser.add_argument("--slots", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=60.0, help="slots: how long a run sleeps, on average")
    parser.add_argument("--orders", nargs="*", default=["fixed", "chosen"], help="slots: of the runs")
    parser.add_argument("--verbs", nargs="*", default=list(GOALS), help="results: what is timed")
    flags = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory(prefix="growth-") as place:
        root = flags.folder or Path(place)
        if flags.what == "slots":
            from growth_slots import drive

            drive(root, flags.runs, flags.slots, flags.seconds, flags.orders)
        else:
            measure(root, flags.runs, flags.policy, flags.verbs)


def measure(root: Path, count: int, policy: str, verbs: Sequence[str]) -> None:
    """Write a study where there is none, and time the commands: the first time, and again."""
    began = time.perf_counter()
    path = write_study(root, count, policy)
    runs = sum(1 for _ in path.parent.glob("runs/*/result.json"))
    print(f"{runs:,} results written in {time.perf_counter() - began:.0f} s")
    print(LINE.format("command", "seconds", "processor s", "memory MB", "goal s", "page MB"))
    for label in ("", "again"):
        for verb in verbs:
            took, busy, memory = timed(verb, path)
            page = path.parent / "report" / "report.html"
            size = f"{page.stat().st_size / 1e6:.1f}" if verb == "report" else ""
            cells = (f"{took:.1f}", f"{busy:.1f}", f"{memory / 1e6:.0f}", f"{GOALS[verb]:.0f}", size)
            print(LINE.format(f"{verb} {label}".strip(), *cells))


def timed(verb: str, path: Path) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of processors, and bytes at most, of a command in a process of its own."""
    began = time.perf_counter()
    with (path.parent / f"{verb}.txt").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "reconscale", verb, str(path)], stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit((path.parent / f"{verb}.txt").read_text(errors="replace"))
    scale = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, float(used.ru_maxrss * scale)


def write_study(root: Path, count: int, policy: str) -> Path:
    """The path of a study file with about ``count`` runs, all of them with results; an existing one is kept."""
    path = root / "study.toml"
    if path.is_file():
        return path
    root.mkdir(parents=True, exist_ok=True)
    path.write_text(study_text(count, policy))
    study = load_study(path)
    folder = Folder.beside(path)
    with without_flushing():
        for run in runs_of(study):
            draw_result(run).write(folder.of(run))
    return path


def study_text(count: int, policy: str) -> str:
    """A study file with a grid of 20 sizes, 10 widths and as many seeds as it takes."""
    sizes = np.unique(np.geomspace(10, 100_000, SIZES).round()).astype(int).tolist()
    widths = [8, 12, 16, 24, 32, 48, 64, 96, 128, 160]
    seeds = max(1, round(count / (len(sizes) * len(widths))))
    if seeds == 1 and count < len(sizes) * len(widths):
        widths = widths[: max(1, count // len(sizes))]
    return write_toml(
        {
            "version": 2,
            "name": "growth",
            "problem": {"kind": "denoising", "sigma": 25.0},
            "images": {"source": "folder", "patch": 64, "val": VAL, "test": TEST},
            "network": {"family": "unet"},
            "sweep": {"n": sizes, "width": widths, "seed": list(range(seeds))},
            "recipe": {"policy": policy} | ({} if policy == "converge" else {"steps": 4000}),
        },
        "drawn by benchmarks/growth.py",
    )


class without_flushing:  # noqa: N801 - reads as a word
    """The disk need not have what is deleted in a few minutes."""

    def __enter__(self) -> None:
        self.flush = os.fsync
        os.fsync = lambda _: None  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        os.fsync = self.flush


def draw_result(run: Run) -> Result:
    """What such a run might have given."""
    rng = np.random.default_rng([run.n, run.network.width, run.seed])
    p = 7574 * run.network.width**2 // 16 + 10 * run.network.width + 1
    level = 0.0009 + 0.0011 * (run.n / 10) ** -0.45 + 0.0004 * (p / 1e5) ** -0.5
    level *= float(np.exp(rng.normal(0, 0.006)))
    images = {}
    for name, many, harder in (("test", TEST, 1.0), ("val", VAL, 1.05)):
        hard = harder * np.linspace(0.6, 1.4, many) * np.exp(rng.normal(0, 0.002, many))
        images[name] = {f"folder/photo-{i:03}.png": _metrics(level * h) for i, h in enumerate(hard.tolist())}
    means = {
        name: {key: float(np.mean([values[key] for values in of_set.values()])) for key in _metrics(0.1)}
        for name, of_set in images.items()
    }
    best = means["val"]["psnr-rgb-clip"]
    steps = run.recipe.steps if run.recipe.steps_are_fixed else 4916
    seconds = 40 * (run.network.width / 8) ** 1.5 * rng.uniform(0.95, 1.05)
    return Result(
        status="done", run=run, p=p, flops=2.0 * p, steps=steps, samples=steps * run.recipe.batch, best_step=steps,
        validation=_looks(steps, run.recipe.batch, best, rng), metrics=means, images=images,
        branches=_branches(best, rng) if run.recipe.policy == "converge" else (),
        provenance={
            "cpu": "AVX512", "device": "cpu", "hardware": "x86_64", "images": "0470c4d28162aaec" * 4,
            "precision": "bf16+channels_last", "python": "3.11.7", "threads": 1,
            "versions": {"deepinv": "0.5.0", "numpy": "2.4.6", "reconscale": "0.1.0", "torch": "2.15.0"},
        },
        times={"train": float(seconds), "validation": 4.0, "test": 2.0, "data": 1.0, "process": float(seconds) + 9.0},
        memory=8.3e8,
    )  # fmt: skip


def _metrics(mse: float) -> dict[str, float]:
    psnr = float(-10 * np.log10(mse))
    return {"mse": float(mse), "psnr-rgb-clip": psnr, "psnr-y": psnr + 1.2, "ssim-uniform7": 1 - 40 * float(mse)}


def _looks(steps: int, batch: int, best: float, rng: np.random.Generator) -> tuple[Validation, ...]:
    found = []
    for step in range(0, steps + 1, steps // 20):
        psnr = float(best - 9 * np.exp(-step / (0.12 * steps)) + rng.normal(0, 0.02))
        found.append(Validation(step=step, samples=step * batch, lr=0.02, mse=10 ** (-psnr / 10), psnr=psnr))
    return tuple(found)


def _branches(best: float, rng: np.random.Generator) -> tuple[Branch, ...]:
    gains = [None, 2.6, 0.9, 0.58, 0.42, 0.3, 0.1, 0.02]
    found, psnr = [], best - sum(gain for gain in gains if gain)
    for index, gain in enumerate(gains):
        trunk, more = 32 * 2**index, 0.0 if gain is None else gain
        psnr += more
        steps = round(1.2 * trunk)
        error = float(rng.uniform(0.005, 0.02)) if index == len(gains) - 1 else None
        found.append(Branch(trunk=trunk, steps=steps, best_step=steps, psnr=psnr, gain=gain, gain_error=error))
    return tuple(found)


if __name__ == "__main__":
    main()
