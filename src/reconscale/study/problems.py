"""Inverse problems y = A x + z as study files name them: one class a kind."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from reconscale.study.frozen import Frozen


class DenoisingProblem(Frozen):
    """A is the identity, z white Gaussian noise.

    Attributes:
        kind: ``denoising``.
        sigma: standard deviation of z, in grey levels of 255.
    """

    kind: Literal["denoising"]
    sigma: float = Field(default=25.0, gt=0, le=255)


class MRIProblem(Frozen):
    """Accelerated MRI: A takes some lines of the k-space of every coil; x is the magnitude image of a slice.

    Attributes:
        kind: ``mri``.
        mask: which lines are measured: ``equispaced`` (fastMRI's, spaced so that the total is right), ``random``,
            ``gaussian`` (denser in the middle) or ``poisson`` (points of a Poisson disc in both directions).
        acceleration: lines of the fully sampled k-space for each line measured.
        center_fraction: fraction of the lines that is measured in the middle without gaps, rounded to whole lines;
            none: 0.08 below 8-fold acceleration, 0.04 from there on (fastMRI's).
        masks: ``fresh``: a new mask each time that a slice is trained on; ``volume``: one mask a volume for good, as in
            the official code. Validation and test always have one mask a volume.
        sigma: standard deviation of further noise, of the real and of the imaginary part of what is measured, as a
            fraction of the volume's maximum (transforms are orthonormal).
        coils: simulated coils, for images that come combined; 1: a single, uniform one.
        maps: how the maps of measured coils are estimated from the middle of k-space: ``lowres`` (smooth coil images
            over their root sum of squares) or ``espirit`` (needs sigpy).
    """

    kind: Literal["mri"]
    mask: Literal["equispaced", "random", "gaussian", "poisson"] = "equispaced"
    acceleration: int = Field(default=4, ge=2, le=64)
    center_fraction: float | None = Field(default=None, gt=0, lt=1)
    masks: Literal["fresh", "volume"] = "fresh"
    sigma: float = Field(default=0.0, ge=0, le=1)
    coils: int = Field(default=1, ge=1, le=64)
    maps: Literal["lowres", "espirit"] = "lowres"

    @property
    def center(self) -> float:
        """The centre fraction that holds: the study's, or fastMRI's for this acceleration."""
        return self.center_fraction or (0.08 if self.acceleration < 8 else 0.04)


Problem = Annotated[DenoisingProblem | MRIProblem, Field(discriminator="kind")]
"""Any of the problems; ``kind`` tells which."""

KINDS: dict[str, type[Frozen]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in (DenoisingProblem, MRIProblem)
}
"""The problems by their kind."""
