"""What this machine has."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_count() -> int:
    """NVIDIA GPUs that this process may use. Torch is asked where it is loaded, and not loaded for it."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    there = len(list(Path("/dev").glob("nvidia[0-9]*")))
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return there if seen is None else min(there, sum(name.strip() not in ("", "-1") for name in seen.split(",")))
