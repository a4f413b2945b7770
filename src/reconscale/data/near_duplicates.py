"""Exact and near duplicates between training and held-out images.

Every image has a grey 32 x 32 area thumbnail. Large scale structure (sky above, ground below) is taken away, because
it is alike in different scenes: t - blur(t). Two images are near duplicates when these correlate above ``COARSE`` at
16 x 16 (blur of 2 thumbnail pixels) and above ``FINE`` at 32 x 32 (blur of 2), upright or mirrored.

Measured on 754 photographs of different scenes (BSDS500, ImageNet, CBSD68, Kodak; 283 881 pairs) and 360 brain MRI
slices of six subjects (54 000 pairs of slices of different subjects):

====================================  ===================  ==========================
pairs                                 largest at 16 x 16   found as near duplicates
====================================  ===================  ==========================
photographs of different scenes       0.62                 0
MRI slices of different subjects      0.84                 0 (largest at 32 x 32: 0.62)
JPEG quality 30, half size, blur      above 0.99           100 %
70 % brightness + 20, gamma 1.5       above 0.94           100 %
mirrored                              1.00                 100 %
2 % cut off at one corner             0.95 (median)        99 %
5 % cut off around                    0.93 (median)        96 %
5 % cut off at one corner             0.74 (median)        4 % (see below)
====================================  ===================  ==========================

Plain correlation of thumbnails reaches 0.93 for different photographs, and misses most crops at a threshold above that.

Copies that are shifted, or cut at one side, are looked for as well: the centre of one thumbnail is compared with the
windows of the other up to ``REACH`` thumbnail pixels (6 % of the side) away. What is compared is a band, t - blur(t) of
3 pixels, blurred by 0.8, which half a pixel does not matter to; pairs above ``BAND`` are near duplicates where some
window of t - blur(t) of 2 pixels correlates above ``SHARP``. Of 694 photographs of different scenes (240 471 pairs) and
720 real and imaginary parts of those MRI slices (216 000 pairs of different subjects):

====================================  ===================  ==========================
pairs                                 largest of the band  found as near duplicates
====================================  ===================  ==========================
photographs of different scenes       0.76                 0 (sharp: at most 0.59)
MRI slices of different subjects      0.89                 0 (sharp: at most 0.64)
shifted by 8 pixels down and right                         99 %
shifted by 5 % down, right or both                         99 to 100 %
2 % cut off at one corner                                  99 %
5 % cut off at one corner                                  92 %
5 % cut off at one side                                    99 %
====================================  ===================  ==========================

This takes 0.3 s of one core for 694 against 694 images. An image that agrees with itself, moved by ``REACH`` thumbnail
pixels, above ``SIMPLE`` (a wave, an edge, stripes) is left out: another one of the kind is no copy. Of 268 photographs
the largest is 0.81; of simple waves cut by an edge most are above 0.95.

Rotations, and crops of more than a few per cent, are not found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconscale.data.store import Store

COARSE = 0.85
FINE = 0.6
BAND, SHARP = 0.85, 0.68
SIMPLE = 0.9
REACH = 2

_BLUR = 2.0
_WIDE, _SOFT = 3.0, 0.8
_FAINT = 0.02
_BLOCK = 8192


@dataclass(frozen=True)
class DuplicatePair:
    """Two images that are (nearly) the same.

    Attributes:
        left, right: their rows, in the stores that were compared.
        exact: whether every pixel agrees.
    """

    left: int
    right: int
    exact: bool


def find_duplicates(
    left: Store, left_rows: np.ndarray, right: Store, right_rows: np.ndarray, *, shifted: bool = True
) -> list[DuplicatePair]:
    """All pairs of a left and a right image that are (nearly) the same. Images of one flat colour are never duplicates.

    Args:
        left: a store, possibly large.
        left_rows: its rows to look at.
        right: a store, possibly the same.
        right_rows: its rows to look at; fewer, for speed.
        shifted: find copies that are shifted or cut at one side, too. Not among generated images: of two waves with
            other phases one is the other, shifted.

    Returns:
        Sorted by rows.
    """
    if not len(left_rows) or not len(right_rows):
        return []
    exact = _equal(left, left_rows, right, right_rows)
    thumbs = _float(right, right_rows)
    coarse, fine = _coarse(thumbs), _fine(thumbs)
    coarse_both = np.concatenate([coarse, _coarse(thumbs[:, :, ::-1])])
    fine_both = np.concatenate([fine, _fine(thumbs[:, :, ::-1])])
    thumbs_both = np.concatenate([thumbs, thumbs[:, :, ::-1]])
    near: set[tuple[int, int]] = set()
    for start in range(0, len(left_rows), _BLOCK):
        rows = left_rows[start : start + _BLOCK]
        some = _float(left, rows)
        for row, other in _shifted(some, thumbs_both) if shifted else ():
            near.add((int(rows[row]), int(right_rows[other % len(right_rows)])))
        scores = _coarse(some) @ coarse_both.T
        hits = np.flatnonzero(scores.max(1) > COARSE)
        if not len(hits):
            continue
        a, b = np.nonzero(scores[hits] > COARSE)
        sharp = _fine(some[hits])
        for part in np.split(np.arange(len(a)), np.arange(_BLOCK, len(a), _BLOCK)):
            alike = part[np.einsum("ij,ij->i", sharp[a[part]], fine_both[b[part]]) > FINE]
            pairs = rows[hits[a[alike]]].tolist(), right_rows[b[alike] % len(right_rows)].tolist()
            near.update(zip(*pairs, strict=True))
    return [DuplicatePair(a, b, (a, b) in exact) for a, b in sorted(near | exact)]


def count_repeats(store: Store, rows: np.ndarray) -> int:
    """How many of the images repeat an earlier one exactly."""
    return len(rows) - len(set(_digests(store, rows)))


def _digests(store: Store, rows: np.ndarray) -> list[bytes]:
    blob = store.hashes[rows].tobytes()
    return [blob[start : start + 32] for start in range(0, len(blob), 32)]


def _equal(left: Store, left_rows: np.ndarray, right: Store, right_rows: np.ndarray) -> set[tuple[int, int]]:
    """Pairs with equal pixels, but not of one flat colour."""
    by_hash: dict[bytes, list[int]] = {}
    for row, digest in zip(right_rows.tolist(), _digests(right, right_rows), strict=True):
        by_hash.setdefault(digest, []).append(row)
    alike = [pair for pair in zip(left_rows.tolist(), _digests(left, left_rows), strict=True) if pair[1] in by_hash]
    flat = {digest for digest in {digest for _, digest in alike} if _flat(right, by_hash[digest][0])}
    return {(row, other) for row, digest in alike if digest not in flat for other in by_hash[digest]}


def _flat(store: Store, row: int) -> bool:
    image = store.image(row)
    return bool((image == image[0, 0]).all())


def _float(store: Store, rows: np.ndarray) -> np.ndarray:
    return np.asarray(store.thumbs(rows), np.float32)


def _shifted(left: np.ndarray, right: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of thumbnails, (N, side, side) and (M, side, side), that agree where one is shifted."""
    band = _band(right)
    centre = _window(_band(left), REACH, REACH, 2)
    steps = [(i, j) for i in range(2 * REACH + 1) for j in range(2 * REACH + 1)]
    alike: set[tuple[int, int]] = set()
    for i, j in steps:
        a, b = np.nonzero(centre @ _window(band, i, j, 2).T > BAND)
        alike.update(zip(a.tolist(), b.tolist(), strict=True))
    pairs = sorted(alike)
    found = []
    for start in range(0, len(pairs), _BLOCK):
        some = pairs[start : start + _BLOCK]
        a, b = (np.array(side) for side in zip(*some, strict=True))
        one, other = _window(_high(left[a], _BLUR), REACH, REACH, 1), _high(right[b], _BLUR)
        best = np.max([np.einsum("ij,ij->i", one, _window(other, i, j, 1)) for i, j in steps], axis=0)
        own = _high(left[a], _BLUR)
        ring = [(i, j) for i, j in steps if i in {0, 2 * REACH} or j in {0, 2 * REACH}]
        itself = np.max([np.einsum("ij,ij->i", one, _window(own, i, j, 1)) for i, j in ring], axis=0)
        found += [pair for pair, score, again in zip(some, best, itself, strict=True)
                  if score > SHARP and again < SIMPLE]  # fmt: skip
    return found


