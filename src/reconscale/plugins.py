"""Objects named by ``module:name``, as entry points are: imported when they are needed, not before."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load_object(place: Any) -> Any:
    """What ``module:name`` names; anything but a text is the object itself.

    >>> load_object("math:tau") == load_object(load_object("math:tau"))
    True
    """
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
