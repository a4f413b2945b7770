"""Run a study: train the missing runs and report progress."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconscale.data import ImageSet
from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.networks import input_spec, size_of
from reconscale.results import Folder, Result, Status
from reconscale.results.judged import judged_results
from reconscale.results.probes import LONGER, longer_run, probes_folder, results_to_probe
from reconscale.results.results_folder import folder_of, image_cautions
from reconscale.results.seen_files import remember_files
from reconscale.results.trunks import continuing_runs, continuing_sentence
from reconscale.results.under_way import recorded_progress
from reconscale.study import Plan, Run, Study, runs_of
from reconscale.study.budget import Budget
from reconscale.study.external import refuse_other_code
from reconscale.study.plan import ResourceEstimate, group_cells, makespan
from reconscale.training import checkpoint
from reconscale.training.adaptive_sweep import adaptive_study, choose_and_train, what_is_left
from reconscale.training.baselines import are_measured, baseline_seconds, baselines_kept, measure_baselines
from reconscale.training.calibrate import RunCost, measure_costs, precision_of, precision_words
from reconscale.training.distributed import refuse_what_cannot_be_divided
from reconscale.training.evaluate import pixels_of, training_sets
from reconscale.training.executors.base import Event, Executor, Tell
from reconscale.training.executors.slurm import under_way
from reconscale.training.first_runs import Ask, FirstRuns, yardstick_of
from reconscale.training.incident_log import incident_log
from reconscale.training.initial_weights import check_initial, keep_initial
from reconscale.training.linear_explanation import explanation
from reconscale.training.own_code import code_of_study, pin_code, plugins_of
from reconscale.training.placement import ExecutionConfig
from reconscale.training.preparation import Progress, prepare
from reconscale.training.progress import shown_progress
from reconscale.training.schedule import computed_steps
from reconscale.training.seen_images import unseen_cautions
from reconscale.training.stack_size import stacks_of
from reconscale.training.worker import Placement, Task
from reconscale.training.worker_count import choose_workers


def plan(
    study: Study,
    folder: Folder | str | Path,
    where: ExecutionConfig | None = None,
    progress: Progress | None = None,
    *,
    calibrate: bool = True,
) -> Plan:
    """What a study will do, how far it is, and what the rest will take.

    Args:
        study: the study.
        folder: its results folder, or the path of that.
        where: where it would be run; none: as of :func:`run`.
        progress: called with (label, done, total) while images are prepared.
        calibrate: time a few steps of every width; else no time is estimated.

    Raises:
        UserError: see :func:`prepare`; a damaged result.
    """
    refuse_other_code(study)
    folder, where, began = folder_of(folder), (where or ExecutionConfig()).resolved(), time.perf_counter()
    images = prepare(study, where, progress)
    check_initial(study, images.channels, folder)
    runs = runs_of(study)
    over = {result.run.id: result.status for result in folder.results(runs, images=False)}
    left = [run for run in runs if run.id not in over]
    measured: dict[str, RunCost] = {}
    workers, start, baselines = where.workers or 1, 0.0, 0.0
    if calibrate and left:
        with where.executor(_silent) as executor:
            start = time.perf_counter() - began + _first_worker(executor)
            _, measured, _ = _measured(left, images, folder, executor, where)
            workers = executor.workers
        baselines = 0.0 if are_measured(study, images, folder) else baseline_seconds(study, images)
    size = lambda run: ((s := size_of(run.network, input_spec(run.problem, images.channels))).p, s.flops)  # noqa: E731
    known = continuing_runs(folder, left)
    need = lambda run: _need(measured.get(run.id), run, images, known.get(run.id, 0))  # noqa: E731
    samples = lambda run: (computed_steps(run.recipe, run.n) - known.get(run.id, 0)) * run.recipe.batch  # noqa: E731
    cells = group_cells(runs, over, size, need, lambda run: pixels_of(run, images), samples)
    return Plan(cells, workers, start, baselines, (*images.cautions, *unseen_cautions(study, images)))


def _first_worker(executor: Executor) -> float:
    """Seconds until a worker is ready; 0 where nothing is measured before runs are submitted."""
    if not executor.measures:
        return 0.0
    began = time.perf_counter()
    executor.apply(_nothing)
    return time.perf_counter() - began


def _nothing() -> None:
    """What the first worker is asked to do."""


def _need(pace: RunCost | None, run: Run, images: ImageSet, known: int) -> ResourceEstimate | None:
    return None if pace is None else ResourceEstimate(pace.seconds(run, images, known), pace.memory)


def run(  # noqa: PLR0913 - options of a verb
    study: Study,
    folder: Folder | str | Path,
    where: ExecutionConfig | None = None,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
    retry_failed: bool = False,
    probe: bool | None = None,
    keep_going: bool | Ask = False,
    budget: Budget | None = None,
) -> Status:
    """Train what is missing. May be stopped and called again at any time.

    Args:
        study: the study.
        folder: its results folder, or the path of that.
        where: where to compute.
        progress: called with (label, done, total) while images and anchors are prepared.
        tell: takes the events of the sweep; the first is ``{"event": "plan", "runs": [...], "seconds": {...}}``. With
            neither of the two, bars are shown in a notebook and on a terminal.
        retry_failed: run failed and diverged runs again.
        probe: once all runs are over, train the smallest and the largest n four times as long; none: where that takes
            a tenth of the study's time at most.
        keep_going: train all runs even where the first ones are no better than their input; or what is called with a
            question then, and answers it.
        budget: choose the runs of the grid one by one, until the verdict is settled or this is spent; none: make all.

    Raises:
        UserError: see :func:`prepare`; another command holds the folder; results were measured on other images.
        EndedOnPurpose: the first runs are no better than their input: see :mod:`reconscale.training.first_runs`.
        KeyboardInterrupt: asked to stop; every run under way has kept its state.
    """
    refuse_other_code(study)
    where, folder = (where or ExecutionConfig()).resolved(), folder_of(folder)
    options: dict[str, Any] = {"retry_failed": retry_failed, "probe": probe, "keep_going": keep_going}
    options["budget"] = budget
    if progress is not None or tell is not None:
        return _run(study, folder, where, progress or _silent_progress, tell or _silent, **options)
    with shown_progress() as (bars, events):
        return _run(study, folder, where, bars or _silent_progress, events or _silent, **options)


def _run(
    study: Study, folder: Folder, where: ExecutionConfig, progress: Progress, tell: Tell, **options: Any
) -> Status:
    """As :func:`run`, with everything known."""
    began = time.monotonic()
    retry_failed, probe, keep_going = (options[name] for name in ("retry_failed", "probe", "keep_going"))
    budget: Budget | None = options["budget"]
    if budget is not None and study.images.sources:
        raise UserError("--budget and --until", "choose runs of one source, and the images come from several",
                        "leave them out: all mixes are trained")  # fmt: skip
    where = where if budget is None else replace(where, stack=1)  # runs of a pass would all be chosen at once
    refuse_what_cannot_be_divided(runs_of(study), where.devices)
    images = prepare(study, where, progress)
    check_initial(study, images.channels, folder)
    runs = runs_of(study)
    with folder.held(), recorded_progress(folder.root, tell) as told, incident_log(folder, runs, told) as record:
        _refuse_beside_jobs(folder, where)
        for caution in (*_pin(folder, images, where), *unseen_cautions(study, images)):
            record({"event": "note", "text": f"caution: {caution}"})
        training_sets(study, images, folder)
        explanation(study, images, folder, progress)
        if retry_failed:
            _forget_failed(folder, runs)
            _forget_failed(probes_folder(folder), [longer_run(r) for r in folder.results(runs, images=False)])
        pin_code(study, folder, runs, record)
        keep_initial(study, folder)
        left = [run for run in runs if not folder.is_over(run)]
        first = FirstRuns(runs, folder, record, keep_going)
        sweep = _Sweep(study, folder, where, images, progress, first, budget, began)
        if left:
            sweep.train(left)
        elif not are_measured(study, images, folder):  # on more images than before, or the record was lost
            measure_baselines(study, images, folder, progress)
        if kept := baselines_kept(study, images, folder):
            record({"event": "note", "text": kept})
        results = folder.results(runs)
        probes = _probes(study, folder, results, probe) if len(results) == len(runs) else []
        if probes:
            sweep.train(probes, probes=True)
    return folder.status(runs)


PROBE_SHARE = 0.1
"""Probes that take up to this part of a study's time are run without being asked for."""


