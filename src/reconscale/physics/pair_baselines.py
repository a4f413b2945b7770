"""Classical restoration of real pairs: filters whose strength, gain and offset are chosen on validation pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reconscale.physics.base import Baseline
from reconscale.physics.baselines import denoise_dct, nonlocal_means
from reconscale.physics.superresolution import back_project, upscale

WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
"""Standard deviations of Gaussian filters, in pixels."""
WINDOWS = (3, 5)
"""Sides of median filters, in pixels."""
STRENGTHS = (0.5, 0.75, 1.0, 1.4)
"""Levels of noise that denoisers are told, over the one that is measured."""
AMOUNTS = (0.5, 1.0, 2.0)
"""How much of what a Gaussian filter of 1 pixel takes away is added by unsharp masking."""
STEPS = (1, 3, 10)
"""Steps of iterative back-projection."""

Pair = tuple[Tensor, Tensor]
Filter = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Levelled:
    """A filter whose result is brought to the levels of truths by one gain and offset for all images.

    Attributes:
        filter: from (1, C, h, w) to (1, C, H, W).
        gain, offset: fitted on validation pairs by least squares.
    """

    filter: Filter
    gain: float
    offset: float

    def __call__(self, y: Tensor) -> Tensor:
        """Restore one image."""
        return self.gain * self.filter(y) + self.offset


def best_filter(pairs: list[Pair], factor: int, psnr: Callable[[Tensor, Tensor], Tensor]) -> Baseline:
    """The filter with the largest mean PSNR on some pairs, each with its own gain and offset.

    Gaussian and median filters, thresholding of block cosine transforms, non-local means, and unsharp masking; of
    truths that are larger, on the bicubic enlargement, and iterative back-projection for three kernels. Gain and
    offset are the same for all images, so that inputs of another exposure are no easy prey for networks.

    Args:
        pairs: inputs (1, C, h, w) with their truths (1, C, factor h, factor w).
        factor: how many times larger truths are.
        psnr: what is compared, from (1, C, H, W) and a truth to (1,) dB: the metric of the study.
    """
    chosen: tuple[float, str, Levelled] | None = None
    for label, smooth in _offered(pairs, factor):
        quality, levelled = _fitted(smooth, pairs, psnr)
        if chosen is None or quality > chosen[0]:
            chosen = quality, label, levelled
    assert chosen is not None
    return Baseline(chosen[1], chosen[2])


def _fitted(smooth: Filter, pairs: list[Pair], psnr: Callable[[Tensor, Tensor], Tensor]) -> tuple[float, Levelled]:
    """The mean PSNR of a filter with the gain and offset of least squared error; every pixel counts the same there."""
    found = [(smooth(y), x) for y, x in pairs]
    gain, offset = _gain_and_offset(*(torch.cat([pair[side].double().flatten() for pair in found]) for side in (0, 1)))
    values = [float(psnr(gain * x_hat + offset, x)) for x_hat, x in found]
    return sum(values) / len(values), Levelled(smooth, gain, offset)


def _gain_and_offset(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Those that bring ``a`` closest to ``b``, of one shape, by least squares."""
    variance = float((a - a.mean()).square().mean())
    gain = float(((a - a.mean()) * (b - b.mean())).mean()) / variance if variance > 0 else 0.0
    return gain, float(b.mean()) - gain * float(a.mean())


def _offered(pairs: list[Pair], factor: int) -> Iterator[tuple[str, Filter]]:
    """Every filter with its name."""
    first = f"bicubic{', '}" if factor > 1 else ""
    enlarge = partial(upscale, factor=factor) if factor > 1 else _unchanged

    def on(smooth: Filter) -> Filter:
        return (lambda y: enlarge(smooth(y))) if factor > 1 else smooth

    yield f"{first}gain and offset", on(_unchanged)
    for width in WIDTHS:
        yield f"{first}Gaussian filter, σ {width:g} pixels", on(partial(gaussian, width=width))
    for side in WINDOWS:
        yield f"{first}median filter, {side} × {side}", on(partial(median, side=side))
    level = noise_level(pairs, factor)
    for strength in STRENGTHS if level > 0 else ():
        yield f"{first}block DCT, {strength:g} × the noise", on(partial(denoise_dct, sigma=strength * level))
        yield f"{first}non-local means, {strength:g} × the noise", on(partial(nonlocal_means, sigma=strength * level))
    for amount in AMOUNTS:
        yield f"{first}unsharp masking, {amount:g}", on(partial(sharpened, amount=amount))
    for kernel in ("bicubic", "box", "gaussian") if factor > 1 else ():
        for steps in STEPS:
            words = f"iterative back-projection, {kernel}, {steps} steps"
            yield words, partial(back_project, factor=factor, kernel=kernel, steps=steps)


def _unchanged(y: Tensor) -> Tensor:
    return y


def noise_level(pairs: list[Pair], factor: int) -> float:
    """Standard deviation of what inputs have that truths of the same size have not, at the gain within each pair."""
    energies = []
    for y, x in pairs:
        truth, given = torch.nn.functional.avg_pool2d(x, factor).double(), y.double()
        gain, offset = _gain_and_offset(truth, given)
        energies.append(float((gain * truth + offset - given).square().mean()))
    return math.sqrt(sum(energies) / len(energies))


def gaussian(y: Tensor, width: float) -> Tensor:
    """A Gaussian filter of a standard deviation in pixels, by scipy: (1, C, H, W) to the same."""
    from scipy.ndimage import gaussian_filter

    return _by_plane(y, partial(gaussian_filter, sigma=width, mode="nearest"))


def median(y: Tensor, side: int) -> Tensor:
    """A median filter of ``side`` x ``side`` pixels, by scipy: (1, C, H, W) to the same."""
    from scipy.ndimage import median_filter

    return _by_plane(y, partial(median_filter, size=side, mode="nearest"))


def sharpened(y: Tensor, amount: float) -> Tensor:
    """Unsharp masking: what a Gaussian filter of 1 pixel takes away is added, ``amount`` times."""
    return y + amount * (y - gaussian(y, 1.0))


def _by_plane(y: Tensor, smooth: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    planes = np.stack([smooth(plane) for plane in y[0].cpu().numpy()])
    return torch.from_numpy(planes)[None].to(y)
