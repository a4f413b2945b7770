"""How many runs go in one pass, which of them, and what a worker does with them; flags that cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reconscale.data import ImageSet
from reconscale.errors import UserError
from reconscale.networks import FAMILIES
from reconscale.results import Folder, Result
from reconscale.study import Recipe
from reconscale.training import stack_size, stack_worker
from reconscale.training.calibrate import RunCost
from reconscale.training.executors.base import Event
from reconscale.training.executors.local import LocalExecutor, _Slot
from reconscale.training.executors.stacks import grouped
from reconscale.training.placement import ExecutionConfig
from reconscale.training.stack_size import Stacked, Tried, difference, stacks_of, tried_together
from reconscale.training.stack_worker import carry_out_together
from reconscale.training.worker import Placement, Task, run_task
from reconscale.training.worker_count import choose_workers
from tests.contracts.test_families_on_problems import CASES, run_of
from tests.contracts.test_families_on_problems import both as both
from tests.contracts.test_families_on_problems import images as images

REFUSED = {"unrolled-resnet"}
"""Families with parts that cannot be computed for several networks at once, for some problems."""


@pytest.mark.parametrize("family, kind", CASES)
def test_every_family_in_one_pass(family: str, kind: str, images: ImageSet) -> None:
    """Gradients are those of the runs alone, or it is found out and said in a sentence."""
    run = run_of(family, kind, images)
    if family in REFUSED:
        failed = tried_together(run, images, Placement()).failed
        if failed is not None:
            assert "\n" not in failed and len(failed) < 300
            return
    assert difference(run, images, Placement()) < 1e-4


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"unrolled", "varnet"}))
def test_bf16_is_computed_as_alone(family: str, images: ImageSet) -> None:
    """Also in convolutions, which autocast leaves out here."""
    run = run_of(family, next(kind for name, kind in CASES if name == family), images)
    assert difference(run, images, Placement(precision="bf16")) < 0.15


def test_wrong_gradients_are_found(images: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say, those of a network that asks for an operator of its own batch, and gets that of the first run."""
    run = run_of("dncnn", "denoising", images)
    together = stack_size.Stack.gradients
    monkeypatch.setattr(stack_size.Stack, "gradients", lambda self, measured: together(self, measured[:1] * 2))
    failed = tried_together(run, images, Placement()).failed
    assert failed is not None and "from those of a run alone, in fp32" in failed


def tasks_of(images: ImageSet, folder: Path, count: int = 3, **more: Any) -> list[Task]:
    recipe = Recipe(**({"steps": 6, "batch": 2, "validate_every": 3, "lr": 1e-3} | more))
    run = run_of("dncnn", "denoising", images).model_copy(update={"recipe": recipe})
    runs = [type(run)(**(run.model_dump() | {"seed": seed, "n": 1 + seed % 2})) for seed in range(count)]
    return [Task(run, images, Folder(folder), Placement(stack=count)) for run in runs]


def test_a_worker_of_several_runs(images: ImageSet, tmp_path: Path) -> None:
    """Every run has messages, results and checkpoints of its own."""
    said: list[Event] = []
    tasks = tasks_of(images, tmp_path / "together")
    assert carry_out_together(tasks, said.append) == "done"
    assert all("run" in message for message in said)
    assert {message["run"]: message["end"] for message in said if "end" in message} == {t.run.id: "done" for t in tasks}
    for task, single in zip(tasks, tasks_of(images, tmp_path / "alone"), strict=True):
        assert run_task(replace(single, placement=Placement()), lambda message: None) == "done"
        one, other = (Result.read(each.folder.of(each.run)) for each in (task, single))
        assert one.provenance["stack"] == 3 and "stack" not in other.provenance
        assert [look.psnr for look in one.validation] == pytest.approx([look.psnr for look in other.validation], 1e-4)
        assert one.metrics["test"] == pytest.approx(other.metrics["test"], rel=1e-3)
        assert not (task.folder.of(task.run) / "checkpoint.pt").exists()
        assert {message["step"] for message in said if message["run"] == task.run.id and "step" in message} >= {6}
        assert 0 < one.seconds < 60


