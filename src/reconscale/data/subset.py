"""An ordered subset of a store, which training and evaluation read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reconscale.data.listing import file_of, unit_of
from reconscale.data.own_split import Known, split_as_given
from reconscale.data.store import SCALES, Store
from reconscale.errors import UserError
from reconscale.study import Images
from reconscale.study.subsets import SPLIT, permutation

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class ImageSubset:
    """Images in an order. Pickles as a path and row numbers; the pixels stay on the disk until they are read.

    Attributes:
        store: where the pixels are.
        rows: (N,) int64 rows of the store.
        unit: whether the unit of an image is its file (``file``) or the name up to the last slash (``folder``).
    """

    store: Store
    rows: np.ndarray = field(repr=False)
    unit: Literal["file", "folder"]

    def __reduce__(self) -> tuple[Any, ...]:
        return (ImageSubset, (self.store, self.rows, self.unit))

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the images: relative posix paths."""
        return tuple(map(self.store.names.__getitem__, self.rows.tolist()))

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of every image."""
        return self.names if self._alone else tuple(unit_of(name, self.unit) for name in self.names)

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) numbers that are equal where units are: cheap for a million images."""
        if self._alone:
            return self.rows
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(unit, len(numbers)) for unit in self.units], np.int64)

    @cached_property
    def _alone(self) -> bool:
        """Whether every image is a unit of its own: a file that is no stack of pages."""
        return self.unit == "file" and not any("#" in name and file_of(name) != name for name in self.names)

    @property
    def stores(self) -> tuple[tuple[Store, np.ndarray], ...]:
        """Every store that the images are in, with their rows there."""
        return ((self.store, self.rows),)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.store.channels

    @property
    def dtype(self) -> str:
        """``uint8``, ``uint16`` or ``float32``."""
        return self.store.dtype

    @property
    def scale(self) -> float:
        """The value that stands for 1: 255 (uint8), 65535 (uint16) or 1 (float32)."""
        return SCALES[self.dtype]

    @property
    def sizes(self) -> np.ndarray:
        """(N, 2) height and width of every image."""
        return np.asarray(self.store.sizes[self.rows])

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of shape, type and pixels of every image, in hexadecimal."""
        joined = self.store.hashes[self.rows].tobytes().hex()
        return [joined[start : start + 64] for start in range(0, len(joined), 64)]

    def pick(self, positions: np.ndarray) -> ImageSubset:
        """The images at some positions, in that order."""
        return ImageSubset(self.store, self.rows[positions], self.unit)

    def area(self, i: int, crop: int | None = None) -> int:
        """Pixels of an image, or of its centre crop."""
        rows, columns = (int(side) for side in self.sizes[i])
        return rows * columns if crop is None else min(rows, crop) * min(columns, crop)

    @property
    def area_in_all(self) -> int:
        """Pixels of all images."""
        return int(self.sizes.prod(1).sum())

    def described(self) -> dict[str, Any]:
        """Counts and sizes; JSON values only."""
        sizes = self.sizes
        spread = [
            [int(sizes[:, side].min()), float(np.median(sizes[:, side])), int(sizes[:, side].max())] for side in (0, 1)
        ]
        return {
            "images": len(self),
            "units": len(np.unique(self.groups)),
            "megapixels": round(float(sizes.prod(1).sum()) / 1e6, 3),
            "height (least, median, most)": spread[0],
            "width (least, median, most)": spread[1],
        }

    def image(self, i: int) -> np.ndarray:
        """One image as it is stored.

        Returns:
            (H, W, C) read-only view of uint8, uint16 or float32.

        Raises:
            UserError: its pixels do not match their hash, or their file is missing or was cut short.
        """
        return self.store.image(int(self.rows[i]))

    def tensor(self, i: int, crop: int | None = None) -> Tensor:
        """One image for evaluation.

        Args:
            i: which.
            crop: centre-crop to this many pixels a side at most; none: the whole image.

        Returns:
            (1, C, H, W) float32 in [0, 1].
        """
        import torch

        image = centre_crop(self.image(i), crop)
        values = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32, order="C"))
        return values.div_(self.scale)

    def crops(
        self,
        indices: Sequence[int],
        patch: int,
        *,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Tensor:
        """Square crops, one an index, as they are stored.

        Args:
            indices: which images; repetitions are fine.
            patch: side of the crops, in pixels.
            generator: a CPU generator that the positions are drawn from (two numbers a crop, whatever its image's
                size); none: centre crops, placed as torchvision does.
            turns: a CPU generator that one of the eight symmetries of the square is drawn from for each crop; none:
                crops are left as they are.

        Returns:
            (B, C, patch, patch), contiguous: uint8, int32 (from uint16) or float32; for ``to_unit``.

        Raises:
            UserError: an image is smaller than ``patch``, does not match its hash, or its file is missing or cut short.
        """
        store, batch = self.store, self.empty_crops(len(indices), patch)
        filled = batch.numpy()
        rows = self.rows[np.asarray(indices, dtype=np.int64)]
        corners = corners_of(store, rows, patch, generator)
        store.check(rows)
        fill_crops(filled, store, rows, corners)
        if turns is not None:
            turn_crops(filled, draw_turns(len(filled), turns))
        return batch

    def empty_crops(self, count: int, patch: int) -> Tensor:
        """(count, C, patch, patch) of the type that crops have; not filled."""
        import torch

        dtype = {"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32}[self.dtype]
        return torch.empty((count, self.channels, patch, patch), dtype=dtype)

    def to_unit(self, batch: Tensor, device: torch.device) -> Tensor:
        """Stored values to [0, 1], on the device.

        Args:
            batch: (B, C, H, W) from ``crops``.
            device: where to.

        Returns:
            (B, C, H, W) float32, contiguous.
        """
        import torch

        moved = batch.to(device, non_blocking=True)
        return moved if self.dtype == "float32" else moved.to(torch.float32).div_(self.scale)


def corners_of(store: Store, rows: np.ndarray, patch: int, generator: torch.Generator | None) -> np.ndarray:
    """(B, 2) top and left of a crop of each row of a store: in the centre, or drawn."""
    return corners_in(store.sizes[rows], patch, generator, lambda b: store.names[int(rows[b])])


def corners_in(
    sizes: np.ndarray, patch: int, generator: torch.Generator | None, name: Callable[[int], str]
) -> np.ndarray:
    """(B, 2) top and left of a crop of images of some sizes (B, 2): in the centre, or drawn; ``name`` is for messages.

    Raises:
        UserError: an image is smaller than a crop.
    """
    import torch

    room = sizes - patch
    if (room < 0).any():
        small = name(int(np.argmax((room < 0).any(1))))
        raise UserError(small, f"is smaller than {patch} pixels", "lower images.patch")
    if generator is None:
        return np.asarray(np.rint(room / 2).astype(np.int64))
    drawn = torch.rand((len(room), 2), generator=generator, dtype=torch.float64).numpy()
    return np.asarray((drawn * (room + 1)).astype(np.int64))


def fill_crops(crops: np.ndarray, store: Store, rows: np.ndarray, corners: np.ndarray) -> None:
    """Copy a crop of each row of a store to (B, C, patch, patch)."""
    _, channels, patch, _ = crops.shape
    shards, starts, sizes = (column[rows].tolist() for column in (store.shards, store.starts, store.sizes))
    for b, (shard, start, (height, width), (top, left)) in enumerate(
        zip(shards, starts, sizes, corners.tolist(), strict=True)
    ):
        image = store.values(shard)[start : start + height * width * channels].reshape(height, width, channels)
        crops[b] = image[top : top + patch, left : left + patch].transpose(2, 0, 1)


def draw_turns(count: int, generator: torch.Generator) -> list[int]:
    """One of the eight symmetries of a square, by their numbers, for each of ``count`` crops."""
    import torch

    return [int(turn) for turn in torch.randint(8, (count,), generator=generator).tolist()]


def turn_crops(crops: np.ndarray, turns: Sequence[int]) -> None:
    """Replace each of (B, C, patch, patch) by one of its eight symmetries."""
    for b, turn in enumerate(turns):
        turned = np.rot90(crops[b], turn % 4, (1, 2))
        crops[b] = turned[..., ::-1] if turn > 3 else turned


def centre_crop(image: np.ndarray, most: int | None) -> np.ndarray:
    """The centre of (H, W, C), of ``most`` pixels a side at most; none: the whole image."""
    if most is None:
        return image
    height, width = (min(most, length) for length in image.shape[:2])
    top, left = round((image.shape[0] - height) / 2), round((image.shape[1] - width) / 2)
    return image[top : top + height, left : left + width]


TOO_FEW = "images.val and images.test"
"""Where there are fewer images than are held out, for messages."""
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Positions for training, validation and test."""


