"""Image sets: sources, packed stores, splits and subsets.

The public names are loaded when they are first used, so that what looks at images alone never waits for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.data.image_files import read_image, write_image
    from reconscale.data.image_set import ImageSet, open_images
    from reconscale.data.sources import lister_of
    from reconscale.data.split_listing import SplitListing, list_split
    from reconscale.data.subset import ImageSubset
    from reconscale.data.volumes.volume_set import Slices

_HOME = {
    **dict.fromkeys(("read_image", "write_image"), "image_files"),
    **dict.fromkeys(("ImageSet", "open_images"), "image_set"),
    "lister_of": "sources",
    **dict.fromkeys(("SplitListing", "list_split"), "split_listing"),
    "ImageSubset": "subset",
    "Slices": "volumes.volume_set",
}

__all__ = [
    "ImageSet",
    "ImageSubset",
    "Slices",
    "SplitListing",
    "list_split",
    "lister_of",
    "open_images",
    "read_image",
    "write_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale.data' has no attribute '{name}'")
    return getattr(import_module(f"reconscale.data.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
