"""What a network does on images that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.imaging import Measures, Pixels, Slices
from reconscale.study import PROFILES
from reconscale.training.losses import Objective

EVALUATION_SEED = 0
"""Validation and test measurements are a pure function of the image's name and this, for every run and device."""


def validate(
    network: nn.Module, problem: Measures, pixels: Pixels | Slices, crop: int | None, device: torch.device,
    loss: Objective | None = None,
) -> tuple[float, float, float]:  # fmt: skip
    """Means over the validation images, in full precision: MSE (range 1), PSNR (dB), and the loss (0 without one).

    Images are clipped for the PSNR; slices are compared over their square centre crop, with their volume's maximum as
    range.
    """
    totals = torch.zeros(3, dtype=torch.float64, device=device)
    network.eval()
    with torch.inference_mode():
        for index in range(len(pixels)):
            example = problem.fixed(pixels, index, crop, EVALUATION_SEED)
            x_hat = network(example.y)
            totals[:2] += problem.quick(x_hat, example)
            if loss is not None:
                known = lambda y, given=example.y, x_hat=x_hat: x_hat if y is given else network(y)  # noqa: E731
                totals[2] += loss(known, example)
    network.train()
    mse, psnr, of_loss = (totals / len(pixels)).tolist()
    return mse, psnr, of_loss


def score(
    reconstruct: Callable[[Any], Tensor],
    problem: Measures,
    pixels: Pixels | Slices,
    *,
    crop: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, dict[str, float]]:
    """Every metric of every image: image name -> profile -> value.

    Args:
        reconstruct: maps what was measured of one image to its reconstruction.
        problem: measures the images.
        pixels: the images.
        crop: centre-crop images to this side at most; slices are never cropped.
        progress: called with (images done, images) after each.
    """
    scores = {}
    with torch.inference_mode():
        for index, name in enumerate(pixels.names):
            example = problem.fixed(pixels, index, crop, EVALUATION_SEED)
            scores[name] = problem.scores(reconstruct(example.y), example)
            if progress is not None:
                progress(index + 1, len(pixels))
    return scores


def means(*scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Profile -> mean over images; of several tables (of images, of volumes) all the profiles."""
    found: dict[str, float] = {}
    for table in scores:
        for profile in next(iter(table.values()), {}):
            if profile in PROFILES:
                found[profile] = sum(values[profile] for values in table.values()) / len(table)
    return found
