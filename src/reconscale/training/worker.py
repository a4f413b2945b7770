"""Train one run in one process and write its result."""

from __future__ import annotations

import errno
import os
import platform
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import save as tensors_as_bytes

from reconscale.data import ImageSet
from reconscale.errors import DamagedFileError, UserError
from reconscale.files import write_atomic
from reconscale.networks import input_spec, size_of
from reconscale.own_parts import Plugin, check_loaded
from reconscale.physics.metrics import MetricError
from reconscale.results import Folder, Result
from reconscale.results.result import Branch
from reconscale.study import Run
from reconscale.training import checkpoint
from reconscale.training.baselines import Picture, draw
from reconscale.training.checkpoint import InputGuard
from reconscale.training.distributed import LOST, ProcessGroup, device_of, spawn
from reconscale.training.evaluate import EvaluationSet, evaluation_sets, means, psnr_by_image, score, together_on
from reconscale.training.executors.base import Placement as Placement
from reconscale.training.executors.base import Report
from reconscale.training.hooks import Hooks, Interrupted
from reconscale.training.initial_weights import initial_path
from reconscale.training.loop import Training
from reconscale.training.precision import refuse_slow_bf16
from reconscale.training.tracking import TRACKERS, Log

CONTEXT = 600e6
"""Bytes that a process needs on a GPU besides its tensors."""


@dataclass(frozen=True)
class Task:
    """What a worker process gets.

    Attributes:
        run: the run.
        images: the image set of the study.
        folder: the results folder.
        placement: where and how.
        pictures: the patches to draw for the report.
        memory: bytes that it was measured to need, for whoever finds a place for it; 0: not known.
        share: of a GPU, likewise.
        plugins: the user's own parts, which are loaded where the task is unpickled.
        code: of the own parts that the run is computed with: name -> digest.
    """

    run: Run
    images: ImageSet
    folder: Folder
    placement: Placement
    pictures: tuple[Picture, ...] = ()
    memory: float = 0.0
    share: float = 1.0
    plugins: tuple[Plugin, ...] = ()
    code: Mapping[str, str] = field(default_factory=dict)
    needs_script: ClassVar[bool] = True

    def __getstate__(self) -> dict[str, Any]:
        """The fields; what is first is unpickled first, and the run may be of a class that a plugin has."""
        return {"plugins": self.plugins, **self.__dict__}

    @property
    def initial(self) -> str | None:
        """The digest of the weights that the run begins with; none: it begins untrained."""
        return self.run.recipe.init_sha256

    @property
    def checkpoint(self) -> Path:
        """The file that changes whenever the run gets further."""
        return self.folder.of(self.run) / checkpoint.NAME

    def carry_out(self, report: Report) -> str:
        """Train the run in this process; see :func:`run_task`."""
        check_loaded(self.plugins)
        return run_task(self, report)

    def fail(self, reason: str) -> None:
        """Write the result of a run that cannot be trained."""
        Result(status="failed", run=self.run, p=0, reason=reason, provenance=provenance(self)).write(
            self.folder.of(self.run)
        )


def run_task(task: Task, report: Report, stop: Callable[[], bool] | None = None) -> str:
    """Train one run and write its result.

    Args:
        task: the run.
        report: takes messages.
        stop: asked after every step; none: whether SIGTERM has been received.

    Returns:
        ``done``, ``diverged``, ``failed``, or ``interrupted`` (a checkpoint has been kept).

    Raises:
        UserError: the results cannot be written; the run stays open.
    """
    witness = InputGuard(task.images.files())
    try:
        result = _train_and_test(task, report, witness, stop or asked_to_stop())
        witness.check()
    except Interrupted:
        return "interrupted"
    except UserError as mistake:
        name_the_fault(mistake, report)
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        result = _failed(
            task, f"out of memory ({_first_line(error)}); lower recipe.batch or images.patch, or --workers"
        )
    except Exception as error:  # a run that breaks is a result: it is kept, counted and named
        traceback.print_exc()
        _raise_if_damaged(witness, report, error)
        out_of_memory = "can't allocate memory" in str(error) or "out of memory" in str(error)
        advice = "; lower recipe.batch or images.patch, or --workers" if out_of_memory else ""
        result = _failed(task, f"{type(error).__name__}: {_first_line(error)}{advice}")
    return written(task, result)


def written(task: Task, result: Result) -> str:
    """Write the result of a run, which is then over; returns its status."""
    folder = task.folder.of(task.run)
    if (
        result.branches
    ):  # it can be continued with a smaller tolerance; first, as a run with a result is looked at no more
        checkpoint.keep_trunk(folder)
    result.write(folder)
    if result.status != "failed":  # once there is more memory, or whatever it lacked, it continues
        checkpoint.remove(folder)
    return result.status


