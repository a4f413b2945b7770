"""Inverse problems y = A x + z as study files name them: one class a kind, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from reconscale.laws import Finding, finding
from reconscale.study.base import SELF_SUPERVISED, Form, Level, Problem, SigmaUnit
from reconscale.study.camera import Camera
from reconscale.study.images.pairs import PairsProblem
from reconscale.study.mri import MRIProblem

if TYPE_CHECKING:
    from reconscale.study.images import Images

WITHOUT_TRUTH = "psnr-from-noisy"
"""The metric of problems whose images are noisy themselves."""


class DenoisingProblem(Problem):
    """A is the identity, z Gaussian noise, or Poisson noise, or both.

    Attributes:
        kind: ``denoising``.
        sigma: standard deviation of the Gaussian part of z, in grey levels of 255; 0 only with ``photons``.
        photons: a pixel of value 1 counts this many photons (Poisson noise of standard deviation sqrt(x / photons));
            none: no Poisson noise.
        sigma_range: blind training: every training crop has a level drawn uniformly from this range, in grey levels;
            validation and test have ``sigma``. None: training has ``sigma``, too.
        noise: ``fresh`` noise each time that an image is trained on, or one ``fixed`` noisy copy of each.
        truth: ``clean``: the images are the truth, and noise is added; ``noisy``: they have noise of ``sigma`` already,
            nothing is added, and the quality is estimated without the truth.
        test_sigma: further levels that the main test set is measured at: how the networks stand a shift.
        sigma_unit: ``grey levels``: small levels are meant so, see ``noise_levels``; decides no number.
        camera: gain, read noise and black level of a camera, which a study file may say instead of ``sigma`` and
            ``photons``; these are filled in when it is read, and it is in no id and in no record.
    """

    physics = "reconscale.physics.denoising:denoising"
    denoises = True

    kind: Literal["denoising"]
    sigma: float = Field(default=25.0, ge=0, le=255)
    photons: float | None = Field(default=None, gt=0, le=1e9)
    sigma_range: tuple[Level, Level] | None = None
    noise: Literal["fresh", "fixed"] = "fresh"
    truth: Literal["clean", "noisy"] = "clean"
    test_sigma: tuple[Level, ...] = ()
    sigma_unit: SigmaUnit = None
    camera: Annotated[Camera | None, Field(exclude=True)] = None

    @model_validator(mode="after")
    def _noisy(self) -> Self:
        if self.camera is not None and self.photons is None:
            raise ValueError("camera: was not filled in; read the study with load_study or parse_study")
        if self.sigma == 0 and self.photons is None:
            raise ValueError("sigma: found 0, which leaves nothing to remove; give a level above 0, or photons")
        if self.sigma_range is not None and not self.sigma_range[0] < self.sigma_range[1]:
            raise ValueError(f"sigma_range: found {list(self.sigma_range)}; give the lowest level and a higher one")
        for key in ("sigma_range", "test_sigma"):
            if self.truth == "noisy" and getattr(self, key):
                raise ValueError(f"{key}: images that are noisy already have Gaussian noise of sigma; leave it out")
        if self.noise == "fixed" and self.sigma_range is not None:
            raise ValueError("sigma_range: is for fresh noise; leave it out, or set noise to 'fresh'")
        return self

    @property
    def has_truth(self) -> bool:
        """Whether the images are the truth: not where they are noisy themselves."""
        return self.truth == "clean"

    @property
    def picture_metric(self) -> str:
        """The metric of images that pictures of the report are chosen by."""
        return self.picture_profile if self.has_truth else WITHOUT_TRUTH

    @classmethod
    def usual_profile(cls, options: Mapping[str, Any]) -> str:
        """The metric of curves: another one where nobody has the truth."""
        return WITHOUT_TRUTH if options.get("truth") == "noisy" else cls.profile

    @property
    def words(self) -> str:
        """The kinds of noise, and what is special in training."""
        parts = [f"Gaussian noise, σ = {self.sigma:g} of 255"] if self.sigma else []
        parts += [f"Poisson noise of {self.photons:g} photons at white"] if self.photons else []
        said = f"denoising of {' and '.join(parts)}"
        if self.sigma_range:
            said += ", trained from σ = {:g} to {:g}".format(*self.sigma_range)
        if self.truth == "noisy":
            return f"{said}; the images are noisy themselves, and nobody has the truth"
        return f"{said}; one noisy copy of each training image" if self.noise == "fixed" else said

    def findings(self, images: Images) -> tuple[Finding, ...]:
        """Where nobody has the truth, the quality is an estimate."""
        del images
        return () if self.has_truth else (finding("no-truth"),)

    def check_losses(self, images: Images, losses: Sequence[str]) -> None:
        """Refuse losses that the noise does not allow, and crops that one noisy copy does not.

        Raises:
            ValueError: as said.
        """
        if self.truth == "noisy" and not {"neighbor2neighbor", "noise2void", "sure"}.issuperset(losses):
            raise ValueError("recipe.loss: without the truth, set it to 'neighbor2neighbor', 'noise2void' or 'sure'")
        if self.noise == "fixed" and (images.crop == "random" or images.augment):
            raise ValueError(
                "problem.noise: one fixed noisy copy needs one fixed crop; set images.crop to 'center' without augment"
            )
        blind = next((loss for loss in losses if loss in SELF_SUPERVISED), None)
        if blind == "sure" and (self.photons or self.sigma_range):
            raise ValueError("recipe.loss: 'sure' needs Gaussian noise of one level; leave photons and sigma_range out")


class SuperresolutionProblem(Problem):
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
        sigma_unit: ``grey levels``: small levels are meant so, see ``noise_levels``; decides no number.
    """

    physics = "reconscale.physics.superresolution:Superresolution"
    form: ClassVar[Form] = "lowres"
    profile = picture_profile = "psnr-y-crop-s"

    kind: Literal["superresolution"]
    factor: Literal[2, 3, 4, 8] = 2
    kernel: Literal["bicubic", "bilinear", "box", "gaussian"] = "bicubic"
    sigma: float = Field(default=0.0, ge=0, le=255)
    jpeg: int | None = Field(default=None, ge=1, le=100)
    test_sigma: tuple[Level, ...] = ()
    sigma_unit: SigmaUnit = None

    @property
    def enlarges(self) -> int:
        """The factor."""
        return self.factor

    @property
    def words(self) -> str:
        """The factor, the kernel, noise and compression."""
        jpeg = f", JPEG of quality {self.jpeg}" if self.jpeg is not None else ""
        return f"super-resolution {self.factor} times, {self.kernel} reduction{noise_words(self.sigma)}{jpeg}"


