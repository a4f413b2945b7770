"""Train several runs of equal shape in one pass, with stacked weights.

Where one network leaves most of a GPU idle, several at once do not: of every layer there is one operation for all runs
(convolutions become grouped ones) instead of one for each. Everything else stays each run's own: the order of its
images, its noise, its schedule, its guard, its optimiser, its looks and its checkpoint. So a run of a stack is the run
alone but for rounding, and may continue alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from reconscale.networks.registry import BUILT_IN
from reconscale.physics.base import Batch
from reconscale.physics.denoising import Denoising
from reconscale.study import Run
from reconscale.training.hooks import AfterStep, Hooks, Interrupted
from reconscale.training.loop import Training
from reconscale.training.losses import as_trained, form_of, loss_of, losses_of, parts_of
from reconscale.training.muon import Muon, step_together

STACKED_LOSSES = ("mse", "l1", "ssim", "noise2noise")
"""The losses that ask a network once for each batch; the others go alone, and so do the user's own."""


class CannotStack(Exception):
    """Runs cannot be trained in one pass; the message says why."""


def shape_of(run: Run) -> str:
    """What runs must have in common to be trained in one pass: all but n and the seed."""
    return run.model_copy(update={"n": 1, "seed": 0}).canonical()


class Stack:
    """Runs in progress that are trained in one pass.

    As long as a run belongs to a stack, the weights of its network are parts of tensors of the stack: what changes the
    one changes the other.

    Args:
        trainings: of runs of equal shape, computed in the same way on one device. They may be at different steps.

    Raises:
        CannotStack: they are not alike, or their loss asks the network more than once for a batch.
    """

    def __init__(self, trainings: Sequence[Training]) -> None:
        first = trainings[0]
        if first.run.network.family not in BUILT_IN:  # it may keep means of batches, or draw numbers of its own
            raise CannotStack("networks of your own are trained one at a time")
        if first.recipe.loss not in STACKED_LOSSES:
            raise CannotStack(f"the loss '{first.recipe.loss}' is computed for one network at a time")
        if len({(shape_of(each.run), each.precision, each.device, each.share.size) for each in trainings}) > 1:
            raise CannotStack("they are of different shapes, or computed in different ways")
        self.trainings: list[Training] = []
        self._weights: dict[str, Tensor] = {}
        self._gather(trainings)

    def _gather(self, trainings: Sequence[Training]) -> None:
        """Lay the weights of the networks one above the other, in tensors that the networks' own become parts of."""
        self.release()
        self.trainings = list(trainings)
        if len(trainings) == 1:
            return
        networks = [training.network for training in trainings]
        for name, buffer in networks[0].named_buffers():  # the first network's are used for all
            if not all(torch.equal(buffer, network.get_buffer(name)) for network in networks[1:]):
                raise CannotStack(f"'{name}', which is not trained, differs between their networks")
        for name, weight in networks[0].named_parameters():
            own = [network.get_parameter(name) for network in networks]
            self._weights[name] = torch.stack([each.detach() for each in own]).requires_grad_(weight.requires_grad)
            for each, part in zip(own, self._weights[name].detach(), strict=True):
                each.data = part
        loss = trainings[0].recipe.loss
        losses = losses_of(networks[0], loss_of("mse" if loss == "noise2noise" else loss))
        self._losses: Callable[..., Tensor] = torch.compile(losses) if trainings[0].way.compiled else losses

    def release(self) -> None:
        """Give every network weights of its own again, laid out as its way has it."""
        for training in self.trainings:
            for weight in training.network.parameters():
                weight.data = weight.data.clone()
            training.way.arrange(training.network)
        self.trainings, self._weights = [], {}

    def leave(self, ended: Sequence[Training]) -> None:
        """Continue without some of the runs."""
        left = [training for training in self.trainings if training not in ended]
        self._gather(left) if left else self.release()

    def advance(self) -> None:
        """One optimisation step of every run."""
        if len(self.trainings) == 1:
            self.trainings[0].advance()
            return
        began, before = time.perf_counter(), _spent(self.trainings)
        measured = [training.measured() for training in self.trainings]
        totals = self.gradients(measured)
        accepted = [training.judged(total) for training, total in zip(self.trainings, totals, strict=True)]
        self._move(accepted)
        reading = _share(self.trainings, before, "data")
        _share(self.trainings, before, "train", time.perf_counter() - began - reading)

    def gradients(self, measured: Sequence[list[Batch]]) -> list[Tensor]:
        """Gradients of the loss of a batch of every run, left in the networks.

        Runs whose batches have the same shapes are computed at once. Those of volumes may have others, and go alone.

        Args:
            measured: for each run, its examples.

        Returns:
            For each run, its loss.
        """
        alike: dict[tuple[Any, ...], list[int]] = {}
        for index, examples in enumerate(measured):
            alike.setdefault(tuple(form_of(example) for example in examples), []).append(index)
        totals: dict[int, Tensor] = {}
        for members in alike.values():
            if len(members) == 1:
                totals[members[0]] = self.trainings[members[0]].gradients(measured[members[0]])
            else:
                together = self._together(members, [measured[index] for index in members])
                totals.update(zip(members, together, strict=True))
        return [totals[index] for index in range(len(measured))]

    def _together(self, members: list[int], measured: Sequence[list[Batch]]) -> Tensor:
        """The losses of some of the runs, (runs,); their gradients are left in the networks."""
        weights = self._weights
        if len(members) < len(self.trainings):
            weights = {name: w.detach()[members].requires_grad_(w.requires_grad) for name, w in weights.items()}
        first = self.trainings[members[0]]
        total: Tensor | float = 0.0
        for examples in zip(*measured, strict=True):
            given = tuple(torch.stack(parts) for parts in zip(*(parts_of(e)[0] for e in examples), strict=True))
            targets = torch.stack([self._target(i, e) for i, e in zip(members, examples, strict=True)])
            scales, kind = torch.stack([example.scale for example in examples]), parts_of(examples[0])[1]
            with as_trained(first.way, first.device):
                losses = self._losses(weights, given, targets, scales, kind)
            total = total + losses * (len(examples[0]) / first.recipe.batch)
        assert isinstance(total, Tensor)
        trained = {name: weight for name, weight in weights.items() if weight.requires_grad}
        found = torch.autograd.grad(total.sum(), list(trained.values()), allow_unused=True)
        for name, gradient in zip(trained, found, strict=True):
            # fused optimisers take gradients for laid out as the weights are, without a look
            parts = [None] * len(members) if gradient is None else gradient.contiguous().unbind()
            for index, part in zip(members, parts, strict=True):
                self.trainings[index].network.get_parameter(name).grad = part
        return total.detach()

    def _target(self, index: int, example: Batch) -> Tensor:
        """What reconstructions of a run are compared with."""
        training = self.trainings[index]
        if training.recipe.loss != "noise2noise":
            return example.x
        assert isinstance(training.problem, Denoising)
        return training.problem.second(example)

    def _move(self, accepted: Sequence[Tensor | None]) -> None:
        """Change the weights of every run, unless its guard says not to; all of Muon's matrices go together."""
        first = self.trainings[0]
        if not isinstance(first.optimizer, Muon):
            for training, taken in zip(self.trainings, accepted, strict=True):
                training.move(taken)
            return
        optimizers, gates = [], []
        for training, taken in zip(self.trainings, accepted, strict=True):
            assert isinstance(training.optimizer, Muon)
            if first.device.type != "cpu" or taken is None or bool(taken):  # on a GPU nobody waits for the answer
                optimizers.append(training.optimizer)
                gates.append(None if first.device.type == "cpu" else taken)
        if optimizers:
            step_together(optimizers, gates)
        for training in self.trainings:
            training.moved()

    def carry_on(
        self,
        hooks: Sequence[Hooks],
        ended: Callable[[Training], None],
        stepped: Callable[[], None] = lambda: None,
    ) -> None:
        """Train all runs until each is over, or its loss is no longer finite.

        Args:
            hooks: for each run; they must all stop after the same step.
            ended: called with a run that is over, which has left the stack by then; the others wait for it.
            stepped: called after every step, before any hook.

        Raises:
            Interrupted: a hook asked for it; the state of every run has been kept.
        """
        follow = {id(t): AfterStep(t, each) for t, each in zip(self.trainings, hooks, strict=True)}
        for training in self.trainings:
            follow[id(training)].begin()
        over = [training for training in self.trainings if training.over]
        while True:
            if over:
                self.leave(over)
                for training in over:
                    ended(training)
            if not self.trainings:
                return
            self.advance()
            stepped()
            over = _after_step([(training, follow[id(training)]) for training in self.trainings])


