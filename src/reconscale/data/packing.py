"""Read images in parallel and pack them into shards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from reconscale.data.listing import Listing, Progress
from reconscale.data.shards import DTYPES, MOST_BYTES, MOST_IMAGES, Packed, Shard, pixel_hash, write_shard
from reconscale.data.store import SCALES
from reconscale.errors import UserError

THUMB = 32
"""Side of the thumbnails that duplicates are found by."""


def to_store_format(image: np.ndarray, channels: int, dtype: str, downscale: int) -> np.ndarray:
    """One image as it is stored.

    RGB becomes grey by the BT.601 luma in full range (as Pillow's ``L``), grey becomes RGB by repetition; then the
    area is averaged and rounded; then the type is widened, exactly where both are integers: 8-bit values times 257.

    Args:
        image: (H, W, C) of uint8, uint16 or float32.
        channels: 1 or 3.
        dtype: the stored type, at least as wide.
        downscale: the area-downsampling factor; rows and columns that do not fill a block are cut off at the end.

    Returns:
        (H // downscale, W // downscale, channels) of ``dtype``, contiguous; at least 1 x 1.
    """
    if image.shape[2] == 3 and channels == 1:
        image = gray(image)
    if downscale > 1:
        image = area_averaged(image, downscale)
    if image.dtype != np.dtype(dtype):
        image = image.astype(np.uint16) * 257 if dtype == "uint16" else image / np.float32(SCALES[image.dtype.name])
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], channels)), dtype=dtype)


def gray(image: np.ndarray) -> np.ndarray:
    """BT.601 luma, full range: (H, W, 3) to (H, W, 1), same type; integers are rounded as Pillow rounds."""
    if image.dtype.kind == "f":
        luma = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
        return np.asarray(luma[..., None].clip(0, 1), np.float32)
    wide = image.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return np.asarray((wide + 32768) >> 16, image.dtype)[..., None]


def area_averaged(image: np.ndarray, factor: int) -> np.ndarray:
    """Mean over blocks of factor x factor pixels (smaller images: over what there is), rounded for integers."""
    height, width, channels = image.shape
    tall, wide = min(factor, height), min(factor, width)
    rows, columns = height // tall, width // wide
    blocks = image[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide, channels)
    mean = blocks.mean((1, 3), dtype=np.float64)
    return np.asarray(np.rint(mean) if image.dtype.kind == "u" else mean, image.dtype)


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Grey area thumbnail: (32, 32) float16 in [0, 1]."""
    import cv2

    flat = (gray(image) if image.shape[2] == 3 else image)[..., 0].astype(np.float32) / SCALES[image.dtype.name]
    return np.asarray(cv2.resize(flat, (THUMB, THUMB), interpolation=cv2.INTER_AREA), np.float16)


T = TypeVar("T")

_AT_ONCE = 1 << 22
"""Bytes of pixels that a thread reads before it returns them, unless one image has more."""


@dataclass(frozen=True)
class PixelFormat:
    """The format of the images of a store.

    Attributes:
        channels: 1 or 3.
        dtype: ``uint8``, ``uint16`` or ``float32``.
        downscale: the area-downsampling factor.
    """

    channels: int
    dtype: str
    downscale: int


@dataclass(frozen=True, eq=False)
class SourceHeaders:
    """The headers of images, before they are decoded.

    Attributes:
        channels: (N,) 1 or 3; 0: not known, or unreadable.
        dtypes: (N,) numbers of ``DTYPES``.
        sizes: (N, 2) height and width, as stored where ``packed``, else as read.
        packed: (N,) whether a shard holds the image.
    """

    channels: np.ndarray
    dtypes: np.ndarray
    sizes: np.ndarray
    packed: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> SourceHeaders:
        """``count`` images whose headers have not been read."""
        kinds = np.zeros(count, np.uint8), np.zeros(count, np.uint8)
        return cls(*kinds, np.zeros((count, 2), np.int64), np.zeros(count, bool))

    def packed_sizes(self, rows: np.ndarray, downscale: int) -> np.ndarray:
        """(n, 2) height and width after downscaling."""
        smaller = (self.sizes[rows] // downscale).clip(1)
        return np.asarray(np.where(self.packed[rows, None], self.sizes[rows], smaller))


def with_skip_hint(mistake: UserError) -> UserError:
    """The error, with the option that skips such images as remedy."""
    return UserError(mistake.where, mistake.found, f'{mistake.remedy}, or set images.unreadable = "skip"')


def read_headers(
    listing: Listing,
    sources: SourceHeaders,
    pool: ThreadPoolExecutor,
    unreadable: str,
    skipped: dict[str, UserError],
    progress: Progress,
) -> None:
    """Fill in what is not known.

    Raises:
        UserError: an image cannot be read and that is refused, or none can be read.
    """
    left = np.flatnonzero(~sources.packed).tolist()
    often = max(1, len(left) // 1000)
    for done, (index, header) in enumerate(_in_order(pool, listing.header, left, 64), 1):
        if isinstance(header, UserError):
            if unreadable == "refuse":
                raise with_skip_hint(header) from header
            skipped[listing.names[index]] = header
        else:
            sources.channels[index] = header.channels
            sources.dtypes[index] = DTYPES.index(header.dtype)
            sources.sizes[index] = header.height, header.width
        if done % often == 0 or done == len(left):
            progress("checking images", done, len(left))
    if not sources.channels.any():
        found = f"none of the {len(listing.names)} images can be read"
        raise UserError(listing.place, found, "check images.folders and --data")


def common_format(listing: Listing, sources: SourceHeaders, channels: str, downscale: int) -> PixelFormat:
    """The channels and the type that all images are stored with.

    Raises:
        UserError: grey and RGB images are mixed, and the study does not convert them.
    """
    readable = sources.channels > 0
    dtype = DTYPES[int(sources.dtypes[readable].max())]  # the widest
    if channels != "auto":
        return PixelFormat(3 if channels == "rgb" else 1, dtype, downscale)
    gray, colour = np.flatnonzero(sources.channels == 1), np.flatnonzero(sources.channels == 3)
    if len(gray) and len(colour):
        raise UserError(
            listing.place,
            f"mixes {len(gray)} grey and {len(colour)} RGB images "
            f"('{listing.names[gray[0]]}' is grey, '{listing.names[colour[0]]}' is RGB)",
            'set images.channels = "gray" or "rgb" to convert them, or separate them',
        )
    return PixelFormat(1 if len(gray) else 3, dtype, downscale)


def batches(sources: SourceHeaders, missing: np.ndarray, kind: PixelFormat) -> Iterator[np.ndarray]:
    """Images, in their order, in portions that fit a shard."""
    sizes = sources.packed_sizes(missing, kind.downscale).prod(1) * kind.channels * np.dtype(kind.dtype).itemsize
    ends = np.cumsum(sizes)
    start = 0
    while start < len(missing):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + MOST_BYTES, side="right"))
        stop = min(max(stop, start + 1), start + MOST_IMAGES)
        yield missing[start:stop]
        start = stop


def pack(
    listing: Listing,
    keys: np.ndarray,
    portion: np.ndarray,
    how: tuple[SourceHeaders, PixelFormat, ThreadPoolExecutor],
    rule: tuple[str, dict[str, UserError], Callable[[int], None]],
    place: tuple[Path, str],
) -> Shard | None:
    """Read images and pack them into one shard.

    Args:
        listing: the images.
        keys: (N, 16) what they are recognised by.
        portion: which of them.
        how: what is known about them, how they are stored, and the threads that read them.
        rule: whether unreadable ones are refused or skipped, the skipped ones, and a callback for how many are done.
        place: the folder, and the family.

    Returns:
        The shard; none where no image could be read.

    Raises:
        UserError: an image cannot be read, and that is refused.
        OSError: the shard cannot be written.
    """
    sources, kind, pool = how
    unreadable, skipped, tell = rule
    largest = int(sources.packed_sizes(portion, kind.downscale).prod(1).max()) * kind.channels * 4
    together, often = max(1, min(64, len(portion) // 32, _AT_ONCE // largest)), max(1, len(portion) // 200)
    load = partial(_load, listing, keys, sources, kind)

    def rows() -> Iterator[Packed]:
        for done, (index, row) in enumerate(_in_order(pool, load, portion.tolist(), together), 1):
            if not isinstance(row, UserError):
                yield row
            elif unreadable == "refuse":
                raise with_skip_hint(row) from row
            else:
                skipped[listing.names[index]] = row
            if done % often == 0 or done == len(portion):
                tell(done)

    return write_shard(*place, rows())


def _load(listing: Listing, keys: np.ndarray, sources: SourceHeaders, kind: PixelFormat, index: int) -> Packed:
    """Read one image, in the format of the store."""
    image = to_store_format(listing.load(index), kind.channels, kind.dtype, kind.downscale)
    source = int(sources.channels[index]), int(sources.dtypes[index])
    return Packed(keys[index], image, pixel_hash(image), thumbnail(image), source)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[int], T], indices: Sequence[int], together: int
) -> Iterator[tuple[int, T | UserError]]:
    """Results in the order of ``indices``; a UserError is returned, not raised.

    A thread works on ``together`` of them at a time, and at most four times as many portions as threads wait.
    """

    def attempt(some: Sequence[int]) -> list[tuple[int, T | UserError]]:
        found: list[tuple[int, T | UserError]] = []
        for index in some:
            try:
                found.append((index, work(index)))
            except UserError as mistake:
                found.append((index, mistake))
        return found

    waiting: deque[Future[list[tuple[int, T | UserError]]]] = deque()
    try:
        for start in range(0, len(indices), together):
            waiting.append(pool.submit(attempt, indices[start : start + together]))
            if len(waiting) >= 4 * pool._max_workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
