"""Runs trained in one pass: each comes out as alone, continues alone, and leaves the others alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reconscale.data import ImageSet, open_images
from reconscale.physics.base import Batch
from reconscale.study import Images, Network, Recipe, Run
from reconscale.study.problems import PROBLEMS
from reconscale.training import checkpoint
from reconscale.training.guard import LOST
from reconscale.training.hooks import Hooks, Interrupted
from reconscale.training.loop import Training
from reconscale.training.stack import CannotStack, Stack

from .test_acceleration import Watch

CPU = torch.device("cpu")
OPTIONS = Images(source="deadleaves", channels="gray", size=32, total=10, patch=16, val=2, test=2)
NETWORKS = {
    "unet": Network(width=4),
    "dncnn": Network(family="dncnn", width=4, depth=3),
    "swinir": Network(family="swinir", width=4, depth=1, layers=2, heads=1),
    "unrolled": Network(family="unrolled", width=4, depth=3, cascades=2),
}
RECIPES: dict[str, dict[str, Any]] = {
    "muon": {"policy": "fast", "optimizer": "muon", "lr": 1e-2, "weight_decay": 0.1},
    "muon, clipped": {"policy": "budget", "optimizer": "muon", "lr": 1e-2, "clip": 1.0},
    "adam": {"policy": "budget", "optimizer": "adam", "lr": 1e-3},
    "plateau": {"policy": "plateau", "optimizer": "adam", "lr": 1e-3},
}
NEAR = 1e-5
"""Of their norm that weights may differ by after the few steps of these tests; they do by about 2e-7."""


def run_of(n: int, seed: int, network: str = "unet", recipe: str = "adam", **more: Any) -> Run:
    kind = "mri" if network == "unrolled" else "denoising"
    problem = PROBLEMS[kind](kind=kind, **({"mask": "random", "coils": 2} if kind == "mri" else {}))
    options = {"steps": 5, "batch": 3, "validate_every": 2} | RECIPES[recipe] | more
    return Run(problem=problem, images=OPTIONS, n=n, seed=seed, network=NETWORKS[network], recipe=Recipe(**options))


def three(network: str = "unet", recipe: str = "adam", **more: Any) -> list[Run]:
    return [run_of(n, seed, network, recipe, **more) for n, seed in ((4, 0), (6, 0), (2, 1))]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(OPTIONS, cache=tmp_path_factory.mktemp("cache"))


def begun(runs: Sequence[Run], images: ImageSet, precision: str = "fp32") -> list[Training]:
    return [Training(run, images, CPU, precision) for run in runs]


def alone(runs: Sequence[Run], images: ImageSet) -> list[Training]:
    trainings = begun(runs, images)
    for training in trainings:
        training.carry_on(Hooks())
    return trainings


def carried_on(trainings: Sequence[Training], hooks: Sequence[Hooks] = ()) -> list[Training]:
    """Train in one pass; the runs in the order in which they ended."""
    ended: list[Training] = []
    Stack(trainings).carry_on(hooks or [Hooks() for _ in trainings], ended.append)
    return ended


def weights(training: Training) -> Tensor:
    return torch.cat([value.detach().reshape(-1) for value in training.network.parameters()])


def apart(one: Training, other: Training) -> float:
    return float((weights(one) - weights(other)).norm() / weights(one).norm())


def assert_alike(one: Training, other: Training, near: float = NEAR) -> None:
    assert one.step == other.step and one.best_step == other.best_step and one.over == other.over
    assert apart(one, other) < near
    assert [look.psnr for look in one.curve] == pytest.approx([look.psnr for look in other.curve], abs=1e-3)
    assert [look.lr for look in one.curve] == [look.lr for look in other.curve]
    assert torch.equal(one.generator.get_state(), other.generator.get_state())
    assert torch.equal(one.problem.state(), other.problem.state())


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_of_a_stack_is_the_run_alone(images: ImageSet, network: str, recipe: str) -> None:
    runs = three(network, recipe)
    trainings = begun(runs, images)
    ended = carried_on(trainings)
    assert set(map(id, ended)) == set(map(id, trainings))
    for one, other in zip(alone(runs, images), trainings, strict=True):
        assert_alike(one, other)


@pytest.mark.parametrize("loss", ["mse", "l1", "ssim", "noise2noise"])
@pytest.mark.parametrize("kind", ["denoising", "tomography"])
def test_gradients_of_every_loss(images: ImageSet, loss: str, kind: str) -> None:
    if loss == "noise2noise" and kind != "denoising":
        return
    problem = PROBLEMS[kind](kind=kind)
    runs = [run.model_copy(update={"problem": problem}) for run in three(loss=loss)]
    stack, known = Stack(begun(runs, images)), begun(runs, images)
    for _ in range(2):
        totals = stack.gradients([training.measured() for training in stack.trainings])
        for one, other, total in zip(known, stack.trainings, totals, strict=True):
            assert torch.allclose(one.gradients(one.measured()), total, rtol=1e-5)
            assert (gradient(one) - gradient(other)).norm() < 1e-4 * gradient(one).norm()


def gradient(training: Training) -> Tensor:
    return torch.cat([w.grad.reshape(-1) for w in training.network.parameters() if w.grad is not None])


def test_gradients_are_laid_out_as_weights_are(images: ImageSet) -> None:
    """Fused optimisers walk through both in the order of memory."""
    stack = Stack(begun(three("swinir"), images))
    stack.gradients([training.measured() for training in stack.trainings])
    for training in stack.trainings:
        for weight in training.network.parameters():
            assert weight.grad is not None and weight.grad.stride() == weight.stride()


@pytest.mark.parametrize("recipe", ["muon", "adam"])
def test_begun_in_a_stack_and_gone_on_alone_and_back(images: ImageSet, tmp_path: Path, recipe: str) -> None:
    """What is kept of a run knows nothing of a stack, and a stack takes in runs at different steps."""
    runs = three(recipe=recipe)
    stack = Stack(begun(runs, images))
    stack.advance()
    stack.advance()
    for place, training in enumerate(stack.trainings):
        checkpoint.save(tmp_path / str(place), training.state())
    single = Training(runs[0], images, CPU, "fp32")
    single.advance()
    single.advance()
    checkpoint.save(tmp_path / "single", single.state())
    sizes = [(tmp_path / name / "checkpoint.pt").stat().st_size for name in ("0", "single")]
    assert sizes[0] < 1.02 * sizes[1]  # not the weights of the whole stack
    went_on = begun(runs, images)
    for place, training in enumerate(went_on):
        state, _ = checkpoint.load(tmp_path / str(place), CPU)
        assert state is not None
        training.restore(state)
    went_on[0].advance()  # one of them alone, so that it is a step ahead
    carried_on(went_on)
    for one, other in zip(alone(runs, images), went_on, strict=True):
        assert apart(one, other) < NEAR and one.step == other.step


def test_interrupted_all_keep_their_state(images: ImageSet) -> None:
    runs = three()
    states: dict[int, Any] = {}
    trainings = begun(runs, images)
    keep: Callable[[int], Callable[[Any], None]] = lambda place: lambda state: states.update({place: state})  # noqa: E731
    hooks = [Hooks(keep=keep(place), stop=lambda: trainings[0].step == 3) for place in range(3)]
    with pytest.raises(Interrupted):
        carried_on(trainings, hooks)
    assert [states[place]["position"][0] for place in range(3)] == [3, 3, 3]
    again = begun(runs, images)
    for place, training in enumerate(again):
        training.restore(states[place])
    carried_on(again)
    for one, other in zip(alone(runs, images), again, strict=True):
        assert_alike(one, other)


def broken_from(training: Training, step: int, until: int = 10**9) -> None:
    """Let what a run sees be NaN for some steps."""
    measure = training.problem.examples

    def examples(raw: Any) -> list[Batch]:
        found = measure(raw)
        bad = step <= training.step < until
        return [replace(example, x=example.x * float("nan")) for example in found] if bad else found

    training.problem.examples = examples


def test_one_diverges_and_the_others_go_on(images: ImageSet) -> None:
    runs = three(steps=8)
    trainings = begun(runs, images)
    broken_from(trainings[1], 3)
    ended = carried_on(trainings)
    assert ended[0] is trainings[1] and trainings[1].diverged_at == 3 and trainings[1].step < 8
    known = alone(runs, images)
    assert_alike(known[0], trainings[0])
    assert_alike(known[2], trainings[2])


def test_one_begins_again_and_the_others_go_on(images: ImageSet) -> None:
    """The guard of one run leaves steps out, calls it lost, and lowers its rate alone."""
    runs = three(recipe="muon", steps=24, validate_every=8, lr=2e-3)
    trainings, known = begun(runs, images), begun(runs, images)
    told: list[str] = []
    for several in (trainings, known):
        broken_from(several[1], 2, 10 + LOST)
    carried_on(trainings, [Hooks(warn=told.append) for _ in runs])
    for training in known:
        training.carry_on(Hooks())
    assert [training.restarts for training in trainings] == [0, 1, 0] == [training.restarts for training in known]
    assert len(told) == 1 and trainings[1].schedule.rate == known[1].schedule.rate < trainings[0].schedule.rate
    for one, other in zip(known, trainings, strict=True):
        assert one.step == other.step == 24 and apart(one, other) < 1e-3


def test_batches_of_other_shapes_go_alone(images: ImageSet) -> None:
    """As those of volumes may have; what is left of a step is the same."""
    stack, known = Stack(begun(three(), images)), begun(three(), images)
    measured = [training.measured() for training in stack.trainings]
    measured[1] = [replace(e, y=e.y[..., :12, :], x=e.x[..., :12, :]) for e in measured[1]]  # type: ignore[index]
    totals = stack.gradients(measured)
    for training, examples, total, other in zip(known, measured, totals, stack.trainings, strict=True):
        assert torch.allclose(training.gradients(examples), total, rtol=1e-5)
        for one, two in zip(training.network.parameters(), other.network.parameters(), strict=True):
            assert one.grad is not None and two.grad is not None
            assert torch.allclose(one.grad, two.grad, rtol=1e-3, atol=1e-6)


def test_released_networks_have_weights_of_their_own(images: ImageSet) -> None:
    trainings = begun(three(), images, "fp32+channels_last")
    stack = Stack(trainings)
    stack.advance()
    before = [weights(training) for training in trainings]
    stack.leave(trainings[:2])
    stack.advance()  # the last one continues alone
    assert torch.equal(before[0], weights(trainings[0])) and not torch.equal(before[2], weights(trainings[2]))
    for training in trainings:
        for weight in training.network.parameters():
            assert weight.untyped_storage().nbytes() == weight.nbytes
            assert weight.ndim < 4 or weight.is_contiguous(memory_format=torch.channels_last)


def test_seconds_are_counted_once(images: ImageSet) -> None:
    trainings = begun(three(), images)
    began = time.perf_counter()
    carried_on(trainings)
    wall = time.perf_counter() - began
    times = [training.clock.spent for training in trainings]
    assert times[0] == pytest.approx(times[1]) and times[0] == pytest.approx(times[2])
    assert 0.5 * wall < sum(sum(each.values()) for each in times) < wall


@pytest.mark.parametrize("recipe", ["adam", "plateau"])
def test_no_step_waits_for_the_device(images: ImageSet, recipe: str) -> None:
    stack = Stack(begun(three(recipe=recipe), images, "bf16"))
    stack.advance()
    for training in stack.trainings:
        raw = training.reader.take()
        training.reader.take = lambda raw=raw: raw  # type: ignore[method-assign, misc]
    with Watch() as watch:
        stack.advance()
    assert watch.found == []


@pytest.mark.parametrize(
    "others, sentence",
    [
        ([run_of(4, 1, "dncnn")], "different shapes"),
        ([run_of(4, 1, lr=2e-3)], "different shapes"),
        ([run_of(4, 1, steps=6)], "different shapes"),
    ],
)
def test_runs_that_are_not_alike(images: ImageSet, others: list[Run], sentence: str) -> None:
    with pytest.raises(CannotStack, match=sentence):
        Stack(begun([run_of(4, 0), *others], images))


def test_what_else_cannot_be(images: ImageSet) -> None:
    with pytest.raises(CannotStack, match="computed in different ways"):
        Stack([*begun([run_of(4, 0)], images), *begun([run_of(4, 1)], images, "bf16")])
    with pytest.raises(CannotStack, match="the loss 'sure' is computed for one network at a time"):
        Stack(begun([run_of(4, 0, loss="sure"), run_of(4, 1, loss="sure")], images))
    trainings = begun(three(), images)
    for place, training in enumerate(trainings):
        training.network.register_buffer("statistics", torch.full((2,), float(place)))
    with pytest.raises(CannotStack, match="'statistics', which is not trained, differs"):
        Stack(trainings)
