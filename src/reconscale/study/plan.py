"""The plan: every run of a study, its status and its estimated cost."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import overload

from reconscale.study.external import ExternalRun, ExternalStudy
from reconscale.study.mixes import mix_words
from reconscale.study.run import Run
from reconscale.study.study_model import Study


@overload
def runs_of(study: Study) -> list[Run]: ...
@overload
def runs_of(study: ExternalStudy) -> list[ExternalRun]: ...
def runs_of(study: Study | ExternalStudy) -> list[Run] | list[ExternalRun]:
    """Every run of the grid: sizes first, then mixes of sources, widths, and seeds; overrides applied."""
    if isinstance(study, ExternalStudy):
        return study.runs()
    runs = []
    for n in study.sweep.n:
        for mix, width in product(study.sweep.mixes[n], study.sweep.width):
            recipe = study.cell_recipe(n, width)
            if recipe is None:
                continue
            runs += [
                Run(problem=study.problem, images=study.images, n=n, network=study.cell_network(width),
                    recipe=recipe, seed=seed, mix=mix)
                for seed in study.cell_seeds(n, width)
            ]  # fmt: skip
    return runs


@dataclass(frozen=True)
class ResourceEstimate:
    """What a run takes.

    Attributes:
        seconds: wall time.
        memory: bytes of a process at its largest; on a GPU those of the card.
    """

    seconds: float
    memory: float


@dataclass(frozen=True)
class Cell:
    """One n and one width of the plan; of several sources one mix, too.

    Attributes:
        n, width: the cell.
        p: parameters of the network.
        flops: of one run of the cell: forward and backward passes over all crops it will see, an upper bound where the
            policy may stop early.
        seconds: estimated wall time of one run, of those that are left the mean; none without a calibration.
        memory: estimated bytes of one run at its largest, or none without a calibration.
        seeds, done, failed: runs in the cell, and how many of them are over.
        mix: how many images come from each of several sources, in words; empty where there is one.
    """

    n: int
    width: int
    p: int
    flops: float
    seconds: float | None
    memory: float | None
    seeds: int
    done: int
    failed: int
    mix: str = ""


@dataclass(frozen=True)
class Plan:
    """What a study will do.

    Attributes:
        cells: the grid, in the order of the study file.
        workers: runs at a time.
        start: seconds until the first run begins, without the baselines.
        baselines: seconds of the reconstructions without learning that are still to be measured.
        cautions: what a user should know about the images.
    """

    cells: tuple[Cell, ...]
    workers: int
    start: float = 0.0
    baselines: float = 0.0
    cautions: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Estimated wall time of all that is left: start, baselines and runs; none without a calibration."""
        left = [(cell.seconds, cell.seeds - cell.done - cell.failed) for cell in self.cells]
        if any(seconds is None for seconds, count in left if count):
            return None
        each = sorted((seconds or 0.0 for seconds, count in left for _ in range(count)), reverse=True)
        return self.start + self.baselines + makespan(each, self.workers) if each else 0.0

    @property
    def memory(self) -> float | None:
        """Estimated bytes of the largest runs that are not over, side by side; none without a calibration."""
        left = [cell for cell in self.cells if cell.seeds > cell.done + cell.failed]
        if any(cell.memory is None for cell in left):
            return None
        each = [cell.memory or 0.0 for cell in left for _ in range(cell.seeds - cell.done - cell.failed)]
        return sum(sorted(each, reverse=True)[: self.workers])

    @property
    def flops(self) -> float:
        """Floating-point operations of the runs that are not over."""
        return sum(cell.flops * (cell.seeds - cell.done - cell.failed) for cell in self.cells)


def group_cells(
    runs: Iterable[Run],
    over: Mapping[str, str],
    size: Callable[[Run], tuple[int, float]],
    need: Callable[[Run], ResourceEstimate | None],
    pixels: Callable[[Run], float],
    samples: Callable[[Run], int],
) -> tuple[Cell, ...]:
    """Gather runs into cells.

    Args:
        runs: the runs of a study.
        over: run id -> status, for the runs that are over.
        size: parameters, and forward FLOPs per pixel, of a run's network.
        need: what a run takes from here on, or none where it is not known.
        pixels: of what training sees of an image: of a crop, or of a slice.
        samples: images that a run is trained on at most from here on, with those of all its branches.
    """
    groups: dict[tuple[int, int, str], list[Run]] = {}
    for run in runs:
        mix = mix_words(run.mix, of=run.images.source_names)
        groups.setdefault((run.n, run.network.width, mix), []).append(run)
    cells = []
    for (n, width, mix), members in groups.items():
        first = members[0]
        p, flops_per_pixel = size(first)
        needed = _mean([need(run) for run in members if run.id not in over])
        seen = statistics.fmean([samples(run) for run in members])
        status = [over.get(run.id) for run in members]
        cells.append(Cell(
            n=n, width=width, p=p,
            flops=3 * flops_per_pixel * pixels(first) * seen,
            seconds=needed.seconds if needed else None, memory=needed.memory if needed else None, seeds=len(members),
            done=status.count("done"), failed=status.count("failed") + status.count("diverged"),
            mix=mix,
        ))  # fmt: skip
    return tuple(cells)


def _mean(needed: Sequence[ResourceEstimate | None]) -> ResourceEstimate | None:
    """The mean of what runs of a cell take: some may continue from earlier ones. None where one is not known."""
    known = [each for each in needed if each is not None]
    if not known or len(known) < len(needed):
        return None
    return ResourceEstimate(statistics.fmean([each.seconds for each in known]), max(each.memory for each in known))


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Wall time of runs that are begun in this order, each as soon as one of the workers is free.

    >>> makespan([3.0, 2.0, 2.0], 2)
    4.0
    """
    free = [0.0] * max(1, workers)
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)
