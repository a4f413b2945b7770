"""Learned shrinkage of DCT coefficients: a classical denoiser with trained parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconscale.networks.convolutional import CONTRAST, GRAY, UNSHUFFLE, TwoScales, residual_blocks
from reconscale.networks.family import zero_initialised

BLOCK = 8
"""Side of the blocks that are transformed, in pixels; they lie UNSHUFFLE pixels apart."""
SMOOTH = 5
"""Of the differences between colours only this many diagonals of frequencies are kept: photographs have little more."""
THRESHOLD = 3.2
"""Coefficients of this many standard deviations of the noise are halved before training (2.7 is usual for hard
thresholds; gains that rise gently want more)."""
FLOOR = 0.02
"""Added to squared coefficients relative to the threshold, before their logarithm is taken."""
OPEN = 8.0
"""The logit of a gain that lets through: that of mean values, which are far above the noise."""


class Shrinkage(nn.Module):
    """Shrinkage of the coefficients of 8x8 colour blocks, every second pixel, with gains that a network decides.

    The filters of a 2D DCT of 8x8 blocks (of colour images: after a DCT across the channels, and of the two colour
    differences 15 low frequencies alone) give k coefficients z at every second pixel. Each is multiplied by a gain
    sigmoid(2 log(z^2 / t^2) + s), where t is 3.2 standard deviations of the noise and s comes from residual blocks that
    see the logarithms of all coefficients around. A second set of filters sums the results up. All filters are trained;
    before training, s is 0 and the network is DCT shrinkage. Where the task is not denoising, the gain is 2 sigmoid(s),
    and the untrained network gives back its input.

    The filters are 4x4 convolutions on the pixel-unshuffled image, the same numbers as 8x8 ones with stride 2. With
    c channels of the image, k coefficients (64 for c = 1, 94 for c = 3) and K = 4 c 16 k weights of the filters it
    has 2 K + 18 depth width^2 + (2 k + 2 depth + 1) width + k parameters.

    Source: shrinkage in a sliding DCT: Yaroslavsky 1996 and Yu and Sapiro 2011 (IPOL); gains from neighbours, learned:
    Portilla et al. 2003, Hel-Or and Shaked 2008.

    Args:
        channels: channels c of the image, in and out.
        width: channels of the residual blocks.
        depth: residual blocks.
        sigma: standard deviation of the noise, for images in [0, 1].
        shrinks: whether the untrained network shrinks (denoising) or gives back its input (all else).
    """

    def __init__(self, channels: int, width: int, depth: int, sigma: float, *, shrinks: bool = True) -> None:
        super().__init__()
        self.sigma, self.shrinks = sigma, shrinks
        analysis, means = _filters(channels)
        count = len(analysis)
        self.analysis = nn.Parameter(analysis)
        self.synthesis = nn.Parameter(analysis.flip(2, 3).transpose(0, 1).contiguous())
        self.first = nn.Conv2d(count, width, 1)
        self.blocks = residual_blocks(width, depth)
        self.head = nn.Conv2d(width, count, 1)
        zero_initialised(self.head)
        if shrinks and self.head.bias is not None:
            with torch.no_grad():
                self.head.bias[means] = OPEN

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, c, H, W), sides multiples of 2 and from 8 on, to the same."""
        margin = BLOCK - UNSHUFFLE  # every pixel then lies in equally many blocks
        centred = functional.pad((y - GRAY) / self.sigma, (margin,) * 4, mode="reflect")
        z = functional.conv2d(functional.pixel_unshuffle(centred, UNSHUFFLE), self.analysis)
        power = torch.log((z * z).mul(1 / THRESHOLD**2).add(FLOOR))
        logits = self.head(self.blocks(self.first(power)))
        gains = torch.sigmoid(logits + 2 * power) if self.shrinks else 2 * torch.sigmoid(logits)
        summed = functional.pixel_shuffle(functional.conv2d(z * gains, self.synthesis), UNSHUFFLE)
        out: Tensor = summed.to(y.dtype) * (self.sigma * UNSHUFFLE**2 / BLOCK**2) + GRAY
        return out


class ShrinkageUNet(nn.Module):
    """Shrinkage, and a small U-Net that adds to its estimate what it has missed; both are trained together.

    The second network sees the estimate and what was taken away from the input, both pixel-unshuffled by 2. Its blocks
    have no normalisation, and its last convolution starts at zero: before training, this is ``Shrinkage``.

    Source: a second stage that sees the first estimate and the input: as in BM3D (Dabov et al. 2007).

    Args:
        channels: channels of the image, in and out.
        width: channels at the first scale of both parts; twice as many at the second.
        depth: residual blocks at the second scale, and on each side of it at the first.
        sigma: standard deviation of the noise, for images in [0, 1].
        shrinks: whether the untrained network shrinks (denoising) or gives back its input (all else).
    """

    def __init__(self, channels: int, width: int, depth: int, sigma: float, *, shrinks: bool = True) -> None:
        super().__init__()
        unshuffled = UNSHUFFLE**2 * channels
        self.sigma = sigma
        self.shrinkage = Shrinkage(channels, width, 1, sigma, shrinks=shrinks)
        self.first = nn.Conv2d(2 * unshuffled, width, 3, padding=1)
        self.body = TwoScales(width, depth, depth)
        self.head = nn.Conv2d(width, unshuffled, 3, padding=1)
        zero_initialised(self.head)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, c, H, W), sides multiples of 4 and from 8 on, to the same."""
        estimate = self.shrinkage(y)
        seen = torch.cat([(estimate - GRAY) * CONTRAST, (y - estimate) / self.sigma], 1)
        change = self.head(self.body(self.first(functional.pixel_unshuffle(seen, UNSHUFFLE))))
        out: Tensor = estimate + self.sigma * functional.pixel_shuffle(change, UNSHUFFLE).to(y.dtype)
        return out


def _filters(channels: int) -> tuple[Tensor, list[int]]:
    """The filters of a colour DCT of blocks, as convolutions on the unshuffled image, in PyTorch's order of channels.

    Returns:
        (k, 4 c, 4, 4), orthonormal rows; and which of them are means over a block.
    """
    frequencies = [
        (colour, row, column)
        for colour in range(channels)
        for row in range(BLOCK)
        for column in range(BLOCK)
        if colour == 0 or row + column < SMOOTH
    ]
    colours, rows, columns = (torch.tensor(list(indices)) for indices in zip(*frequencies, strict=True))
    across, along = _cosines(channels), _cosines(BLOCK)
    filters = torch.einsum("ka,ki,kj->kaij", across[colours], along[rows], along[columns])
    side = BLOCK // UNSHUFFLE
    split = filters.reshape(len(frequencies), channels, side, UNSHUFFLE, side, UNSHUFFLE)
    unshuffled = split.permute(0, 1, 3, 5, 2, 4).reshape(len(frequencies), -1, side, side)
    means = [index for index, (_, row, column) in enumerate(frequencies) if row == column == 0]
    return unshuffled.contiguous(), means


def _cosines(length: int) -> Tensor:
    """The orthonormal DCT-II of a signal: (frequencies, positions)."""
    frequency, position = torch.arange(length)[:, None], torch.arange(length)[None]
    basis = torch.cos(math.pi * (2 * position + 1) * frequency / (2 * length)) * math.sqrt(2 / length)
    return basis * torch.where(frequency == 0, math.sqrt(0.5), 1.0)
