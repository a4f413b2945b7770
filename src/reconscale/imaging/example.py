"""What passes between a problem and a network: images as they were measured, and as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class KSpace:
    """The measured k-space of B slices of one shape.

    Attributes:
        values: (B, coils, H, W) complex64; zero where it was not measured.
        mask: (B, 1, 1, W) or (B, 1, H, W) bool: what was measured.
        center: (first, count) of the columns (of points: also of the rows) in the middle that were measured without
            gaps.
        size: (h, w) of the magnitude image to be reconstructed: the middle of the (H, W) image.
        maps: (B, coils, H, W) complex64 sensitivities of simulated coils; none: they must be estimated.
        method: how they are estimated: ``lowres`` or ``espirit``.
    """

    values: Tensor
    mask: Tensor
    center: tuple[int, int]
    size: tuple[int, int]
    maps: Tensor | None = None
    method: str = "lowres"


@dataclass(frozen=True)
class Sensed:
    """What a linear operator has measured of B images of one shape.

    Attributes:
        values: (B, ...) as the operator gives them.
        image: (B, C, h, w) filtered from the values: what a network is given.
        operator: gives A and its adjoint, for reconstruction without learning; none: not known.
    """

    values: Tensor
    image: Tensor
    operator: Any = None


@dataclass(frozen=True)
class Example:
    """B images of one shape.

    Attributes:
        y: what was measured, and what a network is given: (B, C, H, W), k-space, or values with their filtered image.
        x: (B, C, h, w) the truth.
        scale: (B,) the data range of the truth: 1 of images, the maximum of volumes.
        peak: (B,) the data range that evaluation uses: of volumes the maximum of their square centre crops.
        names: of the images, where their noise is fixed by them.
    """

    y: Tensor | KSpace | Sensed
    x: Tensor
    scale: Tensor
    peak: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)
