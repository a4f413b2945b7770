"""Power laws whose exponent changes smoothly at breaks, above a floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.arrays import Floats
from reconscale.laws import smc
from reconscale.laws.named.law import (
    bounded,
    constant,
    floored,
    grid,
    log_floor_from_unit,
    log_grid,
    middle,
    signed_place,
    sinh_grid,
    split,
    unit_from_log_floor,
)
from reconscale.laws.named.variable_projection import linear_fit

MARGIN = 0.25
"""A break may lie beyond the data by this part of their range of ln n."""
SHARP, BLUNT = 0.005, 1.0
"""The width f of a break is between these parts of the range of ln n."""


@dataclass(frozen=True)
class BrokenPowerLaw:
    """error = a + b n^-c0 prod_i (1 + (n / d_i)^(1 / f_i))^(-c_i f_i), a >= 0, with ``breaks`` breaks.

    The exponent is c0 far below the first break d1 and c_i more beyond d_i (each from -5 to 5: the error may rise);
    f_i is the width of the break in ln n. Breaks are sorted.
    Source: Caballero, Gupta, Rish and Krueger 2023, Broken Neural Scaling Laws; there a is free and the fit is of
    ln(error + 1).
    """

    breaks: int = 1
    of: str = "error"

    @property
    def name(self) -> str:
        """``bnsl-1``, ``bnsl-2``, ..."""
        return f"bnsl-{self.breaks}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The floor, the first power law, and for each break its change of exponent, place and width."""
        return ("a", "b", "c0", *self._triples)

    @property
    def formula(self) -> str:
        """A product of one factor a break."""
        return "error = a + b n^−c0 ∏ (1 + (n/di)^(1/fi))^(−ci fi)"

    @property
    def least(self) -> int:
        """As many as there are parameters."""
        return 3 + 3 * self.breaks

    @property
    def curved(self) -> tuple[str, ...]:
        """Everything but b."""
        return ("a", "c0", *self._triples)

    @property
    def _triples(self) -> tuple[str, ...]:
        return tuple(f"{letter}{index + 1}" for index in range(self.breaks) for letter in "cdf")

    def window(self, count: int) -> slice:
        """All levels."""
        return slice(0, count)

    def _shape(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """c0 and (c_i, ln(d_i), f_i) with breaks ascending (..., B, 3)."""
        span = x[-1] - x[0]
        triples = t[..., 2:].reshape(*t.shape[:-1], self.breaks, 3)
        place = x[0] - MARGIN * span + triples[..., 1] * (1.0 + 2.0 * MARGIN) * span
        width = log_grid(triples[..., 2], SHARP * span, BLUNT * span)
        return sinh_grid(t[..., 1:2]), np.stack([sinh_grid(triples[..., 0]), place, width], axis=-1)

    def nodes(self, x: Floats, u: Floats) -> Floats:
        """For many floors, places and widths the exponents that fit ln(error - floor) best, to first order in u."""
        span = x[-1] - x[0]
        free = smc.uniform_sequence(2048 * self.breaks, 1 + 2 * self.breaks)
        share = (1.0 - 1e-3 ** free[:, :1]) * np.exp(u.min() - u)
        triples = np.empty((len(free), self.breaks, 3))
        places = np.sort(free[:, 1 : 1 + self.breaks], axis=-1)
        triples[..., 0], triples[..., 2] = 1.0, log_grid(free[:, 1 + self.breaks :], SHARP * span, BLUNT * span)
        triples[..., 1] = x[0] + (places * (1.0 + 2.0 * MARGIN) - MARGIN) * span
        bends = [_bend(x, triples[:, i]) - _bend(middle(x), triples[:, i]) for i in range(self.breaks)]
        columns = np.stack([np.ones_like(share), np.broadcast_to(middle(x) - x, share.shape), *bends], axis=-1)
        root = 1.0 - share
        level, c0, *c = split(linear_fit(columns * root[..., None], (u + np.log(root)) * root).linear)
        triples[..., 0] = np.concatenate(c, axis=-1)
        falling = _falling(x, c0, triples) - _falling(np.array([middle(x)]), c0, triples)
        with np.errstate(divide="ignore"):
            floor = unit_from_log_floor(np.log(share[:, :1]) + u[0] - level, falling)
        rest = np.stack([signed_place(triples[..., 0]), places, free[:, 1 + self.breaks :]], axis=-1)
        t = np.concatenate([floor, signed_place(c0), rest.reshape(len(free), -1)], axis=-1)
        return np.asarray(np.clip(t, 0.0, 1.0))

    def terms(self, x: Floats, t: Floats) -> tuple[Floats, Floats]:
        """ln(r + the falling part) relative to the falling part at mid size; a level."""
        c0, triples = self._shape(x, t)
        falling = _falling(x, c0, triples) - _falling(np.array([middle(x)]), c0, triples)
        known = np.logaddexp(log_floor_from_unit(t[..., 0:1], falling), falling)
        return known, constant(known)

    def theta(self, x: Floats, t: Floats, linear: Floats) -> Floats:
        """(..., 3 + 3 B): a, b, c0, then c_i, d_i and f_i of each break."""
        c0, triples = self._shape(x, t)
        half_way = _falling(np.array([middle(x)]), c0, triples)
        a = floored(linear + log_floor_from_unit(t[..., 0:1], _falling(x, c0, triples) - half_way))
        order = np.argsort(triples[..., 1], axis=-1, kind="stable")[..., None]
        triples = np.take_along_axis(triples, order, axis=-2)
        triples[..., 1] = np.exp(bounded(triples[..., 1]))
        rest = triples.reshape(*t.shape[:-1], 3 * self.breaks)
        return np.concatenate([a, np.exp(bounded(linear - half_way)), c0, rest], axis=-1)

    def working(self, x: ArrayLike, theta: ArrayLike) -> Floats:
        """ln(a + the falling part)."""
        values = np.asarray(theta, dtype=np.float64)
        a, b, c0 = split(values[..., :3])
        triples = values[..., 3:].reshape(*values.shape[:-1], self.breaks, 3).copy()
        triples[..., 1] = np.log(triples[..., 1])
        with np.errstate(divide="ignore"):
            return bounded(np.logaddexp(np.log(a), np.log(b) + _falling(np.asarray(x), c0, triples)))


def _falling(x: Floats, c0: Floats, triples: Floats) -> Floats:
    """-c0 x - sum_i c_i f_i ln(1 + exp((x - ln d_i) / f_i)) at x (K,), (..., K)."""
    value = -c0 * x
    for index in range(triples.shape[-2]):
        value = value + _bend(x, triples[..., index, :])
    return value


def _bend(x: Floats | float, triple: Floats) -> Floats:
    c, place, width = split(triple)
    return -c * width * np.logaddexp(0.0, (x - place) / width)


MOST = 290.0
"""log10 of a metric is kept within this bound."""


@dataclass(frozen=True)
class SegmentedPowerLaw:
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
    def formula(self) -> str:
        """A power of n on every segment."""
        return "metric = value (n / break)^alpha"

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
