"""The noise of images, measured on the images: a Poisson and a Gaussian part.

The variance of a pixel of mean m, between 0 (black) and 1 (white), is taken for ``m / photons + sigma^2`` (Foi et al.
2008, "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data"). Where there are several
copies of a scene, the variance is that between copies: the photon transfer curve by which cameras are calibrated
(Janesick 2007). Of one copy it is that of the finest diagonal details (Haar wavelet) of the quietest places, which hold
texture as well as noise: an upper bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.optimize import nnls

from reconscale.errors import UserError

Floats = NDArray[np.float64]

BINS = 32
"""Means are told apart in this many equal parts of the range."""
QUIET, QUIET_COPIES = 0.05, 0.5
"""The part of the pixels of a mean that counts, the quietest: of one copy, of several."""
ENOUGH, ENOUGH_PART = 50, 0.25
"""Of a small image more pixels count, until they are this many, or this part."""
REGIONS = 8
"""Regions between black and white that copies need to be compared in them."""
FEWEST = 200
"""Values that a mean needs, over all images, for its variance to count."""
CLIPPED = 0.02
"""A mean with more pixels than this at black or white does not count: there noise is cut off."""
FAINT = 0.05
"""A Poisson part that adds less than this to the standard deviation at white is left out."""
RESAMPLED = 200
"""Times that images are drawn again for the intervals."""
PATTERN = 0.2
"""Details of one copy whose common value holds more than this part of their squares are those of a mosaic."""
ALIKE = 1.3
"""Noise that is coarser by this factor is not white: see :attr:`ImageNoise.coarseness`."""
REGION = 16
"""Copies are compared in averages over squares of this many pixels a side."""
STEADY, SAME_SCENE = 0.02, 0.5
"""Copies that differ by more in these averages flickered or moved; by yet more, they are not of one scene."""
STEEP, STILL = 0.25, 1.1
"""Copies whose noise is larger by more than this factor in the steepest part of the pixels of a mean have moved."""
VISIBLE = 1e-5
"""Noise of less than this part of the range is none: the last step of 16 bits is wider."""
SURE = 1.645
"""Standard errors above 0 from which on the Poisson part of a single image is believed: one in twenty by chance."""


@dataclass(frozen=True)
class ImageNoise:
    """What was found of the noise of images.

    Attributes:
        sigma: standard deviation of the Gaussian part, as a part of the range from black to white.
        sigma_interval: its 90 % interval over the images; none: of a single image.
        photons: counted by a pixel at white; none: there is no Poisson part to be seen.
        photons_interval: its 90 % interval; infinite where none may be there.
        means: (M,) the means with enough pixels, of 0 to 1.
        deviations: (M,) the standard deviations there.
        coarseness: the standard deviation of diagonal details of twice the size over that of the finest: 1 of white
            noise, more where neighbouring pixels have noise in common.
        images: that were looked at; of several copies, the scenes.
        copies: of each; 1: an upper bound where the noise is white.
        regional: the part of the variance between copies that is left in averages over 16 x 16 pixels: below 0.005 of
            white noise, more where the exposure flickered or something moved; none: of one copy, or of small images.
        at_edges: the standard deviation between copies at steep places over that at quiet places of the same mean: 1 of
            noise, more where the scene or the camera moved; none: of one copy.
    """

    sigma: float
    sigma_interval: tuple[float, float] | None
    photons: float | None
    photons_interval: tuple[float, float] | None
    means: Floats
    deviations: Floats
    coarseness: float
    images: int
    copies: int
    regional: float | None = None
    at_edges: float | None = None

    def deviation(self, mean: float) -> float:
        """Standard deviation at a mean of 0 to 1, as a part of the range."""
        return float(np.sqrt(self.sigma**2 + (mean / self.photons if self.photons else 0.0)))

    @property
    def is_white(self) -> bool:
        """Whether the noise of neighbouring pixels is independent, as far as can be seen."""
        return self.coarseness <= ALIKE

    @property
    def is_steady(self) -> bool:
        """Whether copies differ by noise alone, as far as can be seen."""
        return (self.regional or 0.0) <= STEADY and (self.at_edges or 1.0) <= STILL


@dataclass(frozen=True)
class _Sums:
    """Sums over an image.

    Attributes:
        count, squares: (BINS,) by mean: of the values that count, and of their squares.
        pixels, clipped: (BINS,) by mean: all pixels, and those at black or white.
        fine, coarse: number, sum and sum of squares of diagonal details of the finest and of twice the size.
        between: of copies, typical squares of the averages over regions, and of the pixels there; else zeros.
        edges: of copies, the sum over pixels at steep places of the variance there over that at quiet places of the
            same mean, and their number; else zeros.
    """

    count: Floats
    squares: Floats
    pixels: Floats
    clipped: Floats
    fine: Floats
    coarse: Floats
    between: Floats
    edges: Floats


def measure_noise(scenes: Iterable[Sequence[Floats]], seed: int = 0, names: Sequence[object] = ()) -> ImageNoise:
    """The noise of images.

    Args:
        scenes: the copies of each scene, (H, W, C) from 0 (black) to 1 (white), all of one shape; one copy each, or two
            or more each.
        seed: of the intervals.
        names: what messages call the scenes; their numbers where there are none.

    Raises:
        UserError: there are no images, some scenes have one copy and others more, copies differ in shape or are not of
            one scene, single ones are mosaics of colours, too few pixels are between black and white, or there is no
            noise.
    """
    sums, copies = [], 0
    for index, scene in enumerate(scenes):
        if copies and (copies == 1) != (len(scene) == 1):
            raise UserError("the scenes", "have one copy here and several there", "measure them apart")
        if len({copy.shape for copy in scene}) > 1:
            raise UserError("the copies of a scene", "differ in shape", "give copies of one scene, of one size")
        copies = max(copies, len(scene))
        sums.append(_of_copies(scene) if len(scene) > 1 else _of_one(scene[0]))
        _refuse_other_scenes(names[index] if index < len(names) else f"scene {index + 1}", sums[-1])
    if not sums:
        raise UserError("the images", "there are none", "name a folder that holds images")
    total = _added(sums)
    if copies == 1 and _is_mosaic(total):
        raise UserError(
            "the images", "differ between odd and even pixels all over, as the mosaic of colours of a raw image does",
            "measure one colour at a time, or several copies of each scene",
        )  # fmt: skip
    means, variances, counts = _curve(total)
    if not len(means):
        raise UserError(
            "the images", "have too few pixels between black and white", "give more or larger ones, and their range"
        )
    drawn = _drawn_again(sums, np.random.default_rng(seed)) if len(sums) > 1 else []
    slope, level = _fit(means, variances, counts)
    if np.sqrt(slope + level) < VISIBLE:
        raise UserError(
            "the images", "have no noise that can be seen" if copies == 1 else "are copies without any difference",
            "give images as they were measured" + (", and not one image several times" if copies > 1 else ""),
        )  # fmt: skip
    poisson = bool(np.sqrt(slope + level) >= (1 + FAINT) * np.sqrt(level))
    if len(sums) == 1:
        poisson &= slope > SURE * _slope_error(means, counts, slope * means + level)
    if drawn:
        poisson &= bool(np.quantile([_fit(*curve)[0] for curve in drawn], 0.05) > 0)  # else the interval includes none
    slope, level = _fit(means, variances, counts, poisson=poisson)
    intervals = _intervals([_fit(*curve, poisson=poisson) for curve in drawn]) if drawn else None
    return ImageNoise(
        float(np.sqrt(level)),
        intervals[0] if intervals else None,
        1 / slope if slope else None,
        intervals[1] if intervals and poisson else None,
        means,
        np.sqrt(variances),
        _coarseness(total),
        len(sums),
        copies,
        _regional(total.between),
        float(np.sqrt(total.edges[0] / total.edges[1])) if total.edges[1] else None,
    )


def _of_one(image: Floats) -> _Sums:
    planes = [image[..., channel] for channel in range(image.shape[-1])]
    return _added([_of_plane(plane) for plane in planes])


def _of_plane(plane: Floats) -> _Sums:
    """Details are independent of each other in white noise: the quietest in two directions say nothing of the third."""
    mean, diagonal, others = _details(plane)
    cut = _any_of_four((plane <= 0) | (plane >= 1))
    counted = _by_mean(mean, diagonal, uniform_filter(others, 3), cut, QUIET)
    return _Sums(*counted, *_two_sizes(plane, mean, diagonal, others, cut, QUIET), np.zeros(2), np.zeros(2))


def _of_copies(scene: Sequence[Floats]) -> _Sums:
    stack = np.stack(scene)
    mean = stack.mean(0)
    scatter = (stack - mean) * np.sqrt(len(scene) / (len(scene) - 1))
    cut = np.asarray(((stack <= 0) | (stack >= 1)).any(0))
    parts = []
    for channel in range(mean.shape[-1]):
        plane, clipped = mean[..., channel], cut[..., channel]
        uneven = uniform_filter(_steepness(plane), 3)
        for copy in scatter[..., channel]:
            counted = _by_mean(plane, copy, uneven, clipped, QUIET_COPIES)
            _, diagonal, _ = _details(copy)
            level, _, others = _details(plane)
            sizes = _two_sizes(copy, level, diagonal, others, _any_of_four(clipped), QUIET_COPIES)
            parts.append(_Sums(*counted, *sizes, np.zeros(2), _at_edges(plane, copy, uneven, clipped, counted[:2])))
    return replace(_added(parts), between=_between_copies(scatter, cut))


def _at_edges(
    mean: Floats, copy: Floats, uneven: Floats, cut: NDArray[np.bool_], quiet: tuple[Floats, Floats]
) -> Floats:
    """See :class:`_Sums`; quiet: count and squares by mean."""
    where = np.asarray(np.clip((mean * BINS).astype(int), 0, BINS - 1))
    found = np.zeros(2)
    for place in np.flatnonzero((quiet[0] >= FEWEST) & (quiet[1] > 0)):
        here = np.asarray((where == place) & ~cut)
        steep = copy[here & (uneven >= np.quantile(uneven[here], 1 - STEEP))]
        found += float((steep**2).sum()) / (quiet[1][place] / quiet[0][place]), len(steep)
    return found


def _between_copies(scatter: Floats, cut: NDArray[np.bool_]) -> Floats:
    """See :class:`_Sums`; medians over the regions, so that little that moves counts little. Zeros of small images.

    Args:
        scatter: (K, H, W, C) differences of the copies from their mean.
        cut: (H, W, C) pixels at black or white.
    """
    rows, columns = (side // REGION for side in cut.shape[:2])
    inside = np.s_[: rows * REGION, : columns * REGION]
    shape = (rows, REGION, columns, REGION, cut.shape[2])
    free = cut[inside].reshape(shape).mean((1, 3)) <= CLIPPED
    if free.sum() < REGIONS:
        return np.zeros(2)
    pixels = scatter[:, *inside].reshape(len(scatter), *shape)
    averages, squares = pixels.mean((2, 4)), (pixels**2).mean((2, 4))
    return np.array([np.median((averages**2).mean(0)[free]), np.median(squares.mean(0)[free])])


def _regional(between: Floats) -> float | None:
    """See :attr:`ImageNoise.regional`."""
    return float(between[0] / between[1]) if between[1] else None


def _refuse_other_scenes(where: object, sums: _Sums) -> None:
    part = _regional(sums.between)
    if part is not None and part > SAME_SCENE:
        raise UserError(
            where,
            f"holds copies that differ in whole regions: {100 * part:.0f} % of their variance is left in averages over "
            f"{REGION} x {REGION} pixels, where noise has below 1 %",
            "give copies of one scene, of one exposure, that did not move",
        )


def _details(plane: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each block of 2 x 2: the mean, the diagonal detail, and the squares of the other two details together."""
    a, b, c, d = _four(plane)
    return (a + b + c + d) / 4, (a - b - c + d) / 2, ((a + b - c - d) / 2) ** 2 + ((a - b + c - d) / 2) ** 2


