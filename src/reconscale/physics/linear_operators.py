"""Linear operators on images: A, its adjoint, and the filter for the network's input."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reconscale.arrays import Shape
from reconscale.errors import UserError, suggest
from reconscale.study.problems import (
    CompressedSensingProblem,
    DeblurringProblem,
    DeepinvProblem,
    TomographyProblem,
)

Map = Callable[[Tensor], Tensor]

VARIANCE = 0.01
"""Of the flat spectrum of images that the Wiener filter assumes; pixels are in [0, 1]."""
STEPS = 10
"""Of conjugate gradients: a pseudo-inverse that is stopped early does not amplify the noise."""
NEAR = 1e-3
"""A A* counts as a multiple of the identity, and an adjoint as one, within this relative error."""


@dataclass(frozen=True)
class LinearOperator:
    """y = A x for images x of one shape, B at once.

    Attributes:
        forward: A: (B, C, H, W) to what is measured, (B, ...).
        adjoint: A*: back to (B, C, H, W).
        filtered: what is measured to the image that a network is given, (B, C, H, W).
        norm2: the largest eigenvalue of A* A.
    """

    forward: Map
    adjoint: Map
    filtered: Map
    norm2: float = 1.0


def with_input(operator: LinearOperator, word: str) -> LinearOperator:
    """The operator with another filter: ``adjoint`` over the norm, ``pseudo-inverse``, or its own for ``auto``."""
    if word == "adjoint":
        return _with(operator, lambda y: operator.adjoint(y) / operator.norm2)
    if word == "pseudo-inverse":
        return _with(operator, lambda y: conjugate_gradients(operator, y))
    return operator


def adjointness(operator: LinearOperator, shape: Shape, device: torch.device, seed: int = 0) -> float:
    """|<A x, y> - <x, A* y>| over |A x| |y| for random x and y: 0 of a true adjoint, up to rounding."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((1, *shape), generator=generator).to(device)
    ax = operator.forward(x)
    real = torch.randn(ax.shape, generator=generator).to(ax.device)
    y = torch.complex(real, torch.randn(ax.shape, generator=generator).to(ax.device)) if ax.is_complex() else real
    one, other = _inner(ax, y), _inner(x, operator.adjoint(y))
    size = float(torch.linalg.vector_norm(ax) * torch.linalg.vector_norm(y))
    return abs(one - other) / max(size, 1e-30)


def _inner(a: Tensor, b: Tensor) -> float:
    return float((a.to(torch.complex128).conj() * b.to(torch.complex128)).sum().real)


def conjugate_gradients(operator: LinearOperator, y: Tensor, steps: int = STEPS) -> Tensor:
    """Least squares by a few steps of conjugate gradients on A* A x = A* y, from 0; image by image."""
    dims = (1, 2, 3)
    residual = operator.adjoint(y)
    x, direction = torch.zeros_like(residual), residual
    energy = residual.square().sum(dims, keepdim=True)
    for _ in range(steps):
        image = operator.adjoint(operator.forward(direction))
        step = energy / (direction * image).sum(dims, keepdim=True).clamp_min(1e-30)
        x, residual = x + step * direction, residual - step * image
        before, energy = energy, residual.square().sum(dims, keepdim=True)
        direction = residual + energy / before.clamp_min(1e-30) * direction
    return x


def _with(operator: LinearOperator, filtered: Map) -> LinearOperator:
    return LinearOperator(operator.forward, operator.adjoint, filtered, operator.norm2)


def inpainting_operator(mask: Tensor) -> LinearOperator:
    """Inpainting: pixels where the mask (B, 1, H, W) is 1 are kept; the filtered image is 0 elsewhere."""
    from deepinv.physics import Inpainting

    physics = Inpainting(img_size=tuple(mask.shape[1:]), mask=mask, device=mask.device)
    return LinearOperator(lambda x: physics.A(x), lambda y: physics.A_adjoint(y), lambda y: physics.A_adjoint(y))


def blur_operator(problem: DeblurringProblem, shape: Shape, device: torch.device) -> LinearOperator:
    """Circular convolution with the kernel of a blur; the filter is Wiener's.

    Raises:
        UserError: the kernel is larger than the images.
    """
    from deepinv.physics import BlurFFT

    kernel = blur_kernel(problem)
    if max(kernel.shape[-2:]) > min(shape[1:]):
        raise UserError("problem.radius", f"found {problem.radius:g}, a kernel of {kernel.shape[-1]} pixels",
                      f"an image has {min(shape[1:])}; give a smaller radius or larger patches")  # fmt: skip
    physics = BlurFFT(img_size=shape, filter=kernel.to(device), device=device)
    return LinearOperator(lambda x: physics.A(x), lambda y: physics.A_adjoint(y), _wiener(physics, problem.sigma / 255))


