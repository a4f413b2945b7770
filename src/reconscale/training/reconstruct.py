"""Apply a trained run to a user's own images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load as tensors_from_bytes
from torch import Tensor, nn

from reconscale.imaging import read_image, write_image
from reconscale.imaging.decode import SUFFIXES, read_header
from reconscale.mistakes import Mistake
from reconscale.networks import build
from reconscale.networks.families import depth_of, family_of
from reconscale.study import MRIProblem, Result, Run
from reconscale.training.reconstruct_volumes import check_source, reconstruct_volume

TILE = 512
"""Side of the tiles that larger images are cut into, without their overlap."""


@dataclass(frozen=True)
class Trained:
    """A trained network with its run.

    Attributes:
        run: the run that trained it.
        network: in evaluation mode.
        channels: channels that it takes.
    """

    run: Run
    network: nn.Module
    channels: int


def load_trained(folder: Path) -> Trained:
    """Load the weights of a run that is done, without unpickling anything.

    Args:
        folder: the directory of the run: ``runs/<id>``.

    Raises:
        Mistake: there is no such run, it is not done, or its weights are missing or damaged.
    """
    folder = folder.resolve()  # "." has the name of its run, too
    if not (folder / "result.json").is_file():
        raise Mistake(folder, "holds no result", "give the directory of a run that is done: runs/<id>")
    result = Result.read(folder, images=False)
    path = folder / "weights.safetensors"
    if result.status != "done" or not path.is_file():
        raise Mistake(folder, "has no trained weights", "choose a run that is done, or run the study again")
    try:
        weights = tensors_from_bytes(path.read_bytes())
    except Exception as error:  # safetensors raises its own class for every kind of damage
        raise Mistake(path, "is damaged", "delete the run's directory and run again") from error
    for channels in (3, 1):
        network = build(result.run.network, channels, result.run.problem.kind)
        if {k: v.shape for k, v in network.state_dict().items()} == {k: v.shape for k, v in weights.items()}:
            network.load_state_dict(weights)
            return Trained(result.run, network.eval(), channels)
    raise Mistake(path, "does not fit the network of its run", "delete the run's directory and run again")


def reconstruct(
    folder: Path, source: Path, out: Path, *, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Reconstruct an image file, every image of a folder, or (MRI) a volume of k-space.

    The result has the size, the channels and the bit depth of the input. Grey images go through a colour network as
    three equal channels and come back as their mean; colour images go through a grey network channel by channel.

    Args:
        folder: the directory of a run that is done.
        source: an image, or a folder of images (not its sub-folders); for MRI see ``reconstruct_volume``.
        out: the file to write, or the folder to write into.
        progress: called with (images done, images).

    Returns:
        The files written.

    Raises:
        Mistake: the run has no weights, an image cannot be read, the output cannot be written, or it would replace an
            image that is given. What the headers and names tell is refused before anything is written.
    """
    trained = load_trained(folder)
    tell = progress or (lambda done, total: None)
    check_source(trained.run.problem.kind, source)
    if isinstance(trained.run.problem, MRIProblem):
        return [reconstruct_volume(trained.network, trained.run.problem, source, out, tell)]
    pairs = list(_pairs(source, out))
    _check(pairs)
    for index, (given, target) in enumerate(pairs):
        array = read_image(given)
        write_image(target, apply(trained, array))
        tell(index + 1, len(pairs))
    return [target for _, target in pairs]


