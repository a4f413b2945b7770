"""Whether pairs are what they should be: of one scene, registered, and the truth not noisier than the input.

A displacement is found by the peak of the cross-correlation of both images, without their means and under a Hann
window. It is measured on validation pairs, in pixels of the input. Measured on six textured images of 192 x 192 pixels
that were blurred (1 pixel), darkened and given noise, the median error is at most 0.1 pixels for noise of 10 % of the
range, 0.4 for 30 % and 1.2 for 100 %. Phase correlation is off by 0.4, 1.5 and more than 17 pixels there: it gives all
frequencies the same weight, and most of them are noise.

Whether both images show one scene is told by their correlation after a light blur, with what is coarse (layout, such
as a bright sky) and without. Medians over 12 photographs of at most 256 x 256 pixels, with and without: 0.61 and 0.42
for noise of 100 % of the range, at most 0.16 and 0.06 for mirrored, flipped or permuted truths.
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
MOST_SHIFT = 0.75
"""Pixels of the input by which the median pair may be displaced: one of exactly 1 pixel is estimated as about 0.9."""
WHOLE = 1.0
"""Displacements from here on, in pixels, are believed only where correlation is larger there than in place."""
CHANCE = 6.0
"""A displacement is believed where correlation there is larger than in place by this many of its standard deviations:
the largest of 10^5 places is 4.4 of them above 0 by chance."""
LIGHT, COARSE = 2.0, 8.0
"""Standard deviations of the blurs, in pixels of the input: what takes noise away, and what leaves layout alone."""
RELATED, ALIKE = 0.3, 0.5
"""Correlations, without and with layout: pairs are unrelated where both medians are below."""
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
        UserError: inputs have nothing in common with their truths, are displaced by 0.75 pixels or more, or truths are
            noisier than inputs, and nobody has said that it is so.
    """
    looked = [_planes(pairs, index) for index in _chosen(pairs)]
    if pairs.factor == 1 and not images.allow_noisy_truth:
        _refuse_noisy_truths([(noise_of(given), noise_of(truth)) for given, truth in looked])
    planes = [(given, _reduced(truth, pairs.factor)) for given, truth in looked if min(given.shape) >= LEAST_SIDE]
    if not planes:
        return {"median shift in pixels": "not measured: images are small"}
    found_shifts = [shift_of(*both) for both in planes]
    if not images.allow_unrelated:
        _refuse_unrelated(planes, found_shifts)
    shifts = np.array([shift for shift in found_shifts if shift is not None]).reshape(-1, 2)
    count, measured = len(planes), len(shifts)
    lost = f"not measurable for {count - measured} of {count} pairs"
    if not measured:
        return {"median shift in pixels": lost}
    lengths = np.hypot(*shifts.T)
    median = float(np.median(lengths))
    if median >= MOST_SHIFT and 2 * measured >= count and not images.allow_shift:
        down, right = np.median(shifts, 0).tolist()
        found = (f"are displaced against their truths: by {median:.1f} pixels on the median of {measured} validation "
                 f"pairs ({down:+.1f} down, {right:+.1f} to the right), {lengths.max():.1f} at most")  # fmt: skip
        remedy = "register them, or set images.allow_shift = true if this is what is to be learnt"
        raise UserError("images: inputs", found, remedy)
    facts = {"median shift in pixels": round(median, 2), "largest shift in pixels": round(float(lengths.max()), 2)}
    return facts if measured == count else {**facts, "shift": lost}


