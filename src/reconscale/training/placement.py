"""Where and how a study runs: machine, workers, threads, devices."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from reconscale.errors import UserError
from reconscale.machine import cores, gpu_count
from reconscale.training.executors.base import Executor, Tell
from reconscale.training.executors.local import LocalExecutor
from reconscale.training.executors.processes import PRELOAD
from reconscale.training.tracking import TRACKERS

MOST_STACKED = 64
"""Runs in one pass, at most."""


@dataclass(frozen=True)
class ExecutionConfig:
    """Where and how a study is run.

    Attributes:
        data: root of the folders that the study names; none: ``$RECONSCALE_DATA``.
        device: ``cpu``, ``cuda``, or ``auto``: a GPU where there is one.
        workers: runs side by side; none: as many as there are cores and memory for, on GPUs as many as their memory
            holds, on a cluster as many as it has room for.
        threads: CPU threads of a run.
        devices: processes that a run is divided among, on a GPU each; the batch is divided, not multiplied.
        stack: runs of equal shape that are trained in one pass, at most; none: on a CPU one, on a GPU what is measured.
        keep_seconds: time between checkpoints.
        tracker: a name in ``TRACKERS``, or none.
        ray: run on Ray: ``auto`` (a running cluster, else one on this machine) or the address of one.
        slurm: run in the Slurm queue: ``key=value`` items, see ``slurm_options``; empty: not.
    """

    data: str | Path | None = None
    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    devices: int = 1
    stack: int | None = None
    keep_seconds: float = 30.0
    tracker: str | None = None
    ray: str | None = None
    slurm: tuple[str, ...] = ()

    @property
    def data_folder(self) -> Path | None:
        """The root of the folders that the study names, as a path."""
        return Path(self.data) if self.data else None

    def resolved(self) -> ExecutionConfig:
        """The same with the data folder known, and with the device known where it is this machine's.

        Raises:
            UserError: a value that cannot be.
        """
        if self.device not in ("auto", "cpu", "cuda"):
            raise UserError("--device", f"found '{self.device}'", "known here: auto, cpu, cuda")
        if self.tracker not in (None, *TRACKERS):
            raise UserError("--track", f"found '{self.tracker}'", f"known here: {', '.join(TRACKERS)}")
        if self.threads < 1 or (self.workers is not None and self.workers < 1):
            raise UserError("--workers and --threads", "found a number below 1", "give at least 1")
        if self.devices < 1:
            raise UserError("--devices", f"found {self.devices}", "give at least 1")
        if not 0 <= self.keep_seconds < float("inf"):
            raise UserError("--checkpoint-seconds", f"found {self.keep_seconds:g}", "give 0 or more seconds")
        named = self.data or os.environ.get("RECONSCALE_DATA")
        data = Path(named) if named else None
        known = {"data": data, "device": self._known_device(), "stack": self._known_stack()}
        return ExecutionConfig(**{item.name: getattr(self, item.name) for item in fields(self)} | known)

    def _known_stack(self) -> int | None:
        """One where runs go one by one in any case."""
        if self.stack is not None and not 1 <= self.stack <= MOST_STACKED:
            raise UserError("--stack", f"found {self.stack}", f"give a number from 1 to {MOST_STACKED}, or auto")
        reasons = {
            "--devices": self.devices > 1,
            "--ray": self.ray is not None,
            "--slurm": bool(self.slurm),
            f"--track {self.tracker}": self.tracker in ("wandb", "mlflow"),  # they have one run a process
        }
        for flag in (flag for flag, given in reasons.items() if given):
            if self.stack is not None and self.stack > 1:
                raise UserError("--stack", f"found {self.stack}", f"with {flag}, runs go one by one: leave it out")
            return 1
        return self.stack

    def _known_device(self) -> str:
        if self.ray and self.slurm:
            raise UserError("--ray and --slurm", "found both", "give one: Ray may run within a job of Slurm")
        if self.slurm:
            return "cpu" if self.device == "auto" else self.device  # this machine's GPU says nothing of the nodes'
        return self.device if self.ray else self._own_device()

    def _own_device(self) -> str:
        there = gpu_count()
        if self.device == "cuda" and not there:
            raise UserError("--device", "found 'cuda'", "torch sees no GPU here; use --device cpu")
        device = self.device if self.device != "auto" else ("cuda" if there else "cpu")
        if device == "cuda" and self.devices > there:
            raise UserError("--devices", f"found {self.devices}", f"this machine has {there} GPUs")
        return device

    @contextmanager
    def executor(self, tell: Tell, preload: Sequence[str] = PRELOAD) -> Iterator[Executor]:
        """The executor of the runs, for a while.

        Args:
            tell: takes the events of the runs.
            preload: modules that workers on this machine find loaded.

        Raises:
            UserError: it cannot be had.
        """
        if self.ray:
            from reconscale.training.executors.ray import ray_executor

            with ray_executor(self, tell) as cluster:
                yield cluster
            return
        if self.slurm:
            from reconscale.training.executors.slurm import SlurmExecutor
            from reconscale.training.executors.slurm_cli import parse_slurm

            yield SlurmExecutor(parse_slurm(self.slurm), tell, device=self.device)
            return
        workers, gpus = self._own_workers(), self._gpus()
        yield LocalExecutor(workers, tell, device=self.device, devices=gpus, preload=preload)

    def _own_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        if self.device == "cuda":
            return max(1, gpu_count() // self.devices)
        return max(1, cores() // (self.threads * self.devices))

    def _gpus(self) -> tuple[str, ...]:
        """The GPUs that workers share out, by number; none where a run takes several, or there is only one."""
        count = gpu_count() if self.device == "cuda" and self.devices == 1 else 0
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        known = tuple(seen.split(",")) if seen else tuple(str(number) for number in range(count))
        return known if count > 1 else ()


class Local(ExecutionConfig):
    """An ``ExecutionConfig`` for this machine.

    Args:
        workers: runs side by side, each in a process of its own; none: as many as there are cores (and, of a study of
            ours, memory) for. Of ``measure``: 1 stays in the process that calls.
        threads: CPU threads of a run.
        device: ``cpu``, ``cuda`` or ``auto``.
        data: root of the folders that the study names; none: ``$RECONSCALE_DATA``.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        threads: int = 1,
        device: str = "auto",
        data: str | Path | None = None,
    ) -> None:
        super().__init__(workers=workers, threads=threads, device=device, data=data)


