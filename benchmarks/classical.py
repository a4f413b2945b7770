"""What needs no training: PSNR and time of the classical reconstructions, on real photographs.

    python benchmarks/classical.py --data DATA      # DATA holds natural_test/; BM3D is shown where its package is

Denoising at sigma 25 of ten CBSD68 photographs; super-resolution of Set5 and Set14 with the conventions of the luma.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reconscale.physics import Denoising, measure_image
from reconscale.physics.metrics import decibel, luma, mse
from reconscale.physics.superresolution import back_project, crop_to_multiple, downscale, upscale
from reconscale.study import DenoisingProblem

PRINTED = {("Set5", 2): 33.66, ("Set5", 3): 30.39, ("Set5", 4): 28.42,
           ("Set14", 2): 30.24, ("Set14", 3): 27.55, ("Set14", 4): 26.00}  # fmt: skip
"""Bicubic interpolation in papers, for instance Lim et al. 2017, table 2."""


def main() -> None:
    """Parse the flags and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    place = parser.parse_args().data / "natural_test"
    torch.set_num_threads(1)
    denoising([_read(path) for path in sorted((place / "CBSD68").glob("*.jpg"))[:10]])
    for (name, factor), printed in PRINTED.items():
        superresolution(name, factor, printed, [_read(path) for path in sorted((place / name).glob("*.png"))])


def _read(path: Path) -> Tensor:
    array = np.asarray(Image.open(path))
    return (
        torch.from_numpy((array[..., None] if array.ndim == 2 else array).copy()).permute(2, 0, 1)[None].float() / 255
    )


def denoising(images: list[Tensor]) -> None:
    """Mean PSNR and seconds an image of every anchor."""
    problem = Denoising(DenoisingProblem(kind="denoising"), torch.device("cpu"), 0)
    noisy = [problem.measure_fixed(x, str(index)) for index, x in enumerate(images)]
    print(f"denoising, sigma 25, {len(images)} photographs, one thread{'':8}PSNR/dB   seconds")
    for anchor in problem.anchors(None).values():
        values, began = [], time.perf_counter()
        for x, y in zip(images, noisy, strict=True):
            values.append(measure_image(anchor.reconstruct(y), x)["psnr-rgb-clip"])
        seconds = (time.perf_counter() - began) / len(images)
        print(f"{anchor.label:54}{statistics.mean(values):7.2f}{seconds:10.2f}")
    print(f"\n{'':12}{'printed':>9}{'bicubic':>9}{'luma not rounded':>18}{'back-projection x 8':>21}")


def superresolution(name: str, factor: int, printed: float, images: list[Tensor]) -> None:
    """One line: bicubic interpolation in two conventions, and back-projection from there."""

    def mean(reconstruct: Callable[[Tensor], Tensor], measure: Callable[[Tensor, Tensor], float]) -> float:
        values = []
        for image in images:
            x = crop_to_multiple(image, factor)
            y = (downscale(x, factor).clamp(0, 1) * 255).round() / 255
            values.append(measure(reconstruct(y), x))
        return statistics.mean(values)

    def convention(x_hat: Tensor, x: Tensor) -> float:
        return measure_image(x_hat, x, factor)["psnr-y-crop-s"]

    def plain(x_hat: Tensor, x: Tensor) -> float:
        inside = (..., slice(factor, -factor), slice(factor, -factor))
        shown = (x_hat.clamp(0, 1) * 255).round() / 255
        return float(decibel(mse(luma(shown.double())[inside], luma(x.double())[inside])))

    bicubic = mean(lambda y: upscale(y, factor), convention)
    unrounded = mean(lambda y: upscale(y, factor), plain)
    projected = mean(lambda y: back_project(y, factor, "bicubic", 8), convention)
    print(f"{name:8}{factor:>2} x{printed:9.2f}{bicubic:9.2f}{unrounded:18.2f}{projected:21.2f}")


if __name__ == "__main__":
    main()
