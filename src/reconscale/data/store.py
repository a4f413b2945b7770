"""The packed images of a listing: an index by name over memory-mapped shards.

A store is a directory whose name says what is in it. It is written under another name and renamed: a directory whose
manifest fits its files and whose shards have the sizes that it states is whole, and nothing else counts. What lies
under a name never changes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.shards import DTYPES, FORMAT, pixel_hash, read_shard, shard_files
from reconscale.errors import DamagedFileError

FILES = ("names.txt", "keys.npy", "shards.npy", "places.npy", "starts.npy", "sizes.npy", "hashes.npy")
"""The files of a store, besides ``manifest.json`` and its shards."""

SCALES = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""The value that stands for 1, by type."""


@dataclass(frozen=True)
class Store:
    """A packed store. Everything is read when first used; pickling passes on the path alone.

    The first time that an object reads an image, its pixels are checked against their hash.

    Attributes:
        path: its directory; its shards lie beside it, below ``shards``.
    """

    path: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self.path,))

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """Format, channels, dtype, hashes of files, shards, images left out."""
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
        """Images that could not be read: [name, and what a UserError says: where, found, remedy]."""
        return list(self.manifest["skipped"])

    @property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """Images that could not be read: (name, reason)."""
        return tuple((name, found) for name, _, found, _ in self.refusals)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the images, sorted; the rows of the store are in this order."""
        return tuple((self.path / "names.txt").read_text(encoding="utf-8").split("\0"))

    @cached_property
    def shards(self) -> np.ndarray:
        """(N,) shard of every image."""
        return self._array("shards.npy")

    @cached_property
    def places(self) -> np.ndarray:
        """(N,) number of every image in its shard."""
        return self._array("places.npy")

    @cached_property
    def starts(self) -> np.ndarray:
        """(N,) first value of every image in its shard, counted in values."""
        return self._array("starts.npy")

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N, 2) height and width."""
        return self._array("sizes.npy")

    @cached_property
    def hashes(self) -> np.ndarray:
        """(N, 32) SHA-256 of shape, type and pixels."""
        return self._array("hashes.npy")

    @cached_property
    def keys(self) -> np.ndarray:
        """(N, 16) what the files were recognised by: see ``Listing.keys``."""
        return self._array("keys.npy")

    @property
    def folder(self) -> Path:
        """The folder of its shards."""
        return self.path.parent / "shards" / str(self.manifest["family"])

    def thumbs(self, rows: np.ndarray) -> np.ndarray:
        """(n, 32, 32) area thumbnails of some images, grey, float16 in [0, 1]."""
        found = np.empty((len(rows), 32, 32), np.float16)
        owners, places = self.shards[rows], self.places[rows]
        for shard in np.unique(owners).tolist():
            _, path, _ = shard_files(self.folder, self.manifest["shards"][shard]["name"])
            held = owners == shard
            found[held] = np.load(path, mmap_mode="r", allow_pickle=False)[places[held]]
        return found

    def values(self, shard: int) -> np.ndarray:
        """All pixel values of a shard, memory-mapped read-only.

        Raises:
            DamagedFileError: it is missing, or was cut short.
        """
        opened = self._opened.get(shard)
        if opened is None:
            facts = self.manifest["shards"][shard]
            path, _, _ = shard_files(self.folder, facts["name"])
            size = path.stat().st_size if path.is_file() else None
            if size != facts["bytes"][0]:  # reading on would end the process with a bus error
                found = "is missing" if size is None else f"is cut short ({size} of {facts['bytes'][0]} bytes)"
                raise DamagedFileError(f"packed images, {path}", found, "run the command again: it is packed again")
            opened = np.asarray(np.memmap(path, dtype=self.dtype, mode="r"))
            if len(self._opened) >= _most_opened():
                self._opened.clear()
            self._opened[shard] = opened
        return opened

    def check(self, rows: np.ndarray) -> None:
        """Compare the pixels of images with their hashes, unless that has been done.

        Raises:
            DamagedFileError: they do not match, or their shard is missing or was cut short.
        """
        fresh = rows[~self._checked[rows]]
        for row in dict.fromkeys(fresh.tolist()):
            if pixel_hash(self._view(row)) != self.hashes[row].tobytes():
                path, _, _ = shard_files(self.folder, self.manifest["shards"][int(self.shards[row])]["name"])
                raise DamagedFileError(
                    f"image '{self.names[row]}' in {path}",
                    "does not match its checksum: the file was damaged after it was packed",
                    f"delete {path.name}: it is packed again on the next start",
                )
            self._checked[row] = True

    def image(self, row: int) -> np.ndarray:
        """(H, W, C) view of one image.

        Raises:
            DamagedFileError: as ``check``.
        """
        if not self._checked[row]:
            self.check(np.array([row]))
        return self._view(row)

    def unchecked(self, row: int) -> np.ndarray:
        """(H, W, C) view of one image that is not compared with its hash: for statistics alone."""
        return self._view(row)

    @cached_property
    def source_types(self) -> np.ndarray:
        """(N,) numbers of ``DTYPES``: the type of the file of every image, which may be narrower than what is stored.

        Of a shard whose index is lost: that of the store.
        """
        found = np.full(len(self), DTYPES.index(self.dtype), np.uint8)
        if self.dtype == DTYPES[0]:
            return found  # nothing is narrower
        for number, facts in enumerate(self.manifest["shards"]):
            shard, mine = read_shard(self.folder, facts["name"]), np.flatnonzero(self.shards == number)
            if shard is not None and len(mine):
                found[mine] = shard.sources[self.places[mine], 1]
        return found

    def files(self) -> tuple[Path, ...]:
        """Every file that the store needs, by absolute paths; their content never changes."""
        shards = [path for facts in self.manifest["shards"] for path in shard_files(self.folder, facts["name"])]
        return tuple(path.absolute() for path in (*(self.path / name for name in ("manifest.json", *FILES)), *shards))

    def is_whole(self) -> bool:
        """Whether the index is whole, and all shards are there with their sizes."""
        return self.has_index() and not self.lacking()

    def has_index(self) -> bool:
        """Whether the manifest is there, of this format, and fits the other files of the index."""
        try:
            manifest = json.loads((self.path / "manifest.json").read_text(encoding="utf-8"))
            hashes = {name: hashlib.sha256((self.path / name).read_bytes()).hexdigest() for name in FILES}
        except (OSError, ValueError):
            return False
        return isinstance(manifest, dict) and manifest.get("format") == FORMAT and manifest.get("files") == hashes

    def lacking(self) -> list[int]:
        """The shards that are missing or have another size than they should."""
        return [number for number, facts in enumerate(self.manifest["shards"]) if not self._fits(facts)]

    def _fits(self, facts: dict[str, Any]) -> bool:
        pixels, thumbs, marker = shard_files(self.folder, facts["name"])
        try:
            return [pixels.stat().st_size, thumbs.stat().st_size] == facts["bytes"] and marker.stat().st_size > 0
        except OSError:
            return False

    def _view(self, row: int) -> np.ndarray:
        (height, width), start, channels = self.sizes[row].tolist(), int(self.starts[row]), self.channels
        values = self.values(int(self.shards[row]))
        return values[start : start + height * width * channels].reshape(height, width, channels)

    @cached_property
    def _opened(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _checked(self) -> np.ndarray:
        return np.zeros(len(self), bool)

    def _array(self, name: str) -> np.ndarray:
        return np.asarray(np.load(self.path / name, mmap_mode="r", allow_pickle=False))


def _most_opened() -> int:
    """Half of the files that a process may open: every memory-mapped file counts."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 1024
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, min(soft if soft > 0 else 4096, 8192) // 2)
