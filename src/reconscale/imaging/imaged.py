"""What the problems of images in [0, 1] have in common: crops, one stream of fresh noise, metrics, levels of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

from reconscale.imaging.example import Example
from reconscale.imaging.metrics import measure_image, mse, psnr_rgb_clip
from reconscale.imaging.pixels import Pixels
from reconscale.study.problems import at_sigma

P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops as they were read.

    Attributes:
        pixels: where they come from.
        values: (B, C, patch, patch) as they are stored.
        names: of their images.
    """

    pixels: Pixels
    values: Tensor
    names: tuple[str, ...]


class Imaged(Generic[P]):
    """The part of ``Measures`` that is the same for every problem of images.

    Attributes:
        problem: the options.
        device: where examples go.
        generator: what is fresh in training is drawn from it, on the device.
    """

    def __init__(self, problem: P, device: torch.device, seed: int) -> None:
        """Prepare to measure.

        Args:
            problem: the options.
            device: where images are measured.
            seed: of what is fresh in training.
        """
        self.problem, self.device, self.seed = problem, torch.device(device), seed
        self.generator = torch.Generator(device=self.device).manual_seed(seed)

    def check(self, data: Pixels, patch: int) -> None:
        """Any image can be measured."""

    def read(
        self,
        data: Pixels,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Crops:
        """Crops as they are stored: see ``Pixels.crops``."""
        values = data.crops(indices, patch, generator=generator, turns=turns)
        return Crops(data, values, tuple(data.names[i] for i in indices))

    def example(self, y: Any, x: Tensor) -> Example:
        """What was measured with its truth, of data range 1."""
        ones = torch.ones(len(x), device=self.device)
        return Example(y, x, ones, ones)

    def state(self) -> Tensor:
        """Where the stream of what is fresh is: a uint8 tensor on the CPU."""
        return self.generator.get_state().clone()

    def restore(self, state: Tensor) -> None:
        """Continue the stream from ``state``, exactly, on the same kind of device."""
        self.generator.set_state(state.cpu())

    def scores(self, x_hat: Tensor, example: Example) -> dict[str, float]:
        """Every metric of one image: profile -> value."""
        return measure_image(x_hat, example.x)

    def quick(self, x_hat: Tensor, example: Example) -> Tensor:
        """(2,) float64: sums of MSE and PSNR (clipped)."""
        return torch.stack([mse(x_hat, example.x).sum(), psnr_rgb_clip(x_hat, example.x).sum()])

    def by_volume(self, scores: dict[str, dict[str, float]], data: Pixels) -> dict[str, dict[str, float]]:
        """Nothing: images are no slices."""
        del scores, data
        return {}

    def shown(self, x_hat: Tensor, example: Example) -> Tensor:
        """A reconstruction as it is drawn: as it is."""
        del example
        return x_hat

    def variants(self) -> dict[str, Self]:
        """The problem at the other levels of noise that are tested: what is added to a test set's name -> problem."""
        levels = getattr(self.problem, "test_sigma", ())
        return {
            f" at sigma {sigma:g}": type(self)(at_sigma(self.problem, sigma), self.device, self.seed)
            for sigma in levels
        }
