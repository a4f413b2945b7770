"""What a network does on images that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from reconscale.imaging import METRICS, Pixels, measure_image

EVALUATION_SEED = 0
"""Validation and test measurements are a pure function of the image's name and this, for every run and device."""


class Measures(Protocol):
    """The part of a problem that evaluation needs."""

    def measure_fixed(self, x: Tensor, name: str, seed: int = 0) -> Tensor:
        """The measurement of one named image, always the same."""
        ...


def validate(
    network: nn.Module, problem: Measures, pixels: Pixels, crop: int | None, device: torch.device
) -> tuple[float, float]:
    """Mean MSE (range 1) and mean PSNR (dB, clipped) over the validation images, in full precision."""
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    network.eval()
    with torch.inference_mode():
        for index, name in enumerate(pixels.names):
            x = pixels.tensor(index, crop).to(device)
            x_hat = network(problem.measure_fixed(x, name, EVALUATION_SEED))
            totals[0] += METRICS["mse"](x_hat, x).sum()
            totals[1] += METRICS["psnr-rgb-clip"](x_hat, x).sum()
    network.train()
    mse, psnr = (totals / len(pixels)).tolist()
    return mse, psnr


def score(
    reconstruct: Callable[[Tensor], Tensor],
    problem: Measures,
    pixels: Pixels,
    device: torch.device,
    *,
    crop: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Every metric of every image: image name -> profile -> value.

    Args:
        reconstruct: maps a measurement (1, C, H, W) to a reconstruction.
        problem: measures the images.
        pixels: the images.
        device: where to compute.
        crop: centre-crop images to this side at most.
        progress: called with (images done, images) after each.
    """
    scores = {}
    with torch.inference_mode():
        for index, name in enumerate(pixels.names):
            x = pixels.tensor(index, crop).to(device)
            scores[name] = measure_image(reconstruct(problem.measure_fixed(x, name, EVALUATION_SEED)), x)
            if progress is not None:
                progress(index + 1, len(pixels))
    return scores


def means(scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Profile -> mean over images."""
    profiles = next(iter(scores.values()))
    return {profile: sum(values[profile] for values in scores.values()) / len(scores) for profile in profiles}
