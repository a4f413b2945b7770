"""Build a packed store from a listing; only new images are read."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock

from reconscale.data.listing import Listing, Progress, no_progress
from reconscale.data.packing import (
    PixelFormat,
    SourceHeaders,
    batches,
    common_format,
    pack,
    read_headers,
    with_skip_hint,
)
from reconscale.data.shards import FORMAT, Shard, clear_aside, find, read_pool
from reconscale.data.store import FILES, Store
from reconscale.errors import UserError
from reconscale.files import json_digest, to_json, write_atomic
from reconscale.machine import cores


@dataclass(frozen=True, eq=False)
class StoreKey:
    """The names of a store and of its images.

    Attributes:
        key: name of the store, without the hash of its manifest.
        family: name of the folder of shards: images of the same place, converted alike.
        keys: (N, 16) what the images are recognised by.
    """

    key: str
    family: str
    keys: np.ndarray


def store_key(listing: Listing, channels: str, downscale: int) -> StoreKey:
    """The names that a listing and the options give."""
    keys = listing.keys()
    settings = [FORMAT, listing.identity, channels, downscale]
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode() + keys.tobytes()).hexdigest()[:24]
    family = json_digest([*settings, listing.place])[:24]
    return StoreKey(key, family, keys)


def find_store(root: Path, key: str) -> Store | None:
    """A store of that key that is whole."""
    stores = (Store(path) for path in sorted(root.glob(f"{key}-*")))
    return next((store for store in stores if store.is_whole()), None)


def open_store(
    listing: Listing,
    root: Path,
    *,
    channels: Literal["auto", "rgb", "gray"],
    downscale: int,
    unreadable: Literal["refuse", "skip"],
    progress: Progress | None = None,
) -> Store:
    """The store of a listing. What is missing is packed first: images that are new or changed, shards that were lost.

    Shards that are finished stay, whatever ends a build; the next one continues behind them. Two processes may ask at
    once: one builds, the other waits.

    Args:
        listing: the images.
        root: the folder of all stores.
        channels: as in ``Images``.
        downscale: area-downsampling factor.
        unreadable: what to do with images that cannot be read.
        progress: called while building.

    Raises:
        UserError: an image cannot be read, grey and RGB images are mixed, nothing is left, or the cache cannot be
            written.
    """
    wanted = store_key(listing, channels, downscale)
    store = find_store(root, wanted.key)
    if store is None:
        store = _build_locked(listing, root, wanted, (channels, downscale, unreadable), progress or no_progress)
    if unreadable == "refuse" and store.refusals:
        raise with_skip_hint(UserError(*store.refusals[0][1:]))
    return store


def _unwritable(root: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(root, "the disk is full", "free some space, or choose another cache with RECONSCALE_CACHE")
    reason = error.strerror or str(error)
    return UserError(root, f"the cache cannot be written ({reason})", "choose another one with RECONSCALE_CACHE")


def _build_locked(
    listing: Listing, root: Path, wanted: StoreKey, rule: tuple[str, int, str], progress: Progress
) -> Store:
    """Build the store, unless another process does so first."""
    folder = root / "shards" / wanted.family
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            store = find_store(root, wanted.key)
            return store if store is not None else _build(listing, root, wanted, rule, progress)
    except OSError as error:
        raise _unwritable(root, error) from error


def _build(listing: Listing, root: Path, wanted: StoreKey, rule: tuple[str, int, str], progress: Progress) -> Store:
    """Pack what is missing and write the index. The caller holds the lock of the family."""
    channels, downscale, unreadable = rule
    folder = root / "shards" / wanted.family
    shards = read_pool(folder)
    number, place = find(shards, wanted.keys)
    sources = _known(shards, number, place)
    skipped: dict[str, UserError] = {}
    with ThreadPoolExecutor(min(16, cores())) as pool:
        read_headers(listing, sources, pool, unreadable, skipped, progress)
        kind = common_format(listing, sources, channels, downscale)
        other = np.array([(shard.channels, shard.dtype) != (kind.channels, kind.dtype) for shard in shards], bool)
        if other.any():
            number[other[number.clip(0)] & (number >= 0)] = -1
        missing = np.flatnonzero((number < 0) & (sources.channels > 0))
        _check_space(root, sources, missing, kind)
        done, total = 0, len(missing)
        for portion in batches(sources, missing, kind):
            tell = _shifted(progress, done, total)
            how, outcome = (sources, kind, pool), (unreadable, skipped, tell)
            shard = pack(listing, wanted.keys, portion, how, outcome, (folder, wanted.family))
            done += len(portion)
            if shard is not None:
                shards.append(shard)
                packed, at = find([shard], wanted.keys[portion])
                number[portion], place[portion] = np.where(packed < 0, -1, len(shards) - 1), at
    store = _write_index(listing, root, wanted, kind, (shards, number, place), skipped)
    clear_aside(folder)
    return store


def _shifted(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress("packing images", before + done, total)


def _known(shards: list[Shard], number: np.ndarray, place: np.ndarray) -> SourceHeaders:
    """The headers of the images that are packed; those of the others are read later."""
    sources = SourceHeaders.unknown(len(number))
    for index, shard in enumerate(shards):
        rows = np.flatnonzero(number == index)
        sources.channels[rows], sources.dtypes[rows] = shard.sources[place[rows]].T
        sources.sizes[rows] = shard.sizes[place[rows]]
        sources.packed[rows] = True
    return sources


def _check_space(root: Path, sources: SourceHeaders, missing: np.ndarray, kind: PixelFormat) -> None:
    values = int(sources.packed_sizes(missing, kind.downscale).prod(1).sum()) * kind.channels
    needed, free = values * np.dtype(kind.dtype).itemsize + 3000 * len(missing), shutil.disk_usage(root).free
    if needed > free:
        raise UserError(
            root,
            f"the packed images need {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free",
            "free some space, choose another cache with RECONSCALE_CACHE, or raise images.downscale",
        )


def _write_index(
    listing: Listing,
    root: Path,
    wanted: StoreKey,
    kind: PixelFormat,
    held: tuple[list[Shard], np.ndarray, np.ndarray],
    skipped: dict[str, UserError],
) -> Store:
    """Write the index of all images that shards hold, in the order of their names."""
    shards, number, place = held
    rows = np.flatnonzero(number >= 0)
    if not len(rows):
        total = len(listing.names)
        raise UserError(listing.place, f"none of the {total} images can be read", "check images.folders and --data")
    used, columns = _columns(shards, number[rows], place[rows])
    columns["keys"] = wanted.keys[rows]
    unfinished = f"{wanted.key}.{wanted.family}."
    for left in root.glob(f"{unfinished}*.part"):  # of a builder that died: this process holds the lock
        shutil.rmtree(left)
    part = Path(tempfile.mkdtemp(dir=root, prefix=unfinished, suffix=".part"))
    try:
        names = listing.names if len(rows) == len(listing.names) else [listing.names[row] for row in rows.tolist()]
        (part / "names.txt").write_bytes("\0".join(names).encode())
        for column, values in columns.items():
            np.save(part / f"{column}.npy", values)
        facts = {
            "format": FORMAT,
            "family": wanted.family,
            "place": listing.place,
            "downscale": kind.downscale,
            "channels": kind.channels,
            "dtype": kind.dtype,
            "files": {name: hashlib.sha256((part / name).read_bytes()).hexdigest() for name in FILES},
            "shards": [{"name": shard.name, "bytes": shard.bytes} for shard in used],
            "skipped": [[name, m.where, m.found, m.remedy] for name, m in sorted(skipped.items())],
        }
        return _put(root, wanted.key, part, facts)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _columns(shards: list[Shard], number: np.ndarray, place: np.ndarray) -> tuple[list[Shard], dict[str, np.ndarray]]:
    """The shards that are used, by name, so that the same shards make the same store; and the index of the images.

    Args:
        shards: all of them.
        number: (N,) the shard of each image.
        place: (N,) the position of each image in its shard.
    """
    used = np.array(sorted(np.unique(number).tolist(), key=lambda shard: shards[shard].name))
    rank = np.zeros(len(shards), np.int64)
    rank[used] = np.arange(len(used))
    owner = rank[number]
    columns = {"starts": np.empty(len(owner), np.int64), "sizes": np.empty((len(owner), 2), np.int64)}
    columns["hashes"] = np.empty((len(owner), 32), np.uint8)
    for index, shard in enumerate(used.tolist()):
        mine = np.flatnonzero(owner == index)
        for column, values in columns.items():
            values[mine] = getattr(shards[shard], column)[place[mine]]
    columns |= {"shards": owner.astype(np.int32), "places": place.astype(np.int32)}
    return [shards[shard] for shard in used.tolist()], columns


def _put(root: Path, key: str, part: Path, facts: dict[str, Any]) -> Store:
    """Write the manifest and give the store its name; others of the same key that are not whole are removed."""
    manifest = to_json(facts)
    write_atomic(part / "manifest.json", manifest)
    for path in root.glob(f"{key}-*"):
        if not Store(path).is_whole():
            shutil.rmtree(path)
    path = root / f"{key}-{hashlib.sha256(manifest.encode()).hexdigest()[:8]}"
    if not path.exists():  # else its shards were packed again, and it is whole again
        part.chmod(0o755)
        part.rename(path)
    return Store(path)
