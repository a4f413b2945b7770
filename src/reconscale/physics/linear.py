"""Linear inverse problems: an operator measures the image, and the network gets a filtered image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from reconscale.arrays import Shape
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.base import (
    EXPLANATION_PATCH,
    ROUNDING,
    Baseline,
    Batch,
    Crops,
    ImageProblem,
    LinearMeasurement,
    add_noise,
    fixed_generator,
    matrix_of,
)
from reconscale.physics.baselines import fista_tv
from reconscale.physics.linear_operators import (
    NEAR,
    LinearOperator,
    adjointness,
    blur_operator,
    compressed_sensing_operator,
    deepinv_operator,
    inpainting_operator,
    tomography_operator,
    with_input,
)
from reconscale.physics.metrics import mse
from reconscale.physics.superresolution import crop_to_multiple
from reconscale.study.problems import (
    CompressedSensingProblem,
    DeblurringProblem,
    DeepinvProblem,
    InpaintingProblem,
    LinearProblem,
    TomographyProblem,
)
from reconscale.theory.operators import Operator, inpainting

P = TypeVar("P", bound=LinearProblem)

WEIGHTS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Weights of the total variation that are tried on validation images."""
TRIED, CROP = 4, 128
"""Validation images that they are tried on, and the side of their centre crops."""
ITERATIONS = 30
"""Of the reconstruction with total variation."""
TOMOGRAPHY_PATCH = 12
"""Side of the patches that the linear explanation of tomography looks at, where views must be distinguishable."""
BLOCK = 12
"""The largest side of blocks of compressed sensing that have a linear explanation."""
KEPT = 4
"""Operators that are kept, by the shape of the images."""


