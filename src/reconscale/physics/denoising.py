"""The denoising problem, computed on the training device."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.base import EXPLANATION_PATCH, Baseline, Batch, Crops, ImageProblem, add_noise, fixed_generator
from reconscale.physics.baselines import bm3d, denoise_dct, local_wiener, nonlocal_means, offers_bm3d
from reconscale.physics.metrics import mse
from reconscale.study import DenoisingProblem
from reconscale.theory.operators import Operator
from reconscale.theory.operators import denoising as identity_operator

GREY = 0.4
"""Where noise depends on the pixel, classical denoisers get its level at this value."""


class Denoising(ImageProblem[DenoisingProblem]):
    """y = x + z; z is Gaussian, Poisson, or both. Measurements are neither clipped nor rounded.

    Attributes:
        sigma: standard deviation of the Gaussian part, for images in [0, 1].
    """

    def __init__(self, problem: DenoisingProblem, device: torch.device, seed: int) -> None:
        """Prepare to measure: see ``ImageProblem``; ``sigma`` of the problem is in grey levels of 255."""
        super().__init__(problem, device, seed)
        self.sigma = problem.sigma / 255

    def examples(self, raw: Crops) -> list[Batch]:
        """Crops in [0, 1], with fresh noise, or with that of their image: one example."""
        x = raw.pixels.to_unit(raw.values, self.device)
        if self.problem.noise == "fixed":
            example = self.example(self._copies(x, raw.names, "train"), x)
            return [replace(example, names=raw.names)]
        return [self.example(self.measure(x), x)]

    def fixed(self, data: ImageSubset, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """One image, or its centre crop, with noise that is a pure function of its name, its size and the seed."""
        x = data.tensor(index, crop).to(self.device)
        return self.example(self.measure_fixed(x, data.names[index], seed), x)

    def second(self, example: Batch) -> Tensor:
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
        return add_noise(x, self.generator, sigma=sigma, photons=self.problem.photons)

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
        return add_noise(x, fixed_generator(name, seed), sigma=self.sigma, photons=self.problem.photons)

    @property
    def level(self) -> float:
        """Standard deviation of all noise together, of a pixel of value ``GREY``."""
        poisson = GREY / self.problem.photons if self.problem.photons else 0.0
        return float((self.sigma**2 + poisson) ** 0.5)

    def anchors(self, validation: ImageSubset) -> dict[str, Baseline]:
        """The noisy image itself, and what needs no training."""
        del validation
        offered = {
            "input": Baseline("input", lambda y: y),
            "wiener": Baseline("local Wiener filter", partial(local_wiener, sigma=self.level)),
            "nlm": Baseline("non-local means", partial(nonlocal_means, sigma=self.level)),
        }
        if offers_bm3d():
            offered["bm3d"] = Baseline("BM3D", partial(bm3d, sigma=self.level))
        return offered | {"classical": Baseline("block DCT with Wiener filter", self.classical)}

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """The identity, with Gaussian noise.

        Raises:
            UserError: the noise is Poisson noise.
        """
        del patch
        if self.problem.photons is not None:
            raise UserError("problem.photons", "Poisson noise has no linear explanation", "its report goes without")
        return identity_operator((EXPLANATION_PATCH, EXPLANATION_PATCH, channels), self.sigma)

    def classical(self, y: Tensor) -> Tensor:
        """Reconstruct without learning; the noise level is known.

        Args:
            y: (1, C, H, W).

        Returns:
            (1, C, H, W), not clipped.
        """
        return denoise_dct(y, self.level)


ALPHA = 0.5
"""The input of the network is noisier than the image by a factor sqrt(1 + ALPHA^2), 1.12."""
LEAST = 1e-6
"""A mean squared error below this counts as 0: 60 dB."""
PROFILE = "psnr-from-noisy"


class NoGroundTruth(Denoising):
    """Images y = x + z without the truth x; z is Gaussian, Poisson, or both, and its levels are known.

    In training a network sees y, and the losses without truth need no more. In evaluation y is split into two copies
    with independent noise, y1 = y + a w and y2 = y - w / a with w white of standard deviation sigma: the error of f(y1)
    against y2 is that against x plus sigma^2 (1 + 1 / a^2), on average. (Pang et al. 2021, Recorrupted-to-Recorrupted;
    Oliveira et al. 2022, coupled bootstrap.) It is the error at a noise 1.12 times sigma.

    With Poisson noise the variance of a pixel is sigma^2 + x / photons, and x is taken for the mean of its eight
    neighbours, whose noise is not its own; its mean over an image is the mean of x.
    """

    @property
    def level(self) -> float:
        """Standard deviation of the noise of what is denoised in evaluation."""
        return super().level * math.sqrt(1 + ALPHA**2)

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """No linear explanation.

        Raises:
            UserError: always.
        """
        del channels, patch
        raise UserError("problem.truth", "noisy images have no clean covariance", "its report goes without")

    def examples(self, raw: Crops) -> list[Batch]:
        """Crops as they are: what is measured; there is no truth, and the image stands for it."""
        y = raw.pixels.to_unit(raw.values, self.device)
        return [self.example(y, y)]

    def fixed(self, data: ImageSubset, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """The two copies of an image; their noise is a pure function of its name, its size and the seed."""
        y = data.tensor(index, crop)
        w = self._variance(y).sqrt() * torch.randn(y.shape, generator=fixed_generator(data.names[index], seed))
        return self.example((y + ALPHA * w).to(self.device), (y - w / ALPHA).to(self.device))

    def scores(self, x_hat: Tensor, example: Batch) -> dict[str, float]:
        """The estimate for one image: its error, which may come out below 0, and the PSNR that it gives."""
        error = float(self._error(x_hat, example))
        return {"mse-from-noisy": error, PROFILE: _decibel(error)}

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64: sums of the estimates of MSE and PSNR."""
        error = self._error(x_hat, example).clamp_min(LEAST)
        return torch.stack([error.sum(), (-10 * torch.log10(error)).sum()])

    def by_volume(self, scores: dict[str, dict[str, float]], data: ImageSubset) -> dict[str, dict[str, float]]:
        """The PSNR of the mean error over all images: single ones are too uncertain for a mean of decibels."""
        del data
        errors = [values["mse-from-noisy"] for values in scores.values()]
        mean = sum(errors) / len(errors)
        if mean < LEAST:
            found = f"the error comes out at {mean:.2g}, which no denoiser reaches"
            given = [f"the {255 * self.sigma:g} grey levels"] * (self.sigma > 0)
            given += [] if self.problem.photons is None else [f"that of {self.problem.photons:g} photons"]
            weaker = f"the noise is weaker than {' and '.join(given)} given"
            raise UserError("problem.sigma", found, f"{weaker}, or test images are too few")
        return {"all images": {PROFILE: _decibel(mean)}}

    def _error(self, x_hat: Tensor, example: Batch) -> Tensor:
        noise: Tensor | float = self.sigma**2
        if self.problem.photons is not None:
            assert isinstance(example.y, Tensor)
            y = (example.y + ALPHA**2 * example.x) / (1 + ALPHA**2)  # the image that was split into the two copies
            noise = self._variance(y).flatten(1).mean(1).to(torch.float64)
        return mse(x_hat, example.x) - noise * (1 + ALPHA**-2)

    def _variance(self, y: Tensor) -> Tensor:
        """Variance of the noise of each pixel of y (B, C, H, W), of the same shape, or of one number."""
        gaussian = torch.tensor(self.sigma**2, dtype=y.dtype, device=y.device)
        if self.problem.photons is None:
            return gaussian
        around = functional.pad(y, (1, 1, 1, 1), mode="replicate")
        beside = (9 * functional.avg_pool2d(around, 3, stride=1) - y) / 8
        return gaussian + beside.clamp_min(0) / self.problem.photons


def _decibel(error: float) -> float:
    return -10 * math.log10(max(error, LEAST))


def denoising(problem: DenoisingProblem, device: torch.device, seed: int) -> Denoising:
    """Denoising with the truth, or without."""
    return (Denoising if problem.has_truth else NoGroundTruth)(problem, device, seed)