@pytest.mark.parametrize("where", ["__init__", "gradients"])
def test_what_fails_together_goes_on_alone(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:  # fmt: skip
    def no_memory(self: object, given: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(stack_worker.Stack, where, no_memory)
    said: list[Event] = []
    tasks = tasks_of(images, tmp_path / "together")
    assert carry_out_together(tasks, said.append) == "done"
    assert [message["end"] for message in said if "end" in message] == ["done"] * 3
    single = tasks_of(images, tmp_path / "alone")[1]
    run_task(single, lambda message: None)
    one, other = (Result.read(each.folder.of(each.run)) for each in (tasks[1], single))
    assert one.validation == other.validation  # bit for bit


def test_one_diverges_and_has_a_result(images: ImageSet, tmp_path: Path) -> None:
    tasks = tasks_of(images, tmp_path, steps=30, lr=1e30, warmup=0.0, validate_every=30)
    said: list[Event] = []
    assert carry_out_together(tasks, said.append) == "done"
    assert [message["end"] for message in said if "end" in message] == ["diverged"] * 3
    assert all("lower recipe.lr" in Result.read(task.folder.of(task.run)).reason for task in tasks)


def test_a_signal_keeps_all_states(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    asked: list[int] = []
    monkeypatch.setattr(stack_worker, "asked_to_stop", lambda: lambda: asked.append(1) is None and len(asked) > 3)
    tasks = tasks_of(images, tmp_path)
    assert carry_out_together(tasks, lambda message: None) == "interrupted"
    for task in tasks:
        kept, _ = stack_worker.restore_or_start(task, stack_worker.ALONE)
        assert kept.step == 4


def test_groups(images: ImageSet, tmp_path: Path) -> None:
    """Only runs of one shape go together, as evenly as can be, and no worker is left without any."""
    tasks = tasks_of(images, tmp_path, 7)
    other = tasks_of(images, tmp_path, 2, lr=2e-3)
    mixed = [other[0], *tasks, other[1]]

    def sizes(stack: int, workers: int) -> list[int]:
        placed = [replace(task, placement=replace(task.placement, stack=stack)) for task in mixed]
        groups = grouped(placed, workers)
        assert sorted(task.run.id for group in groups for task in group) == sorted(task.run.id for task in mixed)
        assert all(task.placement.stack == len(group) for group in groups for task in group)
        assert all(len({task.run.recipe.lr for task in group}) == 1 for group in groups)
        return [len(group) for group in groups]

    assert sizes(1, 1) == [1] * 9
    assert sizes(4, 1) == [2, 4, 3]
    assert sizes(5, 1) == [2, 4, 3]
    assert sizes(8, 1) == [2, 7]
    assert sizes(8, 2) == [1, 4, 3, 1]
    assert sizes(8, 20) == [1] * 9


class Standin:
    """An executor of a machine with a GPU: it answers what was to be measured."""

    measures, workers = True, 1

    def __init__(self, device: str, answer: Callable[..., Tried | None]) -> None:
        self.device, self.answer, self.asked = device, answer, 0

    def apply(self, function: Any, *arguments: Any) -> list[Any]:
        assert function is tried_together
        self.asked += 1
        return [self.answer(*arguments)]


def stacked(images: ImageSet, folder: Path, executor: Any, asked: int | None, **more: Any) -> list[Stacked]:
    runs = [task.run for task in tasks_of(images, folder, **({"count": 10} | more))]
    placements = {run.id: Placement(device=executor.device) for run in runs}
    return list(stacks_of(runs, images, Folder(folder), executor, placements, asked).values())


def test_as_many_as_get_the_most_done(images: ImageSet, tmp_path: Path) -> None:
    counts: list[tuple[int, ...]] = []

    def measured(run: object, images: object, placement: object, tried: tuple[int, ...]) -> Tried:
        counts.append(tried)
        return Tried(rates={1: 100.0, 2: 180.0, 4: 300.0, 8: 310.0}, ended=True)

    gpu = Standin("cuda", measured)
    assert stacked(images, tmp_path, gpu, None) == [Stacked(4, 3.0)] * 10
    assert stacked(images, tmp_path, gpu, None) == [Stacked(4, 3.0)] * 10
    assert gpu.asked == 1 and counts == [(1, 2, 4, 8)]  # 16 is more than there are
    assert json.loads((tmp_path / "stack.json").read_text())
    assert stacked(images, tmp_path, gpu, 2) == [Stacked(2, 1.8)] * 10
    assert stacked(images, tmp_path, gpu, 1) == [Stacked(1, 1.0)] * 10
    assert stacked(images, tmp_path, gpu, None, count=1) == [Stacked(1, 1.0)]
    assert gpu.asked == 1


def test_on_a_cpu_one(images: ImageSet, tmp_path: Path) -> None:
    nobody = Standin("cpu", lambda *_: None)
    assert stacked(images, tmp_path, nobody, None) == [Stacked()] * 10 and nobody.asked == 0


def test_what_cannot_be_trained_in_one_pass(images: ImageSet, tmp_path: Path) -> None:
    """Asked for, it is refused in a sentence; where it was to be found out, runs go one by one."""
    refused = Standin("cuda", lambda *_: Tried(failed="'x' is changed in place"))
    assert stacked(images, tmp_path, refused, None) == [Stacked()] * 10
    with pytest.raises(
        UserError, match="--stack: found 4, and runs of 'dncnn' cannot .*'x' is changed in place.*leave it"
    ):
        stacked(images, tmp_path, refused, 4)
    with pytest.raises(UserError, match="the process that tried it was ended"):
        stacked(images, tmp_path / "gone", Standin("cpu", lambda *_: None), 4)
    assert "'sure' is computed for one network at a time" in str(
        tried_together(tasks_of(images, tmp_path, loss="sure")[0].run, images, Placement()).failed
    )


def test_a_damaged_file(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"x": {"rates": "fast"}}')
    with pytest.raises(UserError, match="does not hold rates of stacks; delete it"):
        stacked(images, tmp_path, Standin("cuda", lambda *_: None), None)


def test_rates_are_measured(images: ImageSet) -> None:
    run = run_of("linear", "denoising", images)
    found = tried_together(run, images, Placement(), (1, 2))
    assert found.failed is None and all(rate > 0 for rate in found.rates.values()) and 1 in found.rates


def test_the_best_is_where_twice_as_many_are_not_worth_it() -> None:
    assert Tried().best == 1
    assert Tried(rates={1: 10.0}).best == 1
    assert Tried(rates={1: 10.0, 2: 11.0, 4: 40.0}).best == 1
    assert Tried(rates={1: 10.0, 2: 19.0, 4: 36.0, 8: 38.0}).best == 4
    assert Tried(rates={1: 10.0, 2: 19.0, 4: 36.0}).gain(4) == 3.6 and Tried(rates={1: 10.0}).gain(8) == 1.0


@pytest.mark.parametrize(
    "more, sentence",
    [
        ({"stack": 0}, "--stack: found 0; give a number from 1 to 64, or auto"),
        ({"stack": 65}, "found 65; give a number from 1 to 64"),
        ({"stack": 4, "devices": 2}, "found 4; with --devices, runs go one by one: leave it out"),
        ({"stack": 4, "ray": "auto"}, "with --ray, runs go one by one"),
        ({"stack": 4, "slurm": ("partition=x",)}, "with --slurm, runs go one by one"),
        ({"stack": 4, "tracker": "wandb"}, "with --track wandb, runs go one by one"),
    ],
)
def test_flags_that_cannot_be(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ExecutionConfig(device="cpu", **more).resolved()


def test_flags_that_decide(images: ImageSet) -> None:
    assert ExecutionConfig(device="cpu").resolved().stack is None
    assert ExecutionConfig(device="cpu", stack=3, tracker="tensorboard").resolved().stack == 3
    for more in ({"devices": 2}, {"ray": "auto"}, {"slurm": ("partition=x",)}, {"tracker": "mlflow"}):
        assert ExecutionConfig(device="cpu", **more).resolved().stack == 1  # type: ignore[arg-type]


def test_a_process_that_dies_is_tried_again_together_then_one_by_one(
    images: ImageSet, tmp_path: Path
) -> None:  # fmt: skip
    """A run that brings down all others does so once, and one that fails in the end fails alone."""
    told: list[Event] = []
    local = LocalExecutor(1, told.append)
    tasks = {task.run.id: task for task in tasks_of(images, tmp_path)}
    slot = _Slot(dict(tasks), None, None, None)
    assert local._died(slot, "signal 9") == [tuple(tasks.values())]
    assert local._died(slot, "signal 9") == [(task,) for task in tasks.values()]
    assert [event["event"] for event in told] == ["fault"] * 6
    assert sum(event["fault"]["lost"] > 0 for event in told) <= 2
    assert local._died(_Slot({name: tasks[name] for name in list(tasks)[:1]}, None, None, None), "signal 9") == []
    assert told[-1]["status"] == "failed"


@pytest.mark.parametrize("count, need, workers", [(1, 5e9, 8), (2, 5e9, 4), (16, 1e9, 1), (4, 30e9, 1)])
def test_processes_on_a_gpu(count: int, need: float, workers: int) -> None:
    """With at most 8 runs on it in all, and as memory allows; a pass of 4 needs four times the memory."""
    local = LocalExecutor(1, lambda event: None, device="cuda")
    local.apply = lambda *_, **__: [80e9]  # type: ignore[method-assign]
    pace = RunCost(1.0, 1.0, 0.0, 0.0, need).stacked(count, 2.0)
    assert pace.step == 0.5 and pace.memory == count * need
    assert choose_workers(local, ExecutionConfig(device="cuda"), {"a": pace}, count) == pytest.approx(1 / workers)
    assert local.workers == workers


def test_too_many_for_the_memory() -> None:
    local = LocalExecutor(1, lambda event: None)
    with pytest.raises(UserError, match="3 runs in one pass need .* lower .*, or --stack"):
        choose_workers(
            local, ExecutionConfig(device="cpu"), {"a": RunCost(1.0, 1.0, 0.0, 0.0, 1e15).stacked(3, 1.0)}, 3
        )
