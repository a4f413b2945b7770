"""The linear estimator computed for a study: why its curve flattens, kept beside its results for the report."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from reconscale.arrays import Shape
from reconscale.data.image_set import ImageSet
from reconscale.data.patches import patches_of
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.physics.linear_operators import operator_of
from reconscale.physics.superresolution import downscale
from reconscale.study import Folder, Study
from reconscale.study.problems import (
    CompressedSensingProblem,
    DenoisingProblem,
    InpaintingProblem,
    SuperresolutionProblem,
    TomographyProblem,
)
from reconscale.theory.images import FEWEST, linear_curve, n_within_db, spectrum_of
from reconscale.theory.linear import moments_of, risk_of_filter
from reconscale.theory.operators import Operator, denoising, inpainting

PATCH = 8
"""Side of the patches, in pixels: 64 values, or 192 in colour, whose covariance a few photographs give."""
TOMOGRAPHY_PATCH = 12
"""The same for tomography, where views must be told apart."""
BLOCK = 12
"""The largest side of blocks of compressed sensing."""
ROUNDING = 1 / 255 / 12**0.5
"""Standard deviation of the error of rounding to 8 bit: no measurement is taken to have less noise."""
NEAR = (0.1, 0.5)
"""dB from the floor at which n is looked for."""
AHEAD = (1, 2, 4, 10)
"""Times the largest n of the study."""
EDITION = 2
"""Counts up when the same question gets another answer, so that old files are made anew."""


def _denoising(problem: DenoisingProblem, channels: int, patch: int) -> Operator:
    if problem.truth == "noisy":
        raise UserError("problem.truth", "noisy images have no clean covariance", "its report goes without")
    if problem.photons is not None:
        raise UserError("problem.photons", "Poisson noise has no linear explanation", "its report goes without")
    return denoising((PATCH, PATCH, channels), problem.sigma / 255)


def _superresolution(problem: SuperresolutionProblem, channels: int, patch: int) -> Operator:
    """The reduction of a patch; without noise, what is measured is rounded to 8 bit, which counts as noise."""
    if problem.jpeg is not None:
        raise UserError("problem.jpeg", "JPEG has no linear explanation", "its report goes without")
    factor = problem.factor
    side = next(side for side in (8, 9) if side % factor == 0)
    sigma = math.hypot(problem.sigma / 255, 0.0 if problem.sigma else ROUNDING)
    matrix = matrix_of(lambda x: downscale(x, factor, problem.kernel), (side, side, channels))
    small = side // factor
    words = f"{small} × {small} pixels by {problem.kernel} reduction"
    return Operator("superresolution", (side, side, channels), matrix, sigma, words)


def _tomography(problem: TomographyProblem, channels: int, patch: int) -> Operator:
    """Views of a patch, as many for its side as the study has for an image (views grow with the side: Crowther)."""
    views = max(1, round(problem.angles * TOMOGRAPHY_PATCH / patch))
    shape = (channels, TOMOGRAPHY_PATCH, TOMOGRAPHY_PATCH)
    options = problem.model_copy(update={"angles": views, "input": "auto"})
    operator = operator_of(options, shape, torch.device("cpu"))
    sigma = max(problem.sigma / 255, ROUNDING)
    words = f"{views} views, as dense as {problem.angles} of {patch} pixels"
    matrix = matrix_of(operator.forward, (TOMOGRAPHY_PATCH, TOMOGRAPHY_PATCH, channels))
    return Operator("tomography", (TOMOGRAPHY_PATCH, TOMOGRAPHY_PATCH, channels), matrix, sigma, words)


def _inpainting(problem: InpaintingProblem, channels: int, patch: int) -> Operator:
    return inpainting((PATCH, PATCH, channels), max(problem.sigma / 255, ROUNDING), problem.keep)


def _compressed_sensing(problem: CompressedSensingProblem, channels: int, patch: int) -> Operator:
    if problem.block > BLOCK:
        raise UserError("problem.block", f"found {problem.block}", f"blocks up to {BLOCK} have an explanation")
    operator = operator_of(problem, (channels, problem.block, problem.block), torch.device("cpu"))
    shape = (problem.block, problem.block, channels)
    words = f"{problem.ratio:g} combinations a pixel of blocks of {problem.block}"
    sigma = max(problem.sigma / 255, ROUNDING)
    return Operator("compressed-sensing", shape, matrix_of(operator.forward, shape), sigma, words)


OPERATORS_OF: dict[str, Callable[[Any, int, int], Operator]] = {
    "denoising": _denoising,
    "superresolution": _superresolution,
    "tomography": _tomography,
    "inpainting": _inpainting,
    "compressed-sensing": _compressed_sensing,
}
"""Kind of problem -> from it, the channels and the study's patch to the same problem for a small patch. Kinds that are
missing here get no explanation."""


def matrix_of(forward: Callable[[Tensor], Tensor], shape: Shape) -> np.ndarray:
    """The matrix of a linear operator, one column for each pixel.

    Args:
        forward: (B, C, H, W) to what is measured.
        shape: (height, width, channels) of a patch; columns are in the order of its values.

    Returns:
        (m, height * width * channels) float64.
    """
    height, width, channels = shape
    pixels = height * width * channels
    units = torch.eye(pixels).reshape(pixels, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return forward(units).reshape(pixels, -1).T.double().numpy()


def explanation(
    study: Study, images: ImageSet, folder: Folder, progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Compute the linear learning curve on a study's training images once, and keep it.

    It lies in ``theory/explanation.json`` of the folder of results, and is made anew when the images, the problem or
    the sizes have changed. Where there is none, the file says what is lacking.

    Args:
        study: the study.
        images: its images.
        folder: its folder of results.
        progress: called with (label, done, of).
    """
    path = folder.root / "theory" / "explanation.json"
    asked: dict[str, Any] = {
        "edition": EDITION,
        "images": images.digest,
        "problem": study.problem.model_dump(mode="json"),
        "n": sorted(study.sweep.n),
    }
    asked |= {"test_patch": study.images.test_patch} if study.images.test_patch else {}
    if path.is_file():
        record: dict[str, Any] = read_json(path, "delete it; `reconscale run` writes it again")
        if isinstance(record, dict) and record.get("asked") == asked:
            return record
    try:
        with threadpool_limits(1):  # small matrices: more threads only wait for each other on a busy machine
            record = {"asked": asked, **_computed(study, images, progress)}
    except UserError as mistake:  # too few or too small images for a covariance: no reason not to train
        record = {"asked": asked, "lacking": str(mistake)}
    write_atomic(path, to_json(record))
    return record