def _four(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """The four places of each block of 2 x 2."""
    rows, columns = (side - side % 2 for side in plane.shape)
    return [plane[i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]


def _any_of_four(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(np.logical_or.reduce(_four(where)))


def _steepness(plane: Floats) -> Floats:
    down, across = np.gradient(plane)
    return np.asarray(down**2 + across**2)


def _by_mean(
    mean: Floats, values: Floats, uneven: Floats, cut: NDArray[np.bool_], part: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Sums of the values of the quietest places, by mean: see :class:`_Sums`."""
    where = np.asarray(np.clip((mean * BINS).astype(int), 0, BINS - 1))
    pixels = np.bincount(where.ravel(), minlength=BINS).astype(float)
    clipped = np.bincount(where[cut], minlength=BINS).astype(float)
    count, squares = np.zeros(BINS), np.zeros(BINS)
    for place in np.flatnonzero(pixels - clipped >= FEWEST / 4):
        here = (where == place) & ~cut
        enough = min(ENOUGH_PART, ENOUGH / (pixels[place] - clipped[place]))
        quiet = values[here & (uneven <= np.quantile(uneven[here], max(part, enough)))]
        quiet = _without_outliers(quiet)
        count[place], squares[place] = len(quiet), float((quiet**2).sum())
    return count, squares, pixels, clipped


def _without_outliers(values: Floats) -> Floats:
    """Those within four standard deviations, from the median (Donoho and Johnstone 1994): hot pixels, edges."""
    size = np.asarray(np.abs(values))
    return values[size <= 4 * max(float(np.median(size)) / 0.6745, 1e-12)]


def _two_sizes(
    plane: Floats, mean: Floats, diagonal: Floats, others: Floats, cut: NDArray[np.bool_], part: float
) -> tuple[Floats, Floats]:
    """Sums of the finest diagonal details and of those of twice the size, at the same quiet places: see ``_Sums``."""
    _, coarse, coarse_others = _details(2 * _details(plane)[0])
    uneven = uniform_filter(np.sum(_four(others), 0) + coarse_others, 3)
    free = ~_any_of_four(cut)
    if not free.any():
        return np.zeros(3), np.zeros(3)
    quiet = free & (uneven <= np.quantile(uneven[free], part))
    fine = np.stack([four[quiet] for four in _four(diagonal)])
    return _moments(fine), _moments(coarse[quiet])


def _moments(values: Floats) -> Floats:
    return np.array([values.size, values.sum(), (values**2).sum()], float)


def _added(parts: Sequence[_Sums]) -> _Sums:
    return _Sums(*(np.sum([getattr(part, field.name) for part in parts], 0) for field in fields(_Sums)))


def _curve(total: _Sums) -> tuple[Floats, Floats, Floats]:
    """Means, variances there, and how many values each is of."""
    good = (total.count >= FEWEST) & (total.clipped <= CLIPPED * total.pixels) & (total.squares > 0)
    means = (np.arange(BINS) + 0.5) / BINS
    return means[good], total.squares[good] / total.count[good], total.count[good]


def _fit(means: Floats, variances: Floats, counts: Floats, *, poisson: bool = True) -> tuple[float, float]:
    """Slope and level of the variance, neither below 0; variances far above the line, as of texture, count less."""
    fitted, weights = variances, np.sqrt(counts / counts.max())
    means = means if poisson else np.zeros_like(means)
    slope = level = 0.0
    for _ in range(10):
        scale = weights / fitted
        (slope, level), _ = nnls(np.column_stack((means, np.ones_like(means))) * scale[:, None], variances * scale)
        fitted = np.maximum(slope * means + level, 1e-12)
        excess = np.abs(variances / fitted - 1)
        weights = np.sqrt(counts / counts.max()) * np.sqrt(np.minimum(1, 0.1 / np.maximum(excess, 1e-12)))
    return float(slope), float(level)


def _slope_error(means: Floats, counts: Floats, fitted: Floats) -> float:
    """Standard error of the slope, from the scatter by chance of variances; infinite with one mean."""
    if len(means) < 2:
        return float("inf")
    rows = np.column_stack((means, np.ones_like(means))) * (np.sqrt(counts / 2) / fitted)[:, None]
    return float(np.sqrt(np.linalg.inv(rows.T @ rows)[0, 0]))


def _drawn_again(sums: Sequence[_Sums], rng: np.random.Generator) -> list[tuple[Floats, Floats, Floats]]:
    """The curves of images drawn again, with repetition."""
    curves = [
        _curve(_added([sums[index] for index in rng.integers(len(sums), size=len(sums))])) for _ in range(RESAMPLED)
    ]
    return [curve for curve in curves if len(curve[0])]


def _intervals(fits: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """90 % intervals of sigma and of the photons."""
    slopes, levels = np.array(fits).T
    low, high = np.quantile(np.sqrt(levels), (0.05, 0.95)).tolist()
    with np.errstate(divide="ignore"):
        few, many = (1 / np.quantile(slopes, (0.95, 0.05))).tolist()
    return (low, high), (few, many)


def _coarseness(total: _Sums) -> float:
    """See :attr:`ImageNoise.coarseness`."""
    if not (total.fine[2] and total.coarse[0]):
        return 1.0
    return float(np.sqrt(total.coarse[2] / total.coarse[0] / (total.fine[2] / total.fine[0])))


def _is_mosaic(total: _Sums) -> bool:
    """Whether diagonal details have a common value: in a raw image, red less green less green and blue."""
    count, first, squares = total.fine
    return bool(squares and first**2 / count > PATTERN * squares)
