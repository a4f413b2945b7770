"""What every inverse problem of a study file says of itself: its options, and the facts that other rooms ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconscale.errors import suggest
from reconscale.laws import Finding

if TYPE_CHECKING:
    from reconscale.study.images import Images


class FrozenModel(BaseModel):
    """A strict value: unknown keys are refused, types are not coerced, nothing changes after it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class PlacedModel(FrozenModel):
    """A study, which knows where its results lie where it was read from a file. That is no part of what it says."""

    @property
    def results_folder(self) -> Path | None:
        """The folder ``runs`` beside the study file; none: the study was not read from a file."""
        place: Path | None = self.__dict__.get(PLACE)
        return place

    def kept_in(self, root: Path) -> Self:
        """The same study, with its results in ``root``."""
        placed = self.model_copy()
        placed.__dict__[PLACE] = root  # beside the fields, as a cached property is: studies are equal wherever they lie
        return placed


PLACE = "_results_folder"


def as_tuples(value: Any) -> Any:
    """Lists as tuples, which is what frozen models hold; tables within tables as well, and all else as it is."""
    if isinstance(value, list):
        return tuple(as_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: as_tuples(item) for key, item in value.items()}
    return value


Level = Annotated[float, Field(ge=0, le=255)]
"""Standard deviation of noise, in grey levels of 255."""

SigmaUnit = Annotated[Literal["grey levels"] | None, Field(exclude=True)]
"""What levels of noise are in, said where they are so small that another unit may be meant. It decides no number, so
it is in no id and in no record."""

Form = Literal["image", "lowres", "kspace", "sensed"]
"""``image``: of the size of the truth; ``lowres``: a smaller one; ``kspace``: that of a slice; ``sensed``: what a
linear operator has measured, with the image filtered from it."""

OWN = "if it is a part of your own, pass --plugin with the file that has it"
"""What is advised where a study file names something that is not known."""


def suggest_own(word: str, known: Iterable[str]) -> str:
    """Suggest one of the ``known`` words, or a plugin.

    >>> suggest_own("unett", ["unet"]).startswith("did you mean 'unet'? if it is")
    True
    """
    suggestion = suggest(word, known)
    return f"{suggestion}{' ' if suggestion.endswith('?') else '; '}{OWN}"


SELF_SUPERVISED = ("noise2noise", "neighbor2neighbor", "noise2void", "sure")
"""The losses that need no truth."""


class Problem(FrozenModel):
    """An inverse problem y = A x + z, as a study file names it.

    A subclass is one kind of problem: its fields are the keys of ``[problem]``, its class attributes say what other
    rooms need to know, and its methods are its words. An entry in ``PROBLEMS`` makes it known.

    Attributes:
        kind: the word in study files; a subclass narrows it to one ``Literal``.
        physics: what measures images, made from (options, device, seed): a class, or ``module:name`` of one, which is
            imported when something is measured. See ``reconscale.physics.base.InverseProblem``.
        form: what a network is given.
        volumes: whether the truths are slices of volumes of any scale, not images in [0, 1].
        paired: whether what is measured comes with the images, and is not made from them.
        denoises: whether what a network is given is the truth and noise, nothing else.
        files_hold_y: whether an image file can hold what was measured; else it holds the image filtered from it.
        profile: the metric that curves are drawn in unless a study says otherwise, a name in ``PROFILES``.
        picture_profile: the metric of images that pictures of the report are chosen by, where there is a truth.
        example: options of a small example, for what has no default, and for the contract suites.
    """

    physics: ClassVar[Any]
    form: ClassVar[Form] = "image"
    volumes: ClassVar[bool] = False
    paired: ClassVar[bool] = False
    denoises: ClassVar[bool] = False
    files_hold_y: ClassVar[bool] = True
    profile: ClassVar[str] = "psnr-rgb-clip"
    picture_profile: ClassVar[str] = "psnr-rgb-clip"
    example: ClassVar[Mapping[str, Any]] = {}

    kind: str

    @model_validator(mode="after")
    def _different(self) -> Self:
        levels = getattr(self, "test_sigma", ())
        if len(set(levels)) != len(levels):
            raise ValueError("test_sigma: a level is given twice; give each level once")
        return self

    @property
    def has_truth(self) -> bool:
        """Whether the images are the truth."""
        return True

    @property
    def enlarges(self) -> int:
        """How many times larger than what is measured the truth is, in each direction."""
        return 1

    @property
    def noise_level(self) -> float:
        """Standard deviation of the Gaussian noise, for images in [0, 1]; 0: none, or none that is known."""
        return float(getattr(self, "sigma", 0.0)) / 255

    @property
    def picture_metric(self) -> str:
        """The metric of images that pictures of the report are chosen by."""
        return self.picture_profile

    @classmethod
    def usual_profile(cls, options: Mapping[str, Any]) -> str:
        """The metric that curves are drawn in where a study does not say, from what it says about the problem."""
        del options
        return cls.profile

    @property
    def words(self) -> str:
        """The problem in a few words, for the report."""
        return self.kind

    def acquisition(self, images: Images) -> str:
        """Where what is measured comes from, in words; empty where it is made from the images."""
        del images
        return ""

    def findings(self, images: Images) -> tuple[Finding, ...]:
        """Cautions that follow from the problem and the options of its images alone."""
        del images
        return ()

    def check_losses(self, images: Images, losses: Sequence[str]) -> None:
        """Refuse losses that networks for this problem cannot be trained with.

        Raises:
            ValueError: as said; the sentence begins with the key.
        """
        del images
        blind = next((loss for loss in losses if loss in SELF_SUPERVISED), None)
        if blind:
            raise ValueError(f"recipe.loss: '{blind}' is for denoising; {self.kind} needs the truth: set 'mse'")

    def check_images(self, images: Images) -> None:
        """Refuse options of images that do not go with this problem.

        Raises:
            ValueError: as said; the sentence begins with the key.
        """
        if self.paired and not images.paired:
            raise ValueError(f"images.source: '{images.source}' gives images without inputs; set it to \"pairs\"")
        if images.paired and not self.paired:
            raise ValueError(f"problem.kind: {self.kind} makes its own inputs, and the source 'pairs' has some; "
                             'set it to "pairs", or take the source "folder"')  # fmt: skip
        if images.volumes and not self.volumes:
            raise ValueError(f"images.source: '{images.source}' gives volumes for mri; {self.kind} takes single images")
