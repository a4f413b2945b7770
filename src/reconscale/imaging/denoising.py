"""Denoising as a problem: images and fresh noise, on the training device."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from reconscale.imaging.anchor import Anchor
from reconscale.imaging.classical import bm3d, denoise_dct, local_wiener, nonlocal_means, offers_bm3d
from reconscale.imaging.example import Example
from reconscale.imaging.imaged import Crops, Imaged
from reconscale.imaging.noise import fixed_generator, noisy
from reconscale.imaging.pixels import Pixels
from reconscale.study import DenoisingProblem

GREY = 0.4
"""Where noise depends on the pixel, classical denoisers are told its level at this value."""


class Denoising(Imaged[DenoisingProblem]):
    """y = x + z; z is Gaussian, Poisson, or both. Measurements are neither clipped nor rounded.

    Attributes:
        sigma: standard deviation of the Gaussian part, for images in [0, 1].
    """

    def __init__(self, problem: DenoisingProblem, device: torch.device, seed: int) -> None:
        """Prepare to measure: see ``Imaged``; ``sigma`` of the problem is in grey levels of 255."""
        super().__init__(problem, device, seed)
        self.sigma = problem.sigma / 255

    def examples(self, raw: Crops) -> list[Example]:
        """Crops in [0, 1], with fresh noise, or with that of their image: one example."""
        x = raw.pixels.to_unit(raw.values, self.device)
        if self.problem.noise == "fixed":
            example = self.example(self._copies(x, raw.names, "train"), x)
            return [replace(example, names=raw.names)]
        return [self.example(self.measure(x), x)]

    def fixed(self, data: Pixels, index: int, crop: int | None = None, seed: int = 0) -> Example:
        """One image, or its centre crop, with noise that is a pure function of its name, its size and the seed."""
        x = data.tensor(index, crop).to(self.device)
        return self.example(self.measure_fixed(x, data.names[index], seed), x)

    def second(self, example: Example) -> Tensor:
        """Another noisy copy of the same images: fresh, or fixed by their names where the first one is.

        Args:
            example: from ``examples``; one from ``fixed`` gets a fresh copy.
        """
        return self._copies(example.x, example.names, "second copy of") if example.names else self.measure(example.x)

    def _copies(self, x: Tensor, names: tuple[str, ...], which: str) -> Tensor:
        return torch.cat([self.measure_fixed(x[i : i + 1], f"{which} {name}") for i, name in enumerate(names)])

    def measure(self, x: Tensor) -> Tensor:
        """Measure with fresh noise.

        Args:
            x: (B, C, H, W), on the device.

        Returns:
            (B, C, H, W).
        """
        sigma: float | Tensor = self.sigma
        if self.problem.sigma_range is not None:
            low, high = (level / 255 for level in self.problem.sigma_range)
            sigma = low + (high - low) * torch.rand(len(x), generator=self.generator, device=self.device)
        return noisy(x, self.generator, sigma=sigma, photons=self.problem.photons)

    def measure_fixed(self, x: Tensor, name: str, seed: int = 0) -> Tensor:
        """Measure one named image with noise that is a pure function of (name, seed) and its shape.

        The noise is drawn on the CPU and then moved: it is the same on every device, in every order and batch.

        Args:
            x: (1, C, H, W), on any device.
            name: the image.
            seed: another seed gives independent noise.

        Returns:
            (1, C, H, W), on the device of x.
        """
        return noisy(x, fixed_generator(name, seed), sigma=self.sigma, photons=self.problem.photons)

    @property
    def level(self) -> float:
        """Standard deviation of all noise together, of a pixel of value ``GREY``."""
        poisson = GREY / self.problem.photons if self.problem.photons else 0.0
        return float((self.sigma**2 + poisson) ** 0.5)

    def anchors(self, validation: Pixels) -> dict[str, Anchor]:
        """The noisy image itself, and what needs no training."""
        del validation
        offered = {
            "input": Anchor("input", lambda y: y),
            "wiener": Anchor("local Wiener filter", partial(local_wiener, sigma=self.level)),
            "nlm": Anchor("non-local means", partial(nonlocal_means, sigma=self.level)),
        }
        if offers_bm3d():
            offered["bm3d"] = Anchor("BM3D", partial(bm3d, sigma=self.level))
        return offered | {"classical": Anchor("block DCT with Wiener filter", self.classical)}

    def classical(self, y: Tensor) -> Tensor:
        """Reconstruct without learning; the noise level is known.

        Args:
            y: (1, C, H, W).

        Returns:
            (1, C, H, W), not clipped.
        """
        return denoise_dct(y, self.level)
