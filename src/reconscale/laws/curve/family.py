"""The nested family of curves and its prior.

With u = ln(n / largest n), h(0) = 1 and a floor whose part of the error at the largest n is ``share``,

    error = level * (share^(1/k) + (1 - share^(1/k)) h(u)^(1/k))^k,
    ln h  = -c u - sum over breaks of (c_after - c_before) f (softplus((u - d) / f) - softplus(-d / f)).

- ``power``: no break, no floor. ``+floor``: k = 1, the floor is added. ``+shift``: k = c, which is b (1/n + g)^c
  (M3 of Alabdulmohsin et al. 2022): the floor is approached more abruptly.
- ``saturating``: a break from exponent 0 with f = 1, the curve is flat towards small n (as M4 there).
- ``break``, ``two breaks``: broken power laws (Caballero et al. 2023).

All of them fall, but for two wide breaks that overlap, which may lift a curve for a while.
Parameters are read off standard normal coordinates, so that the prior is in this file and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from reconscale.arrays import Floats

HEADS = ("power", "saturating", "break", "two breaks")
TAILS = ("", "+floor", "+shift")
FORMS = tuple(head + tail for head in HEADS for tail in TAILS)
"""What a curve can be."""


@dataclass(frozen=True)
class Prior:
    """What is believed beforehand.

    Attributes:
        floor: probability that there is a floor.
        shift: probability that it is of the kind ``+shift``, given that there is one.
        floor_bend: the floor's share s of the error at the largest n has density proportional to (1-s)^(bend-1).
        exponent, exponent_sd: median and log spread of the exponent beyond the last break.
        kinds: probabilities of no break, saturating, speeding up, slowing down.
        second: probability of a second break, given one.
        before, after: breaks lie from ``before`` below the smallest ln n to ``after`` above the largest.
        sharpness, sharpness_sd: median and log spread of the width f of a break in ln n.
    """

    floor: float = 0.87
    shift: float = 0.84
    floor_bend: float = 0.6
    exponent: float = 0.8
    exponent_sd: float = 0.8
    kinds: tuple[float, float, float, float] = (0.3, 0.25, 0.2, 0.25)
    second: float = 0.2
    before: float = 1.0
    after: float = 0.7
    sharpness: float = 0.6
    sharpness_sd: float = 0.7


DIMENSIONS = 10


@dataclass(frozen=True, eq=False)
class CurveDraws:
    """Parameters of D curves.

    Attributes:
        share: (D,) the floor's part of the error at the largest n.
        bend: (D,) k, at most 1: how abruptly the floor is approached.
        exponents: (D, 3) before, between and after the breaks; equal where there is no break.
        places: (D, 2) ln n of the breaks over the largest.
        widths: (D, 2) f.
        form: (D,) index in :data:`FORMS`.
    """

    share: Floats
    bend: Floats
    exponents: Floats
    places: Floats
    widths: Floats
    form: NDArray[np.int64]

    def log_shape(self, u: Floats) -> Floats:
        """(D, N) ln(error / level) at u (N,)."""
        log_h = -self.exponents[:, :1] * u
        for index in range(2):
            place, width = self.places[:, index, None], self.widths[:, index, None]
            change = (self.exponents[:, index + 1] - self.exponents[:, index])[:, None] * width
            log_h = log_h - change * (softplus((u - place) / width) - softplus(-place / width))
        k = self.bend[:, None]
        share = self.share[:, None] ** (1.0 / k)
        return np.asarray(k * np.log(share + (1.0 - share) * np.exp(np.clip(log_h / k, -600.0, 600.0))))


def softplus(value: Floats) -> Floats:
    """ln(1 + e^value)."""
    return np.logaddexp(0.0, value)


def curves_from_normals(v: Floats, first: float, belief: Prior) -> CurveDraws:
    """Parameters from coordinates v (D, 10); ``first`` is ln(smallest n / largest n)."""
    unit = ndtr(v)
    floored = unit[:, 0] < belief.floor
    part = 1.0 - (1.0 - np.minimum(unit[:, 0] / belief.floor, 1.0)) ** (1.0 / belief.floor_bend)
    share = np.where(floored, np.minimum(part, 1.0 - 1e-6), 0.0)
    last = belief.exponent * np.exp(belief.exponent_sd * v[:, 1])
    cuts = np.cumsum(belief.kinds)
    kind = np.searchsorted(cuts[:-1], unit[:, 2], side="right")
    within = (unit[:, 2] - np.concatenate([[0.0], cuts])[kind]) / np.asarray(belief.kinds)[kind]
    ratio = np.select([kind == 0, kind == 1, kind == 2], [1.0, 0.0, within], np.exp(2.0 * within))
    low, high = first - belief.before, belief.after
    places = low + (high - low) * unit[:, 3:5]
    widths = belief.sharpness * np.exp(belief.sharpness_sd * v[:, 5:7])
    widths[:, 1] = np.where(kind == 1, 1.0, widths[:, 1])
    second = (kind > 1) & (unit[:, 7] < belief.second)
    middle = last * ratio
    start = np.where(second, last * np.exp(0.7 * v[:, 8]), middle)
    shifted = floored & (unit[:, 9] < belief.shift)
    bend = np.where(shifted, np.clip(last, 0.02, 1.0), 1.0)
    form = 3 * np.select([kind == 0, kind == 1, ~second], [0, 1, 2], 3) + floored + shifted
    places = np.where(second[:, None], np.sort(places, axis=1), places[:, [1, 0]])
    return CurveDraws(share, bend, np.stack([start, middle, last], axis=1), places, widths, form)
