"""Convolutional networks: the linear estimator, residual ones, those for super-resolution, and those of deepinv."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconscale.networks.family import zero_initialised
from reconscale.physics.superresolution import upscale

MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, which EDSR takes away first."""
UNSHUFFLE = 2
"""Blocks of this many by this many pixels become channels: a quarter of the positions, four times the channels."""
GRAY, CONTRAST = 0.45, 4.0
"""The mean of photographs in [0, 1], and one over their standard deviation: inputs are centred and scaled by them."""

DETAIL = 0.1
"""What is added to an enlarged image is scaled by this: about what photographs have above half of the frequencies."""

REACH = 10.0
"""What is added is the last convolution times this and the scale (of denoising: the standard deviation of the noise).
With less, that convolution, which starts at zero, spends the first hundreds of steps on becoming large enough."""


class LinearFilter(nn.Module):
    """The linear estimator: one convolution without bias or activation, zero before training.

    Trained by early-stopped gradient descent it is the estimator of the theory, restricted to linear maps that are the
    same everywhere and see ``2 width + 1`` pixels a side. Of small images, one such map for each pixel of a block.

    Args:
        channels: of the image.
        width: pixels that are seen on each side.
        factor: how many times images are enlarged (sub-pixel).
    """

    def __init__(self, channels: int, width: int, factor: int = 1) -> None:
        super().__init__()
        side = 2 * width + 1
        self.filter = nn.Conv2d(channels, channels * factor**2, side, padding=width, padding_mode="zeros", bias=False)
        nn.init.zeros_(self.filter.weight)
        self.factor = factor

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, C, h, w) to (B, C, factor h, factor w)."""
        return functional.pixel_shuffle(self.filter(y), self.factor)


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
        scale: of what is added, for images in [0, 1]; of denoising the standard deviation of the noise.
        zero_head: whether the last convolution starts at zero; the untrained network then gives back its input.
    """

    def __init__(self, channels: int, width: int, depth: int, scale: float, *, zero_head: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.first = nn.Conv2d(UNSHUFFLE**2 * channels, width, 3, padding=1)
        self.blocks = residual_blocks(width, depth)
        self.head = nn.Conv2d(width, UNSHUFFLE**2 * channels, 3, padding=1)
        if zero_head:
            zero_initialised(self.head)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, c, H, W), sides multiples of 2, to the same."""
        features = self.first(functional.pixel_unshuffle((y - GRAY) * CONTRAST, UNSHUFFLE))
        change = functional.pixel_shuffle(self.head(self.blocks(features)), UNSHUFFLE)
        return y + REACH * self.scale * change.to(y.dtype)


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
        self.blocks = residual_blocks(width, depth)
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


def residual_blocks(width: int, depth: int) -> nn.Sequential:
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

    Source: the layout of DRUNet (Zhang et al. 2021) with the blocks of ``ResNet``.

    Args:
        width: channels in and out.
        depth: residual blocks on each side.
        below: residual blocks at half the resolution.
    """

    def __init__(self, width: int, depth: int, below: int) -> None:
        super().__init__()
        self.before, self.after = residual_blocks(width, depth), residual_blocks(width, depth)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.below = residual_blocks(2 * width, below)
        self.up = nn.Conv2d(2 * width, 4 * width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, width, h, w), sides multiples of 2, to the same."""
        x = self.before(x)
        below = functional.pixel_shuffle(self.up(self.below(self.down(x))), 2)
        out: Tensor = self.after(x + below)
        return out


class EDSR(nn.Module):
    """Residual blocks without normalisation on the small image, then a pixel shuffle.

    Source: Lim et al. 2017 (arXiv 1707.02921): the baseline is width 64, depth 16 (at factor 2: 1,369,859 parameters);
    the large one width 256, depth 32 (40,729,603). It is SRResNet without batch normalisation. Branches are scaled by
    64 / width above width 64, a quarter at 256; the paper has a tenth there. With factor 1 it predicts what to add.

    Args:
        channels: of the image.
        width: channels of the features.
        depth: residual blocks.
        factor: 1, 2, 3, 4 or 8.
        zero_head: whether the last convolution starts at zero; it then predicts what to add to bicubic interpolation.
    """

    def __init__(self, channels: int, width: int, depth: int, factor: int, *, zero_head: bool = False) -> None:
        super().__init__()
        mean = torch.tensor(MEAN if channels == 3 else (sum(MEAN) / 3,) * channels)
        self.register_buffer("mean", mean.view(1, -1, 1, 1), persistent=False)
        self.factor = factor
        self.head = _conv(channels, width)
        self.blocks = nn.ModuleList(_Residual(width) for _ in range(depth))
        self.body = _conv(width, width)
        self.up = _shuffles(width, factor)
        self.tail = _conv(width, channels)
        self.interpolates = zero_head
        if zero_head:
            zero_initialised(self.tail)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, C, h, w) to (B, C, factor h, factor w)."""
        mean = self.mean
        assert isinstance(mean, Tensor)
        first = features = self.head(y - mean)
        for block in self.blocks:
            features = block(features)
        out: Tensor = self.tail(self.up(self.body(features) + first))
        if self.factor == 1:
            return out + y
        return out + (upscale(y, self.factor) if self.interpolates else mean)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _conv(width, width), _conv(width, width)
        self.scale = min(1.0, 64 / width)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(functional.relu(self.first(x), inplace=True))
        return x + change * self.scale


