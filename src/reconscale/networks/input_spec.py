"""Network input specs, and adapters for other inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.physics.base import KSpace, LinearMeasurement
from reconscale.physics.linear_operators import LinearOperator
from reconscale.physics.superresolution import upscale
from reconscale.study.base import Form, Problem
from reconscale.study.problems import PROBLEMS

LEVEL = 25 / 255
"""The level of noise that networks are told where the problem has none."""


@dataclass(frozen=True)
class InputSpec:
    """What a problem gives to a network, as far as it decides how the network is built.

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
        """The form of what is measured."""
        return PROBLEMS[self.kind].form


def input_spec(problem: Problem, channels: int) -> InputSpec:
    """What a problem of a study gives to a network.

    Args:
        problem: as the study names it.
        channels: of the images.
    """
    photons = getattr(problem, "photons", None)
    return InputSpec(channels, problem.kind, problem.enlarges, problem.noise_level or LEVEL, photons)


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
    """What a network of an image of ``side`` pixels is given, without values: one coil, an operator without cost."""
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
