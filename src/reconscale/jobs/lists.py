"""Lists of items in the forms that other trainers read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconscale.errors import UserError
from reconscale.files import write_atomic


@dataclass(frozen=True)
class Item:
    """An item of a command.

    Attributes:
        name: path below the root, or an id.
        path: where it is; an id as it is.
    """

    name: str
    path: str


def write_paths(place: Path, items: Sequence[Item]) -> Path:
    """A text file with a path a line."""
    return _lines(place.with_suffix(".txt"), [item.path for item in items])


def write_json(place: Path, items: Sequence[Item]) -> Path:
    """A JSON list of paths."""
    path = place.with_suffix(".json")
    write_atomic(path, json.dumps([item.path for item in items], indent=0) + "\n")
    return path


def write_fastmri(place: Path, items: Sequence[Item]) -> Path:
    """A text file with the name of a volume's file a line; the folder above them is a trainer's own setting."""
    return _lines(place.with_suffix(".txt"), [Path(item.path).name for item in items])


def write_basicsr(place: Path, items: Sequence[Item]) -> Path:
    """A ``meta_info`` file of BasicSR: a name below ``dataroot_gt`` a line, which ends at the first space.

    Raises:
        UserError: a name has a space.
    """
    for item in items:
        if " " in item.name:
            remedy = 'rename it, or use another command.list, such as "paths"'
            raise UserError(item.name, "has a space, and a meta_info file ends names there", remedy)
    return _lines(place.with_suffix(".txt"), [item.name for item in items])


def write_links(place: Path, items: Sequence[Item]) -> Path:
    """A folder of links to the items and to nothing else, as CAREamics reads a folder.

    Raises:
        UserError: links cannot be made there.
    """
    try:
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():  # of an earlier attempt
            old.unlink()
        for item in items:
            (place / item.name.strip("/").replace("/", "__")).symlink_to(item.path)
    except OSError as error:
        raise UserError(place, f"links cannot be made there ({error.strerror})",
                        'use another command.list, such as "paths"') from error  # fmt: skip
    return place


def _lines(path: Path, lines: Sequence[str]) -> Path:
    broken = [line for line in lines if "\n" in line or "\r" in line]
    if broken:
        raise UserError(repr(broken[0])[:80], "has a line end in its name", 'rename it, or set command.list = "json"')
    write_atomic(path, b"".join(os.fsencode(line) + b"\n" for line in lines))  # names need not be UTF-8
    return path


WRITERS: dict[str, Callable[[Path, Sequence[Item]], Path]] = {
    "paths": write_paths,
    "json": write_json,
    "fastmri": write_fastmri,
    "basicsr": write_basicsr,
    "links": write_links,
}
"""``command.list`` -> what writes a list."""
