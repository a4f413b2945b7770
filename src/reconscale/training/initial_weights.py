"""Begin training with the weights of a file: keep them beside the results, see that they fit, load them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from reconscale.errors import UserError
from reconscale.files import read_json, to_json, write_atomic
from reconscale.networks import build, input_spec
from reconscale.networks.registry import depth_of
from reconscale.results import Folder
from reconscale.study import Recipe, Study
from reconscale.study.initial_weights import FOLDER, RECORD, REMEDY, digest_of, find_kept, kept_at

Shapes = Mapping[str, tuple[int, ...]]


def check_initial(study: Study, channels: int, folder: Folder | None = None) -> None:
    """Refuse weights that do not fit a network of the study, or are no numbers; no network is allocated.

    Args:
        study: the study.
        channels: of its images.
        folder: of its results, which may hold the weights where the file has gone.

    Raises:
        UserError: as said; the file is missing or damaged.
    """
    if study.recipe.init_sha256 is None:
        return
    path = _source(study.recipe, folder)
    given = shapes_of(path)
    spec = input_spec(study.problem, channels)
    for width in study.sweep.width:
        network = study.cell_network(width)
        with torch.device("meta"):
            wanted = {name: tuple(value.shape) for name, value in build(network, spec).state_dict().items()}
        words = f"{network.family} of width {width} and depth {depth_of(network, spec)}"
        refuse_others(path, given, wanted, words)
    _refuse_without_numbers(path)


def refuse_others(path: Path, given: Shapes, wanted: Shapes, words: str) -> None:
    """Refuse weights of other names or shapes than a network has, in one sentence.

    Raises:
        UserError: as said.
    """
    others = [name for name in wanted if name in given and given[name] != wanted[name]]
    missing, extra = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if others:
        name = others[0]
        found = f"'{name}' is {_size(given[name])} there, and {_size(wanted[name])} in {words}{_more(others)}"
        remedy = "keep the width (sweep.width), depth and channels that it was trained with"
        raise UserError(path, found, remedy)
    if missing or extra:
        lacks = f"has no '{missing[0]}'{_more(missing)}, which {words} has" if missing else ""
        found = lacks or f"has '{extra[0]}'{_more(extra)}, which {words} has not"
        raise UserError(path, found, "give weights of the same network; names are those of its state_dict()")


def _more(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"


def keep_initial(study: Study, folder: Folder) -> None:
    """Keep the weights that a study begins with beside its results, where workers and later commands find them.

    Raises:
        UserError: the file is missing or was changed meanwhile, or the folder cannot be written to.
    """
    digest = study.recipe.init_sha256
    if digest is None:
        return
    kept, record = kept_at(folder.root, digest), folder.root / FOLDER / RECORD
    if not kept.is_file():
        source = _source(study.recipe, folder)
        temporary = kept.with_suffix(".new")
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, temporary)
        except OSError as error:
            raise UserError(kept, f"cannot be written ({error.strerror})", "free the disk") from error
        if digest_of(temporary) != digest:
            temporary.unlink()
            raise UserError(source, "changed while the study began", "run again")
        temporary.replace(kept)
    known = read_json(record) if record.is_file() else {}
    name = study.recipe.init or ""
    if name and known.get(name) != digest:
        write_atomic(record, to_json({**known, name: digest}))


def initial_path(recipe: Recipe, folder: Folder) -> Path | None:
    """The weights that a run begins with, where the results folder keeps them; none: it begins untrained."""
    return None if recipe.init_sha256 is None else find_kept(folder.root, recipe.init_sha256)


def load_initial(network: nn.Module, path: Path, digest: str | None) -> None:
    """Replace the weights of an untrained network by those of a file.

    Raises:
        UserError: the file is missing, damaged or another one, or does not fit.
    """
    if not path.is_file():
        remedy = "run the study again; in the queue of Slurm keep its results on a file system that all nodes share"
        raise UserError(path, "is not there", remedy)
    if digest_of(path) != digest:
        raise UserError(path, "is not the file that the study began with", "delete it, and run again")
    refuse_others(path, shapes_of(path), {k: tuple(v.shape) for k, v in network.state_dict().items()}, "the network")
    network.load_state_dict(dict(_values(path)))


def _values(path: Path) -> Iterator[tuple[str, Tensor]]:
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            yield name, file.get_tensor(name)


def _refuse_without_numbers(path: Path) -> None:
    for name, value in _values(path):
        if not bool(torch.isfinite(value.float()).all()):
            raise UserError(path, f"holds NaN or infinite numbers in '{name}'", "give weights of a trained network")


def shapes_of(path: Path) -> Shapes:
    """The names and shapes of the weights in a file.

    Raises:
        UserError: it is no .safetensors file.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(path, "is damaged, or no .safetensors file", REMEDY) from error


def _source(recipe: Recipe, folder: Folder | None) -> Path:
    """The file of the user's, else the copy of a results folder."""
    digest = recipe.init_sha256 or ""
    path = None if recipe.init_path is None else Path(recipe.init_path)
    if path is not None and path.is_file():
        return path
    if folder is not None and kept_at(folder.root, digest).is_file():
        return kept_at(folder.root, digest)
    raise UserError(path or "recipe.init", "is not there", f"restore the weights of digest {digest[:12]}")
