"""Inverse problems: what all of them can do, and the common parts of those of images in [0, 1].

A new problem is a class with the methods of :class:`InverseProblem`, which the options in
``reconscale.study.problems`` name as their ``physics``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, Protocol, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from reconscale.arrays import Shape
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.physics.metrics import measure_image, mse, psnr_rgb_clip
from reconscale.plugins import load_object
from reconscale.study.base import Problem
from reconscale.study.problems import with_sigma
from reconscale.theory.operators import Operator

EXPLANATION_PATCH = 8
"""Side of the patches of the linear explanation, in pixels: a few photographs give the covariance of their 64 values,
or 192 in colour."""
ROUNDING = 1 / 255 / 12**0.5
"""Standard deviation of the error of rounding to 8 bit: no measurement is taken to have less noise."""


@dataclass(frozen=True)
class Baseline:
    """A reconstruction that needs no training: where curves begin, at n = 0.

    Attributes:
        label: what it is called in figures.
        reconstruct: maps what was measured to (B, C, h, w).
    """

    label: str
    reconstruct: Callable[[Any], Tensor]


class Measurement(Protocol):
    """A measurement of B images that is more than an image: a form of measurement is a class with these."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors that depend on the images, each (B, ...)."""

    @property
    def facts(self) -> tuple[Any, ...]:
        """Facts that are equal for all measurements of one batch."""

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> Any:
        """The same measurement of other images."""


@dataclass(frozen=True)
class KSpace:
    """The measured k-space of B slices of one shape.

    Attributes:
        values: (B, coils, H, W) complex64; zero where it was not measured.
        mask: (B, 1, 1, W) or (B, 1, H, W) bool: what was measured.
        center: (first, count) of the columns (of points: also of the rows) in the middle that were measured without
            gaps.
        size: (h, w) of the magnitude image to be reconstructed: the middle of the (H, W) image.
        maps: (B, coils, H, W) complex64 sensitivities of simulated coils; none: they must be estimated.
        method: how they are estimated: ``lowres`` or ``espirit``.
    """

    values: Tensor
    mask: Tensor
    center: tuple[int, int]
    size: tuple[int, int]
    maps: Tensor | None = None
    method: str = "lowres"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Values and mask, and the maps if they are known."""
        return (self.values, self.mask) if self.maps is None else (self.values, self.mask, self.maps)

    @property
    def facts(self) -> tuple[Any, ...]:
        """The centre, the size of the image, and how maps are estimated."""
        return self.center, self.size, self.method

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> KSpace:
        """Other values, mask and maps."""
        return KSpace(tensors[0], tensors[1], self.center, self.size, (*tensors[2:], None)[0], self.method)


@dataclass(frozen=True)
class LinearMeasurement:
    """The measurement of B images of one shape by a linear operator.

    Attributes:
        values: (B, ...) as the operator gives them.
        image: (B, C, h, w) filtered from the values: what a network is given.
        operator: gives A and its adjoint, for reconstruction without learning; none: not known.
    """

    values: Tensor
    image: Tensor
    operator: Any = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Values and the image filtered from them."""
        return self.values, self.image

    @property
    def facts(self) -> tuple[Any, ...]:
        """Nothing: operators are not compared."""
        return ()

    def with_tensors(self, tensors: tuple[Tensor, ...]) -> LinearMeasurement:
        """Other values and image, of the same operator."""
        return LinearMeasurement(tensors[0], tensors[1], self.operator)


@dataclass(frozen=True)
class Batch:
    """B images of one shape.

    Attributes:
        y: what was measured, and what a network is given: (B, C, H, W), k-space, or values with their filtered image.
        x: (B, C, h, w) the truth.
        scale: (B,) the data range of the truth: 1 of images, the maximum of volumes.
        peak: (B,) the data range that evaluation uses: of volumes the maximum of their square centre crops.
        names: of the images, where their noise is fixed by them.
    """

    y: Tensor | KSpace | LinearMeasurement
    x: Tensor
    scale: Tensor
    peak: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