def _band(thumbs: np.ndarray) -> np.ndarray:
    soft = _blur(thumbs.shape[1], _SOFT)
    return np.asarray(soft @ _high(thumbs, _WIDE) @ soft.T, np.float32)


def _high(thumbs: np.ndarray, size: float) -> np.ndarray:
    """Without structure that is larger than a blur of ``size`` pixels."""
    blur = _blur(thumbs.shape[1], size)
    return np.asarray(thumbs - blur @ thumbs @ blur.T, np.float32)


def _window(thumbs: np.ndarray, row: int, column: int, step: int) -> np.ndarray:
    """(N, pixels): every ``step``-th pixel of the window that begins there, of no mean and unit norm, or zero."""
    side = thumbs.shape[1] - 2 * REACH
    return _normed(thumbs[:, row : row + side : step, column : column + side : step], _FAINT / step)


def _coarse(thumbs: np.ndarray) -> np.ndarray:
    quarters = thumbs[:, ::2, ::2] + thumbs[:, 1::2, ::2] + thumbs[:, ::2, 1::2] + thumbs[:, 1::2, 1::2]
    return _unit(quarters / 4)


def _fine(thumbs: np.ndarray) -> np.ndarray:
    return _unit(thumbs)


def _unit(thumbs: np.ndarray) -> np.ndarray:
    """(N, side * side): without large-scale structure and mean, of unit norm; zero where (nearly) nothing is left."""
    return _normed(_high(thumbs, _BLUR), _FAINT)


def _normed(images: np.ndarray, faint: float) -> np.ndarray:
    rows = images.reshape(len(images), -1)
    rows = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.where(norm > faint, rows / np.maximum(norm, faint), 0), np.float32)


def _blur(side: int, size: float) -> np.ndarray:
    """(side, side) matrix of a Gaussian blur of ``size`` pixels with reflected borders."""
    reach = int(4 * size)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / size) ** 2)
    matrix = np.zeros((side, side), np.float32)
    for i in range(side):
        for offset, weight in zip(range(-reach, reach + 1), weights / weights.sum(), strict=True):
            j = (i + offset) % (2 * side)
            matrix[i, j if j < side else 2 * side - 1 - j] += weight
    return matrix
