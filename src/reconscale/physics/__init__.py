"""Inverse problems y = A x + z: measurement, baselines without learning, and how reconstructions are scored.

The public names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.physics.base import Batch, InverseProblem, KSpace, problem_of
    from reconscale.physics.denoising import Denoising
    from reconscale.physics.metrics import measure_image

_HOME = {
    **dict.fromkeys(("Batch", "InverseProblem", "KSpace", "problem_of"), "base"),
    "Denoising": "denoising",
    "measure_image": "metrics",
}

__all__ = ["Batch", "Denoising", "InverseProblem", "KSpace", "measure_image", "problem_of"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale.physics' has no attribute '{name}'")
    return getattr(import_module(f"reconscale.physics.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
