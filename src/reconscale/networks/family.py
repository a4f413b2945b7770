"""Network families: what a network is built from, the input that a problem gives it, and adapters for other inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.physics.base import KSpace, LinearMeasurement
from reconscale.physics.linear_operators import LinearOperator
from reconscale.physics.superresolution import upscale
from reconscale.study.base import Form, Problem
from reconscale.study.problems import PROBLEMS

MEAN_PIXEL = 0.45
"""Of photographs in [0, 1]."""
LEVEL = 25 / 255
"""The level of noise that networks get where the problem has none."""


@dataclass(frozen=True)
class InputSpec:
    """The input that a problem gives to a network, as far as the network is built for it.

    Attributes:
        channels: of the images.
        kind: of the problem.
        factor: of super-resolution; 1 otherwise.
        sigma: standard deviation of the noise, for images in [0, 1].
        photons: of a pixel of value 1, of denoising with Poisson noise too; none: without it.
    """

    channels: int
    kind: str = "denoising"
    factor: int = 1
    sigma: float = LEVEL
    photons: float | None = None

    @property
    def form(self) -> Form:
        """The form of what is measured: of a problem of small images that are not smaller, that of images."""
        form = PROBLEMS[self.kind].form
        return "image" if form == "lowres" and self.factor == 1 else form


def input_spec(problem: Problem, channels: int) -> InputSpec:
    """The input that a problem of a study gives to a network.

    Args:
        problem: as the study names it.
        channels: of the images.
    """
    photons = getattr(problem, "photons", None)
    return InputSpec(channels, problem.kind, problem.enlarges, problem.noise_level or LEVEL, photons)


@dataclass(frozen=True)
class BuildArgs:
    """The arguments that a network of a family is built from.

    Attributes:
        given: what the network gets; families of images use its channels only.
        width, depth, cascades, layers, heads: the dials, with nothing left open; 0 where a family has none.
        upsampler: how small images are enlarged.
        norm: ``instance`` or ``none``.
        zero_head: whether the last convolution starts at zero, and what it gives is added to the input.
        residual: whether the U-Net predicts what to take away; none: as its form and its head have it.
    """

    given: InputSpec
    width: int
    depth: int
    cascades: int
    layers: int
    heads: int
    upsampler: str
    norm: str = "instance"
    zero_head: bool = False
    residual: bool | None = None

    @property
    def channels(self) -> int:
        """Of the images."""
        return self.given.channels

    @property
    def shrinkage_args(self) -> tuple[int, int, int, float]:
        """Channels, width, depth, and the level of noise of the problem."""
        return self.channels, self.width, self.depth, self.given.sigma

    @property
    def residual_scale(self) -> float:
        """The usual error of the input: in denoising its noise, that of photons at a mean pixel included; else at least
        ``LEVEL``, as little noise does not make little errors.
        """
        given = self.given
        if not self.denoises:
            return max(given.sigma, LEVEL)
        return given.sigma if given.photons is None else math.hypot(given.sigma, math.sqrt(MEAN_PIXEL / given.photons))

    @property
    def denoises(self) -> bool:
        """Whether the input is the image itself with noise."""
        return PROBLEMS[self.given.kind].denoises


@dataclass(frozen=True, eq=False)  # one is only itself: what was counted of it is remembered
class Family:
    """A builder with a width dial.

    A family that maps images to images is made for every problem but MRI: linear problems give it a filtered image,
    and super-resolution the bicubic enlargement (``upsampler = "bicubic"``), unless it is built for them.

    Attributes:
        build: form of what is given -> builder of a network from that to (B, channels, h, w).
        depth: the depth when a study does not say, by form; ``lowres`` and ``sensed`` are as ``image`` where they are
            not named.
        least: depth -> the smallest side of an image that the network accepts.
        context: depth -> pixels around a tile that its centre depends on directly (normalisation aside).
        source: where the network comes from.
        cascades: of unrolled families: how many when a study does not say; 0: the family has none.
        layers, heads: of transformers, in the same way.
        upsamplers: for super-resolution; the first one is the default.
        norms: the normalisations that it can have.
        least_depth: the smallest depth; 0: the family has none.
        width_multiple: what a width must be a multiple of.
        residual: whether it has the choice of predicting what to take away from its input.
        small: dials of a network that trains in seconds, for the contract suites.
        code: digest of the user's own code, where it is known.
    """

    build: Mapping[Form, Callable[[BuildArgs], nn.Module]]
    depth: Mapping[Form, int]
    least: Callable[[int], int]
    context: Callable[[int], int]
    source: str
    cascades: int = 0
    layers: int = 0
    heads: int = 0
    upsamplers: tuple[str, ...] = ("bicubic",)
    norms: tuple[str, ...] = ("instance",)
    least_depth: int = 1
    width_multiple: int = 1
    residual: bool = False
    small: Mapping[str, int] = field(default_factory=dict)
    code: str = ""

    def made_for(self, kind: str) -> bool:
        """Whether there is a network for a kind of problem."""
        form = PROBLEMS[kind].form
        return form in self.build or (form in ("lowres", "sensed") and "image" in self.build)


def zero_initialised(convolution: nn.Conv2d) -> None:
    """Set the weights and the bias of a convolution to zero."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


