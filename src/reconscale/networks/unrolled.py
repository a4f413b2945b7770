"""Unrolled residual networks, which alternate with data consistency, for MRI and linear problems."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconscale.errors import UserError
from reconscale.networks.convolutional import CONTRAST, GRAY, UNSHUFFLE, residual_blocks
from reconscale.networks.family import zero_initialised
from reconscale.physics.base import KSpace, LinearMeasurement
from reconscale.physics.linear_operators import LinearOperator
from reconscale.physics.mri_coils import center_crop, combined, magnitude, maps_of, to_kspace, zero_filled

Gradient = Callable[[Tensor], Tensor]
"""x to A*(A x - y), with A of norm 1: images (B, C, H, W) to the same."""

MISFIT = 20.0
"""Factor of gradients before they enter a network: one over their usual standard deviation."""
CHANGE = 0.1
"""Of the range of images: the unit of what a network adds."""


class Cascades(nn.Module):
    """Gradient steps and residual networks in turns; what MRI and linear operators have in common.

    Every cascade takes x <- x - s g with g = A*(A x - y), and then adds what a residual network makes of x and g; a
    last step ends. Steps s are learned and begin at 1. Every network has weights of its own: pixel-unshuffle by 2, a
    3x3 convolution, ``depth`` residual blocks, a 3x3 convolution that starts at zero, shuffle. With c planes there are
    cascades * (18 depth width^2 + (108 c + 2 depth + 1) width + 4 c + 1) + 1 parameters.

    Source: the turns: Schlemper et al. 2018 and Hammernik et al. 2018; the gradient as a network's input: Adler and
    Oktem 2017 (Inverse Problems 33, 124007); the networks: the blocks of EDSR (Lim et al. 2017).

    Args:
        planes: channels c of the image; two of complex ones.
        width: channels of the features.
        depth: residual blocks of a network.
        cascades: how often network and measurement take turns.
    """

    def __init__(self, planes: int, width: int, depth: int, cascades: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(_Network(planes, width, depth) for _ in range(cascades))
        self.steps = nn.Parameter(torch.ones(cascades + 1))

    def forward(self, x: Tensor, gradient: Gradient, mean: float) -> Tensor:
        """Improve images.

        Args:
            x: (B, c, H, W), where to begin.
            gradient: of the misfit.
            mean: of the images, which networks see around zero.
        """
        for network, step in zip(self.networks, self.steps, strict=False):  # the last step is taken below
            misfit = gradient(x)
            x = x - step * misfit
            x = x + network(torch.cat([(x - mean) * CONTRAST, misfit * MISFIT], 1))
        return x - self.steps[-1] * gradient(x)


class _Network(nn.Module):
    """Residual blocks on an unshuffled image; sides may be odd."""

    def __init__(self, planes: int, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(2 * planes * UNSHUFFLE**2, width, 3, padding=1)
        self.blocks = residual_blocks(width, depth)
        self.head = nn.Conv2d(width, planes * UNSHUFFLE**2, 3, padding=1)
        zero_initialised(self.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map images and gradients (B, 2 c, H, W) to changes (B, c, H, W)."""
        rows, columns = x.shape[-2:]
        padding = (0, -columns % UNSHUFFLE, 0, -rows % UNSHUFFLE)
        if any(padding):
            x = functional.pad(x, padding, mode="replicate")
        change = self.head(self.blocks(self.first(functional.pixel_unshuffle(x, UNSHUFFLE))))
        return CHANGE * functional.pixel_shuffle(change.float(), UNSHUFFLE)[..., :rows, :columns]


class UnrolledMRI(nn.Module):
    """The cascades on complex images of slices, from the zero-filled image on; with one coil each step puts the
    measured values back.

    Args:
        width, depth, cascades: see :class:`Cascades`; c is 2.
    """

    def __init__(self, width: int, depth: int, cascades: int) -> None:
        super().__init__()
        self.cascades = Cascades(2, width, depth, cascades)

    def forward(self, y: KSpace) -> Tensor:
        """Map k-space to magnitude images (B, 1, h, w)."""
        maps = maps_of(y)
        scale = zero_filled(y).amax((1, 2, 3), keepdim=True).clamp_min(1e-30)
        kspace = y.values / scale

        def gradient(x: Tensor) -> Tensor:
            return _planes(combined(to_kspace(maps * _complex(x)) * y.mask - kspace, maps))

        x = self.cascades(_planes(combined(kspace, maps)), gradient, 0.0)
        image: Tensor = center_crop(magnitude(_complex(x)), y.size) * scale
        return image


class UnrolledLinear(nn.Module):
    """The cascades on what a linear operator has measured, from the filtered image on.

    Args:
        channels: channels c of the image.
        width, depth, cascades: see :class:`Cascades`.
    """

    def __init__(self, channels: int, width: int, depth: int, cascades: int) -> None:
        super().__init__()
        self.cascades = Cascades(channels, width, depth, cascades)

    def forward(self, y: LinearMeasurement) -> Tensor:
        """Map what was measured to images (B, C, h, w).

        Raises:
            UserError: its operator is not known.
        """
        if y.operator is None:
            raise UserError("network.family", "found 'unrolled-resnet', and the operator is not known",
                          "give what was measured with its operator")  # fmt: skip
        operator: LinearOperator = y.operator

        def gradient(x: Tensor) -> Tensor:
            found: Tensor = _Gradient.apply(x, y.values, operator)
            return found

        x: Tensor = self.cascades(y.image, gradient, GRAY)
        return x


class _Gradient(torch.autograd.Function):
    """A*(A x - y) over the norm of A squared, in full precision.

    Its derivative A* A is its own adjoint, so that A* need not be differentiable, and nothing of its inside is kept.
    """

    @staticmethod
    def forward(x: Tensor, values: Tensor, operator: LinearOperator) -> Tensor:
        with _full_precision(x.device):
            return operator.adjoint(operator.forward(x.float()) - values) / operator.norm2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, LinearOperator], output: Tensor) -> None:
        del output
        ctx.operator = inputs[2]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        operator: LinearOperator = ctx.operator
        return operator.adjoint(operator.forward(grads[0].contiguous())) / operator.norm2, None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int, ...], x: Tensor, values: Tensor, operator: Any) -> tuple[Tensor, int]:
        """Several runs in one pass: their images are one batch."""
        del info
        runs = [part.movedim(dim, 0) for part, dim in zip((x, values), dims, strict=False)]
        together = _Gradient.apply(*(part.flatten(0, 1) for part in runs), operator)
        return together.unflatten(0, (len(runs[0]), -1)), 0


def _full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """No autocast; the meta device, where networks are counted, has none."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def _planes(image: Tensor) -> Tensor:
    """Complex (B, H, W) to real (B, 2, H, W)."""
    return torch.view_as_real(image).movedim(-1, 1)


def _complex(planes: Tensor) -> Tensor:
    """Real (B, 2, H, W) to complex (B, 1, H, W)."""
    return torch.view_as_complex(planes.movedim(1, -1).contiguous())[:, None]
