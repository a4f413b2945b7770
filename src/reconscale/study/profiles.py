"""Metric profiles: what a number in a result means. Named, because conventions differ by more than the effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Profile:
    """How an image is compared with the truth.

    Attributes:
        name: the word in study files, results and figures; a profile never changes its meaning, it gets a new name.
        kind: ``psnr`` (dB, larger is better), ``ssim`` (at most 1, larger is better) or ``error`` (smaller is better).
        channel: ``all`` channels together, or the luma ``y`` of BT.601 in its 16 to 235 range.
        clip: whether the reconstruction is clipped to [0, 1] first.
        window: side of the uniform SSIM window; 0 for the others.
        unit: what is written behind the number.
        description: one sentence for the report.
    """

    name: str
    kind: Literal["psnr", "ssim", "error"]
    channel: Literal["all", "y"]
    clip: bool
    window: int
    unit: str
    description: str

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better image."""
        return self.kind != "error"


_ALL = (
    Profile(
        "mse", "error", "all", False, 0, "", "mean squared error over all pixels and channels, range 1, not clipped"
    ),
    Profile(
        "psnr-rgb-clip",
        "psnr",
        "all",
        True,
        0,
        "dB",
        "PSNR of the clipped image, range 255, not rounded; mean over images of the dB (the official code's)",
    ),
    Profile(
        "psnr-y",
        "psnr",
        "y",
        True,
        0,
        "dB",
        "PSNR of the luma (BT.601, 16 to 235) of the clipped image, range 255; of a grey image as it is",
    ),
    Profile(
        "ssim-uniform7",
        "ssim",
        "all",
        True,
        7,
        "",
        "SSIM, 7x7 uniform window, sample covariance, per channel, clipped, range 255 (scikit-image's default)",
    ),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in _ALL}
