"""A residual network on pixel-unshuffled images: small and fast on a CPU."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from reconscale.networks.family import zero_initialised
from reconscale.physics.superresolution import upscale

UNSHUFFLE = 2
"""Blocks of this many by this many pixels become channels: a quarter of the positions, four times the channels."""
GRAY, CONTRAST = 0.45, 4.0
"""The mean of photographs in [0, 1], and one over their standard deviation: inputs are centred and scaled by them."""

DETAIL = 0.1
"""The unit of what is added to an enlarged image: about what photographs have above half of the frequencies."""

REACH = 10.0
"""The output is the last convolution times this many units (of denoising: standard deviations of the noise).
With less, that convolution, which starts at zero, spends the first hundreds of steps on becoming large enough."""


class ResNet(nn.Module):
    """Residual blocks on a pixel-unshuffled image; it predicts what to add to its input.

    Unshuffle by 2, a 3x3 convolution, ``depth`` residual blocks, a 3x3 convolution, shuffle. There is no normalisation,
    and every convolution has a bias. With c channels of the image it has 18 depth width^2 + (72 c + 2 depth + 1) width
    + 4 c parameters.

    Source: the blocks of EDSR (Lim et al. 2017) on the downsampled input of FFDNet (Zhang et al. 2018).

    Args:
        channels: channels c of the image, in and out.
        width: channels of the features.
        depth: residual blocks.
        unit: of what is added, for images in [0, 1]: of denoising the standard deviation of the noise.
        zero_head: whether the last convolution starts at zero; the untrained network then gives back its input.
    """

    def __init__(self, channels: int, width: int, depth: int, unit: float, *, zero_head: bool = False) -> None:
        super().__init__()
        self.unit = unit
        self.first = nn.Conv2d(UNSHUFFLE**2 * channels, width, 3, padding=1)
        self.blocks = blocks(width, depth)
        self.head = nn.Conv2d(width, UNSHUFFLE**2 * channels, 3, padding=1)
        if zero_head:
            zero_initialised(self.head)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, c, H, W), sides multiples of 2, to the same."""
        features = self.first(functional.pixel_unshuffle((y - GRAY) * CONTRAST, UNSHUFFLE))
        change = functional.pixel_shuffle(self.head(self.blocks(features)), UNSHUFFLE)
        return y + REACH * self.unit * change.to(y.dtype)


class SubpixelResNet(nn.Module):
    """Residual blocks on a small image, and a pixel shuffle; it predicts what to add to bicubic interpolation.

    A 3x3 convolution, ``depth`` residual blocks, a 3x3 convolution to factor^2 c channels, shuffle. The small image is
    not unshuffled: that would lose details before the first convolution has seen them (at factor 2 it cost 0.5 dB after
    20 s of training). With c channels of the image it has 18 depth width^2 + (9 c (factor^2 + 1) + 2 depth + 1) width
    + factor^2 c parameters.

    Source: the blocks of EDSR (Lim et al. 2017) with the end of ESPCN (Shi et al. 2016).

    Args:
        channels: channels c of the image, in and out.
        width: channels of the features.
        depth: residual blocks.
        factor: how many times images are enlarged.
        zero_head: whether the last convolution starts at zero; the untrained network is then bicubic interpolation.
    """

    def __init__(self, channels: int, width: int, depth: int, factor: int, *, zero_head: bool = False) -> None:
        super().__init__()
        self.factor = factor
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = blocks(width, depth)
        self.head = nn.Conv2d(width, factor**2 * channels, 3, padding=1)
        if zero_head:
            zero_initialised(self.head)

    def forward(self, y: Tensor) -> Tensor:
        """Map small images (B, c, h, w) to (B, c, factor h, factor w)."""
        details = self.head(self.blocks(self.first((y - GRAY) * CONTRAST)))
        return upscale(y.float(), self.factor) + DETAIL * functional.pixel_shuffle(details.float(), self.factor)


class ResidualBlock(nn.Module):
    """x + 3x3 convolution, ReLU, 3x3 convolution; the identity before training, as the second one starts at zero.

    Source: Lim et al. 2017 (EDSR); the zeros: Goyal et al. 2017 and Zhang et al. 2019 (Fixup).

    Args:
        width: channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        zero_initialised(self.second)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, width, h, w) to the same."""
        change: Tensor = self.second(functional.relu(self.first(x), inplace=True))
        return x + change


def blocks(width: int, depth: int) -> nn.Sequential:
    """Residual blocks, one after the other: (B, width, h, w) to the same.

    Args:
        width: channels in and out.
        depth: how many.
    """
    return nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))


class TwoScales(nn.Module):
    """Residual blocks at two scales: a U-Net of one level, whose skip connection adds.

    ``depth`` blocks of ``width``; a 2x2 convolution that halves the sides and doubles the channels; twice as many
    blocks there; a 1x1 convolution and pixel shuffle back, added to what went down; ``depth`` blocks of ``width``.

    Source: the layout of DRUNet (Zhang et al. 2021) with the blocks above.

    Args:
        width: channels in and out.
        depth: residual blocks on each side.
        below: residual blocks at half the resolution.
    """

    def __init__(self, width: int, depth: int, below: int) -> None:
        super().__init__()
        self.before, self.after = blocks(width, depth), blocks(width, depth)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.below = blocks(2 * width, below)
        self.up = nn.Conv2d(2 * width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, width, h, w), sides multiples of 2, to the same."""
        x = self.before(x)
        below = functional.pixel_shuffle(self.up(self.below(self.down(x))), 2)
        out: Tensor = self.after(x + below)
        return out
