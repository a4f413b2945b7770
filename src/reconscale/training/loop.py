"""The training loop: from a run to its best weights, interruptible at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reconscale.data import ImageSet
from reconscale.networks import build, input_spec
from reconscale.physics import problem_of
from reconscale.physics.base import Batch
from reconscale.results.result import Validation
from reconscale.results.trunks import trunk_key
from reconscale.study import Recipe, Run
from reconscale.training.batches import Prefetcher, ShuffledSampler, pinned
from reconscale.training.converge import Branching
from reconscale.training.distributed import ALONE, ProcessGroup
from reconscale.training.evaluate import EVALUATION_SEED, area_of, pixels_of, validate
from reconscale.training.guard import LEAST, RISEN, SLOWER, Guard
from reconscale.training.hooks import AfterStep, Hooks
from reconscale.training.hooks import Interrupted as Interrupted
from reconscale.training.initial_weights import load_initial
from reconscale.training.losses import BLIND, Objective, objective_of, watched_objective_of
from reconscale.training.muon import Muon
from reconscale.training.precision import COMPUTE_MODES
from reconscale.training.schedule import Action, Schedule, computed_steps, looks_of, most_steps

NEVER = -1

OPTIMIZERS: dict[str, Callable[[nn.Module, float, float], torch.optim.Optimizer]] = {
    "muon": Muon,
    "adam": lambda network, lr, decay: torch.optim.Adam(
        network.parameters(), lr=lr, weight_decay=decay, decoupled_weight_decay=True, fused=True
    ),
    "rmsprop": lambda network, lr, _: torch.optim.RMSprop(network.parameters(), lr=lr),
}
"""From a network, a learning rate and a weight decay."""


@dataclass
class Clock:
    """Seconds spent, by kind."""

    spent: dict[str, float] = field(default_factory=lambda: {"train": 0.0, "data": 0.0, "validation": 0.0})
    since: float = field(default_factory=time.perf_counter)

    def book(self, kind: str) -> None:
        """Book the time since the last call."""
        now = time.perf_counter()
        self.spent[kind] = self.spent.get(kind, 0.0) + now - self.since
        self.since = now


class Training:
    """One run in progress: network, optimiser, generators, position. All of it goes into a checkpoint.

    Args:
        run: what is trained.
        images: of its study.
        device: where.
        precision: a name in ``COMPUTE_MODES``: how steps are computed.
        share: this process's part of every batch.
        initial: the weights that it begins with; none: as its seed makes them.
    """

    def __init__(
        self, run: Run, images: ImageSet, device: torch.device, precision: str, share: ProcessGroup = ALONE,
        initial: Path | None = None,
    ) -> None:  # fmt: skip
        self.run, self.device, self.share, self.initial = run, device, share, initial
        self.recipe: Recipe = run.recipe
        self.pixels = images.training(run.n, run.subset_seed, run.mix)
        self.val = images.val
        self.channels = images.channels
        self.network = self._untrained()
        self._compute(precision)
        self.optimizer = self._optimizer()
        self.guard = Guard(device) if self.recipe.guarded else None
        self.branching = Branching(self.recipe) if self.recipe.policy == "converge" else None
        look = area_of(self.val, run.images.val_patch)
        self.looks = looks_of(self.recipe, len(self.pixels), look, pixels_of(run, images))
        self.problem = problem_of(run.problem, device, run.seed)
        self.generator = torch.Generator().manual_seed(run.seed)
        self.order = ShuffledSampler(len(self.pixels), self.generator)
        crops = self.generator if run.images.crop == "random" else None
        turns = self.generator if run.images.augment else None
        read = partial(self.problem.read, self.pixels, patch=run.images.patch, generator=crops, turns=turns)
        self.reader = Prefetcher(self.order, self.recipe.batch, read, ahead=run.images.volumes)
        self.schedule = Schedule.of(run)
        self.objective = objective_of(self.recipe.loss, self.problem, self.generator)
        self.step, self.best_step, self.best_psnr = 0, 0, float("-inf")
        self.best: dict[str, Tensor] = {}
        self.curve: list[Validation] = []
        self.first_bad = torch.full((), NEVER, dtype=torch.int64, device=device)
        self.over = False
        self.clock = Clock()

    def _untrained(self) -> nn.Module:
        """The network as the run's seed makes it, or with the weights that it begins with."""
        torch.manual_seed(self.run.seed)
        network = build(self.run.network, input_spec(self.run.problem, self.channels))
        if self.initial is not None:
            load_initial(network, self.initial, self.recipe.init_sha256)
        return network.to(self.device).train()

    def _optimizer(self) -> torch.optim.Optimizer:
        return OPTIMIZERS[self.recipe.optimizer](self.network, self.run.lr, self.recipe.weight_decay)

    def _compute(self, precision: str) -> None:
        """Choose the way of computing steps."""
        self.precision, self.way = precision, COMPUTE_MODES[precision]
        self.trained = self.way.arrange(self.network)

    @property
    def restarts(self) -> int:
        """How often training began again after it had diverged."""
        if self.branching is not None and self.branching.is_cut:
            return self.branching.kept[-1].restarts
        in_branches = 0 if self.branching is None else self.branching.restarts
        return in_branches + (0 if self.guard is None else self.guard.restarts)

    @property
    def lost_at(self) -> int | None:
        """The step at which training diverged for good, or none."""
        step = int(self.first_bad)
        return None if step == NEVER else step

    @property
    def diverged_at(self) -> int | None:
        """The same, where nothing of the run is left: branches that were over by then are its result."""
        finished = self.branching is not None and self.branching.finished
        return None if finished else self.lost_at

    @property
    def broke_off_at(self) -> int | None:
        """The same, where branches that were over by then are the result, and training would have gone on."""
        lasts = self.branching is None or not self.branching.finished or self.branching.is_over
        return None if lasts else self.lost_at

    def advance(self) -> None:
        """One optimisation step. Nothing in it waits for the device."""
        self.move(self.judged(self.gradients(self.measured())))

    def measured(self) -> list[Batch]:
        """The first part of a step: the next batch is read and measured; images of each shape are one example."""
        rate = self.schedule.lr(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.clock.since = time.perf_counter()
        raw = pinned(self.reader.take(), self.device)
        self.clock.book("data")
        return self.problem.examples(raw)

    def gradients(self, examples: list[Batch]) -> Tensor:
        """The second part: gradients of the loss of a batch, left in the network; returns that loss."""
        self.optimizer.zero_grad()
        total = torch.zeros((), device=self.device)
        for example in examples:  # images of several shapes go one shape after the other
            mine = self.share.of(example)
            if mine is None:
                continue
            with self.way.autocast(self.device):
                loss = self.objective(self.trained, mine) * (len(mine) / self.recipe.batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return self.share.add_up(self.network, total)

    def judged(self, total: Tensor) -> Tensor | None:
        """The third part: take note of a loss, clip the gradients, and ask the guard, if any, whether to move."""
        if self.guard is None:
            bad = (self.first_bad == NEVER) & ~total.isfinite()
            self.first_bad = torch.where(bad, self.step, self.first_bad)
        if self.recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        return None if self.guard is None else self.guard.accepts(total)

    def move(self, accepted: Tensor | None) -> None:
        """The last part: change the weights, unless the guard says not to; where it can be, without waiting."""
        if isinstance(self.optimizer, Muon) and self.device.type != "cpu":
            self.optimizer.step(accepted)
        elif accepted is None or bool(accepted):
            self.optimizer.step()
        self.moved()

    def moved(self) -> None:
        """Count a step."""
        self.step += 1
        self.clock.book("train")

    def begin_again(self) -> str:
        """Go back to the best weights so far, at a third of the rate; or, the second time, end the run.

        It has diverged then, unless branches are over: the last of them is the result.

        Returns:
            What happened, in a sentence; empty where training has ended.
        """
        assert self.guard is not None
        if self.guard.restarts:
            self._end_as_lost()
            return ""
        first = "untrained weights" if self.initial is None else "the weights that it began with"
        back = f"the weights of step {self.best_step}" if self.best_step else first
        self.network.load_state_dict(self.best or self._untrained().state_dict())
        self.optimizer = self._optimizer()
        self.schedule = self.schedule.slowed(SLOWER)
        self.guard.begin_again()
        if self.branching is not None:
            self.branching.leave_trunk(self)
        return f"at step {self.step}; it continued from {back} at a third of the rate, {self.schedule.rate:.3g}"

    def _end_as_lost(self) -> None:
        """End the run at this step, with the last branch that is over, if any."""
        self.first_bad = torch.full_like(self.first_bad, self.step)
        self.over = True
        if self.branching is not None and self.branching.finished:
            self.branching.take_last(self)

    def look(self) -> dict[str, float]:
        """Look at the validation set, keep the weights if they are the best, and let the schedule decide."""
        self.clock.since = time.perf_counter()
        by_loss = self.recipe.select == "loss" or self.schedule.watches_loss
        seen = self._seen(by_loss) if self.share.decides else (0.0, 0.0, 0.0)
        mse, psnr, loss = self.share.agree(seen)
        rate = self.schedule.lr(max(0, self.step - 1))
        if not math.isfinite(mse) and self.guard is not None:
            self.guard.give_up()
            if self.at_the_end and self.branching is not None and self.branching.finished:
                self._end_as_lost()  # such a branch gave nothing that could be compared with the one before
                return {"lr": rate}
            self._end_if_due()  # too late to begin again: the best weights so far are the result
            if self.over and not self.best:
                self.first_bad = torch.full_like(self.first_bad, self.step)
            return {"lr": rate}
        if not math.isfinite(mse):  # the last step broke the weights; its own loss was still finite
            self.first_bad = torch.full_like(self.first_bad, self.step)
            return {"lr": rate}
        if self.guard is not None and mse > RISEN * self._lowest() and not self.guard.fits():
            self.guard.give_up()
        self.curve.append(
            Validation(
                step=self.step,
                samples=self.step * self.recipe.batch,
                lr=rate,
                mse=mse,
                psnr=psnr,
                loss=loss if by_loss else None,
            )
        )
        if self._best_yet():
            self.best_psnr, self.best_step = psnr, self.step
            self.best = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        self.schedule, action = self.schedule.observe(-loss if self.schedule.watches_loss else psnr)
        if action is Action.RESTORE_BEST:  # Adam's moments carry over, as in the official code
            self.network.load_state_dict(self.best)
        self._end_if_due(action)
        if self.branching is not None:
            self.branching.leave_trunk(self)
        self.clock.book("validation")
        return {"mse": mse, "psnr": psnr, "lr": rate}

    def _end_if_due(self, action: Action = Action.CONTINUE) -> None:
        """End the branch or the run where this is its last step."""
        if self.branching is None:
            self.over = action is Action.STOP or self.step >= self.steps
        else:
            self.branching.end_branch(self)
            self.over = self.branching.is_over

    def _lowest(self) -> float:
        """The lowest error on the validation images so far, as the guard counts it."""
        return max(LEAST, min((look.mse for look in self.curve), default=math.inf))

    def _seen(self, by_loss: bool) -> tuple[float, float, float]:
        """MSE, PSNR and, where training goes by it, the loss on the validation images."""
        watched = self._fixed_objective() if by_loss else None
        return validate(self.network, self.problem, self.val, self.run.images.val_patch, self.device, watched)

    def _fixed_objective(self) -> Objective:
        """The loss that validation watches: what it draws is the same at every look."""
        name, generator = self.recipe.loss, torch.Generator().manual_seed(EVALUATION_SEED)
        if name not in BLIND:
            return self.objective
        return watched_objective_of(name, problem_of(self.run.problem, self.device, EVALUATION_SEED), generator)

    def _best_yet(self) -> bool:
        """Whether the last look at the validation set is the best one so far."""
        last, before = self.curve[-1], self.curve[:-1]
        if self.recipe.select == "loss":
            return all((last.loss or 0.0) < (look.loss or 0.0) for look in before)
        return last.psnr > self.best_psnr

    @property
    def steps(self) -> int:
        """The most steps: the recipe's, those of its epochs, or of the longest branch."""
        return most_steps(self.recipe, len(self.pixels))

    @property
    def trained_steps(self) -> int:
        """Steps of the network that training ended with: those of the last branch, where there are branches."""
        kept = [] if self.branching is None else self.branching.kept
        return kept[-1].steps if kept else self.step

    @property
    def trunk(self) -> str:
        """What runs with the same trunk and branches have in common; empty without branches."""
        return "" if self.branching is None else trunk_key(self.run)

    @property
    def at_the_end(self) -> bool:
        """Whether this is the last step of the run, or of the branch under way."""
        branched = self.schedule.branched
        return self.step >= (self.schedule.end if branched else self.steps)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps computed so far, and in all at most; with those of the branches of ``converge``."""
        done = self.step if self.branching is None else self.branching.computed(self)
        return done, computed_steps(self.recipe, len(self.pixels))

    def carry_on(self, hooks: Hooks) -> None:
        """Train until the recipe says that it is over or the loss is no longer finite.

        Raises:
            Interrupted: ``hooks.stop`` asked for it; the state has been kept.
        """
        after = AfterStep(self, hooks)
        after.begin()
        while not self.over:
            self.advance()
            if not after.step():
                return

    def state(self) -> dict[str, Any]:
        """Everything that a checkpoint must hold: tensors and plain values only."""
        return {
            "run": self.run.id,
            "network": _with_memory_of_its_own(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state(),
            "generator": self.generator.get_state(),
            "random": _random_state(self.device),
            "problem": self.problem.state(),
            "left": self.order.left,
            "position": [self.step, self.best_step, self.over],
            "computed": self.progress[0],
            "trunk": self.trunk,
            "best_psnr": self.best_psnr,
            "best": self.best,
            "curve": [look.model_dump() for look in self.curve],
            "first_bad": self.first_bad,
            "guard": None if self.guard is None else self.guard.state(),
            "branching": None if self.branching is None else self.branching.state(),
            "precision": self.precision,
            "spent": self.clock.spent,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state of a checkpoint of the same run."""
        self._compute(state["precision"])
        step, self.best_step, self.over = state["position"]
        self.put_back({**state, "step": step})
        self.best_psnr, self.best = state["best_psnr"], dict(state["best"])
        self.curve = [Validation(**look) for look in state["curve"]]
        self.first_bad = state["first_bad"]
        if self.branching is not None:
            self.branching.restore(state["branching"])
            self.branching.cut(self)
        self.clock.spent = dict(state["spent"])
        for kind, stream in state.get("random", {}).items():  # checkpoints of older versions have none
            (torch.cuda.set_rng_state if kind == "cuda" else torch.set_rng_state)(stream.cpu())

    def put_back(self, state: dict[str, Any]) -> None:
        """Put network, optimiser, schedule, guard and generators back to how they were after an earlier step.

        Args:
            state: the part of a :meth:`state` that ``training.converge.POSITION`` names, and ``step``.
        """
        self.network.load_state_dict(state["network"])
        self.optimizer = self._optimizer()
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule = self.schedule.restored(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        self.problem.restore(state["problem"].cpu())
        self.order.left = list(state["left"])
        self.reader.forget()
        self.step = state["step"]
        if self.guard is not None:
            self.guard.restore(state["guard"])


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """Of the streams that networks of the user's own may draw from, as dropout does."""
    return {"cpu": torch.get_rng_state()} | (
        {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    )


def _with_memory_of_its_own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights that are parts of larger tensors are copied: a file would hold all of what they are parts of."""
    return {
        name: value.clone() if value.untyped_storage().nbytes() > value.nbytes else value
        for name, value in state.items()
    }
