"""Inverse problems: how images are measured, on the training device. A new one is a class and a ``PROBLEMS`` entry."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from reconscale.imaging.classical import denoise_dct
from reconscale.study import Problem


class Denoising:
    """y = x + z with z white and Gaussian. Measurements are neither clipped nor rounded.

    Attributes:
        sigma: standard deviation of z, for images in [0, 1].
        classical_name: what ``classical`` is.
    """

    classical_name = "block DCT with Wiener filter"

    def __init__(self, problem: Problem, device: torch.device, seed: int) -> None:
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


PROBLEMS: dict[str, type[Denoising]] = {"denoising": Denoising}
