"""Photographs that come with installed packages: nothing is downloaded, ever.

Only photographs of natural and everyday scenes are taken: no drawings, no micrographs, no astronomy, no medical
pictures, and of the stereo pair only one view. Every photograph is cut into equal tiles that do not overlap (of about
200 pixels where a study does not say); the tiles of a photograph are one unit, named ``<photograph>/<row>-<column>``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from reconscale.imaging.decode import Header, read_header, read_image
from reconscale.imaging.listing import Listing
from reconscale.mistakes import Mistake
from reconscale.study import Images


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
        Mistake: a package or a photograph in it is missing.
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
        raise Mistake(
            "bundled photographs", found, "pip install 'reconscale[train]', or use images.source = \"deadleaves\""
        )
    return path


def _cuts(length: int, tile: int) -> list[slice]:
    """Equal parts of a length, of at least ``tile`` unless it is shorter itself."""
    count = max(1, length // tile)
    side = length // count
    return [slice(i * side, (i + 1) * side) for i in range(count)]
