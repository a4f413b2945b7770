"""The centred, orthonormal Fourier transform of MRI on tensors, deepinv's (equal to fastMRI's)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from reconscale.imaging.example import KSpace


def to_kspace(image: Tensor) -> Tensor:
    """Complex (..., H, W) to complex (..., H, W)."""
    kspace: Tensor = _transforms().fft(image)
    return kspace


def to_image(kspace: Tensor) -> Tensor:
    """Complex (..., H, W) to complex (..., H, W): the inverse of :func:`to_kspace`."""
    image: Tensor = _transforms().ifft(kspace)
    return image


@lru_cache(maxsize=1)
def _transforms() -> Any:
    with torch.device("cpu"):  # deepinv keeps tensors of its own, also where a network is only counted
        from deepinv.utils.mixins import MRIMixin

    return MRIMixin


def center_crop(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle (..., h, w) of (..., H, W), placed as fastMRI does: begins at (length - size) // 2."""
    top, left = (image.shape[-2] - size[0]) // 2, (image.shape[-1] - size[1]) // 2
    return image[..., top : top + size[0], left : left + size[1]]


def magnitude(coil_images: Tensor) -> Tensor:
    """Root sum of squares over coils: complex (B, coils, H, W) to real (B, 1, H, W).

    The gradient at zero is zero, not NaN: simulated images have empty borders.
    """
    energy = torch.view_as_real(coil_images).square().sum((1, -1)).unsqueeze(1)
    positive = energy > 0
    return torch.where(positive, torch.where(positive, energy, 1.0).sqrt(), 0.0)


def zero_filled(y: KSpace) -> Tensor:
    """Magnitude image of k-space with zeros where nothing was measured: (B, 1, h, w)."""
    return center_crop(magnitude(to_image(y.values)), y.size)
