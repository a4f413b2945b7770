"""A run: everything that determines its numbers, and nothing about the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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

from reconscale.study.base import FrozenModel, Problem
from reconscale.study.images import Images, one_of
from reconscale.study.losses import known_losses
from reconscale.study.problems import PROBLEMS

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


def _known_loss(name: Any) -> Any:
    return one_of(name, known_losses())


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
            noisy copy is the target), ``neighbor2neighbor``, ``noise2void`` or ``sure`` (one noisy copy). A name in
            ``LOSSES``.
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

    Attributes:
        n: training images, of all sources together.
        mix: source -> how many of them are its; empty where there is one source.
    """

    problem: AnyProblem
    images: Images
    n: int = Field(ge=1, le=MOST)
    network: Network
    recipe: Recipe
    seed: int = Field(default=0, ge=0, le=MOST)
    mix: dict[str, Annotated[int, Field(ge=1, le=MOST)]] = Field(default_factory=dict)

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
