"""Problems of small patches as matrices: what the linear explanation of a study is computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from reconscale.arrays import Shape
from reconscale.errors import UserError

PATCH = 8
"""Side of the patches, in pixels: 64 values, or 192 in colour, whose covariance a few photographs give."""
ROUNDING = 1 / 255 / 12**0.5
"""Standard deviation of the error of rounding to 8 bit: no measurement is taken to have less noise."""


def refuse_explanation(kind: str) -> NoReturn:
    """Say that a kind of problem has no linear explanation.

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
    units = torch.eye(pixels).reshape(pixels, height, width, channels).permute(0, 3, 1, 2).contiguous()
    return forward(units).reshape(pixels, -1).T.double().numpy()
