"""Atomic writes, bounded reads and strict JSON."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from reconscale.errors import UserError

MOST_JSON = 64 << 20
"""Bytes of a JSON file that is read."""


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` so that no reader ever sees half of it.

    The content goes to a temporary name beside ``path``, is flushed to the disk and then renamed.

    Raises:
        UserError: the folder cannot be written to, or the disk is full; ``path`` is as it was before.
    """
    # Names of files that are not UTF-8 hold lone surrogates, which cannot be written.
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
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
        raise UserError(
            path, f"cannot be written ({reason})", "free the disk or choose a folder you may write to"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_limited(path: Path, most: int, remedy: str = "check the path") -> bytes:
    """The content of a regular file: pipes and devices, which may never end, are refused.

    Args:
        path: the file.
        most: bytes that it may have.
        remedy: what to advise where it cannot be read.

    Raises:
        UserError: the file is missing, unreadable, too large, or no regular file.
    """
    try:
        status = path.stat()
        if status.st_size > most:
            raise UserError(path, f"has {status.st_size:,} bytes", f"at most {most:,} are read")
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise UserError(path, "is not a regular file", "give a file")
        return path.read_bytes()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", remedy) from error


def to_json(value: Any) -> str:
    """Strict, readable JSON: sorted keys, two spaces, no NaN or infinity.

    Raises:
        ValueError: ``value`` holds a number that JSON cannot spell.
    """
    return _spelt(value, 0) + "\n"


SCALARS = {str, int, float, bool, type(None)}
"""Types that hold nothing; asked first, as tables have millions of cells."""


def _spelt(value: Any, depth: int) -> str:
    """What ``json.dumps(value, indent=2, sort_keys=True)`` gives, six times faster.

    The standard library indents in Python, and encodes in C where nothing is indented: what holds no further lists or
    tables is encoded so, with a line's end and its indentation as the separator.
    """
    if not isinstance(value, dict | list | tuple) or not value:
        return json.dumps(value, allow_nan=False)
    inside = value.values() if isinstance(value, dict) else value
    pad, end = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    if SCALARS.issuperset(map(type, inside)) or not any(isinstance(each, dict | list | tuple) for each in inside):
        text = _encoder(depth + 1).encode(value)
        return f"{text[0]}{pad}{text[1:-1]}{end}{text[-1]}"
    if not isinstance(value, dict):
        return f"[{pad}{f',{pad}'.join(_spelt(each, depth + 1) for each in value)}{end}]"
    lines = (f"{json.dumps(_key(key))}: {_spelt(each, depth + 1)}" for key, each in sorted(value.items()))
    return f"{{{pad}{f',{pad}'.join(lines)}{end}}}"


@cache
def _encoder(depth: int) -> json.JSONEncoder:
    separators = (",\n" + "  " * depth, ": ")
    return json.JSONEncoder(sort_keys=True, allow_nan=False, separators=separators)


def _key(key: Any) -> str:
    """The name that JSON gives to a key: numbers, truth values and None are spelt as they are elsewhere."""
    return key if isinstance(key, str) else str(json.dumps(key, allow_nan=False))


def json_digest(value: Any) -> str:
    """SHA-256, in hexadecimal, of a JSON value; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def read_json(path: Path, remedy: str = "delete it, or restore it from a copy") -> Any:
    """The content of a strict JSON file.

    Args:
        path: the file.
        remedy: what to advise where it is damaged.

    Raises:
        UserError: the file is missing, unreadable, or not strict JSON (NaN, infinity and 1e400 are refused).
    """
    text = read_limited(path, MOST_JSON)
    try:
        return json.loads(text.decode(), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)
    except RecursionError as error:
        raise UserError(path, "is nested too deeply", remedy) from error
    except ValueError as error:
        raise UserError(path, f"is not valid JSON ({error})", remedy) from error


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


def _whole(text: str) -> int:
    if len(text) > 300:  # no float holds it
        raise ValueError(f"a whole number of {len(text)} digits is too large")
    return int(text)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
