"""Image sets: clean images in units, split once, with nested training subsets."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from reconscale.data.build_store import open_store
from reconscale.data.listing import Listing, Progress, in_words, no_progress
from reconscale.data.near_duplicates import DuplicatePair, count_repeats, find_duplicates
from reconscale.data.own_split import Known
from reconscale.data.pairs.checks import level_remarks, look_at_pairs
from reconscale.data.pairs.listing import PairListing
from reconscale.data.pairs.pairing import check_alike, pair_up
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.pixel_values import spread_cautions, value_spread
from reconscale.data.sources import list_test_set, lister_of
from reconscale.data.store import Store
from reconscale.data.subset import TOO_FEW, ImageSubset, Parts, divide, in_no_set
from reconscale.data.volumes.volume_set import Slices, open_volumes
from reconscale.errors import UserError
from reconscale.files import json_digest, to_json, write_atomic
from reconscale.study import SOURCES, Images
from reconscale.study.subsets import nested_order

T = TypeVar("T")

LEAST = 10_000
"""From this many images on answers are cached; for fewer, finding them again is as quick."""


HEAVY = 1 << 30
"""Bytes of pixels from which on what all of them are needed for is cached as well."""


def memoize(
    question: str, about: Sequence[tuple[str, ImageSubset]], find: Callable[[], T], *, heavy: bool = False
) -> T:
    """The answer to a question about images, from the cache if it is there.

    The key is a hash of the question and of names, pixels and order of the images. A damaged answer is found again.

    Args:
        question: with the version of its algorithm.
        about: the images, with what they stand for.
        find: finds the answer: a JSON value.
        heavy: whether it takes long, however few images there are.
    """
    if not heavy and sum(len(pixels) for _, pixels in about) < LEAST:
        return find()
    key = hashlib.sha256(question.encode())
    for label, pixels in about:
        for store, rows in pixels.stores:
            content = [store.manifest["files"][name] for name in ("names.txt", "hashes.npy")]
            key.update(f"\0{label}\0{' '.join(content)}\0{len(pixels)}\0".encode())
            key.update(np.ascontiguousarray(rows, np.int64).data)
    path = about[0][1].store.path.parent / "answers" / f"{key.hexdigest()[:32]}.json"
    kept: T | None = _kept(path)
    if kept is not None:
        return kept
    answer = find()
    try:
        write_atomic(path, to_json({"answer": answer, "sha256": json_digest(answer)}))
    except UserError:  # the cache may be read-only: the answer is found again the next time
        return answer
    return answer


def _kept(path: Path) -> Any:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return record["answer"] if record["sha256"] == json_digest(record["answer"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


_COPIES = 'if these are copies of one scene, keep them together with images.unit = "folder"; else '
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
        """The largest n, in the unit of ``images.counts``."""
        return self.units if self.images.counts == "units" else len(self.train)

    def training(self, n: int, subset_seed: int) -> ImageSubset | Slices:
        """The first n training units (or images) of the nested order of a seed: see ``nested_order``.

        Raises:
            UserError: n is below 1 or more than there are.
        """
        if not 1 <= n <= self.available:
            raise UserError(
                "sweep.n", f"found {n}", f"the images allow 1 to {self.available} {self.images.counts} for training"
            )
        units = self.train.groups if isinstance(self.train, ImageSubset) else self.train.units
        if self.images.order == "mixed":
            units = np.arange(len(self.train))  # every image comes on its own
        order, ends = nested_order(units, subset_seed, shuffled=self.images.volumes)
        return self.train.pick(order[: int(ends[n - 1])] if self.images.counts == "units" else order[:n])

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
            "source": self.images.source,
            "channels": self.channels,
            "counts": self.images.counts,
            "available": self.available,
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
                "dtype": self.train.store.dtype,
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
                size = pixels.area_in_all * pixels.channels * np.dtype(pixels.store.dtype).itemsize
                ask = lambda pixels=pixels: value_spread(pixels)  # noqa: E731
                found[name] = memoize("values 2", [(name, pixels)], ask, heavy=size > HEAVY)
        return found

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """What a user should know before numbers are believed: about the files, and about the values of pixels."""
        own = [spread for name, spreads in self.spreads.items() if name in ("train", "val", "test")
               for spread in spreads]  # fmt: skip
        what = "the truths" if self.images.paired else "the images"
        said = [*self.remarks, *(spread_cautions(what, own, self.images.range) if own else ())]
        for name in self.images.test_sets:
            if name in self.spreads:
                said += spread_cautions(f"the test set '{name}'", self.spreads[name], self.images.range)
        return tuple(said)

    def _repeated(self) -> int:
        train = self.train
        assert isinstance(train, ImageSubset)
        rows = np.unique(train.rows)  # several inputs may have one truth
        return memoize("repeated 1", [("train", train)], lambda: count_repeats(train.store, rows))

    @property
    def sets(self) -> dict[str, Any]:
        """All sets by name: ``train``, ``val`` and the test sets."""
        return {"train": self.train, "val": self.val, **self.tests}


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

    def opened(listing: Listing) -> Store:
        return open_store(
            listing,
            root,
            channels=images.channels,
            downscale=images.downscale,
            unreadable=images.unreadable,
            progress=progress,
        )

    listing = lister_of(images)(images, data)
    if isinstance(listing, PairListing):
        return _open_pairs(images, listing, data, opened)
    store = opened(listing)
    skipped = list(store.skipped)
    rows = _large_enough(store, images, images.patch, "patches", skipped)
    whole = ImageSubset(store, rows, listing.unit)
    train, val, test = (whole.pick(part) for part in _split(whole, images, listing, data, skipped))
    tests = {"test": test} if images.test else {}
    for name in images.test_sets:
        other = list_test_set(images, name, data)
        tests[name] = _further_test_set(name, opened(other), other.unit, store, images, skipped)
    found = ImageSet(images, listing.unit, train, val, tests, tuple(skipped), 0, listing.passed_over, listing.remarks)
    return _without_duplicates(found)


def _open_pairs(
    images: Images, listing: PairListing, data: Path | None, opened: Callable[[Listing], Store]
) -> ImageSet:
    """As ``open_images``, of inputs with their truths."""
    skipped: list[tuple[str, str]] = []

    def subset(of: Listing, least: int, what: str) -> PairSubset:
        assert isinstance(of, PairListing)
        pairs = pair_up(of, opened(of), opened(of.truths), skipped)
        large = _large_enough(pairs.store, images, least, what, skipped)
        return pairs.pick(np.flatnonzero(np.isin(pairs.rows, large)))

    whole = subset(listing, images.patch, "patches")
    train, val, test = (whole.pick(part) for part in _split(whole, images, listing, data, skipped))
    tests: dict[str, ImageSubset | Slices] = {"test": test} if images.test else {}
    for name in images.test_sets:
        tests[name] = other = subset(list_test_set(images, name, data), LEAST_SIDE, "measurements")
        check_alike(f"images.test_sets.{name}", other, whole)
    facts = {"matched": f"{listing.rule}, such as {whole.names[0]} with {whole.truth_names[0]}",
             "factor": whole.factor, **look_at_pairs(val, images)}  # fmt: skip
    remarks = (*listing.remarks, *level_remarks(val, images))
    about = (tuple(skipped), 0, listing.passed_over, remarks, facts)
    return _without_duplicates(ImageSet(images, listing.unit, train, val, tests, *about))


def _split(
    whole: ImageSubset, images: Images, listing: Listing, data: Path | None, skipped: list[tuple[str, str]]
) -> Parts:
    """As ``divide``; where there are too few images, files that are not read are named."""
    also = whole.truth_names if isinstance(whole, PairSubset) and images.split is not None else ()
    left_out = frozenset(name for name, _ in skipped)
    known = Known(whole.names, whole.units, also, left_out, kept=images.split_noun)
    try:
        parts = divide(known, images, data)
    except UserError as error:
        if not listing.passed_over or error.where != TOO_FEW:
            raise
        found = f"{error.found} ({in_words(listing.passed_over)})"
        raise UserError(error.where, found, error.remedy) from error
    if images.split is not None:
        skipped += in_no_set(known, parts)
    return parts


def _further_test_set(
    name: str,
    store: Store,
    unit: Literal["file", "folder"],
    training: Store,
    images: Images,
    skipped: list[tuple[str, str]],
) -> ImageSubset:
    """A test set of its own folder: of as many channels as the training images, and large enough to be measured."""
    if store.channels != training.channels:
        kinds = {1: "grey", 3: "RGB"}
        found = f"is {kinds[store.channels]}, the training images are {kinds[training.channels]}"
        raise UserError(f"images.test_sets.{name}", found, 'set images.channels = "gray" or "rgb" to convert them')
    skipped += [(f"{name}: {image}", reason) for image, reason in store.skipped]
    return ImageSubset(store, _large_enough(store, images, LEAST_SIDE, "measurements", skipped), unit)


def _open_volumes(images: Images, data: Path | None, root: Path, progress: Progress | None) -> ImageSet:
    sets, skipped = open_volumes(images, data, root.with_name("volumes"), progress or no_progress)
    train, val = sets.pop("train"), sets.pop("val")
    return ImageSet(images, images.unit, train, val, sets, skipped)


def cache_folder(cache: Path | None) -> Path:
    """The folder of all packed images: below what is given, ``$RECONSCALE_CACHE``, or the user's cache folder."""
    if cache is None and os.environ.get("RECONSCALE_CACHE"):
        cache = Path(os.environ["RECONSCALE_CACHE"])
    if cache is None:
        import platformdirs

        cache = Path(platformdirs.user_cache_dir("reconscale", appauthor=False))
    return cache.expanduser().resolve() / "images"


