"""How well ``reconscale noise`` finds noise that is known, on photographs.

    python benchmarks/noise_level.py FOLDER [--images 8]

Noise is added to photographs (Gaussian of ``sigma`` grey levels, Poisson of ``photons`` at white, rounded to 8 bit),
and measured from one copy and from two. Beside it: the median of all diagonal details over 0.6745 (Donoho and Johnstone
1994), which is what ``estimate_sigma`` of scikit-image computes (there with another wavelet). The photographs' own
noise and texture count as noise of one copy: that is the floor, the row without noise.
"""

from __future__ import annotations

import argparse
import io
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reconscale.data.folders import image_files
from reconscale.data.image_files import read_image
from reconscale.data.noise_level import measure_noise
from reconscale.errors import UserError

Floats = NDArray[np.float64]

LEVELS = ((0, None), (3, None), (10, None), (25, None), (2, 2000), (5, 500), (1, 100))
"""Grey levels of 255, photons at white."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=8)
    given = parser.parse_args()
    files = image_files(given.folder)
    images = [read_image(path) / 255 for path in files[:: max(1, len(files) // given.images)][: given.images]]
    print(f"{len(images)} photographs; standard deviation at mid grey, in grey levels; photons at white")
    print("sigma  photons  true   one copy   photons  two copies  photons  median of all  seconds (one copy)")
    for sigma, photons in LEVELS:
        print_row(images, sigma, photons)
    print_faults(images)


def print_row(images: list[Floats], sigma: float, photons: float | None) -> None:
    rng = np.random.default_rng(0)
    first, second = ([noisy(image, sigma, photons, rng) for image in images] for _ in range(2))
    true = 255 * np.sqrt((sigma / 255) ** 2 + (0.5 / photons if photons else 0))
    began = time.perf_counter()
    one = measure_noise([[copy] for copy in first])
    seconds = time.perf_counter() - began
    two = measure_noise(list(zip(first, second, strict=True))) if sigma or photons else None
    said = [f"{sigma:5}", f"{photons or '-':>7}", f"{true:5.2f}", f"{255 * one.deviation(0.5):9.2f}", said_photons(one)]
    said += [f"{255 * two.deviation(0.5):10.2f}", said_photons(two)] if two else [f"{'-':>10}", f"{'-':>7}"]
    print("  ".join([*said, f"{donoho(first):13.2f}", f"{seconds:7.1f}"]))


def print_faults(images: list[Floats]) -> None:
    """What is measured, 10 grey levels being true, where copies are none or neighbours share noise."""
    rng = np.random.default_rng(1)
    copy = lambda image: noisy(image, 10, None, rng)  # noqa: E731
    others = [image if image.shape == images[0].shape else np.swapaxes(image, 0, 1) for image in images]
    others = [image for image in others if image.shape == images[0].shape]
    scenes = {
        "copies of other photographs": [[copy(a), copy(b)] for a, b in pairwise(others)],
        "exposure flickers by 5 %": [[copy(image), copy(1.05 * image)] for image in images],
        "nothing wrong": [[copy(image), copy(image)] for image in images],
        "copies moved by 3 pixels": [[copy(image), copy(np.roll(image, 3, 1))] for image in images],
        "copies moved by 1 pixel": [[copy(image), copy(np.roll(image, 1, 1))] for image in images],
        "one photograph of all moved": [
            [copy(image), copy(np.roll(image, 3 * (index == 0), 1))] for index, image in enumerate(images)
        ],
        "500 photons, nothing wrong": [[noisy(image, 3, 500, rng) for _ in range(2)] for image in images],
        "JPEG of quality 75, one copy": [[as_jpeg(copy(image), 75)] for image in images],
    }
    print(
        "\n10 grey levels, and something wrong: found at mid grey; left in averages over 16 x 16; at edges; how coarse"
    )
    for name, given in scenes.items():
        try:
            found = measure_noise(given)
        except UserError as error:
            print(f"{name:30} refused: {error.found}")
            continue
        more = [f"{value:7.3f}" if value is not None else f"{'-':>7}" for value in (found.regional, found.at_edges)]
        warned = "" if found.is_steady and found.is_white else "  warned"
        print(f"{name:30} {255 * found.deviation(0.5):6.2f} {' '.join(more)} {found.coarseness:6.2f}{warned}")


def as_jpeg(image: Floats, quality: int) -> Floats:
    """The image after JPEG compression."""
    stream = io.BytesIO()
    Image.fromarray(np.round(255 * image).astype(np.uint8).squeeze()).save(stream, "JPEG", quality=quality)
    read = np.asarray(Image.open(stream), float) / 255
    return read.reshape(image.shape)


def said_photons(found: object) -> str:
    photons = getattr(found, "photons", None)
    return f"{photons:7.0f}" if photons else f"{'-':>7}"


def noisy(image: Floats, sigma: float, photons: float | None, rng: np.random.Generator) -> Floats:
    counted = rng.poisson(image * photons) / photons if photons else image
    return (np.round(255 * counted + sigma * rng.standard_normal(image.shape)) / 255).clip(0, 1)


def donoho(images: list[Floats]) -> float:
    """The mean over images of the median of all finest diagonal details (Haar), over 0.6745."""
    levels = []
    for image in images:
        rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        a, b, c, d = (image[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
        levels.append(float(np.median(np.abs(a - b - c + d) / 2)) / 0.6745)
    return 255 * float(np.mean(levels))


if __name__ == "__main__":
    main()
