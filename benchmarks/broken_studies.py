"""Broken studies: what the statistics alone would say, and what is said instead.

    python benchmarks/broken_studies.py                     # minutes on one core
    python benchmarks/broken_studies.py "too few steps"     # some of them

Every row is a small study with one fault that people make, trained for real: denoising of 48 x 48 dead leaves at
sigma 50, residual networks, n from 4 to 108. The verdict of the statistics alone knows the curve and nothing else; the
one that is given knows the runs, and the input and classical methods on the same images. The first row has no fault.
Faults of the measurement (another sigma, another range) are planted on the networks of the first row; a table of
points from elsewhere has no runs and no classical methods to compare with.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from reconscale.data import open_images
from reconscale.errors import UserError
from reconscale.laws import Decision, Points, decide, select_width
from reconscale.physics import problem_of
from reconscale.report.run_tables import baseline_findings
from reconscale.report.study_analysis import analyse_study
from reconscale.results import Folder, Result
from reconscale.results.measurements import load_points
from reconscale.study import Study, runs_of
from reconscale.study.problems import PROBLEMS
from reconscale.study.study_file import parse_study
from reconscale.training.apply import load_trained
from reconscale.training.evaluate import means, score
from reconscale.training.placement import ExecutionConfig
from reconscale.training.sweep import run

SIGMA, PROFILE = 50, "psnr-rgb-clip"
SOUND: dict[str, Any] = {
    "version": 2,
    "problem": {"kind": "denoising", "sigma": SIGMA},
    "images": {
        "source": "deadleaves", "channels": "gray", "size": 48, "total": 160, "patch": 32, "val": 8, "test": 16
    },
    "network": {"family": "resnet", "depth": 2},
    "sweep": {"n": [4, 12, 36, 108], "width": [4, 8, 16], "seed": [0, 1]},
    "recipe": {"policy": "fast", "steps": 200, "batch": 8},
}  # fmt: skip
"""A study that is trained well enough to be above its classical methods from some n on."""


@dataclass(frozen=True)
class Told:
    """What is said of one study.

    Attributes:
        alone: the verdict on the curve alone; empty where there is no curve.
        verdict: the one that is given; ``refused`` where nothing is trained.
        first: what is to be done first, or the sentence of a refusal.
        codes: findings that are more than notes.
    """

    alone: str
    verdict: str
    first: str
    codes: tuple[str, ...] = ()


def told_by(answer: Decision, first: str = "") -> Told:
    """The same of a decision."""
    codes = tuple(item.code for item in answer.findings if item.severity != "note")
    return Told(answer.curve_verdict, answer.verdict, first or answer.first_step, codes)


class Bench:
    """Where studies are trained, and the one without a fault, trained when it is first needed.

    Args:
        root: the folder of all studies.
        base: the study without a fault; a test has a smaller one.
    """

    def __init__(self, root: Path, base: dict[str, Any] = SOUND) -> None:
        self.root, self.base = root, base

    def trained(self, name: str, **changes: dict[str, Any]) -> tuple[Study, Folder]:
        """The sound study with tables changed, trained by one worker.

        Raises:
            UserError: the study is refused.
        """
        name = name.replace(" ", "-")
        tables = {
            key: {**self.base.get(key, {}), **changes.get(key, {})} for key in {*self.base, *changes} - {"version"}
        }
        study = parse_study({"version": 2, "name": name, **tables})
        folder = Folder(self.root / name)
        run(study, folder, ExecutionConfig(data=self.root, device="cpu", workers=1), probe=False)
        return study, folder

    def judged(self, name: str, **changes: dict[str, Any]) -> Told:
        """What is said of such a study."""
        try:
            study, folder = self.trained(name, **changes)
        except UserError as refusal:
            return Told("", "refused", str(refusal))
        known = analyse_study(study, folder)
        return Told("", known.verdict, known.sentence) if known.answer is None else told_by(known.answer.decision)

    @cached_property
    def sound(self) -> tuple[Study, Folder]:
        """The study without a fault."""
        return self.trained("sound")

    def measured(self, change: Callable[[Any], Callable[[Any], Any]], trained: tuple[Study, Folder]) -> Told:
        """What is said where the networks of ``trained`` are changed and then measured at the sound study's sigma."""
        study, folder = trained
        images = open_images(study.images)
        known = PROBLEMS["denoising"]
        problem = problem_of(known(kind="denoising", sigma=SIGMA), torch.device("cpu"), 0)
        points = load_points(study, folder)
        with torch.inference_mode():
            networks = [change(load_trained(folder.of(result.run)).network) for result in done(study, folder)]
            y = [means(score(network, problem, images.tests["test"]))[PROFILE] for network in networks]
            anchors = problem.anchors(images.val).items()
            lines = [
                (kind, anchor.label, means(score(anchor.reconstruct, problem, images.tests["test"]))[PROFILE])
                for kind, anchor in anchors
            ]
        points = replace(points, y=np.array(y), images=None)
        return told_by(decide(replace(points, findings=baseline_findings(select_width(points), lines))))


def done(study: Study, folder: Folder) -> list[Result]:
    """The results of a study that are done."""
    return [result for result in folder.results(runs_of(study)) if result.status == "done"]


def no_fault(bench: Bench) -> Told:
    """All as it should be."""
    study, folder = bench.sound
    known = analyse_study(study, folder)
    assert known.answer is not None
    return told_by(known.answer.decision)