def _large_enough(store: Store, images: Images, least: int, what: str, skipped: list[tuple[str, str]]) -> np.ndarray:
    """The rows of images with at least ``least`` pixels a side."""
    small = store.sizes.min(1) < least
    after = f" after images.downscale = {images.downscale}" if images.downscale > 1 else ""
    for row in np.flatnonzero(small).tolist():
        height, width = store.sizes[row].tolist()
        reason = f"is {width} x {height} pixels{after}, and {what} need {least} x {least}"
        if images.small == "refuse":
            lower = "lower images.patch" if what == "patches" else "remove it"
            raise UserError(store.names[row], reason, f'{lower}, or set images.small = "skip"')
        skipped.append((store.names[row], reason))
    if small.all():
        raise UserError("images", f"none of the {len(small)} images has {least} pixels a side", "lower images.patch")
    return np.flatnonzero(~small)


def _without_duplicates(images: ImageSet) -> ImageSet:
    """Refuse, or leave out, what is (nearly) the same as a held-out image."""
    val, train, skipped, count = images.val, images.train, list(images.skipped), 0
    assert isinstance(val, ImageSubset) and isinstance(train, ImageSubset)
    tests = {name: pixels for name, pixels in images.tests.items() if isinstance(pixels, ImageSubset)}
    for name, pixels in tests.items():
        val, found = _parted(val, "val", pixels, name, images.images, skipped)
        count += found
    for name, pixels in {**tests, "val": val}.items():
        train, found = _parted(train, "training", pixels, name, images.images, skipped)
        count += found
    if not count:
        return images
    return replace(images, train=train, val=val, skipped=tuple(skipped), duplicates=count)


