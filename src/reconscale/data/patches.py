"""Square patches at random positions, for the theory. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from reconscale.data.array_files import ARRAYS, list_arrays
from reconscale.data.folders import image_files, with_pages
from reconscale.data.image_files import KINDS, Header, read_header, read_image
from reconscale.data.listing import Progress, no_progress
from reconscale.data.packing import to_store_format
from reconscale.data.store import SCALES
from reconscale.data.subset import ImageSubset, centre_crop
from reconscale.errors import UserError, check_int
from reconscale.study import Images
from reconscale.theory.operators import Patches

Channels = Literal["auto", "rgb", "gray"]

MOST = 50_000
"""Patches that are cut at most, in all."""
MOST_IMAGES = 2_000
"""Images that are opened at most; a random choice of them where there are more."""
LEAST_SIDE, LARGEST_SIDE = 2, 32
"""Sides of patches, in pixels: a patch of one pixel has no structure, a larger one too large a covariance."""

_PLACES = 2  # purpose of a random stream, beside those of images.py


@dataclass(frozen=True, eq=False)
class Cut:
    """Patches, and what they were cut from.

    Attributes:
        patches: the patches, values from 0 to 1.
        used: images that they were cut from.
        available: images that there are.
        each: places of a patch in an average image (or unit), overlapping: all that a sliding window learns from.
    """

    patches: Patches
    used: int
    available: int
    each: int


def patches_at(
    place: Path, side: int, *, channels: Channels = "auto", most: int = MOST, seed: int = 0,
    progress: Progress | None = None,
) -> Cut:  # fmt: skip
    """Patches of all images below a folder, or of the images of a ``.npy`` or ``.npz`` array.

    Every image gives the same number of patches (less where it has not as many places), at places that depend on the
    seed and on the image's rank in the sorted list of names alone.

    Args:
        place: the folder, or the array file.
        side: of a patch, in pixels, 2 to 32.
        channels: ``gray`` and ``rgb`` convert; ``auto`` takes images as they are and refuses mixtures.
        most: patches at most, in all.
        seed: of the places, and of the choice of images where there are more than ``MOST_IMAGES``.
        progress: called with (label, images done, images).

    Raises:
        UserError: there is no image, an image cannot be read or is smaller than a patch, grey and RGB are mixed, or
            ``side`` is out of range.
    """
    side = check_int("--patch", side, LEAST_SIDE, LARGEST_SIDE)
    names, header, load = _images_at(place)
    chosen = _chosen(len(names), min(most, MOST_IMAGES), seed)
    tell = progress or no_progress
    planes = _planes(place, names, _headers(chosen, header, tell), channels, side)

    def images() -> Iterator[tuple[int, np.ndarray]]:
        for done, index in enumerate(chosen, 1):
            image = load(index)
            yield index, to_store_format(image, planes, image.dtype.name, 1)
            tell("cutting patches", done, len(chosen))

    cut, places = _cut(images(), len(chosen), side, most, seed)
    return Cut(cut, len(chosen), len(names), max(1, round(places / len(chosen))))


def patches_of(
    pixels: ImageSubset, side: int, *, crop: int | None = None, units: bool = True, most: int = MOST, seed: int = 0,
    progress: Progress | None = None,
) -> Cut:  # fmt: skip
    """Patches of the images of a study, as ``patches_at`` cuts them.

    Args:
        pixels: the images.
        side: of a patch, in pixels, 2 to 32.
        crop: only the centre of every image, of this many pixels a side at most; none: the whole image.
        units: whether what patches share is a unit of the study (all slices of a volume) or a single image.
        most: patches at most, in all.
        seed: of the places, and of the choice of images where there are more than ``MOST_IMAGES``.
        progress: called with (label, images done, images).

    Raises:
        UserError: an image is smaller than a patch, or ``side`` is out of range.
    """
    side = check_int("--patch", side, LEAST_SIDE, LARGEST_SIDE)
    chosen = _chosen(len(pixels), min(most, MOST_IMAGES), seed)
    owners = list(dict.fromkeys(pixels.units))
    rank = {unit: index for index, unit in enumerate(owners)}
    owner = [rank[unit] for unit in pixels.units] if units else list(range(len(pixels)))
    tell = progress or no_progress

    def images() -> Iterator[tuple[int, np.ndarray]]:
        for done, index in enumerate(chosen, 1):
            image = centre_crop(pixels.image(index), crop)
            if min(image.shape[:2]) < side:
                raise _small(pixels.names[index], image.shape[0], image.shape[1], side)
            yield index, image
            tell("cutting patches", done, len(chosen))

    cut, places = _cut(images(), len(chosen), side, most, seed)
    sharing = np.array(owner)[cut.image]
    used, available = len(set(sharing.tolist())), len(owners) if units else len(pixels)
    return Cut(Patches(cut.values, sharing, cut.shape), used, available, max(1, round(places / used)))


def _cut(images: Iterator[tuple[int, np.ndarray]], count: int, side: int, most: int, seed: int) -> tuple[Patches, int]:
    """``most // count`` patches of every image (H, W, C) as it is stored, one at least; how many there are."""
    each = max(1, most // count)
    values, owners, places = [], [], 0
    for index, image in images:
        rows, columns = image.shape[0] - side + 1, image.shape[1] - side + 1
        places += rows * columns
        top, left = np.divmod(_places(each, rows * columns, seed, index), columns)
        windows = sliding_window_view(image, (side, side), axis=(0, 1))[top, left]  # (each, C, side, side)
        values.append(np.moveaxis(windows, 1, 3).reshape(len(top), -1) / np.float64(SCALES[image.dtype.name]))
        owners.append(np.full(len(top), index))
    return Patches(np.concatenate(values), np.concatenate(owners), (side, side, image.shape[2])), places


def _places(count: int, places: int, seed: int, index: int) -> np.ndarray:
    """``count`` distinct numbers below ``places`` (all of them where there are not as many), by raw draws of PCG64."""
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_PLACES, index)))
    if places <= 4 * count:
        return np.argsort(bits.random_raw(places), kind="stable")[:count]
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn |= dict.fromkeys((bits.random_raw(2 * count) % places).tolist())
    return np.array(list(drawn)[:count])


