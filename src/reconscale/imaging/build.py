"""From a listing to a packed store."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

import numpy as np
from filelock import FileLock

from reconscale.files import to_json, write_whole
from reconscale.imaging.convert import converted, thumbnail
from reconscale.imaging.decode import Header
from reconscale.imaging.listing import Listing
from reconscale.imaging.store import FILES, FORMAT, Store
from reconscale.mistakes import Mistake

Progress = Callable[[str, int, int], None]
"""Called with (label, done, total)."""

T = TypeVar("T")


def open_store(
    listing: Listing,
    root: Path,
    *,
    channels: Literal["auto", "rgb", "gray"],
    downscale: int,
    unreadable: Literal["refuse", "skip"],
    progress: Progress | None = None,
) -> Store:
    """The store of a listing; built first where it is missing, stale or damaged.

    Two processes may ask at once: one builds, the other waits.

    Args:
        listing: the images.
        root: the folder of all stores.
        channels: as in ``Images``.
        downscale: area-downsampling factor.
        unreadable: what to do with images that cannot be read.
        progress: called while building.

    Raises:
        Mistake: an image cannot be read, grey and RGB images are mixed, nothing is left, or the cache cannot be
            written.
    """
    asked = json.dumps([FORMAT, listing.identity, channels, downscale], sort_keys=True, separators=(",", ":"))
    store = Store(root / hashlib.sha256(asked.encode()).hexdigest()[:24])
    if not store.is_whole():
        try:
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{store.path}.lock"):
                if not store.is_whole():
                    _build(listing, store.path, channels, downscale, unreadable, progress or _silent)
        except OSError as error:
            raise _unwritable(root, error) from error
    if unreadable == "refuse" and store.refusals:
        raise _refused(Mistake(*store.refusals[0][1:]))
    return Store(store.path)


def _silent(label: str, done: int, total: int) -> None:
    pass


def _unwritable(root: Path, error: OSError) -> Mistake:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Mistake(root, "the disk is full", "free some space, or choose another cache with RECONSCALE_CACHE")
    reason = error.strerror or str(error)
    return Mistake(root, f"the cache cannot be written ({reason})", "choose another one with RECONSCALE_CACHE")


def _refused(mistake: Mistake) -> Mistake:
    return Mistake(mistake.where, mistake.found, f'{mistake.remedy}, or set images.unreadable = "skip"')


def _build(
    listing: Listing,
    path: Path,
    channels: str,
    downscale: int,
    unreadable: str,
    progress: Progress,
) -> None:
    for left in path.parent.glob(f"{path.name}.*.part"):  # of a builder that died: this process holds the lock
        shutil.rmtree(left)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        skipped: dict[str, Mistake] = {}
        headers = _headers(listing, pool, unreadable, skipped, progress)
        planes, dtype = _common(listing, headers, channels)
        _check_space(path.parent, headers, planes, dtype, downscale)
        part = Path(tempfile.mkdtemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part"))
        try:
            rows = _in_order(pool, lambda i: _prepared(listing, i, planes, dtype, downscale), list(headers))
            with (part / "pixels.bin").open("wb") as pixels:
                _pack(listing, rows, pixels, part, (unreadable, skipped, len(headers)), progress)
            sizes = {name: (part / name).stat().st_size for name in FILES}
            named = [[name, m.where, m.found, m.remedy] for name, m in sorted(skipped.items())]
            manifest = {"format": FORMAT, "channels": planes, "dtype": dtype, "bytes": sizes, "skipped": named}
            write_whole(part / "manifest.json", to_json(manifest | {"place": listing.place, "downscale": downscale}))
            if path.exists():  # not whole, or this would not be running
                shutil.rmtree(path)
            part.chmod(0o755)
            part.rename(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _headers(
    listing: Listing, pool: ThreadPoolExecutor, unreadable: str, skipped: dict[str, Mistake], progress: Progress
) -> dict[int, Header]:
    """The headers of all images that have a readable one, by index."""
    headers = {}
    total = len(listing.names)
    for index, header in _in_order(pool, listing.header, range(total)):
        if isinstance(header, Mistake):
            if unreadable == "refuse":
                raise _refused(header) from header
            skipped[listing.names[index]] = header
        else:
            headers[index] = header
        progress("checking images", index + 1, total)
    if not headers:
        raise Mistake(listing.place, f"none of the {total} images can be read", "check images.folders and --data")
    return headers


def _common(listing: Listing, headers: dict[int, Header], channels: str) -> tuple[int, str]:
    """The channels and the type that all images are stored with."""
    dtypes = {header.dtype for header in headers.values()}
    dtype = next(kind for kind in ("float32", "uint16", "uint8") if kind in dtypes)
    if channels != "auto":
        return (3 if channels == "rgb" else 1), dtype
    gray = [index for index, header in headers.items() if header.channels == 1]
    if gray and len(gray) < len(headers):
        colour = next(index for index, header in headers.items() if header.channels == 3)
        raise Mistake(
            listing.place,
            f"mixes {len(gray)} grey and {len(headers) - len(gray)} RGB images "
            f"('{listing.names[gray[0]]}' is grey, '{listing.names[colour]}' is RGB)",
            'set images.channels = "gray" or "rgb" to convert them, or separate them',
        )
    return (1 if gray else 3), dtype


def _check_space(root: Path, headers: dict[int, Header], planes: int, dtype: str, downscale: int) -> None:
    values = sum(max(1, h.height // downscale) * max(1, h.width // downscale) for h in headers.values()) * planes
    needed, free = values * np.dtype(dtype).itemsize + 3000 * len(headers), shutil.disk_usage(root).free
    if needed > free:
        raise Mistake(
            root,
            f"the packed images need {needed / 1e9:.2f} GB and {free / 1e9:.2f} GB are free",
            "free some space, choose another cache with RECONSCALE_CACHE, or raise images.downscale",
        )


Prepared = tuple[np.ndarray, bytes, np.ndarray]
"""Pixels, their hash, their thumbnail."""


def _prepared(listing: Listing, index: int, planes: int, dtype: str, downscale: int) -> Prepared:
    image = converted(listing.load(index), planes, dtype, downscale)
    digest = hashlib.sha256(f"{image.shape} {image.dtype} ".encode())
    digest.update(image.data)
    return image, digest.digest(), thumbnail(image)


def _pack(
    listing: Listing,
    rows: Iterator[tuple[int, Prepared | Mistake]],
    pixels: BinaryIO,
    part: Path,
    rule: tuple[str, dict[str, Mistake], int],
    progress: Progress,
) -> None:
    """Write everything but the manifest."""
    unreadable, skipped, total = rule
    names: list[str] = []
    offsets, sizes, hashes, thumbs = [0], [], [], []
    for done, (index, prepared) in enumerate(rows, 1):
        if isinstance(prepared, Mistake):
            if unreadable == "refuse":
                raise _refused(prepared) from prepared
            skipped[listing.names[index]] = prepared
        else:
            image, digest, thumb = prepared
            pixels.write(image.data)
            names.append(listing.names[index])
            offsets.append(offsets[-1] + image.size)
            sizes.append(image.shape[:2])
            hashes.append(np.frombuffer(digest, np.uint8))
            thumbs.append(thumb)
        progress("packing images", done, total)
    if not names:
        raise Mistake(listing.place, f"none of the {total} images can be read", "check images.folders and --data")
    np.save(part / "offsets.npy", np.array(offsets[:-1], np.int64))
    np.save(part / "sizes.npy", np.array(sizes, np.int64))
    np.save(part / "hashes.npy", np.array(hashes))
    np.save(part / "thumbs.npy", np.array(thumbs))
    (part / "names.json").write_text(json.dumps(names), encoding="utf-8")


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[int], T], indices: Iterable[int], ahead: int = 64
) -> Iterator[tuple[int, T | Mistake]]:
    """Results in the order of ``indices``, at most ``ahead`` of them waiting; Mistakes are handed on, not raised."""

    def attempt(index: int) -> T | Mistake:
        try:
            return work(index)
        except Mistake as mistake:
            return mistake

    waiting: deque[tuple[int, Future[T | Mistake]]] = deque()
    try:
        for index in indices:
            waiting.append((index, pool.submit(attempt, index)))
            if len(waiting) >= ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
