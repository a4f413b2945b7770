"""Linear operators: every adjoint is one, filters invert what they can, and what cannot work is named."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from reconscale.errors import UserError
from reconscale.physics import problem_of
from reconscale.physics.base import add_noise
from reconscale.physics.linear import CompressedSensing
from reconscale.physics.linear_operators import (
    LinearOperator,
    adjointness,
    blur_kernel,
    conjugate_gradients,
    inpainting_operator,
    linear_operators,
)
from reconscale.study.problems import PROBLEMS, DeblurringProblem, DeepinvProblem

CPU = torch.device("cpu")
FILTER = ((0.05, 0.1, 0.05), (0.1, 0.4, 0.1), (0.05, 0.1, 0.05))
CASES: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("deblurring", {"kernel": "gaussian"}, (3, 32, 40)),
    ("deblurring", {"kernel": "disk", "radius": 3.0}, (1, 31, 33)),
    ("deblurring", {"kernel": "motion", "radius": 4.0}, (3, 32, 33)),
    ("tomography", {"angles": 12}, (1, 32, 32)),
    ("tomography", {"angles": 7}, (1, 20, 27)),
    ("compressed-sensing", {"block": 8}, (3, 32, 40)),
    ("compressed-sensing", {"block": 16, "ratio": 0.1}, (1, 32, 16)),
    ("deepinv", {"operator": "Blur", "arguments": {"filter": FILTER, "padding": "reflect"}}, (3, 24, 30)),
    ("deepinv", {"operator": "BlurFFT", "arguments": {"filter": FILTER}}, (3, 24, 30)),
    ("deepinv", {"operator": "Downsampling", "arguments": {"factor": 2, "filter": "bicubic"}}, (3, 24, 32)),
    ("deepinv", {"operator": "Inpainting", "arguments": {"mask": 0.4}}, (3, 24, 30)),
    ("deepinv", {"operator": "CompressedSensing", "arguments": {"m": 100}}, (1, 16, 16)),
    ("deepinv", {"operator": "Tomography", "arguments": {"angles": 9}}, (1, 24, 24)),
    ("deepinv", {"operator": "Decolorize"}, (3, 16, 18)),
    ("deepinv", {"operator": "StructuredRandom", "arguments": {"output_size": (1, 8, 16)}}, (1, 16, 16)),
]


def made(kind: str, options: dict[str, Any], shape: tuple[int, int, int]) -> LinearOperator:
    problem = problem_of(PROBLEMS[kind](kind=kind, **options), CPU, 0)
    return problem.operator_for(shape)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind, options, shape", CASES)
class TestOperators:
    def test_the_adjoint_is_one(self, kind: str, options: dict[str, Any], shape: tuple[int, int, int]) -> None:
        assert adjointness(made(kind, options, shape), shape, CPU) < 2e-5

    def test_it_is_linear_in_batches(self, kind: str, options: dict[str, Any], shape: tuple[int, int, int]) -> None:
        operator = made(kind, options, shape)
        a, b = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
        together = operator.forward(torch.cat([a, b]))
        alone = torch.cat([operator.forward(a), operator.forward(b)])
        assert torch.allclose(together, alone, atol=1e-5)
        assert torch.allclose(operator.forward(a + 2 * b), alone[:1] + 2 * alone[1:], atol=1e-4)

    def test_the_norm(self, kind: str, options: dict[str, Any], shape: tuple[int, int, int]) -> None:
        """No image grows by more than it; TV's steps rely on that."""
        operator = made(kind, options, shape)
        x = torch.rand(1, *shape)
        for _ in range(20):
            x = operator.adjoint(operator.forward(x))
            size = torch.linalg.vector_norm(x)
            x = x / size
        assert float(size) <= 1.03 * operator.norm2

    def test_the_filter_brings_the_image_nearer(
        self, kind: str, options: dict[str, Any], shape: tuple[int, int, int]
    ) -> None:
        operator = made(kind, options, shape)
        x = torch.linspace(0.2, 0.8, shape[-1]).expand(1, *shape) * torch.linspace(0.5, 1, shape[-2])[:, None]
        y = operator.forward(x)
        x_hat = operator.filtered(y)
        assert x_hat.shape == x.shape and x_hat.isfinite().all()
        assert not x_hat.requires_grad
        ends = {"filtered": x_hat, "nothing": torch.zeros_like(x)}
        errors = {name: float((value - x).square().mean()) for name, value in ends.items()}
        assert errors["filtered"] < errors["nothing"]


