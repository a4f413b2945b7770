"""The listing of a source: its images, before any pixel is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np

from reconscale.data.image_files import Header

Progress = Callable[[str, int, int], None]
"""Called with (label, done, total)."""

KEY = 16
"""Bytes of the hash that an image is recognised by."""


@dataclass(frozen=True)
class Listing:
    """The images of a source, by name.

    Attributes:
        place: where they lie, for messages.
        identity: a JSON value: together with the stamps, everything that decides their pixels.
        names: unique names of the images: relative posix paths, sorted.
        unit: whether the unit of an image is its own name (``file``) or the name up to the last slash (``folder``).
        header: size, channels and depth of the image at an index; cheap. Raises a UserError for an unreadable one.
        load: pixels (H, W, C) of the image at an index: uint8, uint16, or float32 in [0, 1]. Raises a UserError, too.
        stamps: for every image what changes when it does, such as size and time of change of its file; an
            image with the same name and stamp is not read again. Empty: ``identity`` says everything.
    """

    place: str
    identity: object
    names: tuple[str, ...]
    unit: Literal["file", "folder"]
    header: Callable[[int], Header]
    load: Callable[[int], np.ndarray]
    stamps: Sequence[str] = ()

    def keys(self) -> np.ndarray:
        """(N, 16) uint8: a hash of name and stamp of every image."""
        stamps = self.stamps or repeat("")
        joined = b"".join(
            hashlib.blake2b(f"{name}\0{stamp}".encode(), digest_size=KEY).digest()
            for name, stamp in zip(self.names, stamps, strict=False)
        )
        return np.frombuffer(joined, np.uint8).reshape(-1, KEY)


def unit_of(name: str, unit: Literal["file", "folder"]) -> str:
    """The unit that an image belongs to.

    >>> unit_of("patient1/slice3.png", "folder")
    'patient1'
    >>> unit_of("patient1/slice3.png", "file")
    'patient1/slice3.png'
    """
    return name if unit == "file" else name.rpartition("/")[0] or "."


def no_progress(label: str, done: int, total: int) -> None:
    """Report nothing."""
