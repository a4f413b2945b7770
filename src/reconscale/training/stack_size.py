"""The number of runs per pass: given, or benchmarked once per study and cached."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel, TypeAdapter, ValidationError
from torch import Tensor

from reconscale.data import ImageSet
from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.results import Folder
from reconscale.study import Run
from reconscale.training.calibrate import key_of
from reconscale.training.executors.base import Executor
from reconscale.training.loop import Training
from reconscale.training.stack import CannotStack, Stack, shape_of
from reconscale.training.worker import Placement

COUNTS = (1, 2, 4, 8, 16)
"""Runs in a pass that are tried on a GPU, as far as there are this many of one shape and memory allows it."""
WORTH = 1.15
"""Twice as many are worth it where images a second rise this many times."""
ROOM = 0.8
"""Of a GPU's memory that a stack may take."""
WARM, TIMED = 3, 5
"""Steps before the clock starts, and steps of a round; the fastest of three rounds counts."""
APART, APART_BF16 = 0.02, 0.5
"""Of their norm that gradients may differ from those of a run alone: in fp32 they do by about 1e-6 (TF32: 1e-3), and in
bf16, by rounding alone, by 0.003 to 0.2."""


class Tried(BaseModel):
    """What was found out about runs of one shape.

    Attributes:
        failed: why they cannot be trained in one pass.
        rates: runs in a pass -> images per second of all of them together; empty where only asked whether they can be.
        ended: whether more in a pass were not tried for lack of memory, or because they would not get more done.
    """

    failed: str | None = None
    rates: dict[int, float] = {}
    ended: bool = False

    @property
    def best(self) -> int:
        """The number of runs beyond which twice as many are not worth it."""
        best = 1
        for count in sorted(self.rates):
            if count > best and self.rates[count] < WORTH * self.rates[best]:
                break
            best = count
        return best

    def gain(self, count: int) -> float:
        """How many times the images of one run alone this many in a pass get done; 1 where it was not measured."""
        return self.rates[count] / self.rates[1] if {1, count} <= set(self.rates) else 1.0


@dataclass(frozen=True)
class Stacked:
    """How a run is trained.

    Attributes:
        count: runs in a pass, at most.
        gain: see :meth:`Tried.gain`.
    """

    count: int = 1
    gain: float = 1.0


def stacks_of(
    runs: Sequence[Run], images: ImageSet, folder: Folder, executor: Executor,
    placements: Mapping[str, Placement], asked: int | None,
) -> dict[str, Stacked]:  # fmt: skip
    """How many runs are trained in one pass with each run.

    Args:
        runs: of the study.
        images: of the study.
        folder: of the results; ``stack.json`` in it keeps what was measured.
        executor: where it is measured.
        placements: by run.
        asked: how many; none: on a CPU one, on a GPU as many as get the most done.

    Returns:
        run id -> how it is trained.

    Raises:
        UserError: more than one were asked for, and they cannot be trained in one pass; the file is damaged.
    """
    if asked == 1 or (asked is None and (executor.device != "cuda" or not executor.measures)):
        return {run.id: Stacked() for run in runs}
    path = folder.root / "stack.json"
    kept = _kept(path)
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(shape_of(run), []).append(run)
    found: dict[str, Stacked] = {}
    for members in alike.values():
        most = len(members) if asked is None else min(asked, len(members))
        run = max(members, key=lambda run: run.n)
        placement = placements[run.id]
        key = f"{key_of(run, placement.precision)} {run.recipe.loss}, {executor.device}"
        counts = () if asked else tuple(count for count in COUNTS if count <= most)
        if most > 1 and not _known(kept.get(key), counts):
            kept[key] = _answered(executor, run, images, placement, counts)
            write_atomic(path, to_json({name: tried.model_dump(mode="json") for name, tried in kept.items()}))
        tried = kept.get(key, Tried())
        if asked and most > 1 and tried.failed is not None:
            what = f"runs of '{run.network.family}' cannot be trained in one pass here ({tried.failed})"
            raise UserError("--stack", f"found {asked}, and {what}", "leave it out")
        count = most if asked else min(most, tried.best)
        found |= {run.id: Stacked(count, tried.gain(count)) for run in members}
    return found


