"""Trunk and branches: the same numbers as trainings of their own, exact resume, continuing with a smaller tolerance."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from reconscale.data import ImageSet, open_images
from reconscale.errors import UserError
from reconscale.results import Folder, Result
from reconscale.results.probes import results_to_probe
from reconscale.results.result import Branch
from reconscale.results.trunks import continuing_runs
from reconscale.study import DenoisingProblem, Images, Network, Recipe, Run, Study, runs_of
from reconscale.study.defaults import written_out
from reconscale.study.study_file import parse_study
from reconscale.training import checkpoint
from reconscale.training.calibrate import RunCost
from reconscale.training.checkpoint import InputGuard
from reconscale.training.loop import Hooks, Interrupted, Training
from reconscale.training.placement import ExecutionConfig
from reconscale.training.schedule import (
    Schedule,
    branch_points,
    computed_steps,
    cooldown_steps,
    count_looks,
    looks_of,
    most_steps,
)
from reconscale.training.stack import Stack
from reconscale.training.sweep import plan
from reconscale.training.worker import Placement, Task, finish_run, run_task, written

from ..report.synthetic import result_of

CPU = torch.device("cpu")
IMAGES = Images(source="deadleaves", size=32, total=10, patch=16, val=2, test=2)


def converging(**recipe: Any) -> Recipe:
    steps = {"steps": 4, "doublings": 3, "cooldown": 0.5, "tolerance": 1e-9}
    return Recipe(**{"policy": "converge", "batch": 2, "lr": 1e-3, "warmup": 0.25, **steps, **recipe})


def make_run(**recipe: Any) -> Run:
    problem, network = DenoisingProblem(kind="denoising"), Network(width=2, head="zero")
    return Run(problem=problem, images=IMAGES, n=4, network=network, recipe=converging(**recipe))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(IMAGES, cache=tmp_path_factory.mktemp("cache"))


def trained(run: Run, images: ImageSet) -> Training:
    training = Training(run, images, CPU, "fp32")
    training.carry_on(Hooks())
    return training


def test_rates_of_trunk_and_branches() -> None:
    """Constant on the trunk after the warm-up; in a branch from there in a straight line towards zero."""
    plan = Schedule.of(make_run(steps=8))
    assert [plan.lr(step) for step in range(6)] == pytest.approx([1e-3 / 3, 2e-3 / 3, *[1e-3] * 4])
    branch = plan.branch(16)
    assert branch.end == 24 and [branch.lr(step) for step in range(16, 24)] == pytest.approx(
        [1e-3 * (24 - step) / 8 for step in range(16, 24)]
    )
    assert plan.restored(branch.state()) == branch and plan.lr(16) == 1e-3


def test_three_branches_cost_at_most_sixty_percent_of_the_trunk() -> None:
    recipe = Recipe(policy="converge", steps=100, doublings=2)
    trunk, *_ = branch_points(recipe)[::-1]
    assert trunk == 400 and computed_steps(recipe, 1) - trunk == 140 <= 0.6 * trunk
    assert most_steps(recipe, 1) == 480


def test_a_branch_is_a_training_of_its_own(images: ImageSet) -> None:
    """The branch at 8 steps gives, bit for bit, what a training gives whose only branch leaves at 8."""
    whole = trained(make_run(doublings=1), images)
    assert whole.branching is not None
    weights = whole.branching.finished[1].weights
    alone = Training(make_run(steps=8, warmup=1 / 8, doublings=1), images, CPU, "fp32")
    alone.carry_on(Hooks())
    assert alone.branching is not None
    first = alone.branching.finished[0]
    assert first.trunk == 8 and first.steps == 12 and whole.branching.finished[1].best_step == first.best_step == 12
    assert all(torch.equal(weights[name], first.weights[name]) for name in weights)


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 8, 11, 12, 17, 24, 33, 48, 61])
def test_resume_is_exact(images: ImageSet, tmp_path: Path, cut: int) -> None:
    """Stopped on the trunk, at a branch, in one, or at its end, and continued in another process: the same bits."""
    run = make_run(tolerance=1e-9)
    whole, first, steps = trained(run, images), Training(run, images, CPU, "fp32"), 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return steps == cut

    with pytest.raises(Interrupted):
        first.carry_on(Hooks(keep=lambda state: checkpoint.save(tmp_path, state), stop=stop))
    torch.manual_seed(99)
    second = Training(run, images, CPU, "fp32")
    state, damaged = checkpoint.load(tmp_path, CPU)
    assert state is not None and not damaged
    second.restore(state)
    second.carry_on(Hooks())
    assert second.curve == whole.curve and second.best_step == whole.best_step
    assert second.progress == whole.progress and second.trained_steps == whole.trained_steps
    assert all(torch.equal(whole.best[name], second.best[name]) for name in whole.best)


def test_it_ends_when_twice_the_steps_gain_too_little(images: ImageSet, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    patient, hasty = make_run(tolerance=1e-9), make_run(tolerance=50.0)
    for run in (patient, hasty):
        assert run_task(Task(run, images, folder, Placement()), lambda message: None) == "done"
    short, long = folder.read(hasty), folder.read(patient)
    assert short is not None and long is not None
    assert len(short.branches) == 2 and short.converged and short.steps == 12
    assert long.branches[:2] != () and [b.trunk for b in long.branches] == [4, 8, 16, 32][: len(long.branches)]
    assert all(b.gain == pytest.approx(b.psnr - a.psnr) for a, b in pairwise(long.branches))
    assert long.samples == long.steps * 2 and long.steps == long.branches[-1].steps
    assert Result.read(folder.of(patient)).branches == long.branches


def test_the_last_branch_allowed_need_not_have_converged(images: ImageSet, tmp_path: Path) -> None:
    run = make_run(doublings=1, tolerance=1e-9)
    assert run_task(Task(run, images, Folder(tmp_path), Placement()), lambda message: None) == "done"
    result = Folder(tmp_path).read(run)
    assert result is not None and len(result.branches) == 2 and result.branches[-1].gain is not None
    assert result.converged is (result.branches[-1].gain < 1e-9)


@pytest.mark.parametrize("first, then", [({"tolerance": 50.0}, {}), ({}, {"tolerance": 50.0}), ({"doublings": 1}, {})])
def test_it_continues_where_another_tolerance_ended(
    images: ImageSet, tmp_path: Path, first: dict[str, Any], then: dict[str, Any]
) -> None:
    """Neither repeats a step that the other has computed, and both give what they give alone."""
    beside, alone = Folder(tmp_path / "beside"), Folder(tmp_path / "alone")
    run_task(Task(make_run(**first), images, beside, Placement()), lambda message: None)
    steps: list[int] = []
    note = lambda message: steps.append(message["kept"]) if "kept" in message else None  # noqa: E731
    placement = Placement(keep_seconds=0.0)
    run = make_run(**then)
    run_task(Task(run, images, beside, placement), note)
    continued = list(steps)
    steps.clear()
    run_task(Task(run, images, alone, placement), note)
    assert min(continued, default=math.inf) > min(steps)
    here, there = beside.read(run), alone.read(run)
    assert here is not None and there is not None
    keep = ("metrics", "images", "branches", "steps", "best_step", "validation")
    assert all(getattr(here, name) == getattr(there, name) for name in keep)


KEPT = ("metrics", "images", "branches", "steps", "best_step", "validation", "restarts")


def test_a_run_that_was_cut_misleads_no_later_one(images: ImageSet, tmp_path: Path) -> None:
    """Four doublings, then fewer of the same training, then five: the looks and the best weights of all are there."""
    beside, alone = Folder(tmp_path / "beside"), Folder(tmp_path / "alone")
    whole, cut, more = make_run(), make_run(tolerance=50.0), make_run(doublings=4)
    for run in (whole, cut):
        run_task(Task(run, images, beside, Placement()), lambda message: None)
    assert not (beside.of(cut) / checkpoint.TRUNK).exists()
    (beside.of(whole) / checkpoint.TRUNK).unlink()
    for folder in (beside, alone):
        run_task(Task(more, images, folder, Placement()), lambda message: None)
    here, there = beside.read(more), alone.read(more)
    assert here is not None and there is not None
    assert all(getattr(here, name) == getattr(there, name) for name in KEPT)


def spoil(training: Training, *, branched: int, step: int) -> None:
    """Have the guard call training lost after a step of a branch; it is asked at every tenth step."""
    judged = training.judged

    def spoilt(total: torch.Tensor) -> torch.Tensor | None:
        accepted = judged(total)
        if (training.schedule.branched, training.step, training.restarts) == (branched, step, 0):
            assert training.guard is not None
            training.guard.give_up()
        return accepted

    training.judged = spoilt  # type: ignore[method-assign]


def test_a_run_that_is_cut_counts_its_own_restarts_alone(images: ImageSet) -> None:
    """Those in branches that it never had are not its own."""
    longer = Training(make_run(doublings=2), images, CPU, "fp32")
    spoil(longer, branched=16, step=19)
    longer.carry_on(Hooks())
    assert longer.restarts == 1
    for doublings, restarts in ((1, 0), (2, 1)):
        short = Training(make_run(doublings=doublings), images, CPU, "fp32")
        short.restore(longer.state())
        assert short.over and short.restarts == restarts and short.trained_steps == (12, 24)[doublings - 1]


def test_the_guard_is_asked_at_the_same_steps_when_a_run_goes_on(
    images: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def record(training: Training) -> Training:
        assert training.guard is not None
        lost = training.guard.lost
        monkeypatch.setattr(training.guard, "lost", lambda: asked.append(training.step) or lost())
        return training

    record(Training(make_run(), images, CPU, "fp32")).carry_on(Hooks())
    whole = list(asked)
    asked.clear()
    first = record(Training(make_run(doublings=1), images, CPU, "fp32"))
    first.carry_on(Hooks())
    second = record(Training(make_run(), images, CPU, "fp32"))
    second.restore(first.state())
    second.carry_on(Hooks())
    assert asked == whole


def test_killed_before_its_result_a_run_leaves_its_trunk(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run = Folder(tmp_path), make_run(doublings=1)
    with monkeypatch.context() as killed:
        killed.setattr(Result, "write", lambda result, into: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run_task(Task(run, images, folder, Placement()), lambda message: None)
    assert (folder.of(run) / checkpoint.TRUNK).is_file()
    assert run_task(Task(run, images, folder, Placement()), lambda message: None) == "done"
    assert {path.name for path in folder.of(run).iterdir()} & {*checkpoint.CHECKPOINTS, checkpoint.TRUNK} == {
        checkpoint.TRUNK
    }


def test_a_folder_in_the_place_of_a_trunk_is_no_trunk(images: ImageSet, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    (folder.of(make_run(tolerance=50.0)) / checkpoint.TRUNK).mkdir(parents=True)
    assert run_task(Task(make_run(), images, folder, Placement()), lambda message: None) == "done"


def test_a_trunk_that_is_gone_is_trained_again(images: ImageSet, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    run_task(Task(make_run(tolerance=50.0), images, folder, Placement()), lambda message: None)
    (trunk,) = tmp_path.glob(f"*/{checkpoint.TRUNK}")
    trunk.write_bytes(trunk.read_bytes()[:-1])
    assert run_task(Task(make_run(), images, folder, Placement()), lambda message: None) == "done"


def test_runs_in_one_pass_are_the_runs_alone(images: ImageSet) -> None:
    runs = [make_run().model_copy(update={"seed": seed}) for seed in (0, 1)]
    alone = [trained(run, images) for run in runs]
    together = [Training(run, images, CPU, "fp32") for run in runs]
    ended: list[Training] = []
    Stack(together).carry_on([Hooks(), Hooks()], ended.append)
    assert len(ended) == 2
    for one, stacked in zip(alone, together, strict=True):
        assert stacked.trained_steps == one.trained_steps and stacked.progress == one.progress
        assert stacked.best_psnr == pytest.approx(one.best_psnr, abs=0.01)


def test_divergence_in_a_branch_returns_to_the_trunk(images: ImageSet) -> None:
    """A branch that diverged continues at a third of the rate; the trunk knows nothing of it but for the count."""
    training = Training(make_run(doublings=2), images, CPU, "fp32")
    spoil(training, branched=8, step=9)
    warned: list[str] = []
    training.carry_on(Hooks(warn=warned.append))
    assert len(warned) == training.restarts == 1 and training.over and training.branching is not None
    assert training.schedule.rate == training.run.lr and training.guard is not None and not training.guard.restarts
    assert [branch.trunk for branch in training.branching.finished] == [4, 8, 16][: len(training.branching.finished)]


def test_looks_cost_a_tenth_of_the_time_at_most() -> None:
    """A step is about three reconstructions of its batch; where even a few looks cost more there are a few."""
    recipe = Recipe(policy="fast", steps=1000, batch=4, optimizer="adam")
    steps = 3 * 1000 * 4 * 64 * 64
    for images in (1, 24, 100, 1000):
        look = images * 128 * 128
        count = count_looks(recipe, 10, look, 64 * 64)
        assert count * look <= 0.1 * steps + 2 * look or count <= 8
    cheap = looks_of(recipe, 10, 16 * 16, 64 * 64)
    assert cheap.every == 50 and cheap.also == {25, 12, 6}
    assert [cheap.due(step) for step in (6, 7, 50, 100, 101)] == [True, False, True, True, False]


def test_looks_of_branches() -> None:
    recipe = Recipe(policy="converge", steps=100, doublings=1)
    looks = looks_of(recipe, 10)
    assert looks.also == {25, 50, 100, 200} and looks.in_branches == {110, 120, 220, 240}
    assert looks.due(110, branched=True) and not looks.due(110) and not looks.due(50, branched=True)
    assert cooldown_steps(recipe, 200) == 40 and count_looks(recipe, 10) == 9


STUDY: dict[str, Any] = {
    "version": 2,
    "name": "small",
    "problem": {"kind": "denoising"},
    "images": {"source": "deadleaves", "size": 32, "total": 10, "patch": 16, "val": 2, "test": 2},
    "sweep": {"n": [2], "width": [2]},
    "recipe": {"policy": "converge"},
}


@pytest.mark.parametrize("analysis, tolerance", [({}, 0.0333), ({"worthwhile": 0.3}, 0.1), (
    {"profile": "ssim-uniform7", "worthwhile": 0.02}, 0.0333)])  # fmt: skip
def test_the_tolerance_is_a_third_of_what_is_worthwhile(analysis: dict[str, Any], tolerance: float) -> None:
    study = parse_study({**STUDY, "analysis": analysis})
    assert study.recipe.tolerance == tolerance and study.recipe.optimizer == "muon"
    assert (study.recipe.steps, study.recipe.doublings) == (32, 7)
    for recipe in ({}, {"steps": 4000, "doublings": 5, "warmup": 0.05}):  # which version 1 does not write
        study = parse_study({**STUDY, "analysis": analysis, "recipe": {"policy": "converge", **recipe}})
        assert parse_study(written_out(study)) == study


def test_a_plan_counts_the_trunk_and_all_branches(tmp_path: Path) -> None:
    """As many operations as a training has whose steps are those of the trunk and the branches together."""
    recipes = [{"policy": "converge", "steps": 10, "doublings": 2, "cooldown": 0.5}, {"policy": "fast", "steps": 75}]
    flops = [
        plan(parse_study({**STUDY, "recipe": recipe}), Folder(tmp_path), ExecutionConfig(), calibrate=False).flops
        for recipe in recipes
    ]
    assert flops[0] == flops[1] > 0


def test_a_plan_counts_what_is_left_of_runs_that_continue(tmp_path: Path) -> None:
    """Of 310 steps with those of the branches, an earlier run has computed 80 + 10 + 20 + 40; seconds go with them."""

    def study(doublings: int) -> Study:
        return parse_study(
            {**STUDY, "recipe": {**STUDY["recipe"], "steps": 20, "cooldown": 0.5, "doublings": doublings}}
        )

    def flops(place: Path) -> float:
        return plan(study(3), Folder(place), ExecutionConfig(), calibrate=False).flops

    (first,), (longer,) = runs_of(study(2)), runs_of(study(3))
    steps = [{"trunk": t, "steps": t + t // 2, "best_step": t, "psnr": 20.0 + t, "gain": 1.0} for t in (20, 40, 80)]
    branches = tuple(Branch.model_validate(step) for step in steps)
    folder = Folder(tmp_path / "earlier")
    result_of(first).model_copy(update={"branches": branches}).write(folder.of(first))
    (folder.of(first) / checkpoint.TRUNK).write_bytes(b"a state")
    known = continuing_runs(folder, [longer])
    assert known == {longer.id: 150} and computed_steps(longer.recipe, 2) == 160 + 10 + 20 + 40 + 80
    assert flops(folder.root) == pytest.approx(flops(tmp_path / "none") * (310 - 150) / 310)
    images = open_images(longer.images)
    pace = RunCost(start=1.0, step=2.0, look=0.0, test=0.0, memory=1.0)
    assert pace.seconds(longer, images) == 1 + 2 * 310 and pace.seconds(longer, images, 150) == 1 + 2 * 160


def test_rules_have_the_tolerance_of_their_study() -> None:
    rules = ({"width": (2, 2), "recipe": {"policy": "converge", "steps": 8}},)
    study = parse_study({**STUDY, "recipe": {}, "analysis": {"worthwhile": 0.3}, "override": rules})
    recipe = study.cell_recipe(2, 2)
    assert recipe is not None and (recipe.policy, recipe.tolerance) == ("converge", 0.1)
    assert parse_study(written_out(study)) == study


@pytest.mark.parametrize("recipe, words", [
    ({"tolerance": 0.0}, "tolerance"), ({"tolerance": -1}, "tolerance"), ({"doublings": 0}, "doublings"),
    ({"cooldown": 0.0}, "cooldown"), ({"steps": 3}, "steps"),
])  # fmt: skip
def test_bad_recipes(recipe: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_study({**STUDY, "recipe": {"policy": "converge", **recipe}})


def broken_off(images: ImageSet) -> Training:
    """A run whose losses on the trunk are no numbers from step 90 on, when two branches are over."""
    training = Training(make_run(steps=40, cooldown=0.25), images, CPU, "fp32")
    judged = training.judged

    def spoilt(total: torch.Tensor) -> torch.Tensor | None:
        on_trunk = not training.schedule.branched and training.step >= 90
        return judged(total * math.nan if on_trunk else total)

    training.judged = spoilt  # type: ignore[method-assign]
    warned: list[str] = []
    training.carry_on(Hooks(warn=warned.append))
    assert len(warned) == 1
    return training


def test_a_second_divergence_keeps_the_branches_that_are_over(images: ImageSet, tmp_path: Path) -> None:
    """What they gave is the result, marked as not converged; with another tolerance nothing else comes of it."""
    training = broken_off(images)
    assert training.branching is not None
    assert len(training.branching.finished) == 2 and training.restarts == 1
    assert training.diverged_at is None and training.broke_off_at is not None and training.broke_off_at > 80
    last = training.branching.finished[-1]
    assert training.trained_steps == last.steps == 100 and training.best_psnr == last.psnr
    assert len(training.curve) == last.looks and all(map(torch.equal, training.best.values(), last.weights.values()))

    folder = Folder(tmp_path)
    task = Task(training.run, images, folder, Placement())
    result = finish_run(task, training, lambda message: None, InputGuard(images.files()), time.perf_counter())
    assert result.status == "done" and result.converged is False and result.steps == 100
    assert "diverged again" in result.reason and "the branch of 100 steps is the result" in result.reason
    assert written(task, result) == "done"
    again = folder.read(training.run)
    assert again is not None and again.reason == result.reason
    assert results_to_probe([again], profile="psnr-rgb-clip", test_set="test") == []

    other = make_run(steps=40, cooldown=0.25, doublings=4)
    assert run_task(Task(other, images, folder, Placement()), lambda message: None) == "done"
    found = folder.read(other)
    assert found is not None and found.metrics == result.metrics and found.reason == result.reason
    sooner = make_run(steps=40, cooldown=0.25, tolerance=100.0)
    assert run_task(Task(sooner, images, folder, Placement()), lambda message: None) == "done"
    cut = folder.read(sooner)
    assert cut is not None and cut.converged and not cut.reason


def test_a_second_divergence_before_any_branch_is_over(images: ImageSet) -> None:
    training = Training(make_run(steps=200, lr=1e30), images, CPU, "fp32")
    training.carry_on(Hooks())
    assert training.diverged_at is not None and training.broke_off_at is None
