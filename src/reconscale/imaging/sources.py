"""The places that images come from. A new one is a function and an entry in ``SOURCES``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reconscale.imaging.bundled import list_bundled
from reconscale.imaging.deadleaves import list_deadleaves
from reconscale.imaging.folder import list_arrays, list_folder
from reconscale.imaging.listing import Listing
from reconscale.mistakes import Mistake, nearest
from reconscale.study import Images

Source = Callable[[Images, Path | None], Listing]
"""From the options and the data folder (none: not given) to a listing."""

SOURCES: dict[str, Source] = {
    "bundled": list_bundled,
    "folder": list_folder,
    "deadleaves": list_deadleaves,
    "array": list_arrays,
}


def source_of(images: Images) -> Source:
    """The source that a study names.

    Raises:
        Mistake: there is no such source.
    """
    if images.source not in SOURCES:
        raise Mistake("images.source", f"found '{images.source}'", nearest(images.source, SOURCES))
    return SOURCES[images.source]


def list_test_set(images: Images, name: str, data: Path | None) -> Listing:
    """The listing of a further test set: an array where the place or the study's source says so, else a folder of
    images.

    Raises:
        Mistake: as the listing of the source.
    """
    place = images.test_sets[name]
    arrays = images.source == "array" or place.lower().endswith((".npy", ".npz"))
    alone = images.model_copy(update={"folders": (place,), "test_sets": {}})
    return (list_arrays if arrays else list_folder)(alone, data, f"images.test_sets.{name}")
