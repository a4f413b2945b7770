"""Images that need no files: bundled photographs and dead leaves; and what lists the images of a study's source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reconscale.data.array_files import ARRAYS, in_array_file, list_arrays
from reconscale.data.folders import list_folder
from reconscale.data.image_files import Header, read_header, read_image
from reconscale.data.listing import Listing
from reconscale.data.ome_zarr import list_ome_zarr, may_be_zarr
from reconscale.data.pairs.listing import list_paired_test_set
from reconscale.errors import UserError
from reconscale.own_parts import recalled_from
from reconscale.plugins import load_object
from reconscale.study import SOURCES, Images
from reconscale.study.base import suggest_own


@dataclass(frozen=True)
class Photograph:
    """A photograph inside an installed package.

    Attributes:
        name: the scene.
        package: the importable name of the package.
        path: where it lies in the package.
        channels: 3 for colour, 1 for grey.
        origin: origin and licence, as the package documents them.
    """

    name: str
    package: str
    path: str
    channels: int
    origin: str


PHOTOGRAPHS = (
    Photograph("astronaut", "skimage", "data/astronaut.png", 3, "NASA Great Images; public domain"),
    Photograph("brick", "skimage", "data/brick.png", 1, "CC0Textures, Bricks25; CC0"),
    Photograph("camera", "skimage", "data/camera.png", 1, "Lav Varshney; CC0"),
    Photograph("chelsea", "skimage", "data/chelsea.png", 3, "Stefan van der Walt; CC0"),
    Photograph("china", "sklearn", "datasets/images/china.jpg", 3, "danielbuechele, Flickr 6061409035; CC BY 2.0"),
    Photograph("coffee", "skimage", "data/coffee.png", 3, "Rachel Michetti, Pikolo Espresso Bar; CC0"),
    Photograph("coins", "skimage", "data/coins.png", 1, "Brooklyn Museum Collection; no known copyright restrictions"),
    Photograph("flower", "sklearn", "datasets/images/flower.jpg", 3, "vultilion, Flickr 6056698931; CC BY 2.0"),
    Photograph("grass", "skimage", "data/grass.png", 1, "linolafett, DeviantArt; CC0"),
    Photograph("gravel", "skimage", "data/gravel.png", 1, "CC0Textures, Gravel04; CC0"),
    Photograph("hopper", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", 3, "US Navy; sample of matplotlib"),
    Photograph("motorcycle", "skimage", "data/motorcycle_left.png", 3, "Middlebury stereo benchmark 2014, left view"),
    Photograph("page", "skimage", "data/page.png", 1, "sample of scikit-image, origin not documented"),
    Photograph("rocket", "skimage", "data/rocket.jpg", 3, "SpaceX, Flickr 16511594820; public domain"),
    Photograph("text", "skimage", "data/text.png", 1, "sample of scikit-image, origin not documented"),
)


def list_bundled(images: Images, data: Path | None) -> Listing:
    """The tiles of the bundled photographs.

    Args:
        images: the options. ``channels`` ``auto`` and ``rgb``: the colour photographs; ``gray``: all of them, in grey.
        data: not used.

    Raises:
        UserError: a package or a photograph in it is missing.
    """
    chosen = [photo for photo in PHOTOGRAPHS if photo.channels == 3 or images.channels == "gray"]
    paths = {photo.name: _path(photo) for photo in chosen}
    tiles: list[tuple[str, Path, tuple[slice, slice]]] = []
    for photo in chosen:
        whole = read_header(paths[photo.name])
        for row, vertical in enumerate(_cuts(whole.height, images.tile)):
            for column, horizontal in enumerate(_cuts(whole.width, images.tile)):
                tiles.append((f"{photo.name}/{row}-{column}", paths[photo.name], (vertical, horizontal)))

    def header(index: int) -> Header:
        _, path, (rows, columns) = tiles[index]
        whole = read_header(path)
        return Header(rows.stop - rows.start, columns.stop - columns.start, whole.channels, whole.dtype)

    def load(index: int) -> np.ndarray:
        _, path, where = tiles[index]
        return np.ascontiguousarray(read_image(path)[where])

    return Listing(
        place="bundled photographs",
        identity=["bundled", images.tile, [[photo.name, paths[photo.name].stat().st_size] for photo in chosen]],
        names=tuple(name for name, _, _ in tiles),
        unit="folder",
        header=header,
        load=load,
    )


def _path(photo: Photograph) -> Path:
    spec = find_spec(photo.package)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    path = Path(folders[0], photo.path) if folders else Path(photo.package, photo.path)
    if not path.is_file():
        found = f"'{photo.name}' is missing from the package {photo.package}"
        raise UserError(
            "bundled photographs", found, "pip install 'reconscale[train]', or use images.source = \"deadleaves\""
        )
    return path


def _cuts(length: int, tile: int) -> list[slice]:
    """Equal parts of a length, of at least ``tile`` unless it is shorter itself."""
    count = max(1, length // tile)
    side = length // count
    return [slice(i * side, (i + 1) * side) for i in range(count)]


COVERS = 4.0
"""How many discs lie over a pixel, on average; exp(-4) = 2 % of the ground, which has one colour too, stays visible."""

LEAST = 3.0
"""Radius of the smallest discs, in pixels."""

_OVERSAMPLING = 2
_FRACTION_BITS = 4


def list_deadleaves(images: Images, data: Path | None) -> Listing:
    """``images.total`` images of side ``images.size``, in colour unless ``channels`` is ``gray``; each is its own unit.

    Args:
        images: the options; ``split_seed`` chooses the family.
        data: not used.
    """
    channels = 1 if images.channels == "gray" else 3
    side, seed = images.size, images.split_seed
    digits = max(6, len(str(images.total - 1)))
    return Listing(
        place="dead leaves",
        identity=["deadleaves", seed, side, images.total, COVERS, LEAST],
        names=tuple(f"leaves/{index:0{digits}d}" for index in range(images.total)),
        unit="file",
        header=lambda index: Header(side, side, channels, "uint8"),
        load=lambda index: draw_leaves(seed, index, side, channels),
    )


def draw_leaves(seed: int, index: int, side: int, channels: int) -> np.ndarray:
    """Draw one image.

    Args:
        seed: family of images.
        index: which image of the family.
        side: in pixels.
        channels: 1 or 3.

    Returns:
        (side, side, channels) uint8.
    """
    import cv2

    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, index, side, channels])))
    radius = _radii(rng, side)
    count = len(radius)
    centre = rng.random((count, 2)) * (side + 2 * radius[:, None]) - radius[:, None]
    colour = _colours(rng, count + 1, channels)
    image = np.empty((side * _OVERSAMPLING, side * _OVERSAMPLING, channels), np.uint8)
    image[:] = colour[-1].astype(np.uint8)
    fine = _OVERSAMPLING << _FRACTION_BITS
    where, radii = np.rint(centre * fine).astype(int).tolist(), np.rint(radius * fine).astype(int).tolist()
    paint = colour.tolist()
    for disc in range(count):
        cv2.circle(image, where[disc], radii[disc], paint[disc], cv2.FILLED, cv2.LINE_8, _FRACTION_BITS)
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8).reshape(side, side, channels)


def _radii(rng: np.random.Generator, side: int) -> np.ndarray:
    """Radii of the discs that touch the image: a disc of radius r has (side + 2 r)**2 places to do so."""
    edges = np.geomspace(LEAST, side / 2, 513)
    middle = np.sqrt(edges[1:] * edges[:-1])
    rate = COVERS / (np.pi * np.log(edges[-1] / edges[0]))
    expected = rate * middle**-3 * (side + 2 * middle) ** 2 * np.diff(edges)
    chosen = np.searchsorted(np.cumsum(expected), rng.random(int(expected.sum())) * expected.sum())
    return np.asarray(middle[np.minimum(chosen, len(middle) - 1)])


def _colours(rng: np.random.Generator, count: int, channels: int) -> np.ndarray:
    """(count, channels) in 0 to 255: brightness uniform, colour a smaller deviation from grey."""
    grey = rng.uniform(0, 255, (count, 1))
    if channels == 1:
        return grey
    return np.clip(grey + rng.normal(0, 35, (count, channels)), 0, 255)


Lister = Callable[[Images, Path | None], Listing]
"""From the options and the data folder (none: not given) to a listing."""


def lister_of(images: Images) -> Lister:
    """The function that lists the images of a study's source.

    Raises:
        UserError: there is no such source.
    """
    if images.source not in SOURCES:
        raise UserError("images.source", f"found '{images.source}'", suggest_own(images.source, SOURCES))
    if place := recalled_from("SOURCES", images.source):
        raise UserError("images.source", f"'{images.source}' comes from {place}, which is not loaded",
                        f"pass --plugin {place}")  # fmt: skip
    found: Lister = load_object(SOURCES[images.source].listing)
    return found


def list_test_set(images: Images, name: str, data: Path | None) -> Listing:
    """The listing of a further test set: arrays or OME-Zarr where the place or the study's source says so, else a
    folder of images.

    Raises:
        UserError: as the listing of the source.
    """
    place = images.test_sets[name]
    if images.paired:
        return list_paired_test_set(images, name, data)
    alone = images.model_copy(update={"folders": (place,), "test_sets": {}})
    if may_be_zarr(place) or images.source == "ome-zarr":
        return list_ome_zarr(alone, data, f"images.test_sets.{name}")
    arrays = images.source == "array" or place.lower().endswith(ARRAYS) or bool(in_array_file(place)[1])
    return (list_arrays if arrays else list_folder)(alone, data, f"images.test_sets.{name}")
