"""Shards: images packed into files of bounded size, shared by stores.

A shard is three files beside each other, named after the images that it holds: pixels (``.bin``), thumbnails
(``.thumbs.npy``), and an index (``.npz``) that is written last. Where the index is there and the others have the sizes
that it states, the shard is whole; nothing else counts. Their content never changes: an image that is added or changed
goes into a new shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.listing import KEY
from reconscale.files import write_atomic

FORMAT = 3
"""Version of the layout and of the conversions; another version is packed again."""

MOST_IMAGES = 8192
"""Images of a shard."""

MOST_BYTES = 1 << 30
"""Bytes of pixels of a shard, unless one image has more."""

DTYPES = ("uint8", "uint16", "float32")
"""Types of pixels, narrow ones first, by their number in ``Shard.sources``."""

_PIXELS, _THUMBS, _INDEX, _ASIDE = ".bin", ".thumbs.npy", ".npz", ".damaged"
_COLUMNS = ("keys", "starts", "sizes", "hashes", "sources")


@dataclass(frozen=True, eq=False)
class Shard:
    """The index of a shard.

    Attributes:
        name: of its files, without their endings.
        channels: 1 or 3.
        dtype: of the pixels.
        bytes: of the pixels, and of the file of thumbnails.
        thumbs: SHA-256 of the file of thumbnails.
        keys: (N, 16) uint8 what the images are recognised by.
        starts: (N,) int64 first value of every image, counted in values.
        sizes: (N, 2) int64 height and width.
        hashes: (N, 32) uint8 SHA-256 of shape, type and pixels.
        sources: (N, 2) uint8 channels and type of the image that was read: 1 or 3, and a number of ``DTYPES``.
    """

    name: str
    channels: int
    dtype: str
    bytes: tuple[int, int]
    thumbs: str
    keys: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    hashes: np.ndarray
    sources: np.ndarray


@dataclass(frozen=True)
class Packed:
    """One image, ready to be packed.

    Attributes:
        key: what it is recognised by, (16,) uint8.
        pixels: (H, W, C).
        digest: SHA-256 of shape, type and pixels.
        thumb: its thumbnail.
        source: channels and number of the type of the image that was read.
    """

    key: np.ndarray
    pixels: np.ndarray
    digest: bytes
    thumb: np.ndarray
    source: tuple[int, int]


def pixel_hash(image: np.ndarray) -> bytes:
    """SHA-256 of shape, type and pixels of a contiguous image."""
    digest = hashlib.sha256(f"{image.shape} {image.dtype} ".encode())
    digest.update(image.data)
    return digest.digest()


def shard_files(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """Pixels, thumbnails and index of a shard."""
    return folder / f"{name}{_PIXELS}", folder / f"{name}{_THUMBS}", folder / f"{name}{_INDEX}"


def write_shard(folder: Path, family: str, images: Iterable[Packed]) -> Shard | None:
    """Pack images into a shard. It gets its name when it is whole.

    Args:
        folder: where to.
        family: what the images have in common besides their keys; part of the name.
        images: alike in channels and type; where there is none, there is no shard.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
    columns: dict[str, list[np.ndarray]] = {column: [] for column in (*_COLUMNS, "thumbs")}
    kind, end = (0, ""), 0
    try:
        with os.fdopen(handle, "wb") as stream:
            for image in images:
                stream.write(image.pixels.data)
                kind = image.pixels.shape[2], image.pixels.dtype.name
                row = image.key, end, image.pixels.shape[:2], np.frombuffer(image.digest, np.uint8), image.source
                for column, value in zip(columns, (*row, image.thumb), strict=True):
                    columns[column].append(np.asarray(value))
                end += image.pixels.size
            stream.flush()
            os.fsync(stream.fileno())
        return _named(folder, family, Path(part), kind, columns) if end else None
    finally:
        Path(part).unlink(missing_ok=True)


