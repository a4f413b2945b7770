"""Metric profiles: what a number in a result means. Named, because conventions differ by more than the effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconscale.study.problems import KINDS

_of_slices = {kind: bool(getattr(model, "volumes", False)) for kind, model in KINDS.items()}
IMAGES = tuple(kind for kind, volumes in _of_slices.items() if not volumes)
VOLUMES = tuple(kind for kind, volumes in _of_slices.items() if volumes)
"""The problems whose truths are images in [0, 1], and those whose truths are slices of volumes of any scale."""


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
        problems: the kinds of problems that it is measured for.
        over: what one value is of, and what is averaged: an ``image`` (slice) or a ``volume``.
        truth: whether it compares with a ``clean`` truth, or does without one (``noisy``).
    """

    name: str
    kind: Literal["psnr", "ssim", "error"]
    channel: Literal["all", "y"]
    clip: bool
    window: int
    unit: str
    description: str
    problems: tuple[str, ...] = IMAGES
    over: Literal["image", "volume"] = "image"
    truth: Literal["clean", "noisy"] = "clean"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better image."""
        return self.kind != "error"


_ALL = (
    Profile(
        "mse",
        "error",
        "all",
        False,
        0,
        "",
        "mean squared error over all pixels and channels, not clipped; range 1, of volumes: their maximum",
        (*IMAGES, *VOLUMES),
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
        "psnr-y-crop-s",
        "psnr",
        "y",
        True,
        0,
        "dB",
        "PSNR of the luma (BT.601, 16 to 235), image and luma rounded to 8 bit, without a border as wide as the factor "
        "(the convention of super-resolution)",
        ("superresolution",),
    ),
    Profile(
        "psnr-from-noisy",
        "psnr",
        "all",
        False,
        0,
        "dB",
        "PSNR of the mean squared error over all test images, estimated without the truth from two copies of each "
        "noisy image with independent noise; of denoising 1.12 times the noise",
        ("denoising",),
        "volume",
        "noisy",
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


def _of_volumes(metric: Literal["psnr", "ssim", "error"], over: Literal["image", "volume"], how: str) -> Profile:
    name = {"psnr": "psnr", "ssim": "ssim", "error": "nmse"}[metric]
    word = "volume" if over == "volume" else "slice"
    window, unit = (7 if metric == "ssim" else 0), ("dB" if metric == "psnr" else "")
    return Profile(f"{name}-fastmri-{word}-v1", metric, "all", False, window, unit, how, VOLUMES, over)


_SQUARE = "of magnitudes over the square centre crop"
_MRI = (
    _of_volumes("ssim", "volume", f"SSIM {_SQUARE}: 7x7 uniform window, sample covariance, the volume's maximum as "
                "range; mean over slices, then volumes (fastMRI's evaluation)"),
    _of_volumes("psnr", "volume", f"PSNR {_SQUARE}, from a volume's mean squared error and its maximum; mean over "
                "volumes of the dB (fastMRI's evaluation)"),
    _of_volumes("error", "volume", f"squared error {_SQUARE} over the squares of the truth, of a whole volume; mean "
                "over volumes (fastMRI's evaluation)"),
    _of_volumes("ssim", "image", "as ssim-fastmri-volume-v1, the slice's own maximum as range; mean over slices"),
    _of_volumes("psnr", "image", "as psnr-fastmri-volume-v1, the slice's own error and maximum; mean over slices"),
    _of_volumes("error", "image", "as nmse-fastmri-volume-v1, slice by slice; mean over slices"),
)  # fmt: skip

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (*_ALL, *_MRI)}

WITHOUT_TRUTH = "psnr-from-noisy"
"""The metric of studies whose images are noisy themselves."""

DEFAULT_PROFILES = {
    **dict.fromkeys(IMAGES, "psnr-rgb-clip"),
    "superresolution": "psnr-y-crop-s",
    "mri": "ssim-fastmri-volume-v1",
}
"""The metric that curves of a problem are drawn in unless a study says otherwise."""


def profiles_of(kind: str, over: Literal["image", "volume"] | None = None, truth: str = "clean") -> tuple[str, ...]:
    """The names of the profiles that a kind of problem is measured in.

    Args:
        kind: a problem's kind.
        over: only those of images, or only those of volumes; none: all.
        truth: those that compare with a ``clean`` truth, or those that do without one (``noisy``).
    """
    fitting = [p for p in PROFILES.values() if kind in p.problems and p.truth == truth]
    return tuple(p.name for p in fitting if over in (None, p.over))
