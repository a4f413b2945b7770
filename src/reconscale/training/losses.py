"""Training losses. A new loss is a function and an entry in ``reconscale.study.LOSSES``, or in ``BLIND``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from reconscale.errors import UserError
from reconscale.own_parts import recalled_from
from reconscale.physics.base import Batch, Measurement
from reconscale.physics.denoising import Denoising
from reconscale.physics.linear_operators import fork_seed
from reconscale.physics.metrics import ssim
from reconscale.plugins import load_object
from reconscale.study.losses import LOSSES
from reconscale.training.precision import ComputeMode

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From reconstructions (B, C, h, w), truths of the same shape and their data ranges (B,) to one number."""

Reconstruct = Callable[[Any], Tensor]
"""A network, or anything that maps what was measured to images."""

Objective = Callable[[Reconstruct, Batch], Tensor]
"""From a network and an example to one number with a gradient."""


def mse_loss(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    """Mean squared error, for a data range of 1: see ``Loss``."""
    return functional.mse_loss(*_of_range_1(x_hat, x, scale))


def l1_loss(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    """Mean absolute error, for a data range of 1: see ``Loss``."""
    return functional.l1_loss(*_of_range_1(x_hat, x, scale))


def ssim_loss(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    """1 - SSIM (7 x 7 uniform windows), for a data range of 1: see ``Loss``."""
    return 1 - ssim(*_of_range_1(x_hat, x, scale)).mean()


def _of_range_1(x_hat: Tensor, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    shaped = scale[:, None, None, None]
    return x_hat / shaped, x / shaped


def loss_of(name: str) -> Loss:
    """The function of a loss that compares with the truth.

    Raises:
        UserError: it is one of the user's own, and not loaded.
    """
    if place := recalled_from("LOSSES", name):
        raise UserError("recipe.loss", f"'{name}' comes from {place}, which is not loaded", f"pass --plugin {place}")
    loss: Loss = load_object(LOSSES[name])
    return loss


def objective_of(name: str, problem: object, generator: torch.Generator) -> Objective:
    """What a recipe's loss asks of a network.

    Args:
        name: a name in ``LOSSES`` or ``BLIND``.
        problem: measures the examples; of the losses without truth, ``Denoising``.
        generator: on the CPU; what losses without truth draw comes from it, so that a run can continue exactly.
    """
    if name in LOSSES:
        loss = loss_of(name)
        return lambda network, example: loss(network(example.y).float(), example.x, example.scale)
    assert isinstance(problem, Denoising)
    return BLIND[name](problem, generator)


def _noise2noise(problem: Denoising, generator: torch.Generator) -> Objective:
    """Lehtinen et al. 2018: the target is a second noisy copy."""
    del generator

    def loss(network: Reconstruct, example: Batch) -> Tensor:
        return functional.mse_loss(network(example.y).float(), problem.second(example))

    return loss


def _neighbor2neighbor(problem: Denoising, generator: torch.Generator) -> Objective:
    """Huang et al. 2021, from deepinv: pixels are predicted from their neighbours, with its penalty."""
    del problem
    return _predict_neighbors(generator, penalty=2.0)


def _predict_neighbors(generator: torch.Generator, *, penalty: float) -> Objective:
    """The loss of Huang et al. with a factor for its penalty."""
    from deepinv.loss import Neighbor2Neighbor

    measured = Neighbor2Neighbor(gamma=penalty)

    def loss(network: Reconstruct, example: Batch) -> Tensor:
        assert isinstance(example.y, Tensor)
        y = example.y[..., : example.y.shape[-2] // 2 * 2, : example.y.shape[-1] // 2 * 2]
        with fork_seed(_drawn(generator)):
            value: Tensor = measured(y, None, lambda y, _: network(y).float())
        return value

    return loss


CELL = 8
"""One pixel of each CELL x CELL is hidden, 1.6 %."""
REACH = 2
"""What stands in for it is at most this many rows and columns away."""


def _noise2void(problem: Denoising, generator: torch.Generator) -> Objective:
    """Krull et al. 2019: single pixels are hidden, and predicted from what is around them.

    Any noise that is independent between pixels, and of mean zero, goes. One pixel of each cell is hidden at random, in
    all channels, behind another one of the 5 x 5 around it, never itself (Höck et al. 2022).
    """
    del problem

    def loss(network: Reconstruct, example: Batch) -> Tensor:
        y = example.y
        assert isinstance(y, Tensor)
        count, _, height, width = y.shape
        hidden, shown = (place.to(y.device) for place in _draw_pixels(count, height, width, generator))
        image = torch.arange(len(y), device=y.device)[:, None]
        at, instead = (image, slice(None), *hidden), (image, slice(None), *shown)
        given = y.clone()
        given[at] = y[instead]
        return functional.mse_loss(network(given).float()[at], y[at])

    return loss


def _draw_pixels(count: int, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows and columns (2, B, K) of the pixels that are hidden, and of those that are shown in their place."""
    cells = [torch.arange(0, side, CELL) for side in (height, width)]
    corner = torch.cartesian_prod(*cells).T  # (2, K)
    within = torch.randint(CELL, (2, count, corner.shape[1]), generator=generator)
    size = torch.tensor([height, width])[:, None, None]  # at least 3 each
    hidden = torch.minimum(corner[:, None] + within, size - 1)
    away = torch.randint((2 * REACH + 1) ** 2 - 1, within.shape[1:], generator=generator)
    away = away + (away >= (2 * REACH + 1) ** 2 // 2)  # all of the square but its middle
    step = torch.stack([away // (2 * REACH + 1) - REACH, away % (2 * REACH + 1) - REACH])
    outside = (hidden + step < 0) | (hidden + step >= size)
    opposite = torch.where(outside, hidden - step, hidden + step)  # a reflection could end where it began
    return hidden, torch.minimum(opposite.clamp_min(0), size - 1)


def _sure(problem: Denoising, generator: torch.Generator) -> Objective:
    """Stein's unbiased risk estimate with a random direction (Ramani et al. 2008), from deepinv."""
    from deepinv.loss import SureGaussianLoss
    from deepinv.physics import Denoising as Identity

    measured = SureGaussianLoss(problem.sigma)
    identity = Identity()

    def loss(network: Reconstruct, example: Batch) -> Tensor:
        model = lambda y, _: network(y).float()  # noqa: E731
        device = example.x.device.type  # a difference of two close outputs says nothing in bf16
        with torch.autocast(device, enabled=False), fork_seed(_drawn(generator)):
            value: Tensor = measured(example.y, model(example.y, None), identity, model).mean()  # type: ignore[no-untyped-call]
        return value

    return loss


BLIND: dict[str, Callable[[Denoising, torch.Generator], Objective]] = {
    "noise2noise": _noise2noise,
    "neighbor2neighbor": _neighbor2neighbor,
    "noise2void": _noise2void,
    "sure": _sure,
}
"""Losses that need no truth, for denoising."""


def watched_objective_of(name: str, problem: object, generator: torch.Generator) -> Objective:
    """What a run that is selected by its loss is judged by on validation images; as :func:`objective_of` but for one.

    Neighbor2Neighbor's penalty holds a second reconstruction fixed, so training goes where its gradient points and not
    where its value is smallest: a network that changes nothing has none. Only how well neighbours are predicted counts.
    """
    if name == "neighbor2neighbor":
        return _predict_neighbors(generator, penalty=0.0)
    return objective_of(name, problem, generator)


def _drawn(generator: torch.Generator) -> int:
    """A seed from a generator: deepinv's losses draw from torch's global one."""
    return int(torch.randint(2**62, (), generator=generator))


def losses_of(network: nn.Module, loss: Loss) -> Callable[..., Tensor]:
    """A function that gives the losses of several networks, (runs,).

    Args:
        network: the modules that all of them have; its own weights are not used.
        loss: of each.
    """

    def losses(
        weights: dict[str, Tensor], given: tuple[Tensor, ...], targets: Tensor, scales: Tensor, kind: Kind
    ) -> Tensor:
        def one(own: dict[str, Tensor], parts: tuple[Tensor, ...], target: Tensor, scale: Tensor) -> Tensor:
            x_hat: Tensor = functional_call(network, own, (_whole(parts, kind),))
            return loss(x_hat.float(), target, scale)

        found: Tensor = vmap(one)(weights, given, targets, scales)
        return found

    return losses


@contextmanager
def as_trained(way: ComputeMode, device: torch.device) -> Iterator[None]:
    """What the forward pass of a stack runs in."""
    if not way.bf16:
        yield
        return
    with way.autocast(device), _Bf16Convolutions():
        yield


class _Bf16Convolutions(TorchFunctionMode):
    """Casts what convolutions are given to bf16: within vmap autocast leaves them in fp32 (torch 2.15)."""

    CONVOLUTIONS = (torch.conv2d, torch.conv_transpose2d)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.CONVOLUTIONS:
            args = tuple(_bf16(each) for each in args)
            kwargs = {name: _bf16(each) for name, each in kwargs.items()}
        return func(*args, **kwargs)


def _bf16(value: Any) -> Any:
    return value.bfloat16() if isinstance(value, Tensor) and value.is_floating_point() else value


@dataclass(frozen=True)
class Kind:
    """What a network is given of an example besides tensors.

    Attributes:
        facts: the form of the measurement and what must be equal for examples to be computed at once.
        like: a measurement of that form; none: an image. That of the first run stands for all; where each has an
            operator of its own, and the network asks for it, gradients come out wrong, which is found before any run is
            trained.
    """

    facts: tuple[Any, ...] = ()
    like: Measurement | None = field(default=None, compare=False)


def form_of(example: Batch) -> tuple[Any, ...]:
    """What must be equal for examples to be computed at once."""
    parts, kind = parts_of(example)
    return kind, example.x.shape, example.scale.shape, *((part.shape, part.dtype) for part in parts)


def parts_of(example: Batch) -> tuple[tuple[Tensor, ...], Kind]:
    """The tensors that a network is given of an example, and what else it is given."""
    y = example.y
    return ((y,), Kind()) if isinstance(y, Tensor) else (y.tensors, Kind((type(y), *y.facts), y))


def _whole(parts: tuple[Tensor, ...], kind: Kind) -> Any:
    """What :func:`parts_of` took apart."""
    return parts[0] if kind.like is None else kind.like.with_tensors(parts)
