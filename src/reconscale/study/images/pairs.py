"""Real pairs: the problem whose inputs were measured, not made from the truth; and the keys of their images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from reconscale.study.base import Form, Problem

if TYPE_CHECKING:
    from reconscale.study.images import Images

KEYS = ("inputs", "truths", "csv", "match", "input_range", "allow_shift", "allow_noisy_truth",
        "allow_unrelated")  # fmt: skip
"""The keys of ``[images]`` that only real pairs have."""
PLACES = ("inputs", "truths", "csv", "match", "input_range")
"""Those that say which files the pairs are in."""


class PairsProblem(Problem):
    """Any restoration from an image to an image, where inputs and truths are both given.

    Attributes:
        kind: ``pairs``.
        factor: how many times larger than its input a truth is, in each direction.
        align_values: ``affine``: curves are drawn in ``psnr-affine``: before a reconstruction is compared with its
            truth, one gain and one offset for each image are fitted by least squares (CARE's convention, for
            exposures and backgrounds that differ within pairs); ``none``: it is compared as it is. Both kinds of
            metrics are always recorded, under names of their own.
    """

    physics = "reconscale.physics.pairs:Pairs"
    form: ClassVar[Form] = "lowres"
    paired = True

    kind: Literal["pairs"]
    factor: Literal[1, 2, 3, 4, 8] = 1
    align_values: Literal["none", "affine"] = "none"

    @property
    def enlarges(self) -> int:
        """The factor."""
        return self.factor

    @property
    def picture_metric(self) -> str:
        """The metric of images that pictures of the report are chosen by."""
        return self.usual_profile({"align_values": self.align_values})

    @classmethod
    def usual_profile(cls, options: Mapping[str, Any]) -> str:
        """The metric of curves: another one where values are aligned."""
        return "psnr-affine" if options.get("align_values") == "affine" else cls.profile

    @property
    def words(self) -> str:
        """What is restored, and how values are compared."""
        larger = f", truths {self.factor} times larger than inputs" if self.factor > 1 else ""
        fitted = ", one gain and offset fitted for each image before it is compared" if self.picks_affine else ""
        return f"restoration of real pairs{larger}{fitted}"

    @property
    def picks_affine(self) -> bool:
        """Whether values are aligned before images are compared."""
        return self.align_values == "affine"

    def acquisition(self, images: Images) -> str:
        """Inputs are measured, too."""
        del images
        return "inputs were measured, not simulated"


def check_pair_keys(images: Images) -> None:
    """Refuse keys of real pairs with other sources, and such as do not go together.

    Raises:
        ValueError: as said; the sentence begins with the key.
    """
    if not images.paired:
        for key in KEYS:
            if getattr(images, key):
                raise ValueError(f"{key}: is for the source 'pairs', not for '{images.source}'; leave it out")
        return
    _check_places(images)
    if images.downscale > 1:
        raise ValueError("downscale: is not for pairs; reduce inputs and truths yourself, or leave it out")
    if images.input_range and not images.range:
        raise ValueError(
            "input_range: is for inputs of other units than truths; say black and white of truths as range"
        )
    for key in ("range", "input_range"):
        limits = getattr(images, key)
        if limits is not None and not (all(map(math.isfinite, limits)) and limits[0] < limits[1]):
            raise ValueError(
                f"{key}: found [{limits[0]:g}, {limits[1]:g}]; give black and white, the smaller one first"
            )


def _check_places(images: Images) -> None:
    """Refuse places that say where pairs are in two ways, or by half; and any where a data set gives the pairs."""
    if images.source != "pairs":
        for key in PLACES:
            if getattr(images, key):
                raise ValueError(f"{key}: '{images.source}' gives inputs and truths itself; leave it out")
        return
    if images.folders != (".",):
        raise ValueError("folders: is not for the source 'pairs'; name two folders, inputs and truths")
    if images.csv and (images.inputs or images.truths or images.match):
        raise ValueError("csv: names every pair, and so do inputs, truths and match; give one or the others")
    if bool(images.inputs) != bool(images.truths):
        missing = "truths" if images.inputs else "inputs"
        raise ValueError(f"{missing}: is missing; name both folders, inputs and truths")
