"""Losses without truth: they aim at what the truth aims at, and a run with them continues exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reconscale.data import ImageSet, open_images
from reconscale.physics import Batch, Denoising
from reconscale.study import LOSSES, DenoisingProblem, Images, Network, Recipe, Run
from reconscale.study.base import SELF_SUPERVISED
from reconscale.training.loop import Hooks, Training
from reconscale.training.losses import BLIND, _draw_pixels, objective_of, watched_objective_of

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    options = Images(source="deadleaves", channels="gray", size=32, total=12, patch=32, val=2, test=2, crop="center")
    return open_images(options, cache=tmp_path_factory.mktemp("cache"))


def run_of(images: ImageSet, loss: str, *, steps: int = 12, noise: str = "fresh", **recipe: Any) -> Run:
    problem = DenoisingProblem(kind="denoising", noise=noise)  # type: ignore[arg-type]
    recipe = {"lr": 3e-3, **recipe}
    made = Recipe(steps=steps, batch=4, validate_every=4, loss=loss, **recipe)  # type: ignore[arg-type]
    return Run(problem=problem, images=images.images, n=8, network=Network(width=4), recipe=made)


def test_the_names_are_those_of_the_recipe() -> None:
    assert set(BLIND) == set(SELF_SUPERVISED) and not set(BLIND) & set(LOSSES)


class Shrink:
    """A denoiser whose error is known: y times a."""

    def __init__(self, a: float) -> None:
        self.a = a

    def __call__(self, y: Tensor) -> Tensor:
        return self.a * y


@pytest.mark.parametrize("a", [0.5, 0.8, 1.0])
def test_expectations(a: float) -> None:
    """SURE is the error itself; a second copy adds sigma^2 to it (Lehtinen et al. 2018)."""
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=51.0), CPU, 0)
    x = torch.rand(4, 1, 128, 128, generator=torch.Generator().manual_seed(8))
    ones = torch.ones(4)
    example = Batch(problem.measure(x), x, ones, ones)
    truth = float((a * example.y - x).square().mean())  # type: ignore[operator]
    generator = torch.Generator().manual_seed(0)
    measured = {name: float(objective_of(name, problem, generator)(Shrink(a), example)) for name in BLIND}
    assert measured["sure"] == pytest.approx(truth, abs=1.5e-3)
    assert measured["noise2noise"] == pytest.approx(truth + 0.2**2, abs=1.5e-3)
    assert float(objective_of("mse", problem, generator)(Shrink(a), example)) == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("loss", SELF_SUPERVISED)
@pytest.mark.parametrize("select", ["psnr", "loss"])
@pytest.mark.parametrize("noise", ["fresh", "fixed"])
def test_a_run_goes_on_exactly(loss: str, select: str, noise: str, images: ImageSet) -> None:
    run = run_of(images, loss, select=select, noise=noise)
    whole = Training(run, images, CPU, "fp32")
    torch.manual_seed(5)  # the global generator has no say
    whole.carry_on(Hooks())
    first = Training(run, images, CPU, "fp32")
    for _ in range(6):
        first.advance()
        if first.step % 4 == 0:
            first.look()
    torch.rand(7)
    second = Training(run, images, CPU, "fp32")
    second.restore(first.state())
    second.carry_on(Hooks())
    assert [look.model_dump() for look in second.curve] == [look.model_dump() for look in whole.curve]
    assert all(torch.equal(value, second.best[name]) for name, value in whole.best.items())


@pytest.mark.parametrize("loss", SELF_SUPERVISED)
def test_they_come_near_what_the_truth_gives(loss: str, images: ImageSet) -> None:
    reached = {}
    for name in ("mse", loss):
        run = run_of(images, name, steps=300, lr=1e-2).model_copy(update={"network": Network(family="linear", width=1)})
        training = Training(run, images, CPU, "fp32")
        training.carry_on(Hooks())
        reached[name] = training.best_psnr
    examples = [training.problem.fixed(training.val, i) for i in range(len(training.val))]  # type: ignore[arg-type]
    noisy = sum(float(training.problem.quick(e.y, e)[1]) for e in examples) / len(examples)  # type: ignore[arg-type]
    assert reached["mse"] > noisy + 1
    if loss == "noise2void":  # a linear filter that may not use the pixel itself
        assert reached[loss] > noisy
    else:
        assert reached[loss] > reached["mse"] - (0.6 if loss == "neighbor2neighbor" else 0.2)


def test_the_loss_on_validation_is_the_same_at_every_look(images: ImageSet, tmp_path: Path) -> None:
    training = Training(run_of(images, "noise2noise", select="loss"), images, CPU, "fp32")
    training.step = 1
    training.look()
    training.look()
    losses = [look.loss for look in training.curve]
    assert losses[0] == losses[1] is not None


@pytest.mark.parametrize(("height", "width"), [(32, 32), (9, 30), (3, 8)])
def test_a_hidden_pixel_is_never_shown(height: int, width: int) -> None:
    hidden, shown = _draw_pixels(500, height, width, torch.Generator().manual_seed(0))
    size = torch.tensor([height, width])[:, None, None]
    for place in (hidden, shown):
        assert (place >= 0).all() and (place < size).all()
    away = (hidden - shown).abs()
    assert away.max() <= 2 and (away.amax(0) > 0).all()
    assert len(torch.unique(hidden.flatten(1), dim=1).T) == height * width  # every pixel has its turn


def test_what_is_hidden_cannot_be_copied() -> None:
    """On a flat image the mean of the noise is the best prediction, and what is shown is as far off as a stranger."""
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=51.0), CPU, 0)
    x = torch.full((4, 1, 128, 128), 0.5)
    example = Batch(problem.measure(x), x, torch.ones(4), torch.ones(4))
    objective = objective_of("noise2void", problem, torch.Generator().manual_seed(0))
    assert float(objective(lambda y: torch.full_like(y, 0.5), example)) == pytest.approx(0.2**2, rel=0.1)
    assert float(objective(lambda y: y, example)) == pytest.approx(2 * 0.2**2, rel=0.1)


def test_neighbours_are_judged_without_the_penalty() -> None:
    """With it a network that changes nothing would look better than a perfect one, and selection would keep it."""
    problem = Denoising(DenoisingProblem(kind="denoising", sigma=51.0), CPU, 0)
    x = torch.full((4, 1, 128, 128), 0.5)
    example = Batch(problem.measure(x), x, torch.ones(4), torch.ones(4))
    perfect, idle = (lambda y: torch.full_like(y, 0.5)), Shrink(1.0)

    def values(network: Any) -> tuple[float, float]:
        made = (each("neighbor2neighbor", problem, torch.Generator().manual_seed(0))
                for each in (objective_of, watched_objective_of))  # fmt: skip
        trained, watched = (float(objective(network, example)) for objective in made)
        return trained, watched

    assert values(perfect) == pytest.approx((3 * 0.2**2, 0.2**2), rel=0.03)
    assert values(idle) == pytest.approx((2 * 0.2**2, 2 * 0.2**2), rel=0.03)
