"""Text of a TOML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def write_toml(content: Mapping[str, Any], comment: str) -> str:
    """The text of a TOML file: a comment, values, then tables; a list of tables is written as one."""
    lines, tables = [f"# {comment}"], list[str]()
    for key, value in content.items():
        several = isinstance(value, Sequence) and not isinstance(value, str) and value and isinstance(value[0], Mapping)
        if isinstance(value, Mapping) or several:
            for table in value if several else (value,):
                tables += ["", f"[[{key}]]" if several else f"[{key}]"]
                tables += [f"{name} = {_toml(entry)}" for name, entry in table.items() if entry is not None]
        elif value is not None:
            lines.append(f"{key} = {_toml(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.encode(errors="backslashreplace").decode()
        return '"' + "".join(_ESCAPES.get(char, char) for char in escaped) + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(entry)}" for name, entry in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\"} | {chr(code): f"\\u{code:04x}" for code in (*range(32), 127)}