def test_the_same_seed_gives_the_same_operator_and_another_another() -> None:
    x = torch.rand(1, 1, 16, 16)
    for kind, options in (
        ("compressed-sensing", {"block": 8}),
        ("deblurring", {"kernel": "motion", "radius": 2.0}),
        ("deepinv", {"operator": "CompressedSensing", "arguments": {"m": 40}}),
    ):
        y, again, other = (made(kind, {**options, "operator_seed": seed}, (1, 16, 16)).forward(x) for seed in (0, 0, 1))
        assert torch.equal(y, again) and not torch.allclose(y, other)


def test_inputs_by_name() -> None:
    x = torch.rand(1, 1, 24, 24)
    options = {"operator": "Blur", "arguments": {"filter": FILTER, "padding": "reflect"}}
    found = {name: made("deepinv", {**options, "input": name}, (1, 24, 24)) for name in ("adjoint", "pseudo-inverse")}
    y = found["adjoint"].forward(x)
    assert torch.allclose(found["adjoint"].filtered(y), found["adjoint"].adjoint(y) / found["adjoint"].norm2)
    error = {name: float((o.filtered(y) - x).square().mean()) for name, o in found.items()}
    assert error["pseudo-inverse"] < error["adjoint"]


def test_conjugate_gradients_solve() -> None:
    operator = made(
        "deepinv", {"operator": "Blur", "arguments": {"filter": FILTER, "padding": "circular"}}, (1, 16, 16)
    )
    x = torch.rand(2, 1, 16, 16)
    assert torch.allclose(conjugate_gradients(operator, operator.forward(x), 60), x, atol=1e-2)


def test_masks_keep_whole_pixels() -> None:
    mask = torch.tensor([[1.0, 0], [0, 1]]).view(1, 1, 2, 2)
    x = torch.rand(2, 3, 2, 2)
    assert torch.equal(inpainting_operator(mask.expand(2, 1, 2, 2)).forward(x), x * mask)


@pytest.mark.parametrize("kernel", ["gaussian", "disk", "motion"])
@pytest.mark.parametrize("radius", [0.4, 1.6, 5.0])
def test_kernels(kernel: str, radius: float) -> None:
    values = blur_kernel(DeblurringProblem(kind="deblurring", kernel=kernel, radius=radius))  # type: ignore[arg-type]
    assert values.shape[2] == values.shape[3] and values.shape[2] % 2 == 1
    assert float(values.sum()) == pytest.approx(1, abs=1e-5) and float(values.min()) >= 0