def _raise_if_damaged(witness: InputGuard, report: Report, error: Exception) -> None:
    """A run does not fail because its images have been taken away: it stays open."""
    try:
        witness.check()
    except DamagedFileError as damaged:
        name_the_fault(damaged, report)
        raise damaged from error


def restore_or_start(task: Task, share: ProcessGroup, report: Report = lambda message: None) -> tuple[Training, Path]:
    """A run as it begins, or as its checkpoint left it; and its directory.

    Args:
        task: the run.
        share: of its batches.
        report: told where a checkpoint was damaged.
    """
    run, folder = task.run, task.folder.of(task.run)
    device = device_of(task, share.rank)
    torch.set_num_threads(task.placement.threads)
    refuse_slow_bf16(run, device.type)
    initial = initial_path(run.recipe, task.folder)
    training = Training(run, task.images, device, task.placement.precision, share, initial)
    kept, damaged = checkpoint.load(folder, device)
    foreign = kept is not None and kept["run"] != run.id  # copied by hand: the name of a folder says all of its recipe
    kept = None if foreign else kept
    if damaged or foreign:
        went_on = f"continued from step {kept['position'][0]}" if kept else "began again"
        report({"fault": {"kind": "checkpoint damaged", "detail": "of another run, " * foreign + went_on}})
    if kept is None:
        kept = checkpoint.find_trunk(folder, training.trunk, device)
    if kept is not None:
        training.restore(kept)
    if share.size > 1 and training.step != int(share.agree([training.step])[0]):
        os._exit(LOST)  # they must all begin at the same step; whoever started this run starts it again
    return training, folder


def train_along(task: Task, share: ProcessGroup) -> None:
    """What the processes of a run after the first one do: train their share, write nothing."""
    training, _ = restore_or_start(task, share)
    with suppress(Interrupted):
        training.carry_on(Hooks())


def _train_and_test(task: Task, report: Report, witness: InputGuard, stop: Callable[[], bool]) -> Result:
    began = time.perf_counter()
    with spawn(task, train_along) as share:
        training, folder = restore_or_start(task, share, report)
        with TRACKERS[task.placement.tracker or "none"](task.run, folder) as log:
            training.carry_on(hooks_of(task, report, witness, stop, log))
    return finish_run(task, training, report, witness, began)


def hooks_of(task: Task, report: Report, witness: InputGuard, stop: Callable[[], bool], log: Log) -> Hooks:
    """The hooks of a run in a worker."""
    folder = task.folder.of(task.run)
    return Hooks(
        progress=lambda step, steps, psnr: report({"step": step, "steps": steps, "psnr": psnr}),
        keep=lambda state: _keep(folder, state, report, witness),
        keep_seconds=task.placement.keep_seconds,
        stop=stop,
        log=log,
        warn=lambda sentence: report({"fault": {"kind": "training diverged", "detail": sentence}}),
    )


def finish_run(task: Task, training: Training, report: Report, witness: InputGuard, began: float) -> Result:
    """What came out of a run whose training is over: the test of its best weights, or why there is none.

    Args:
        task: the run.
        training: its training.
        report: takes messages.
        witness: of the images.
        began: when its process began (``time.perf_counter``).
    """
    if training.diverged_at is not None:
        what = "training diverged again, at a third of the rate," if training.restarts else "the loss was not finite"
        reason = f"{what} at step {training.diverged_at}; lower recipe.lr (it was {task.run.lr:g})"
        return _result(task, training, "diverged", reason=reason)
    if training.branching is None or not training.branching.is_cut:  # the longer training is kept where it came from
        _keep(task.folder.of(task.run), training.state(), report, witness)
    done, _ = training.progress
    report({"step": done, "steps": done, "psnr": training.best_psnr})
    try:
        return _test(task, training, report, began)
    except MetricError as mistake:  # other networks may well be measured
        return _failed(task, str(mistake))


def _keep(folder: Path, state: dict[str, Any], report: Report, witness: InputGuard) -> None:
    witness.check()
    checkpoint.save(folder, state)
    report({"kept": state["computed"]})


def name_the_fault(mistake: UserError, report: Report) -> None:
    """Tell the driver what stands behind a mistake, where it is a fault of the surroundings."""
    cause = mistake.__cause__
    if isinstance(mistake, DamagedFileError):
        report({"fault": {"kind": "images damaged", "detail": f"{Path(mistake.where).name} {mistake.found}"}})
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        report({"fault": {"kind": "disk full", "detail": mistake.where}})