def too_few_steps(bench: Bench) -> Told:
    """Eight steps instead of 200."""
    return bench.judged("few", recipe={"steps": 8})


def rate_too_high(bench: Bench) -> Told:
    """Adam at a rate of 0.3."""
    return bench.judged("rate", recipe={"policy": "budget", "optimizer": "adam", "lr": 0.3})


def wrong_sigma(bench: Bench) -> Told:
    """Trained at sigma 10 and measured at 50."""
    return bench.measured(lambda network: network, bench.trained("sigma", problem={"sigma": 10}))


def wrong_range(bench: Bench) -> Told:
    """Trained on values from 0 to 1, and given values from -1 to 1."""
    return bench.measured(lambda network: lambda y: (network(2.0 * y - 1.0) + 1.0) / 2.0, bench.sound)


def picked_seeds(bench: Bench) -> Told:
    """Widths that are nearly the same, of which the largest shows its best seed of three and the others their worst."""
    study, folder = bench.trained("picked", sweep={"width": [7, 8, 9], "seed": [0, 1, 2]}, recipe={"steps": 40})
    points = load_points(study, folder)
    assert points.width is not None
    keep = np.zeros(len(points), dtype=bool)
    for n in points.sizes:
        for width in (7, 8, 9):
            rows = np.flatnonzero((points.n == n) & (points.width == width))
            keep[rows[points.y[rows].argmax() if width == 9 else points.y[rows].argmin()]] = True
    return told_by(decide(replace(points.rows(keep), images=None)))


def edge_of_widths(bench: Bench) -> Told:
    """Two widths, of which the larger one is better: nobody looked beyond."""
    return bench.judged("edge", sweep={"width": [4, 8]})


def untrained(bench: Bench) -> Told:
    """A rate at which nothing is learnt, and a last convolution that is not zero at first."""
    return bench.judged("untrained", network={"head": "random"}, recipe={"lr": 1e-6})


def leak(bench: Bench) -> Told:
    """Every test image is a training image."""
    study = parse_study({**bench.base, "name": "leak"})
    images, problem = open_images(study.images), problem_of(study.problem, torch.device("cpu"), 0)
    for folder, count in (("leak-train", 40), ("leak-test", 8)):
        (bench.root / folder).mkdir(exist_ok=True)
        for index in range(count):
            x = problem.fixed(images.train, index, None, 0).x[0, 0]
            pixels = np.rint(255.0 * np.asarray(x)).astype(np.uint8)
            Image.fromarray(pixels).save(bench.root / folder / f"{index}.png")
    source = {"source": "folder", "folders": ["leak-train"], "test": 0, "test_sets": {"held": "leak-test"}}
    return bench.judged("leak", images={**source, "val": 4}, sweep={"n": [4, 12, 36]})


def not_converged(bench: Bench) -> Told:
    """Doublings of the steps end long before they stop to help."""
    recipe = {"policy": "converge", "steps": 16, "doublings": 2, "tolerance": 0.03}
    return bench.judged("converge", recipe=recipe)


def mixed_budgets(bench: Bench) -> Told:
    """A table whose smaller n are from the runs of eight steps; it says the steps of every row."""
    short, sound = (load_points(*bench.trained("few", recipe={"steps": 8})), load_points(*bench.sound))
    largest = sound.n.max()
    rows = [short.rows(short.n < largest), sound.rows(sound.n == largest)]
    columns = ("n", "y", "seed", "p", "width", "validation", "steps")
    joined = {name: np.concatenate([getattr(part, name) for part in rows]) for name in columns}
    return told_by(decide(Points(**joined, metric="psnr", profile=PROFILE)))


def error_rises(bench: Bench) -> Told:
    """The same number of passes was meant, and the rule was turned round: many images get few steps."""
    rules = [{"n": [36, 36], "recipe": {"steps": 40}}, {"n": [108, 108], "recipe": {"steps": 12}}]
    study = {**bench.base, "name": "rises", "override": rules}
    made, folder = parse_study(study), Folder(bench.root / "rises")
    run(made, folder, ExecutionConfig(device="cpu", workers=1), probe=False)
    known = analyse_study(made, folder)
    assert known.answer is not None
    return told_by(known.answer.decision)


FAULTS: dict[str, Callable[[Bench], Told]] = {
    "none": no_fault,
    "too few steps": too_few_steps,
    "rate too high": rate_too_high,
    "wrong sigma": wrong_sigma,
    "wrong range of values": wrong_range,
    "picked seeds": picked_seeds,
    "edge of the widths": edge_of_widths,
    "untrained networks": untrained,
    "test images in training": leak,
    "not converged": not_converged,
    "two budgets in a table": mixed_budgets,
    "error rises with n": error_rises,
}
"""Fault -> what is said."""


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help=f"of: {', '.join(FAULTS)} [default: all]")
    parser.add_argument("--folder", type=Path, help="where studies stay, and are found again [default: nowhere]")
    given = parser.parse_args()
    chosen = given.faults or list(FAULTS)
    torch.set_num_threads(1)
    print("| fault | statistics alone | verdict | first step | findings | s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as nowhere:
        bench = Bench(given.folder or Path(nowhere))
        for name in chosen:
            began = time.perf_counter()
            told = FAULTS[name](bench)
            spent = f"{time.perf_counter() - began:.0f}"
            cells = (name, told.alone or "none", told.verdict, told.first, ", ".join(told.codes), spent)
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