def level_remarks(pairs: PairSubset, images: Images) -> tuple[str, ...]:
    """A sentence where inputs have other levels than truths: networks that begin with their input begin far away.

    Inputs are taken as a gain times their truth and an offset, by least squares over some pairs. Nothing is said where
    inputs and truths have little in common: such a fit means nothing.

    Args:
        pairs: the validation pairs.
        images: the options.
    """
    looked = [_planes(pairs, index) for index in _chosen(pairs)]
    common = [abs(_correlation(_blurred(given), _blurred(_reduced(truth, pairs.factor)), (0, 0)))
              for given, truth in looked]  # fmt: skip
    if np.median(common) < ALIKE:
        return ()
    truth = np.concatenate([_reduced(truth, pairs.factor).ravel() for _, truth in looked]) / pairs.scale
    given = np.concatenate([given.ravel() for given, _ in looked]) / pairs.measured.scale
    variance = float(truth.var())
    gain = float(((truth - truth.mean()) * (given - given.mean())).mean()) / variance if variance else 1.0
    offset = float(given.mean()) - gain * float(truth.mean())
    if gain <= 0 or (LEVELS[0] <= gain <= LEVELS[1] and abs(offset) <= OFFSET):
        return ()
    found = f"inputs are about {gain:.2g} times their truths {offset:+.2g} of white: networks begin with their input, "
    if images.source != "pairs":  # a data set of a plugin: images.input_range is refused there
        return (f"{found}and nearer where the data set gives inputs in the values of its truths",)
    black, white = images.input_range or images.range or (0.0, pairs.measured.scale)
    ends = (black + (white - black) * unit for unit in (offset, offset + gain))
    said = ", ".join(f"{end:.4g}" for end in ends)
    whole = "" if images.range else f" with images.range = [0, {pairs.scale:g}]"
    return (f"{found}and nearer with images.input_range = [{said}]{whole}",)  # fmt: skip


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


def shift_of(given: np.ndarray, truth: np.ndarray) -> tuple[float, float] | None:
    """By how many pixels an image is displaced against another one, down and to the right.

    None where it cannot be measured: an image is flat, or both have so little in common there that it could be chance
    (displaced by a pixel or more: so little more than in place).

    Args:
        given: (H, W).
        truth: (H, W).
    """
    from skimage.registration import phase_cross_correlation

    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in truth.shape))
    planes = [(plane - plane.mean()) * window for plane in (given, truth)]
    if not all(plane.any() for plane in planes):
        return None
    found, _, _ = phase_cross_correlation(*planes, upsample_factor=10, normalization=None)  # brings truth to input
    down, right = float(found[0]), float(found[1])
    place = round(down), round(right)
    room = [side - abs(step) for side, step in zip(truth.shape, place, strict=True)]
    if min(room) < LEAST_SIDE:
        return None
    gain = _correlation(given, truth, place)
    if np.hypot(down, right) >= WHOLE:
        gain -= _correlation(given, truth, (0, 0))
    return (down, right) if gain > CHANCE / np.sqrt(room[0] * room[1]) else None


def _blurred(plane: np.ndarray) -> np.ndarray:
    """Lightly, so that noise matters less."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(plane, LIGHT))


def _without_layout(plane: np.ndarray) -> np.ndarray:
    """Lightly blurred, less what is coarse: images of different scenes have little of that in common."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(plane, LIGHT) - gaussian_filter(plane, COARSE))


def _in_common(given: np.ndarray, truth: np.ndarray, shift: tuple[float, float] | None) -> tuple[float, float]:
    """Correlations without and with layout, in place, whatever their sign; the former displaced, if that is larger.

    Displacements by more than a quarter of an image explain nothing, nor do correlations below ``ALIKE``: the best of
    many places is larger by chance.
    """
    place = (0, 0) if shift is None else (round(shift[0]), round(shift[1]))
    if any(4 * abs(step) > side for step, side in zip(place, truth.shape, strict=True)):
        place = (0, 0)
    fine = _without_layout(given), _without_layout(truth)
    coarse = abs(_correlation(_blurred(given), _blurred(truth), (0, 0)))
    moved = _correlation(*fine, place)
    return max(abs(_correlation(*fine, (0, 0))), moved if moved >= ALIKE else 0.0), coarse


def _refuse_unrelated(planes: list[tuple[np.ndarray, np.ndarray]], shifts: list[tuple[float, float] | None]) -> None:
    """Truths of other scenes, or mirrored, turned or zoomed ones. Flat images say nothing."""
    found = [_in_common(*both, shift) for both, shift in zip(planes, shifts, strict=True)
             if all(plane.std() for plane in both)]  # fmt: skip
    if not found:
        return
    fine, coarse = np.median(np.array(found), 0).tolist()
    if fine < RELATED and coarse < ALIKE:
        said = (f"have little in common with their truths: blurred, and without what is coarse, their correlation is "
                f"{fine:.2f} on the median of {len(found)} validation pairs")  # fmt: skip
        remedy = ("check which truth belongs to which input (names, match or table), and whether truths are mirrored, "
                  "turned or zoomed; if all is right, set images.allow_unrelated = true")  # fmt: skip
        raise UserError("images: inputs", said, remedy)


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
