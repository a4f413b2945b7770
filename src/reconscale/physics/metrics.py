"""Metrics: one function for each profile.

Every function takes (x_hat, x), both (B, C, H, W) with x in [0, 1], and gives a (B,) float64 tensor on their device.
All sums are computed in float64. What each profile means is written in ``reconscale.study.profiles``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from reconscale.errors import UserError
from reconscale.laws.metrics import METRICS
from reconscale.plugins import load_object
from reconscale.study import PROFILES, Problem

MOST_DB = 100.0
"""PSNR is capped here: identical images would give infinity. Rounding to 8 bit alone gives 59 dB."""


def mse(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error over all pixels and channels, range 1, not clipped: (B,)."""
    return (x_hat.double() - x.double()).square().flatten(1).mean(1)


def psnr_rgb_clip(x_hat: Tensor, x: Tensor) -> Tensor:
    """PSNR of the clipped reconstruction over all pixels and channels, in dB, at most ``MOST_DB``: (B,)."""
    return decibel(mse(x_hat.clamp(0, 1), x))


def psnr_y(x_hat: Tensor, x: Tensor) -> Tensor:
    """PSNR of the luma of the clipped reconstruction, range 255, in dB, at most ``MOST_DB``: (B,).

    The luma is BT.601's in its 16 to 235 range, as MATLAB's rgb2ycbcr without rounding; grey images are taken as
    they are.
    """
    return decibel(mse(luma(x_hat.double().clamp(0, 1)), luma(x.double())))


def psnr_y_crop(x_hat: Tensor, x: Tensor, border: int) -> Tensor:
    """PSNR of the luma as papers on super-resolution give it, in dB, at most ``MOST_DB``: (B,).

    Images are clipped and rounded to 8 bit, and their luma is rounded again, as MATLAB's rgb2ycbcr does on 8-bit
    images; ``border`` pixels are left out on every side. Reproduces the published values of bicubic interpolation.

    Args:
        x_hat: (B, C, H, W).
        x: the truth, of the same shape.
        border: how much is left out, the factor by convention; nothing is left out of images too small for it.
    """
    planes = [_bytes(luma(_bytes(image.double().clamp(0, 1)))) for image in (x_hat, x)]
    if min(x.shape[-2:]) > 2 * border:
        planes = [plane[..., border : plane.shape[-2] - border, border : plane.shape[-1] - border] for plane in planes]
    return decibel(mse(*planes))


def _bytes(x: Tensor) -> Tensor:
    return (255 * x).round() / 255


def luma(x: Tensor) -> Tensor:
    """BT.601 luma of (B, 3, H, W) in [0, 1]: (B, 1, H, W) in [16, 235] / 255; (B, 1, H, W) stays as it is."""
    if x.shape[1] == 1:
        return x
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    return ((x * weights).sum(1, keepdim=True) + 16) / 255


