"""Check all stored images: damaged ones, and changes since they were packed."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from reconscale.data.build_store import StoreKey, store_key
from reconscale.data.kept_answers import cache_folder
from reconscale.data.listing import Listing, Progress, no_progress
from reconscale.data.pairs.listing import PairListing
from reconscale.data.shards import damage_of, set_aside
from reconscale.data.sources import list_test_set, lister_of
from reconscale.data.store import Store
from reconscale.data.volumes.cache import load_cached
from reconscale.data.volumes.scan import is_selected
from reconscale.data.volumes.volume_set import list_volumes
from reconscale.errors import UserError
from reconscale.machine import cores
from reconscale.study import Images


@dataclass(frozen=True)
class VolumeReport:
    """The result of reading volumes again.

    Attributes:
        volumes: how many were read again.
        slices: how many they hold.
        damaged: what is damaged, and how; it was deleted and is prepared again on the next start.
        changed: how the user's files differ from those that were prepared.
    """

    volumes: int
    slices: int
    damaged: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def counted(self) -> str:
        """The counts, in words."""
        return f"{self.slices} slices in {self.volumes} volumes"


def verify_volumes(images: Images, data: Path | None, root: Path, progress: Progress) -> VolumeReport:
    """Read the prepared volumes of a study again and compare them with their checksums.

    Measured k-space is read where it lies. Where it has changed, the volume is prepared again as well, and no longer
    fits the results that were measured with it.

    Args:
        images: the options.
        data: the folder that all places are below.
        root: the folder of prepared volumes.
        progress: called with (label, volumes done, volumes).

    Raises:
        UserError: files are missing or damaged, or nothing has been prepared.
    """
    scans = [
        (scan, options) for found, options in list_volumes(images, data).values() for scan in found.volumes
        if is_selected(scan, options)
    ]  # fmt: skip
    damaged: list[str] = []
    missing: list[str] = []
    slices = 0
    for done, (scan, options) in enumerate(scans, 1):
        volume = load_cached(scan, root, options.matrix)
        if not volume.path.is_dir():
            missing.append(scan.name)
        else:
            slices += scan.count
            if found := [f"{scan.name}: {damage}" for damage in volume.damages()]:
                damaged += found
                with FileLock(root / ".lock"):
                    shutil.rmtree(volume.path)
        progress("verifying volumes", done, len(scans))
    if len(missing) == len(scans):
        raise UserError("--verify", "found no prepared volumes of this study", "leave it out: then they are prepared")
    named = f"{', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''}"
    changed = (f"{len(missing)} volumes are new, or have changed: {named}",) if missing else ()
    return VolumeReport(len(scans) - len(missing), slices, tuple(damaged), changed)


@dataclass(frozen=True)
class ImageReport:
    """The result of reading packed images again.

    Attributes:
        shards: how many were read.
        images: how many they hold for the study.
        damaged: what is damaged, and how; it was set aside and is packed again on the next start.
        changed: how the user's files differ from those that were packed.
    """

    shards: int
    images: int
    damaged: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def counted(self) -> str:
        """The counts, in words."""
        return f"{self.images} images in {self.shards} shards"


def verify_images(
    images: Images, *, data: Path | None = None, cache: Path | None = None, progress: Progress | None = None
) -> ImageReport | VolumeReport:
    """Read all packed images, or prepared volumes, of a study again and compare them with their hashes.

    Args:
        images: the options.
        data: the folder that ``images.folders`` and ``images.test_sets`` are below.
        cache: as in ``open_images``.
        progress: called with (label, shards done, shards).

    Raises:
        UserError: nothing has been packed, or images are missing.
    """
    progress = progress or no_progress
    root = cache_folder(cache)
    if images.volumes:
        return verify_volumes(images, data, root.with_name("volumes"), progress)
    each = [images.of_source(name) for name in images.source_names] or [images]
    scaled = [(lister_of(options)(options, data), options.downscale) for options in each]
    scaled += [(list_test_set(each[0], name, data), each[0].downscale) for name in images.test_sets]
    scaled += [(listing.truths, downscale) for listing, downscale in scaled if isinstance(listing, PairListing)]
    damaged: list[str] = []
    changed: list[str] = []
    stores: dict[Path, Store] = {}
    for listing, downscale in scaled:
        wanted = store_key(listing, images.channels, downscale)
        store = _packed(root, wanted, damaged)
        if store is None:
            changed.append(f"{listing.place}: {len(listing.names)} images are not packed")
            continue
        stores[store.path] = store
        changed += _changes(listing, wanted, store)
    shards = {(store.folder, facts["name"]) for store in stores.values() for facts in store.manifest["shards"]}
    if not shards and not damaged:
        raise UserError("--verify", "found no packed images of this study", "leave it out: then they are packed")
    found = _read_again(sorted(shards), progress)
    for (folder, name), (reason, places) in found.items():
        damaged.append(f"{folder / name}.bin: {reason}{_named(stores, folder, name, places)}")
        with FileLock(folder / ".lock"):
            set_aside(folder, name)
    return ImageReport(len(shards), sum(map(len, stores.values())), tuple(damaged), tuple(changed))


def _packed(root: Path, wanted: StoreKey, damaged: list[str]) -> Store | None:
    """The store of that key; else the latest of the same place and options. Damaged indices are removed."""
    own, others = [], []
    for path in root.glob("*-*"):
        store = Store(path)
        mine = path.name.startswith(f"{wanted.key}-")
        if not store.has_index():
            if mine:
                damaged.append(f"{path}: its index is damaged")
                shutil.rmtree(path)
        elif mine:
            own.append(store)
        elif store.manifest["family"] == wanted.family:
            others.append(store)
    return max(own or others, key=lambda store: (store.path / "manifest.json").stat().st_mtime_ns, default=None)


def _changes(listing: Listing, wanted: StoreKey, store: Store) -> list[str]:
    if store.path.name.startswith(f"{wanted.key}-"):
        return []
    before, now = (
        dict(zip(names, map(bytes, keys), strict=True))
        for names, keys in ((store.names, store.keys), (listing.names, wanted.keys))
    )
    left_out = {name for name, _ in store.skipped}
    kinds = {
        "added": [name for name in now if name not in before and name not in left_out],
        "changed": [name for name, key in now.items() if before.get(name, key) != key],
        "removed": [name for name in before if name not in now],
    }
    return [
        f"{listing.place}: {len(names)} {kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for kind, names in kinds.items()
        if names
    ]


def _read_again(shards: list[tuple[Path, str]], progress: Progress) -> dict[tuple[Path, str], tuple[str, list[int]]]:
    """The damaged shards: what is wrong, and the numbers of their images that it was found in."""
    found = {}
    with ThreadPoolExecutor(min(8, cores())) as pool:
        for done, (shard, damage) in enumerate(zip(shards, pool.map(lambda s: damage_of(*s), shards), strict=True), 1):
            if damage is not None:
                found[shard] = damage
            progress("verifying packed images", done, len(shards))
    return found


def _named(stores: dict[Path, Store], folder: Path, name: str, places: list[int]) -> str:
    """The names of damaged images."""
    names: dict[str, None] = {}
    for store in stores.values():
        numbers = [number for number, facts in enumerate(store.manifest["shards"]) if facts["name"] == name]
        if store.folder == folder and numbers and places:
            rows = np.flatnonzero((store.shards == numbers[0]) & np.isin(store.places, places))
            names |= dict.fromkeys(store.names[row] for row in rows.tolist())
    known = list(names)
    return f" ({', '.join(known[:5])}{', ...' if len(known) > 5 else ''})" if known else ""
