"""Accelerated MRI: the keys of its problem, and the patterns by which k-space is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from reconscale.laws import Finding, finding
from reconscale.study.base import OWN, Form, Problem
from reconscale.study.images.sources import SOURCES
from reconscale.study.mask_files import MaskLines, columns_of, mask_words

if TYPE_CHECKING:
    from reconscale.study.images import Images


@dataclass(frozen=True)
class MaskKind:
    """A kind of mask of k-space; an entry in ``MASKS`` makes it known.

    Attributes:
        words: what is measured, such as ``"random lines"``.
        function: draws a mask of the user's own: (rows, columns, acceleration, center, rng) to an array of zeros and
            ones, (columns,) or (rows, columns). ``center`` lines in the middle are measured without gaps, ``rng`` is
            the ``numpy.random.Generator`` that everything random is drawn from. Or ``module:name`` of such a function.
            None: the package draws it.
    """

    words: str
    function: str | Callable[..., Any] | None = None


MASKS: dict[str, MaskKind] = {
    "equispaced": MaskKind("equispaced lines"),
    "random": MaskKind("random lines"),
    "gaussian": MaskKind("lines denser in the middle"),
    "poisson": MaskKind("points of a Poisson disc"),
}
"""The kinds of masks by name. A new one is a function and an entry here."""
FEWEST, MOST = 2, 64
"""Accelerations."""
MOST_LISTED = 16
"""Values that a key may list."""
T = TypeVar("T")


@dataclass(frozen=True)
class Sampling:
    """One way to measure k-space.

    Attributes:
        mask: a key of ``MASKS``.
        acceleration: lines of the fully sampled k-space for each line measured.
        center: fraction of the lines that is measured in the middle without gaps.
        given: the mask itself, where a file holds it; see :mod:`.mask_files`.
    """

    mask: str
    acceleration: int
    center: float
    given: str = ""


def usual_center(acceleration: int) -> float:
    """FastMRI's centre fraction for an acceleration."""
    return 0.08 if acceleration < 8 else 0.04


