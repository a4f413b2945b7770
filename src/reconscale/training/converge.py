"""Training until it has converged: a trunk at a constant rate, and branches in which the rate falls to zero.

A branch leaves the trunk at S, 2 S, 4 S, ... steps and gives what a training of that many steps would give; then
training returns to the trunk, as it was. It ends when the best validation PSNR of one branch is less than a tolerance
above that of the one before. So quality is known at several numbers of steps for little more than the longest of
them costs, and a run that is over can be continued with a smaller tolerance. (Hägele et al. 2024, arXiv:2405.18392,
compare such schedules with cosines of each length.)
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from reconscale.study import Recipe
from reconscale.training.schedule import branch_points

if TYPE_CHECKING:
    from reconscale.training.loop import Training

POSITION = ("network", "optimizer", "schedule", "generator", "problem", "left", "guard")
"""What of a training's state is put back when a branch is over; the rest are results."""


@dataclass(frozen=True)
class FinishedBranch:
    """A branch that is over.

    Attributes:
        trunk: steps of the trunk at which it left.
        steps: with its own.
        best_step: the step of the best weights so far, earlier branches included.
        psnr: of those weights on the validation images, dB.
        looks: at the validation images until here.
        weights: those weights.
        restarts: of training until here.
    """

    trunk: int
    steps: int
    best_step: int
    psnr: float
    looks: int
    weights: dict[str, Tensor]
    restarts: int = 0


class Branching:
    """The trunk and the branches of a run.

    Args:
        recipe: of policy ``converge``.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.points = recipe, branch_points(recipe)
        self.finished: list[FinishedBranch] = []
        self.restarts = 0
        self.goes_on = False
        self._trunk: dict[str, Any] | None = None

    @property
    def kept(self) -> list[FinishedBranch]:
        """The branches up to the one that training ends with; a run with a larger tolerance may know more."""
        for index in range(len(self.finished)):
            if self._ends_with(index):
                return self.finished[: index + 1]
        return self.finished

    @property
    def is_cut(self) -> bool:
        """Whether training went on for longer than this recipe asks for."""
        return len(self.kept) < len(self.finished)

    def _ends_with(self, index: int) -> bool:
        """Whether training ends with this branch: twice the steps gained too little, or it is the last one allowed."""
        if index >= self.recipe.doublings:
            return True
        return index > 0 and self.gain(index) < self.recipe.tolerance

    def gain(self, index: int) -> float:
        """How much a branch gained over the one before it, in dB."""
        return self.finished[index].psnr - self.finished[index - 1].psnr

    @property
    def is_over(self) -> bool:
        """Whether training has ended."""
        return bool(self.finished) and self._ends_with(len(self.kept) - 1)

    def computed(self, training: Training) -> int:
        """Optimisation steps computed so far, those of all branches included."""
        return training.step + sum(branch.steps - branch.trunk for branch in self.finished)

    def leave_trunk(self, training: Training) -> None:
        """Begin a branch where one is due."""
        on_trunk, next_one = not training.schedule.branched, len(self.finished)
        if on_trunk and next_one < len(self.points) and training.step == self.points[next_one]:
            state = {name: value for name, value in training.state().items() if name in POSITION}
            self._trunk = copy.deepcopy({**state, "step": training.step})
            training.schedule = training.schedule.branch(training.step)

    def end_branch(self, training: Training) -> None:
        """Keep what a branch gave, where it is at its end, and return to the trunk."""
        if not training.schedule.branched or training.step < training.schedule.end:
            return
        assert self._trunk is not None
        best = {name: value.clone() for name, value in training.best.items()}
        self.finished.append(
            FinishedBranch(
                training.schedule.branched,
                training.step,
                training.best_step,
                training.best_psnr,
                len(training.curve),
                best,
                training.restarts,
            )
        )
        before = training.guard.restarts if training.guard is not None else 0
        training.put_back(self._trunk)
        self.restarts += before - (training.guard.restarts if training.guard is not None else 0)
        self._trunk = None

    def cut(self, training: Training) -> None:
        """Take a training that went on for longer back to where this recipe ends it; one that ended before goes on."""
        had_ended = training.over
        training.over = self.is_over or training.lost_at is not None
        self.goes_on = had_ended and not training.over
        if self.is_over:
            self.take_last(training)

    def take_last(self, training: Training) -> None:
        """Make what the last branch gave the result of the run."""
        last = self.kept[-1]
        training.best, training.best_step, training.best_psnr = dict(last.weights), last.best_step, last.psnr
        training.curve = training.curve[: last.looks]

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"finished": [vars(branch) for branch in self.finished], "trunk": self._trunk, "restarts": self.restarts}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what a checkpoint kept."""
        self.finished = [FinishedBranch(**branch) for branch in state["finished"]]
        self._trunk, self.restarts = state["trunk"], state["restarts"]
