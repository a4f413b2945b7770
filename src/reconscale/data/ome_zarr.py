"""Images in OME-Zarr (NGFF) 0.4 and 0.5: folders that hold an array of up to five axes, t, c, z, y, x.

https://ngff.openmicroscopy.org/0.5 names the axes in its metadata. Every plane (y, x) is an image of its own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reconscale.data.folders import ZARR, data_folder, place_below
from reconscale.data.image_checks import Header, Limits, check_size, check_values, say_range
from reconscale.data.listing import Listing, page_name
from reconscale.data.store import SCALES
from reconscale.data.volumes.scan import library
from reconscale.data.zarr_arrays import ZarrArray, changed, group_of, open_array, read_plane
from reconscale.errors import UserError
from reconscale.study import Images

ENDING = ZARR
VERSIONS = ("0.4", "0.5")
MOST_PLANES = 1_000_000
"""Planes that an image may have."""
RGB = "rgb"
_NAMES = "tczyx"
_RAW = "bioformats2raw.layout"


@dataclass(frozen=True)
class ZarrImage:
    """An image of OME-Zarr.

    Attributes:
        place: its folder.
        version: of OME-Zarr.
        axes: the letters of its axes, as the array has them.
        array: the level of resolution that is read.
        attributes: of its group; of version 0.5 what stands under ``ome``.
        level: the number of that level.
    """

    place: Path
    version: str
    axes: str
    array: ZarrArray
    attributes: dict[str, Any]
    level: int

    @property
    def sizes(self) -> dict[str, int]:
        """The length of every axis."""
        return dict(zip(self.axes, self.array.shape, strict=True))


@dataclass(frozen=True)
class Plane:
    """A plane of an image.

    Attributes:
        image: the image.
        places: an index for every axis but y and x, for each channel that is read: one, or three colours.
        stamp: what changes when the image does.
    """

    image: ZarrImage
    places: tuple[tuple[int, ...], ...]
    stamp: str

    @property
    def header(self) -> Header:
        """Size, channels and type, as stored."""
        height, width = self.image.array.shape[-2:]
        return Header(height, width, len(self.places), self.image.array.dtype.name)

    def read(self) -> np.ndarray:
        """(H, W, C) of the type of the file.

        Raises:
            UserError: a chunk is damaged, or there is none.
        """
        return np.stack([read_plane(self.image.array, place, self.stamp) for place in self.places], axis=-1)


def may_be_zarr(place: str) -> bool:
    """Whether a place is, or lies in, a folder with the ending of Zarr."""
    return any(part.lower().endswith(ENDING) for part in place.split("/"))


def list_ome_zarr(images: Images, data: Path | None, key: str = "images.folders") -> Listing:
    """The planes of OME-Zarr images: those named, and those in folders, at any depth, sorted by path.

    The image is the unit of splitting: all planes of one, and all series of a file that Bio-Formats wrote, stay on one
    side. Labels are no images. Of plates the fields are named one by one.

    Args:
        images: the options; ``folders``, ``test_sets``, ``unit``, ``range``, ``channel`` and ``dataset`` (the path of
            the level of resolution; none: the full one) are read.
        data: the folder that all places are below.
        key: what messages call ``images.folders``.

    Raises:
        UserError: no data folder; zarr is not installed; a place is missing or holds no image; an image is of another
            version, has channels and none is chosen, or is a plate.
    """
    library("zarr", "zarr")
    root, limits = data_folder(key, data), images.range
    planes: dict[str, Plane] = {}
    remarks: list[str] = []
    for name, place in sorted(_files(images, root, key).items()):
        held = [plane for image in _images_in(place, images) for plane in planes_of(image, images.channel)]
        for number, plane in enumerate(held):
            planes[page_name(name, number) if len(held) > 1 else name] = plane
    names = tuple(sorted(planes))
    files = {name.partition("#")[0] for name in names}
    if len(files) < len(names) and images.counts == "units" and images.unit == "file":
        remarks.append(f"{len(files)} OME-Zarr files hold {len(names)} planes, and n counts files: every plane is an "
                       "image, and the planes of a file stay on one side of the split; set images.counts = "
                       '"images" to count planes')  # fmt: skip
    return Listing(
        place=str(root),
        identity=["ome-zarr", list(limits) if limits else None, images.channel, images.dataset],
        names=names,
        unit=images.unit,
        header=lambda index: header_of(names[index], planes[names[index]], limits),
        load=lambda index: check_values(names[index], planes[names[index]].read(), limits),
        stamps=[planes[name].stamp for name in names],
        remarks=tuple(remarks),
    )


def header_of(name: str, plane: Plane, limits: Limits) -> Header:
    """The header of a plane as it is used.

    Raises:
        UserError: it is too large, or of a type whose range is not known.
    """
    header = check_size(name, plane.header)
    dtype = "float32" if limits is not None or header.dtype.startswith("float") else header.dtype
    if dtype not in SCALES:
        known = say_range("the same for all")
        raise UserError(
            name, f"holds {header.dtype} values", f"expected uint8, uint16 or floating point in [0, 1]; or {known}"
        )
    return Header(header.height, header.width, header.channels, dtype)


def _files(images: Images, root: Path, key: str) -> dict[str, Path]:
    """The folders that are images or hold series of them, by their names."""
    held_out = {place_below(root, place, f"images.test_sets.{name}") for name, place in images.test_sets.items()}
    files: dict[str, Path] = {}
    for place in images.folders:
        where = place_below(root, place, key)
        if where.is_file():
            found = "is a file, where OME-Zarr is a folder" + " (a zipped one is unpacked first)" * (where.suffix != "")
            raise UserError(where, found, "name a folder that ends in .zarr, or one that holds such folders")
        inside = may_be_zarr(where.relative_to(root).as_posix())
        found_here = [where] if inside else [path for path in _below(where) if path not in held_out]
        if not found_here:
            raise UserError(where, "holds no folder that ends in .zarr", f"check {key} and --data")
        for path in found_here:
            name = path.relative_to(root).as_posix()
            if not name.isprintable() or "#" in name:
                raise UserError(repr(name), "has a name that cannot be used", "rename it, without '#'")
            if name in files:
                raise UserError("images.folders", f"'{name}' is named twice", "list every place once")
            files[name] = path
    return files


def _below(folder: Path) -> Iterator[Path]:
    """Folders with the ending of Zarr; what lies in them is theirs."""
    for place, folders, _ in os.walk(folder):
        for name in sorted(folders):
            path = Path(place, name)
            if path.is_symlink() and not name.startswith("."):
                raise UserError(
                    path, "is a link to a folder", "name the real folder in images.folders, or remove the link"
                )
            if name.lower().endswith(ENDING):
                yield path
        folders[:] = sorted(name for name in folders if name[0] != "." and not name.lower().endswith(ENDING))


def open_images(place: Path, dataset: str | None = None) -> list[ZarrImage]:
    """The images that a folder holds: itself, or the series that Bio-Formats wrote into it.

    Raises:
        UserError: it is no image, a plate, or of another version.
    """
    attributes = _attributes(place)
    if attributes is None:
        raise UserError(place, "is no group of Zarr (it has neither zarr.json nor .zattrs)", "replace or remove it")
    version, found = attributes
    if "plate" in found or "well" in found:
        what, named = ("a plate", "A/1/0") if "plate" in found else ("a well of a plate", "0")
        raise UserError(place, f"is {what}, whose fields are images",
                        f'name those that count in images.folders, such as "{place.name}/{named}"')  # fmt: skip
    if "multiscales" not in found and _RAW in found:
        series = sorted((path for path in place.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        return [image for path in series for image in open_images(path, dataset)]
    if "multiscales" not in found:
        raise UserError(place, "holds no image of OME-Zarr (its metadata have no 'multiscales')",
                        "give OME-Zarr 0.4 or 0.5, or save the array as .npy for source = \"array\"")  # fmt: skip
    return [_image(place, version, found, dataset)]


def _images_in(place: Path, images: Images) -> list[ZarrImage]:
    found = open_images(place, images.dataset)
    if not found:
        raise UserError(place, "holds no series", "replace or remove it")
    return found


def _attributes(place: Path) -> tuple[str, dict[str, Any]] | None:
    """Version and attributes of a group: of 0.5 those under ``ome``."""
    group = group_of(place)
    if group is None:
        return None
    kind, found = group
    if kind == 2:
        return "0.4", found
    inner = found.get("ome", {})
    return "0.5", inner if isinstance(inner, dict) else {}


def _image(place: Path, version: str, attributes: dict[str, Any], dataset: str | None) -> ZarrImage:
    try:
        scales = attributes["multiscales"]
        first = scales[0]
        stated = str(attributes.get("version") or first.get("version") or version)
        levels = [str(level["path"]) for level in first["datasets"]]
        levels[0]  # there is one at least
        axes = "".join(str(axis["name"] if isinstance(axis, dict) else axis) for axis in first.get("axes", ()))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(place, "has 'multiscales' that are not those of OME-Zarr", "replace or remove it") from error
    if not stated.startswith(VERSIONS) or not axes:
        raise UserError(place, f"is OME-Zarr {stated[:20]}" + " without axes" * (not axes),
                        f"versions {' and '.join(VERSIONS)} are read: convert it")  # fmt: skip
    if len(scales) > 1:
        raise UserError(place, f"holds {len(scales)} images in one group", "save each as an OME-Zarr image of its own")
    if len(set(axes)) < len(axes) or not set(axes) <= set(_NAMES) or axes[-2:] != "yx":
        raise UserError(
            place, f"has the axes '{axes[:40]}'", "expected t, c, z, y, x, less what there is not, y and x last"
        )
    wanted = levels[0] if dataset is None else dataset
    if wanted not in levels:
        raise UserError(place, f"has no level '{wanted}' (it has: {', '.join(levels[:8])})", "correct images.dataset")
    parts = wanted.split("/")
    if not all(part and part not in (".", "..") for part in parts) or not (place / wanted).resolve().is_relative_to(
        place.resolve()
    ):
        raise UserError(place, f"names the array '{wanted[:60]}', which is not in it", "replace or remove it")
    array = open_array(place / wanted)
    if len(array.shape) != len(axes):
        raise UserError(place, f"has the axes '{axes}', and its array {len(array.shape)}", "replace or remove it")
    image = ZarrImage(place, stated[:3], axes, array, attributes, levels.index(wanted))
    check_size(place, Header(array.shape[-2], array.shape[-1], 1, ""))
    if math.prod(array.shape[:-2]) > MOST_PLANES:
        raise UserError(place, f"claims {math.prod(array.shape[:-2]):,} planes", f"at most {MOST_PLANES:,} are read")
    return image


def planes_of(image: ZarrImage, channel: int | str | None) -> list[Plane]:
    """The planes of an image, in the order of its axes.

    Args:
        image: from :func:`open_images`.
        channel: which one is read; ``rgb``: three are the colours of one image; none: there is only one.

    Raises:
        UserError: there are several and none is chosen, or the one that is chosen is not there.
    """
    count = image.sizes.get("c", 1)
    if channel is None and count > 1:
        labels = _labels(image)
        named = f" ({', '.join(labels)})" if labels else ""
        rgb = ', or "rgb" if they are the colours of one image' if count == 3 else ""
        raise UserError(
            image.place, f"holds {count} channels{named}", f"say which one is read with images.channel = 0{rgb}"
        )
    if channel == RGB and count != 3:
        raise UserError(
            image.place, f'holds {count} channels, and images.channel = "rgb" needs 3', "correct images.channel"
        )
    chosen = range(3) if channel == RGB else [channel if isinstance(channel, int) else 0]
    if max(chosen) >= count:
        raise UserError(
            image.place, f"holds {count} channels, counted from 0, and none is {channel}", "correct images.channel"
        )
    stamp = changed(image.array.path)
    outer = [axis for axis in image.axes if axis not in "yx"]
    others = [axis for axis in outer if axis != "c"]
    places = []
    for index in np.ndindex(*(image.sizes[axis] for axis in others)):
        at = dict(zip(others, index, strict=True))
        places.append(tuple(tuple({**at, "c": c}[axis] for axis in outer) for c in chosen))
    return [Plane(image, place, stamp) for place in places]


def _labels(image: ZarrImage) -> list[str]:
    """Names of the channels, where the metadata have some."""
    try:
        return [str(channel["label"])[:40] for channel in image.attributes["omero"]["channels"]][:6]
    except (KeyError, TypeError):
        return []