class Ray(ExecutionConfig):
    """An ``ExecutionConfig`` for Ray.

    Args:
        address: of the cluster; ``auto``: the one that is running, else one on this machine.
        workers: runs side by side; none: as many as there is room for.
        threads: CPU threads of a run.
        device: ``cpu``, ``cuda`` or ``auto``.
        data: root of the folders that the study names; none: ``$RECONSCALE_DATA``.
    """

    def __init__(
        self,
        address: str = "auto",
        *,
        workers: int | None = None,
        threads: int = 1,
        device: str = "auto",
        data: str | Path | None = None,
    ) -> None:
        super().__init__(ray=address, workers=workers, threads=threads, device=device, data=data)


class Slurm(ExecutionConfig):
    """An ``ExecutionConfig`` for the Slurm queue.

    Args:
        options: ``key=value`` items as of ``--slurm``: ``rs.Slurm("partition=gpu,time=2:00:00")``.
        threads: CPU threads of a run.
        device: ``cpu``, ``cuda`` or ``auto``, which here is ``cpu``.
        data: root of the folders that the study names; none: ``$RECONSCALE_DATA``.
    """

    def __init__(self, *options: str, threads: int = 1, device: str = "auto", data: str | Path | None = None) -> None:
        super().__init__(slurm=options or ("wait=yes",), threads=threads, device=device, data=data)
