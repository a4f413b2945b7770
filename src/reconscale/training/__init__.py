"""From a run to a result: recipes, training, checkpoints, evaluation, executors.

The public names are loaded when they are first used: executors are also for runs that need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reconscale.training.apply import reconstruct
    from reconscale.training.hooks import Hooks, Interrupted
    from reconscale.training.loop import Training
    from reconscale.training.placement import ExecutionConfig
    from reconscale.training.preparation import prepare
    from reconscale.training.sweep import plan, run

_HOME = {
    "reconstruct": "apply",
    **dict.fromkeys(("Hooks", "Interrupted"), "hooks"),
    "Training": "loop",
    "ExecutionConfig": "placement",
    "prepare": "preparation",
    **dict.fromkeys(("plan", "run"), "sweep"),
}

__all__ = ["ExecutionConfig", "Hooks", "Interrupted", "Training", "plan", "prepare", "reconstruct", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reconscale.training' has no attribute '{name}'")
    return getattr(import_module(f"reconscale.training.{_HOME[name]}"), name)
