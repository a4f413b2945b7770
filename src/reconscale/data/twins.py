"""Images that are (nearly) the same as a held-out one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reconscale.data.kept_answers import memoize
from reconscale.data.mixed_subset import MixedSubset
from reconscale.data.near_duplicates import DuplicatePair, find_duplicates
from reconscale.data.subset import ImageSubset
from reconscale.errors import UserError
from reconscale.study import SOURCES, Images

_COPIES = 'if these are copies of one scene, keep them together with images.unit = "folder"; else '


def without_twins(
    train: ImageSubset, val: ImageSubset, tests: Mapping[str, ImageSubset], images: Images,
    skipped: list[tuple[str, str]],
) -> tuple[ImageSubset, ImageSubset, int]:  # fmt: skip
    """Refuse, or leave out of training and validation, what is (nearly) the same as a held-out image.

    Args:
        train: training images, of one source or of several.
        val: validation images.
        tests: test sets by name.
        images: the options.
        skipped: what is left out is added to.

    Returns:
        Training images, validation images, and how many pairs were found.

    Raises:
        UserError: some are, and the options say to refuse them; or nothing is left.
    """
    count = 0
    cut = _may_be_cut(images)
    for name, pixels in tests.items():
        val, found = _parted(val, "val", pixels, name, images, skipped, cut["val"] and cut.get(name, cut["val"]))
        count += found
    for name, pixels in {**tests, "val": val}.items():
        held_cut = cut.get(name, cut["val"])
        if not isinstance(train, MixedSubset):
            train, found = _parted(train, "training", pixels, name, images, skipped, cut["val"] and held_cut)
            count += found
            continue
        for source, part in train.parts.items():
            mine = images.of_source(source).kind.needs_folder
            kept, found = _parted(part, f"{source} training", pixels, name, images, skipped, mine and held_cut)
            train, count = train.with_part(source, kept), count + found
    return train, val, count


def _may_be_cut(images: Images) -> dict[str, bool]:
    """Of which sets images are files, which somebody may have cut from others; further test sets are as ``val``."""
    if not images.sources:
        return {"val": SOURCES[images.source].needs_folder}
    found = {name: images.of_source(name).kind.needs_folder for name in images.source_names}
    own = found[images.source_names[0]]
    return {**found, "val": own, "test": own, **dict.fromkeys(images.test_sets, True)}


def _parted(
    pixels: ImageSubset, label: str, held_out: ImageSubset, name: str, images: Images, skipped: list[tuple[str, str]],
    shifted: bool,
) -> tuple[ImageSubset, int]:  # fmt: skip
    """The images whose units have no twin in ``held_out``, and the number of pairs found.

    ``shifted``: also where one is a part of the other; what is generated is no file that somebody may have cut.
    """
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