class LinearImageProblem(ImageProblem[P], ABC):
    """y = A x + z with z white and Gaussian; the network is given an image filtered from y.

    A problem is a subclass that builds the operator for images of one shape.
    """

    def __init__(self, problem: P, device: torch.device, seed: int) -> None:
        """Prepare to measure: see ``ImageProblem``."""
        super().__init__(problem, device, seed)
        self._operators: OrderedDict[Shape, LinearOperator] = OrderedDict()

    @property
    def multiple(self) -> int:
        """Sides of images are cut to a multiple of this."""
        return 1

    @abstractmethod
    def build(self, shape: Shape) -> LinearOperator:
        """The operator for images of a shape, with the filter that ``input = "auto"`` means.

        Args:
            shape: channels, height and width.

        Raises:
            UserError: it cannot be made or used for this shape.
        """

    def operator_for(self, shape: Shape) -> LinearOperator:
        """The operator for images of a shape, with the filter that the problem asks for; see :meth:`build`."""
        return with_input(self.build(shape), self.problem.input)

    def check(self, data: ImageSubset, patch: int) -> None:
        """Refuse crops that the operator cannot measure, and operators whose adjoint is none.

        Raises:
            UserError: as said.
        """
        if patch % self.multiple:
            fitting = patch // self.multiple * self.multiple or self.multiple
            raise UserError("images.patch", f"found {patch}, which blocks of {self.multiple} do not divide",
                          f"give a multiple, like {fitting}")  # fmt: skip
        shape = (data.channels, patch, patch)
        operator = self.operator(torch.empty(1, *shape), torch.Generator(self.device))
        error = adjointness(operator, shape, self.device)
        if error > NEAR:
            raise UserError("problem", f"the adjoint of '{self.problem.kind}' is off by {error:.2g}",
                          f"below {NEAR:g} is expected")  # fmt: skip

    def operator(self, x: Tensor, generator: torch.Generator) -> LinearOperator:
        """The operator for images like x.

        Args:
            x: (B, C, H, W).
            generator: on the device, or on the CPU: what is fresh in an operator is drawn from it.
        """
        del generator
        shape = (int(x.shape[1]), int(x.shape[2]), int(x.shape[3]))
        if shape not in self._operators:
            self._operators[shape] = self.operator_for(shape)
        self._operators.move_to_end(shape)
        while len(self._operators) > KEPT:
            self._operators.popitem(last=False)
        return self._operators[shape]

    def examples(self, raw: Crops) -> list[Batch]:
        """Crops in [0, 1], measured with fresh noise (and masks): one example."""
        x = raw.pixels.to_unit(raw.values, self.device)
        return [self.example(self._measure(x, self.generator), x)]

    def fixed(self, data: ImageSubset, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """One image, or its centre crop; masks and noise are a pure function of its name, its size and the seed."""
        x = crop_to_multiple(data.tensor(index, crop).to(self.device), self.multiple)
        return self.example(self._measure(x, fixed_generator(data.names[index], seed)), x)

    def _measure(self, x: Tensor, generator: torch.Generator) -> LinearMeasurement:
        with torch.no_grad():
            operator = self.operator(x, generator)
            y = operator.forward(x)
            if self.problem.sigma:
                sigma = self.problem.sigma / 255
                if y.is_complex():
                    parts = add_noise(torch.view_as_real(y), generator, sigma=sigma / 2**0.5)
                    y = torch.view_as_complex(parts)
                else:
                    y = add_noise(y, generator, sigma=sigma)
                y = self.without_gaps(y, operator)
            return LinearMeasurement(y, operator.filtered(y), operator)

    def without_gaps(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """What was measured, noise included, without values that were not measured at all."""
        del operator
        return y

    def anchors(self, validation: ImageSubset) -> dict[str, Baseline]:
        """The filtered image, and total variation with the weight that is best on validation images."""
        chosen = np.linspace(0, len(validation) - 1, min(TRIED, len(validation))).round().astype(int).tolist()
        examples = [self.fixed(validation, index, CROP) for index in chosen]
        pairs = [(example.y, example.x) for example in examples if isinstance(example.y, LinearMeasurement)]

        def error(weight: float) -> float:
            return sum(float(mse(total_variation(y, weight), x)) for y, x in pairs)

        weight = min(WEIGHTS, key=error)
        return {
            "input": Baseline("filtered input", lambda y: y.image),
            "classical": Baseline("total variation", partial(total_variation, weight=weight)),
        }


class Deblurring(LinearImageProblem[DeblurringProblem]):
    """Circular convolution."""

    def build(self, shape: Shape) -> LinearOperator:
        """See ``blur_operator``."""
        return blur_operator(self.problem, shape, self.device)


class Inpainting(LinearImageProblem[InpaintingProblem]):
    """Pixels that are kept at random: a mask for every image."""

    def build(self, shape: Shape) -> LinearOperator:
        """The operator that keeps every pixel: masks are drawn in :meth:`operator`."""
        return inpainting_operator(torch.ones(1, 1, *shape[1:], device=self.device))

    def operator(self, x: Tensor, generator: torch.Generator) -> LinearOperator:
        """Masks for the images x (B, C, H, W), drawn from a generator."""
        drawn = torch.rand((len(x), 1, *x.shape[-2:]), generator=generator, device=generator.device)
        return inpainting_operator((drawn < self.problem.keep).float().to(self.device))

    def without_gaps(self, y: Tensor, operator: LinearOperator) -> Tensor:
        """Where pixels are not kept, neither signal nor noise is measured."""
        return operator.forward(y)

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """Some pixels of a patch."""
        del patch
        return inpainting(
            (EXPLANATION_PATCH, EXPLANATION_PATCH, channels), max(self.problem.noise_level, ROUNDING), self.problem.keep
        )


class Tomography(LinearImageProblem[TomographyProblem]):
    """Few-view computed tomography."""

    def build(self, shape: Shape) -> LinearOperator:
        """See ``tomography_operator``."""
        return tomography_operator(self.problem, shape, self.device)

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """Views of a patch, as many for its side as the study has for an image (views grow with the side: Crowther)."""
        problem, side = self.problem, TOMOGRAPHY_PATCH
        views = max(1, round(problem.angles * side / patch))
        operator = tomography_operator(
            problem.model_copy(update={"angles": views}), (channels, side, side), torch.device("cpu")
        )
        words = f"{views} views, as dense as {problem.angles} of {patch} pixels"
        shape = (side, side, channels)
        sigma = max(problem.noise_level, ROUNDING)
        return Operator("tomography", shape, matrix_of(operator.forward, shape), sigma, words)


class CompressedSensing(LinearImageProblem[CompressedSensingProblem]):
    """Random combinations of the pixels of blocks."""

    @property
    def multiple(self) -> int:
        """The side of the blocks."""
        return self.problem.block

    def build(self, shape: Shape) -> LinearOperator:
        """See ``compressed_sensing_operator``."""
        return compressed_sensing_operator(self.problem, shape, self.device)

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """One block.

        Raises:
            UserError: blocks are too large.
        """
        del patch
        problem, side = self.problem, self.problem.block
        if side > BLOCK:
            raise UserError("problem.block", f"found {side}", f"blocks up to {BLOCK} have an explanation")
        operator = compressed_sensing_operator(problem, (channels, side, side), torch.device("cpu"))
        words = f"{problem.ratio:g} combinations a pixel of blocks of {side}"
        shape = (side, side, channels)
        sigma = max(problem.noise_level, ROUNDING)
        return Operator("compressed-sensing", shape, matrix_of(operator.forward, shape), sigma, words)


class DeepinvLinear(LinearImageProblem[DeepinvProblem]):
    """Any linear operator of deepinv."""

    def build(self, shape: Shape) -> LinearOperator:
        """See ``deepinv_operator``."""
        return deepinv_operator(self.problem, shape, self.device)


def total_variation(y: LinearMeasurement, weight: float) -> Tensor:
    """Least squares plus total variation, from the filtered image on: (B, C, h, w).

    Args:
        y: what was measured, with its operator.
        weight: of the total variation.
    """
    operator: LinearOperator = y.operator
    gradient = lambda x: operator.adjoint(operator.forward(x) - y.values) / operator.norm2  # noqa: E731
    return fista_tv(gradient, y.image, weight, ITERATIONS)
