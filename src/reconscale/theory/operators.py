"""Linear measurements y = A x + z of a patch, each a matrix and a noise level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats, Shape
from reconscale.errors import UserError, check_int, check_real, suggest


@dataclass(frozen=True, eq=False)
class Operator:
    """y = A x + z, z white and Gaussian.

    Attributes:
        name: its key in ``OPERATORS``.
        shape: of x: (height, width, channels).
        matrix: A, (m, height * width * channels).
        sigma: standard deviation of each entry of z, for x in [0, 1].
        words: what is measured, in words.
    """

    name: str
    shape: Shape
    matrix: Floats
    sigma: float
    words: str

    def __post_init__(self) -> None:
        self.matrix.setflags(write=False)

    @property
    def pixels(self) -> int:
        """Entries of x."""
        return int(self.matrix.shape[1])

    @property
    def measurements(self) -> int:
        """Entries of y."""
        return int(self.matrix.shape[0])


def denoising(shape: Shape, sigma: float) -> Operator:
    """A = I."""
    height, width, channels = shape = _checked(shape)
    sigma = check_real("sigma", sigma)
    return Operator("denoising", shape, np.eye(height * width * channels), sigma, f"noise of {sigma:.3g}")


def inpainting(shape: Shape, sigma: float, keep: float = 0.25, seed: int = 0) -> Operator:
    """A random part of the pixels, the same in all channels.

    Args:
        shape: of x.
        sigma: noise of the pixels that are kept.
        keep: the part that is kept, above 0 and at most 1; one pixel at least.
        seed: of the choice.

    Raises:
        UserError: an argument is out of range.
    """
    height, width, channels = shape = _checked(shape)
    sigma, keep = check_real("sigma", sigma), _part("keep", keep)
    kept = max(1, round(keep * height * width))
    chosen = np.sort(np.random.default_rng(seed).permutation(height * width)[:kept])
    rows = (chosen[:, None] * channels + np.arange(channels)).ravel()
    words = f"{kept} of {height * width} pixels kept, noise of {sigma:.3g}"
    return Operator("inpainting", shape, np.eye(height * width * channels)[rows], sigma, words)


def compressed_sensing(shape: Shape, sigma: float, keep: float = 0.25, seed: int = 0) -> Operator:
    """Random combinations of all pixels, with independent N(0, 1 / m) weights.

    Args:
        shape: of x.
        sigma: noise of each measurement.
        keep: measurements for each entry of x, above 0 and at most 1; one measurement at least.
        seed: of the weights.

    Raises:
        UserError: an argument is out of range.
    """
    shape = _checked(shape)
    pixels = math.prod(shape)
    sigma, keep = check_real("sigma", sigma), _part("keep", keep)
    count = max(1, round(keep * pixels))
    matrix = np.random.default_rng(seed).standard_normal((count, pixels)) / math.sqrt(count)
    words = f"{count} random combinations of {pixels} values, noise of {sigma:.3g}"
    return Operator("compressed-sensing", shape, matrix, sigma, words)


def masked_fourier(
    shape: Shape, sigma: float, acceleration: float = 4.0, center: float = 0.125, seed: int = 0
) -> Operator:
    """Some columns of the two-dimensional Fourier transform of each channel, as in Cartesian MRI.

    The real and imaginary parts of what is measured of a real image are dependent: A has orthonormal rows that span
    the same space, and the noise is white on these.

    Args:
        shape: of x.
        sigma: noise of each (orthonormal) coefficient.
        acceleration: columns for each one that is measured, 1 to the width.
        center: the part of all columns that is measured around frequency 0, from 0 to 1 / acceleration.
        seed: of the other columns.

    Raises:
        UserError: an argument is out of range, or nothing would be measured.
    """
    height, width, channels = shape = _checked(shape)
    sigma, acceleration = check_real("sigma", sigma), check_real("acceleration", acceleration, 1.0)
    if acceleration > width:
        raise UserError("acceleration", f"found {acceleration:g}", f"a patch of {width} columns allows 1 to {width}")
    kept, middle = max(1, round(width / acceleration)), round(check_real("center", center) * width)
    if middle > kept:
        raise UserError(
            "center", f"found {center:g}, {middle} columns", f"the mask has {kept}: at most {kept / width:g}"
        )
    order = np.argsort(np.abs(np.fft.fftfreq(width)), kind="stable")
    others = np.random.default_rng(seed).permutation(order[middle:])[: kept - middle]
    columns = np.sort(np.concatenate([order[:middle], others]))
    rows = np.fft.fft2(np.eye(height * width).reshape(-1, height, width), norm="ortho")[:, :, columns]
    flat = rows.reshape(height * width, -1).T
    _, size, right = np.linalg.svd(np.vstack([flat.real, flat.imag]), full_matrices=False)
    plane = right[: int((size > 1e-9 * size[0]).sum())]
    words = f"{kept} of {width} Fourier columns, noise of {sigma:.3g}"
    return Operator("masked-fourier", shape, _each_channel(plane, channels), sigma, words)


def superresolution(shape: Shape, sigma: float, factor: int = 2) -> Operator:
    """Means over blocks of factor x factor pixels.

    Args:
        shape: of x.
        sigma: noise of the small image.
        factor: 2 or more; divides height and width.

    Raises:
        UserError: an argument is out of range, or ``factor`` does not divide the patch.
    """
    height, width, channels = shape = _checked(shape)
    sigma, factor = check_real("sigma", sigma), check_int("factor", factor, 2)
    if height % factor or width % factor:
        raise UserError("factor", f"{factor} does not divide a patch of {height} x {width}", "choose sides it divides")
    tall, wide = (np.kron(np.eye(side // factor), np.full(factor, 1 / factor)) for side in (height, width))
    words = f"means of {factor} x {factor} pixels, noise of {sigma:.3g}"
    plane = np.asarray(np.kron(tall, wide), np.float64)
    return Operator("superresolution", shape, _each_channel(plane, channels), sigma, words)


OPERATORS: dict[str, Callable[..., Operator]] = {
    "denoising": denoising,
    "inpainting": inpainting,
    "compressed-sensing": compressed_sensing,
    "masked-fourier": masked_fourier,
    "superresolution": superresolution,
}
"""Measurements by name. A new one is a function of (shape, sigma, options) and an entry here."""


def operator_of(name: str, shape: Shape, sigma: float, **options: Any) -> Operator:
    """An operator by its name.

    Raises:
        UserError: there is no such operator, or an option is out of range.

    >>> operator_of("superresolution", (8, 8, 1), 0.0, factor=4).measurements
    4
    """
    if name not in OPERATORS:
        raise UserError("problem", f"found '{name}'", suggest(name, OPERATORS))
    return OPERATORS[name](shape, sigma, **options)


def _checked(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise UserError("shape", f"found {shape}", "height, width and channels are expected")
    height, width, channels = (
        check_int(name, side, 1) for name, side in zip(("height", "width", "channels"), shape, strict=True)
    )
    return height, width, channels


def _part(where: str, value: float) -> float:
    value = check_real(where, value, open_end=True)
    if value > 1:
        raise UserError(where, f"found {value:g}", "a part above 0 and at most 1 is expected")
    return value


def _each_channel(plane: Floats, channels: int) -> Floats:
    """The same rows for every channel of patches whose channels are last."""
    return np.asarray(np.kron(plane, np.eye(channels)), np.float64)


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one shape, and which image each was cut from.

    Attributes:
        values: (M, height * width * channels) in [0, 1], each patch row by row, channels last.
        image: (M,) whole numbers; patches with the same number share an image and are not independent.
        shape: (height, width, channels).

    Raises:
        UserError: there is no patch, the shape is none, lengths do not fit, or a value is not finite.
    """

    values: Floats
    image: NDArray[np.int64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, np.float64).view()  # read-only here, not for whom it belongs to
        image = np.array(self.image, np.int64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise UserError("patches", f"are of {self.shape}", "height, width and channels are expected")
        pixels = int(np.prod(self.shape))
        if values.ndim != 2 or not len(values) or values.shape[1] != pixels:
            raise UserError("patches", f"have the shape {values.shape}", f"expected (M, {pixels}), M at least 1")
        if image.shape != (len(values),):
            raise UserError("patches", f"come with {image.size} labels", f"{len(values)} are expected, one for each")
        if not np.isfinite(values).all():
            raise UserError("patches", "hold a value that is not finite", "numbers from 0 to 1 are expected")
        for name, array in (("values", values), ("image", image)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def images(self) -> int:
        """How many images the patches come from."""
        return len(np.unique(self.image))

    def only(self, keep: NDArray[np.bool_]) -> Patches:
        """The patches that are marked."""
        return Patches(self.values[keep], self.image[keep], self.shape)
