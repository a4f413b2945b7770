"""How many runs go side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from reconscale.errors import UserError
from reconscale.training.calibrate import RunCost
from reconscale.training.executors.base import Executor
from reconscale.training.placement import ExecutionConfig

SHARE = 0.9
"""Of the free memory that runs may take."""
MOST = 8
"""Runs on one GPU at most."""


def choose_workers(
    executor: Executor, where: ExecutionConfig, measured: Mapping[str, RunCost], stacked: int = 1
) -> float:
    """Set how many processes go side by side, where the user has not said so.

    On a CPU as many as there are cores for, less where memory does not allow it; on a GPU as many as its memory
    allows, with at most ``MOST`` runs in all: a small network leaves most of a card idle.

    Args:
        executor: the executor of the runs.
        where: what the user has said.
        measured: what processes take, by run.
        stacked: runs that one process trains in one pass.

    Returns:
        The share of a GPU that a process gets; 1 on a CPU.

    Raises:
        UserError: not even one run fits into memory.
    """
    need = max((pace.memory for pace in measured.values()), default=0.0)
    if executor.device == "cuda":
        if where.workers is None and where.devices == 1 and need:
            (total,) = executor.apply(gpu_memory)  # asked where runs will be: this machine may have no GPU
            each = max(1, min(MOST // stacked, int(SHARE * (total or 0.0) / need)))
            executor.workers *= each
            return 1 / each
        return 1.0
    free = free_memory()
    if where.ray is None and not where.slurm and need and free:
        room = int(SHARE * free / need)
        if room < 1:
            remedy = "lower recipe.batch, images.patch or sweep.width" + ", or --stack" * (stacked > 1)
            what = "a run needs" if stacked == 1 else f"{stacked} runs in one pass need"
            raise UserError("memory", f"{what} {need / 1e9:.1f} GB and {free / 1e9:.1f} GB are free", remedy)
        if where.workers is None:
            executor.workers = min(executor.workers, room)
    return 1.0


def free_memory() -> float:
    """Bytes of memory that processes may still take; 0 where the system does not say."""
    path = Path("/proc/meminfo")
    if not path.is_file():
        return 0.0
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * int(line.split()[1])
    return 0.0


def gpu_memory() -> float:
    """Bytes of the first GPU; 0 where there is none."""
    return float(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0.0
