"""Write images that were made from an OME-Zarr image as one of the same version."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.ome_zarr import ZarrImage
from reconscale.data.volumes.scan import library
from reconscale.errors import UserError

SIDE = 1024
"""Chunks have at most this many pixels a side; a plane each."""


def write_ome_zarr(
    target: Path, planes: list[np.ndarray], image: ZarrImage, channels: list[int], factor: float
) -> list[str]:
    """Write the planes of an image as OME-Zarr of one level of resolution, with axes, units, scales and channels kept.

    Args:
        target: the folder to write; it is there when it is whole.
        planes: (H, W, C) in the order in which the image has them.
        image: the one that they were made from.
        channels: which of its channels were read.
        factor: how many times more pixels they have in each direction.

    Returns:
        What is not kept, one sentence each.

    Raises:
        UserError: zarr is not installed, or the folder is there already, or cannot be written.
    """
    zarr = library("zarr", "zarr")
    check_target(target)
    stack = np.stack(planes)
    sizes = {axis: size for axis, size in image.sizes.items() if axis not in "cyx"}
    given_order = [*sizes, "y", "x"]
    if "c" in image.axes:
        by_channel = stack.shape[3] == 1 and len(channels) > 1  # a plane each; else the colours of one image
        shaped = stack.reshape(
            (*sizes.values(), *((len(channels),) if by_channel else ()), *stack.shape[1:3], stack.shape[3])
        )
        moved = shaped[..., 0] if by_channel else np.moveaxis(shaped, -1, len(sizes))
        order = [*sizes, "c", "y", "x"]
    else:
        moved, order = stack[..., 0].reshape((*sizes.values(), *stack.shape[1:3])), given_order
    values = np.ascontiguousarray(moved.transpose([order.index(axis) for axis in image.axes]))
    attributes, said = _attributes(image, channels, factor)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        kind = 2 if image.version == "0.4" else 3
        group = zarr.open_group(str(part), mode="w", zarr_format=kind)
        chunks = (*(1 for _ in values.shape[:-2]), *(min(SIDE, side) for side in values.shape[-2:]))
        names: dict[str, Any] = {"dimension_names": list(image.axes)} if kind == 3 else {}
        key = {"name": "v2", "separator": "/"} if kind == 2 else None
        array = group.create_array(
            "0", shape=values.shape, dtype=values.dtype, chunks=chunks, chunk_key_encoding=key, **names
        )
        array[...] = values
        group.attrs.update(attributes if kind == 2 else {"ome": attributes})
        part.chmod(0o755)
        part.rename(target)
    except OSError as error:
        raise UserError(
            target, f"cannot be written ({error.strerror or error})", "name another place with --out"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return said


def check_target(target: Path) -> None:
    """Refuse a folder that is there: what is in it would be lost.

    Raises:
        UserError: it is there, or has another ending.
    """
    if not target.name.lower().endswith(".zarr"):
        raise UserError(
            target, f"has the ending '{target.suffix}'", "OME-Zarr is written as a folder that ends in .zarr"
        )
    if target.exists():
        raise UserError(target, "is there already", "remove it, or name another place with --out")


def _attributes(image: ZarrImage, channels: list[int], factor: float) -> tuple[dict[str, Any], list[str]]:
    """The metadata of the image, with one level, whose scale is right, and the channels that were read."""
    held = copy.deepcopy(image.attributes)
    first = held["multiscales"][0]
    level = first["datasets"][image.level]
    level["path"] = "0"
    said = []
    for change in level.get("coordinateTransformations", ()):
        scale = change.get("scale") if isinstance(change, dict) else None
        if isinstance(scale, list) and len(scale) == len(image.axes):
            change["scale"] = [value / factor if axis in "yx" and isinstance(value, int | float) else value
                               for axis, value in zip(image.axes, scale, strict=True)]  # fmt: skip
    if len(first["datasets"]) > 1:
        said.append(f"one level of resolution is written; {image.place.name} has {len(first['datasets'])}")
    first["datasets"] = [level]
    omero = held.get("omero")
    if isinstance(omero, dict) and isinstance(omero.get("channels"), list) and "c" in image.axes:
        omero["channels"] = [channel for number, channel in enumerate(omero["channels"]) if number in channels]
    kept = {"version", "multiscales", "omero"}
    others = sorted(str(key) for key in held if key not in kept)
    if others:
        said.append(f"{image.place.name} says more ({', '.join(others)[:80]}), which is not kept")
    return {key: value for key, value in held.items() if key in kept}, said