def _wiener(physics: Any, sigma: float) -> Map:
    """(A* A + (sigma^2 / VARIANCE) I)^-1 A* about the mean of what is measured, in closed form."""
    gamma = VARIANCE / max(sigma, 1e-3) ** 2

    def filtered(y: Tensor) -> Tensor:
        mean = y.mean((1, 2, 3), keepdim=True)
        x: Tensor = physics.prox_l2(torch.zeros_like(y), y - mean, gamma)
        return x + mean

    return filtered


def blur_kernel(problem: DeblurringProblem) -> Tensor:
    """The kernel of a blur: (1, 1, k, k) with k odd, not negative, of sum 1."""
    if problem.kernel == "motion":
        from deepinv.physics.generator import MotionBlurGenerator

        side = 2 * max(1, round(2 * problem.radius)) + 1
        generator = torch.Generator().manual_seed(problem.operator_seed)
        kernel: Tensor = MotionBlurGenerator((side, side), rng=generator).step(1)["filter"]
        return kernel.float()
    reach = math.ceil(3 * problem.radius) if problem.kernel == "gaussian" else math.ceil(problem.radius)
    line = torch.arange(-reach, reach + 1, dtype=torch.float64)
    distance2 = line[:, None] ** 2 + line[None] ** 2
    if problem.kernel == "gaussian":
        values = torch.exp(-distance2 / (2 * problem.radius**2))
    else:
        values = (problem.radius + 0.5 - distance2.sqrt()).clamp(0, 1)
    return (values / values.sum()).float()[None, None]


def tomography_operator(problem: TomographyProblem, shape: Shape, device: torch.device) -> LinearOperator:
    """Parallel-beam projections of images padded to a square; the filter is filtered back-projection."""
    from deepinv.physics import Tomography

    side = max(shape[1:])
    with fork_seed(0):
        physics = Tomography(angles=problem.angles, img_width=side, circle=False, normalize=True, device=device)
    rows, columns = side - shape[1], side - shape[2]
    border = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    inside = (..., slice(border[2], side - border[3]), slice(border[0], side - border[1]))
    return LinearOperator(
        lambda x: physics.A(functional.pad(x, border)),
        lambda y: physics.A_adjoint(y).detach()[inside],
        lambda y: physics.A_dagger(y, fbp=True).detach()[inside],
    )