def _shuffles(width: int, factor: int) -> nn.Sequential:
    """Twofold shuffles for powers of two, one for three."""
    layers: list[nn.Module] = []
    steps = [3] if factor == 3 else [2] * (factor.bit_length() - 1)
    for step in steps:
        layers += [_conv(width, width * step**2), nn.PixelShuffle(step)]
    return nn.Sequential(*layers)


class RFDN(nn.Module):
    """Residual feature distillation: light blocks with spatial attention, on the small image.

    Source: Liu et al. 2020 (arXiv 2009.11551), winner of the AIM 2020 challenge: width 50, depth 4 (at factor 4:
    433,448 parameters).

    Args:
        channels: of the image.
        width: channels of the features; half of them, rounded down, are kept by each distillation.
        depth: blocks.
        factor: how many times images are enlarged; with 1 it predicts what to add.
        zero_head: whether the last convolution starts at zero; it then predicts what to add to bicubic interpolation.
    """

    def __init__(self, channels: int, width: int, depth: int, factor: int, *, zero_head: bool = False) -> None:
        super().__init__()
        self.factor, self.interpolates = factor, zero_head
        self.head = _conv(channels, width)
        self.blocks = nn.ModuleList(_Distillation(width) for _ in range(depth))
        self.join = nn.Conv2d(width * depth, width, 1)
        self.body = _conv(width, width)
        self.tail = _conv(width, channels * factor**2)
        if zero_head:
            zero_initialised(self.tail)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, C, h, w) to (B, C, factor h, factor w)."""
        first = features = self.head(y)
        kept = []
        for block in self.blocks:
            features = block(features)
            kept.append(features)
        joined = functional.leaky_relu(self.join(torch.cat(kept, 1)), 0.05)
        out = functional.pixel_shuffle(self.tail(self.body(joined) + first), self.factor)
        if self.factor == 1:
            return out + y
        return out + upscale(y, self.factor) if self.interpolates else out


class _Distillation(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        kept = max(1, width // 2)
        self.keep = nn.ModuleList(nn.Conv2d(width, kept, 1) for _ in range(3))
        self.refine = nn.ModuleList(_conv(width, width) for _ in range(3))
        self.last = _conv(width, kept)
        self.join = nn.Conv2d(4 * kept, width, 1)
        self.attention = _Attention(width)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for keep, refine in zip(self.keep, self.refine, strict=True):
            kept.append(functional.leaky_relu(keep(x), 0.05))
            x = functional.leaky_relu(refine(x) + x, 0.05)
        kept.append(functional.leaky_relu(self.last(x), 0.05))
        out: Tensor = self.attention(self.join(torch.cat(kept, 1)))
        return out


class _Attention(nn.Module):
    """Enhanced spatial attention: a mask computed at a sixth of the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = max(1, width // 4)
        self.reduce, self.skip, self.expand = (
            nn.Conv2d(before, after, 1) for before, after in ((width, narrow), (narrow, narrow), (narrow, width))
        )
        self.stride = nn.Conv2d(narrow, narrow, 3, stride=2)
        self.convs = nn.ModuleList(_conv(narrow, narrow) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.reduce(x)
        small = self.stride(reduced)
        small = functional.max_pool2d(small, [min(7, side) for side in small.shape[-2:]], stride=3)
        for index, conv in enumerate(self.convs):
            small = conv(small) if index == 2 else functional.relu(conv(small))
        mask = functional.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.expand(mask + self.skip(reduced)))


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)


def dncnn(channels: int, width: int, depth: int, *, zero_head: bool = False) -> nn.Module:
    """DnCNN without normalisation, from deepinv; it predicts what to add to its input."""
    with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
        from deepinv.models import DnCNN

    device = torch.get_default_device()  # DnCNN moves itself to its argument's device
    network = DnCNN(channels, channels, depth=depth, nf=width, pretrained=None, device=device)
    if zero_head:
        zero_initialised(network.out_conv)
    return network  # type: ignore[no-any-return]


class DRUNetAt(nn.Module):
    """DRUNet from deepinv, for one level of noise.

    Args:
        channels: of the image.
        width: channels of the first level; every level below doubles them.
        depth: residual blocks a level.
        sigma: the level of noise, one of its inputs.
        zero_head: whether the last convolution starts at zero; it then predicts what to add to its input.
    """

    def __init__(self, channels: int, width: int, depth: int, sigma: float, *, zero_head: bool = False) -> None:
        super().__init__()
        with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
            from deepinv.models import DRUNet

        widths, device = tuple(width * 2**level for level in range(4)), torch.get_default_device()
        self.network = DRUNet(channels, channels, nc=widths, nb=depth, pretrained=None, device=device)
        self.sigma, self.residual = sigma, zero_head
        if zero_head:
            zero_initialised(self.network.m_tail)

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, C, H, W), sides multiples of 8 from 32 on, to the same."""
        x: Tensor = self.network(y, self.sigma)
        return y + x if self.residual else x