def _named(folder: Path, family: str, part: Path, kind: tuple[int, str], columns: dict[str, list[np.ndarray]]) -> Shard:
    thumbs = io.BytesIO()
    np.save(thumbs, np.stack(columns["thumbs"]))
    types: dict[str, Any] = {"starts": np.int64, "sizes": np.int64}
    arrays: dict[str, Any] = {
        column: np.stack(columns[column]).astype(types.get(column, np.uint8)) for column in _COLUMNS
    }
    name = hashlib.sha256(f"{FORMAT} {family} {kind} ".encode() + arrays["keys"].tobytes()).hexdigest()[:24]
    digest = hashlib.sha256(thumbs.getbuffer()).hexdigest()
    shard = Shard(name, *kind, (part.stat().st_size, thumbs.getbuffer().nbytes), digest, **arrays)
    facts = {"format": FORMAT, "channels": kind[0], "dtype": kind[1], "bytes": shard.bytes, "thumbs": digest}
    index = io.BytesIO()
    np.savez(index, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    pixels, thumbnails, marker = shard_files(folder, name)
    marker.unlink(missing_ok=True)
    part.chmod(0o444)
    part.replace(pixels)
    write_atomic(thumbnails, thumbs.getvalue())
    write_atomic(marker, index.getvalue())
    return shard


def read_shard(folder: Path, name: str) -> Shard | None:
    """The index of a shard; none where the shard is not whole or of another format."""
    pixels, thumbs, marker = shard_files(folder, name)
    try:
        with np.load(marker, allow_pickle=False) as opened:  # checks a checksum of every array
            facts = json.loads(opened["facts"].tobytes())
            arrays = {column: opened[column] for column in _COLUMNS}
        shard = Shard(name, facts["channels"], facts["dtype"], tuple(facts["bytes"]), facts["thumbs"], **arrays)
        whole = (pixels.stat().st_size, thumbs.stat().st_size) == shard.bytes and facts["format"] == FORMAT
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error):
        return None
    return shard if whole else None


def damage_of(folder: Path, name: str) -> tuple[str, list[int]] | None:
    """Read a shard from end to end.

    Returns:
        What is wrong, and the numbers of the images whose pixels do not match their hash; none where all is well.
    """
    shard = read_shard(folder, name)
    if shard is None:
        missing = [path.name for path in shard_files(folder, name) if not path.exists()]
        return (f"{' and '.join(missing)} missing" if missing else "is cut short, or its index is damaged"), []
    pixels, thumbs, _ = shard_files(folder, name)
    values = np.memmap(pixels, dtype=shard.dtype, mode="r")
    wrong = []
    for place, (start, (height, width)) in enumerate(zip(shard.starts.tolist(), shard.sizes.tolist(), strict=True)):
        image = values[start : start + height * width * shard.channels].reshape(height, width, shard.channels)
        if pixel_hash(image) != shard.hashes[place].tobytes():
            wrong.append(place)
    if wrong:
        return f"{len(wrong)} of {len(shard.keys)} images do not match their checksums", wrong
    if hashlib.sha256(thumbs.read_bytes()).hexdigest() != shard.thumbs:
        return "its thumbnails do not match their checksum", []
    return None


def read_pool(folder: Path) -> list[Shard]:
    """All shards of a folder that are whole; what builders that died left is removed, damaged ones are set aside.

    Only for who holds the lock of the folder.
    """
    for left in folder.glob("*.part"):
        left.unlink(missing_ok=True)
    names = {path.name.split(".")[0] for path in folder.iterdir() if path.name.endswith((_PIXELS, _THUMBS, _INDEX))}
    shards = []
    for name in sorted(names):
        shard = read_shard(folder, name)
        if shard is None:
            set_aside(folder, name)
        else:
            shards.append(shard)
    return shards


def set_aside(folder: Path, name: str) -> None:
    """Take a shard out of use: its files keep their content under other names until it has been packed again."""
    for path in reversed(shard_files(folder, name)):
        if path.exists():
            path.replace(path.with_name(path.name + _ASIDE))


def clear_aside(folder: Path) -> None:
    """Delete what was set aside."""
    for path in folder.glob(f"*{_ASIDE}"):
        path.unlink(missing_ok=True)


def find(shards: Sequence[Shard], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shard and the place of images.

    Args:
        shards: to look in.
        keys: (N, 16) of the images.

    Returns:
        (N,) number of the shard, -1 where none has it, and (N,) number of the image in it.
    """
    known = dict(zip(_split(np.concatenate([shard.keys for shard in shards])), count())) if shards else {}
    at = np.fromiter((known.get(key, -1) for key in _split(keys)), np.int64, len(keys))
    ends = np.cumsum([len(shard.keys) for shard in shards], dtype=np.int64)
    number = np.where(at < 0, -1, np.searchsorted(ends, at, side="right"))
    place = at - np.concatenate([[0], ends])[number.clip(0)]
    return number, np.where(at < 0, -1, place)


def _split(keys: np.ndarray) -> list[bytes]:
    blob = keys.tobytes()
    return [blob[start : start + KEY] for start in range(0, len(blob), KEY)]
