"""Network families and the arguments that a network is built from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from reconscale.networks.input_spec import LEVEL, InputSpec
from reconscale.physics.superresolution import upscale
from reconscale.study.base import Form
from reconscale.study.problems import PROBLEMS

MEAN_PIXEL = 0.45
"""Of photographs in [0, 1]."""


@dataclass(frozen=True)
class BuildArgs:
    """What a network of a family is built from.

    Attributes:
        given: what the network gets; families of images see its channels alone.
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
    def told(self) -> tuple[int, int, int, float]:
        """Channels, width, depth, and the problem's level of noise."""
        return self.channels, self.width, self.depth, self.given.sigma

    @property
    def unit(self) -> float:
        """What is usually wrong with the input: the noise of denoising, that of photons at a mean pixel included; else,
        as little noise does not make little errors, at least ``LEVEL``.
        """
        given = self.given
        if not self.denoises:
            return max(given.sigma, LEVEL)
        return given.sigma if given.photons is None else math.hypot(given.sigma, math.sqrt(MEAN_PIXEL / given.photons))

    @property
    def denoises(self) -> bool:
        """Whether what the network sees is the image itself and noise."""
        return PROBLEMS[self.given.kind].denoises


@dataclass(frozen=True)
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
        upsamplers: for super-resolution; the first holds when a study does not say.
        norms: the normalisations that it can have.
        least_depth: the smallest depth; 0: the family has none.
        width_multiple: what a width must be a multiple of.
        residual: whether it has the choice of predicting what to take away from its input.
        small: dials of a network that trains in seconds, for the contract suites.
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
