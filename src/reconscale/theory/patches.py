"""Patches of images, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of one shape, and which image each was cut from.

    Attributes:
        values: (M, height * width * channels) in [0, 1], each patch row by row, channels last.
        image: (M,) whole numbers; patches with the same number share an image and are not independent.
        shape: (height, width, channels).

    Raises:
        Mistake: there is no patch, the shape is none, lengths do not fit, or a value is not finite.
    """

    values: Floats
    image: NDArray[np.int64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, np.float64).view()  # read-only here, not for whom it belongs to
        image = np.array(self.image, np.int64)
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise Mistake("patches", f"are of {self.shape}", "height, width and channels are expected")
        pixels = int(np.prod(self.shape))
        if values.ndim != 2 or not len(values) or values.shape[1] != pixels:
            raise Mistake("patches", f"have the shape {values.shape}", f"expected (M, {pixels}), M at least 1")
        if image.shape != (len(values),):
            raise Mistake("patches", f"come with {image.size} labels", f"{len(values)} are expected, one for each")
        if not np.isfinite(values).all():
            raise Mistake("patches", "hold a value that is not finite", "numbers from 0 to 1 are expected")
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
