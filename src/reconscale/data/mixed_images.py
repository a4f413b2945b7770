"""Images of several sources: each is opened as if it were alone; what one holds out, no other trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconscale.data.listing import Listing
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.pixel_values import CORNER, kept_spread, spread_cautions
from reconscale.data.set_parts import large_enough, split_set
from reconscale.data.sources import lister_of
from reconscale.data.store import Store
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.study import Images

CHANNELS = {1: "grey", 3: "RGB"}


@dataclass(frozen=True)
class MixedParts:
    """The images of several sources, divided.

    Attributes:
        train: all training images, the target's first.
        val: validation images, of the target.
        tests: ``test`` of the target, and one of each other source by its name; those without images are left out.
        passed_over: as of ``ImageSet``.
        remarks: what a user should know about the files, one sentence each.
    """

    train: MixedSubset
    val: ImageSubset
    tests: Mapping[str, ImageSubset]
    passed_over: Mapping[str, tuple[int, str]]
    remarks: tuple[str, ...]


def mixed_parts(
    images: Images, data: Path | None, opened: Callable[[Listing, Images], Store], skipped: list[tuple[str, str]]
) -> MixedParts:
    """Open the sources of a study, and divide the images of each.

    Args:
        images: the options.
        data: the folder that ``folders`` are below.
        opened: packs a listing.
        skipped: what is left out is added to.

    Raises:
        UserError: images are missing, too few or too small; sources have other channels or another range of values.
    """
    train, tests, passed_over = dict[str, ImageSubset](), dict[str, ImageSubset](), dict[str, tuple[int, str]]()
    remarks: list[str] = []
    val: ImageSubset | None = None
    for name in images.source_names:
        options = images.of_source(name)
        try:
            listing = lister_of(options)(options, data)
            store = opened(listing, options)
            left_out = list(store.skipped)
            whole = ImageSubset(store, large_enough(store, options, images.patch, "patches", left_out), listing.unit)
            train[name], held, test = (whole.pick(part) for part in split_set(whole, options, listing, data, left_out))
        except UserError as error:
            raise UserError(_place(name, error.where), error.found, error.remedy) from error
        val = held if val is None else val
        if len(test):
            tests["test" if name == images.target else name] = test
        skipped += [(f"{name}: {image}", reason) for image, reason in left_out]
        for ending, (count, example) in listing.passed_over.items():
            before = passed_over.get(ending, (0, example))
            passed_over[ending] = (before[0] + count, before[1])
        remarks += [f"{name}: {remark}" for remark in listing.remarks]
    assert val is not None  # there are two sources or more
    _refuse_other_channels(train)
    _refuse_other_ranges(images, train)
    return MixedParts(MixedSubset(train), val, tests, passed_over, (*remarks, *_shared(train)))


def _place(name: str, where: str) -> str:
    """Where something is wrong, of the source of that name."""
    key = where.removeprefix("images.")
    own = key != where and " " not in key
    return f"images.sources.{name}.{key}" if own else f"images.sources.{name}, {where}"


def _refuse_other_channels(parts: Mapping[str, ImageSubset]) -> None:
    (first, one), *others = parts.items()
    for name, other in others:
        if other.channels != one.channels:
            found = f"has {CHANNELS[other.channels]} images, and {first} has {CHANNELS[one.channels]} ones"
            raise UserError(f"images.sources.{name}", found, 'set images.channels = "gray" or "rgb" to convert them')


def _refuse_other_ranges(images: Images, parts: Mapping[str, ImageSubset]) -> None:
    """Refuse sources in other units: one whose values end far below those of another, where no range is said."""
    reach = {name: max(spread["max"] / spread["white"] for spread in kept_spread("train", part))
             for name, part in parts.items()}  # fmt: skip
    brightest = max(reach, key=lambda name: reach[name])
    for name, most in reach.items():
        if images.sources[name].range is None and most <= CORNER * reach[brightest]:
            spread = kept_spread("train", parts[name])[0]
            found = f"has no value above {spread['max']:g} of {spread['white']:g}, which is {100 * most:.2g} % of white"
            remedy = (f"{brightest} goes up to {100 * reach[brightest]:.3g} %: if they are in other units, say which "
                      f"values are black and white, such as range = [0, {spread['max']:g}]; if they are dark, say "
                      f"range = [0, {spread['white']:g}]")  # fmt: skip
            raise UserError(f"images.sources.{name}", found, remedy)


def _shared(parts: Mapping[str, ImageSubset]) -> list[str]:
    """A sentence where sources have the same training images: a mix may then have them twice."""
    seen: dict[str, str] = {}
    found: dict[tuple[str, str], list[str]] = {}
    for source, part in parts.items():
        for name, digest in zip(part.names, part.hashes, strict=True):
            other = seen.setdefault(digest, source)
            if other != source:
                found.setdefault((other, source), []).append(name)
    return [f"{len(names)} training images of {source} (such as {names[0]}) are the same as images of {other}: a mix "
            "may have them twice" for (other, source), names in found.items()]  # fmt: skip


def range_cautions(images: Images, sets: Mapping[str, ImageSubset]) -> list[str]:
    """What is suspicious about the values of each source: see ``spread_cautions``.

    Args:
        images: the options.
        sets: ``train``, ``val`` and test sets by name.
    """
    train = sets["train"]
    assert isinstance(train, MixedSubset)
    said: list[str] = []
    for name, part in train.parts.items():
        held = ("val", "test") if name == images.target else (name,)
        spreads = [spread for key in held if key in sets for spread in kept_spread(key, sets[key])]
        spreads += kept_spread("train", part)
        said += spread_cautions(f"the images of {name}", spreads, images.sources[name].range)
    return said


def available_of(train: MixedSubset, *, units: bool) -> dict[str, int]:
    """Source -> how many training units, or images, it has."""
    return {name: len(np.unique(part.groups)) if units else len(part) for name, part in train.parts.items()}
