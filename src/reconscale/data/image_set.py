"""Image sets: clean images in units, split once, with nested training subsets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reconscale.data.build_store import open_store
from reconscale.data.kept_answers import cache_folder, memoize
from reconscale.data.listing import Listing, Progress, in_words, no_progress
from reconscale.data.mixed_images import available_of, mixed_parts, range_cautions
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.near_duplicates import count_repeats
from reconscale.data.pairs.checks import level_remarks, look_at_pairs
from reconscale.data.pairs.listing import PairListing
from reconscale.data.pairs.pairing import check_alike, pair_up
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.pixel_values import kept_spread, spread_cautions
from reconscale.data.set_parts import large_enough, split_set
from reconscale.data.sources import list_test_set, lister_of
from reconscale.data.store import Store
from reconscale.data.subset import ImageSubset
from reconscale.data.twins import without_twins
from reconscale.data.volumes.volume_set import Slices, open_volumes
from reconscale.errors import UserError
from reconscale.study import Images
from reconscale.study.subsets import nested_order

LEAST_SIDE = 8
"""Images of further test sets have at least this many pixels a side; SSIM needs 7."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of a study. Pickles as paths and row numbers; the pixels stay on the disk until they are read.

    Attributes:
        images: the options.
        unit: whether a unit is an image (``file``) or all images of one folder, scene or stack (``folder``).
        train: the training images, sorted by unit and name.
        val: the validation images.
        tests: the test sets by name: ``test`` (held-out units), then the further ones.
        skipped: images left out: (name, reason).
        duplicates: pairs of a training or validation image and a held-out one that (nearly) agree; these were left out.
        passed_over: files in the folders that are not read: ending -> how many, and the name of one.
        remarks: what a user should know about the files, one sentence each.
        pairs: of real pairs: how they were matched, and how well inputs and truths fit; JSON values only.
    """

    images: Images
    unit: Literal["file", "folder"]
    train: ImageSubset | Slices
    val: ImageSubset | Slices
    tests: Mapping[str, ImageSubset | Slices]
    skipped: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    duplicates: int = 0
    passed_over: Mapping[str, tuple[int, str]] = field(default_factory=dict, repr=False)
    remarks: tuple[str, ...] = ()
    pairs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.train.channels

    @cached_property
    def units(self) -> int:
        """The number of training units."""
        return len(np.unique(self.train.groups)) if isinstance(self.train, ImageSubset) else len(set(self.train.units))

    @property
    def available(self) -> int:
        """The largest n, in the unit of ``images.counts``; of several sources all of them together."""
        return self.units if self.images.counts == "units" else len(self.train)

    @property
    def available_of(self) -> Mapping[str, int]:
        """Of several sources: the largest number of each, in the unit of ``images.counts``."""
        assert isinstance(self.train, MixedSubset)
        return available_of(self.train, units=self.images.counts == "units")

    def check_mix(self, mix: Mapping[str, int]) -> None:
        """Refuse a mix that asks for more images of a source than it has for training.

        Raises:
            UserError: as said.
        """
        for name, known in self.available_of.items():
            if mix.get(name, 0) > known:
                raise UserError("sweep.mix", f"found {mix[name]} of {name}", f"it allows at most {known} "
                                f"{self.images.of_source(name).noun} for training")  # fmt: skip

    def training(self, n: int, subset_seed: int, mix: Mapping[str, int] | None = None) -> ImageSubset | Slices:
        """The first n training units (or images) of the nested order of a seed: see ``nested_order``.

        Of several sources the first ones of each, which do not depend on the other sources.

        Args:
            n: how many, of all sources together.
            subset_seed: of the order.
            mix: of several sources: source -> how many of them are its.

        Raises:
            UserError: n is below 1 or more than there are.
        """
        if isinstance(self.train, MixedSubset):
            self.check_mix(mix or {})
            return self.train.first(mix or {}, lambda part, count: self._first(part, count, subset_seed))
        if not 1 <= n <= self.available:
            raise UserError(
                "sweep.n", f"found {n}", f"the images allow 1 to {self.available} {self.images.counts} for training"
            )
        first: ImageSubset | Slices = self._first(self.train, n, subset_seed)
        return first

    def _first(self, train: Any, n: int, subset_seed: int) -> Any:
        """The first n units, or images, of one source."""
        units = train.groups if isinstance(train, ImageSubset) else train.units
        if self.images.order == "mixed":
            units = np.arange(len(train))  # every image comes on its own
        order, ends = nested_order(units, subset_seed, shuffled=self.images.volumes)
        return train.pick(order[: int(ends[n - 1])] if self.images.counts == "units" else order[:n])

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, over the sorted (set, name, hash of shape, type and pixels) of all images."""
        sets = list(self.sets.items())
        if isinstance(self.train, Slices):
            return _digest(sets)
        return memoize("digest 1", sets, lambda: _digest(sets))

    def files(self) -> tuple[Path, ...]:
        """Every file that reading these images needs, by absolute paths, sorted.

        Packed images and prepared volumes never change once they are whole; of measured k-space, the user's own files
        are among them.
        """
        found: set[Path] = set()
        for pixels in self.sets.values():
            if isinstance(pixels, Slices):
                for volume in pixels.volumes:
                    found |= {path.absolute() for path in volume.path.iterdir() if path.is_file()}
                    found |= {Path(volume.place.path).absolute()} if volume.place is not None else set()
            else:
                found |= {path for store, _ in pixels.stores for path in store.files()}
        return tuple(sorted(found))

    def describe(self) -> dict[str, Any]:
        """Counts, sizes, what was left out and where the packed images are; JSON values only."""
        known = {
            "source": {name: one.source for name, one in self.images.sources.items()} or self.images.source,
            "channels": self.channels,
            "counts": self.images.counts,
            "available": dict(self.available_of) if self.images.sources else self.available,
            "sets": {name: pixels.described() for name, pixels in self.sets.items()},
            "skipped": [list(pair) for pair in self.skipped],
            "digest": self.digest,
        }
        if isinstance(self.train, Slices):
            return known | {"cache": sorted({str(v.path.parent) for s in self.sets.values() for v in s.volumes})}
        return (
            known
            | ({"pairs": dict(self.pairs)} if self.pairs else {})
            | {
                "files": in_words(self.passed_over) or "all read",
                "pixel values": self.spreads,
                "cautions": list(self.cautions),
                "dtype": self.train.dtype,
                "duplicates left out": self.duplicates,
                "repeated training images": self._repeated(),
                "cache": sorted({str(store.path) for pixels in self.sets.values() for store, _ in pixels.stores}),
            }
        )

    @cached_property
    def spreads(self) -> dict[str, list[dict[str, Any]]]:
        """The values of the pixels of every set of single images, in their own units: see ``value_spread``."""
        found = {}
        measured = {f"{name} inputs": pixels.measured for name, pixels in self.sets.items()
                    if isinstance(pixels, PairSubset)}  # fmt: skip
        for name, pixels in {**self.sets, **measured}.items():
            if isinstance(pixels, ImageSubset):
                found[name] = kept_spread(name, pixels)
        return found

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """What a user should know before numbers are believed: about the files, and about the values of pixels."""
        if isinstance(self.train, MixedSubset):
            said = [*self.remarks, *range_cautions(self.images, self.sets)]
            return tuple(said + self._test_set_cautions())
        own = [spread for name, spreads in self.spreads.items() if name in ("train", "val", "test")
               for spread in spreads]  # fmt: skip
        what = "the truths" if self.images.paired else "the images"
        said = [*self.remarks, *(spread_cautions(what, own, self.images.range) if own else ())]
        return tuple(said + self._test_set_cautions())

    def _test_set_cautions(self) -> list[str]:
        said: list[str] = []
        for name in self.images.test_sets:
            if name in self.spreads:
                said += spread_cautions(f"the test set '{name}'", self.spreads[name], self.images.range)
        return said

    def _repeated(self) -> int:
        train = self.train
        assert isinstance(train, ImageSubset)
        return sum(_repeats(part) for part in (train.parts.values() if isinstance(train, MixedSubset) else (train,)))

    @property
    def sets(self) -> dict[str, Any]:
        """All sets by name: ``train``, ``val`` and the test sets."""
        return {"train": self.train, "val": self.val, **self.tests}


