"""Networks from k-space to magnitude images."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from reconscale.networks.family import zero_initialised
from reconscale.networks.unet import UNet
from reconscale.physics.base import KSpace
from reconscale.physics.mri_coils import center_crop, combined, magnitude, maps_of, to_image, to_kspace, zero_filled

MOST = 6.0
"""Normalised inputs are clipped to this many standard deviations (official code)."""
SENS_WIDTH, SENS_DEPTH = 8, 4
"""The U-Net that estimates the sensitivities: fastMRI's."""


class ZeroFilledUNet(nn.Module):
    """The paper's network for MRI: the U-Net, not residual, on the zero-filled magnitude image.

    The image is normalised by its own mean and standard deviation and clipped to +-6; the output is scaled back.

    Source: Zbontar et al. 2018 (fastMRI), as used by Klug and Heckel 2023, section 4. At depth 4 it has
    7574 w**2 + 10 w + 1 parameters.

    Args:
        width: channels of the first level.
        depth: how many times the image is halved.
        residual: whether it predicts what to take away from the zero-filled image; the paper's does not.
        norm: ``instance`` or ``none``.
        zero_head: whether the last convolution starts at zero.
    """

    def __init__(
        self, width: int, depth: int, *, residual: bool = False, norm: str = "instance", zero_head: bool = False
    ) -> None:
        super().__init__()
        self.unet = UNet(1, width, depth, residual=False, norm=norm, zero_head=zero_head)
        self.residual = residual

    def forward(self, y: KSpace) -> Tensor:
        """Map k-space to magnitude images (B, 1, h, w)."""
        image = zero_filled(y)
        mean, std = image.mean((1, 2, 3), keepdim=True), image.flatten(1).std(1)[:, None, None, None] + 1e-11
        x: Tensor = self.unet(((image - mean) / std).clamp(-MOST, MOST)).float()
        return image - x * std if self.residual else x * std + mean


class Unrolled(nn.Module):
    """A cascade of small convolutional networks with data consistency in between; complex images, few parameters.

    x <- z - s A*(A z - y) with z = x + CNN(x) and a learned step s, which begins at 1: with one coil, that puts the
    measured values back. Every cascade has weights of its own. The CNN has no normalisation.

    Source: Schlemper et al. 2018 (IEEE TMI 37(2), 491-503); a gradient step instead of the closed form, as several
    coils have none. cascades * ((depth - 2) 9 w**2 + (36 + depth - 1) w + 3) parameters.

    Args:
        width: channels of the hidden layers.
        depth: convolution layers of a CNN.
        cascades: how often CNN and measurement take turns.
    """

    def __init__(self, width: int, depth: int, cascades: int) -> None:
        super().__init__()
        self.cnns = nn.ModuleList(_cnn(width, depth) for _ in range(cascades))
        self.steps = nn.Parameter(torch.ones(cascades))

    def forward(self, y: KSpace) -> Tensor:
        """Map k-space to magnitude images (B, 1, h, w)."""
        maps = maps_of(y)
        scale = zero_filled(y).amax((1, 2, 3), keepdim=True).clamp_min(1e-30)
        kspace = y.values / scale
        x = combined(kspace, maps)
        for cnn, step in zip(self.cnns, self.steps, strict=True):
            change = cnn(torch.view_as_real(x).movedim(-1, 1))
            z = x + torch.view_as_complex(change.float().movedim(1, -1).contiguous())
            misfit = to_kspace(maps * z[:, None]) * y.mask - kspace
            x = z - step * combined(misfit, maps)
        image: Tensor = center_crop(magnitude(x[:, None]), y.size) * scale
        return image


class VarNet(nn.Module):
    """The end-to-end variational network: cascades in k-space, and sensitivities estimated by a network of their own.

    k <- k - s M (k - y) - F S U(S* F* k), with a U-Net U and a step s for every cascade.

    Source: Sriram et al. 2020 (arXiv 2004.06688), as in fastMRI; with 12 cascades of width 18 it has 29.9 M parameters.

    Args:
        width: channels of the first level of the cascades' U-Nets.
        depth: how many times they halve the image.
        cascades: how many there are.
        zero_head: whether its U-Nets start at zero; those of the cascades then change nothing, and sensitivities start
            as the images of the middle of k-space.
    """

    def __init__(self, width: int, depth: int, cascades: int, *, zero_head: bool = False) -> None:
        super().__init__()
        self.sensitivities = NormUNet(SENS_WIDTH, SENS_DEPTH, zero_head=zero_head)
        self.cascades = nn.ModuleList(NormUNet(width, depth, zero_head=zero_head) for _ in range(cascades))
        self.refines = zero_head
        self.steps = nn.Parameter(torch.ones(cascades))

    def forward(self, y: KSpace) -> Tensor:
        """Map k-space to magnitude images (B, 1, h, w)."""
        maps, kspace = self._maps(y), y.values
        for unet, step in zip(self.cascades, self.steps, strict=True):
            refined = unet(combined(kspace, maps)[:, None])
            kspace = kspace - step * (kspace - y.values) * y.mask - to_kspace(maps * refined)
        return center_crop(magnitude(to_image(kspace)), y.size)

    def _maps(self, y: KSpace) -> Tensor:
        """(B, coils, H, W) complex64: every coil's image of the middle of k-space, refined, over their norm."""
        first, count = y.center
        middle = torch.zeros_like(y.values)
        middle[..., first : first + count] = y.values[..., first : first + count]
        images = to_image(middle)
        coils = self.sensitivities(images.flatten(0, 1)[:, None]).reshape(images.shape)
        coils = coils + images if self.refines else coils
        maps: Tensor = coils / magnitude(coils).clamp_min(1e-30)
        return maps


class NormUNet(nn.Module):
    """The U-Net on complex images, normalised by the mean and standard deviation of their real and imaginary parts.

    Source: fastMRI's NormUnet.

    Args:
        width: channels of the first level.
        depth: how many times the image is halved.
        zero_head: whether it starts by giving zeros; the mean is then not added to what the U-Net gives.
    """

    def __init__(self, width: int, depth: int, *, zero_head: bool = False) -> None:
        super().__init__()
        self.unet = UNet(2, width, depth, residual=False)
        self.multiple, self.adds_mean = 2**depth, not zero_head
        if zero_head:
            zero_initialised(self.unet.head)

    def forward(self, x: Tensor) -> Tensor:
        """Map complex images (B, 1, H, W) to the same."""
        planes = torch.view_as_real(x[:, 0]).movedim(-1, 1)
        mean = planes.mean((2, 3), keepdim=True)
        std = planes.flatten(2).std(2)[..., None, None].clamp_min(1e-30)
        rows, columns = planes.shape[-2:]
        down, right = (-rows) % self.multiple, (-columns) % self.multiple
        padding = (right // 2, right - right // 2, down // 2, down - down // 2)
        out = self.unet(functional.pad((planes - mean) / std, padding)).float()
        out = out[..., padding[2] : padding[2] + rows, padding[0] : padding[0] + columns] * std
        out = out + mean if self.adds_mean else out
        return torch.view_as_complex(out.movedim(1, -1).contiguous())[:, None]


def _cnn(width: int, depth: int) -> nn.Sequential:
    widths = [2, *[width] * (depth - 1), 2]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
    last = layers[-2]
    assert isinstance(last, nn.Conv2d)
    zero_initialised(last)  # a cascade begins by changing nothing
    return nn.Sequential(*layers[:-1])
