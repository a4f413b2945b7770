"""Where and how a study runs: machine, workers, threads, devices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from reconscale.errors import UserError
from reconscale.machine import cores
from reconscale.training.executors.base import Executor, Tell
from reconscale.training.executors.local import Local
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

    data: Path | None = None
    device: str = "auto"
    workers: int | None = None
    threads: int = 1
    devices: int = 1
    stack: int | None = None
    keep_seconds: float = 30.0
    tracker: str | None = None
    ray: str | None = None
    slurm: tuple[str, ...] = ()

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
        data = self.data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)
        return replace(self, data=data, device=self._known_device(), stack=self._known_stack())

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
        there = torch.cuda.is_available()
        if self.device == "cuda" and not there:
            raise UserError("--device", "found 'cuda'", "torch sees no GPU here; use --device cpu")
        device = self.device if self.device != "auto" else ("cuda" if there else "cpu")
        if device == "cuda" and self.devices > torch.cuda.device_count():
            raise UserError("--devices", f"found {self.devices}", f"this machine has {torch.cuda.device_count()} GPUs")
        return device

    @contextmanager
    def executor(self, tell: Tell) -> Iterator[Executor]:
        """The executor of the runs, for a while.

        Raises:
            UserError: it cannot be had.
        """
        if self.ray:
            from reconscale.training.executors.ray import ray_executor

            with ray_executor(self, tell) as cluster:
                yield cluster
            return
        if self.slurm:
            from reconscale.training.executors.slurm import Slurm
            from reconscale.training.executors.slurm_cli import parse_slurm

            yield Slurm(parse_slurm(self.slurm), tell, device=self.device)
            return
        yield Local(self._own_workers(), tell, device=self.device, devices=self._gpus())

    def _own_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        if self.device == "cuda":
            return max(1, torch.cuda.device_count() // self.devices)
        return max(1, cores() // (self.threads * self.devices))

    def _gpus(self) -> tuple[str, ...]:
        """The GPUs that workers share out, by number; none where a run takes several, or there is only one."""
        count = torch.cuda.device_count() if self.device == "cuda" and self.devices == 1 else 0
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        known = tuple(seen.split(",")) if seen else tuple(str(number) for number in range(count))
        return known if count > 1 else ()
