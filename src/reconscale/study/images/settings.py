"""The images of a study: which, and how they are divided."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from reconscale.study.base import OWN, FrozenModel, as_tuples
from reconscale.study.images.image_sources import (
    MIXTURE,
    OF_SOURCES,
    ImageSource,
    check_sources,
    fill_in_sources,
    images_of_source,
)
from reconscale.study.images.own_split import OwnSplit, fill_in_counts
from reconscale.study.images.pairs import check_pair_keys
from reconscale.study.images.sources import SOURCES, Source

LONGEST = 240
"""Characters of a place or of the name of a test set."""


def one_of(name: Any, known: Collection[str]) -> Any:
    """The name, if it is one of ``known``; pydantic's own sentence else."""
    if not isinstance(name, str) or name not in known:
        *words, last = map(repr, known)
        raise PydanticCustomError("literal_error", f"Input should be {', '.join(words)} or {last}; {OWN}")
    return name


def _known_channel(value: Any) -> Any:
    """A channel as it is read; one sentence for anything else, and not one for each type that it could have."""
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000
    if value is None or whole or value == "rgb":
        return value
    raise PydanticCustomError("channel", "A whole number from 0 to 999 or 'rgb' is expected")


def _known_source(name: Any) -> Any:
    return name if name == MIXTURE else one_of(name, SOURCES)


