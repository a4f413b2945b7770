"""What training minimises. A new loss is a function and an entry in ``LOSSES`` or ``BLIND``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reconscale.imaging.denoising import Denoising
from reconscale.imaging.example import Example
from reconscale.imaging.linear.operators import seeded
from reconscale.imaging.metrics import ssim

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From reconstructions (B, C, h, w), truths of the same shape and their data ranges (B,) to one number."""

Reconstruct = Callable[[Any], Tensor]
"""A network, or anything that maps what was measured to images."""

Objective = Callable[[Reconstruct, Example], Tensor]
"""From a network and an example to one number with a gradient."""


def _mse(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    return functional.mse_loss(*_of_range_1(x_hat, x, scale))


def _l1(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    return functional.l1_loss(*_of_range_1(x_hat, x, scale))


def _ssim(x_hat: Tensor, x: Tensor, scale: Tensor) -> Tensor:
    return 1 - ssim(*_of_range_1(x_hat, x, scale)).mean()


def _of_range_1(x_hat: Tensor, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    shaped = scale[:, None, None, None]
    return x_hat / shaped, x / shaped


LOSSES: dict[str, Loss] = {"mse": _mse, "l1": _l1, "ssim": _ssim}


def objective_of(name: str, problem: object, generator: torch.Generator) -> Objective:
    """What a recipe's loss asks of a network.

    Args:
        name: a name in ``LOSSES`` or ``BLIND``.
        problem: measures the examples; of the losses without truth, ``Denoising``.
        generator: on the CPU; what losses without truth draw comes from it, so that a run can go on exactly.
    """
    if name in LOSSES:
        loss = LOSSES[name]
        return lambda network, example: loss(network(example.y).float(), example.x, example.scale)
    assert isinstance(problem, Denoising)
    return BLIND[name](problem, generator)


def _noise2noise(problem: Denoising, generator: torch.Generator) -> Objective:
    """Lehtinen et al. 2018: the target is a second noisy copy."""
    del generator

    def loss(network: Reconstruct, example: Example) -> Tensor:
        return functional.mse_loss(network(example.y).float(), problem.second(example))

    return loss


def _neighbor2neighbor(problem: Denoising, generator: torch.Generator) -> Objective:
    """Huang et al. 2021, from deepinv: pixels are predicted from their neighbours."""
    from deepinv.loss import Neighbor2Neighbor

    del problem
    measured = Neighbor2Neighbor()

    def loss(network: Reconstruct, example: Example) -> Tensor:
        assert isinstance(example.y, Tensor)
        y = example.y[..., : example.y.shape[-2] // 2 * 2, : example.y.shape[-1] // 2 * 2]
        with seeded(_drawn(generator)):
            value: Tensor = measured(y, None, lambda y, _: network(y).float())
        return value

    return loss


def _sure(problem: Denoising, generator: torch.Generator) -> Objective:
    """Stein's unbiased risk estimate with a random direction (Ramani et al. 2008), from deepinv."""
    from deepinv.loss import SureGaussianLoss
    from deepinv.physics import Denoising as Identity

    measured = SureGaussianLoss(problem.sigma)
    identity = Identity()

    def loss(network: Reconstruct, example: Example) -> Tensor:
        model = lambda y, _: network(y).float()  # noqa: E731
        device = example.x.device.type  # a difference of two close outputs says nothing in bf16
        with torch.autocast(device, enabled=False), seeded(_drawn(generator)):
            value: Tensor = measured(example.y, model(example.y, None), identity, model).mean()  # type: ignore[no-untyped-call]
        return value

    return loss


BLIND: dict[str, Callable[[Denoising, torch.Generator], Objective]] = {
    "noise2noise": _noise2noise,
    "neighbor2neighbor": _neighbor2neighbor,
    "sure": _sure,
}
"""Losses that need no truth, for denoising."""


def _drawn(generator: torch.Generator) -> int:
    """A seed from a generator: deepinv's losses draw from torch's global one."""
    return int(torch.randint(2**62, (), generator=generator))
