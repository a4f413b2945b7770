"""The guard: what it leaves out, what it calls lost, and what it must not mind in healthy training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch

from reconscale.data import ImageSet, open_images
from reconscale.study import Images, Network, Recipe, Run
from reconscale.study.problems import PROBLEMS
from reconscale.training.guard import ENOUGH, FAR, LOST, RISEN, WINDOW, Guard
from reconscale.training.hooks import CHECK_EVERY
from reconscale.training.loop import Training

from .test_acceleration import Watch

CPU = torch.device("cpu")
NAN, INF = float("nan"), float("inf")


def fed(losses: Iterable[float]) -> tuple[Guard, list[bool], list[int]]:
    """A guard that has seen these losses; which it accepted; the steps at which it called the run lost."""
    guard, accepted, lost = Guard(CPU), [], []
    for step, loss in enumerate(losses, 1):
        accepted.append(bool(guard.accepts(torch.tensor(loss))))
        if step % CHECK_EVERY == 0 and guard.lost():
            lost.append(step)
    return guard, accepted, lost


def noisy(level: Callable[[int], float], steps: int, spread: float = 0.3, seed: int = 0) -> list[float]:
    """Losses around a level that changes from step to step."""
    noise = torch.randn(steps, generator=torch.Generator().manual_seed(seed)).mul(spread).exp().tolist()
    return [level(step) * each for step, each in enumerate(noise)]


def test_a_spike_is_left_out() -> None:
    """Once: what follows shows that it was the example, and not the weights."""
    losses = noisy(lambda step: 1.0, 200)
    for step in (60, 61, 120):
        losses[step] = 100.0
    guard, accepted, lost = fed(losses)
    assert [step for step, taken in enumerate(accepted) if not taken] == [60, 61]
    assert lost == [] and guard.left_out == 2


def test_a_larger_spike_is_left_out_again() -> None:
    losses = noisy(lambda step: 1.0, 200)
    losses[60], losses[120] = 100.0, 100.0 * FAR**2
    _, accepted, lost = fed(losses)
    assert accepted.count(False) == 2 and not accepted[120] and lost == []


@pytest.mark.parametrize("loss", [NAN, INF, -INF])
@pytest.mark.parametrize("step", [0, 5, 60])
def test_what_is_not_finite_is_left_out(step: int, loss: float) -> None:
    losses = noisy(lambda step: 1.0, 100)
    losses[step] = loss
    guard, accepted, lost = fed(losses)
    assert accepted.count(False) == 1 and not accepted[step] and not lost and guard.recent.isfinite().all()


def test_the_first_losses_may_be_anything() -> None:
    _, accepted, lost = fed([1.0, 500.0, 2e4, *noisy(lambda step: 1.0, 100)])
    assert all(accepted) and lost == []


def test_many_steps_in_a_row_are_lost() -> None:
    losses = [*noisy(lambda step: 1.0, 60), *[1e3] * LOST, *noisy(lambda step: 1.0, 60)]
    _, accepted, lost = fed(losses)
    assert accepted.count(False) == LOST and lost == [60 + LOST]  # and then it has come back by itself
    assert fed([NAN] * 30)[2] == [10, 20, 30]


@pytest.mark.parametrize("doubles", [20, 60, 200])
def test_slow_divergence_is_noticed(doubles: int) -> None:
    """A loss that doubles in this many steps is never far above its window, and is noticed before it is 40 times."""
    losses = noisy(lambda step: max(1.0, 2.0 ** ((step - 200) / doubles)), 200 + 6 * doubles)
    _, accepted, lost = fed(losses)
    assert all(accepted) and 200 < lost[0] <= 200 + 5.4 * doubles + WINDOW


@pytest.mark.parametrize("level", [lambda step: 0.99**step, lambda step: 1.0, lambda step: (1 + step) ** -0.5])
def test_healthy_losses(level: Callable[[int], float]) -> None:
    _, accepted, lost = fed(noisy(level, 1000, spread=0.5))
    assert all(accepted) and lost == []


def test_losses_around_zero() -> None:
    """SURE estimates an error and may be negative; of one noisy image that is fitted it ends below zero for good."""
    noise = torch.randn(1000, generator=torch.Generator().manual_seed(0)).tolist()
    for middle, spread in ((1e-4, 1e-3), (0.0, 1.0), (-1.0, 0.3), (-1.0, 0.01)):
        _, accepted, lost = fed(middle + spread * each for each in noise)
        assert all(accepted) and lost == []
    assert fed([*(-1 + 0.3 * each for each in noise), *[20.0] * 20])[2] == [1010, 1020]


def test_losses_of_nothing() -> None:
    """Flat images without noise have an error of exactly zero; that the next ones have not is no divergence."""
    _, accepted, lost = fed([*[0.0] * 60, *noisy(lambda step: 1.0, 60)])
    assert all(accepted) and lost == []


@pytest.mark.parametrize("cut", [3, 19, 49, 50, 75, 130, 151])
def test_a_checkpoint_goes_on_alike(cut: int) -> None:
    losses = [*noisy(lambda step: 1.0, 100), 50.0, 60.0, NAN, *noisy(lambda step: 1.0 + step / 3, 100, seed=1)]
    whole, accepted, lost = fed(losses)
    first, before, lost_before = fed(losses[:cut])
    first.restarts = 1
    second = Guard(CPU)
    second.restore(first.state())
    after = []
    for step, loss in enumerate(losses[cut:], cut + 1):
        after.append(bool(second.accepts(torch.tensor(loss))))
        if step % CHECK_EVERY == 0 and second.lost():
            lost_before.append(step)
    assert before + after == accepted and lost_before == lost and second.restarts == 1
    for name, value in whole.state().items():
        if name != "restarts":
            assert torch.equal(torch.nan_to_num(value), torch.nan_to_num(second.state()[name])), name


def test_a_fresh_beginning() -> None:
    guard, _, _ = fed([*noisy(lambda step: 1.0, 60), *[1e3] * LOST])
    guard.begin_again()
    assert guard.restarts == 1 and not guard.lost() and guard.left_out == 0
    assert guard.accepts(torch.tensor(1e3))
    guard.give_up()
    assert guard.lost()


def test_nothing_is_read_back() -> None:
    """A step does not wait for the device."""
    guard = Guard(CPU)
    with Watch() as watch:
        for loss in torch.rand(25).unbind():
            guard.accepts(loss)
    assert watch.found == []


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Images], ImageSet]:
    cache = tmp_path_factory.mktemp("cache")
    return lambda options: open_images(options, cache=cache)


HEAVY: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "enlarging": ("superresolution", {"factor": 2}, {}),
    "enlarging with a random head": ("superresolution", {"factor": 2}, {"head": "random"}),
    "few photons": ("denoising", {"sigma": 0.0, "photons": 20.0}, {}),
    "SURE": ("denoising", {"sigma": 50.0}, {"loss": "sure"}),
}


@pytest.mark.parametrize("kind, options, more", HEAVY.values(), ids=HEAVY)
def test_single_crops_of_photographs(
    photographs: Callable[[Images], ImageSet], kind: str, options: dict[str, Any], more: dict[str, Any]
) -> None:
    """Flat and textured ones in turn: losses over four orders of magnitude in healthy training, and nothing is lost."""
    images = Images(source="bundled", patch=16, val=1, test=1)
    network = Network(width=2, depth=1, norm="none", head=more.get("head", "zero"))
    recipe = Recipe(
        policy="fast", steps=150, batch=1, optimizer="muon", lr=0.02, weight_decay=0.01, loss=more.get("loss", "mse")
    )
    run = Run(problem=PROBLEMS[kind](kind=kind, **options), images=images, n=3, network=network, recipe=recipe)
    training = Training(run, photographs(images), CPU, "fp32")
    lost, guard = [], training.guard
    assert guard is not None
    for _ in range(150):
        training.advance()
        if training.step % CHECK_EVERY == 0:
            lost.append(guard.lost())
    assert not any(lost) and guard.left_out == 0


def test_losses_of_flat_and_textured_crops() -> None:
    """Two kinds of crops, 10,000 times apart, in any mixture: medians jump between them, and nothing is lost."""
    for part in (0.1, 0.5):
        chosen = torch.rand(1500, generator=torch.Generator().manual_seed(0)) < part
        levels: Sequence[bool] = chosen.tolist()
        _, accepted, lost = fed(noisy(lambda step, of=levels: 1.0 if of[step] else 1e-4, 1500, spread=0.5))  # type: ignore[misc]
        assert accepted.count(False) <= 1 and lost == [], part


def test_the_numbers_belong_together() -> None:
    assert ENOUGH < WINDOW and LOST <= CHECK_EVERY and min(FAR, RISEN) > 1