def divide(known: Known, images: Images, data: Path | None) -> Parts:
    """Positions for training, validation and test; each sorted by unit, then as given.

    Sets that ``images.split`` gives are those; the others are drawn: validation and test from the training images,
    where these are given, else from all that are in no other set.

    Args:
        known: the images.
        images: the options.
        data: the folder that lists lie below.

    Raises:
        UserError: nothing would be left to train on; see also ``split_as_given``.
    """
    if images.split is None:
        return split_sources(known.units, images, (images.val, images.test))
    given = split_as_given(known, images.split, data)
    held = {known.units[i] for name in given if name != "train" for i in given[name].tolist()}
    pool = given.get("train")
    if pool is None:
        pool = np.array([i for i, unit in enumerate(known.units) if unit not in held], np.int64)
    if not len(pool):
        raise UserError("images.split", "leaves no image for training", "hold out fewer, or name those of train")
    counts = tuple(0 if name in given else count for name, count in (("val", images.val), ("test", images.test)))
    drawn = split_sources([known.units[i] for i in pool.tolist()], images, (counts[0], counts[1]))
    train, val, test = (pool[part] for part in drawn)
    return train, given.get("val", val), given.get("test", test)


def split_sources(units: Sequence[str], images: Images, counts: tuple[int, int]) -> Parts:
    """Positions for training, validation and test, drawn; each sorted by unit, then as given.

    Args:
        units: (N,) the unit of every image.
        images: the options; ``split_seed`` is read.
        counts: units for validation and for test.

    Raises:
        UserError: nothing would be left to train on.
    """
    held_val, held_test = counts
    alone = all(map(lt, units, islice(units, 1, None)))  # as files come: sorted, and each its own unit
    members: dict[str, list[int]] = {}
    for position, unit in enumerate(() if alone else units):
        members.setdefault(unit, []).append(position)
    known = units if alone else sorted(members)
    if len(known) <= held_val + held_test:
        folder = images.unit == "folder" and not images.volumes
        hint = ' (a unit is a folder: set images.unit = "file" if its images are independent)' if folder else ""
        if images.kind.photographs:
            hint = " (a unit is a photograph with all its tiles)"
        raise UserError(
            TOO_FEW,
            f"hold out {held_val} + {held_test} of {len(known)} units",
            f"nothing is left to train on: hold out fewer, or add images{hint}",
        )
    order = permutation(len(known), images.split_seed, SPLIT)
    parts = np.split(order, [held_test, held_test + held_val])
    test, val, train = (
        np.sort(part) if alone else np.array([i for u in np.sort(part) for i in members[known[u]]], np.int64)
        for part in parts
    )
    return train, val, test


def in_no_set(known: Known, parts: Parts) -> list[tuple[str, str]]:
    """The images that a split leaves out, in one line: (the first, how many and why)."""
    held = np.zeros(len(known.names), bool)
    for part in parts:
        held[part] = True
    left_out = np.flatnonzero(~held)
    if not len(left_out):
        return []
    more = f"and {len(left_out) - 1:,} more images " if len(left_out) > 1 else ""
    return [(known.names[int(left_out[0])], f"{more}in none of the sets of images.split")]
