"""A guard against divergence: steps far off are not taken, and a run that is lost begins again, once and slower."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WINDOW = 50
"""Losses that a new one is compared with."""
ENOUGH = 20
"""Before so many losses, every finite one is accepted."""
FAR = 3.0
"""A step is left out where its loss is above this many times the largest one of the window."""
LOST = 10
"""A run is lost when so many steps in a row were left out,"""
RISEN = 10.0
"""or when the median of the window has risen to this many times its lowest."""
SLOWER = 1 / 3
"""The rate after a run has begun again, relative to before."""


class Guard:
    """Watches the losses of a run. Nothing in :meth:`accepts` waits for the device.

    Args:
        device: where losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self.recent = torch.full((WINDOW,), float("nan"), device=device)
        self.lowest = torch.full((), float("inf"), device=device)
        self.counts = torch.zeros(3, dtype=torch.int64, device=device)  # accepted, left out in a row, left out in all
        self.restarts = 0

    def accepts(self, loss: Tensor) -> Tensor:
        """Whether a step with this loss is to be taken: a Boolean on the device; the loss joins the window if so."""
        enough = self.counts[0] >= ENOUGH
        largest = torch.nan_to_num(self.recent, nan=-float("inf")).amax()
        accepted = loss.isfinite() & (~enough | (loss <= FAR * largest))
        place = self.counts[0] % WINDOW
        self.recent[place] = torch.where(accepted, loss.to(self.recent.dtype), self.recent[place])
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
        median = self.recent.nanmedian()
        self.lowest = torch.minimum(self.lowest, median)
        return bool(median > RISEN * self.lowest)

    @property
    def left_out(self) -> int:
        """Steps that were not taken since the run began, or began again."""
        return int(self.counts[2])

    def give_up(self) -> None:
        """Call the run lost, whatever its losses: its weights are no longer finite."""
        self.counts[1] = LOST

    def begin_again(self) -> None:
        """Forget the losses: the run goes on from other weights."""
        restarts = self.restarts + 1
        self.__init__(self.recent.device)  # type: ignore[misc]
        self.restarts = restarts

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"recent": self.recent, "lowest": self.lowest, "counts": self.counts, "restarts": self.restarts}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what a checkpoint kept."""
        device = self.recent.device
        self.recent, self.lowest, self.counts = (state[name].to(device) for name in ("recent", "lowest", "counts"))
        self.restarts = state["restarts"]
