"""The paper's U-Net: the fastMRI one; residual for denoising."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconscale.networks.family import zero_initialised
from reconscale.physics.superresolution import upscale

SLOPE, EPS = 0.2, 1e-5
"""Of the leaky ReLU below zero; what is added to variances."""


class UNet(nn.Module):
    """U-Net with or without instance normalisation; residual, it predicts what to take away from its input.

    Every block is two times [3x3 convolution without bias, instance normalisation without learned scale, leaky ReLU of
    slope 0.2]. The encoder halves the image by average pooling; the decoder doubles it by a 2x2 transposed convolution,
    normalised and rectified like a block. A 1x1 convolution with bias ends it. Without normalisation, convolutions
    start with He's variance, which keeps that of what goes through.

    Source: Zbontar et al. 2018 (fastMRI, arXiv 1811.08839), as used by Klug and Heckel 2023, section 3. With 3 channels
    and depth 2 it has 454 w**2 + 30 w + 3 parameters; with 1 channel and depth 4, 7574 w**2 + 10 w + 1.

    Args:
        channels: channels of the image, in and out.
        width: channels of the first level; every level below doubles them.
        depth: how many times the image is halved.
        residual: whether the output is the input minus what the last convolution gives (denoising), or that itself.
        norm: ``instance`` or ``none``.
        zero_head: whether the last convolution starts at zero.
    """

    def __init__(
        self, channels: int, width: int, depth: int = 2, *, residual: bool = True, norm: str = "instance",
        zero_head: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.residual, self.rectified = residual, _normalised if norm == "instance" else _rectified
        widths = [width * 2**level for level in range(depth + 1)]
        block = partial(_Block, rectified=self.rectified)
        self.encoder = nn.ModuleList(block(before, after) for before, after in pairwise([channels, *widths]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, above, 2, stride=2, bias=False) for above, below in pairwise(widths)
        )
        self.decoder = nn.ModuleList(block(2 * above, above) for above in widths[:-1])
        self.head = nn.Conv2d(width, channels, 1)
        if norm == "none":
            for weight in (*self.encoder.parameters(), *self.up.parameters(), *self.decoder.parameters()):
                nn.init.kaiming_normal_(weight, a=SLOPE)
        if zero_head:
            zero_initialised(self.head)

    def forward(self, y: Tensor) -> Tensor:
        """Map images to images.

        Args:
            y: (B, C, H, W); any H and W that can be halved ``depth`` times and leave at least 2 pixels.
        """
        features, skips = y, []
        for level, block in enumerate(self.encoder):
            if level:
                skips.append(features)
                features = _halved(features)
            features = block(features)
        for up, block in zip(reversed(self.up), reversed(self.decoder), strict=True):
            skip = skips.pop()
            features = _fit(self.rectified(up(features)), skip)
            features = block(torch.cat([features, skip], 1))
        out: Tensor = self.head(features)
        return y - out if self.residual else out


class SubpixelUNet(nn.Module):
    """The U-Net on a small image, with a pixel shuffle at its end; what it gives is added to bicubic interpolation.

    Args:
        channels: channels of the image.
        width: channels of the first level.
        depth: how many times the small image is halved.
        factor: how many times images are enlarged.
        norm: ``instance`` or ``none``.
        zero_head: whether the last convolution starts at zero.
    """

    def __init__(
        self, channels: int, width: int, depth: int, factor: int, *, norm: str = "instance", zero_head: bool = False
    ) -> None:
        super().__init__()
        self.unet = UNet(channels, width, depth, residual=False, norm=norm)
        self.unet.head = nn.Conv2d(width, channels * factor**2, 1)  # drawn again: other weights would be other results
        if zero_head:
            zero_initialised(self.unet.head)
        self.factor = factor

    def forward(self, y: Tensor) -> Tensor:
        """Map small images (B, C, h, w) to (B, C, factor h, factor w)."""
        return upscale(y, self.factor) + functional.pixel_shuffle(self.unet(y), self.factor)


class _Block(nn.Module):
    def __init__(self, before: int, after: int, rectified: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.rectified = rectified
        self.first = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.rectified(self.second(self.rectified(self.first(x))))


def _rectified(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, SLOPE, inplace=True)


def _normalised(x: Tensor) -> Tensor:
    """Instance normalisation and leaky ReLU; the same numbers as torch's two, without the copies of its backward pass.

    ``functional.instance_norm`` gives a view, and changing a view in place makes autograd copy whole activations. In
    bf16 on a CPU the kernel of group normalisation is the fastest; its sums are float32.
    """
    x = x.contiguous()
    batch, channels, rows, columns = x.shape
    if x.dtype is torch.bfloat16 and x.device.type == "cpu":
        return functional.leaky_relu(functional.group_norm(x, channels, eps=EPS), SLOPE, inplace=True)
    one = functional.batch_norm(x.view(1, batch * channels, rows, columns), None, None, training=True, eps=EPS)
    return functional.leaky_relu(one, SLOPE, inplace=True).view(batch, channels, rows, columns)


def _halved(x: Tensor) -> Tensor:
    """The mean over 2 x 2 pixels."""
    if x.device.type == "cpu" and x.is_contiguous():
        out: Tensor = _Halved.apply(x)
        return out
    return functional.avg_pool2d(x, 2)


class _Halved(torch.autograd.Function):
    """The mean over 2 x 2 pixels: what ``avg_pool2d`` gives, bit for bit, in half its time on a CPU."""

    generate_vmap_rule = True  # several runs may be trained in one pass

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG004 - torch gives it
        ctx.size = inputs[0].shape

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        rows, columns = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
        a, b, c, d = (x[..., i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
        return (a + b).add_(c).add_(d).mul_(0.25)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        batch, channels, rows, columns = grads[0].shape
        quarter = (grads[0] * 0.25)[..., :, None, :, None]
        back = quarter.expand(batch, channels, rows, 2, columns, 2).reshape(batch, channels, 2 * rows, 2 * columns)
        down, right = ctx.size[-2] - 2 * rows, ctx.size[-1] - 2 * columns
        return functional.pad(back, (0, right, 0, down)) if down or right else back


def _fit(x: Tensor, like: Tensor) -> Tensor:
    """Pad the last row and column by reflection where halving has rounded an odd side down."""
    rows, columns = like.shape[-2] - x.shape[-2], like.shape[-1] - x.shape[-1]
    return functional.pad(x, (0, columns, 0, rows), mode="reflect") if rows or columns else x
