"""The images of a source that are used, and how they are divided."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reconscale.data.listing import Listing, in_words
from reconscale.data.own_split import Known
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.store import Store
from reconscale.data.subset import TOO_FEW, ImageSubset, Parts, divide, in_no_set
from reconscale.errors import UserError
from reconscale.study import Images


def split_set(
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


def large_enough(store: Store, images: Images, least: int, what: str, skipped: list[tuple[str, str]]) -> np.ndarray:
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
