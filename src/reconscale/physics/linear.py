"""Linear inverse problems: images are measured by an operator, and a network is given a filtered image."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import numpy as np
import torch
from torch import Tensor

from reconscale.arrays import Shape
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.base import Baseline, Batch, Crops, ImageProblem, LinearMeasurement, add_noise, fixed_generator
from reconscale.physics.baselines import fista_tv
from reconscale.physics.linear_operators import (
    NEAR,
    LinearOperator,
    adjointness,
    inpainting_operator,
    operator_of,
)
from reconscale.physics.metrics import mse
from reconscale.physics.superresolution import crop_to_multiple
from reconscale.study.problems import CompressedSensingProblem, InpaintingProblem, LinearProblem

WEIGHTS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
"""Weights of the total variation that are tried on validation images."""
TRIED, CROP = 4, 128
"""Validation images that they are tried on, and the side of their centre crops."""
ITERATIONS = 30
"""Of the reconstruction with total variation."""
KEPT = 4
"""Operators that are kept, by the shape of the images."""


class LinearImageProblem(ImageProblem[LinearProblem]):
    """y = A x + z with z white and Gaussian; the network is given an image filtered from y."""

    def __init__(self, problem: LinearProblem, device: torch.device, seed: int) -> None:
        """Prepare to measure: see ``ImageProblem``."""
        super().__init__(problem, device, seed)
        self._operators: OrderedDict[Shape, LinearOperator] = OrderedDict()

    @property
    def multiple(self) -> int:
        """What the sides of images are cut to a multiple of."""
        return self.problem.block if isinstance(self.problem, CompressedSensingProblem) else 1

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
        """The operator for images like x; of inpainting with masks drawn from a generator.

        Args:
            x: (B, C, H, W).
            generator: on the device, or on the CPU.
        """
        if isinstance(self.problem, InpaintingProblem):
            shape = (len(x), 1, *x.shape[-2:])
            drawn = torch.rand(shape, generator=generator, device=generator.device)
            return inpainting_operator((drawn < self.problem.keep).float().to(self.device))
        shape = (int(x.shape[1]), int(x.shape[2]), int(x.shape[3]))
        if shape not in self._operators:
            self._operators[shape] = operator_of(self.problem, shape, self.device)
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
                if isinstance(self.problem, InpaintingProblem):
                    y = operator.forward(y)  # nothing is measured elsewhere, noise neither
            return LinearMeasurement(y, operator.filtered(y), operator)

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


def total_variation(y: LinearMeasurement, weight: float) -> Tensor:
    """Least squares plus total variation, from the filtered image on: (B, C, h, w).

    Args:
        y: what was measured, with its operator.
        weight: of the total variation.
    """
    operator: LinearOperator = y.operator
    gradient = lambda x: operator.adjoint(operator.forward(x) - y.values) / operator.norm2  # noqa: E731
    return fista_tv(gradient, y.image, weight, ITERATIONS)