def _probes(study: Study, folder: Folder, results: Sequence[Result], wanted: bool | None) -> list[Run]:
    """The probes that are to be run: those that are missing, where they are wanted or cost little."""
    if wanted is False:
        return []
    main = study.images.main_test
    judged = judged_results(study, results, [result.run for result in results])
    chosen = results_to_probe(judged, profile=study.analysis.profile, test_set=main)
    missing = [r for r in chosen if not probes_folder(folder).is_over(longer_run(r))]
    cost, all_of_it = (sum(r.seconds for r in some) for some in (chosen, results))
    if not wanted and LONGER * cost > PROBE_SHARE * all_of_it:
        return []
    return [longer_run(result) for result in missing]


@dataclass(frozen=True)
class _Sweep:
    """What runs of a study are trained with; one argument for what belongs together."""

    study: Study
    folder: Folder
    where: ExecutionConfig
    images: ImageSet
    progress: Progress
    first: FirstRuns
    budget: Budget | None = None
    began: float = 0.0
    """When the command did, on the clock of a budget, which preparations are part of."""

    def train(self, left: list[Run], *, probes: bool = False) -> None:
        """Train runs and write their results into the study's folder, or into that of its probes."""
        folder, images, study = self.folder, self.images, self.study
        into = probes_folder(folder) if probes else folder
        tell = self.first.tell
        with self.where.executor(tell) as executor:
            placements, measured, share = _measured(left, images, folder, executor, self.where)
            if said := precision_words(folder, left, {run: place.precision for run, place in placements.items()}):
                tell({"event": "note", "text": said})
            pictures = () if probes else measure_baselines(study, images, folder, self.progress)
            known = {} if probes else continuing_runs(folder, left)
            needs = {run.id: _need(measured.get(run.id), run, images, known.get(run.id, 0)) for run in left}
            seconds = {name: need.seconds if need else 0.0 for name, need in needs.items()}
            # Seed by seed, so that an unfinished study is a small study; within a seed the longest first.
            order = lambda run: (study.sweep.seed.index(run.seed), -seconds[run.id], -run.network.width)  # noqa: E731
            ordered = sorted(left, key=order)
            expected = makespan([seconds[run.id] for run in ordered], executor.workers)
            chosen: dict[str, Any] = {}
            if self.budget is not None and not probes:
                chosen = what_is_left(
                    adaptive_study(study, folder, lambda _: 0.0), self.budget, executor.workers, self.began
                )
                expected = makespan([seconds[run.id] for run in ordered[: chosen["most"]]], executor.workers)
                expected = min(expected, chosen["limit"]) if chosen["limit"] is not None else expected
            stack = max(placed.stack for placed in placements.values())
            tell({"event": "plan", "runs": [run.id for run in ordered], "seconds": seconds, "probe": probes,
                  "workers": executor.workers, "expected": expected, "stack": stack,
                  "continuing": sorted(known), "early": not study.recipe.steps_are_fixed and not probes,
                  **chosen})  # fmt: skip
            if again := continuing_sentence(len(known)):
                tell({"event": "note", "text": again})
            if not probes:  # jobs that are still in a queue go on until they are found there, and ended
                self.first.begin(yardstick_of(study, images, folder), check=not under_way(folder))
            own: dict[str, Any] = {"plugins": plugins_of(study), "code": code_of_study(study)}

            def task_of(run: Run) -> Task:
                need = needs[run.id]
                return Task(run, images, into, placements[run.id], pictures, need.memory if need else 0.0, share, **own)

            if self.budget is None or probes:
                executor.carry_out([task_of(run) for run in ordered])
            else:
                grid = adaptive_study(study, folder, lambda run: seconds.get(run.id, 0.0))
                choose_and_train(grid, self.budget, task_of, executor, tell, self.began)