def _after_step(followed: Sequence[tuple[Training, AfterStep]]) -> list[Training]:
    """What happens between steps, for every run; the runs that are over.

    Raises:
        Interrupted: by the hooks of all of them, after all have kept their states.
    """
    trainings = [training for training, _ in followed]
    before, over, interrupted = _spent(trainings), [], False
    for training, after in followed:
        try:
            if not after.step():
                over.append(training)
        except Interrupted:
            interrupted = True
    _share(trainings, before, "validation")
    if interrupted:
        raise Interrupted
    return over


def _spent(trainings: Sequence[Training]) -> list[dict[str, float]]:
    return [dict(training.clock.spent) for training in trainings]


def _share(
    trainings: Sequence[Training], before: Sequence[dict[str, float]], kind: str, total: float | None = None
) -> float:
    """Book the seconds that runs took for something in equal parts, whoever of them has waited for the device.

    Args:
        trainings: the runs.
        before: what their clocks showed before.
        kind: what for.
        total: seconds; none: all that their clocks show more.

    Returns:
        The total.
    """
    pairs = list(zip(trainings, before, strict=True))
    if total is None:
        total = sum(training.clock.spent[kind] - spent[kind] for training, spent in pairs)
    for training, spent in pairs:
        training.clock.spent[kind] = spent[kind] + total / len(pairs)
    return total