def _parted(
    pixels: ImageSubset, label: str, held_out: ImageSubset, name: str, images: Images, skipped: list[tuple[str, str]]
) -> tuple[ImageSubset, int]:
    """The images whose units have no twin in ``held_out``, and the number of pairs found."""
    shifted = SOURCES[images.source].needs_folder  # what is generated is no file that somebody may have cut
    key = "twins 3" if shifted else "twins 3, in place"
    pairs = memoize(key, [("left", pixels), ("right", held_out)], lambda: _pairs(pixels, held_out, shifted))
    found = [DuplicatePair(*pair) for pair in pairs]
    if not found:
        return pixels, 0
    if images.duplicates == "refuse":
        first = found[0]
        left, right = pixels.store.names[first.left], held_out.store.names[first.right]
        more = f" (and {len(found) - 1} more pairs)" if len(found) > 1 else ""
        raise UserError(
            f"{label} image '{left}'",
            f"is {_alike(first)} as '{right}' of {name}{more}",
            f'{images.paired * _COPIES}remove one of the two, or set images.duplicates = "skip" to leave the {label} '
            "units out",
        )
    names = pixels.store.names
    owners: dict[int, set[str]] = {}
    for row, unit in zip(pixels.rows.tolist(), pixels.units, strict=True):
        owners.setdefault(row, set()).add(unit)
    twin_of = {unit: twin for twin in reversed(found) for unit in owners[twin.left]}
    keep = [unit not in twin_of for unit in pixels.units]
    for unit, twin in sorted(twin_of.items()):
        skipped.append(
            (unit, f"{label}: '{names[twin.left]}' is {_alike(twin)} as '{held_out.store.names[twin.right]}' of {name}")
        )
    if not any(keep):
        raise UserError(
            f"{label} images", f"every unit has a duplicate in {name}", "add images, or separate the folders"
        )
    return pixels.pick(np.flatnonzero(keep)), len(found)


def _pairs(pixels: ImageSubset, held_out: ImageSubset, shifted: bool) -> list[tuple[int, int, bool]]:
    found = find_duplicates(pixels.store, pixels.rows, held_out.store, held_out.rows, shifted=shifted)
    return [(twin.left, twin.right, twin.exact) for twin in found]


def _alike(twin: DuplicatePair) -> str:
    return "the same" if twin.exact else "nearly the same"
