"""The learning curve of a linear estimator on image patches."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_int, check_real
from reconscale.theory.equivalents.equivalent import Equivalent
from reconscale.theory.filters import best_flow
from reconscale.theory.linear import Wiener, moments_of, risk_of_filter, wiener_of
from reconscale.theory.operators import Operator, Patches
from reconscale.theory.subspace import Population

Counts = Literal["patches", "images"]

FEW = 10
"""Patches for each pixel of a patch, below which a covariance is said to be rough."""
FEWEST = 3
"""Images below which a curve in number of images is too good: the limit of many dimensions knows no single image."""
CHUNK = 4096
"""Patches that are worked on at a time."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The second and fourth moments of the patches of an image set, for a linear problem.

    Attributes:
        operator: the measurement.
        mean: (channels,) mean value of each channel, which estimators add back.
        wiener: the best linear estimator, from the covariance of all patches.
        own: (r,) E over patches ||x - V y||^2 (u^T y)^2 for each direction u of y.
        shared: (r,) the same for two different patches of one image: E over pairs of (x - V y)(u^T y) . (x' - V y')(u^T
            y'), the part of the error that an image has throughout.
        patches, images: how many there were.
        floor: the Wiener filter's error (MSE) on images that it was not made from, by cross-fitting on two halves of
            the images; that on the patches themselves where there is one image only.
    """

    operator: Operator
    mean: Floats
    wiener: Wiener
    own: Floats
    shared: Floats
    patches: int
    images: int
    floor: float

    @property
    def in_sample(self) -> float:
        """The Wiener filter's error (MSE) on the patches that it was made from: optimistic."""
        return self.wiener.floor / self.operator.pixels

    @property
    def slope(self) -> float | None:
        """The exponent a of variance ~ rank^-a over the middle of the spectrum without noise; None: too few."""
        size = np.sort(self.wiener.variances - self.operator.sigma**2)[::-1]
        ranks = np.arange(1, len(size) + 1)
        part = (ranks >= max(3, len(size) // 20)) & (ranks <= len(size) // 2) & (size > 0)
        if part.sum() < 5:
            return None
        return float(-np.polyfit(np.log(ranks[part]), np.log(size[part]), 1)[0])

    def centred(self, patches: Patches) -> Floats:
        """(M, pixels) other patches, or these, less ``mean``.

        Raises:
            UserError: they have another shape.
        """
        _check_shape(patches, self.operator)
        return patches.values - np.tile(self.mean, self.operator.pixels // len(self.mean))

    @property
    def cautions(self) -> tuple[str, ...]:
        """Cautions about the numbers, in sentences."""
        found = []
        if self.patches < FEW * self.operator.pixels:
            found.append(
                f"The covariance of {self.operator.pixels} values is from {self.patches:,} patches: rough. "
                f"{FEW * self.operator.pixels:,} or more are better."
            )
        if self.images < 20:
            found.append(f"All patches are from {self.images} images: other images may differ from these.")
        if self.images > 1 and self.floor > 1.02 * self.in_sample > 0:
            apart = 10 * math.log10(self.floor / self.in_sample)
            found.append(f"On images it has not seen the Wiener filter is {apart:.2f} dB worse than on these.")
        return tuple(found)


def spectrum_of(patches: Patches, operator: Operator) -> Spectrum:
    """The second moments of patches, and the fourth ones that the learning curve needs.

    Real patches are not Gaussian: where there is structure both the measurement and the error of the Wiener filter are
    large, so the label noise is not independent of the features. To first order in 1 / n the learning curve then has
    E ||x - V y||^2 (u^T y)^2 in place of floor * variance (White's sandwich). The expectation over the noise of y is
    taken exactly: with a = (I - V A) x and c = u^T A x,

        E_z ||a - V z||^2 (c + u^T z)^2
            = (||a||^2 + sigma^2 ||V||_F^2)(c^2 + sigma^2) - 4 sigma^2 c a^T V u + 2 sigma^4 ||V u||^2.

    Patches of one image err alike, which averages out over images only: E_z (a - V z)(c + u^T z) = a c - sigma^2 V u,
    called m here, and ``shared`` is the mean of m . m' over pairs of patches of one image.

    Raises:
        UserError: the patch shapes differ, all patches are the same, or there are no more patches than pixels.
    """
    _check_shape(patches, operator)
    if len(patches) <= operator.pixels:
        raise UserError("patches", f"there are {len(patches):,} for a covariance of {operator.pixels:,} values",
                      f"at least {operator.pixels + 1:,} are needed, {FEW * operator.pixels:,} are better: use smaller "
                      "patches or more images")  # fmt: skip
    channels = operator.shape[2]
    mean = patches.values.reshape(-1, channels).mean(0)
    x = patches.values - np.tile(mean, operator.pixels // channels)
    if np.abs(x).max() < 1e-9:
        raise UserError("patches", "are all the same", "there is nothing to learn from them")
    wiener = wiener_of(moments_of(x.T @ x / len(x), operator))
    own, shared = _fourth(x, patches.image, wiener, operator)
    floor = _cross_fitted(x, patches.image, operator)
    inside = wiener.floor / operator.pixels
    floor = inside if floor is None else max(floor, inside)
    return Spectrum(operator, mean, wiener, own, shared, len(patches), patches.images, floor)


def _check_shape(patches: Patches, operator: Operator) -> None:
    if patches.shape != operator.shape:
        raise UserError("patches", f"have the shape {patches.shape}", f"the problem is for {operator.shape}")


def fold_members(image: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """The indices of the patches of each image."""
    order = np.argsort(image, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image[order])) + 1)


def _fourth(x: Floats, image: NDArray[np.int64], wiener: Wiener, operator: Operator) -> tuple[Floats, Floats]:
    response, noise = wiener.response, operator.sigma**2
    lens = operator.matrix.T @ wiener.directions  # (pixels, r): c = x lens
    energy = (response**2).sum(0)
    lift = noise * float(energy.sum())
    own, shared, pairs = np.zeros_like(energy), np.zeros_like(energy), 0
    for part in np.split(x, range(CHUNK, len(x), CHUNK)):
        c = part @ lens
        a = part - c @ response.T
        own += ((a**2).sum(1) + lift) @ (c**2 + noise) - 4 * noise * (c * (a @ response)).sum(0)
        own += 2 * noise**2 * energy * len(c)
    for mine in fold_members(image):
        if len(mine) == 1:
            continue
        c = x[mine] @ lens
        a = x[mine] - c @ response.T
        total = a.T @ c - noise * len(c) * response
        alone = (a**2).sum(1) @ c**2 - 2 * noise * (c * (a @ response)).sum(0) + noise**2 * energy * len(c)
        shared += (total**2).sum(0) - alone
        pairs += len(c) * (len(c) - 1)
    return own / len(x), shared / max(pairs, 1)


def _cross_fitted(x: Floats, image: NDArray[np.int64], operator: Operator) -> float | None:
    """The error of the Wiener filter of one half of the images on the other half, and the reverse."""
    labels = np.unique(image)
    halves = [np.isin(image, labels[part::2]) for part in (0, 1)]
    if len(labels) < 2 or min(half.sum() for half in halves) <= operator.pixels:
        return None
    moments = [moments_of(x[half].T @ x[half] / half.sum(), operator) for half in halves]
    risks = [risk_of_filter(wiener_of(one), other) for one, other in (moments, moments[::-1])]
    return float(np.mean(risks))


def population_by(spectrum: Spectrum, counts: Counts, per_image: int = 1) -> Population:
    """The population whose learning curve is that of n patches, or of n images with ``per_image`` patches each.

    For patches drawn independently the leverage is own / (variance floor). For patches that come image by image the
    variance of a mean over n images is (own + (per_image - 1) shared) / (n per_image): ``shared`` adds to the leverage.

    Args:
        spectrum: of an image set.
        counts: what n is.
        per_image: patches that each image gives, 1 or more; used for images only.

    Raises:
        UserError: ``counts`` or ``per_image`` is out of range.
    """
    each = _each(counts, per_image)
    moment = spectrum.own + (each - 1) * np.maximum(spectrum.shared, 0.0)
    population, variances = spectrum.wiener.population, spectrum.wiener.variances
    if spectrum.wiener.floor == 0:
        return population
    leverage = np.maximum(moment, 0.0) / (variances * spectrum.wiener.floor)
    return Population(variances, population.counts, population.signal, population.floor, population.outputs, leverage)


@dataclass(frozen=True)
class LinearCurve:
    """The computed learning curve of a linear estimator.

    Attributes:
        counts: what n is: patches, or images with ``per_image`` patches each.
        per_image: patches of an image; 1 where n counts patches.
        n: sizes.
        mse: the error of the early-stopped estimator at each n, on images like those of the spectrum.
        floor: the error that no n falls below.
        power: the error of always answering the mean.
    """

    counts: Counts
    per_image: int
    n: tuple[float, ...]
    mse: tuple[float, ...]
    floor: float
    power: float

    @property
    def psnr(self) -> tuple[float, ...]:
        """10 log10(1 / mse), in dB; infinite where nothing is wrong."""
        return tuple(-10 * math.log10(value) if value > 0 else math.inf for value in self.mse)


def linear_curve(
    spectrum: Spectrum, n: Sequence[float], *, counts: Counts = "patches", per_image: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> LinearCurve:  # fmt: skip
    """The learning curve: the equivalent of gradient flow, stopped at the best time, for each n.

    Raises:
        UserError: an n is below 1, or ``counts`` or ``per_image`` is out of range.
    """
    each, population, risks = _each(counts, per_image), population_by(spectrum, counts, per_image), []
    for done, size in enumerate(n, 1):
        risks.append(_risk(population, check_real("n", size, 1.0), each))
        if progress is not None:
            progress(done, len(n))
    floor = population.floor / population.outputs
    return LinearCurve(counts, each, tuple(map(float, n)), tuple(risks), floor, population.power)


def check_counts(counts: str) -> None:
    """Refuse what n cannot count.

    Raises:
        UserError: neither patches nor images.
    """
    if counts not in ("patches", "images"):
        raise UserError("counts", f"found '{counts}'", "'patches' or 'images' is expected")


def _each(counts: str, per_image: int) -> int:
    """Patches for each 1 of n."""
    check_counts(counts)
    return check_int("per_image", per_image, 1) if counts == "images" else 1


def _risk(population: Population, n: float, per_image: int) -> float:
    return best_flow(Equivalent(population, n * per_image)).risk


def n_within_db(
    spectrum: Spectrum, decibels: float, *, counts: Counts = "patches", per_image: int = 1, most: float = 1e9
) -> float | None:
    """The n at which the curve comes within this many dB of its floor; None where that takes more than ``most``.

    A floor of 0 is never come near in dB.

    Raises:
        UserError: ``decibels``, ``counts`` or ``per_image`` is out of range.
    """
    check_real("decibels", decibels, open_end=True)
    each, population = _each(counts, per_image), population_by(spectrum, counts, per_image)
    target = population.floor / population.outputs * 10 ** (decibels / 10)

    def above(log: float) -> float:
        return math.log(_risk(population, math.exp(log), each) / target)

    if target == 0 or above(math.log(most)) > 0:
        return None
    if above(0.0) <= 0:
        return 1.0
    return float(math.exp(brentq(above, 0.0, math.log(most), xtol=1e-3)))