class LinearProblem(Problem):
    """Problems that one adapter to deepinv's linear operators runs: a network is given a filtered image.

    Attributes:
        sigma: standard deviation of the noise of what is measured, in grey levels of 255.
        input: what a network is given: the ``adjoint`` A* y (over the norm of A squared), the ``pseudo-inverse`` (ten
            steps of conjugate gradients), or ``auto``: see the problem.
        test_sigma: further levels of noise that the main test set is measured at.
        sigma_unit: ``grey levels``: small levels are meant so, see ``noise_levels``; decides no number.
    """

    form: ClassVar[Form] = "sensed"
    files_hold_y = False

    sigma: float = Field(default=0.0, ge=0, le=255)
    input: Literal["auto", "adjoint", "pseudo-inverse"] = "auto"
    test_sigma: tuple[Level, ...] = ()
    sigma_unit: SigmaUnit = None


class DeblurringProblem(LinearProblem):
    """A is a circular convolution, the same for all channels; ``auto``: the Wiener filter of a flat spectrum.

    Attributes:
        kind: ``deblurring``.
        kernel: ``gaussian`` of standard deviation ``radius``, ``disk`` (defocus) of that radius, or ``motion``: one
            random path whose length grows with ``radius``, drawn from ``operator_seed``.
        radius: in pixels.
        sigma: standard deviation of the noise, in grey levels of 255.
        operator_seed: what a random kernel is drawn from; the same for every run.
    """

    physics = "reconscale.physics.linear:Deblurring"
    files_hold_y = True

    kind: Literal["deblurring"]
    kernel: Literal["gaussian", "disk", "motion"] = "gaussian"
    radius: float = Field(default=1.6, gt=0, le=32)
    sigma: float = Field(default=2.55, ge=0, le=255)
    operator_seed: int = Field(default=0, ge=0)

    @property
    def words(self) -> str:
        """The kernel and the noise."""
        return f"deblurring of a {self.kernel} kernel of {self.radius:g} pixels{noise_words(self.sigma)}"


class InpaintingProblem(LinearProblem):
    """A keeps some pixels, with all their channels; ``auto``: the others are 0. Training draws a mask for every crop.

    Attributes:
        kind: ``inpainting``.
        keep: the part of the pixels that is kept, each at random.
        sigma: standard deviation of the noise of the pixels that are kept, in grey levels of 255.
    """

    physics = "reconscale.physics.linear:Inpainting"

    kind: Literal["inpainting"]
    keep: float = Field(default=0.5, gt=0, lt=1)

    @property
    def words(self) -> str:
        """What is kept, and the noise."""
        return f"inpainting, {100 * self.keep:g} % of the pixels kept{noise_words(self.sigma)}"


