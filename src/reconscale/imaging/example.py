"""What passes between a problem and a network: images as they were measured, and as they are."""

from __future__ import annotations

from dataclasses import dataclass

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
class Example:
    """B images of one shape.

    Attributes:
        y: what was measured, and what a network is given: (B, C, H, W), or k-space.
        x: (B, C, h, w) the truth.
        scale: (B,) the data range of the truth: 1 of images, the maximum of volumes.
        peak: (B,) the data range that evaluation uses: of volumes the maximum of their square centre crops.
    """

    y: Tensor | KSpace
    x: Tensor
    scale: Tensor
    peak: Tensor

    def __len__(self) -> int:
        return len(self.x)
