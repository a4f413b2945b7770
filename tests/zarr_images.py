"""OME-Zarr images as microscopes' converters write them, made with zarr."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def write_zarr(place: Path, values: np.ndarray, axes: str, version: str = "0.4", **options: Any) -> None:
    """An image of one level of resolution with pixels of 0.2 micrometres and planes 1 micrometre apart.

    Args:
        place: the folder.
        values: of the axes.
        axes: letters of t, c, z, y, x.
        version: of OME-Zarr.
        options: of ``zarr.Group.create_array``; ``omero``: the channels.
    """
    import zarr

    omero = options.pop("omero", None)
    kind = 2 if version == "0.4" else 3
    group = zarr.open_group(str(place), mode="w", zarr_format=kind)
    group.create_array("0", shape=values.shape, dtype=values.dtype, **options)[...] = values
    types, unit = {"t": "time", "c": "channel"}, {"unit": "micrometer"}
    scale = [{"t": 1.0, "c": 1.0, "z": 1.0}.get(axis, 0.2) for axis in axes]
    about = {
        "multiscales": [{
            "version": version, "name": "cells",
            "axes": [{"name": axis, "type": types.get(axis, "space"), **({} if axis in types else unit)}
                     for axis in axes],
            "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
        }],
        **({"omero": omero} if omero else {}),
    }  # fmt: skip
    group.attrs.update(about if kind == 2 else {"ome": {"version": version, **about}})
