"""A guard against divergence: outlier steps are skipped, and a diverged run restarts once at a lower rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WINDOW = 50
"""Losses that a new one is compared with."""
ENOUGH = 20
"""Before this many losses, every finite one is accepted."""
FAR = 10.0
"""A step is left out where its loss is above this many times the largest one of the window. Single crops of flat and
textured photographs reached 5.5 times in healthy training (super-resolution, whose errors are small on flat ones)."""
LEAST = 1e-3
"""Errors on the validation images (range 1) below this count as this: where weights are all but right before training,
or training is for more noise than validation has, errors rise to hundreds of times their lowest in healthy training."""
LOST = 10
"""A run is lost when this many steps in a row were left out,"""
RISEN = 10.0
"""or when the median of the window has risen to this many times its lowest, and to twice the largest loss that stood
beside the lowest: of such crops, medians of 50 rose to 18 times their lowest in healthy training. Or when the error on
the validation images has risen to this many times its lowest, and losses have risen with it: there it was 3 times at
most, but 10 times with one training image and losses that fell."""
KEPT = ("recent", "first", "lowest", "odd", "counts")
"""What a checkpoint keeps of a guard."""
SLOWER = 1 / 3
"""The rate after a run has begun again, relative to before."""


class Guard:
    """Watches the losses of a run. Nothing in :meth:`accepts` waits for the device.

    Losses may be negative, as SURE is: "times" counts in their largest magnitude. A step that was left out
    and followed by one that was not has met a hard example, not bad weights: such losses are taken from then on.

    Args:
        device: where losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self.recent = torch.full((WINDOW,), float("nan"), device=device)
        self.first = torch.full((), float("nan"), device=device)
        self.places = torch.arange(WINDOW, device=device)
        self.lowest = torch.full((2,), float("inf"), device=device)  # median, and what it may rise to
        self.counts = torch.zeros(3, dtype=torch.int64, device=device)  # accepted, left out in a row, left out in all
        self.odd = torch.full(
            (2,), -float("inf"), device=device
        )  # largest left out: without harm; in the row under way
        self.restarts = 0

    def accepts(self, loss: Tensor) -> Tensor:
        """Whether a step with this loss is to be taken: a Boolean on the device; the loss joins the window if so."""
        enough = self.counts[0] >= ENOUGH
        largest, size = self._largest()
        accepted = loss.isfinite() & (~enough | (size == 0) | (loss <= largest + (FAR - 1) * size))
        self.first = torch.where(self.first.isfinite(), self.first, loss.to(self.first.dtype))
        place = self.places == self.counts[0] % WINDOW  # an index on the device would be read back
        self.recent = torch.where(place & accepted, loss.to(self.recent.dtype), self.recent)
        harmless, row = self.odd
        row = torch.where(accepted | ~loss.isfinite(), row, torch.maximum(row, loss))
        harmless = torch.where(accepted, torch.maximum(harmless, row), harmless)
        self.odd = torch.stack([harmless, torch.where(accepted, -torch.inf, row)])
        left_out = (~accepted).to(torch.int64)
        self.counts = torch.stack(
            [self.counts[0] + 1 - left_out, (self.counts[1] + left_out) * left_out, self.counts[2] + left_out]
        )
        return accepted

    def lost(self) -> bool:
        """Whether the run is lost; waits for the device, so it is asked now and then."""
        accepted, in_a_row, _ = self.counts.tolist()
        if in_a_row >= LOST:
            return True
        if accepted < WINDOW:
            return False
        median = self.recent.median()
        largest, size = self._largest()
        limit = torch.maximum(median + (RISEN - 1) * median.abs(), largest + size)
        lower = (median < self.lowest[0]) & (size > 0)
        self.lowest = torch.where(lower, torch.stack([median, limit]), self.lowest)
        return bool(median > self.lowest[1])

    def fits(self) -> bool:
        """Whether training is well: losses are below the first one, and near their lowest. Weights that do worse and
        worse on other images then fit the training images too closely, which is no divergence. Waits for the device.
        """
        median = self.recent.nanmedian()
        return bool((median < self.first) & (median <= self.lowest[0] + self.lowest[0].abs()))

    def _largest(self) -> tuple[Tensor, Tensor]:
        """The largest of the losses in the window and of those without harm, and their largest magnitude."""
        known = torch.cat([self.recent, self.odd[:1]])
        none = known.isnan() | known.isinf()  # places that are still empty
        return torch.where(none, -torch.inf, known).amax(), torch.where(none, 0.0, known).abs().amax()

    @property
    def left_out(self) -> int:
        """Steps that were not taken since the run began, or began again."""
        return int(self.counts[2])

    def give_up(self) -> None:
        """Call the run lost, whatever its losses: its weights are of no use."""
        self.counts[1] = LOST

    def begin_again(self) -> None:
        """Forget the losses: the run continues from other weights."""
        restarts = self.restarts + 1
        self.__init__(self.recent.device)  # type: ignore[misc]
        self.restarts = restarts

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {**{name: getattr(self, name) for name in KEPT}, "restarts": self.restarts}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what a checkpoint kept."""
        for name in KEPT:
            setattr(self, name, state[name].to(self.recent.device))
        self.restarts = state["restarts"]