def _listed(value: Any) -> tuple[Any, ...]:
    """One value, or several, as a tuple.

    Raises:
        PydanticCustomError: the list is empty, too long, or has a value twice.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not 0 < len(values) <= MOST_LISTED:
        raise PydanticCustomError("list_length", f"A list of 1 to {MOST_LISTED} values is expected")
    if len(set(map(str, values))) < len(values):
        raise PydanticCustomError("list_twice", "A value is given twice; give each once")
    return values


def _folds(value: Any) -> tuple[Any, ...]:
    for fold in _listed(value):
        if type(fold) is not int:
            raise PydanticCustomError("fold", "Input should be a valid integer")
        if not FEWEST <= fold <= MOST:
            bound = f"greater than or equal to {FEWEST}" if fold < FEWEST else f"less than or equal to {MOST}"
            raise PydanticCustomError("fold", f"Input should be {bound}")
    return _listed(value)


def _kinds(value: Any) -> tuple[Any, ...]:
    for kind in _listed(value):
        if not isinstance(kind, str) or kind not in MASKS:
            *words, last = map(repr, MASKS)
            raise PydanticCustomError("mask_kind", f"Input should be {', '.join(words)} or {last}; {OWN}")
    return _listed(value)


def _fractions(value: Any) -> Any:
    if value is None:
        return None
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not 0 < len(values) <= MOST_LISTED:
        raise PydanticCustomError("list_length", f"A list of 1 to {MOST_LISTED} values is expected")
    for fraction in values:
        if type(fraction) not in (int, float):
            raise PydanticCustomError("fraction", "Input should be a valid number")
        if not (math.isfinite(fraction) and 0 < fraction < 1):
            bound = "greater than 0" if not fraction > 0 else "less than 1"
            raise PydanticCustomError("fraction", f"Input should be {bound}")
    return tuple(map(float, values))


def _one_or_many(value: tuple[Any, ...] | None) -> Any:
    """A single value as itself: ids of runs are counted from it."""
    return value[0] if value is not None and len(value) == 1 else value


Many = PlainSerializer(_one_or_many)


class MRIProblem(Problem):
    """Accelerated MRI: A takes some lines of the k-space of every coil; x is the magnitude image of a slice.

    Several accelerations, or kinds of masks, are all trained on: each slice of a step gets one of them. Of validation
    and test slices the name of their volume decides which, and the main test set is measured with each of them as well.

    Attributes:
        kind: ``mri``.
        mask: which lines are measured: ``equispaced`` (fastMRI's, spaced so that the total is right), ``random``,
            ``gaussian`` (denser in the middle) or ``poisson`` (points of a Poisson disc in both directions), or another
            name in ``MASKS``; or a list.
        acceleration: lines of the fully sampled k-space for each line measured; or a list.
        center_fraction: fraction of the lines that is measured in the middle without gaps, rounded to whole lines; or
            one for each acceleration; none: 0.08 below 8-fold acceleration, 0.04 from there on (fastMRI's).
        masks: ``fresh``: a new mask each time that a slice is trained on; ``volume``: one mask a volume for good, as in
            the official code. Validation and test always have one mask a volume.
        mask_lines: masks that files hold, instead of all these: see :mod:`.mask_files`. A study file names the files
            under ``mask_file``.
        sigma: standard deviation of further noise, of the real and of the imaginary part of what is measured, as a
            fraction of the volume's maximum (transforms are orthonormal).
        coils: simulated coils, for images that come combined; 1: a single, uniform one.
        maps: how the maps of measured coils are estimated from the middle of k-space: ``lowres`` (smooth coil images
            over their root sum of squares) or ``espirit`` (needs sigpy).
    """

    physics = "reconscale.physics.mri:MRI"
    form: ClassVar[Form] = "kspace"
    volumes = True
    files_hold_y = False
    profile = "ssim-fastmri-volume-v1"
    picture_profile = "psnr-fastmri-slice-v1"
    example: ClassVar[Mapping[str, Any]] = {"mask": "random", "coils": 2}

    kind: Literal["mri"]
    mask: Annotated[tuple[str, ...], BeforeValidator(_kinds), Many] = ("equispaced",)
    acceleration: Annotated[tuple[int, ...], BeforeValidator(_folds), Many] = (4,)
    center_fraction: Annotated[tuple[float, ...] | None, BeforeValidator(_fractions), Many] = None
    masks: Literal["fresh", "volume"] = "fresh"
    mask_lines: MaskLines = ()
    sigma: float = Field(default=0.0, ge=0, le=1)
    coils: int = Field(default=1, ge=1, le=64)
    maps: Literal["lowres", "espirit"] = "lowres"

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        fractions = self.center_fraction or ()
        if len(fractions) > 1 and len(fractions) != len(self.acceleration):
            raise ValueError(f"center_fraction: lists {len(fractions)} fractions for {len(self.acceleration)} "
                             "accelerations; give one, or one for each")  # fmt: skip
        return self

    @cached_property
    def samplings(self) -> tuple[Sampling, ...]:
        """Every way in which k-space is measured."""
        if self.mask_lines:
            return tuple(Sampling("given", 1, 0.0, given) for given in self.mask_lines)
        return tuple(Sampling(mask, *pair) for mask in self.mask for pair in self._folds_and_centers())

    def _folds_and_centers(self) -> Sequence[tuple[int, float]]:
        fractions = self.center_fraction or tuple(map(usual_center, self.acceleration))
        fractions = fractions * len(self.acceleration) if len(fractions) == 1 else fractions
        return list(zip(self.acceleration, fractions, strict=True))

    def each(self) -> dict[str, MRIProblem]:
        """The same problem with each of several accelerations, and of several masks: words -> problem."""
        if self.mask_lines:
            return {}
        found: dict[str, MRIProblem] = {}
        if len(self.acceleration) > 1:
            for fold, center in self._folds_and_centers():
                own = None if self.center_fraction is None else (center,)
                changed = {"acceleration": (fold,), "center_fraction": own}
                found[f" at acceleration {fold}"] = self._with(changed)
        if len(self.mask) > 1:
            found |= {f" with {kind} masks": self._with({"mask": (kind,)}) for kind in self.mask}
        return found

    def _with(self, changed: Mapping[str, Any]) -> MRIProblem:
        copy = self.model_copy(update=dict(changed))
        copy.__dict__.pop("samplings", None)  # which pydantic copies, as it was read before
        return copy

    @property
    def words(self) -> str:
        """The mask and the noise."""
        noise = f", noise of σ = {self.sigma:g} of the maximum" if self.sigma else ""
        if self.mask_lines:
            return f"MRI, {mask_words(self.mask_lines)}{noise}"
        mask = " or ".join(MASKS[kind].words for kind in self.mask)
        folds, centers = zip(*self._folds_and_centers(), strict=True)
        middle = " or ".join(f"{100 * center:g}" for center in dict.fromkeys(centers))
        times = " or ".join(map(str, folds))
        return f"MRI accelerated {times} times: {mask}, {middle} % in the middle{noise}"

    def acquisition(self, images: Images) -> str:
        """Where the k-space comes from, in words."""
        content = SOURCES[images.source].content
        if content == "kspace":
            return "measured k-space"
        coils = "one uniform coil" if self.coils == 1 else f"{self.coils} coils"
        if content == "complex":
            return f"k-space of complex images, {coils}, simulated"
        return f"simulated k-space of {coils}"

    def findings(self, images: Images) -> tuple[Finding, ...]:
        """An acquisition that is made up, and masks that do not change."""
        made_up = SOURCES[images.source].content == "magnitudes"
        found = [finding("data-crime", source=images.source)] if made_up else []
        fixed = self.masks == "volume" or bool(self.mask_lines)
        return tuple(found + [finding("fixed-masks")] * fixed)

    def check_images(self, images: Images) -> None:
        """Refuse images in colour.

        Raises:
            ValueError: as said.
        """
        if not images.volumes and images.channels == "rgb":
            raise ValueError('images.channels: mri takes grey images; set it to "gray"')

    @property
    def columns(self) -> int | None:
        """Columns of the k-space that given masks are for; none: any."""
        return columns_of(self.mask_lines[0]) if self.mask_lines else None