def _pairs(source: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    if source.is_dir():
        files = sorted(
            path
            for path in source.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        )
        if not files:
            raise Mistake(source, "holds no PNG, JPEG or TIFF image", "give an image or a folder of images")
        if out.exists() and not out.is_dir():
            raise Mistake(out, "is a file, and a folder of images is given", "name a folder with --out")
        for path in files:
            yield path, out / (path.stem + (path.suffix if path.suffix.lower() in (".tif", ".tiff") else ".png"))
    elif source.is_file():
        yield source, (out / f"{source.stem}.png" if out.is_dir() else out)
    else:
        raise Mistake(source, "does not exist", "give an image or a folder of images")


def _check(pairs: list[tuple[Path, Path]]) -> None:
    """Refuse what names and headers tell, before a long computation: nothing that is given may be replaced."""
    given = {path.resolve() for path, _ in pairs}
    origin: dict[Path, Path] = {}
    for path, target in pairs:
        if target.suffix.lower() not in (".png", ".tif", ".tiff"):
            raise Mistake(target, f"has the ending '{target.suffix}'", "images are written as .png or .tif")
        if target.resolve() in given:
            raise Mistake(target, "is an image that is given", "name another place with --out")
        if target in origin:
            raise Mistake(path, f"and {origin[target]} would both be written to {target}", "rename one of the two")
        origin[target] = path
        read_header(path)


def apply(trained: Trained, array: np.ndarray) -> np.ndarray:
    """Reconstruct one image.

    Args:
        trained: the network.
        array: (H, W, C) of uint8, uint16 or float32 in [0, 1].

    Returns:
        The reconstruction, same shape and type.
    """
    scale = float(np.iinfo(array.dtype).max) if array.dtype.kind == "u" else 1.0
    y = torch.from_numpy(array.astype(np.float32) / scale).permute(2, 0, 1)
    with torch.inference_mode():
        if trained.channels == y.shape[0]:
            x_hat = tiled(trained, y[None])[0]
        elif trained.channels == 1:
            x_hat = torch.cat([tiled(trained, channel[None, None])[0] for channel in y])
        else:
            x_hat = tiled(trained, y[None].expand(1, trained.channels, -1, -1)).mean(1)
    pixels = x_hat.permute(1, 2, 0).clamp(0, 1).numpy() * scale
    return (np.rint(pixels) if array.dtype.kind == "u" else pixels).astype(array.dtype)


def tiled(trained: Trained, y: Tensor, tile: int = TILE) -> Tensor:
    """Apply a network tile by tile, blending where tiles overlap.

    Pixels that lack context because their tile was cut there have no weight, so that a network without normalisation
    over the image gives what it gives on the whole image.

    Args:
        trained: the network.
        y: (1, C, H, W).
        tile: least side of a tile; an image of at most this size is not cut.
    """
    network = trained.run.network
    family, depth = family_of(network), depth_of(network, trained.run.problem.kind)
    context, least = family.context(depth), family.least(depth)
    tile = max(tile, 8 * context)
    rows, columns = y.shape[-2:]
    padded = _at_least(y, least)
    if max(padded.shape[-2:]) <= tile:
        return trained.network(padded)[..., :rows, :columns]  # type: ignore[no-any-return]
    total, weight = torch.zeros_like(padded), torch.zeros_like(padded[:, :1])
    height, width = padded.shape[-2:]
    for top, bottom in _spans(height, tile, context):
        for left, right in _spans(width, tile, context):
            window = _window(top, bottom, height, context)[:, None] * _window(left, right, width, context)
            total[..., top:bottom, left:right] += window * trained.network(padded[..., top:bottom, left:right])
            weight[..., top:bottom, left:right] += window
    return (total / weight)[..., :rows, :columns]


def _at_least(y: Tensor, least: int) -> Tensor:
    """Repeat the last row and column until the image is large enough for the network."""
    missing = [max(0, least - side) for side in y.shape[-2:]]
    return torch.nn.functional.pad(y, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else y


def _spans(length: int, tile: int, context: int) -> list[tuple[int, int]]:
    """Tiles of one axis: equally spaced, at least four contexts in common: two without weight, two to blend."""
    if length <= tile:
        return [(0, length)]
    count = 1 + -(-(length - tile) // (tile - 4 * context))
    starts = np.linspace(0, length - tile, count).round().astype(int)
    return [(int(start), int(start) + tile) for start in starts]


def _window(start: int, end: int, length: int, context: int) -> Tensor:
    """Weights of a tile along one axis: nothing within a context of a cut, rising over the next; 1 at a true border."""
    position = torch.arange(end - start) + 0.5
    rising = (position - context) / context if start > 0 else torch.ones_like(position)
    falling = (end - start - position - context) / context if end < length else torch.ones_like(position)
    return torch.minimum(rising, falling).clamp(0.0, 1.0)
