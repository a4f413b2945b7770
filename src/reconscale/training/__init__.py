"""From a run to a result: recipes, training, checkpoints, evaluation, executors."""

from reconscale.training.apply import reconstruct
from reconscale.training.hooks import Hooks, Interrupted
from reconscale.training.loop import Training
from reconscale.training.placement import ExecutionConfig
from reconscale.training.sweep import plan, prepare, run

__all__ = ["ExecutionConfig", "Hooks", "Interrupted", "Training", "plan", "prepare", "reconstruct", "run"]