class InverseProblem(Protocol):
    """The methods that training, evaluation and the report use. Data are ``ImageSubset`` or ``Slices``."""

    def check(self, data: Any, patch: int) -> None:
        """Refuse data that cannot be measured, before anything is trained."""

    def read(
        self,
        data: Any,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Any:
        """Read images from the disk, as they are stored; may run ahead in a thread of its own."""

    def examples(self, raw: Any) -> list[Batch]:
        """Measure what was read afresh, on the device."""

    def fixed(self, data: Any, index: int, crop: int | None = None, seed: int = 0) -> Batch:
        """The measurement of one image, always the same."""

    def state(self) -> Tensor:
        """State of the stream of fresh measurements."""

    def restore(self, state: Tensor) -> None:
        """Continue the stream of fresh measurements."""

    def scores(self, x_hat: Tensor, example: Batch) -> dict[str, float]:
        """Every metric of one reconstruction."""

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64 on the device: sums over the example of MSE and PSNR, for the validation curve."""

    def by_volume(self, scores: dict[str, dict[str, float]], data: Any) -> dict[str, dict[str, float]]:
        """Every metric of every volume; empty where images are no slices."""

    def variants(self) -> Mapping[str, InverseProblem]:
        """The same problem at other levels of noise: what is added to the main test set's name -> problem."""

    def shown(self, x_hat: Tensor, example: Batch) -> Tensor:
        """A reconstruction as it is drawn, in [0, 1]."""

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """The same problem for a small patch, as a matrix, from which a linear estimator explains the curve.

        Args:
            channels: of the images.
            patch: side of the study's crops, in pixels.

        Raises:
            UserError: the problem has no linear explanation.
        """

    def anchors(self, validation: Any) -> dict[str, Baseline]:
        """Reconstructions without learning: at least ``input`` and ``classical``."""


def problem_of(problem: Problem, device: torch.device, seed: int) -> InverseProblem:
    """A problem as a study names it, ready to measure.

    Args:
        problem: the options.
        device: where examples go.
        seed: of fresh noise in training.
    """
    made: InverseProblem = load_object(problem.physics)(problem, device, seed)
    return made


P = TypeVar("P", bound=Problem)


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops as they were read.

    Attributes:
        pixels: where they come from.
        values: (B, C, patch, patch) as they are stored.
        names: of their images.
    """

    pixels: ImageSubset
    values: Tensor
    names: tuple[str, ...]


class ImageProblem(Generic[P]):
    """The part of ``InverseProblem`` that is the same for every problem of images.

    Attributes:
        problem: the options.
        device: where examples go.
        generator: of fresh noise in training, on the device.
    """

    def __init__(self, problem: P, device: torch.device, seed: int) -> None:
        """Prepare to measure.

        Args:
            problem: the options.
            device: where images are measured.
            seed: of fresh noise in training.
        """
        self.problem, self.device, self.seed = problem, torch.device(device), seed
        self.generator = torch.Generator(device=self.device).manual_seed(seed)

    def check(self, data: ImageSubset, patch: int) -> None:
        """Any image can be measured."""

    def read(
        self,
        data: ImageSubset,
        indices: Sequence[int],
        patch: int,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Crops:
        """Crops as they are stored: see ``ImageSubset.crops``."""
        values = data.crops(indices, patch, generator=generator, turns=turns)
        return Crops(data, values, tuple(data.names[i] for i in indices))

    def example(self, y: Any, x: Tensor) -> Batch:
        """A measurement with its truth, of data range 1."""
        ones = torch.ones(len(x), device=self.device)
        return Batch(y, x, ones, ones)

    def state(self) -> Tensor:
        """State of the stream of fresh noise: a uint8 tensor on the CPU."""
        return self.generator.get_state().clone()

    def restore(self, state: Tensor) -> None:
        """Continue the stream from ``state``, exactly, on the same kind of device."""
        self.generator.set_state(state.cpu())

    def scores(self, x_hat: Tensor, example: Batch) -> dict[str, float]:
        """Every metric of one image: profile -> value."""
        return measure_image(x_hat, example.x, self.problem)

    def quick(self, x_hat: Tensor, example: Batch) -> Tensor:
        """(2,) float64: sums of MSE and PSNR (clipped)."""
        return torch.stack([mse(x_hat, example.x).sum(), psnr_rgb_clip(x_hat, example.x).sum()])

    def by_volume(self, scores: dict[str, dict[str, float]], data: ImageSubset) -> dict[str, dict[str, float]]:
        """Nothing: images are no slices."""
        del scores, data
        return {}

    def shown(self, x_hat: Tensor, example: Batch) -> Tensor:
        """A reconstruction as it is drawn: as it is."""
        del example
        return x_hat

    def patch_operator(self, channels: int, patch: int) -> Operator:
        """The same problem for a small patch, as a matrix; see :class:`InverseProblem`.

        Raises:
            UserError: always; problems that have an explanation override this.
        """
        del channels, patch
        refuse_explanation(self.problem.kind)

    def variants(self) -> dict[str, Self]:
        """The problem at the other levels of noise that are tested: what is added to a test set's name -> problem."""
        levels = getattr(self.problem, "test_sigma", ())
        return {
            f" at sigma {sigma:g}": type(self)(with_sigma(self.problem, sigma), self.device, self.seed)
            for sigma in levels
        }


def add_noise(
    x: Tensor, generator: torch.Generator, *, sigma: float | Tensor = 0.0, photons: float | None = None
) -> Tensor:
    """Add noise: y ~ Poisson(photons x) / photons + N(0, sigma^2). Neither clipped nor rounded.

    With the same generator it gives what deepinv's ``GaussianNoise`` and ``PoissonGaussianNoise`` give; these keep a
    copy of their generator, which cannot be continued from a checkpoint without looking into them.

    Args:
        x: (B, ...) of values in [0, 1].
        generator: on the device of x, or on the CPU: numbers are drawn where it is, and moved.
        sigma: standard deviation of the Gaussian part in the units of x; a (B,) tensor: one for each image.
        photons: how many a value of 1 counts; none: no Poisson part.

    Returns:
        Noisy values, of the shape of x.
    """
    y = x
    if photons is not None:
        counts = (x.clamp_min(0) * photons).to(generator.device)
        y = torch.poisson(counts, generator=generator).to(x.device) / photons
    if isinstance(sigma, Tensor) or sigma > 0:
        noise = torch.randn(x.shape, generator=generator, device=generator.device, dtype=torch.float32).to(x.device)
        level = sigma.view(-1, *[1] * (x.dim() - 1)) if isinstance(sigma, Tensor) else sigma
        y = y + noise * level
    return y


def seed_of(name: str, seed: int) -> int:
    """A 63-bit seed that is a pure function of a name and a number."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big") >> 1


def fixed_generator(name: str, seed: int) -> torch.Generator:
    """A generator on the CPU whose numbers are a pure function of a name and a seed: the same on every device."""
    return torch.Generator().manual_seed(seed_of(name, seed))


def refuse_explanation(kind: str) -> NoReturn:
    """Refuse the linear explanation of a kind of problem that has none.

    Raises:
        UserError: always.
    """
    raise UserError("problem.kind", f"'{kind}' has no linear explanation", "its report goes without")


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
    basis = torch.eye(pixels).reshape(pixels, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return forward(basis).reshape(pixels, -1).T.double().numpy()
