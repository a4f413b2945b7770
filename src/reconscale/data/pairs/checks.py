"""Whether pairs are what they should be: registered, and the truth not noisier than the input.

A displacement is found by the peak of the cross-correlation of both images, without their means and under a Hann
window. It is measured on validation pairs, in pixels of the input. Measured on six textured images of 192 x 192 pixels
that were blurred (1 pixel), darkened and given noise, the median error is at most 0.1 pixels for noise of 10 % of the
range, 0.4 for 30 % and 1.2 for 100 %. Phase correlation is off by 0.4, 1.5 and more than 17 pixels there: it gives all
frequencies the same weight, and most of them are noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from reconscale.data.pairs.subset import PairSubset
from reconscale.errors import UserError
from reconscale.study import Images

PAIRS = 16
"""Validation pairs that are looked at, spread evenly."""
SIDE = 512
"""Their centres, of this many pixels of the input a side at most."""
LEAST_SIDE = 16
"""Smaller images tell no displacement."""
MOST_SHIFT = 1.0
"""Pixels of the input by which the median pair may be displaced."""
CHANCE = 6.0
"""A displacement is believed where correlation there is larger than in place by this many of its standard deviations:
the largest of 10^5 places is 4.4 of them above 0 by chance."""
BLOCK = 16
"""Side of the blocks that noise is estimated in, in pixels."""
QUIET = 25.0
"""Percentile of the blocks' estimates: in quiet blocks noise is not mistaken for detail."""
NOISIER = 1.5
"""A truth that is noisier than its input by this factor, on the median pair, is asked about."""
LEVELS, OFFSET = (0.67, 1.5), 0.2
"""Gains of inputs over truths, and offsets in parts of white, beyond which a better range of inputs is proposed."""
FAINT = 0.01
"""Noise below this part of the standard deviation of a truth is none: that of rounding, or of a good camera."""


def look_at_pairs(pairs: PairSubset, images: Images) -> dict[str, Any]:
    """Measure the displacement and the noise of some pairs.

    Args:
        pairs: the validation pairs.
        images: the options.

    Returns:
        What was found; JSON values only.

    Raises:
        UserError: inputs are displaced by a pixel or more, or truths are noisier than inputs, and nobody has said that
            it is so.
    """
    looked = [_planes(pairs, index) for index in _chosen(pairs)]
    if pairs.factor == 1 and not images.allow_noisy_truth:
        _refuse_noisy_truths([(noise_of(given), noise_of(truth)) for given, truth in looked])
    shifts = np.array([shift_of(given, _reduced(truth, pairs.factor)) for given, truth in looked
                       if min(given.shape) >= LEAST_SIDE]).reshape(-1, 2)  # fmt: skip
    if not len(shifts):
        return {"median shift in pixels": "not measured: images are small"}
    lengths = np.hypot(*shifts.T)
    median, count = float(np.median(lengths)), len(shifts)
    if median >= MOST_SHIFT and not images.allow_shift:
        down, right = np.median(shifts, 0).tolist()
        found = (f"are displaced against their truths: by {median:.1f} pixels on the median of {count} validation "
                 f"pairs ({down:+.1f} down, {right:+.1f} to the right), {lengths.max():.1f} at most")  # fmt: skip
        remedy = "register them, or set images.allow_shift = true if this is what is to be learnt"
        raise UserError("images: inputs", found, remedy)
    return {"median shift in pixels": round(median, 2), "largest shift in pixels": round(float(lengths.max()), 2)}


def level_remarks(pairs: PairSubset, images: Images) -> tuple[str, ...]:
    """A sentence where inputs have other levels than truths: networks that begin with their input begin far away.

    Inputs are taken as a gain times their truth and an offset, by least squares over some pairs.

    Args:
        pairs: the validation pairs.
        images: the options.
    """
    looked = [_planes(pairs, index) for index in _chosen(pairs)]
    truth = np.concatenate([_reduced(truth, pairs.factor).ravel() for _, truth in looked]) / pairs.scale
    given = np.concatenate([given.ravel() for given, _ in looked]) / pairs.measured.scale
    variance = float(truth.var())
    gain = float(((truth - truth.mean()) * (given - given.mean())).mean()) / variance if variance else 1.0
    offset = float(given.mean()) - gain * float(truth.mean())
    if gain <= 0 or (LEVELS[0] <= gain <= LEVELS[1] and abs(offset) <= OFFSET):
        return ()
    black, white = images.input_range or images.range or (0.0, pairs.measured.scale)
    ends = (black + (white - black) * unit for unit in (offset, offset + gain))
    said = ", ".join(f"{end:.4g}" for end in ends)
    whole = "" if images.range else f" with images.range = [0, {pairs.scale:g}]"
    return (f"inputs are about {gain:.2g} times their truths {offset:+.2g} of white: networks begin with their input, "
            f"and nearer with images.input_range = [{said}]{whole}",)  # fmt: skip


