"""Denoising as a problem: images and fresh noise, on the training device."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from reconscale.imaging.anchor import Anchor
from reconscale.imaging.classical import denoise_dct
from reconscale.imaging.example import Example
from reconscale.imaging.metrics import measure_image, mse, psnr_rgb_clip
from reconscale.imaging.pixels import Pixels
from reconscale.study import DenoisingProblem


class Denoising:
    """y = x + z with z white and Gaussian. Measurements are neither clipped nor rounded.

    Attributes:
        sigma: standard deviation of z, for images in [0, 1].
    """

    def __init__(self, problem: DenoisingProblem, device: torch.device, seed: int) -> None:
        """Prepare to measure.

        Args:
            problem: the options; ``sigma`` is in grey levels of 255.
            device: where images are measured.
            seed: of the training noise.
        """
        from deepinv import physics

        self.sigma, self.device = problem.sigma / 255, torch.device(device)
        generator = torch.Generator(device=self.device).manual_seed(seed)
        noise = physics.GaussianNoise(sigma=self.sigma, rng=generator)
        self._physics = physics.Denoising(noise_model=noise, device=self.device)

    def check(self, data: Pixels, patch: int) -> None:
        """Any image can be measured."""

    def read(
        self, data: Pixels, indices: Sequence[int], patch: int, generator: torch.Generator | None
    ) -> tuple[Pixels, Tensor]:
        """Crops as they are stored: see ``Pixels.crops``."""
        return data, data.crops(indices, patch, generator=generator)

    def examples(self, raw: tuple[Pixels, Tensor]) -> list[Example]:
        """Crops in [0, 1], with fresh noise: one example."""
        pixels, crops = raw
        x = pixels.to_unit(crops, self.device)
        ones = torch.ones(len(x), device=self.device)
        return [Example(self.measure(x), x, ones, ones)]

    def fixed(self, data: Pixels, index: int, crop: int | None = None, seed: int = 0) -> Example:
        """One image, or its centre crop, with noise that is a pure function of its name, its size and the seed."""
        x = data.tensor(index, crop).to(self.device)
        ones = torch.ones(1, device=self.device)
        return Example(self.measure_fixed(x, data.names[index], seed), x, ones, ones)

    def measure(self, x: Tensor) -> Tensor:
        """Measure with fresh noise.

        Args:
            x: (B, C, H, W), on the device.

        Returns:
            (B, C, H, W).
        """
        y: Tensor = self._physics(x)
        return y

    def state(self) -> Tensor:
        """Where the stream of fresh noise is: a uint8 tensor on the CPU."""
        # The noise model replaces its generator by a copy whenever it is used: only its own one is up to date.
        state: Tensor = self._physics.noise_model.rng.get_state()
        return state.clone()

    def restore(self, state: Tensor) -> None:
        """Continue the stream of fresh noise from ``state``, exactly, on the same kind of device."""
        self._physics.noise_model.rng.set_state(state.cpu())

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
        generator = torch.Generator().manual_seed(_seed_of(name, seed))
        noise = torch.randn(x.shape, generator=generator, dtype=torch.float32)
        return x + self.sigma * noise.to(x.device)

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

    def anchors(self, validation: Pixels) -> dict[str, Anchor]:
        """The noisy image itself, and what needs no training."""
        del validation
        return {
            "input": Anchor("input", lambda y: y),
            "classical": Anchor("block DCT with Wiener filter", self.classical),
        }

    def classical(self, y: Tensor) -> Tensor:
        """Reconstruct without learning; the noise level is known.

        Args:
            y: (1, C, H, W).

        Returns:
            (1, C, H, W), not clipped.
        """
        return denoise_dct(y, self.sigma)


def _seed_of(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big") >> 1