class Images(FrozenModel):
    """Which images, and how they are divided.

    Attributes:
        source: ``bundled`` photographs, a ``folder`` of image files, procedural ``deadleaves``, an ``array`` file,
            ``ome-zarr``, or ``pairs`` of inputs and truths;
            or volumes of slices: ``fastmri`` (HDF5 with k-space), ``kspace-array``, ``ismrmrd``, ``complex``
            images, and magnitude volumes in ``nifti`` or ``dicom``, whose acquisition is simulated. A name in
            ``SOURCES``.
        folders: places below the data folder that is given when running.
        unit: what a split keeps together: a ``file``, or all files of a ``folder``. Volumes are kept together by the
            patient that their file (or ``patient``) names, else by this.
        patient: for volumes: a regular expression; what it matches in a file's path is the patient.
        acquisition: for volumes: only those whose acquisition (contrast, plane) is one of these.
        slices: for volumes: only the slices from the first to the second number, both included, counted from 0.
        axes: for measured k-space, and complex images in another order than (slices, H, W): the order of axes: ``s``
            slices, ``t`` frames, ``c`` coils, ``h`` rows, ``w`` columns (lines of columns are left out); of MATLAB
            files as MATLAB's ``size`` shows them.
        dataset: the array to read in HDF5, ``.npz`` and MATLAB files, with ``/`` for groups, and the level of
            resolution in OME-Zarr; none: the one that is usual.
        channel: for ``ome-zarr``: which channel is read, counted from 0; or ``rgb``: three channels are the colours of
            one image. None: there is one.
        matrix: for volumes of images: keep this many lines of the middle of k-space in both directions.
        counts: what ``n`` counts: ``units``, which a split keeps together, or single ``images`` (for volumes: patients
            or slices).
        order: where ``n`` counts images: folder by folder or patient by patient (``grouped``), or all images in one
            random order (``mixed``), so that few images already come from many folders or patients.
        channels: ``rgb``, ``gray``, or ``auto``: as the images are, and mixtures are refused.
        patch: side of a training crop, in pixels.
        crop: ``random`` crops, or one fixed ``center`` crop an image (as in the paper).
        augment: whether training crops are flipped and turned at random (the eight symmetries of a square).
        val, test: how many files, folders or patients are held out for validation and test; 1 where ``split`` says
            which.
        split: which images are for training, validation and test: see
            :class:`~reconscale.study.images.own_split.OwnSplit`.
        val_patch: validation images are centre-cropped to this side at most; none: whole images.
        test_patch: test images are centre-cropped to this side at most; none: whole images.
        test_sets: further test sets by name: places below the data folder.
        split_seed: decides which of them are held out; the same for every run of a study.
        subset: ``seed``: every seed has its own nested order of the training images; ``shared``: one order for all.
        range: for ``folder`` and ``array``: the values that are black and white, the same for all images; values are
            mapped to [0, 1], and those outside are clipped. None: as the type of the file says.
        downscale: area-downsampling by this factor when the images are prepared (removes JPEG artefacts).
        unreadable: what to do with files that cannot be decoded: ``refuse`` or ``skip`` (counted and named).
        small: what to do with images smaller than the patch: ``refuse`` or ``skip`` (counted and named).
        duplicates: what to do with training images that (nearly) equal a held-out one: ``refuse`` or ``skip``.
        size, total: for ``deadleaves``: side in pixels and number of images.
        tile: for ``bundled``: photographs are cut into tiles of at least this many pixels a side.
        inputs, truths: for ``pairs``: two folders below the data folder.
        csv: for ``pairs``: instead, a table below the data folder with the columns ``input`` and ``truth``, and
            ``scene`` where there is one; files are named as seen from the table.
        match: for ``pairs``: what to replace in the name of an input, and by what, to have that of its truth. Empty:
            names are equal, or every folder (scene) has one truth.
        input_range: for ``pairs``: black and white of the inputs; these are not clipped. None: as ``range``.
        allow_shift: for ``pairs``: accept inputs that are shifted against their truths by 0.75 pixels or more.
        allow_noisy_truth: for ``pairs``: accept truths that are noisier than their inputs.
        allow_unrelated: for ``pairs``: accept inputs that have little in common with their truths.
        sources: name -> source, where training images come from several: see
            :class:`~reconscale.study.images.image_sources.ImageSource`. Empty: from one.
        target: the one of ``sources`` whose quality counts: validation and the main test set are from it. Of a study
            file that does not say: the first.
    """

    source: Annotated[str, BeforeValidator(_known_source)]
    folders: tuple[str, ...] = (".",)
    unit: Literal["file", "folder"] = "file"
    patient: str | None = None
    acquisition: tuple[str, ...] = ()
    slices: tuple[int, int] | None = None
    axes: str = "schw"
    dataset: str | None = Field(default=None, min_length=1, max_length=LONGEST)
    channel: Annotated[int | Literal["rgb"] | None, BeforeValidator(_known_channel)] = None
    matrix: int | None = Field(default=None, ge=16)
    counts: Literal["units", "images"] = "units"
    order: Literal["grouped", "mixed"] = "grouped"
    channels: Literal["auto", "rgb", "gray"] = "auto"
    patch: int = Field(default=64, ge=8)
    crop: Literal["random", "center"] = "random"
    augment: bool = False
    val: int = Field(ge=1)
    test: int = Field(ge=0)
    val_patch: int | None = Field(default=None, ge=8)
    test_patch: int | None = Field(default=None, ge=8)
    test_sets: dict[str, str] = Field(default_factory=dict)
    split_seed: int = Field(default=0, ge=0)
    subset: Literal["seed", "shared"] = "seed"
    range: tuple[float, float] | None = None
    downscale: int = Field(default=1, ge=1, le=16)
    unreadable: Literal["refuse", "skip"] = "refuse"
    small: Literal["refuse", "skip"] = "refuse"
    duplicates: Literal["refuse", "skip"] = "refuse"
    size: int = Field(default=128, ge=16, le=4096)
    total: int = Field(default=1000, ge=3, le=10_000_000)
    tile: int = Field(default=190, ge=16, le=4096)
    inputs: str | None = Field(default=None, min_length=1, max_length=LONGEST)
    truths: str | None = Field(default=None, min_length=1, max_length=LONGEST)
    csv: str | None = Field(default=None, min_length=1, max_length=LONGEST)
    match: tuple[Annotated[str, Field(min_length=1, max_length=LONGEST)], str] | None = None
    input_range: tuple[float, float] | None = None
    allow_shift: bool = False
    allow_noisy_truth: bool = False
    allow_unrelated: bool = False
    split: OwnSplit | None = None
    sources: dict[str, ImageSource] = Field(default_factory=dict)
    target: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _given(cls, content: Any, info: ValidationInfo) -> Any:
        """Sets that a list gives need no number."""
        if info.mode == "json" and isinstance(content, Mapping):  # what comes out of here is validated as Python is
            content = as_tuples(content)
        return fill_in_counts(fill_in_sources(content))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.test == 0 and not self.test_sets:
            raise ValueError("test: there is nothing to test on; set it to 1 or more, or name a [images.test_sets]")
        if "test" in self.test_sets or "val" in self.test_sets:
            raise ValueError("test_sets: the names 'test' and 'val' are taken; choose another name")
        for key, words in (("folders", self.folders), ("test_sets", (*self.test_sets, *self.test_sets.values()))):
            for word in words:
                if not word.isprintable() or len(word) > LONGEST:
                    raise ValueError(f"{key}: found {word[:60]!r}; give at most {LONGEST} characters, all printable")
        if self.order == "mixed" and self.counts == "units":
            raise ValueError('order: is for counts = "images"; set that, or leave order out')
        check_sources(self)
        self._check_volumes()
        self._check_parts_of_files()
        check_pair_keys(self)
        self._check_range()
        if not self.folders:
            raise ValueError("folders: the list is empty; name at least one folder, or leave the key out")
        return self

    def _check_range(self) -> None:
        if self.range is None:
            return
        if not self.kind.ranged:
            raise ValueError(f"range: is for image files and arrays, not for '{self.source}'; leave it out")
        black, white = self.range
        if not (math.isfinite(black) and math.isfinite(white) and black < white):
            raise ValueError(f"range: found [{black:g}, {white:g}]; give black and white, the smaller one first")

    def _check_parts_of_files(self) -> None:
        source = self.kind
        if self.dataset and not source.named_arrays:
            raise ValueError("dataset: is for files whose arrays have names (HDF5, .npz, MATLAB, OME-Zarr), and the "
                             f"source is '{self.source}'; leave it out")  # fmt: skip
        if self.channel is not None and not source.channels_apart:
            raise ValueError(f"channel: is for OME-Zarr, and the source is '{self.source}'; leave it out")

    def _check_volumes(self) -> None:
        for key in ("patient", "acquisition", "slices", "matrix"):
            if getattr(self, key) and not self.volumes:
                raise ValueError(f"{key}: is for volumes, and '{self.source}' gives single images; leave it out")
        if self.test_patch and self.volumes:
            raise ValueError("test_patch: slices of volumes are tested whole; leave it out")
        if self.augment and self.volumes:
            raise ValueError("augment: slices of volumes are trained on as they are; leave it out")
        if self.slices is not None and not 0 <= self.slices[0] <= self.slices[1]:
            raise ValueError(f"slices: found {list(self.slices)}; give the first and the last, counted from 0")
        if len(set(self.axes)) < len(self.axes) or not {"h", "w"} <= set(self.axes) <= set("stchw"):
            raise ValueError(f"axes: found '{self.axes}'; give h and w, and what there is of s (slices), t (frames) "
                             "and c (coils), once each, in the order of the file")  # fmt: skip
        if self.matrix is not None and self.kind.content == "kspace":
            raise ValueError("matrix: is for volumes of images; measured k-space is taken as it is: leave it out")
        try:
            re.compile(self.patient or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"patient: '{self.patient}' is not a regular expression ({error})") from error

    @property
    def kind(self) -> Source:
        """What is known of the source, or of what several sources have in common."""
        return OF_SOURCES if self.source == MIXTURE else SOURCES[self.source]

    @property
    def source_names(self) -> tuple[str, ...]:
        """The names of several sources, the target first, then by name; none where there is one source."""
        return tuple(sorted(self.sources, key=lambda name: (name != self.target, name)))

    def of_source(self, name: str) -> Images:
        """The options of one of several sources, as if it were the only one."""
        return images_of_source(self, name)

    @property
    def volumes(self) -> bool:
        """Whether the images are slices of volumes."""
        return self.kind.volumes

    @property
    def paired(self) -> bool:
        """Whether the images are inputs with their truths."""
        return self.kind.paired

    @property
    def noun(self) -> str:
        """What n counts, in a word: ``images``, or of volumes ``slices``, or what a split keeps together."""
        if self.counts == "units":
            return self.split_noun
        return "slices" if self.volumes else "images"

    @property
    def split_noun(self) -> str:
        """What a split keeps together: images, photographs, scenes or folders; patients or volumes."""
        if self.sources:
            nouns = {self.of_source(name).split_noun for name in self.sources}
            return nouns.pop() if len(nouns) == 1 else "images"
        source = self.kind
        if source.volumes:
            named = self.patient is not None or self.unit == "folder" or source.knows_patients
            return "patients" if named else "volumes"
        if source.photographs:
            return "photographs"
        if source.paired:
            return "scenes"
        return "folders" if self.unit == "folder" else "images"

    @property
    def main_test(self) -> str:
        """The test set that curves are drawn for: what was held out, else the first named test set."""
        return "test" if self.test else next(iter(self.test_sets))
