"""What griffe does not read as we write it: examples in docstrings, and methods that are functions elsewhere."""

from __future__ import annotations

import copy
import re
from typing import Any

import griffe

# From a prompt to the next empty line.
EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *\n| *$).*)*", re.MULTILINE)


def fenced(text: str) -> str:
    """Text in which every example of doctest is a block of code."""
    return EXAMPLE.sub(lambda found: f"{found[1]}```python\n{found.group()}\n{found[1]}```", text)


class House(griffe.Extension):
    """Fences examples, and gives classes the methods that they take from functions (``forecast = forecast_curve``)."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object of the source, once."""
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Called when the whole package has been read."""
        for found in classes_of(pkg):
            for name, member in list(found.members.items()):
                if member.is_alias or not member.is_attribute or not isinstance(member.value, griffe.ExprName):
                    continue
                try:
                    target = loader.modules_collection[member.value.canonical_path]
                    target = target.final_target if target.is_alias else target
                except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
                    continue  # a value of another package, or a constant
                if target.is_function:
                    method = copy.copy(target)
                    method.name = name
                    found.set_member(name, method)


def classes_of(module: griffe.Module) -> list[griffe.Class]:
    """All classes of a package."""
    own = [member for member in module.members.values() if not member.is_alias]
    found = [member for member in own if member.is_class]
    return found + [one for member in own if member.is_module for one in classes_of(member)]
