"""Computed learning curves of linear estimators beside really learned ones: real photographs, and Gaussian data.

python benchmarks/theory_images.py     # two minutes on two cores; `make bench-theory` runs it with the others
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curves import PLACE
from reconscale.theory import best_flow, best_ridge
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.images import Spectrum, linear_curve, population_by, spectrum_of
from reconscale.theory.linear import Moments, learned_path, moments_of, population_of
from reconscale.theory.operators import (
    Operator,
    compressed_sensing,
    denoising,
    inpainting,
    masked_fourier,
    superresolution,
)
from reconscale.theory.patches import Patches

Floats = NDArray[np.float64]

SIDE, EACH = 8, 150
SIZES = (100, 300, 1000, 3000, 10000, 30000)
IMAGES = (1, 3, 10, 30, 100, 300)
FOLDERS = ("BSDS500_train", "BSDS500_test", "ImageNet_sample")


def photographs(side: int) -> Patches | None:
    """``EACH`` patches at random places of each photograph, grey (BT.601), from 0 to 1."""
    place = PLACE.parent / "natural_train"
    files = [path for folder in FOLDERS for path in sorted((place / folder).glob("*.[jJ]*"))]
    if not files:
        print(f"no photographs at {place}: left out (set RECONSCALE_SHARED)")
        return None
    rng, values = np.random.default_rng(0), []
    for path in files:
        with Image.open(path) as opened:
            image = np.asarray(opened.convert("L"), np.float64) / 255
        tops, lefts = (rng.integers(0, length - side + 1, EACH) for length in image.shape)
        values += [image[i : i + side, j : j + side].ravel() for i, j in zip(tops, lefts, strict=True)]
    return Patches(np.array(values), np.repeat(np.arange(len(files)), EACH), (side, side, 1))


def learned(x: Floats, operator: Operator, moments: Moments, rng: np.random.Generator) -> float:
    """The risk of gradient flow on these patches, stopped at its best time."""
    y = x @ operator.matrix.T + operator.sigma * rng.standard_normal((len(x), operator.measurements))
    return best_flow(learned_path(x, y, moments)).risk


def compared(name: str, n: int, risks: list[float], predicted: dict[str, float], floor: float) -> None:
    mean, error = np.mean(risks), np.std(risks, ddof=1) / np.sqrt(len(risks)) / np.mean(risks)
    off = "  ".join(f"{how} {100 * (value / mean - 1):+6.1f} %" for how, value in predicted.items())
    print(f"  {name} {n:>6}  learned {mean:.6f} (+- {100 * error:.1f} %), {10 * np.log10(mean / floor):5.2f} dB above "
          f"the floor   {off}")  # fmt: skip


def by_patches(spectrum: Spectrum, patches: Patches, heading: str) -> None:
    operator, rng = spectrum.operator, np.random.default_rng(1)
    print(f"\n{heading}: n patches, drawn independently")
    x = patches.values - spectrum.mean[0]
    moments = moments_of(x.T @ x / len(x), operator)
    curve, gauss = linear_curve(spectrum, SIZES), spectrum.wiener.population
    for n, ours in zip(SIZES, curve.mse, strict=True):
        risks = [learned(x[rng.integers(0, len(x), n)], operator, moments, rng) for _ in range(repeats(n))]
        predicted = {"computed": ours, "if patches were Gaussian": best_flow(Equivalent(gauss, n)).risk}
        compared("n", n, risks, predicted, curve.floor)


def by_images(spectrum: Spectrum, patches: Patches) -> None:
    operator, rng = spectrum.operator, np.random.default_rng(2)
    print(f"the same, n photographs of {EACH} patches each")
    x = patches.values - spectrum.mean[0]
    moments = moments_of(x.T @ x / len(x), operator)
    curve = linear_curve(spectrum, IMAGES, counts="images", per_image=EACH)
    alone = population_by(spectrum, "patches")
    for n, ours in zip(IMAGES, curve.mse, strict=True):
        risks = []
        for _ in range(10):
            chosen = rng.choice(patches.images, n, replace=False)
            risks.append(learned(x[np.isin(patches.image, chosen)], operator, moments, rng))
        predicted = {"computed": ours, "if its patches were independent": best_flow(Equivalent(alone, n * EACH)).risk}
        compared("photographs", n, risks, predicted, curve.floor)


def other_half(patches: Patches, operator: Operator, name: str) -> None:
    """Statistics from every other photograph; learning on patches of the others, judged there by their moments."""
    rng = np.random.default_rng(3)
    first = patches.image % 2 == 0
    spectrum = spectrum_of(patches.only(first), operator)
    x = patches.values[~first] - spectrum.mean[0]
    moments = moments_of(x.T @ x / len(x), operator)
    curve = linear_curve(spectrum, SIZES)
    print(f"\n{name}: computed from one half of the photographs, learned and judged on the other")
    for n, ours in zip(SIZES, curve.mse, strict=True):
        risks = [learned(x[rng.integers(0, len(x), n)], operator, moments, rng) for _ in range(repeats(n))]
        compared("n", n, risks, {"computed": ours}, curve.floor)


def repeats(n: int) -> int:
    return int(np.clip(10000 // n, 3, 16))


def gaussian() -> None:
    """Gaussian x of a given covariance: the equivalent against the mean of 10 learned estimators."""
    rng = np.random.default_rng(4)
    shape = (16, 16, 1)
    spectrum = 1 / (1 + np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(16) * 16], indexing="ij"))) ** 2.5
    basis = np.fft.fft2(np.eye(256).reshape(256, 16, 16), norm="ortho").reshape(256, 256)
    stationary = np.real(basis.conj().T @ (spectrum.ravel()[:, None] * basis))
    window = np.kron(0.3 + np.hanning(16), 0.3 + np.hanning(16))
    natural = window[:, None] * stationary * window
    natural /= np.trace(natural) / 256
    subspace = np.linalg.qr(rng.standard_normal((256, 20)))[0]
    cases = [
        ("denoising, 1 / f^2.5 in a window", natural, denoising(shape, 0.1)),
        ("inpainting", natural, inpainting(shape, 0.05)),
        ("masked Fourier", natural, masked_fourier(shape, 0.02)),
        ("masked Fourier, no noise", natural, masked_fourier(shape, 0.0)),
        ("superresolution", natural, superresolution(shape, 0.02)),
        ("compressed sensing, subspace of 20", subspace @ subspace.T, compressed_sensing(shape, 0.05)),
    ]
    print("\nGaussian data: equivalent against the mean of 10 learned estimators, early-stopped flow | best ridge")
    for name, covariance, operator in cases:
        population, moments = population_of(covariance, operator), moments_of(covariance, operator)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        cells = []
        for n in (10, 30, 100, 300, 1000, 3000):
            risks = []
            for _ in range(10):
                x = rng.standard_normal((n, 256)) @ root.T
                y = x @ operator.matrix.T + operator.sigma * rng.standard_normal((n, operator.measurements))
                path = learned_path(x, y, moments)
                risks.append((best_flow(path).risk, best_ridge(path).risk))
            equivalent, means = Equivalent(population, n), np.mean(risks, 0)
            flow = 100 * (best_flow(equivalent).risk / means[0] - 1)
            cells.append(f"{n}: {flow:+.1f} | {100 * (best_ridge(equivalent).risk / means[1] - 1):+.1f}")
        print(f"  {name:>36} (%)   " + "   ".join(cells))


def main() -> None:
    gaussian()
    patches = photographs(SIDE)
    if patches is None:
        return
    shape = patches.shape
    problems = {
        "denoising, sigma 25": denoising(shape, 25 / 255),
        "denoising, sigma 10": denoising(shape, 10 / 255),
        "superresolution by 2, sigma 5": superresolution(shape, 5 / 255),
        "masked Fourier, 2 times, sigma 5": masked_fourier(shape, 5 / 255, acceleration=2),
        "inpainting, half of the pixels, sigma 5": inpainting(shape, 5 / 255, keep=0.5),
    }
    print(f"\nphotographs: {len(patches):,} patches of {SIDE} x {SIDE} from {patches.images}")
    for name, operator in problems.items():
        spectrum = spectrum_of(patches, operator)
        by_patches(spectrum, patches, name)
        by_images(spectrum, patches)
    other_half(patches, problems["denoising, sigma 25"], "denoising, sigma 25")
    large = photographs(16)
    assert large is not None
    operator = denoising(large.shape, 25 / 255)
    by_patches(spectrum_of(large, operator), large, "denoising, sigma 25, patches of 16 x 16")


if __name__ == "__main__":
    sys.exit(main())
