"""From packed inputs and packed truths to pairs: what is left out, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reconscale.data.pairs.listing import PairListing
from reconscale.data.pairs.subset import PairSubset
from reconscale.data.store import Store
from reconscale.errors import UserError

_BLOCK = 8192
_KINDS = {1: "grey", 3: "RGB"}


def pair_up(listing: PairListing, inputs: Store, truths: Store, skipped: list[tuple[str, str]]) -> PairSubset:
    """All pairs of a listing whose two images could be read.

    Args:
        listing: says which truth belongs to which input.
        inputs: where the inputs are packed.
        truths: where the truths are packed.
        skipped: pairs that are left out are added, with the reason.

    Raises:
        UserError: nothing is left; inputs and truths have different channels, or sizes of no common factor; an input
            is its own truth; a truth is constant; one input is in two scenes of other truths.
    """
    if inputs.channels != truths.channels:
        found = f"inputs are {_KINDS[inputs.channels]}, and truths are {_KINDS[truths.channels]}"
        raise UserError(listing.place, found, 'set images.channels = "gray" or "rgb" to convert them')
    ours, theirs = (dict(zip(store.names, range(len(store)), strict=True)) for store in (inputs, truths))
    skipped += [*inputs.skipped, *truths.skipped]
    kept, rows, truth_rows = [], [], []
    for place, (name, truth) in enumerate(zip(listing.names, listing.truth_of, strict=True)):
        row, other = ours.get(name), theirs.get(listing.truths.names[truth])
        if row is not None and other is None:
            skipped.append((name, f"its truth {listing.truths.names[truth]} cannot be read"))
        if row is not None and other is not None:
            kept.append(place)
            rows.append(row)
            truth_rows.append(other)
    if not kept:
        raise UserError(listing.place, "holds no pair whose two images can be read", "repair the files")
    scenes = tuple(listing.scenes[place] for place in kept)
    held = np.array(truth_rows, np.int64), np.array(rows, np.int64)
    pairs = PairSubset(truths, held[0], "file", inputs, held[1], scenes, 1)
    _refuse_equal(pairs)
    _refuse_copied(pairs)
    _refuse_constant(pairs)
    return replace(pairs, factor=_common_factor(pairs))


def check_alike(where: str, pairs: PairSubset, training: PairSubset) -> None:
    """Refuse a test set whose pairs have another form than those that networks are trained on.

    Raises:
        UserError: their factors or their channels differ.
    """
    if (pairs.factor, pairs.channels) == (training.factor, training.channels):
        return
    theirs, ours = (f"{of.factor} times larger than inputs and {_KINDS[of.channels]}" for of in (pairs, training))
    raise UserError(where, f"has truths {theirs}, those of the study are {ours}", "bring both to one form")


def _common_factor(pairs: PairSubset) -> int:
    """How many times larger than inputs truths are: the same for all pairs and in both directions.

    A truth may have rows and columns beyond that, fewer than the factor, as files of super-resolution have.
    """
    given, truth = pairs.inputs.sizes[pairs.input_rows], pairs.store.sizes[pairs.rows]
    factors = truth // given
    fits = (factors[:, 0] == factors[:, 1]) & (factors[:, 0] > 0) & (truth - factors * given < factors).all(1)
    if not fits.all():
        bad = int(np.argmin(fits))
        found = f"has {_size(given[bad])} pixels, and its truth {pairs.truth_names[bad]} has {_size(truth[bad])}"
        more = f" (and {int((~fits).sum()) - 1} more pairs)" if (~fits).sum() > 1 else ""
        remedy = "the sides of a truth must be 1, 2, 3, ... times those of its input"
        raise UserError(pairs.names[bad], found + more, remedy)
    if (factors[:, 0] != factors[0, 0]).any():
        other = int(np.argmax(factors[:, 0] != factors[0, 0]))
        found = f"is {factors[0, 0]} times smaller than its truth, and {pairs.names[other]} {factors[other, 0]} times"
        raise UserError(pairs.names[0], found, "keep pairs of one factor in a study")
    return int(factors[0, 0])


def _size(size: np.ndarray) -> str:
    return f"{size[1]} x {size[0]}"


def _refuse_equal(pairs: PairSubset) -> None:
    """An input whose pixels are those of its truth leaves nothing to restore: it is a copy in the wrong folder."""
    if pairs.inputs.dtype != pairs.store.dtype:
        return
    same = (pairs.inputs.hashes[pairs.input_rows] == pairs.store.hashes[pairs.rows]).all(1)
    if same.any():
        first, more = int(np.argmax(same)), int(same.sum()) - 1
        found = f"is the same image as its truth {pairs.truth_names[first]}" + f" (and {more} more pairs)" * bool(more)
        raise UserError(pairs.names[first], found, "check which files are inputs and which truths")


def _refuse_copied(pairs: PairSubset) -> None:
    """One noisy image in two scenes, of other truths: a copy in the wrong folder, which a split may part besides."""
    first: dict[bytes, int] = {}
    for place, (row, truth) in enumerate(zip(pairs.input_rows.tolist(), pairs.rows.tolist(), strict=True)):
        before = first.setdefault(pairs.inputs.hashes[row].tobytes(), place)
        one, other = (pairs.store.hashes[at] for at in (pairs.rows[before], truth))
        image = pairs.inputs.image(row) if before != place and (one != other).any() else None
        if image is not None and not (image == image[0, 0]).all():  # frames of one flat colour may be dark ones
            found = (f"is the same image as {pairs.names[before]}, and their truths are not: "
                     f"{pairs.truth_names[place]} and {pairs.truth_names[before]}")  # fmt: skip
            raise UserError(pairs.names[place], found, "take out the one that is a copy in the wrong place")


def _refuse_constant(pairs: PairSubset) -> None:
    """A truth of one flat colour: nothing can be learnt from it, and no metric means anything there."""
    rows = np.unique(pairs.rows)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        thumbs = pairs.store.thumbs(some).reshape(len(some), -1)
        for row in some[(thumbs == thumbs[:, :1]).all(1)].tolist():  # of a flat image the thumbnail is flat, too
            image = pairs.store.image(row)
            if (image == image[0, 0]).all():
                found = f"is a truth that is {image[0, 0, 0] / pairs.scale:.3g} of white everywhere"
                raise UserError(pairs.store.names[row], found, "take the pair out, or check images.range")
