"""Computed learning curves of linear estimators beside really learned ones: real photographs, and Gaussian data.

python benchmarks/theory_images.py     # a minute on one core; `make bench-theory` runs it with the others
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads of a small product wait for each other longer than it takes

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curves import PLACE
from reconscale.theory import best_flow, best_ridge
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.images import Spectrum, linear_curve, n_within_db, population_by, spectrum_of
from reconscale.theory.linear import learned_path, moments_of, population_of
from reconscale.theory.operators import (
    Operator,
    Patches,
    compressed_sensing,
    denoising,
    inpainting,
    masked_fourier,
    superresolution,
)
from theory_learned import LearnedCurve, learned_curve

Floats = NDArray[np.float64]

SIDE, EACH = 8, 150
SIZES = (100, 300, 1000, 3000, 10000, 30000)
IMAGES = (1, 3, 10, 30, 100, 300)
LARGE, TARGET = 1000, 5.0
"""From this many patches on, computed errors are to be within this many percent of learned ones."""
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


def compared(unit: str, learned: LearnedCurve, predicted: dict[str, tuple[float, ...]], floor: float) -> float:
    """Print a table; return the largest error, for n of 1,000 patches or more, of what is named first."""
    worst = 0.0
    for i, (n, mean) in enumerate(zip(learned.n, learned.mse, strict=True)):
        off = {how: 100 * (values[i] / mean - 1) for how, values in predicted.items()}
        shown = "  ".join(f"{how} {value:+6.1f} %" for how, value in off.items())
        print(f"  {unit} {n:>6}  learned {mean:.6f} (+- {100 * learned.error[i] / mean:.1f} %), "
              f"{10 * np.log10(mean / floor):5.2f} dB above the floor   {shown}")  # fmt: skip
        if n >= LARGE:
            worst = max(worst, abs(next(iter(off.values()))))
    return worst


def by_patches(spectrum: Spectrum, patches: Patches, heading: str) -> float:
    print(
        f"\n{heading}: n patches, drawn independently; "
        f"within 0.1 dB of the floor with {n_within_db(spectrum, 0.1):,.0f}"
    )
    curve, gauss = linear_curve(spectrum, SIZES), spectrum.wiener.population
    predicted = {
        "computed": curve.mse,
        "if patches were Gaussian": tuple(best_flow(Equivalent(gauss, n)).risk for n in SIZES),
    }
    return compared("n", really(patches, spectrum), predicted, curve.floor)


def by_images(spectrum: Spectrum, patches: Patches) -> None:
    near = n_within_db(spectrum, 0.1, counts="images", per_image=EACH)
    print(f"the same, n photographs of {EACH} patches each; within 0.1 dB of the floor with {near:,.0f}")
    curve = linear_curve(spectrum, IMAGES, counts="images", per_image=EACH)
    alone = population_by(spectrum, "patches")
    predicted = {
        "computed": curve.mse,
        "if its patches were independent": tuple(best_flow(Equivalent(alone, n * EACH)).risk for n in IMAGES),
    }
    learned = learned_curve(patches, spectrum, IMAGES, counts="images", repeats=10)
    compared("photographs", learned, predicted, curve.floor)


def other_half(patches: Patches, operator: Operator, name: str) -> float:
    """Statistics from every other photograph; learning on patches of the others, judged there by their moments."""
    first = patches.image % 2 == 0
    spectrum, others = spectrum_of(patches.only(first), operator), patches.only(~first)
    curve, there = linear_curve(spectrum, SIZES), spectrum_of(others, operator).in_sample
    print(f"\n{name}: computed from one half of the photographs, learned and judged on the other")
    print(f"  the floor: {curve.floor:.6f} in one half, {there:.6f} in the other; across halves {spectrum.floor:.6f}")
    return compared("n", really(others, spectrum), {"computed": curve.mse}, curve.floor)


def really(patches: Patches, spectrum: Spectrum) -> LearnedCurve:
    """More estimators where they are cheap and vary."""
    parts = [learned_curve(patches, spectrum, [n], repeats=int(np.clip(10000 // n, 3, 16)), seed=n) for n in SIZES]
    mse, error = (tuple(value for part in parts for value in getattr(part, name)) for name in ("mse", "error"))
    return LearnedCurve("patches", SIZES, mse, error, 3)


def gaussian() -> None:
    """Gaussian x of a given covariance: the equivalent against the mean of many learned estimators."""
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
    print(
        "\nGaussian data: equivalent against the mean of 40 learned estimators (10 for n > 100)\n"
        "  n: flow | ridge, each stopped at its best (standard error of the mean), in %"
    )
    for name, covariance, operator in cases:
        population, moments = population_of(covariance, operator), moments_of(covariance, operator)
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))
        cells = []
        for n in (10, 30, 100, 300, 1000, 3000):
            risks = []
            for _ in range(40 if n <= 100 else 10):
                x = rng.standard_normal((n, 256)) @ root.T
                y = x @ operator.matrix.T + operator.sigma * rng.standard_normal((n, operator.measurements))
                path = learned_path(x, y, moments)
                risks.append((best_flow(path).risk, best_ridge(path).risk))
            equivalent, means = Equivalent(population, n), np.mean(risks, 0)
            flow = 100 * (best_flow(equivalent).risk / means[0] - 1)
            ridge = 100 * (best_ridge(equivalent).risk / means[1] - 1)
            error = 100 * np.std(risks, 0, ddof=1)[0] / means[0] / np.sqrt(len(risks))
            cells.append(f"{n}: {flow:+.1f} | {ridge:+.1f} ({error:.1f})")
        print(f"  {name:>34}   " + "   ".join(cells))


def main() -> None:
    began = time.perf_counter()
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
    off = {}
    for name, operator in problems.items():
        spectrum = spectrum_of(patches, operator)
        off[name] = by_patches(spectrum, patches, name)
        by_images(spectrum, patches)
    name = "denoising, sigma 25"
    off[f"{name}, from one half to the other"] = other_half(patches, problems[name], name)
    large = photographs(16)
    assert large is not None
    operator = denoising(large.shape, 25 / 255)
    off[f"{name}, 16 x 16"] = by_patches(spectrum_of(large, operator), large, f"{name}, patches of 16 x 16")
    print(f"\nlargest error of the computed curve for n >= {LARGE:,}, target {TARGET:g} %")
    for name, worst in off.items():
        print(f"  {name:>60}  {worst:.1f} %  {'met' if worst <= TARGET else 'MISSED'}")
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
