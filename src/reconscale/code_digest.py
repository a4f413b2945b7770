"""What code is: the text of Python files without what changes no number, and its SHA-256."""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import os
import textwrap
import tokenize
from importlib.util import find_spec
from pathlib import Path

from reconscale.errors import UserError

MOST_BYTES = 1 << 20
"""Bytes of a file of parts."""


def read_code(path: Path) -> str:
    """The text of a Python file, in the encoding that it names.

    Raises:
        UserError: it cannot be read, has more than ``MOST_BYTES`` bytes, or is not Python text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            path, f"cannot be read ({error.strerror})", "give --plugin the path of a Python file"
        ) from error
    if len(content) > MOST_BYTES:
        raise UserError(path, f"has {len(content):,} bytes", f"a file of parts has at most {MOST_BYTES:,}")
    try:
        with io.BytesIO(content) as stream:
            encoding, _ = tokenize.detect_encoding(stream.readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise UserError(path, "is not Python text", "save it as UTF-8") from error


def code_of(text: str) -> str:
    r"""A Python text without comments, blank lines and space at the end of lines: what may change numbers.

    >>> code_of("a = 1  # one\n\n# two\nb = '#'")
    "a = 1\nb = '#'"
    """
    lines = text.splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError, IndexError):  # it will not run either
        return text
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _digest(parts: dict[str, str]) -> str:
    content = "\0".join(f"{name}\0{code_of(parts[name])}" for name in sorted(parts))
    return hashlib.sha256(content.encode(errors="backslashreplace")).hexdigest()


def digest_of_file(path: Path, text: str) -> str:
    """SHA-256 of a text and of the modules beside its file that it imports; comments and blank lines do not count."""
    beside = {os.path.relpath(other, path.parent): read_code(other) for other in files_beside(path, text)}
    return _digest({"": text, **beside})


def digest_of_package(module: str) -> str:
    """SHA-256 of all Python files of the package that a module belongs to.

    Raises:
        UserError: it is not installed.
    """
    top = module.partition(".")[0]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError) as error:
        raise UserError("--plugin", f"the module '{module}' is not there", "install the package again") from error
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    files = {path.relative_to(folder).as_posix(): path for folder in folders for path in folder.rglob("*.py")}
    if spec and not folders and spec.origin and Path(spec.origin).is_file():
        files = {"": Path(spec.origin)}
    if not files:
        raise UserError("--plugin", f"the module '{module}' is not there", "install the package again")
    return _digest({name: read_code(path) for name, path in files.items()})


def files_beside(path: Path, text: str) -> list[Path]:
    """The files beside a file of parts that it imports, and that these import; sorted."""
    found: set[Path] = set()
    waiting = [text]
    while waiting:
        try:
            tree = ast.parse(waiting.pop())
        except (SyntaxError, ValueError, RecursionError):  # said when it is run
            continue
        for name in _imported(tree):
            stem = path.parent.joinpath(*name.split("."))
            for file in (stem.with_suffix(".py"), stem / "__init__.py"):
                if file.is_file() and file != path and file not in found:
                    found.add(file)
                    waiting.append(read_code(file))
    return sorted(found)


def _imported(tree: ast.AST) -> set[str]:
    """The modules that a text may import, with the packages above them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:count]) for name in names for count in range(1, name.count(".") + 2)}


def code_of_object(thing: object) -> str:
    """SHA-256 of the source of a class or function; empty where it cannot be read, as in an interactive session."""
    try:
        text = inspect.getsource(thing)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(code_of(textwrap.dedent(text)).encode(errors="backslashreplace")).hexdigest()
