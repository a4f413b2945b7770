"""Muon against its definition and against torch's own; steps that are refused; checkpoints."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reconscale.errors import UserError
from reconscale.networks import InputSpec, build
from reconscale.study import Network
from reconscale.training.muon import ITERATIONS, MOMENTUM, OTHERS, QUINTIC, Muon, orthogonalised, step_together

YES, NO = torch.tensor(True), torch.tensor(False)
SHAPES = {"wide": (6, 50), "square": (24, 24), "tall": (50, 6), "a row": (2, 9)}


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def newton_schulz(matrix: Tensor) -> Tensor:
    """The iteration as it is published, in float64."""
    x = matrix.double() / matrix.double().norm()
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Convolutional(nn.Module):
    """One of every kind of weights: convolutions, one of them transposed and one grouped, biases, a scale, a number."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.same = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(2, 6, 3, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.apart = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.scale, self.number = nn.Parameter(torch.ones(4, 1, 1)), nn.Parameter(torch.ones(()))
        self.unreached = nn.Parameter(torch.ones(3))
        self.fixed = nn.Parameter(torch.ones(3, 3), requires_grad=False)

    def forward(self, y: Tensor) -> Tensor:
        x: Tensor = self.apart(self.up(torch.relu(self.first(y) + self.same(y)))) * self.scale * self.number
        return x


def network(seed: int = 0) -> Convolutional:
    torch.manual_seed(seed)
    return Convolutional()


def learn(net: nn.Module, optimizer: Muon, steps: range, accepted: Tensor | None = None) -> None:
    for step in steps:
        optimizer.zero_grad()
        net(gaussian(2, 2, 8, 8, seed=step)).square().mean().backward()
        optimizer.step(accepted)


def weights_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def everything(net: nn.Module, optimizer: Muon) -> list[Tensor]:
    """Weights, and all that the optimiser remembers."""
    return [*weights_of(net).values(), *(v.clone() for state in optimizer.state.values() for v in state.values())]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_the_published_iteration(shape: tuple[int, int]) -> None:
    matrices = gaussian(5, *shape)
    ours = orthogonalised(matrices)
    assert ours.shape == matrices.shape and ours.dtype is torch.float32
    for one, matrix in zip(ours, matrices, strict=True):
        assert (one - newton_schulz(matrix)).abs().max() < 1e-4
        assert torch.allclose(one, orthogonalised(1e-6 * matrix[None])[0], atol=1e-4)  # the size does not matter


