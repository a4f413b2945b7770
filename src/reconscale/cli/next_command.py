"""Commands that are printed to be copied and pasted: complete, with every path quoted."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconscale.own_parts import loaded_plugins

if TYPE_CHECKING:
    from reconscale.results import Folder
    from reconscale.results.results_folder import AnyFolder
    from reconscale.study import Images

DEFAULT_FLAGS: dict[str, Any] = {
    "device": "auto",
    "threads": 1,
    "devices": 1,
    "stack": "auto",
    "checkpoint_seconds": 30.0,
}
"""Flags with their defaults, which a printed command leaves out."""


def command(*words: object, **flags: Any) -> str:
    """A command of reconscale.

    >>> command("run", "my study/study.toml", data="/my data", workers=None, probe=False)
    "reconscale run 'my study/study.toml' --data '/my data' --no-probe"

    Args:
        words: the verb and what it is given.
        flags: by their names; those that are none or as by default are left out. Plugins that are loaded are said.
    """
    said = ["reconscale", *map(str, words)]
    if words[0] in ("plan", "run", "data"):  # what reads results alone needs no parts of the user's own
        flags.setdefault("plugin", [plugin.place for plugin in loaded_plugins()])
    for name, given in flags.items():
        flag = name.replace("_", "-")
        for value in given if isinstance(given, list) else [given]:
            if isinstance(value, bool):
                said += [f"--{flag}" if value else f"--no-{flag}"]
            elif value is not None and value != DEFAULT_FLAGS.get(name):
                said += [f"--{flag}", str(value)]
    return shlex.join(said)


def stated_data(data: Path | None) -> Path | None:
    """The data folder of this command: as given, else ``$RECONSCALE_DATA``, so that another terminal finds it too."""
    return data or (Path(os.environ["RECONSCALE_DATA"]) if os.environ.get("RECONSCALE_DATA") else None)


def needs_data(images: Images) -> bool:
    """Whether the images of a study lie in a folder of the user's."""
    kinds = [images.of_source(name).kind for name in images.source_names] or [images.kind]
    return any(kind.needs_folder for kind in kinds) or bool(images.test_sets)


def remember_data(folder: Folder, images: Images, data: Path | None) -> None:
    """Note where the images lie, for commands that are printed later.

    Raises:
        UserError: the results folder cannot be written to.
    """
    from reconscale.results.results_folder import remember_place

    known = stated_data(data)
    if known is not None and needs_data(images):
        remember_place(folder.root, known)


def known_data(folder: Folder, images: Images) -> str | None:
    """The data folder for a command to print; ``FOLDER`` where nobody has said it yet, none where none is needed."""
    from reconscale.results.results_folder import known_place

    if not needs_data(images):
        return None
    stated = stated_data(None)
    if stated is not None:
        return str(stated)
    return str(known_place(folder.root) or "FOLDER")


def known_plugins(folder: AnyFolder[Any, Any]) -> list[str]:
    """What a command that trains needs: the plugins that are loaded, else those that the folder was trained with."""
    from reconscale.study.recorded_parts import recorded_places

    return [plugin.place for plugin in loaded_plugins()] or recorded_places(folder.root)