class TomographyProblem(LinearProblem):
    """Few-view computed tomography: A gives parallel-beam projections; images are padded to a square with zeros.

    ``auto`` is filtered back-projection.

    Attributes:
        kind: ``tomography``.
        angles: number of views, equally spaced over 180 degrees.
        sigma: standard deviation of the noise of projections, in grey levels of 255, with A scaled to norm 1.
    """

    physics = "reconscale.physics.linear:Tomography"
    example: ClassVar[Mapping[str, Any]] = {"angles": 8}

    kind: Literal["tomography"]
    angles: int = Field(default=30, ge=2, le=720)

    @property
    def words(self) -> str:
        """The views and the noise."""
        return f"computed tomography from {self.angles} parallel-beam views{noise_words(self.sigma)}"

    def check_images(self, images: Images) -> None:
        """Refuse crops in training and whole images in tests: the views of a crop are not those of its image.

        Raises:
            ValueError: as said.
        """
        super().check_images(images)
        if len({images.patch, images.val_patch, images.test_patch}) > 1:
            raise ValueError(
                "images.patch: the views of a crop are not those of its image; "
                f"set val_patch and test_patch to {images.patch}, the patch, too"
            )


class CompressedSensingProblem(LinearProblem):
    """A takes random combinations of the pixels of every block, the same for all blocks and channels.

    ``auto`` is the adjoint.

    Attributes:
        kind: ``compressed-sensing``.
        ratio: combinations for each pixel.
        block: side of the blocks in pixels. Test images are cut until it divides their sides.
        sigma: standard deviation of the noise of a combination, in grey levels of 255; rows of A are orthonormal.
        operator_seed: what the combinations are drawn from; the same for every run.
    """

    physics = "reconscale.physics.linear:CompressedSensing"
    example: ClassVar[Mapping[str, Any]] = {"block": 4}

    kind: Literal["compressed-sensing"]
    ratio: float = Field(default=0.25, gt=0, le=1)
    block: int = Field(default=16, ge=4, le=64)
    operator_seed: int = Field(default=0, ge=0)

    @property
    def words(self) -> str:
        """How many combinations, of which blocks, and the noise."""
        part = f"{100 * self.ratio:g} % of the pixels' number"
        blocks = f"blocks of {self.block} × {self.block}"
        return f"compressed sensing, {part} in random combinations of {blocks}{noise_words(self.sigma)}"


class DeepinvProblem(LinearProblem):
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

    physics = "reconscale.physics.linear:DeepinvLinear"
    example: ClassVar[Mapping[str, Any]] = {
        "operator": "Blur",
        "arguments": {"filter": ((0.5, 0.25), (0.25, 0.0)), "padding": "reflect"},
    }

    kind: Literal["deepinv"]
    operator: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    operator_seed: int = Field(default=0, ge=0)

    @field_validator("arguments")
    @classmethod
    def _plain(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return {key: _tuples(value) for key, value in arguments.items()}

    @property
    def words(self) -> str:
        """The operator and the noise."""
        return f"deepinv's {self.operator}{noise_words(self.sigma)}"


PROBLEMS: dict[str, type[Problem]] = {
    "denoising": DenoisingProblem,
    "mri": MRIProblem,
    "superresolution": SuperresolutionProblem,
    "deblurring": DeblurringProblem,
    "inpainting": InpaintingProblem,
    "tomography": TomographyProblem,
    "compressed-sensing": CompressedSensingProblem,
    "deepinv": DeepinvProblem,
    "pairs": PairsProblem,
}
"""The problems by their kind. A new one is a class and an entry here."""


def noise_words(sigma: float) -> str:
    """Noise in words, as the end of a sentence; nothing where there is none.

    >>> noise_words(2.55), noise_words(0)
    (', noise of σ = 2.55 of 255', '')
    """
    return f", noise of σ = {sigma:g} of 255" if sigma else ""


def _tuples(value: Any) -> Any:
    """Lists as tuples, so that what JSON and TOML say is equal."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def with_sigma(problem: Any, sigma: float) -> Any:
    """The same problem with another level of noise, to be tested at."""
    return problem.model_copy(update={"sigma": float(sigma), "test_sigma": ()})