def _measured(
    left: list[Run], images: ImageSet, folder: Folder, executor: Executor, where: ExecutionConfig
) -> tuple[dict[str, Placement], dict[str, RunCost], float]:
    """How runs are computed, what they take, and the share of a GPU that a process gets; sets the workers."""
    placement = _placement(where, executor)
    measured = measure_costs(left, images, folder, executor, placement)
    precision = precision_of(left, images, folder, executor, placement)
    placements = {run.id: replace(placement, precision=precision[run.id]) for run in left}
    stacks = stacks_of(left, images, folder, executor, placements, where.stack)
    measured = {run: pace.stacked(stacks[run].count, stacks[run].gain) for run, pace in measured.items()}
    share = choose_workers(executor, where, measured, max(stack.count for stack in stacks.values()))
    return {run: replace(placements[run], stack=stacks[run].count) for run in placements}, measured, share


def _placement(where: ExecutionConfig, executor: Executor) -> Placement:
    return Placement(
        executor.device, where.threads, keep_seconds=where.keep_seconds, tracker=where.tracker, devices=where.devices
    )


def _refuse_beside_jobs(folder: Folder, where: ExecutionConfig) -> None:
    for place in () if where.slurm else (folder, probes_folder(folder)):
        if jobs := under_way(place):
            what = f"{len(jobs)} jobs of Slurm may be working in this folder ({', '.join(jobs[:3])})"
            raise UserError(place.root, what, f"watch them with --slurm, or cancel them and delete {place.root}/.slurm")


def _pin(folder: Folder, images: ImageSet, where: ExecutionConfig) -> tuple[str, ...]:
    """Remember which images this results folder was measured on, and refuse others; the cautions about them."""
    path = folder.root / "images.json"
    if not path.is_file():
        described = images.describe()
        del described["cache"]  # a place of this machine, not a property of the images
        write_atomic(path, to_json(described))
    elif read_json(path).get("digest") != images.digest:
        raise UserError(folder.root, "the images are not those that this study began with",
                      "restore them, or copy the study file to a new folder")  # fmt: skip
    remember_files(folder.root, images.images, where.data_folder)
    return image_cautions(folder)


def _forget_failed(folder: Folder, runs: list[Run]) -> None:
    for run in runs:
        result = folder.read(run, images=False)
        if result is not None and result.status != "done":
            (folder.of(run) / "result.json").unlink()
            if result.status == "diverged":  # it would again
                checkpoint.remove(folder.of(run))


def _silent(event: Event) -> None:
    pass


def _silent_progress(label: str, done: int, total: int) -> None:
    pass
