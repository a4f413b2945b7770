"""Files that are either whole or not there, and JSON that is only JSON."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from reconscale.mistakes import Mistake


def write_whole(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` so that no reader ever sees half of it.

    The content goes to a temporary name beside ``path``, is flushed to the disk and then renamed.

    Raises:
        Mistake: the folder cannot be written to, or the disk is full; ``path`` is as it was before.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise Mistake(
            path, f"cannot be written ({reason})", "free the disk or choose a folder you may write to"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def to_json(value: Any) -> str:
    """Strict, readable JSON: sorted keys, two spaces, no NaN or infinity.

    Raises:
        ValueError: ``value`` holds a number that JSON cannot spell.
    """
    return json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_json(path: Path, remedy: str = "delete it, or restore it from a copy") -> Any:
    """The content of a strict JSON file.

    Args:
        path: the file.
        remedy: what to advise where it is damaged.

    Raises:
        Mistake: the file is missing, unreadable, or not strict JSON (NaN and infinity are refused).
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise Mistake(path, f"cannot be read ({error.strerror})", "check the path") from error
    except ValueError as error:
        raise Mistake(path, f"is not valid JSON ({error})", remedy) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
