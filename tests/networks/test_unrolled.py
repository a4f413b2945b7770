"""Unrolled residual networks and the sub-pixel one: what they are untrained, and how many parameters they have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from reconscale.errors import UserError
from reconscale.networks import InputSpec, build, size_of
from reconscale.networks.unrolled import UnrolledLinear, _Gradient
from reconscale.physics import problem_of
from reconscale.physics.base import LinearMeasurement
from reconscale.physics.linear_operators import LinearOperator
from reconscale.physics.superresolution import upscale
from reconscale.study import Network
from reconscale.study.problems import CompressedSensingProblem, DeblurringProblem, LinearProblem, TomographyProblem

CPU = torch.device("cpu")
PROBLEMS: list[LinearProblem] = [
    TomographyProblem(kind="tomography", angles=8),
    DeblurringProblem(kind="deblurring"),
    CompressedSensingProblem(kind="compressed-sensing", block=8),
]


def sensed(problem: LinearProblem, channels: int = 1, side: int = 32) -> tuple[LinearMeasurement, Tensor]:
    """An image with edges as the problem measures it, and the image."""
    x = torch.full((2, channels, side, side), 0.3)
    x[..., 8:20, 10:25] = 0.8
    operator = problem_of(problem, CPU, 0).operator_for((channels, side, side))  # type: ignore[attr-defined]
    y = operator.forward(x)
    return LinearMeasurement(y, operator.filtered(y).detach(), operator), x


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)
@pytest.mark.parametrize("channels", [1, 3])
def test_untrained_it_fits_the_measurement_better_than_what_it_is_given(problem: LinearProblem, channels: int) -> None:
    y, _ = sensed(problem, channels)
    with torch.no_grad():
        x_hat = build(Network(family="unrolled-resnet", width=4), InputSpec(channels, problem.kind))(y)
    operator: LinearOperator = y.operator
    misfit, before = (float((operator.forward(x) - y.values).square().sum()) for x in (x_hat, y.image))
    assert x_hat.shape == y.image.shape
    assert misfit < before or before < 1e-6


def test_the_gradient_has_the_derivative_of_what_it_does() -> None:
    y, x = sensed(PROBLEMS[2])
    operator: LinearOperator = y.operator
    weights = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    derivatives = []
    for apply in (lambda x: operator.adjoint(operator.forward(x) - y.values), gradient_of(y)):
        leaf = x.clone().requires_grad_()
        (apply(leaf) * weights).sum().backward()
        derivatives.append(leaf.grad)
    assert derivatives[0] is not None and derivatives[1] is not None
    assert torch.allclose(derivatives[0], derivatives[1], atol=1e-5)


def gradient_of(y: LinearMeasurement) -> Callable[[Tensor], Tensor]:
    return lambda x: _Gradient.apply(x, y.values, y.operator)  # type: ignore[no-any-return]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.kind)
def test_several_runs_go_through_the_operator_in_one_pass(problem: LinearProblem) -> None:
    y, x = sensed(problem)
    stacked = (torch.stack([x, 0.5 * x]), torch.stack([y.values, y.values]))
    together = torch.func.vmap(lambda x, values: gradient_of(LinearMeasurement(values, x, y.operator))(x))(*stacked)
    alone = torch.stack([gradient_of(y)(each) for each in stacked[0]])
    assert torch.allclose(together, alone, atol=1e-6)


def test_it_learns_through_the_operator() -> None:
    torch.manual_seed(0)
    y, x = sensed(PROBLEMS[0])
    network = UnrolledLinear(1, 8, 1, 2)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = (network(y) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_an_operator_that_is_not_known_is_refused() -> None:
    y, _ = sensed(PROBLEMS[0])
    with pytest.raises(UserError, match="the operator is not known"):
        UnrolledLinear(1, 4, 1, 1)(LinearMeasurement(y.values, y.image))


@pytest.mark.parametrize(
    "given, planes", [(InputSpec(1, "mri"), 2), (InputSpec(1, "tomography"), 1), (InputSpec(3, "deblurring"), 3)]
)
@pytest.mark.parametrize("width, depth, cascades", [(8, 2, 5), (32, 1, 3)])
def test_parameters_of_unrolled_networks(given: InputSpec, planes: int, width: int, depth: int, cascades: int) -> None:
    network = Network(family="unrolled-resnet", width=width, depth=depth, cascades=cascades)
    one = 18 * depth * width**2 + (108 * planes + 2 * depth + 1) * width + 4 * planes + 1
    assert size_of(network, given).p == cascades * one + 1


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_untrained_subpixel_network_is_bicubic_interpolation(channels: int, factor: int) -> None:
    y = torch.rand(2, channels, 17, 20)
    network = Network(family="resnet", width=8, head="zero")
    with torch.no_grad():
        x_hat = build(network, InputSpec(channels, "superresolution", factor))(y)
    assert torch.equal(x_hat, upscale(y, factor))


@pytest.mark.parametrize("channels, width, depth, factor", [(3, 32, 8, 2), (1, 16, 2, 3)])
def test_parameters_of_the_subpixel_network(channels: int, width: int, depth: int, factor: int) -> None:
    p = 18 * depth * width**2 + (9 * channels * (factor**2 + 1) + 2 * depth + 1) * width + factor**2 * channels
    network = Network(family="resnet", width=width, depth=depth)
    assert size_of(network, InputSpec(channels, "superresolution", factor)).p == p
