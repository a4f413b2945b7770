"""Coil sensitivity maps: simulated, or estimated from the centre of k-space."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from reconscale.errors import UserError
from reconscale.physics.base import KSpace


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


DISTANCE, REACH = 0.75, 0.6
"""Simulated coils lie on a circle of this radius (of half a side) and reach so far (standard deviation)."""
DARK = 1e-3
"""Where the root sum of squares is below this fraction of its maximum, estimated maps are uniform."""


def simulated_maps(coils: int, rows: int, columns: int) -> Tensor:
    """Smooth maps of coils on a circle: Gaussian magnitudes, phases that turn along the circle.

    Their root sum of squares is 1 everywhere, so that the magnitude image stays what it is.

    Returns:
        (1, coils, H, W) complex64.
    """
    if coils == 1:
        return torch.ones(1, 1, rows, columns, dtype=torch.complex64)
    y, x = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    angles = 2 * math.pi * torch.arange(coils) / coils
    down, right = DISTANCE * angles.sin()[:, None, None], DISTANCE * angles.cos()[:, None, None]
    size = torch.exp(-((y - down) ** 2 + (x - right) ** 2) / (2 * REACH**2))
    phase = angles[:, None, None] + (math.pi / 2) * (y * right + x * down)
    maps = torch.polar(size, phase.expand_as(size).contiguous())
    unit: Tensor = maps / torch.linalg.vector_norm(maps, dim=0, keepdim=True)
    return unit[None]


def maps_of(y: KSpace) -> Tensor:
    """The sensitivities that a reconstruction uses: known ones, else an estimate.

    A single measured coil counts as uniform.

    Returns:
        (B, coils, H, W) complex64, with a root sum of squares of 1 (or 0 outside the body, for ESPIRiT).

    Raises:
        UserError: ESPIRiT is asked for and sigpy is not installed.
    """
    if y.maps is not None:
        return y.maps
    if y.values.shape[1] == 1:
        return torch.ones_like(y.values)
    return _espirit(y) if y.method == "espirit" else _low_resolution(y)


def combined(kspace: Tensor, maps: Tensor) -> Tensor:
    """One complex image of the coils': (B, coils, H, W) to (B, H, W), with maps whose root sum of squares is 1."""
    image: Tensor = (maps.conj() * to_image(kspace)).sum(1)
    return image


def _low_resolution(y: KSpace) -> Tensor:
    """Coil images of the middle of k-space, tapered, over their root sum of squares."""
    low = to_image(y.values * _taper(y))
    size = torch.linalg.vector_norm(low, dim=1, keepdim=True)
    bright = size > DARK * size.amax((-2, -1), keepdim=True)
    flat = 1 / math.sqrt(y.values.shape[1])
    return torch.where(bright, low / torch.where(bright, size, 1.0), flat)


def _taper(y: KSpace) -> Tensor:
    """(1, W) or (H, W): a Hann window over the columns (for points: also the rows) that were all measured."""
    first, count = y.center
    rows, columns = y.values.shape[-2:]
    window = torch.hann_window(count + 2, periodic=False)[1:-1]
    across = torch.zeros(columns)
    across[first : first + count] = window
    # Of the rows, as few as of the columns: the maps are as smooth in both directions.
    side = min(count, rows)
    along, top = torch.zeros(rows), (rows - side + 1) // 2
    along[top : top + side] = torch.hann_window(side + 2, periodic=False)[1:-1]
    return (along[:, None] * across).to(y.values.device)


def _espirit(y: KSpace) -> Tensor:
    from deepinv.physics import MultiCoilMRI

    try:
        real = torch.view_as_real(y.values).movedim(-1, 1).contiguous()
        maps: Tensor = MultiCoilMRI.estimate_coil_maps(real, calib_size=y.center[1])
    except ImportError as error:
        raise UserError("problem.maps", "'espirit' needs the package sigpy, which is not installed",
                      "pip install 'reconscale[espirit]', or use \"lowres\"") from error  # fmt: skip
    return maps.to(y.values.device)