def _repeats(train: ImageSubset) -> int:
    """How many training images are there more than once."""
    rows = np.unique(train.rows)  # several inputs may have one truth
    return memoize("repeated 1", [("train", train)], lambda: count_repeats(train.store, rows))


def _digest(sets: list[tuple[str, Any]]) -> str:
    lines = sorted(
        f"{name}\0{image}\0{digest}"
        for name, pixels in sets
        for image, digest in zip(pixels.names, pixels.hashes, strict=True)
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def open_images(
    images: Images, *, data: Path | None = None, cache: Path | None = None, progress: Progress | None = None
) -> ImageSet:
    """Open the images of a study; pack them first where that has not been done.

    Args:
        images: the options.
        data: the folder that ``images.folders`` and ``images.test_sets`` are below.
        cache: the folder for packed images; none: ``$RECONSCALE_CACHE``, else the user's cache folder.
        progress: called with (label, done, total) while packing.

    Raises:
        UserError: images are missing, unreadable, too small, mixed, too few, or (nearly) the same on both sides of the
            line.
    """
    root = cache_folder(cache)
    if images.volumes:
        return _open_volumes(images, data, root, progress)

    def opened(listing: Listing, options: Images = images) -> Store:
        return open_store(
            listing,
            root,
            channels=options.channels,
            downscale=options.downscale,
            unreadable=options.unreadable,
            progress=progress,
        )

    if images.sources:
        return _open_mixed(images, data, opened)
    listing = lister_of(images)(images, data)
    if isinstance(listing, PairListing):
        return _open_pairs(images, listing, data, opened)
    store = opened(listing)
    skipped = list(store.skipped)
    rows = large_enough(store, images, images.patch, "patches", skipped)
    whole = ImageSubset(store, rows, listing.unit)
    train, val, test = (whole.pick(part) for part in split_set(whole, images, listing, data, skipped))
    tests = {"test": test} if images.test else {}
    for name in images.test_sets:
        other = list_test_set(images, name, data)
        tests[name] = _further_test_set(name, opened(other), other.unit, store.channels, images, skipped)
    found = ImageSet(images, listing.unit, train, val, tests, tuple(skipped), 0, listing.passed_over, listing.remarks)
    return _without_duplicates(found)


def _open_mixed(images: Images, data: Path | None, opened: Callable[[Listing, Images], Store]) -> ImageSet:
    """As ``open_images``, of several sources."""
    skipped: list[tuple[str, str]] = []
    parts = mixed_parts(images, data, opened, skipped)
    target = images.of_source(images.source_names[0])
    tests: dict[str, ImageSubset | Slices] = dict(parts.tests)
    for name in images.test_sets:
        other = list_test_set(target, name, data)
        tests[name] = _further_test_set(name, opened(other, target), other.unit, parts.train.channels, target, skipped)
    return _without_duplicates(
        ImageSet(images, "file", parts.train, parts.val, tests, tuple(skipped), 0, parts.passed_over, parts.remarks)
    )


def _without_duplicates(images: ImageSet) -> ImageSet:
    """Refuse, or leave out, what is (nearly) the same as a held-out image."""
    train, val, skipped = images.train, images.val, list(images.skipped)
    assert isinstance(val, ImageSubset) and isinstance(train, ImageSubset)
    tests = {name: pixels for name, pixels in images.tests.items() if isinstance(pixels, ImageSubset)}
    train, val, count = without_twins(train, val, tests, images.images, skipped)
    if not count:
        return images
    return replace(images, train=train, val=val, skipped=tuple(skipped), duplicates=count)


def _open_pairs(
    images: Images, listing: PairListing, data: Path | None, opened: Callable[[Listing], Store]
) -> ImageSet:
    """As ``open_images``, of inputs with their truths."""
    skipped: list[tuple[str, str]] = []

    def subset(of: Listing, least: int, what: str) -> PairSubset:
        assert isinstance(of, PairListing)
        pairs = pair_up(of, opened(of), opened(of.truths), skipped)
        large = large_enough(pairs.store, images, least, what, skipped)
        return pairs.pick(np.flatnonzero(np.isin(pairs.rows, large)))

    whole = subset(listing, images.patch, "patches")
    train, val, test = (whole.pick(part) for part in split_set(whole, images, listing, data, skipped))
    tests: dict[str, ImageSubset | Slices] = {"test": test} if images.test else {}
    for name in images.test_sets:
        tests[name] = other = subset(list_test_set(images, name, data), LEAST_SIDE, "measurements")
        check_alike(f"images.test_sets.{name}", other, whole)
    facts = {"matched": f"{listing.rule}, such as {whole.names[0]} with {whole.truth_names[0]}",
             "factor": whole.factor, **look_at_pairs(val, images)}  # fmt: skip
    remarks = (*listing.remarks, *level_remarks(val, images))
    about = (tuple(skipped), 0, listing.passed_over, remarks, facts)
    return _without_duplicates(ImageSet(images, listing.unit, train, val, tests, *about))


def _further_test_set(
    name: str,
    store: Store,
    unit: Literal["file", "folder"],
    channels: int,
    images: Images,
    skipped: list[tuple[str, str]],
) -> ImageSubset:
    """A test set of its own folder: of as many channels as the training images, and large enough to be measured."""
    if store.channels != channels:
        kinds = {1: "grey", 3: "RGB"}
        found = f"is {kinds[store.channels]}, the training images are {kinds[channels]}"
        raise UserError(f"images.test_sets.{name}", found, 'set images.channels = "gray" or "rgb" to convert them')
    skipped += [(f"{name}: {image}", reason) for image, reason in store.skipped]
    return ImageSubset(store, large_enough(store, images, LEAST_SIDE, "measurements", skipped), unit)


def _open_volumes(images: Images, data: Path | None, root: Path, progress: Progress | None) -> ImageSet:
    sets, skipped = open_volumes(images, data, root.with_name("volumes"), progress or no_progress)
    train, val = sets.pop("train"), sets.pop("val")
    return ImageSet(images, images.unit, train, val, sets, skipped)
