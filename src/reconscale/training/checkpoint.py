"""Checkpoints: all that a killed run needs to go on as if nothing had happened."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from reconscale.files import write_whole

NAME = "checkpoint.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values; the old one stays until the new one is whole.

    Raises:
        Mistake: the folder cannot be written to.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(folder / NAME, buffer.getvalue())


def load(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The checkpoint of a run, or none where there is none.

    A damaged one is set aside under the name ``checkpoint.damaged``, and the run starts anew. Nothing is unpickled
    but tensors and plain values.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        state: Any = torch.load(path, map_location=device, weights_only=True)
    except MemoryError:
        raise
    except Exception:  # torch raises classes of every kind on damaged files
        state = None
    if isinstance(state, dict):
        return state
    path.replace(folder / "checkpoint.damaged")
    return None


def remove(folder: Path) -> None:
    """Delete the checkpoint of a run that is over."""
    (folder / NAME).unlink(missing_ok=True)
