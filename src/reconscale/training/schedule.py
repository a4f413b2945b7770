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
        branched: of ``converge``: the step of the trunk that the branch under way left; 0 on the trunk.
    """

    recipe: Recipe
    rate: float
    annealing: bool
    best: float = -math.inf
    bad: int = 0
    at_lr_min: int = 0
    branched: int = 0

    @classmethod
    def of(cls, run: Run) -> Schedule:
        """The schedule at the start of a run."""
        recipe = run.recipe
        return cls(recipe, run.lr, annealing=recipe.policy == "paper" and recipe.annealing)

    def lr(self, step: int) -> float:
        """The learning rate of optimisation step ``step``, counted from 0."""
        if self.recipe.policy in PLATEAUS:
            return self.rate
        steps, warm = self.recipe.steps, round(self.recipe.warmup * self.recipe.steps)
        if step < warm:
            return self.rate * (step + 1) / (warm + 1)
        if self.recipe.policy == "converge":
            return self.rate * (self.end - step) / (self.end - self.branched) if self.branched else self.rate
        if self.recipe.policy == "fast":
            held = self.recipe.hold * steps
            return self.rate * min(1.0, (steps - step) / max(1.0, steps - held))
        if self.recipe.decay == "none":
            return self.rate
        progress = (step - warm) / max(1, steps - warm)
        return self.rate * (FINAL_FRACTION + (1 - FINAL_FRACTION) * (1 + math.cos(math.pi * progress)) / 2)

    def observe(self, psnr: float) -> tuple[Schedule, Action]:
        """Take note of what the policy watches: a PSNR (dB), or minus a loss; fixed schedules do not care."""
        if self.recipe.policy not in PLATEAUS:
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
        return self.recipe.policy in PLATEAUS and PLATEAUS[self.recipe.policy].watch == "loss"

    def branch(self, step: int) -> Schedule:
        """Of ``converge``: the schedule of a branch that leaves the trunk after this step."""
        return replace(self, branched=step)

    @property
    def end(self) -> int:
        """Of ``converge``: the last step of the branch under way."""
        return self.branched + cooldown_steps(self.recipe, self.branched)

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


def branch_points(recipe: Recipe) -> list[int]:
    """Of ``converge``: the steps of the trunk at which branches may leave it.

    >>> branch_points(Recipe(policy="converge", steps=100, doublings=3))
    [100, 200, 400, 800]
    """
    return [recipe.steps * 2**doubling for doubling in range(recipe.doublings + 1)]


def cooldown_steps(recipe: Recipe, trunk: int) -> int:
    """The steps of a branch that leaves the trunk after this many.

    >>> cooldown_steps(Recipe(policy="converge"), 400)
    80
    """
    return math.ceil(recipe.cooldown * trunk)


def most_steps(recipe: Recipe, images: int) -> int:
    """The most optimisation steps of a network: the recipe's, those of its epochs, or of its longest branch.

    Args:
        recipe: the recipe.
        images: training images.
    """
    if recipe.policy == "converge":
        last = branch_points(recipe)[-1]
        return last + cooldown_steps(recipe, last)
    if recipe.epochs is None or recipe.steps_are_fixed:
        return recipe.steps
    return min(recipe.steps, recipe.epochs * math.ceil(images / recipe.batch))


def computed_steps(recipe: Recipe, images: int) -> int:
    """The most optimisation steps that are computed: with those of all branches."""
    if recipe.policy != "converge":
        return most_steps(recipe, images)
    points = branch_points(recipe)
    return points[-1] + sum(cooldown_steps(recipe, point) for point in points)


LOOKS, FEWEST, EARLY = 20, 4, 3
"""Looks of a run with a fixed number of steps at most and at least, and looks before the first of them."""
PASSES = 3.0
"""A training step costs as much as this many reconstructions of its batch."""
LOOK_SHARE = 0.1
"""Of the time of training that looks may take."""


@dataclass(frozen=True)
class Looks:
    """At which steps training looks at the validation set.

    Attributes:
        every: at every multiple of this; 0: at none.
        also: and at these.
        in_branches: of ``converge``: at these alone, once a branch has left the trunk.
    """

    every: int
    also: frozenset[int] = frozenset()
    in_branches: frozenset[int] = frozenset()

    def due(self, step: int, *, branched: bool = False) -> bool:
        """Whether there is one after this step."""
        if branched:
            return step in self.in_branches
        return step in self.also or (self.every > 0 and step % self.every == 0)


def looks_of(recipe: Recipe, images: int, look: float = 0.0, pixels: float = 1.0) -> Looks:
    """The looks of a run.

    Those of ``fast`` come often at first, where networks of few images begin to overfit, and take a tenth of the time
    at most; but there are always a few. Those of ``converge`` are where its branches are.

    Args:
        recipe: the recipe.
        images: training images; an epoch is one pass over them.
        look: pixels of all validation images.
        pixels: of one training image as the network sees it.
    """
    if recipe.policy == "converge":
        return _looks_of_branches(recipe)
    if recipe.validate_every is not None:
        return Looks(recipe.validate_every)
    if not recipe.steps_are_fixed:
        return Looks(max(1, math.ceil(images / recipe.batch)))
    if recipe.policy == "budget":
        return Looks(max(1, recipe.steps // LOOKS))
    affordable = LOOK_SHARE * PASSES * recipe.steps * recipe.batch * pixels / max(look, 1.0)
    count = max(FEWEST, min(LOOKS, int(affordable) - EARLY))
    every = max(1, recipe.steps // count)
    return Looks(every, frozenset(every // 2**k for k in range(1, EARLY + 1) if every >= 2**k))


def _looks_of_branches(recipe: Recipe) -> Looks:
    """Twice before the first branch, where the branches leave, and in the middle and at the end of each."""
    points = branch_points(recipe)
    early = {max(1, recipe.steps // 4), max(1, recipe.steps // 2)}
    down = {point: cooldown_steps(recipe, point) for point in points}
    branches = {point + math.ceil(down[point] * part) for point in points for part in (0.5, 1.0)}
    return Looks(recipe.validate_every or 0, frozenset({*early, *points}), frozenset(branches))


def count_looks(recipe: Recipe, images: int, look: float = 0.0, pixels: float = 1.0) -> int:
    """How often a run looks at the validation set, at most; the one before the first step counts."""
    looks = looks_of(recipe, images, look, pixels)
    last = branch_points(recipe)[-1] if recipe.policy == "converge" else most_steps(recipe, images)
    regular = last // looks.every if looks.every else 0
    return int(recipe.guarded) + max(1, regular + len(looks.also) + len(looks.in_branches))
