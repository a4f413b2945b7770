"""Denoising where the images are noisy themselves: training and evaluation without the truth."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reconscale.imaging.denoising import Denoising
from reconscale.imaging.example import Example
from reconscale.imaging.imaged import Crops
from reconscale.imaging.metrics import mse
from reconscale.imaging.noise import fixed_generator
from reconscale.imaging.pixels import Pixels
from reconscale.mistakes import Mistake

ALPHA = 0.5
"""How much noisier than the image what is denoised is: by a factor sqrt(1 + ALPHA^2), 1.12."""
LEAST = 1e-6
"""A mean squared error below this is not told from 0: 60 dB."""
PROFILE = "psnr-from-noisy"


class WithoutTruth(Denoising):
    """Images y = x + z whose x nobody has; sigma is known, and z is Gaussian.

    In training a network sees y, and the losses without truth need no more. In evaluation y is split into two copies
    with independent noise, y1 = y + a w and y2 = y - w / a with w white of standard deviation sigma: the error of f(y1)
    against y2 is that against x plus sigma^2 (1 + 1 / a^2), on average. (Pang et al. 2021, Recorrupted-to-Recorrupted;
    Oliveira et al. 2022, coupled bootstrap.) It is the error at a noise 1.12 times sigma.
    """

    @property
    def level(self) -> float:
        """Standard deviation of the noise of what is denoised in evaluation."""
        return self.sigma * math.sqrt(1 + ALPHA**2)

    def examples(self, raw: Crops) -> list[Example]:
        """Crops as they are: what is measured; there is no truth, and the image stands for it."""
        y = raw.pixels.to_unit(raw.values, self.device)
        return [self.example(y, y)]

    def fixed(self, data: Pixels, index: int, crop: int | None = None, seed: int = 0) -> Example:
        """The two copies of an image; their noise is a pure function of its name, its size and the seed."""
        y = data.tensor(index, crop)
        w = self.sigma * torch.randn(y.shape, generator=fixed_generator(data.names[index], seed))
        return self.example((y + ALPHA * w).to(self.device), (y - w / ALPHA).to(self.device))

    def scores(self, x_hat: Tensor, example: Example) -> dict[str, float]:
        """The estimate for one image: its error, which may come out below 0, and the PSNR that it gives."""
        error = float(self._error(x_hat, example))
        return {"mse-from-noisy": error, PROFILE: _decibel(error)}

    def quick(self, x_hat: Tensor, example: Example) -> Tensor:
        """(2,) float64: sums of the estimates of MSE and PSNR."""
        error = self._error(x_hat, example).clamp_min(LEAST)
        return torch.stack([error.sum(), (-10 * torch.log10(error)).sum()])

    def by_volume(self, scores: dict[str, dict[str, float]], data: Pixels) -> dict[str, dict[str, float]]:
        """The PSNR of the mean error over all images: single ones are too uncertain for a mean of decibels."""
        del data
        errors = [values["mse-from-noisy"] for values in scores.values()]
        mean = sum(errors) / len(errors)
        if mean < LEAST:
            found = f"the error comes out at {mean:.2g}, which no denoiser reaches"
            weaker = f"the noise is weaker than the {255 * self.sigma:g} grey levels given"
            raise Mistake("problem.sigma", found, f"{weaker}, or test images are too few")
        return {"all images": {PROFILE: _decibel(mean)}}

    def _error(self, x_hat: Tensor, example: Example) -> Tensor:
        return mse(x_hat, example.x) - self.sigma**2 * (1 + ALPHA**-2)


def _decibel(error: float) -> float:
    return -10 * math.log10(max(error, LEAST))