def _known(tried: Tried | None, counts: Sequence[int]) -> bool:
    """Whether nothing more has to be tried: a series that ended early is one that ended for a reason."""
    if tried is None:
        return False
    return tried.failed is not None or not counts or max(counts) in tried.rates or tried.ended


def _answered(executor: Executor, run: Run, images: ImageSet, placement: Placement, counts: Sequence[int]) -> Tried:
    (tried,) = executor.apply(tried_together, run, images, placement, tuple(counts))
    return Tried(failed="the process that tried it was ended") if tried is None else tried


def _kept(path: Path) -> dict[str, Tried]:
    if not path.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, Tried]).validate_python(read_json(path))
    except ValidationError as error:
        raise UserError(path, "does not hold rates of stacks", "delete it: they are measured again") from error


def tried_together(run: Run, images: ImageSet, placement: Placement, counts: Sequence[int] = ()) -> Tried:
    """Find out whether runs like this one can be trained in one pass, and how fast, in a process of its own.

    Args:
        run: one of them; the others have other seeds.
        images: of the study.
        placement: how runs are computed.
        counts: runs in a pass that are timed, in rising order, until memory or images a second say stop.
    """
    torch.set_num_threads(placement.threads)
    try:
        for precision, limit in {placement.precision: APART_BF16, "fp32": APART}.items():
            apart = difference(run, images, replace(placement, precision=precision))
            if not apart < limit:
                raise CannotStack(f"gradients differ by {apart:.0%} from those of a run alone, in {precision}")
    except CannotStack as why:
        return Tried(failed=str(why))
    except Exception as error:  # whatever a network does that cannot be done for several at once
        first = (str(error).strip().splitlines() or [""])[0].split(". ")[0]
        return Tried(failed=f"{type(error).__name__}: {first[:200]}")
    rates: dict[int, float] = {}
    for count in counts:
        try:
            rates[count] = rate(run, images, placement, count)
        except torch.OutOfMemoryError:
            return Tried(rates=rates, ended=True)
        if Tried(rates=rates).best != count or _full(placement):
            return Tried(rates=rates, ended=True)
    return Tried(rates=rates)


def difference(run: Run, images: ImageSet, placement: Placement) -> float:
    """How far gradients of two runs in a pass are from those of each alone, relative to their norm.

    Raises:
        CannotStack: they cannot be trained in one pass. Networks may raise anything.
    """
    trainings = _several(run, images, placement, 2)
    for training in trainings:  # away from weights that start at zero
        training.advance()
        training.advance()
    measured = [training.measured() for training in trainings]
    states = [training.problem.state() for training in trainings]
    alone = []
    for training, examples in zip(trainings, measured, strict=True):
        training.gradients(examples)
        alone.append(_gradient(training))
    for training, state in zip(trainings, states, strict=True):
        training.problem.restore(state)
    Stack(trainings).gradients(measured)
    pairs = zip(alone, map(_gradient, trainings), strict=True)
    return max(float((one - other).norm() / one.norm().clamp_min(1e-30)) for one, other in pairs)


def rate(run: Run, images: ImageSet, placement: Placement, count: int) -> float:
    """Images per second of this many runs in a pass, all together.

    Raises:
        CannotStack: see :class:`Stack`.
    """
    stack, device = Stack(_several(run, images, placement, count)), torch.device(placement.device)
    for _ in range(WARM):
        stack.advance()
    seconds = []
    for _ in range(3):
        _wait(device)
        began = time.perf_counter()
        for _ in range(TIMED):
            stack.advance()
        _wait(device)
        seconds.append(time.perf_counter() - began)
    return count * run.recipe.batch * TIMED / min(seconds)


def _several(run: Run, images: ImageSet, placement: Placement, count: int) -> list[Training]:
    device = torch.device(placement.device)
    runs = [run.model_copy(update={"seed": run.seed + place}) for place in range(count)]
    return [Training(each, images, device, placement.precision) for each in runs]


def _gradient(training: Training) -> Tensor:
    """All gradients of a network as one vector."""
    weights = [weight for weight in training.network.parameters() if weight.requires_grad]
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).reshape(-1) for w in weights]).clone()


def _full(placement: Placement) -> bool:
    """Whether twice as much would not fit onto the GPU."""
    if placement.device != "cuda":
        return False
    return 2 * torch.cuda.max_memory_reserved() > ROOM * torch.cuda.get_device_properties(0).total_memory


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
