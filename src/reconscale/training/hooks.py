"""Hooks between the steps of a run: validation, guard, checkpoints, progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.training.loop import Training

CHECK_EVERY = 10
"""Steps between two questions to the guard, each of which waits for the device."""


class Interrupted(Exception):
    """The run was asked to stop; its state has been kept."""


@dataclass
class Hooks:
    """What a loop calls while it runs.

    Attributes:
        progress: called with (step, steps at most, last validation PSNR) now and then.
        keep: called with the state whenever it is time for a checkpoint.
        keep_seconds: the time between checkpoints.
        stop: says whether to stop after this step.
        log: called with (step, values) at each look at the validation set.
        warn: called with where and how training continued after it had diverged.
    """

    progress: Callable[[int, int, float], None] = lambda step, steps, psnr: None
    keep: Callable[[dict[str, Any]], None] = lambda state: None
    keep_seconds: float = 30.0
    stop: Callable[[], bool] = lambda: False
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None
    warn: Callable[[str], None] = lambda sentence: None


class AfterStep:
    """What happens between the steps of a run.

    Args:
        training: the run.
        hooks: what is called.
    """

    def __init__(self, training: Training, hooks: Hooks) -> None:
        self.training, self.hooks = training, hooks
        self.kept = self.told = time.monotonic()

    def begin(self) -> None:
        """Before the first step: whatever training does, what comes out is never worse than this on validation."""
        training = self.training
        self.hooks.progress(*training.progress, training.best_psnr)  # so that who counts time knows where it begins
        if training.step == 0 and not training.curve and training.guard is not None:
            self.hooks.log(0, training.look())
        if training.branching is not None and training.branching.goes_on:  # it was not asked at the end
            self._ask_the_guard(now=True)

    def step(self) -> bool:
        """After a step; returns whether another one follows: no, where the run is over or its loss is not finite.

        Raises:
            Interrupted: ``hooks.stop`` asked for it; the state has been kept.
        """
        training, hooks = self.training, self.hooks
        self._ask_the_guard()
        if training.over:  # for the second time: there is nothing to look at
            return False
        branched = training.schedule.branched > 0
        if training.looks.due(training.step, branched=branched) or training.at_the_end:
            if training.diverged_at is None:
                hooks.log(training.step, training.look())
                self._ask_the_guard(now=True)
            if training.diverged_at is not None:
                return False
        now = time.monotonic()
        if now - self.told > 0.5:
            self.told = now
            hooks.progress(*training.progress, training.best_psnr)
        stop = training.share.stops(training.step, hooks.stop())
        if stop or now - self.kept > hooks.keep_seconds:
            hooks.keep(training.state())
            self.kept = time.monotonic()
        if stop:
            raise Interrupted
        return not training.over

    def _ask_the_guard(self, *, now: bool = False) -> None:
        """Begin again where the run is lost. Asked at fixed steps, which a run that continues later meets as well.

        After the last step it is too late: the best weights so far are the result.
        """
        training = self.training
        if training.guard is None or training.over or training.at_the_end:
            return
        if not (now or training.step % CHECK_EVERY == 0):
            return
        if training.guard.lost() and (sentence := training.begin_again()):
            self.hooks.warn(sentence)