def _chosen(pairs: PairSubset) -> list[int]:
    """Some pairs, spread evenly."""
    places = np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).round()
    return [int(place) for place in np.unique(places.astype(int))]


def _planes(pairs: PairSubset, index: int) -> tuple[np.ndarray, np.ndarray]:
    """The centres of input and truth as grey images in float64."""
    given, truth = pairs.pair(index, SIDE * pairs.factor)
    return given.mean(2, dtype=np.float64), truth.mean(2, dtype=np.float64)


def _reduced(plane: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks of factor x factor pixels."""
    rows, columns = (side // factor for side in plane.shape)
    blocks = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return np.asarray(blocks.mean((1, 3)))


def shift_of(given: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """By how many pixels an image is displaced against another one, down and to the right.

    Displacements of a pixel or more that could be chance, because both images have little in common, are 0.

    Args:
        given: (H, W).
        truth: (H, W).
    """
    from skimage.registration import phase_cross_correlation

    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in truth.shape))
    planes = [(plane - plane.mean()) * window for plane in (given, truth)]
    if not all(plane.any() for plane in planes):
        return 0.0, 0.0
    found, _, _ = phase_cross_correlation(*planes, upsample_factor=10, normalization=None)  # brings truth to input
    down, right = float(found[0]), float(found[1])
    if np.hypot(down, right) < MOST_SHIFT:
        return down, right
    place = round(down), round(right)
    room = [side - abs(step) for side, step in zip(truth.shape, place, strict=True)]
    if min(room) < LEAST_SIDE:
        return 0.0, 0.0
    gain = _correlation(given, truth, place) - _correlation(given, truth, (0, 0))
    return (down, right) if gain > CHANCE / np.sqrt(room[0] * room[1]) else (0.0, 0.0)


def _correlation(given: np.ndarray, truth: np.ndarray, place: tuple[int, int]) -> float:
    """Pearson's correlation of the truth with the input displaced by whole pixels, where they overlap."""
    ours = tuple(slice(max(0, step), side + min(0, step)) for step, side in zip(place, truth.shape, strict=True))
    theirs = tuple(slice(max(0, -step), side + min(0, -step)) for step, side in zip(place, truth.shape, strict=True))
    a, b = given[ours] - given[ours].mean(), truth[theirs] - truth[theirs].mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else 0.0


def noise_of(plane: np.ndarray) -> float:
    """Standard deviation of the noise of an image over the image's own, from its quiet blocks.

    The median of the finest diagonal details (Haar wavelet) over 0.6745 (Donoho and Johnstone 1994), block by block.

    Args:
        plane: (H, W).
    """
    rows, columns = (side - side % 2 for side in plane.shape)
    a, b, c, d = (plane[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1))
    details, spread = np.abs(a - b - c + d) / 2, float(plane.std())
    side = BLOCK // 2
    rows, columns = (length // side for length in details.shape)
    if not (rows and columns and spread):
        return 0.0
    blocks = details[: rows * side, : columns * side].reshape(rows, side, columns, side).swapaxes(1, 2)
    levels = np.median(blocks.reshape(rows * columns, -1), 1) / 0.6745
    return float(np.percentile(levels, QUIET)) / spread


def _refuse_noisy_truths(levels: list[tuple[float, float]]) -> None:
    """Folders that were swapped are the likeliest reason for truths that are noisier than their inputs."""
    given, truth = np.median(np.array(levels), 0).tolist()
    if truth > max(NOISIER * given, FAINT):
        found = (f"are noisier than their inputs: about {100 * truth:.2g} % against {100 * given:.2g} % of the "
                 f"standard deviation of an image, on the median of {len(levels)} validation pairs")  # fmt: skip
        remedy = "are inputs and truths swapped? If not, set images.allow_noisy_truth = true"
        raise UserError("images: truths", found, remedy)
