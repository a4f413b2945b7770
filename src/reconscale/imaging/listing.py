"""What a source offers before a pixel is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reconscale.imaging.decode import Header


@dataclass(frozen=True)
class Listing:
    """The images of a source, by name.

    Attributes:
        place: where they lie, for messages.
        identity: a JSON value of everything that decides their pixels; the store is named after it.
        names: unique names of the images: relative posix paths, sorted.
        unit: whether the unit of an image is its own name (``file``) or the name up to the last slash (``folder``).
        header: size, channels and depth of the image at an index; cheap; raises a Mistake for an unreadable one.
        load: pixels (H, W, C) of the image at an index: uint8, uint16, or float32 in [0, 1]; raises a Mistake likewise.
    """

    place: str
    identity: object
    names: tuple[str, ...]
    unit: Literal["file", "folder"]
    header: Callable[[int], Header]
    load: Callable[[int], np.ndarray]


def unit_of(name: str, unit: Literal["file", "folder"]) -> str:
    """The unit that an image belongs to.

    >>> unit_of("patient1/slice3.png", "folder")
    'patient1'
    >>> unit_of("patient1/slice3.png", "file")
    'patient1/slice3.png'
    """
    return name if unit == "file" else name.rpartition("/")[0] or "."
