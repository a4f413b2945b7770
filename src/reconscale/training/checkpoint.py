"""Checkpoints: the complete state of a run."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reconscale.errors import DamagedFileError
from reconscale.files import write_atomic
from reconscale.results.probes import PROBES
from reconscale.results.results_folder import CHECKPOINTS
from reconscale.results.trunks import TRUNK, trunk_pattern

NAME, BEFORE = CHECKPOINTS
DAMAGED = "checkpoint.damaged"
"""Where a checkpoint is set aside that cannot be used."""


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values, with a SHA-256 over them at its end.

    The last one stays as the one before, so that a disk that damages a file costs no more than the time between two.

    Raises:
        UserError: the folder cannot be written to; the last checkpoint is still there.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    fresh = folder / f"{NAME}.new"
    write_atomic(fresh, content + hashlib.sha256(content).digest())
    if (folder / NAME).is_file():
        (folder / NAME).replace(folder / BEFORE)
    fresh.replace(folder / NAME)


def load(folder: Path, device: torch.device) -> tuple[dict[str, Any] | None, bool]:
    """The checkpoint of a run, and whether a damaged one was met on the way.

    A damaged one is renamed to ``checkpoint.damaged``; the run continues from the one before, or from the start.
    Nothing is unpickled but tensors and plain values.
    """
    damaged = False
    for name in (NAME, BEFORE):
        path = folder / name
        if not path.is_file():
            continue
        state = _read(path, device)
        if state is not None:
            return state, damaged
        damaged = True
        path.replace(folder / DAMAGED)
    return None, damaged


def keep_trunk(folder: Path) -> None:
    """Keep the last checkpoint of a run that is over and has branches: :func:`find_trunk` finds it."""
    if (folder / NAME).is_file():
        (folder / NAME).replace(folder / TRUNK)


def find_trunk(folder: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """The state of a run beside this one that differs in when it ends alone; the longest where there are several.

    Args:
        folder: of the run that begins.
        key: of its trunk (``study.trunks.trunk_key``); empty: it has none. Probes find those of the study.
        device: where tensors go.
    """
    best: dict[str, Any] | None = None
    places = [folder.parent, *([folder.parent.parent] if folder.parent.name == PROBES else [])]
    for path in sorted(path for place in places for path in place.glob(trunk_pattern(folder.name))) if key else ():
        try:
            state = _read(path, device)
        except OSError:  # a folder, or not to be read: what it would save is computed again
            continue
        if state is None or state.get("trunk") != key:
            continue
        if best is None or state["computed"] > best["computed"]:
            best = state
    return best


def remove(folder: Path) -> None:
    """Delete the checkpoints of a run that is over."""
    for name in (NAME, BEFORE, f"{NAME}.new"):
        (folder / name).unlink(missing_ok=True)


def _read(path: Path, device: torch.device) -> dict[str, Any] | None:
    whole = path.read_bytes()
    content, digest = whole[:-32], whole[-32:]
    if hashlib.sha256(content).digest() != digest:  # torch reads a file with a flipped bit without a message
        return None
    try:
        state: Any = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except MemoryError:
        raise
    except Exception:  # torch raises classes of every kind on damaged files
        return None
    return state if isinstance(state, dict) else None


class InputGuard:
    """Remembers the files of the images as a run found them.

    Nothing that was computed after one of them has changed may be kept: the images are read through memory maps, so
    whoever overwrites them changes what training sees.

    Args:
        paths: the files.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._seen = {path: _stamp(path) for path in paths}

    def check(self) -> None:
        """Compare them with what was found.

        Raises:
            DamagedFileError: one has changed, or is gone.
        """
        for path, stamp in self._seen.items():
            now = _stamp(path)
            if now != stamp or now is None:
                what = "is gone" if now is None else "has changed while runs were reading it"
                remedy = "restore the images (`reconscale data STUDY --verify` finds damaged ones), and run again: "
                raise DamagedFileError(path, what, remedy + "what was kept before is good")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
