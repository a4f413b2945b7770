"""Images packed once into one memory-mapped file, so that crops cost a slice each.

A store is a directory, named after everything that decides its pixels. It is built beside its final place and
renamed, the manifest written last: a directory with a manifest that fits its files is whole, and nothing else counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 2
"""Version of the layout and of the conversions; another version is another store."""

FILES = ("pixels.bin", "offsets.npy", "sizes.npy", "hashes.npy", "thumbs.npy", "names.json")
"""What a store consists of, besides ``manifest.json``."""

SCALES = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""The value that stands for 1, by type."""


@dataclass(frozen=True)
class Store:
    """A packed store. Everything is read when first used; pickling passes on the path alone.

    Attributes:
        path: its directory.
    """

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self.path,))

    def __len__(self) -> int:
        return len(self.offsets)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What was written last: format, channels, dtype, bytes of every file, images left out."""
        value: dict[str, Any] = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
        return value

    @property
    def channels(self) -> int:
        """1 or 3."""
        return int(self.manifest["channels"])

    @property
    def dtype(self) -> str:
        """``uint8``, ``uint16`` or ``float32``: the same for all images."""
        return str(self.manifest["dtype"])

    @property
    def refusals(self) -> list[list[str]]:
        """Images that could not be read: [name, and what a Mistake says: where, found, remedy]."""
        return list(self.manifest["skipped"])

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Images that could not be read: (name, reason)."""
        return tuple((name, found) for name, _, found, _ in self.refusals)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the images, sorted as they lie in the store."""
        return tuple(json.loads((self.path / "names.json").read_text(encoding="utf-8")))

    @cached_property
    def offsets(self) -> np.ndarray:
        """(N,) first value of every image, counted in values."""
        return self._array("offsets.npy")

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N, 2) height and width."""
        return self._array("sizes.npy")

    @cached_property
    def hashes(self) -> np.ndarray:
        """(N, 32) SHA-256 of shape, type and pixels."""
        return self._array("hashes.npy")

    @property
    def thumbs(self) -> np.ndarray:
        """(N, 32, 32) area thumbnails, grey, float16 in [0, 1]; memory-mapped."""
        array: np.ndarray = np.load(self.path / "thumbs.npy", mmap_mode="r", allow_pickle=False)
        return array

    @cached_property
    def values(self) -> np.ndarray:
        """All pixel values, memory-mapped read-only."""
        return np.asarray(np.memmap(self.path / "pixels.bin", dtype=self.dtype, mode="r"))

    def image(self, row: int) -> np.ndarray:
        """(H, W, C) view of one image."""
        (height, width), start, channels = self.sizes[row].tolist(), int(self.offsets[row]), self.channels
        return self.values[start : start + height * width * channels].reshape(height, width, channels)

    def is_whole(self) -> bool:
        """Whether the manifest is there, of this format, and fits the files."""
        try:
            manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
            sizes = {name: (self.path / name).stat().st_size for name in FILES}
        except (OSError, ValueError):
            return False
        return isinstance(manifest, dict) and manifest.get("format") == FORMAT and manifest.get("bytes") == sizes

    def _array(self, name: str) -> np.ndarray:
        array: np.ndarray = np.load(self.path / name, allow_pickle=False)
        return array
