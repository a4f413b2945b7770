"""Learning-rate policies as small machines: what the rate is, and what a look at the validation set changes.

They know nothing of torch, so that the official scheme can be checked step by step.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from reconscale.study import Recipe, Run

THRESHOLD = 1e-3
"""dB: the plateau rule takes less for no progress (official ``lr_threshold``)."""
FACTOR = 0.5
"""The plateau rule multiplies the rate by this (official ``lr_gamma``)."""
ANNEALING_FACTOR = 2.0
"""Phase A multiplies the rate by this while it helps (official ``lr_beta``)."""
ANNEALING_PATIENCE = 3
"""Phase A ends after this many looks in a row without a new best (official ``lr_patience_annealing``)."""
LOOKS_AT_LR_MIN = 10
"""Training ends after this many looks at ``lr_min`` (official ``break_counter``)."""
MRI_FACTOR, MRI_THRESHOLD, MRI_LOOKS = 0.1, 1e-4, 9
"""The same for ``paper-mri``: the factor, what counts as no progress of the loss, and looks below twice ``lr_min``."""
FINAL_FRACTION = 0.01
"""The cosine of the budget policy ends at this fraction of its peak."""


class Action(Enum):
    """What training does after a look at the validation set."""

    CONTINUE = "continue"
    RESTORE_BEST = "restore best"
    STOP = "stop"


@dataclass(frozen=True)
class Schedule:
    """The state of a policy; :meth:`observe` gives the next one.

    Attributes:
        recipe: the recipe followed.
        rate: the peak (budget) or current (plateau, paper) learning rate.
        annealing: whether the official phase A is on.
        best: best validation PSNR of phase A, then of the plateau rule; dB.
        bad: looks in a row without progress.
        at_lr_min: looks that ended at ``lr_min``.
    """

    recipe: Recipe
    rate: float
    annealing: bool
    best: float = -math.inf
    bad: int = 0
    at_lr_min: int = 0

    @classmethod
    def of(cls, run: Run) -> Schedule:
        """The schedule at the start of a run."""
        recipe = run.recipe
        return cls(recipe, run.lr, annealing=recipe.policy == "paper" and recipe.annealing)

    def lr(self, step: int) -> float:
        """The learning rate of optimisation step ``step``, counted from 0."""
        if self.recipe.policy != "budget":
            return self.rate
        steps, warm = self.recipe.steps, round(self.recipe.warmup * self.recipe.steps)
        if step < warm:
            return self.rate * (step + 1) / (warm + 1)
        if self.recipe.decay == "none":
            return self.rate
        progress = (step - warm) / max(1, steps - warm)
        return self.rate * (FINAL_FRACTION + (1 - FINAL_FRACTION) * (1 + math.cos(math.pi * progress)) / 2)

    def observe(self, psnr: float) -> tuple[Schedule, Action]:
        """Take note of a validation PSNR (dB), for ``paper-mri`` of minus the loss; budget schedules do not care."""
        if self.recipe.policy == "budget":
            return self, Action.CONTINUE
        after, action = self._anneal(psnr) if self.annealing else (self._plateau(psnr), Action.CONTINUE)
        mri = self.recipe.policy == "paper-mri"
        low = after.rate < 2 * self.recipe.lr_min if mri else after.rate == self.recipe.lr_min
        if low and not after.annealing:
            after = replace(after, at_lr_min=after.at_lr_min + 1)
        return after, Action.STOP if after.at_lr_min >= (MRI_LOOKS if mri else LOOKS_AT_LR_MIN) else action

    def _anneal(self, psnr: float) -> tuple[Schedule, Action]:
        """Phase A of the official scheme: double while it helps, then fall back to the best weights."""
        if psnr > self.best:
            return replace(self, best=psnr, bad=0, rate=self.rate * ANNEALING_FACTOR), Action.CONTINUE
        if self.bad + 1 < ANNEALING_PATIENCE:
            return replace(self, bad=self.bad + 1), Action.CONTINUE
        # As in the official code, the plateau rule starts in this same epoch, with the failing epoch's PSNR.
        fresh = replace(self, annealing=False, best=-math.inf, bad=0, rate=self.rate / ANNEALING_FACTOR)
        return fresh._plateau(psnr), Action.RESTORE_BEST

    def _plateau(self, psnr: float) -> Schedule:
        """The rule of torch's ReduceLROnPlateau: mode max, absolute threshold, no cooldown, eps 1e-8."""
        mri = self.recipe.policy == "paper-mri"
        if psnr > self.best + (MRI_THRESHOLD if mri else THRESHOLD):
            return replace(self, best=psnr, bad=0)
        if self.bad + 1 <= self.recipe.patience:
            return replace(self, bad=self.bad + 1)
        lower = max(self.rate * (MRI_FACTOR if mri else FACTOR), self.recipe.lr_min)
        return replace(self, bad=0, rate=lower if self.rate - lower > 1e-8 else self.rate)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        fields = asdict(self)
        del fields["recipe"]
        return fields

    def restored(self, state: dict[str, Any]) -> Schedule:
        """The schedule with the state that a checkpoint kept."""
        return replace(self, **state)


def most_steps(recipe: Recipe, images: int) -> int:
    """The most optimisation steps: the recipe's, or (not of the budget policy) those of its epochs.

    Args:
        recipe: the recipe.
        images: training images.
    """
    if recipe.epochs is None or recipe.policy == "budget":
        return recipe.steps
    return min(recipe.steps, recipe.epochs * math.ceil(images / recipe.batch))


def steps_between_looks(recipe: Recipe, images: int) -> int:
    """Optimisation steps between two looks at the validation set.

    Args:
        recipe: the recipe.
        images: training images; an epoch is one pass over them.
    """
    if recipe.validate_every is not None:
        return recipe.validate_every
    if recipe.policy == "budget":
        return max(1, recipe.steps // 20)
    return max(1, math.ceil(images / recipe.batch))
