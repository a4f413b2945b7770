"""Inverse problems y = A x + z as study files name them: one class a kind."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class FrozenModel(BaseModel):
    """A strict value: unknown keys are refused, types are not coerced, nothing changes after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Level = Annotated[float, Field(ge=0, le=255)]


class _Imaged(FrozenModel):
    """Problems of images in [0, 1] with noise; sigma counts in grey levels of 255.

    Attributes:
        volumes: whether the truths are slices of volumes of any scale, not images in [0, 1].
    """

    volumes: ClassVar[bool] = False

    @model_validator(mode="after")
    def _different(self) -> Self:
        levels = getattr(self, "test_sigma", ())
        if len(set(levels)) != len(levels):
            raise ValueError("test_sigma: a level is given twice; give each level once")
        return self


class DenoisingProblem(_Imaged):
    """A is the identity, z Gaussian noise, or Poisson noise, or both.

    Attributes:
        kind: ``denoising``.
        sigma: standard deviation of the Gaussian part of z, in grey levels of 255; 0 only with ``photons``.
        photons: a pixel of value 1 counts so many photons (Poisson noise of standard deviation sqrt(x / photons));
            none: no Poisson noise.
        sigma_range: blind training: every training crop has a level drawn uniformly from this range, in grey levels;
            validation and test have ``sigma``. None: training has ``sigma``, too.
        noise: ``fresh`` noise each time that an image is trained on, or one ``fixed`` noisy copy of each.
        truth: ``clean``: the images are the truth, and noise is added; ``noisy``: they have noise of ``sigma`` already,
            nothing is added, and the quality is estimated without the truth.
        test_sigma: further levels that the main test set is measured at: how the networks stand a shift.
    """

    kind: Literal["denoising"]
    sigma: float = Field(default=25.0, ge=0, le=255)
    photons: float | None = Field(default=None, gt=0, le=1e9)
    sigma_range: tuple[Level, Level] | None = None
    noise: Literal["fresh", "fixed"] = "fresh"
    truth: Literal["clean", "noisy"] = "clean"
    test_sigma: tuple[Level, ...] = ()

    @model_validator(mode="after")
    def _noisy(self) -> Self:
        if self.sigma == 0 and self.photons is None:
            raise ValueError("sigma: found 0, which leaves nothing to remove; give a level above 0, or photons")
        if self.sigma_range is not None and not self.sigma_range[0] < self.sigma_range[1]:
            raise ValueError(f"sigma_range: found {list(self.sigma_range)}; give the lowest level and a higher one")
        for key in ("photons", "sigma_range", "test_sigma"):
            if self.truth == "noisy" and getattr(self, key):
                raise ValueError(f"{key}: images that are noisy already have Gaussian noise of sigma; leave it out")
        if self.noise == "fixed" and self.sigma_range is not None:
            raise ValueError("sigma_range: is for fresh noise; leave it out, or set noise to 'fresh'")
        return self


