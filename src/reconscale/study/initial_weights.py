"""Weights that training begins with, from a file: their digest is part of every run, the place of the file of none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconscale.errors import UserError
from reconscale.files import read_json

FOLDER, RECORD = "init", "init.json"
"""In a results folder: where the weights are kept, and which they are."""
WEIGHTS = "weights.safetensors"
"""The weights of a run that is done, in its directory."""
ENDING = ".safetensors"
REMEDY = "give a .safetensors file, as safetensors.torch.save_file(network.state_dict(), path) writes it"


def read_init(content: Any, beside: Path) -> Any:
    """The content of ``[recipe]`` with the digest of the weights that ``init`` names, and their absolute path.

    Where the file has gone, a study that has been run knows it from its results folder.

    Args:
        content: the table, as read from TOML.
        beside: the folder of the study file, which the file is seen from.

    Raises:
        UserError: the file is missing, is no .safetensors file, or is not the one whose digest is said.
    """
    if not isinstance(content, Mapping) or content.get("init") is None:
        return content
    name = content["init"]
    if not isinstance(name, str) or not name.isprintable() or not name:
        raise UserError("recipe.init", f"found {name!r}", REMEDY)
    path = _file(beside / name)
    digest = _remembered(beside, name)
    if path.is_file():
        if path.suffix.lower() != ENDING:
            raise UserError("recipe.init", f"found '{name}', which may run code when it is opened", REMEDY)
        digest = digest_of(path)
    if digest is None:
        raise UserError("recipe.init", f"found '{name}', which is not there: {path}", "check its name")
    said = content.get("init_sha256")
    if said not in (None, digest):
        raise UserError(path, f"is not the file that recipe.init_sha256 says ({digest[:12]})", "restore it")
    return {**content, "init_path": str(path.absolute()), "init_sha256": digest}


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check its permissions") from error


def kept_at(root: Path, digest: str) -> Path:
    """Where a results folder keeps weights."""
    return root / FOLDER / f"{digest}{ENDING}"


def find_kept(root: Path, digest: str) -> Path:
    """Where weights are, seen from a results folder or from that of its probes; where they would be, if nowhere."""
    places = [kept_at(root, digest), kept_at(root.parent, digest)]
    return next((place for place in places if place.is_file()), places[0])


def _file(path: Path) -> Path:
    """The file itself; of the directory of a run its weights."""
    return path / WEIGHTS if path.is_dir() else path


def _remembered(beside: Path, name: str) -> str | None:
    """The digest that a results folder remembers of a file by its name, where it keeps the weights, too."""
    root = beside / "runs"
    if not (root / FOLDER / RECORD).is_file():
        return None
    record = read_json(root / FOLDER / RECORD)
    digest = record.get(name) if isinstance(record, Mapping) else None
    known = isinstance(digest, str) and len(digest) == 64 and digest.isalnum()
    return str(digest) if known and kept_at(root, str(digest)).is_file() else None
