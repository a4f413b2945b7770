"""Images and how they are measured: image sets, problems, metric profiles.

The public names are loaded when they are first used, so that what looks at images alone never waits for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.imaging.decode import read_image, write_image
    from reconscale.imaging.denoising import Denoising
    from reconscale.imaging.example import Example, KSpace
    from reconscale.imaging.images import ImageSet, open_images
    from reconscale.imaging.metrics import METRICS, measure_image
    from reconscale.imaging.pixels import Pixels
    from reconscale.imaging.problems import PROBLEMS, Measures, problem_of
    from reconscale.imaging.sources import SOURCES, source_of
    from reconscale.imaging.volumes.slices import Slices

_HOME = {
    **dict.fromkeys(("read_image", "write_image"), "decode"),
    **dict.fromkeys(("ImageSet", "open_images"), "images"),
    **dict.fromkeys(("METRICS", "measure_image"), "metrics"),
    "Pixels": "pixels",
    **dict.fromkeys(("Example", "KSpace"), "example"),
    **dict.fromkeys(("PROBLEMS", "Measures", "problem_of"), "problems"),
    "Denoising": "denoising",
    "Slices": "volumes.slices",
    **dict.fromkeys(("SOURCES", "source_of"), "sources"),
}

__all__ = [
    "METRICS",
    "PROBLEMS",
    "SOURCES",
    "Denoising",
    "Example",
    "ImageSet",
    "KSpace",
    "Measures",
    "Pixels",
    "Slices",
    "measure_image",
    "open_images",
    "problem_of",
    "read_image",
    "source_of",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale.imaging' has no attribute '{name}'")
    return getattr(import_module(f"reconscale.imaging.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
