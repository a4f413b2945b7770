"""Metric profiles: named metric conventions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from reconscale.laws.metrics import METRICS
from reconscale.study.problems import PROBLEMS


@dataclass(frozen=True)
class Profile:
    """How an image is compared with the truth.

    Attributes:
        name: the word in study files, results and figures; a profile never changes its meaning, it gets a new name.
        kind: ``psnr`` (dB, larger is better), ``ssim`` (at most 1, larger is better), ``error`` (smaller is better), or
            another name in ``METRICS``, which says the direction, the unit of gains and the bounds.
        channel: ``all`` channels together, or the luma ``y`` of BT.601 in its 16 to 235 range.
        clip: whether the reconstruction is clipped to [0, 1] first.
        window: side of the uniform SSIM window; 0 for the others.
        unit: ``dB``, or nothing.
        description: one sentence for the report.
        function: compares images: (x_hat, x), both (B, C, H, W) with x in [0, 1], to (B,) float64; or ``module:name``
            of such a function, imported when something is measured. None: the problem measures it itself.
        takes: ``images`` in [0, 1], slices of ``volumes`` of any scale, or ``both``.
        problems: the only kinds of problems that it is for; none: all whose truths it takes.
        border: whether a border as wide as the factor of super-resolution is left out; the function is then given the
            factor as well.
        over: what one value is of, and what is averaged: an ``image`` (slice) or a ``volume``.
        truth: whether it compares with a ``clean`` truth, or does without one (``noisy``).
    """

    name: str
    kind: str
    channel: Literal["all", "y"] = "all"
    clip: bool = False
    window: int = 0
    unit: str = ""
    description: str = ""
    function: str | Callable[..., Any] | None = None
    takes: Literal["images", "volumes", "both"] = "images"
    problems: tuple[str, ...] = ()
    border: bool = False
    over: Literal["image", "volume"] = "image"
    truth: Literal["clean", "noisy"] = "clean"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better image."""
        return METRICS[self.kind].better == "higher"

    def fits(self, kind: str) -> bool:
        """Whether a kind of problem is measured in it."""
        given = "volumes" if PROBLEMS[kind].volumes else "images"
        return self.takes in (given, "both") and (not self.problems or kind in self.problems)


_METRICS = "reconscale.physics.metrics"

_ALL = (
    Profile(
        "mse",
        "error",
        "all",
        False,
        0,
        "",
        "mean squared error over all pixels and channels, not clipped; range 1, of volumes: their maximum",
        f"{_METRICS}:mse",
        takes="both",
    ),
    Profile(
        "psnr-rgb-clip",
        "psnr",
        "all",
        True,
        0,
        "dB",
        "PSNR of the clipped image, range 255, not rounded; mean over images of the dB (the official code's)",
        f"{_METRICS}:psnr_rgb_clip",
    ),
    Profile(
        "psnr-y",
        "psnr",
        "y",
        True,
        0,
        "dB",
        "PSNR of the luma (BT.601, 16 to 235) of the clipped image, range 255; of a grey image as it is",
        f"{_METRICS}:psnr_y",
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
        f"{_METRICS}:psnr_y_crop",
        problems=("superresolution",),
        border=True,
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
        problems=("denoising",),
        over="volume",
        truth="noisy",
    ),
    Profile(
        "ssim-uniform7",
        "ssim",
        "all",
        True,
        7,
        "",
        "SSIM, 7x7 uniform window, sample covariance, per channel, clipped, range 255 (scikit-image's default)",
        f"{_METRICS}:ssim_uniform7",
    ),
)


def _of_volumes(metric: Literal["psnr", "ssim", "error"], over: Literal["image", "volume"], how: str) -> Profile:
    name = {"psnr": "psnr", "ssim": "ssim", "error": "nmse"}[metric]
    word = "volume" if over == "volume" else "slice"
    window, unit = (7 if metric == "ssim" else 0), ("dB" if metric == "psnr" else "")
    return Profile(f"{name}-fastmri-{word}-v1", metric, "all", False, window, unit, how, takes="volumes", over=over)


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


def _aligned(metric: Literal["psnr", "ssim", "error"], how: str) -> Profile:
    name = {"psnr": "psnr", "ssim": "ssim", "error": "mse"}[metric]
    window, unit = (7 if metric == "ssim" else 0), ("dB" if metric == "psnr" else "")
    said = f"{how} after one gain and one offset for each image were fitted to the truth by least squares, not clipped "
    return Profile(f"{name}-affine", metric, "all", False, window, unit, f"{said}(CARE's convention); range 1",
                   f"{_METRICS}:{name}_affine", problems=("pairs",))  # fmt: skip


_PAIRS = (
    _aligned("error", "mean squared error over all pixels and channels"),
    _aligned("psnr", "PSNR over all pixels and channels"),
    _aligned("ssim", "SSIM, 7x7 uniform window, sample covariance, per channel,"),
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (*_ALL, *_MRI, *_PAIRS)}
"""The metrics by name. A new one is a function and an entry here."""


def profiles_of(kind: str, over: Literal["image", "volume"] | None = None, truth: str = "clean") -> tuple[str, ...]:
    """The names of the profiles that a kind of problem is measured in.

    Args:
        kind: a problem's kind.
        over: only those of images, or only those of volumes; none: all.
        truth: those that compare with a ``clean`` truth, or those that do without one (``noisy``).
    """
    fitting = [p for p in PROFILES.values() if p.fits(kind) and p.truth == truth]
    return tuple(p.name for p in fitting if over in (None, p.over))