def ssim_uniform7(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM of the clipped reconstruction: 7 x 7 uniform windows, sample covariance, mean over pixels, then channels:
    (B,).

    Equal to ``skimage.metrics.structural_similarity`` with ``data_range`` 255 on values times 255 and otherwise
    defaults.

    Raises:
        UserError: an image has fewer than 7 pixels a side.
    """
    window = PROFILES["ssim-uniform7"].window
    if min(x.shape[-2:]) < window:
        raise UserError("ssim-uniform7", f"found {x.shape[-1]} x {x.shape[-2]} pixels", f"needs {window} x {window}")
    return ssim(x_hat.double().clamp(0, 1), x.double())


def ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM of images of data range 1: 7 x 7 uniform windows that lie inside, sample covariance, K1 0.01, K2 0.03: (B,).

    Wang et al. 2004, as scikit-image and fastMRI compute it. Differentiable, in the precision of its arguments.
    """
    window = PROFILES["ssim-uniform7"].window
    planes = torch.stack([x_hat, x, x_hat * x_hat, x * x, x_hat * x])
    means = functional.avg_pool2d(planes.flatten(0, 1), window, stride=1)
    ma, mb, maa, mbb, mab = means.reshape(*planes.shape[:2], *means.shape[1:])
    sample = window**2 / (window**2 - 1)
    va, vb, vab = sample * (maa - ma * ma), sample * (mbb - mb * mb), sample * (mab - ma * mb)
    c1, c2 = 0.01**2, 0.03**2
    ratio = ((2 * ma * mb + c1) * (2 * vab + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    value: Tensor = ratio.flatten(1).mean(1)
    return value


def affine_to_truth(x_hat: Tensor, x: Tensor) -> Tensor:
    """Every reconstruction with the gain and the offset that bring it closest to its truth: (B, C, H, W) float64.

    One of each for all pixels and channels of an image, by least squares: the convention of CARE (Weigert et al. 2018).
    A constant reconstruction becomes the mean of its truth.
    """
    a, b = x_hat.double(), x.double()
    mean_a, mean_b = a.mean((1, 2, 3), keepdim=True), b.mean((1, 2, 3), keepdim=True)
    variance = (a - mean_a).square().mean((1, 2, 3), keepdim=True)
    gain = ((a - mean_a) * (b - mean_b)).mean((1, 2, 3), keepdim=True) / variance.clamp_min(1e-30)
    return gain * (a - mean_a) + mean_b


def mse_affine(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error of range 1 after :func:`affine_to_truth`: (B,)."""
    return mse(affine_to_truth(x_hat, x), x)


def psnr_affine(x_hat: Tensor, x: Tensor) -> Tensor:
    """PSNR of range 1 after :func:`affine_to_truth`, not clipped, in dB, at most ``MOST_DB``: (B,)."""
    return decibel(mse_affine(x_hat, x))


def ssim_affine(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM of data range 1 after :func:`affine_to_truth`, not clipped, as :func:`ssim_uniform7` otherwise: (B,)."""
    return ssim(affine_to_truth(x_hat, x), x.double())


def measure_image(x_hat: Tensor, x: Tensor, problem: Problem | None = None) -> dict[str, float]:
    """Every metric of one image: profile -> value.

    Args:
        x_hat: (1, C, H, W).
        x: (1, C, H, W) in [0, 1].
        problem: decides what is measured, and the border that super-resolution leaves out; none: what all problems of
            images are measured in.
    """
    values = {}
    for name, profile in PROFILES.items():
        fits = profile.fits(problem.kind) if problem else profile.takes != "volumes" and not profile.problems
        if profile.function is not None and fits:
            more = (problem.enlarges,) if profile.border and problem else ()
            values[name] = load_object(profile.function)(x_hat, x, *more)[0].double()
    found = dict(zip(values, torch.stack(list(values.values())).tolist(), strict=True))
    if bool(x_hat.isfinite().all()):  # else it is the network that failed, and no metric
        refuse_values(found)
    return found


class MetricError(UserError):
    """A metric of the user's own gave what it cannot be."""


def refuse_values(values: Mapping[str, float]) -> None:
    """Refuse what no metric of its kind can be: it would be refused when answers are asked for, after the training.

    Args:
        values: profile -> value; those of the package are not looked at.

    Raises:
        MetricError: a value is NaN, infinite, or beyond the bounds of the metric that ``Profile.kind`` names.
    """
    for name, value in values.items():
        profile = PROFILES.get(name)
        if profile is None or profile.function is None or str(profile.function).startswith("reconscale."):
            continue
        metric, where = METRICS[profile.kind], f"metric '{name}'"
        if not math.isfinite(value):
            raise MetricError(where, f"gives {value:g} for an image", "mend it: a finite number is expected")
        if metric.is_error and value < 0:
            raise MetricError(where, f"gives {value:g}, and lower is better", "mend it: 0 is the least that it can be")
        if not metric.is_error and metric.unit != "dB" and value > metric.most + 1e-9:
            raise MetricError(where, f"gives {value:g}, and METRICS['{profile.kind}'] says that it is {metric.most:g} "
                              "at most", "mend it, or give that metric another most")  # fmt: skip


SSIM_OF_VOLUME, ENERGY = "ssim-of-volume-range", "energy"
"""Kept for every slice beside its profiles: what its volume's values are made of."""


def measure_slice(x_hat: Tensor, x: Tensor, peak: Tensor) -> dict[str, float]:
    """Every metric of one slice of magnitudes, over the square centre crop that fastMRI's evaluation compares.

    Args:
        x_hat: (1, 1, h, w).
        x: (1, 1, h, w).
        peak: (1,) the volume's maximum.

    Returns:
        profile -> value, and ``SSIM_OF_VOLUME`` and ``ENERGY`` (mean square of the truth; the peak is 1).

    Raises:
        UserError: the slice has fewer than 7 pixels a side.
    """
    rows, columns = x.shape[-2:]
    if min(rows, columns) < PROFILES["ssim-fastmri-volume-v1"].window:
        raise UserError("ssim-fastmri-volume-v1", f"found {columns} x {rows} pixels", "needs 7 x 7")
    a, b = square_crops(x_hat, x, peak)
    error, energy, largest = mse(a, b), b.square().mean((1, 2, 3)), b.amax((1, 2, 3))
    own = largest.clamp_min(1e-30)[:, None, None, None]
    functions = {name: p.function for name, p in PROFILES.items() if p.takes != "images" and p.function is not None}
    values = {
        **{name: load_object(function)(a, b) for name, function in functions.items()},
        "ssim-fastmri-slice-v1": ssim(a / own, b / own),
        "psnr-fastmri-slice-v1": decibel(error / largest.square().clamp_min(1e-60)),
        "nmse-fastmri-slice-v1": error / energy.clamp_min(1e-60),
        SSIM_OF_VOLUME: ssim(a, b),
        ENERGY: energy,
    }
    found = dict(zip(values, torch.cat([value.double() for value in values.values()]).tolist(), strict=True))
    if bool(x_hat.isfinite().all()):  # else it is the network that failed, and no metric
        refuse_values(found)
    return found


def square_crops(x_hat: Tensor, x: Tensor, peak: Tensor) -> tuple[Tensor, Tensor]:
    """Both images over the square centre crop that fastMRI's evaluation compares, in float64, with the peak as 1."""
    rows, columns = x.shape[-2:]
    side = min(rows, columns)
    top, range_ = (rows - side) // 2, peak.double()[:, None, None, None]
    return x_hat[..., top : top + side, :].double() / range_, x[..., top : top + side, :].double() / range_


def measure_volumes(scores: dict[str, dict[str, float]], volumes: dict[str, str]) -> dict[str, dict[str, float]]:
    """Every metric of every volume, as fastMRI's evaluation gives it.

    Args:
        scores: slice -> what :func:`measure_slice` gave.
        volumes: slice -> its volume; the slices of a volume have one size.

    Returns:
        volume -> profile -> value.
    """
    members: dict[str, list[dict[str, float]]] = {}
    for name, values in scores.items():
        members.setdefault(volumes[name], []).append(values)
    found = {}
    for volume, slices in members.items():
        count = len(slices)
        error = sum(values["mse"] for values in slices) / count
        energy = sum(values[ENERGY] for values in slices) / count
        found[volume] = {
            "ssim-fastmri-volume-v1": sum(values[SSIM_OF_VOLUME] for values in slices) / count,
            "psnr-fastmri-volume-v1": min(-10 * math.log10(max(error, 1e-30)), MOST_DB),
            "nmse-fastmri-volume-v1": error / max(energy, 1e-60),
        }
    return found


def decibel(error: Tensor) -> Tensor:
    """PSNR in dB of a mean squared error of range 1, at most ``MOST_DB``."""
    return (-10 * torch.log10(error)).clamp(max=MOST_DB)
