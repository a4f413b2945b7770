"""Docstrings as Markdown: examples become blocks of code (an extension of griffe, which reads them)."""

from __future__ import annotations

import re
from typing import Any

import griffe

# From a prompt to the next empty line.
EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *\n| *$).*)*", re.MULTILINE)


def fenced(text: str) -> str:
    """Text in which every example of doctest is a block of code."""
    return EXAMPLE.sub(lambda found: f"{found[1]}```python\n{found.group()}\n{found[1]}```", text)


class FencedExamples(griffe.Extension):
    """Fences the examples of every docstring that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object of the source, once."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
