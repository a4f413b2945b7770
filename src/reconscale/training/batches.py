"""Batches of training images, read in an order that a checkpoint can continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch

from reconscale.physics.base import Crops

Read = Callable[[Sequence[int]], Any]


class ShuffledSampler:
    """Endless passes over the training images, each in a new order. Batches run across the end of a pass."""

    def __init__(self, images: int, generator: torch.Generator) -> None:
        self.images, self.generator = images, generator
        self.left: list[int] = []

    def peek(self, count: int) -> list[int]:
        """The next ``count`` images, which stay the next ones."""
        while len(self.left) < count:
            self.left += torch.randperm(self.images, generator=self.generator).tolist()
        return self.left[:count]

    def take(self, count: int) -> list[int]:
        """The next ``count`` images."""
        taken = self.peek(count)
        self.left = self.left[count:]
        return taken


class Prefetcher:
    """Reads batches in the order of training.

    One batch is read ahead where reading draws no random numbers: what is kept of the order in a checkpoint is then
    always what has been trained on, and a run that continues reads that batch again.

    Args:
        order: which images come next.
        batch: images in a batch.
        read: reads the images at some positions.
        ahead: whether to read in a thread of its own.
    """

    def __init__(self, order: ShuffledSampler, batch: int, read: Read, *, ahead: bool) -> None:
        self.order, self.batch, self.read = order, batch, read
        self._pool = ThreadPoolExecutor(1, "reader") if ahead else None
        self._next: Future[Any] | None = None

    def take(self) -> Any:
        """The next batch, as it was read."""
        if self._pool is None:
            return self.read(self.order.take(self.batch))
        waiting = self._next or self._pool.submit(self.read, self.order.peek(self.batch))
        self.order.take(self.batch)
        raw = waiting.result()
        self._next = self._pool.submit(self.read, self.order.peek(self.batch))
        return raw

    def forget(self) -> None:
        """Drop what was read ahead: the order has changed."""
        self._next = None


def pinned(raw: Any, device: torch.device) -> Any:
    """What was read, in memory that a GPU fetches by itself: bytes travel while the host continues."""
    if device.type != "cuda" or not isinstance(raw, Crops):
        return raw
    return replace(raw, values=raw.values.pin_memory())