def _chosen(count: int, most: int, seed: int) -> list[int]:
    """All indices where there are few enough, else a random choice of ``most``, sorted."""
    if count <= most:
        return list(range(count))
    draws = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_PLACES,))).random_raw(count)
    return sorted(np.argsort(draws, kind="stable")[:most].tolist())


Readers = tuple[Sequence[str], Callable[[int], Header], Callable[[int], np.ndarray]]
"""Names, and header and pixels by index."""


def _images_at(place: Path) -> Readers:
    if place.is_file() and place.name.lower().endswith(ARRAYS):
        options = Images(source="array", folders=(place.name,), val=1, test=1)
        listing = list_arrays(options, place.parent, "the array")
        return listing.names, listing.header, listing.load
    if not place.is_dir():
        found = "is a file" if place.exists() else "is not there"
        raise UserError(place, found, "give a folder of images, an array (.npy, .npz), or a study")
    files = image_files(place)
    if not files:
        raise UserError(place, f"holds no {KINDS}", "give a folder of images, an array, or a study")
    names, pages = with_pages([path.relative_to(place).as_posix() for path in files], files)
    at = [(place / name, page) for name, page in pages]
    return names, lambda index: read_header(*at[index]), lambda index: read_image(*at[index])


def _headers(chosen: list[int], header: Callable[[int], Header], tell: Progress) -> dict[int, Header]:
    headers = {}
    for done, index in enumerate(chosen, 1):
        headers[index] = header(index)
        tell("checking images", done, len(chosen))
    return headers


def _planes(place: Path, names: Sequence[str], headers: dict[int, Header], channels: Channels, side: int) -> int:
    """1 or 3 channels for all images.

    Raises:
        UserError: an image is smaller than a patch, or grey and RGB are mixed.
    """
    for index, header in headers.items():
        if min(header.height, header.width) < side:
            raise _small(names[index], header.height, header.width, side)
    if channels != "auto":
        return 3 if channels == "rgb" else 1
    gray = [names[index] for index, header in headers.items() if header.channels == 1]
    colour = [names[index] for index, header in headers.items() if header.channels == 3]
    if gray and colour:
        found = f"mixes grey and RGB images ('{gray[0]}' is grey, '{colour[0]}' is RGB)"
        raise UserError(place, found, "say --channels gray or --channels rgb to convert them, or separate them")
    return 1 if gray else 3


def _small(name: str, height: int, width: int, side: int) -> UserError:
    found = f"is {width} x {height} pixels, and patches are {side} x {side}"
    return UserError(name, found, "lower --patch, or remove the image")
