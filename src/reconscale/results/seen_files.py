"""Whether the files of the images are those of the last run, as far as a look at their names and sizes says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.format import amount
from reconscale.results.results_folder import AnyFolder, known_place
from reconscale.study.images import Images

NAME = ".images-seen.json"
"""The file of a results folder."""


def remember_files(root: Path, images: Images, data: Path | None) -> None:
    """Note names and sizes of the files of the images, for commands that come later.

    Args:
        root: the results folder.
        images: the options.
        data: the folder that they lie below; none: they lie in no folder of the user's.

    Raises:
        UserError: the results folder cannot be written to.
    """
    seen = None if data is None else _look(images, data)
    if seen is not None:
        write_atomic(root / NAME, to_json(seen))


def changed_files(folder: AnyFolder[Any, Any], images: Images) -> str:
    """A sentence where files are others than at the last run; empty where they are the same, or nothing is known.

    A file whose content has changed and not its size is not noticed: whoever trains looks at the content.

    Args:
        folder: of the results.
        images: the options.
    """
    path = folder.root / NAME
    data = known_place(folder.root) or os.environ.get("RECONSCALE_DATA")
    try:
        before = read_json(path) if path.is_file() else None
    except UserError:
        return ""  # a note, not the truth
    if not isinstance(before, dict) or data is None:
        return ""
    now = _look(images, Path(data))
    if now is None or now == before:
        return ""
    counts = (
        "" if now["files"] == before.get("files") else f", {before.get('files')} then and {amount(now['files'])} now"
    )
    return (f"the files of the images below {data} are not those of the last run (by name and size{counts}): restore "
            "them, or copy the study file to a new folder; `run` refuses other images")  # fmt: skip


def _look(images: Images, data: Path) -> dict[str, Any] | None:
    """How many files there are, and a hash of their names and sizes; None where no folder of theirs is there."""
    parts = [images.of_source(name) for name in images.source_names] or [images]
    places = sorted({data / place for part in parts if part.kind.needs_folder for place in part.folders})
    there = [place for place in places if place.is_dir()]
    if not there:
        return None
    digest, count = hashlib.sha256(), 0
    for place in there:
        for name, size in _files(place):
            digest.update(f"{place.relative_to(data)}\0{name}\0{size}\n".encode(errors="surrogateescape"))
            count += 1
    return {"files": count, "digest": digest.hexdigest()}


def _files(place: Path) -> Iterator[tuple[str, int]]:
    """Names below a folder and sizes, in order; what begins with a dot is left out."""
    for above, folders, names in os.walk(place):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                path = Path(above) / name
                try:
                    yield str(path.relative_to(place)), path.stat().st_size
                except OSError:
                    continue
