"""An ordered subset of real pairs, which training and evaluation read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from reconscale.data.store import Store
from reconscale.data.subset import ImageSubset, corners_of, draw_turns, fill_crops, turn_crops

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class PairSubset(ImageSubset):
    """Pairs in an order: as a set of images that of their truths, under the names of the inputs.

    Attributes:
        inputs: where the pixels of inputs are.
        input_rows: (N,) int64 rows of that store.
        scenes: (N,) what a split keeps together.
        factor: how many times larger than its input a truth is; rows and columns beyond that are cut off at the end.
    """

    inputs: Store
    input_rows: np.ndarray = field(repr=False)
    scenes: tuple[str, ...] = field(repr=False)
    factor: int

    def __reduce__(self) -> tuple[Any, ...]:
        held = (self.store, self.rows, self.unit, self.inputs, self.input_rows, self.scenes, self.factor)
        return (PairSubset, held)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs: relative posix paths."""
        return tuple(map(self.inputs.names.__getitem__, self.input_rows.tolist()))

    @cached_property
    def truth_names(self) -> tuple[str, ...]:
        """Names of the truths; several inputs may have the same."""
        return tuple(map(self.store.names.__getitem__, self.rows.tolist()))

    @property
    def units(self) -> tuple[str, ...]:
        """The scene of every pair."""
        return self.scenes

    @property
    def _alone(self) -> bool:
        return False

    @property
    def stores(self) -> tuple[tuple[Store, np.ndarray], ...]:
        """The stores of truths and of inputs, with their rows there."""
        return ((self.store, self.rows), (self.inputs, self.input_rows))

    @property
    def measured(self) -> ImageSubset:
        """The inputs alone."""
        return ImageSubset(self.inputs, self.input_rows, "file")

    @property
    def hashes(self) -> list[str]:
        """SHA-256 of the hashes of truth and input of every pair, in hexadecimal."""
        both = np.concatenate([self.store.hashes[self.rows], self.inputs.hashes[self.input_rows]], 1)
        return [hashlib.sha256(row.tobytes()).hexdigest() for row in both]

    def pick(self, positions: np.ndarray) -> PairSubset:
        """The pairs at some positions, in that order."""
        scenes = tuple(self.scenes[i] for i in np.asarray(positions).tolist())
        rows, input_rows = self.rows[positions], self.input_rows[positions]
        return PairSubset(self.store, rows, self.unit, self.inputs, input_rows, scenes, self.factor)

    def described(self) -> dict[str, Any]:
        """Counts and sizes of pairs and of their truths; JSON values only."""
        known = super().described()
        return {
            "pairs": known.pop("images"),
            "scenes": known.pop("units"),
            "truths": len(np.unique(self.rows)),
            **known,
        }

    def pair(self, i: int, crop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """One pair as it is stored.

        Args:
            i: which.
            crop: the centre, of this many pixels of the truth a side at most; none: all of it.

        Returns:
            (h, w, C) of the input and (factor h, factor w, C) of the truth, read-only views.

        Raises:
            UserError: pixels do not match their hash, or their file is missing or was cut short.
        """
        given, truth, factor = self.inputs.image(int(self.input_rows[i])), self.image(i), self.factor
        most = max(given.shape) if crop is None else max(1, crop // factor)
        height, width = (min(most, side) for side in given.shape[:2])
        top, left = round((given.shape[0] - height) / 2), round((given.shape[1] - width) / 2)
        rows, columns = (
            slice(factor * start, factor * (start + side)) for start, side in ((top, height), (left, width))
        )
        return given[top : top + height, left : left + width], truth[rows, columns]

    def pair_tensors(self, i: int, crop: int | None = None) -> tuple[Tensor, Tensor]:
        """One pair for evaluation: see :meth:`pair`.

        Returns:
            (1, C, h, w) and (1, C, factor h, factor w) float32; truths in [0, 1], inputs perhaps with noise outside.
        """
        given, truth = self.pair(i, crop)
        return _tensor(given, self.measured.scale), _tensor(truth, self.scale)

    def tensor(self, i: int, crop: int | None = None) -> Tensor:
        """The truth of one pair for evaluation, cut to the area of its input."""
        return self.pair_tensors(i, crop)[1]

    def pair_crops(
        self,
        indices: Sequence[int],
        patch: int,
        *,
        generator: torch.Generator | None,
        turns: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Square crops of inputs and truths at the same places, one an index, as they are stored.

        Args:
            indices: which pairs; repetitions are fine.
            patch: side of the crops of truths, in pixels, a multiple of the factor.
            generator: as of :meth:`ImageSubset.crops`.
            turns: as of :meth:`ImageSubset.crops`; input and truth are turned alike.

        Returns:
            (B, C, patch / factor, patch / factor) of the inputs, and (B, C, patch, patch) of the truths.

        Raises:
            UserError: as :meth:`ImageSubset.crops`.
        """
        chosen, side = np.asarray(indices, dtype=np.int64), patch // self.factor
        rows, truths = self.input_rows[chosen], self.rows[chosen]
        corners = corners_of(self.inputs, rows, side, generator)
        both = []
        for store, places, length, scale in ((self.inputs, rows, side, 1), (self.store, truths, patch, self.factor)):
            store.check(places)
            batch = _empty((len(chosen), store.channels, length, length), store.dtype)
            fill_crops(batch.numpy(), store, places, scale * corners)
            both.append(batch)
        if turns is not None:
            drawn = draw_turns(len(chosen), turns)
            for batch in both:
                turn_crops(batch.numpy(), drawn)
        return both[0], both[1]


def _empty(shape: tuple[int, ...], dtype: str) -> Tensor:
    import torch

    return torch.empty(shape, dtype={"uint8": torch.uint8, "uint16": torch.int32, "float32": torch.float32}[dtype])


def _tensor(image: np.ndarray, scale: float) -> Tensor:
    import torch

    return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32, order="C")).div_(scale)
