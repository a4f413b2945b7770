"""Items of a study that other code trains: paths, ids or indices, and which of them are held out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import PurePath
from typing import Any

import numpy as np

from reconscale.errors import UserError, check_int

MOST_ITEMS = 100_000_000
"""Items that a list may have."""
HeldOut = int | Iterable[Any]
"""How many items are drawn for a set, or the items of the set."""


def list_items(items: Any) -> list[Any]:
    """The items as a list.

    Raises:
        UserError: they are no sequence of paths, ids or indices.
    """
    if isinstance(items, Integral) and not isinstance(items, bool):
        return list(range(check_int("items", items, 1, MOST_ITEMS)))
    remedy = "give a list of paths or ids, or a number N for the indices 0 to N - 1"
    if hasattr(items, "columns"):  # it would be iterated over by the names of its columns
        raise UserError("items", "found a table", "give one of its columns, or its length")
    if isinstance(items, str | bytes | PurePath | Mapping) or not hasattr(items, "__iter__"):
        what = repr(items)[:60] if isinstance(items, str | PurePath) else f"a {type(items).__name__}"
        more = "; of a data set give len(data), and use the indices in train" if hasattr(items, "__getitem__") else ""
        raise UserError("items", f"found {what}", remedy + more)
    found = []
    for position, item in enumerate(items):
        name_of(item, position)  # before the rest is read: a data set of images may be meant
        found.append(_plain(item))
    if not found:
        raise UserError("items", "the list is empty", remedy)
    return found


def name_of(item: Any, position: int, where: str = "items") -> str:
    """The name of an item: of a path as it is written, but for ``./`` and the like.

    Args:
        item: the item.
        position: its number in the list, for messages.
        where: what messages call the list.

    Raises:
        UserError: it is neither a path, nor an id, nor a number.
    """
    if isinstance(item, tuple) and item:
        return "/".join(name_of(part, position, where) for part in item)
    if isinstance(item, bool | bytes) or not isinstance(item, str | PurePath | Integral):
        raise UserError(f"{where}, number {position}", f"found a {type(item).__name__}",
                        "give paths, ids or numbers, and read the data in train; for the items of a data set give its "
                        "length")  # fmt: skip
    text = str(item).encode(errors="backslashreplace").decode()  # names of files need not be UTF-8
    return os.path.normpath(text) if "/" in text else text


def _plain(item: Any) -> Any:
    """The item without numpy's types."""
    if isinstance(item, np.generic):
        return item.item()
    return item


def labels_of(groups: Any, count: int) -> list[str]:
    """The group of each item.

    Raises:
        UserError: there is not one label for each.
    """
    remedy = "give one label for each item: a patient, a scene, ..."
    if isinstance(groups, str | bytes | Mapping) or not hasattr(groups, "__iter__"):
        raise UserError("groups", f"found a {type(groups).__name__}", remedy)
    labels = list(groups)
    if len(labels) != count:
        raise UserError("groups", f"found {len(labels)} labels for {count} items", remedy)
    for position, label in enumerate(labels):
        if label is None or label != label or str(label) == "":
            raise UserError(f"groups, number {position}", f"found {label!r}", remedy)
    return [str(label) for label in labels]


def refuse_repeated(names: Sequence[str]) -> None:
    """Refuse a list that has an item twice.

    Raises:
        UserError: as said.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError("items", f"'{name}' is given twice", "give each item once, or it could be trained on and "
                            "tested on")  # fmt: skip
        seen.add(name)


def held_out(where: str, given: HeldOut, names: Sequence[str], least: int) -> int | tuple[int, ...]:
    """What ``val`` or ``test`` says: a number of items, or the positions of those that are listed, sorted.

    Args:
        where: ``val`` or ``test``.
        given: a number, or items.
        names: of all items.
        least: the smallest number.

    Raises:
        UserError: neither; a list is empty, has an item twice, or one that is not among all items.
    """
    if isinstance(given, np.ndarray) and given.ndim == 0:
        given = given.item()
    if isinstance(given, Integral | float | str | bytes | PurePath | Mapping) or not hasattr(given, "__iter__"):
        if isinstance(given, Integral | float):
            return check_int(where, given, least)
        what = f"found {str(given)!r}"[:80] if isinstance(given, str | PurePath) else f"found a {type(given).__name__}"
        raise UserError(where, what, "give a number of items, or a list of items")
    if hasattr(given, "columns"):
        raise UserError(where, "found a table", "give one of its columns")
    positions = {name: position for position, name in enumerate(names)}
    found: dict[int, None] = {}
    for number, item in enumerate(given):
        if isinstance(item, bool | np.bool_):
            raise UserError(where, f"found {item}", "give the items themselves, not True or False for each")
        name = name_of(_plain(item), number, where)
        if name not in positions:
            remedy = f"give items that are among them, such as '{names[0]}'"
            raise UserError(where, f"'{name}' is none of the {len(names)} items", remedy)
        if positions[name] in found:
            raise UserError(where, f"'{name}' is given twice", "give each item once")
        found[positions[name]] = None
    if not found:
        remedy = f"give at least one item, or {where}=0 for none" if least == 0 else "give at least one item"
        raise UserError(where, "the list is empty", remedy)
    return tuple(sorted(found))
