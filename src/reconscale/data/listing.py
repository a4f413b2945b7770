"""The listing of a source: its images, before any pixel is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
        unit: whether the unit of an image is its file (``file``), which is its own name or what the name says before
            the number of a page, or the name up to the last slash (``folder``).
        header: size, channels and depth of the image at an index; cheap. Raises a UserError for an unreadable one.
        load: pixels (H, W, C) of the image at an index: uint8, uint16, or float32 in [0, 1]. Raises a UserError, too.
        passed_over: files that lie there and are not read: ending -> how many, and the name of one.
        remarks: what a user should know about the files, one sentence each.
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
    passed_over: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def keys(self) -> np.ndarray:
        """(N, 16) uint8: a hash of name and stamp of every image."""
        stamps = self.stamps or repeat("")
        joined = b"".join(
            hashlib.blake2b(f"{name}\0{stamp}".encode(), digest_size=KEY).digest()
            for name, stamp in zip(self.names, stamps, strict=False)
        )
        return np.frombuffer(joined, np.uint8).reshape(-1, KEY)


_PAGE = re.compile(r"(.+\.tiff?|.+\.zarr(?:/.*)?)#[0-9]+", re.IGNORECASE)
"""An image that is a page of a file."""


def page_name(name: str, page: int) -> str:
    """The name of a page of a file; it is never that of a file that is taken for an image."""
    return f"{name}#{page:04d}"


def file_of(name: str) -> str:
    """The file that an image is a page of, else its own name.

    >>> file_of("cells/a.tif#0003"), file_of("cells/a.tif")
    ('cells/a.tif', 'cells/a.tif')
    """
    found = _PAGE.fullmatch(name) if "#" in name else None
    return found[1] if found else name


def in_words(passed_over: Mapping[str, tuple[int, str]], most: int = 6) -> str:
    """Files that are not read, by their endings, the most frequent first; empty where there is none.

    >>> in_words({".gif": (8, "a.gif"), "": (1, "notes")})
    'not read: 8 .gif (such as a.gif), 1 without an ending (notes)'
    """
    ordered = sorted(passed_over.items(), key=lambda item: (-item[1][0], item[0]))
    parts = [
        f"{count} {ending or 'without an ending'} ({'such as ' * (count > 1)}{name})"
        for ending, (count, name) in ordered[:most]
    ]
    if len(ordered) > most:
        parts.append(f"{sum(count for _, (count, _) in ordered[most:])} others")
    return f"not read: {', '.join(parts)}" if parts else ""


def unit_of(name: str, unit: Literal["file", "folder"]) -> str:
    """The unit that an image belongs to.

    >>> unit_of("patient1/slice3.png", "folder")
    'patient1'
    >>> unit_of("patient1/slice3.png", "file")
    'patient1/slice3.png'
    >>> unit_of("cells/stack.tif#0003", "file")
    'cells/stack.tif'
    """
    return file_of(name) if unit == "file" else name.rpartition("/")[0] or "."


def no_progress(label: str, done: int, total: int) -> None:
    """Report nothing."""
