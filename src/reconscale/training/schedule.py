"""Learning-rate policies.

They know nothing of torch, so that the official scheme can be checked step by step.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any, Literal

from reconscale.study import Recipe, Run

ANNEALING_FACTOR = 2.0
"""Phase A multiplies the rate by this while it helps (official ``lr_beta``)."""
ANNEALING_PATIENCE = 3
"""Phase A ends after this many looks in a row without a new best (official ``lr_patience_annealing``)."""
FINAL_FRACTION = 0.01
"""The cosine of the budget policy ends at this fraction of its peak."""


@dataclass(frozen=True)
class Plateau:
    """How a policy that is driven by validation lowers its rate, and when it ends. All numbers are official.

    Attributes:
        watch: what counts as progress: the validation ``psnr`` (dB), or minus the validation ``loss``.
        threshold: gains up to this are no progress (``lr_threshold``).
        factor: the rate is multiplied by this (``lr_gamma``).
        low: rates below this many times ``lr_min`` count as ended, and ``lr_min`` itself.
        looks: training ends after this many looks at such a rate (``break_counter``).
    """

    watch: Literal["psnr", "loss"]
    threshold: float
    factor: float
    low: float
    looks: int


_DENOISING = Plateau("psnr", threshold=1e-3, factor=0.5, low=1.0, looks=10)
PLATEAUS = {
    "plateau": _DENOISING,
    "paper": _DENOISING,
    "paper-mri": Plateau("loss", threshold=1e-4, factor=0.1, low=2.0, looks=9),
}
"""The rules by policy; those with a fixed number of steps have none."""


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
        rate: the peak (fast, budget) or current (plateau, paper) learning rate.
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
        if not self.recipe.steps_are_fixed:
            return self.rate
        steps, warm = self.recipe.steps, round(self.recipe.warmup * self.recipe.steps)
        if step < warm:
            return self.rate * (step + 1) / (warm + 1)
        if self.recipe.policy == "fast":
            held = self.recipe.hold * steps
            return self.rate * min(1.0, (steps - step) / max(1.0, steps - held))
        if self.recipe.decay == "none":
            return self.rate
        progress = (step - warm) / max(1, steps - warm)
        return self.rate * (FINAL_FRACTION + (1 - FINAL_FRACTION) * (1 + math.cos(math.pi * progress)) / 2)

    def observe(self, psnr: float) -> tuple[Schedule, Action]:
        """Take note of what the policy watches: a PSNR (dB), or minus a loss; fixed schedules do not care."""
        if self.recipe.steps_are_fixed:
            return self, Action.CONTINUE
        after, action = self._anneal(psnr) if self.annealing else (self._plateau(psnr), Action.CONTINUE)
        rule, least = PLATEAUS[self.recipe.policy], self.recipe.lr_min
        if (after.rate < rule.low * least or after.rate == least) and not after.annealing:
            after = replace(after, at_lr_min=after.at_lr_min + 1)
        return after, Action.STOP if after.at_lr_min >= rule.looks else action

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
        rule = PLATEAUS[self.recipe.policy]
        if psnr > self.best + rule.threshold:
            return replace(self, best=psnr, bad=0)
        if self.bad + 1 <= self.recipe.patience:
            return replace(self, bad=self.bad + 1)
        lower = max(self.rate * rule.factor, self.recipe.lr_min)
        return replace(self, bad=0, rate=lower if self.rate - lower > 1e-8 else self.rate)

    @property
    def watches_loss(self) -> bool:
        """Whether :meth:`observe` wants minus the validation loss instead of the PSNR."""
        return not self.recipe.steps_are_fixed and PLATEAUS[self.recipe.policy].watch == "loss"

    def slowed(self, factor: float) -> Schedule:
        """The same with every rate from now on multiplied by a factor."""
        return replace(self, rate=self.rate * factor)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        fields = asdict(self)
        del fields["recipe"]
        return fields

    def restored(self, state: dict[str, Any]) -> Schedule:
        """The schedule with the state that a checkpoint kept."""
        return replace(self, **state)


def most_steps(recipe: Recipe, images: int) -> int:
    """The most optimisation steps: the recipe's, or (where they are not fixed) those of its epochs.

    Args:
        recipe: the recipe.
        images: training images.
    """
    if recipe.epochs is None or recipe.steps_are_fixed:
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
    if recipe.steps_are_fixed:
        return max(1, recipe.steps // 20)
    return max(1, math.ceil(images / recipe.batch))
