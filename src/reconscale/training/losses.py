"""What training minimises. A new loss is a function and an entry in ``LOSSES``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from reconscale.imaging.metrics import ssim

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From reconstructions (B, C, h, w), truths of the same shape and their data ranges (B,) to one number."""


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