def _test(task: Task, training: Training, report: Report, began: float) -> Result:
    """Measure the best weights on every test set, keep them, and draw the pictures."""
    run, folder = task.run, task.folder.of(task.run)
    network = training.network
    network.load_state_dict(training.best)
    network.eval()
    problem = training.problem
    training.clock.since = time.perf_counter()
    val = EvaluationSet(problem, training.val, run.images.val_patch)
    sets = {"val": val, **evaluation_sets(run.images, task.images, problem)}
    scores, volumes = {}, {}
    for name, of in sets.items():
        tell = lambda done, total, name=name: report({"testing": name, "done": done, "of": total})  # noqa: E731
        told = tell if name != "val" else None
        at_once = together_on(torch.device(task.placement.device))
        scores[name] = score(network, of.problem, of.pixels, crop=of.crop, progress=told, together=at_once)
        if by_volume := of.problem.by_volume(scores[name], of.pixels):
            volumes[name] = by_volume
    training.clock.book("test")
    weights = {name: value.detach().cpu().contiguous() for name, value in training.best.items()}
    write_atomic(folder / "weights.safetensors", tensors_as_bytes(weights))
    for index, picture in enumerate(task.pictures):
        draw(picture, network, sets[picture.test_set], folder / f"picture-{index}.png")
    metrics = {name: means(of_set, volumes.get(name, {})) for name, of_set in scores.items()}
    branches = branches_of(training, val)
    total = time.perf_counter() - began
    more: dict[str, Any] = {"metrics": metrics, "images": scores, "volumes": volumes, "branches": branches}
    if training.broke_off_at is not None:
        more["reason"] = (
            f"training diverged again, at a third of the rate, at step {training.broke_off_at}; the branch of "
            f"{training.trained_steps} steps is the result; lower recipe.lr (it was {run.lr:g})"
        )
    return _result(task, training, "done", **more, seconds=total)


def branches_of(training: Training, val: EvaluationSet) -> tuple[Branch, ...]:
    """The branches of a run with the policy ``converge``, the error of the last gain measured image by image."""
    kept = [] if training.branching is None else training.branching.kept
    branches = []
    for index, branch in enumerate(kept):
        gain = branch.psnr - kept[index - 1].psnr if index else None
        branches.append(
            Branch(trunk=branch.trunk, steps=branch.steps, best_step=branch.best_step, psnr=branch.psnr, gain=gain)
        )
    if len(kept) > 1 and kept[-1].best_step != kept[-2].best_step and len(val.pixels) > 1:
        values = []
        for branch in kept[-2:]:
            training.network.load_state_dict(branch.weights)
            values.append(psnr_by_image(training.network, val, training.device))
        differences = values[1] - values[0]
        error = float(differences.std() / len(differences) ** 0.5)
        branches[-1] = branches[-1].model_copy(update={"gain_error": error})
    return tuple(branches)


def _result(task: Task, training: Training, status: str, *, seconds: float = 0.0, **more: Any) -> Result:
    size = size_of(task.run.network, input_spec(task.run.problem, task.images.channels))
    times = {kind: round(spent, 3) for kind, spent in training.clock.spent.items()}
    return Result(
        status=status,  # type: ignore[arg-type]
        run=task.run,
        p=size.p,
        flops=size.flops,
        steps=training.trained_steps,
        samples=training.trained_steps * task.run.recipe.batch,
        best_step=training.best_step,
        restarts=training.restarts,
        validation=tuple(training.curve),
        provenance={**provenance(task), "precision": training.precision},
        times={**times, "process": round(seconds, 3)},
        memory=memory_of(torch.device(task.placement.device)),
        **more,
    )


def _failed(task: Task, reason: str) -> Result:
    size = size_of(task.run.network, input_spec(task.run.problem, task.images.channels))
    return Result(status="failed", run=task.run, p=size.p, flops=size.flops, reason=reason, provenance=provenance(task))


def provenance(task: Task) -> dict[str, Any]:
    """What else may decide the last digits of a result."""
    device = task.placement.device
    name = platform.machine()
    if device == "cuda":  # where jobs of Slurm are submitted there may be no GPU
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else "not known"
    return {
        "versions": {package: _version(package) for package in ("reconscale", "torch", "deepinv", "numpy")},
        "python": platform.python_version(),
        "device": device,
        "hardware": name,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": task.placement.threads,
        **({"stack": task.placement.stack} if task.placement.stack > 1 else {}),
        **({"devices": task.placement.devices} if task.placement.devices > 1 else {}),
        "precision": task.placement.precision,
        "images": task.images.digest,
        **({"plugins": dict(task.code)} if task.code else {}),
    }


def memory_of(device: torch.device) -> float:
    """Bytes of this process at its largest; on a GPU those that it has taken of the card."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved()) + CONTEXT
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(largest * (1 if sys.platform == "darwin" else 1024))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__


def asked_to_stop() -> Callable[[], bool]:
    """A question that becomes true at the first SIGTERM; the run then keeps its state and ends."""
    asked = False

    def note(*_: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return lambda: asked