def test_the_wiener_filter_of_a_blur_removes_it_and_not_the_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(1, 1, 48, 48)
    x[..., 12:36, 20:30] = 0.8
    operator = made("deblurring", {"sigma": 2.55}, (1, 48, 48))
    y = add_noise(operator.forward(x), generator, sigma=2.55 / 255)
    errors = {"blurred": (y - x).square().mean(), "filtered": (operator.filtered(y) - x).square().mean()}
    assert errors["filtered"] < 0.8 * errors["blurred"]


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"operator": "Blurr"}, "problem.operator: found 'Blurr'; did you mean 'Blur'"),
        ({"operator": "GaussianNoise"}, "problem.operator: found 'GaussianNoise'"),
        ({"operator": "Blur", "arguments": {"filtr": FILTER}}, "'Blur' has no 'filtr'; did you mean 'filter'"),
        ({"operator": "Tomography", "arguments": {"angles": 9, "adjoint_via_backprop": False}}, "is off by 0.0"),
        (
            {"operator": "Tomography", "arguments": {"angles": 9, "img_width": 40}},
            "cannot measure .1, 24, 24.; it says",
        ),
        ({"operator": "Pansharpen"}, "'Pansharpen' cannot measure .* it measures several things at once"),
        (
            {"operator": "Blur", "arguments": {"filter": ((1.0, 2.0), (3.0,))}},
            "problem.arguments.filter: is no table of numbers; give rows of equal length",
        ),
        ({"operator": "CompressedSensing"}, "problem.arguments: 'CompressedSensing' cannot be made"),
    ],
)
def test_operators_that_cannot_work(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made("deepinv", options, (1, 24, 24))


def test_a_kernel_that_is_larger_than_the_image() -> None:
    with pytest.raises(UserError, match=r"problem.radius: found 9, a kernel of 55 pixels; an image has 32"):
        made("deblurring", {"radius": 9.0}, (1, 32, 32))


def test_an_adjoint_that_is_none_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = CompressedSensing(PROBLEMS["compressed-sensing"](kind="compressed-sensing", block=4), CPU, 0)  # type: ignore[arg-type]
    right = made("compressed-sensing", {"block": 4}, (1, 8, 8))
    wrong = LinearOperator(right.forward, lambda y: 1.2 * right.adjoint(y), right.filtered)
    monkeypatch.setattr(problem, "operator", lambda x, generator: wrong)

    class One:
        channels = 1

    with pytest.raises(UserError, match="the adjoint of 'compressed-sensing' is off by"):
        problem.check(One(), 8)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="found 10, which blocks of 4 do not divide; give a multiple, like 8"):
        problem.check(One(), 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{}, {"factor": 2}, {"filter": FILTER}], ids=["none", "factor", "filter"])
def test_every_operator_of_deepinv_works_or_is_refused(arguments: dict[str, Any]) -> None:
    works = set()
    for name in sorted(linear_operators()):
        with warnings.catch_warnings(), contextlib.suppress(UserError):  # any other error fails the test
            warnings.simplefilter("ignore")
            operator = made("deepinv", {"operator": name, "arguments": arguments}, (3, 24, 24))
            assert operator.filtered(operator.forward(torch.rand(1, 3, 24, 24))).shape == (1, 3, 24, 24)
            works.add(name)
    assert works


def test_every_name_is_a_linear_operator() -> None:
    assert {"Blur", "BlurFFT", "Tomography", "Inpainting", "MRI"} <= set(linear_operators())


def test_deepinv_problems_are_equal_however_they_are_written() -> None:
    one = DeepinvProblem(kind="deepinv", operator="Blur", arguments={"filter": [[1.0, 2.0]]})
    assert one == DeepinvProblem(kind="deepinv", operator="Blur", arguments={"filter": ((1.0, 2.0),)})
    assert DeepinvProblem.model_validate_json(one.model_dump_json()) == one


def test_noise_is_deepinvs() -> None:
    from deepinv.physics import GaussianNoise, PoissonGaussianNoise

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    x = torch.rand(2, 3, 8, 9)
    assert torch.equal(add_noise(x, generator(), sigma=0.1), GaussianNoise(0.1, rng=generator())(x))
    theirs = PoissonGaussianNoise(gain=1 / 50, sigma=0.1, rng=generator())(x)
    assert torch.allclose(add_noise(x, generator(), sigma=0.1, photons=50.0), theirs, atol=1e-5)
    levels = torch.tensor([0.1, 0.3])
    each: Tensor = add_noise(x, generator(), sigma=levels) - x
    assert torch.allclose(each[1], 3 * (add_noise(x, generator(), sigma=0.1) - x)[1], atol=1e-5)