def _computed(study: Study, images: ImageSet, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    if study.problem.kind not in OPERATORS_OF:
        raise UserError("problem.kind", f"'{study.problem.kind}' has no linear explanation", "its report goes without")
    options, main = study.images, study.images.main_test
    train, held_out = images.train, images.tests[main]
    assert isinstance(train, ImageSubset) and isinstance(
        held_out, ImageSubset
    )  # no problem of slices is among the operators
    units, crop = options.counts == "units", options.patch if options.crop == "center" else None
    operator = OPERATORS_OF[study.problem.kind](study.problem, images.channels, options.patch)
    side = operator.shape[0]
    cut = patches_of(train, side, crop=crop, units=units, progress=progress)
    spectrum = spectrum_of(cut.patches, operator)
    counted: dict[str, Any] = {"counts": "images", "per_image": cut.each}
    sizes = _sizes(study)
    curve = linear_curve(spectrum, sizes, **counted, progress=lambda done, of: progress("linear explanation", done, of))
    test = patches_of(held_out, side, crop=options.test_patch, units=units, progress=progress).patches
    x = spectrum.centred(test)
    on_test = risk_of_filter(spectrum.wiener, moments_of(x.T @ x / len(x), operator))
    return {
        "curve": {"n": list(curve.n), "mse": list(curve.mse)},
        "within": {f"{db:g}": _at_least(n_within_db(spectrum, db, **counted)) for db in NEAR},
        "floor": curve.floor,
        "floor_held_out": spectrum.floor,
        "floor_on_test": on_test,
        "power": curve.power,
        "test_set": main,
        "patch": side,
        "problem": study.problem.kind,
        "operator": operator.words,
        "channels": images.channels,
        "patches": len(cut.patches),
        "per_image": cut.each,
        "images": cut.used,
        "slope": spectrum.slope,
        "cautions": list(spectrum.cautions),
    }


def _sizes(study: Study) -> list[float]:
    """The study's n from ``FEWEST`` on and what lies ahead of them, with some between."""
    largest = max(study.sweep.n)
    least = max(FEWEST, min(study.sweep.n))
    between = np.geomspace(least, AHEAD[-1] * largest, 4 * math.ceil(math.log10(AHEAD[-1] * largest / least)) + 1)
    found = {*map(float, study.sweep.n), *(float(f * largest) for f in AHEAD), *np.round(between).tolist()}
    return sorted(n for n in found if n >= FEWEST)


def _at_least(n: float | None) -> float | None:
    return None if n is None else max(n, float(FEWEST))
