"""Reconstructions without learning, as a problem offers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Anchor:
    """A reconstruction that needs no training: where curves begin, at n = 0.

    Attributes:
        label: what it is called in figures.
        reconstruct: maps what was measured to (B, C, h, w).
    """

    label: str
    reconstruct: Callable[[Any], Tensor]