@pytest.mark.parametrize("shape", [(6, 50), (50, 6), (4, 36)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = gaussian(1, *shape, seed=3)
    u, _, v = torch.linalg.svd(matrix[0], full_matrices=False)
    values = torch.linalg.svdvals(orthogonalised(matrix)[0])
    assert values.min() > 0.65 and values.max() < 1.25
    rotated = u.mT @ orthogonalised(matrix)[0] @ v.mT
    assert (rotated - rotated.diagonal().diag()).abs().max() < 1e-4  # its singular vectors are those of the matrix


def test_what_is_zero_stays_zero() -> None:
    assert orthogonalised(torch.zeros(2, 3, 4)).abs().max() == 0
    rank_one = gaussian(5, 1) @ gaussian(1, 7)
    assert torch.linalg.svdvals(orthogonalised(rank_one[None])[0])[1:].max() < 1e-4


@pytest.mark.parametrize("shape", [(6, 50), (24, 24), (50, 6)])
def test_steps_are_those_of_torchs_muon(shape: tuple[int, int]) -> None:
    """Torch's is of matrices alone and in bf16, which is where the difference comes from."""
    ours, theirs = nn.Linear(shape[1], shape[0], bias=False), nn.Linear(shape[1], shape[0], bias=False)
    start = gaussian(*shape)
    for layer in (ours, theirs):
        layer.weight.data.copy_(start)
    one = Muon(ours, lr=0.02, weight_decay=0.1)
    other = torch.optim.Muon(
        theirs.parameters(), lr=0.02, weight_decay=0.1, momentum=MOMENTUM, ns_coefficients=QUINTIC,
        ns_steps=ITERATIONS, adjust_lr_fn="original",
    )  # fmt: skip
    for step in range(6):
        gradient = gaussian(*shape, seed=step) * 10.0**-step
        ours.weight.grad, theirs.weight.grad = gradient.clone(), gradient.clone()
        one.step()
        other.step()
    moved = (theirs.weight - start).norm()
    assert moved > 0.2 and (ours.weight - theirs.weight).norm() < 0.02 * moved


def test_weights_of_convolutions_are_matrices() -> None:
    """Out x (in k k), of transposed ones in x (out k k); the first step moves by lr times the orthogonal matrix."""
    net = network()
    before = weights_of(net)
    optimizer = Muon(net, lr=0.1, weight_decay=0.5)
    learn(net, optimizer, range(1))
    after, gradients = weights_of(net), {name: value.grad for name, value in net.named_parameters()}
    for name in ("first.weight", "same.weight", "up.weight", "apart.weight"):
        gradient = gradients[name]
        assert gradient is not None
        matrix = gradient.reshape(len(gradient), -1)
        direction = newton_schulz(matrix) * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
        expected = (1 - 0.1 * 0.5) * before[name] - 0.1 * direction.float().reshape(gradient.shape)
        assert torch.allclose(after[name], expected, atol=1e-4), name


def test_all_other_weights_are_adams() -> None:
    """Step by step those of torch's Adam, at a fraction of the rate and without decay."""
    net = network()
    optimizer = Muon(net, lr=0.1, weight_decay=0.5)
    names = ("first.bias", "up.bias", "apart.bias", "scale", "number")
    copies = {name: nn.Parameter(value) for name, value in weights_of(net).items() if name in names}
    adam = torch.optim.Adam(copies.values(), lr=0.1 * OTHERS, betas=(0.9, 0.99))
    for step in range(5):
        learn(net, optimizer, range(step, step + 1))
        for name, value in copies.items():
            value.grad = net.get_parameter(name).grad
        adam.step()
    for name, value in copies.items():
        assert torch.allclose(net.get_parameter(name), value, atol=1e-6), name
    assert torch.equal(net.unreached, torch.ones(3)) and torch.equal(net.fixed, torch.ones(3, 3))


def test_the_rate_may_change_from_step_to_step() -> None:
    net = network()
    optimizer = Muon(net, lr=0.1)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = everything(net, optimizer)
    learn(net, optimizer, range(1))
    assert all(torch.equal(a, b) for a, b in zip(before, weights_of(net).values(), strict=False))


@pytest.mark.parametrize("gradient", [1.0, 1e30, float("nan"), float("inf")])
@pytest.mark.parametrize("steps", [0, 3])
def test_a_step_that_is_refused_changes_nothing(steps: int, gradient: float) -> None:
    """Not the weights, nor what the optimiser remembers: the next step is as if the refused one had not been."""
    net, other = network(), network()
    optimizer, same = Muon(net, lr=0.1, weight_decay=0.5), Muon(other, lr=0.1, weight_decay=0.5)
    learn(net, optimizer, range(steps), YES)
    learn(other, same, range(steps), YES)
    before = everything(net, optimizer)
    for _ in range(2):
        for value in net.parameters():
            value.grad = torch.full_like(value, gradient)
        optimizer.step(NO)
    assert all(torch.equal(a, b) for a, b in zip(before, everything(net, optimizer), strict=False))
    for optimiser, of in ((optimizer, net), (same, other)):
        learn(of, optimiser, range(steps, steps + 2), YES)
    assert all(torch.equal(a, b) for a, b in zip(everything(net, optimizer), everything(other, same), strict=True))
    assert [int(state["steps"]) for state in optimizer.state.values() if "steps" in state] == [steps + 2]


def test_accepted_or_not_asked_is_the_same() -> None:
    net, other = network(), network()
    learn(net, Muon(net, lr=0.1, weight_decay=0.5), range(4), YES)
    learn(other, Muon(other, lr=0.1, weight_decay=0.5), range(4))
    assert all(torch.equal(a, b) for a, b in zip(weights_of(net).values(), weights_of(other).values(), strict=True))


def test_several_networks_at_once() -> None:
    """As each by itself, whichever of them is refused; rates differ."""
    alone, together = [network(s) for s in range(3)], [network(s) for s in range(3)]
    gates, rates = [YES, NO, None], [0.1, 0.02, 0.05]
    makes = [[Muon(net, lr, 0.1) for net, lr in zip(nets, rates, strict=True)] for nets in (alone, together)]
    for step in range(3):
        for net in (*alone, *together):
            net.zero_grad()
            net(gaussian(2, 2, 8, 8, seed=step)).square().mean().backward()
        for optimizer, gate in zip(makes[0], gates, strict=True):
            optimizer.step(gate)
        step_together(makes[1], gates)
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(weights_of(one).values(), weights_of(other).values(), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("done", [0, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_checkpoint_goes_on_bit_for_bit(done: int, layout: Any) -> None:
    net: Any = network().to(memory_format=layout)
    optimizer = Muon(net, lr=0.1, weight_decay=0.1)
    learn(net, optimizer, range(done))
    stream = io.BytesIO()
    torch.save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, stream)
    learn(net, optimizer, range(done, done + 3))
    stream.seek(0)
    kept = torch.load(stream, weights_only=True)
    again: Any = network(7).to(memory_format=layout)
    second = Muon(again, lr=5.0)
    again.load_state_dict(kept["net"])
    second.load_state_dict(kept["optimizer"])
    learn(again, second, range(done, done + 3))
    assert all(torch.equal(a, b) for a, b in zip(everything(net, optimizer), everything(again, second), strict=True))


def test_a_copy_goes_its_own_way() -> None:
    net = network()
    other = copy.deepcopy(net)
    learn(net, Muon(net, lr=0.1), range(1))
    assert not torch.equal(net.first.weight, other.first.weight)


def test_a_network_without_matrices_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        Muon(build(Network(family="linear", width=5), InputSpec(1)), lr=0.02)
    assert "the network has no matrices of weights; set it to 'adam'" in str(refused.value)
    Muon(build(Network(family="linear", width=5), InputSpec(3)), lr=0.02)  # of colour it has one
