"""Evaluate a network on validation and test images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.data import ImageSet, ImageSubset, Slices
from reconscale.files import to_json, write_atomic
from reconscale.physics import InverseProblem
from reconscale.physics.base import Batch
from reconscale.results import Folder
from reconscale.study import PROFILES, Images, Run, Study
from reconscale.training.losses import Objective

EVALUATION_SEED = 0
"""Validation and test measurements are a pure function of the image's name and this, for every run and device."""

TOGETHER = 2**20
"""Pixels that a GPU reconstructs at once, of images of one size that follow each other."""


def together_on(device: torch.device) -> int:
    """Pixels that are reconstructed at once; 0: one after the other, which is faster on a CPU from 128 x 128 on."""
    return TOGETHER if device.type == "cuda" else 0


def validate(
    network: nn.Module, problem: InverseProblem, pixels: ImageSubset | Slices, crop: int | None, device: torch.device,
    loss: Objective | None = None,
) -> tuple[float, float, float]:  # fmt: skip
    """Means over the validation images, in full precision: MSE (range 1), PSNR (dB), and the loss (0 without one).

    Images are clipped for the PSNR; slices are compared over their square centre crop, with their volume's maximum as
    range.
    """
    totals = torch.zeros(3, dtype=torch.float64, device=device)
    network.eval()
    with torch.inference_mode():
        for example, x_hat in reconstructed(network, problem, pixels, crop, together_on(device)):
            totals[:2] += problem.quick(x_hat, example)
            if loss is not None:
                known = lambda y, given=example.y, x_hat=x_hat: x_hat if y is given else network(y)  # noqa: E731
                totals[2] += loss(known, example)
    network.train()
    mse, psnr, of_loss = (totals / len(pixels)).tolist()
    return mse, psnr, of_loss


def reconstructed(
    reconstruct: Callable[[Any], Tensor],
    problem: InverseProblem,
    pixels: ImageSubset | Slices,
    crop: int | None,
    together: int,
) -> Iterator[tuple[Batch, Tensor]]:
    """Every image as it is measured, with its reconstruction (1, C, h, w), in order.

    Args:
        reconstruct: maps what was measured of images to their reconstructions.
        problem: measures the images.
        pixels: the images.
        crop: centre-crop images to this side at most.
        together: images of one size that follow each other are reconstructed at once, up to this many pixels; each
            comes out as alone but for rounding (1e-6). K-space and what operators measure go one by one.
    """
    waiting: list[Batch] = []
    for index in range(len(pixels)):
        example = problem.fixed(pixels, index, crop, EVALUATION_SEED)
        if waiting and not _fits(waiting, example, together):
            yield from _at_once(reconstruct, waiting)
            waiting = []
        waiting.append(example)
    yield from _at_once(reconstruct, waiting)


def _fits(waiting: list[Batch], example: Batch, together: int) -> bool:
    first = waiting[0]
    if not (isinstance(first.y, Tensor) and isinstance(example.y, Tensor)):
        return False
    alike = first.y.shape == example.y.shape and first.x.shape == example.x.shape
    return alike and (len(waiting) + 1) * example.x.shape[-2] * example.x.shape[-1] <= together


def _at_once(reconstruct: Callable[[Any], Tensor], examples: list[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    if len(examples) == 1:
        yield examples[0], reconstruct(examples[0].y)
    elif examples:
        found = reconstruct(torch.cat([example.y for example in examples if isinstance(example.y, Tensor)]))
        yield from zip(examples, torch.split(found, 1), strict=True)


def score(
    reconstruct: Callable[[Any], Tensor],
    problem: InverseProblem,
    pixels: ImageSubset | Slices,
    *,
    crop: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    together: int = 0,
) -> dict[str, dict[str, float]]:
    """Every metric of every image: image name -> profile -> value.

    Args:
        reconstruct: maps what was measured of one image to its reconstruction.
        problem: measures the images.
        pixels: the images.
        crop: centre-crop images to this side at most; slices are never cropped.
        progress: called with (images done, images) after each.
        together: pixels that are reconstructed at once: see :func:`reconstructed`; classical methods take one image.
    """
    scores: dict[str, dict[str, float]] = {}
    with torch.inference_mode():
        found = reconstructed(reconstruct, problem, pixels, crop, together)
        for done, (name, (example, x_hat)) in enumerate(zip(pixels.names, found, strict=True), 1):
            scores[name] = problem.scores(x_hat, example)
            if progress is not None:
                progress(done, len(pixels))
    return scores


def means(*scores: dict[str, dict[str, float]]) -> dict[str, float]:
    """Profile -> mean over images; of several tables (of images, of volumes) all the profiles."""
    found: dict[str, float] = {}
    for table in scores:
        for profile in next(iter(table.values()), {}):
            if profile in PROFILES:
                found[profile] = sum(values[profile] for values in table.values()) / len(table)
    return found


@dataclass(frozen=True)
class EvaluationSet:
    """Images that reconstructions are measured on.

    Attributes:
        problem: measures them.
        pixels: the images.
        crop: the side that they are centre-cropped to at most; none: they are whole.
    """

    problem: InverseProblem
    pixels: ImageSubset | Slices
    crop: int | None


def evaluation_sets(options: Images, images: ImageSet, problem: InverseProblem) -> dict[str, EvaluationSet]:
    """Every test set by name, and the main one at the other levels of noise that the problem names.

    Args:
        options: the images of the study.
        images: the same, opened.
        problem: of the study.
    """
    crop, main = options.test_patch, options.main_test
    found = {name: EvaluationSet(problem, pixels, crop) for name, pixels in images.tests.items()}
    for words, variant in problem.variants().items():
        found[main + words] = EvaluationSet(variant, images.tests[main], crop)
    return found


def psnr_by_image(network: nn.Module, of: EvaluationSet, device: torch.device) -> Tensor:
    """The PSNR of every image of a set in dB, (images,), as the looks at the validation set measure it."""
    values = []
    network.eval()
    with torch.inference_mode():
        for example, x_hat in reconstructed(network, of.problem, of.pixels, of.crop, together_on(device)):
            values.append(of.problem.quick(x_hat, example)[1])
    return torch.stack(values).cpu()


def training_sets(study: Study, images: ImageSet, folder: Folder) -> None:
    """Write ``training-sets.json`` of a study of volumes: the mean over seeds for each n, and the pixels of a slice.

    Nothing is written for studies of single images.
    """
    if not isinstance(images.train, Slices):
        return
    rows = []
    for n in sorted(study.sweep.n):
        subsets = [images.training(n, seed if study.images.subset == "seed" else 0) for seed in study.sweep.seed]
        counts = [(len(s), len(set(s.volume_names)), len(set(s.units))) for s in subsets if isinstance(s, Slices)]
        means = [sum(column) / len(column) for column in zip(*counts, strict=True)]
        rows.append({"n": n, "slices": means[0], "volumes": means[1], "units": means[2]})
    write_atomic(folder.root / "training-sets.json", to_json({"sets": rows, "pixels": _area(images.train)}))


def pixels_of(run: Run, images: ImageSet) -> float:
    """Pixels of what training sees of an image: of a crop, or of the mean slice."""
    return _area(images.train) if isinstance(images.train, Slices) else float(run.images.patch**2)


def area_of(pixels: ImageSubset | Slices, crop: int | None) -> int:
    """Pixels of some images together, centre-cropped to a side at most."""
    return sum(pixels.area(i, crop) for i in range(len(pixels)))


def _area(slices: Slices) -> float:
    return area_of(slices, None) / len(slices)