class MRIProblem(FrozenModel):
    """Accelerated MRI: A takes some lines of the k-space of every coil; x is the magnitude image of a slice.

    Attributes:
        volumes: the truths are slices of volumes of any scale.
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

    volumes: ClassVar[bool] = True

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


class SuperresolutionProblem(_Imaged):
    """A makes an image ``factor`` times smaller. Without noise the small image is rounded to 8 bit, as files are.

    Attributes:
        kind: ``superresolution``.
        factor: how many times smaller in each direction. Test images are cut at the right and the bottom until it
            divides their sides.
        kernel: what is averaged: ``bicubic`` and ``bilinear`` with anti-aliasing (as MATLAB and Pillow), ``box``
            (means of factor x factor pixels), or ``gaussian`` (standard deviation 1.6 / 3 of the factor).
        sigma: standard deviation of Gaussian noise of the small image, in grey levels of 255.
        jpeg: quality at which the small image is compressed; none: it is not.
        test_sigma: further levels of noise that the main test set is measured at.
    """

    kind: Literal["superresolution"]
    factor: Literal[2, 3, 4, 8] = 2
    kernel: Literal["bicubic", "bilinear", "box", "gaussian"] = "bicubic"
    sigma: float = Field(default=0.0, ge=0, le=255)
    jpeg: int | None = Field(default=None, ge=1, le=100)
    test_sigma: tuple[Level, ...] = ()


class _Linear(_Imaged):
    """Problems that one adapter to deepinv's linear operators carries out: a network is given a filtered image.

    Attributes:
        sigma: standard deviation of the noise of what is measured, in grey levels of 255.
        input: what a network is given: the ``adjoint`` A* y (over the norm of A squared), the ``pseudo-inverse`` (ten
            steps of conjugate gradients), or ``auto``: see the problem.
        test_sigma: further levels of noise that the main test set is measured at.
    """

    sigma: float = Field(default=0.0, ge=0, le=255)
    input: Literal["auto", "adjoint", "pseudo-inverse"] = "auto"
    test_sigma: tuple[Level, ...] = ()


class DeblurringProblem(_Linear):
    """A is a circular convolution, the same for all channels; ``auto``: the Wiener filter of a flat spectrum.

    Attributes:
        kind: ``deblurring``.
        kernel: ``gaussian`` of standard deviation ``radius``, ``disk`` (defocus) of that radius, or ``motion``: one
            random path whose length grows with ``radius``, drawn from ``operator_seed``.
        radius: in pixels.
        sigma: standard deviation of the noise, in grey levels of 255.
        operator_seed: what a random kernel is drawn from; the same for every run.
    """

    kind: Literal["deblurring"]
    kernel: Literal["gaussian", "disk", "motion"] = "gaussian"
    radius: float = Field(default=1.6, gt=0, le=32)
    sigma: float = Field(default=2.55, ge=0, le=255)
    operator_seed: int = Field(default=0, ge=0)


class InpaintingProblem(_Linear):
    """A keeps some pixels, with all their channels; ``auto``: the others are 0. Training draws a mask for every crop.

    Attributes:
        kind: ``inpainting``.
        keep: the part of the pixels that is kept, each at random.
        sigma: standard deviation of the noise of the pixels that are kept, in grey levels of 255.
    """

    kind: Literal["inpainting"]
    keep: float = Field(default=0.5, gt=0, lt=1)


class TomographyProblem(_Linear):
    """Few-view computed tomography: A gives parallel-beam projections; images are padded to a square with zeros.

    ``auto`` is filtered back-projection.

    Attributes:
        kind: ``tomography``.
        angles: number of views, equally spaced over 180 degrees.
        sigma: standard deviation of the noise of projections, in grey levels of 255, with A scaled to norm 1.
    """

    kind: Literal["tomography"]
    angles: int = Field(default=30, ge=2, le=720)


class CompressedSensingProblem(_Linear):
    """A takes random combinations of the pixels of every block, the same for all blocks and channels.

    ``auto`` is the adjoint.

    Attributes:
        kind: ``compressed-sensing``.
        ratio: combinations for each pixel.
        block: side of the blocks in pixels. Test images are cut until it divides their sides.
        sigma: standard deviation of the noise of a combination, in grey levels of 255; rows of A are orthonormal.
        operator_seed: what the combinations are drawn from; the same for every run.
    """

    kind: Literal["compressed-sensing"]
    ratio: float = Field(default=0.25, gt=0, le=1)
    block: int = Field(default=16, ge=4, le=64)
    operator_seed: int = Field(default=0, ge=0)


class DeepinvProblem(_Linear):
    """A is any linear operator of deepinv.

    ``input = "auto"`` is the adjoint where A A* is a multiple of the identity, as it is then the pseudo-inverse up to a
    factor, else the operator's own filter (tomography: filtered back-projection; circular blur: the Wiener filter of a
    flat spectrum), else the pseudo-inverse.

    Attributes:
        kind: ``deepinv``.
        operator: name of a class in ``deepinv.physics`` that derives from ``LinearPhysics``.
        arguments: of its constructor; lists become tensors where the operator needs some. ``img_size``, ``img_width``,
            ``device`` and ``rng`` are filled in where they are not given.
        sigma: standard deviation of the noise of what is measured, in grey levels of 255.
        operator_seed: what a random operator is drawn from; the same for every run.
    """

    kind: Literal["deepinv"]
    operator: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    operator_seed: int = Field(default=0, ge=0)

    @field_validator("arguments")
    @classmethod
    def _plain(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return {key: _tuples(value) for key, value in arguments.items()}


Problem = Annotated[
    DenoisingProblem
    | MRIProblem
    | SuperresolutionProblem
    | DeblurringProblem
    | InpaintingProblem
    | TomographyProblem
    | CompressedSensingProblem
    | DeepinvProblem,
    Field(discriminator="kind"),
]
"""Any of the problems; ``kind`` tells which."""

LinearProblem = (
    DeblurringProblem | InpaintingProblem | TomographyProblem | CompressedSensingProblem | DeepinvProblem
)  # fmt: skip
"""The problems that one adapter to deepinv's linear operators carries out."""

KINDS: dict[str, type[FrozenModel]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(get_args(Problem)[0])
}
"""The problems by their kind."""

LINEAR = tuple(kind for kind, model in KINDS.items() if issubclass(model, _Linear))
"""The kinds of :data:`LinearProblem`."""


def _tuples(value: Any) -> Any:
    """Lists as tuples, so that what JSON and TOML say is equal."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def with_sigma(problem: Any, sigma: float) -> Any:
    """The same problem with another level of noise, to be tested at."""
    return problem.model_copy(update={"sigma": float(sigma), "test_sigma": ()})
