"""What training can minimise: the registry of losses that compare with the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconscale.study.base import SELF_SUPERVISED

LOSSES: dict[str, str | Callable[..., Any]] = {
    "mse": "reconscale.training.losses:mse_loss",
    "l1": "reconscale.training.losses:l1_loss",
    "ssim": "reconscale.training.losses:ssim_loss",
}
"""The losses by the word in study files: functions of reconstructions (B, C, h, w), truths of the same shape and their
data ranges (B,) to one number with a gradient, or ``module:name`` of one. A new one is a function and an entry here."""


def known_losses() -> tuple[str, ...]:
    """The words that ``recipe.loss`` may be: the losses, and those that need no truth."""
    return (*LOSSES, *SELF_SUPERVISED)
