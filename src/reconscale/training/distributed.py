"""One run on several devices: split batches, summed gradients, the result of one device.

Every process has the same network, optimiser, order of images and noise: all draw the numbers of the whole batch, and
each computes the loss of its share. What is decided (the look at the validation set, the end) is decided by the first
and told to the others. Differences to one device come only from the order of sums.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from reconscale.errors import UserError
from reconscale.physics.base import Batch
from reconscale.study import Run
from reconscale.study.base import SELF_SUPERVISED
from reconscale.training.executors.processes import context, detach, script_imported

if TYPE_CHECKING:
    from reconscale.training.worker import Task

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others: as long as the first one may need for a look at the validation set."""
LOST = 70
"""Exit code of a process that lost the others; the run continues from its checkpoint."""
ASK = 5
"""Steps after which the processes agree on whether to stop."""


@dataclass(frozen=True)
class ProcessGroup:
    """One process's part of every batch.

    Attributes:
        rank: which process this is; 0 decides, writes and tests.
        size: how many there are.
        words: the group through which decisions are told, on the CPU.
    """

    rank: int = 0
    size: int = 1
    words: Any = None

    @property
    def decides(self) -> bool:
        """Whether this process looks at the validation set, keeps checkpoints and speaks."""
        return self.rank == 0

    def of(self, example: Batch) -> Batch | None:
        """This process's images of an example; none where there are fewer images than processes."""
        if self.size == 1:
            return example
        count = len(example)
        mine = slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)
        return None if mine.start == mine.stop else _cut(example, mine)

    def add_up(self, network: nn.Module, loss: Tensor) -> Tensor:
        """Add up the gradients of all processes, in place; returns the sum of their losses."""
        if self.size == 1:
            return loss
        parameters = [p for p in network.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([*(p.grad.reshape(-1) for p in parameters if p.grad is not None), loss.reshape(1).float()])
        dist.all_reduce(flat)
        start = 0
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.grad.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()
        return flat[-1]

    def agree(self, values: Sequence[float]) -> list[float]:
        """The values of the first process."""
        if self.size == 1:
            return list(values)
        told = torch.tensor(list(values), dtype=torch.float64)
        dist.broadcast(told, src=0, group=self.words)
        return [float(value) for value in told]

    def stops(self, step: int, asked: bool) -> bool:
        """Whether to stop after this step: every process gives the same answer."""
        if self.size == 1:
            return asked
        return step % ASK == 0 and bool(self.agree([float(asked)])[0])


ALONE = ProcessGroup()


def refuse_what_cannot_be_divided(runs: Iterable[Run], devices: int) -> None:
    """Losses that draw numbers of their own would draw others for each share.

    Raises:
        UserError: a recipe has such a loss, or a batch smaller than the number of devices.
    """
    for run in runs if devices > 1 else ():
        recipe = run.recipe
        if recipe.loss in SELF_SUPERVISED:
            remedy = f"the loss '{recipe.loss}' is computed on one device: leave it out"
            raise UserError("--devices", f"found {devices}", remedy)
        if recipe.batch < devices:
            remedy = f"recipe.batch = {recipe.batch} can be divided among no more"
            raise UserError("--devices", f"found {devices}", remedy)


@contextmanager
def spawn(task: Task, follow: Callable[[Task, ProcessGroup], None]) -> Iterator[ProcessGroup]:
    """The share of this process, and the processes that have the others, for as long as a run takes.

    Where one of them ends, this process ends too (exit code ``LOST``): whoever started it continues the run from its
    checkpoint.

    Args:
        task: the run, and where.
        follow: what the other processes do with their share.
    """
    size = task.placement.devices
    if size == 1:
        yield ALONE
        return
    with tempfile.TemporaryDirectory(prefix="reconscale-") as home:
        meeting = str(Path(home) / "meeting")
        alive, life = context().Pipe(duplex=False)  # closed when this process is gone
        others = [
            context().Process(target=_follow, args=(task, rank, meeting, alive, follow), name=f"{task.run.id} {rank}")
            for rank in range(1, size)
        ]
        with script_imported(True):
            for other in others:
                other.start()
        try:
            yield _join(task, 0, meeting)
            dist.destroy_process_group()
        except RuntimeError as error:
            if any(other.exitcode is not None for other in others) or "peer" in str(error):
                print(f"another process of this run has ended: {error}", file=sys.stderr, flush=True)
                os._exit(LOST)
            raise
        finally:
            life.close()
            for other in others:
                other.kill()
                other.join()


def device_of(task: Task, rank: int) -> torch.device:
    """What a process of a run computes on."""
    kind = task.placement.device
    return torch.device(kind, rank) if kind == "cuda" and task.placement.devices > 1 else torch.device(kind)


def _join(task: Task, rank: int, meeting: str) -> ProcessGroup:
    size = task.placement.devices
    backend = "nccl" if task.placement.device == "cuda" else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(rank)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size, timeout=PATIENCE)
    return ProcessGroup(rank, size, dist.new_group(backend="gloo", timeout=PATIENCE))


def _follow(task: Task, rank: int, meeting: str, alive: Any, follow: Callable[[Task, ProcessGroup], None]) -> None:
    detach(alive)
    share = _join(task, rank, meeting)
    try:
        follow(task, share)
    finally:
        dist.destroy_process_group()


def _cut(value: Any, mine: slice) -> Any:
    """A part of the images of an example: every tensor's first dimension counts them."""
    known = len(value.x) if isinstance(value, Batch) else None
    changes: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, Tensor) or (field.name == "names" and part):
            changes[field.name] = part[mine]
        elif hasattr(part, "__dataclass_fields__") and known is not None and field.name == "y":
            changes[field.name] = _cut(part, mine)
    return replace(value, **changes)
