"""An ordered set of images of several sources, which training reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reconscale.data.store import SCALES, Store
from reconscale.data.subset import ImageSubset, corners_in, draw_turns, fill_crops, turn_crops

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class MixedSubset(ImageSubset):
    """Images of several sources, those of the first one first. Pickles as paths and row numbers.

    Where the sources have values of one type, images are as they are stored; else float32 in [0, 1].

    Attributes:
        parts: source -> its images, none where it has none here; all have as many channels.
    """

    parts: Mapping[str, ImageSubset]

    def __init__(self, parts: Mapping[str, ImageSubset]) -> None:
        object.__setattr__(self, "parts", dict(parts))
        object.__setattr__(self, "unit", "file")

    def __reduce__(self) -> tuple[Any, ...]:
        return (MixedSubset, (self.parts,))

    def __repr__(self) -> str:
        return f"MixedSubset({', '.join(f'{len(part)} {name}' for name, part in self.parts.items())})"

    @property
    def store(self) -> Store:
        """None: the images are in several."""
        raise TypeError("the images of several sources are in several stores: ask each of .parts")

    @property
    def rows(self) -> np.ndarray:
        """None, as there is no store."""
        raise TypeError("the images of several sources are rows of several stores: ask each of .parts")

    def __len__(self) -> int:
        return sum(map(len, self.parts.values()))

    @cached_property
    def _ends(self) -> np.ndarray:
        """(K + 1,) where the images of each source begin, and how many there are in all."""
        return np.concatenate([[0], np.cumsum([len(part) for part in self.parts.values()])]).astype(np.int64)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the images, the source first."""
        return tuple(f"{source}/{name}" for source, part in self.parts.items() for name in part.names)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of every image, the source first."""
        return tuple(f"{source}/{unit}" for source, part in self.parts.items() for unit in part.units)

    @cached_property
    def groups(self) -> np.ndarray:
        """(N,) numbers that are equal where units are."""
        found: list[np.ndarray] = []
        start = 0
        for part in self.parts.values():
            numbers = part.groups + start
            start = int(numbers.max()) + 1 if len(numbers) else start
            found.append(numbers)
        return np.concatenate(found)

    @property
    def stores(self) -> tuple[tuple[Store, np.ndarray], ...]:
        """Every store that the images are in, with their rows there."""
        return tuple(pair for part in self.parts.values() for pair in part.stores)

    @property
    def channels(self) -> int:
        """1 or 3."""
        return next(iter(self.parts.values())).channels

    @cached_property
    def dtype(self) -> str:
        """``uint8`` or ``uint16`` where all sources have values of that type, else ``float32``."""
        types = {part.dtype for part in self.parts.values()}
        return types.pop() if len(types) == 1 else "float32"

    @property
    def scale(self) -> float:
        """The value that stands for 1."""
        return SCALES[self.dtype]

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of shape, type and pixels of every image, in hexadecimal."""
        return [digest for part in self.parts.values() for digest in part.hashes]

    @cached_property
    def sizes(self) -> np.ndarray:
        """(N, 2) height and width of every image."""
        return np.concatenate([part.sizes for part in self.parts.values()])

    def with_part(self, source: str, part: ImageSubset) -> MixedSubset:
        """The same with other images of a source."""
        return MixedSubset({**self.parts, source: part})

    def first(self, counts: Mapping[str, int], pick: Callable[[ImageSubset, int], ImageSubset]) -> MixedSubset:
        """The first images of each source; a source that is not named has none.

        Args:
            counts: source -> how many.
            pick: (images of a source, how many) -> these.
        """
        none = np.zeros(0, np.int64)
        return MixedSubset({
            source: pick(part, counts[source]) if counts.get(source) else part.pick(none)
            for source, part in self.parts.items()
        })  # fmt: skip

    def pick(self, positions: np.ndarray) -> ImageSubset:
        """The images at some positions, those of the first source first, in the given order within a source."""
        places, chosen = np.asarray(positions, np.int64), {}
        for source, part, start, stop in self._spans():
            chosen[source] = part.pick(places[(places >= start) & (places < stop)] - start)
        return MixedSubset(chosen)

    def _spans(self) -> list[tuple[str, ImageSubset, int, int]]:
        """Source, images, and where they begin and end."""
        ends = self._ends.tolist()
        return [(name, part, *ends[k : k + 2]) for k, (name, part) in enumerate(self.parts.items())]

    def _at(self, i: int) -> tuple[ImageSubset, int]:
        """The source of an image, and its place there."""
        k = int(np.searchsorted(self._ends, i, side="right")) - 1
        return list(self.parts.values())[k], i - int(self._ends[k])

    def described(self) -> dict[str, Any]:
        """Counts and sizes; JSON values only."""
        return super().described() | {"of each source": {name: len(part) for name, part in self.parts.items()}}

    def image(self, i: int) -> np.ndarray:
        """One image: see ``ImageSubset.image``."""
        part, place = self._at(i)
        return self._of_type(part.image(place), part)

    def _of_type(self, values: np.ndarray, part: ImageSubset) -> np.ndarray:
        return values if part.dtype == self.dtype else values.astype(np.float32) / np.float32(part.scale)

    def crops(
        self,
        indices: Sequence[int],
        patch: int,
        *,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> Tensor:
        """Square crops, one an index: see ``ImageSubset.crops``. The numbers drawn do not depend on the sources."""
        places = np.asarray(indices, dtype=np.int64)
        corners = corners_in(self.sizes[places], patch, generator, lambda b: self.names[int(places[b])])
        batch = self.empty_crops(len(places), patch)
        filled = batch.numpy()
        for _, part, start, stop in self._spans():
            mine = np.flatnonzero((places >= start) & (places < stop))
            if not len(mine):
                continue
            rows = part.rows[places[mine] - start]
            part.store.check(rows)
            values = np.empty((len(mine), self.channels, patch, patch), _STORED[part.dtype])
            fill_crops(values, part.store, rows, corners[mine])
            filled[mine] = values if part.dtype == self.dtype else values / np.float32(part.scale)
        if turns is not None:
            turn_crops(filled, draw_turns(len(filled), turns))
        return batch


_STORED = {"uint8": np.uint8, "uint16": np.int32, "float32": np.float32}
"""Types of crops, as torch has them."""
