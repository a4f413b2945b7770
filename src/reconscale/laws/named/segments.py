"""The law of the paper: straight lines in log-log that meet at breaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.laws.named.law import grid, split

Floats = NDArray[np.float64]

MOST = 290.0
"""log10 of a metric is kept within this bound."""


@dataclass(frozen=True)
class Paper:
    """The paper's law: log10(metric) against log10(n) is straight lines that meet at ``breaks`` breaks.

    ``alpha1``, ``alpha2``, ... are the signed exponents from left to right, ``value`` is the metric at the first
    break. The breaks are found, not typed in; every line is given at least two sizes (a break may be one).
    Source: Scaling Laws for Deep Learning Based Image Reconstruction, where the metric is PSNR in dB or SSIM and
    the intervals are chosen by hand.
    """

    breaks: int = 1
    of: str = "metric"

    @property
    def name(self) -> str:
        """``paper``, or ``paper-2`` with two breaks."""
        return "paper" if self.breaks == 1 else f"paper-{self.breaks}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The breaks, the value at the first of them, and one exponent a line."""
        return (*self.curved, "value", *(f"alpha{line + 1}" for line in range(self.breaks + 1)))

    @property
    def least(self) -> int:
        """Two sizes a line."""
        return 2 * self.breaks + 2

    @property
    def curved(self) -> tuple[str, ...]:
        """The breaks."""
        return ("break",) if self.breaks == 1 else tuple(f"break{index + 1}" for index in range(self.breaks))

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _breaks(self, x: Floats, t: Floats) -> Floats:
        """Ln of the breaks (..., B), ascending: each is a place along the sizes, counted with fractions.

        A break that would leave fewer than two sizes between it and the one before is moved up to where it does not.
        """
        span = len(x) - 2 - self.breaks
        places: list[Floats] = []
        for index in range(self.breaks):
            place = 1.0 + index + t[..., index] * span
            places.append(np.maximum(place, np.ceil(places[-1] - 1e-9) + 1.0) if places else place)
        return np.asarray(np.interp(np.stack(places, axis=-1), np.arange(len(x)), x))

    def nodes(self, x: Floats, u: Floats) -> Floats:  # noqa: ARG002
        """A grid."""
        return grid(len(self.curved))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """A level, a slope, and a change of slope at each break; lengths in units of the range of ln n."""
        places = self._breaks(x, t)
        away = (x - places[..., :1]) / (x[-1] - x[0])
        bends = np.maximum(x[:, None] - places[..., None, :], 0.0) / (x[-1] - x[0])
        return np.zeros_like(away), np.concatenate([np.stack([np.ones_like(away), away], axis=-1), bends], axis=-1)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 2 B + 2): breaks, value and exponents."""
        slopes = np.cumsum(linear[..., 1:], axis=-1) * np.log(10.0) / (x[-1] - x[0])
        level = 10.0 ** np.clip(linear[..., :1], -MOST, MOST)
        return np.concatenate([np.exp(self._breaks(x, t)), level, slopes], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """log10(value) + alpha1 log10(n / break1) + the changes of alpha times log10(n / break), above each break."""
        columns = split(theta)
        places, value, slopes = columns[: self.breaks], columns[self.breaks], columns[self.breaks + 1 :]
        decades = [(np.asarray(x) - np.log(place)) / np.log(10.0) for place in places]
        u = np.log10(value) + slopes[0] * decades[0]
        for index, beyond in enumerate(decades):
            u = u + (slopes[index + 1] - slopes[index]) * np.maximum(beyond, 0.0)
        return np.asarray(np.clip(u, -MOST, MOST))
