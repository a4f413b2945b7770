"""The super-resolution problem: small images and their ground truth."""

from __future__ import annotations

import io
import math
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.base import (
    EXPLANATION_PATCH,
    ROUNDING,
    Baseline,
    Batch,
    Crops,
    ImageProblem,
    add_noise,
    fixed_generator,
    matrix_of,
)
from reconscale.physics.metrics import mse
from reconscale.study.problems import SuperresolutionProblem
from reconscale.theory.operators import Operator

STEPS = (1, 2, 4, 8, 16, 32)
"""Numbers of back-projections that are tried on validation images."""
TRIED = 8
"""Validation images that they are tried on."""


class Superresolution(ImageProblem[SuperresolutionProblem]):
    """y = A x + z with A a reduction by a whole factor. Without noise, y is rounded to 8 bit; images are cut to fit."""

    def check(self, data: ImageSubset, patch: int) -> None:
        """Refuse crops whose side the factor does not divide, and images that nothing is left of.

        Raises:
            UserError: as said.
        """
        factor = self.problem.factor
        if patch % factor:
            fitting = patch // factor * factor or factor
            raise UserError("images.patch", f"found {patch}, which the factor {factor} does not divide",
                          f"give a multiple of {factor}, like {fitting}")  # fmt: skip
        smallest = int(data.sizes.min())
        if smallest < 4 * factor:
            raise UserError(
                "problem.factor", f"found {factor}, and an image has {smallest} pixels", f"{4 * factor} are needed"
            )

    def examples(self, raw: Crops) -> list[Batch]:
        """Crops in [0, 1], made smaller, with fresh noise: one example."""
        x = raw.pixels.to_unit(raw.values, self.device)
        return [self.example(self._measure(x, self.generator), x)]

    def fixed(self, data: ImageSubset, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """One image, or its centre crop, with noise that is a pure function of its name, its size and the seed."""
        x = crop_to_multiple(data.tensor(index, crop).to(self.device), self.problem.factor)
        return self.example(self._measure(x, fixed_generator(data.names[index], seed)), x)

    def _measure(self, x: Tensor, generator: torch.Generator) -> Tensor:
        problem = self.problem
        y = downscale(x, problem.factor, problem.kernel)
        y = add_noise(y, generator, sigma=problem.sigma / 255) if problem.sigma else (y.clamp(0, 1) * 255).round() / 255
        return y if problem.jpeg is None else jpeg_compress(y, problem.jpeg)

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """The reduction of a patch; without noise, what is measured is rounded to 8 bit, which counts as noise.

        Raises:
            UserError: the small image is compressed.
        """
        del patch
        problem, factor = self.problem, self.problem.factor
        if problem.jpeg is not None:
            raise UserError("problem.jpeg", "JPEG has no linear explanation", "its report goes without")
        side = next(side for side in (EXPLANATION_PATCH, EXPLANATION_PATCH + 1) if side % factor == 0)
        sigma = math.hypot(problem.sigma / 255, 0.0 if problem.sigma else ROUNDING)
        matrix = matrix_of(lambda x: downscale(x, factor, problem.kernel), (side, side, channels))
        words = f"{side // factor} × {side // factor} pixels by {problem.kernel} reduction"
        return Operator("superresolution", (side, side, channels), matrix, sigma, words)

    def anchors(self, validation: ImageSubset) -> dict[str, Baseline]:
        """Bicubic interpolation, and back-projections from there, as many as are best on validation images."""
        factor, kernel = self.problem.factor, self.problem.kernel
        chosen = np.linspace(0, len(validation) - 1, min(TRIED, len(validation))).round().astype(int).tolist()
        examples = [self.fixed(validation, index) for index in chosen]
        pairs = [(example.y, example.x) for example in examples if isinstance(example.y, Tensor)]

        def error(steps: int) -> float:
            return sum(float(mse(back_project(y, factor, kernel, steps), x)) for y, x in pairs)

        steps = min(STEPS, key=error)
        project = partial(back_project, factor=factor, kernel=kernel, steps=steps)
        return {
            "input": Baseline("bicubic", partial(upscale, factor=factor)),
            "classical": Baseline("iterative back-projection", project),
        }


def downscale(x: Tensor, factor: int, kernel: str = "bicubic") -> Tensor:
    """Make images smaller.

    ``bicubic`` and ``bilinear`` are torch's with anti-aliasing: Pillow's everywhere, and MATLAB's imresize but for
    pixels whose window crosses the border. (deepinv's ``Downsampling`` is shifted by a pixel at factors 3 and 4.)

    Args:
        x: (B, C, H, W), H and W multiples of the factor.
        factor: 2 or more.
        kernel: ``bicubic``, ``bilinear``, ``box`` or ``gaussian``; the last is cut off where its window of 7 / 3 of
            the factor ends, and repeats border pixels.

    Returns:
        (B, C, H / factor, W / factor).
    """
    if kernel == "box":
        return functional.avg_pool2d(x, factor)
    if kernel == "gaussian":
        return _gaussian(x, factor)
    size = (x.shape[-2] // factor, x.shape[-1] // factor)
    return functional.interpolate(x, size=size, mode=kernel, antialias=True, align_corners=False)


def _gaussian(x: Tensor, factor: int) -> Tensor:
    """Blur and keep the middle of every block: the "BD" of super-resolution papers at factor 3 (7 x 7, 1.6)."""
    beyond = -(-2 * factor // 3)  # pixels of the window on either side of its block
    positions = torch.arange(factor + 2 * beyond, dtype=torch.float64) - (factor + 2 * beyond - 1) / 2
    line = torch.exp(-0.5 * (positions / (1.6 * factor / 3)) ** 2)
    line = (line / line.sum()).to(x)
    planes = functional.pad(x.flatten(0, 1)[:, None], (beyond,) * 4, mode="replicate")
    planes = functional.conv2d(planes, torch.outer(line, line)[None, None], stride=factor)
    return planes.reshape(*x.shape[:2], *planes.shape[-2:])


def upscale(y: Tensor, factor: int) -> Tensor:
    """Bicubic interpolation by a whole factor, as MATLAB and Pillow: (B, C, h, w) to (B, C, factor h, factor w)."""
    size = (y.shape[-2] * factor, y.shape[-1] * factor)
    return functional.interpolate(y, size=size, mode="bicubic", antialias=True, align_corners=False)


def back_project(y: Tensor, factor: int, kernel: str, steps: int) -> Tensor:
    """Iterative back-projection: x <- x + up(y - down(x)), from bicubic interpolation on (Irani and Peleg 1991)."""
    x = upscale(y, factor)
    for _ in range(steps):
        x = x + upscale(y - downscale(x, factor, kernel), factor)
    return x


def jpeg_compress(y: Tensor, quality: int) -> Tensor:
    """Every image after JPEG at this quality, as Pillow writes it: clipped and rounded to 8 bit, same shape."""
    pixels = (y.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    images = []
    for image in pixels:
        stream = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, "jpeg", quality=quality)
        images.append(np.asarray(Image.open(stream)).reshape(image.shape))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(y) / 255


def crop_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Cut rows and columns off at the bottom and the right until a number divides the sides."""
    rows, columns = (side - side % multiple for side in x.shape[-2:])
    return x[..., :rows, :columns]