def compressed_sensing_operator(
    problem: CompressedSensingProblem, shape: Shape, device: torch.device
) -> LinearOperator:
    """Random combinations of the pixels of every block, with orthonormal rows; the filter is the adjoint."""
    from deepinv.physics import CompressedSensing

    side = problem.block
    count = max(1, round(problem.ratio * side**2))
    generator = torch.Generator(device).manual_seed(problem.operator_seed)
    physics = CompressedSensing(m=count, img_size=(1, side, side), rng=generator, device=device)
    rows = torch.linalg.qr(physics._A.T)[0].T.contiguous()  # the same row space, with orthonormal rows
    physics._A, physics._A_adjoint = rows, rows.T.contiguous()
    channels, height, width = shape
    grid = (height // side, width // side)

    def forward(x: Tensor) -> Tensor:
        blocks = functional.unfold(x.flatten(0, 1)[:, None], side, stride=side).transpose(1, 2)
        y: Tensor = physics.A(blocks.reshape(-1, 1, side, side))
        return y.reshape(len(x), channels, *grid, count)

    def adjoint(y: Tensor) -> Tensor:
        blocks = physics.A_adjoint(y.reshape(-1, count)).reshape(len(y) * channels, grid[0] * grid[1], side**2)
        return functional.fold(blocks.transpose(1, 2), (height, width), side, stride=side).reshape(len(y), *shape)

    return LinearOperator(forward, adjoint, adjoint)


def deepinv_operator(problem: DeepinvProblem, shape: Shape, device: torch.device) -> LinearOperator:
    """An operator of deepinv by name.

    Raises:
        UserError: there is no such operator, it cannot be made or used for this shape, or its adjoint is none.
    """
    physics = _instance(problem, shape, device)

    def forward(x: Tensor) -> Tensor:
        y: Tensor = physics.A(x)
        return y

    def adjoint(y: Tensor) -> Tensor:
        x: Tensor = physics.A_adjoint(y)
        return x.detach()

    x = torch.rand((1, *shape), generator=torch.Generator().manual_seed(1)).to(device)
    try:
        y = forward(x)
        if not isinstance(y, Tensor):
            raise TypeError("it measures several things at once")
        shapes = (tuple(adjoint(y).shape), (1, *shape))
    except Exception as raised:  # whatever an operator raises for images that it is not made for
        raise UserError("problem.operator", f"'{problem.operator}' cannot measure {shape}", _says(raised)) from raised
    if shapes[0] != shapes[1]:
        found = f"the adjoint of '{problem.operator}' gives {shapes[0]} of images {shapes[1]}"
        raise UserError("problem.operator", found, "choose an operator that maps images back to their size")
    operator = LinearOperator(forward, adjoint, adjoint, _norm2(forward, adjoint, x))
    error = adjointness(operator, shape, device)
    if error > NEAR:
        raise UserError("problem.operator", f"the adjoint of '{problem.operator}' is off by {error:.2g}",
                      f"below {NEAR:g} is expected; see its arguments, like adjoint_via_backprop")  # fmt: skip
    return _with(operator, _rule(physics, operator, y, problem.sigma / 255))


def _rule(physics: Any, operator: LinearOperator, y: Tensor, sigma: float) -> Map:
    """The filter that ``auto`` means: see ``DeepinvProblem``."""
    there_and_back = operator.forward(operator.adjoint(y))
    scale = _inner(y, there_and_back) / max(_inner(y, y), 1e-30)
    if float(torch.linalg.vector_norm(there_and_back - scale * y)) <= NEAR * scale * float(torch.linalg.vector_norm(y)):
        return lambda y: operator.adjoint(y) / scale
    if hasattr(physics, "fbp"):
        return lambda y: physics.A_dagger(y, fbp=True).detach()
    if type(physics).__name__ == "BlurFFT":
        return _wiener(physics, sigma)
    return lambda y: conjugate_gradients(operator, y)


def _norm2(forward: Map, adjoint: Map, x: Tensor) -> float:
    """The largest eigenvalue of A* A by the power method."""
    value = 1.0
    for _ in range(30):
        x = adjoint(forward(x / torch.linalg.vector_norm(x).clamp_min(1e-30)))
        value = float(torch.linalg.vector_norm(x))
    return max(value, 1e-12)


@contextmanager
def fork_seed(seed: int) -> Iterator[None]:
    """Seed torch's global generators for a while: deepinv's power method draws from nothing else."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def linear_operators() -> dict[str, type[Any]]:
    """The operators of deepinv by name."""
    from deepinv import physics

    found = {name: getattr(physics, name) for name in dir(physics)}
    return {
        name: thing
        for name, thing in found.items()
        if inspect.isclass(thing) and issubclass(thing, physics.LinearPhysics) and thing is not physics.LinearPhysics
    }


def _instance(problem: DeepinvProblem, shape: Shape, device: torch.device) -> Any:
    """An operator with the study's arguments and what follows from the images."""
    known, name = linear_operators(), problem.operator
    if name not in known:
        raise UserError("problem.operator", f"found '{name}'", suggest(name, known))
    accepted = inspect.signature(known[name].__init__).parameters
    unknown = [key for key in problem.arguments if key not in accepted]
    if unknown:
        raise UserError("problem.arguments", f"'{name}' has no '{unknown[0]}'", suggest(unknown[0], accepted))
    given = {key: _tensor(key, value, device) if _wants_tensor(key, value) else value
             for key, value in problem.arguments.items()}  # fmt: skip
    generator = torch.Generator(device).manual_seed(problem.operator_seed)
    follows = {"img_size": shape, "img_width": shape[-1], "device": device, "rng": generator}
    follows |= {"normalize": True} if name.startswith("Tomography") else {}
    given = {key: value for key, value in follows.items() if key in accepted} | given
    try:
        with fork_seed(problem.operator_seed):
            return known[name](**given)
    except Exception as raised:  # whatever a constructor raises for arguments that do not fit
        made = f"'{name}' cannot be made of {sorted(problem.arguments)}"
        raise UserError("problem.arguments", made, _says(raised)) from raised


def _says(raised: Exception) -> str:
    lines = str(raised).strip().splitlines() or [""]
    return f"it says: {type(raised).__name__}: {lines[0][:200]}"


def _wants_tensor(key: str, value: Any) -> bool:
    """Nested lists of numbers are tensors: filters, masks, angles; flat ones of whole numbers stay tuples (sizes)."""
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    return isinstance(value[0], Sequence) or key in ("angles", "mask", "filter")


def _tensor(key: str, value: Any, device: torch.device) -> Tensor:
    try:
        made = torch.tensor(value, dtype=torch.float32, device=device)
    except (TypeError, ValueError) as raised:
        raise UserError(f"problem.arguments.{key}", "is no table of numbers", "give rows of equal length") from raised
    return made[None, None] if made.dim() == 2 else made
