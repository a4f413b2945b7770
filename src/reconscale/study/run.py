"""A run: everything that determines its numbers, and nothing about the machine."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from reconscale.study.base import OWN, FrozenModel, Problem
from reconscale.study.losses import known_losses
from reconscale.study.own_split import OwnSplit, fill_in_counts
from reconscale.study.pairs import check_pair_keys
from reconscale.study.problems import PROBLEMS
from reconscale.study.sources import SOURCES

WIDEST = 4096
"""Networks may be as wide as this."""
MOST = 10**12
"""Sizes and seeds may be as large as this."""
FAMILY = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$"
"""Names of network families: they are part of the names of folders."""
FEWEST_STEPS = 4
"""Of a trunk before its first branch."""
MOST_DOUBLINGS = 20
"""Of the steps of a trunk."""
KNOWN = frozenset(get_args(ErrorType))
"""Kinds of mistakes that pydantic words itself."""
LONGEST = 240
"""Characters of a place or of the name of a test set."""


def _known_source(name: Any) -> Any:
    return _one_of(name, SOURCES)


def _known_loss(name: Any) -> Any:
    return _one_of(name, known_losses())


def _one_of(name: Any, known: Collection[str]) -> Any:
    if not isinstance(name, str) or name not in known:
        *words, last = map(repr, known)
        raise PydanticCustomError("literal_error", f"Input should be {', '.join(words)} or {last}; {OWN}")
    return name


class Images(FrozenModel):
    """Which images, and how they are divided.

    Attributes:
        source: ``bundled`` photographs, a ``folder`` of image files, procedural ``deadleaves``, an ``array`` file, or
            ``pairs`` of inputs and truths;
            or volumes of slices: ``fastmri`` (HDF5 with k-space), ``kspace-array``, ``complex`` images, and magnitude
            volumes in ``nifti`` or ``dicom``, whose acquisition is simulated. A name in ``SOURCES``.
        folders: places below the data folder that is given when running.
        unit: what a split keeps together: a ``file``, or all files of a ``folder``. Volumes are kept together by the
            patient that their file (or ``patient``) names, else by this.
        patient: for volumes: a regular expression; what it matches in a file's path is the patient.
        acquisition: for volumes: only those whose acquisition (contrast, plane) is one of these.
        slices: for volumes: only the slices from the first to the second number, both included, counted from 0.
        axes: for measured k-space, and complex images in another order than (slices, H, W): the order of axes: ``s``
            slices, ``t`` frames, ``c`` coils, ``h`` rows, ``w`` columns (lines of columns are left out); of MATLAB
            files as MATLAB's ``size`` shows them.
        dataset: the array to read in HDF5 and MATLAB files, with ``/`` for groups; none: the one that is usual.
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
            :class:`~reconscale.study.own_split.OwnSplit`.
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
    """

    source: Annotated[str, BeforeValidator(_known_source)]
    folders: tuple[str, ...] = (".",)
    unit: Literal["file", "folder"] = "file"
    patient: str | None = None
    acquisition: tuple[str, ...] = ()
    slices: tuple[int, int] | None = None
    axes: str = "schw"
    dataset: str | None = Field(default=None, min_length=1, max_length=LONGEST)
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

    @model_validator(mode="before")
    @classmethod
    def _given(cls, content: Any, info: ValidationInfo) -> Any:
        """Sets that a list gives need no number."""
        if info.mode == "json" and isinstance(content, Mapping):  # what comes out of here is validated as Python is
            content = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
        return fill_in_counts(content)

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
        self._check_volumes()
        check_pair_keys(self)
        self._check_range()
        if not self.folders:
            raise ValueError("folders: the list is empty; name at least one folder, or leave the key out")
        return self

    def _check_range(self) -> None:
        if self.range is None:
            return
        if self.source not in ("folder", "array", "pairs"):
            raise ValueError(f"range: is for image files and arrays, not for '{self.source}'; leave it out")
        black, white = self.range
        if not (math.isfinite(black) and math.isfinite(white) and black < white):
            raise ValueError(f"range: found [{black:g}, {white:g}]; give black and white, the smaller one first")

    def _check_volumes(self) -> None:
        for key in ("patient", "acquisition", "slices", "matrix", "dataset"):
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
        if self.dataset and self.source in ("nifti", "dicom"):
            raise ValueError(f"dataset: is for HDF5 and MATLAB files, and the source is '{self.source}'; leave it out")
        if self.matrix is not None and SOURCES[self.source].content == "kspace":
            raise ValueError("matrix: is for volumes of images; measured k-space is taken as it is: leave it out")
        try:
            re.compile(self.patient or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"patient: '{self.patient}' is not a regular expression ({error})") from error

    @property
    def volumes(self) -> bool:
        """Whether the images are slices of volumes."""
        return SOURCES[self.source].volumes

    @property
    def paired(self) -> bool:
        """Whether the images are inputs with their truths."""
        return SOURCES[self.source].paired

    @property
    def noun(self) -> str:
        """What n counts, in a word: ``images``, or of volumes ``slices``, or what a split keeps together."""
        if self.counts == "units":
            return self.split_noun
        return "slices" if self.volumes else "images"

    @property
    def split_noun(self) -> str:
        """What a split keeps together: images, photographs, scenes or folders; patients or volumes."""
        source = SOURCES[self.source]
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


class Architecture(FrozenModel):
    """A network family and its dials but for the width: the network table of a study, whose widths are swept.

    Attributes:
        family: a name in ``reconscale.networks.FAMILIES``.
        depth: levels of the U-Net, convolution layers of DnCNN, residual blocks (EDSR), groups (SwinIR, RFDN), blocks a
            level (DRUNet, Restormer); none: the family's own default for the problem.
        cascades: of the unrolled families: how often the network and the measurement take turns; none: the default.
        layers: of SwinIR: transformer layers of a group; none: the default.
        heads: of the transformers: attention heads, which divide the width; none: the default.
        upsampler: of super-resolution: ``bicubic`` (the small image is enlarged first), ``subpixel`` (the network sees
            the small image and ends with a pixel shuffle) or ``direct`` (SwinIR's light one); none: the family's first.
        norm: of the U-Net: ``instance`` normalisation after every convolution, or ``none``.
        residual: of the U-Net: whether it predicts what to take away from its input; none: for all problems but MRI, as
            in the paper, and for MRI where ``head`` is ``zero``.
        head: the last convolution before training: ``random``, or ``zero``: an untrained network then gives back its
            input (of super-resolution its bicubic enlargement, of MRI the zero-filled image).
    """

    family: str = Field(default="unet", pattern=FAMILY)
    depth: int | None = Field(default=None, ge=1, le=64)
    cascades: int | None = Field(default=None, ge=1, le=64)
    layers: int | None = Field(default=None, ge=1, le=64)
    heads: int | None = Field(default=None, ge=1, le=64)
    upsampler: Literal["bicubic", "subpixel", "direct"] | None = None
    norm: Literal["instance", "none"] = "instance"
    residual: bool | None = None
    head: Literal["random", "zero"] = "random"


class Network(Architecture):
    """An architecture at one width.

    Attributes:
        width: the dial that grows the network: channels of the first level.
    """

    width: int = Field(ge=1, le=WIDEST)


class Recipe(FrozenModel):
    """How to train. It does not change with n unless an override says so.

    Attributes:
        policy: ``fast``: a fixed number of steps with warm-up, a constant rate and a linear fall to zero, with a guard
            against divergence; ``converge``: as many steps as it takes: a trunk at a constant rate, which branches
            leave at ``steps``, twice, four times ... as many; in each the rate falls to zero, and training ends when
            the last doubling gained less than ``tolerance``; with the same guard; ``budget``: a fixed number of steps
            with warm-up and decay; ``plateau``: constant rate, halved when the validation stops improving, until
            ``lr_min``; ``paper``: the official two-phase scheme for denoising; ``paper-mri``: the official scheme for
            MRI: a tenth of the rate when the validation loss stops improving.
        steps: fast and budget: the number of steps; converge: those of the trunk before the first branch; the others:
            the most steps.
        epochs: plateau, paper and paper-mri: the most passes over the training images; none: as many as ``steps``
            allow.
        cooldown: converge: the steps of a branch, as a fraction of those of the trunk before it.
        tolerance: converge: training has converged when twice the steps raise the validation PSNR by less; dB. Of a
            study file that does not say: a third of ``analysis.worthwhile`` where that is in dB.
        doublings: converge: how often the steps are doubled at most.
        batch: crops (of volumes: slices) in a step.
        optimizer: ``muon`` (for matrices of weights; Adam for the rest), ``adam`` or ``rmsprop`` with torch's defaults.
        weight_decay: of muon and adam: every step takes lr * weight_decay of the weights away (decoupled).
        clip: gradients are scaled down to this norm; none: they are not.
        lr: peak (fast, budget) or initial (the others) learning rate at width ``lr_width``.
        lr_width: the learning rate of a network of width w is lr * (lr_width / w) ** lr_power; none: lr at every width.
        lr_power: see ``lr_width``.
        warmup: fast, converge and budget: fraction of the steps with a linearly rising rate.
        hold: fast: fraction of the steps after which the rate begins to fall.
        decay: budget: shape after the warm-up: ``cosine`` down to one hundredth, or ``none``.
        validate_every: steps between validations; none: a twentieth of the steps (budget), an epoch (the plateau
            policies), or (fast) often at first and then ever more rarely, a tenth of the time at most.
            Of converge those on the trunk, besides the ones where branches leave, and in the middle and at the end of
            each.
        patience: plateau, paper, paper-mri: validations without progress before the rate is lowered.
        annealing: paper: whether phase A (doubling of the rate while it helps) comes first.
        lr_min: plateau, paper, paper-mri: the rate at which training ends.
        precision: ``fp32``, ``bf16`` (autocast), or ``auto``: measured once per study, and recorded.
        loss: what training minimises: ``mse`` or ``l1`` over pixels, or ``ssim``: 1 - SSIM (7 x 7 uniform windows; the
            data range is 1, of volumes their maximum). Of denoising also without the truth: ``noise2noise`` (a second
            noisy copy is the target), ``neighbor2neighbor`` or ``sure`` (one noisy copy). A name in ``LOSSES``.
        select: which look at the validation set the weights are kept from: the best mean ``psnr`` or the best ``loss``.
        init: weights that training begins with: a .safetensors file, or the directory of a run, seen from the study
            file.
        init_path: where that file is; filled in when a study is read. Neither is in an id or in a record.
        init_sha256: the digest of that file, which is in both; filled in likewise.
    """

    policy: Literal["fast", "converge", "budget", "plateau", "paper", "paper-mri"] = "budget"
    steps: int = Field(default=4000, ge=1)
    epochs: int | None = Field(default=None, ge=1)
    cooldown: float = Field(default=0.2, gt=0, le=1)
    tolerance: float = Field(default=0.03, gt=0)
    doublings: int = Field(default=5, ge=1, le=MOST_DOUBLINGS)
    batch: int = Field(default=16, ge=1)
    optimizer: Literal["muon", "adam", "rmsprop"] = "adam"
    weight_decay: float = Field(default=0.0, ge=0, lt=10)
    clip: float | None = Field(default=None, gt=0)
    lr: float = Field(default=1e-3, gt=0)
    lr_width: int | None = Field(default=None, ge=1)
    lr_power: float = Field(default=0.5, ge=0, le=2)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    hold: float = Field(default=0.3, ge=0, le=1)
    decay: Literal["cosine", "none"] = "cosine"
    validate_every: int | None = Field(default=None, ge=1)
    patience: int = Field(default=10, ge=1)
    annealing: bool = True
    lr_min: float = Field(default=1e-5, gt=0)
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    loss: Annotated[str, BeforeValidator(_known_loss)] = "mse"
    select: Literal["psnr", "loss"] = "psnr"
    init: Annotated[str | None, Field(exclude=True)] = None
    init_path: Annotated[str | None, Field(exclude=True)] = None
    init_sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.init is not None and self.init_sha256 is None:
            raise ValueError("init: its file was not read; read the study with load_study or parse_study")
        if self.weight_decay and self.optimizer == "rmsprop":
            raise ValueError("weight_decay: rmsprop has none; set it to 0, or choose muon or adam")
        if self.policy == "fast" and self.warmup > self.hold:
            raise ValueError(
                f"warmup: found {self.warmup:g}, beyond hold = {self.hold:g}, where the rate begins to fall"
            )
        if self.policy == "converge" and self.steps < FEWEST_STEPS:
            raise ValueError(f"steps: found {self.steps}, too few to look at the validation set between them; give at "
                             f"least {FEWEST_STEPS}, better some hundreds")  # fmt: skip
        return self

    @property
    def steps_are_fixed(self) -> bool:
        """Whether the number of steps is known before training."""
        return self.policy in ("fast", "budget")

    @property
    def guarded(self) -> bool:
        """Whether a guard watches training, and lets it begin again more slowly where it diverges."""
        return self.policy in ("fast", "converge")


def _problem_of_kind(value: Any, info: ValidationInfo) -> Problem:
    """The problem that a table of options means; ``kind`` tells which class."""
    if isinstance(value, Problem):
        return value
    if not isinstance(value, Mapping):
        found = "Input should be a valid dictionary or object to extract fields from"
        raise PydanticCustomError("model_attributes_type", found)
    if "kind" not in value:
        raise PydanticCustomError("union_tag_not_found", "kind is missing")
    model = PROBLEMS.get(value["kind"]) if isinstance(value["kind"], str) else None
    if model is None:
        raise PydanticCustomError("union_tag_invalid", "there is no such kind", {"tag": str(value["kind"])})
    try:
        if info.mode == "json":  # lists are tuples there
            return model.model_validate_json(json.dumps(value))
        return model.model_validate(value)
    except ValidationError as error:  # places begin with the kind, which tells whose keys they are
        details = [
            InitErrorDetails(
                type=detail["type"] if detail["type"] in KNOWN else PydanticCustomError("own", detail["msg"]),
                loc=(value["kind"], *detail["loc"]),
                input=detail["input"],
                ctx=detail.get("ctx", {}),
            )
            for detail in error.errors()
        ]
        raise ValidationError.from_exception_data(model.__name__, details) from error


AnyProblem = Annotated[SerializeAsAny[Problem], PlainValidator(_problem_of_kind)]
"""A field for any of the problems; ``kind`` tells which class of ``PROBLEMS`` it is."""


class Run(FrozenModel):
    """One training: problem, images, n, network, recipe and seed.

    The identity is a readable prefix and a hash of the canonical JSON of all fields that differ from their defaults,
    so that a new knob that is off renames nothing. It is never parsed. These defaults never change: what a newer study
    file means where it says nothing is filled in before (:mod:`reconscale.study.defaults`).
    """

    problem: AnyProblem
    images: Images
    n: int = Field(ge=1, le=MOST)
    network: Network
    recipe: Recipe
    seed: int = Field(default=0, ge=0, le=MOST)

    @cached_property
    def id(self) -> str:
        """Name of the run and of its results folder."""
        digest = hashlib.sha256(self.canonical().encode()).hexdigest()[:12]
        return f"{self.problem.kind}-{self.network.family}-w{self.network.width}-n{self.n}-s{self.seed}-{digest}"

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, and an id of its own."""
        copy = super().model_copy(update=update, deep=deep)
        copy.__dict__.pop("id", None)  # which pydantic copies, as it was read before
        return copy

    def canonical(self) -> str:
        """The JSON that is hashed: sorted keys, no defaults, no spaces."""
        fields: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def lr(self) -> float:
        """The learning rate of this run: the recipe's, carried over to this width."""
        recipe = self.recipe
        if recipe.lr_width is None:
            return recipe.lr
        return float(recipe.lr * (recipe.lr_width / self.network.width) ** recipe.lr_power)

    @property
    def subset_seed(self) -> int:
        """What the nested order of training images is drawn from."""
        return self.seed if self.images.subset == "seed" else 0