class Added(nn.Module):
    """A network that predicts what to add to the bicubic enlargement of its input.

    Args:
        network: from (B, C, h, w) to (B, C, factor h, factor w).
        factor: how many times images are enlarged.
    """

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, y: Tensor) -> Tensor:
        """Map small images (B, C, h, w) to (B, C, factor h, factor w)."""
        change: Tensor = self.network(y)
        return upscale(y.float(), self.factor) + change


class OnFilteredImage(nn.Module):
    """A network of images, on the filtered image of what a linear operator has measured."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, y: LinearMeasurement) -> Tensor:
        """Map what was measured to images (B, C, h, w)."""
        x: Tensor = self.network(y.image)
        return x


class OnUpsampledImage(nn.Module):
    """A network of images, on the bicubic enlargement of small ones.

    Args:
        network: from (B, C, H, W) to the same.
        factor: how many times images are enlarged.
    """

    def __init__(self, network: nn.Module, factor: int) -> None:
        super().__init__()
        self.network, self.factor = network, factor

    def forward(self, y: Tensor) -> Tensor:
        """Map small images (B, C, h, w) to (B, C, factor h, factor w)."""
        x: Tensor = self.network(upscale(y.float(), self.factor))
        return x


class PadToMultiple(nn.Module):
    """A network whose input's sides must be multiples of something: the last row and column are repeated, then cut.

    Args:
        network: from (B, C, H, W) to the same.
        multiple: of what.
        least: the smallest side that the network takes, a multiple.
    """

    def __init__(self, network: nn.Module, multiple: int, least: int) -> None:
        super().__init__()
        self.network, self.multiple, self.least = network, multiple, least

    def forward(self, y: Tensor) -> Tensor:
        """Map images (B, C, H, W) of any size to the same."""
        rows, columns = y.shape[-2:]
        down, right = (max(self.least, -(-side // self.multiple) * self.multiple) - side for side in (rows, columns))
        if not (down or right):
            return self.network(y)  # type: ignore[no-any-return]
        return self.network(nn.functional.pad(y, (0, right, 0, down), mode="replicate"))[..., :rows, :columns]  # type: ignore[no-any-return]


def meta_input(given: InputSpec, side: int) -> Any:
    """An input without values for an image of ``side`` pixels: one coil, an operator without cost."""
    if given.form == "kspace":
        values, mask = (
            torch.empty(1, 1, side, side, dtype=torch.complex64),
            torch.empty(1, 1, 1, side, dtype=torch.bool),
        )
        return KSpace(values, mask, (side // 2 - 2, 4), (side, side))
    image = torch.empty(1, given.channels, side // given.factor, side // given.factor)
    if given.form != "sensed":
        return image
    return LinearMeasurement(image, image, LinearOperator(torch.clone, torch.clone, torch.clone))
