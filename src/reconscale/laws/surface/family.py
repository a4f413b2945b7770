"""The nested family of surfaces E + A (n^-a + R p^-b)^k, with its prior.

On the log scale, with u = -alpha ln n and v = ln R - beta ln p, the part that falls is k ln(e^(u/k) + e^(v/k)): a soft
maximum of two power laws, whose temperature is the coupling k. As k falls to 0 the worse of the two decides
(a bottleneck), k = 1 adds them (Hoffmann et al. 2022, "Chinchilla"), and for large k they multiply. So alpha = a k and
beta = b k are the exponents that one sees where the other term is out of the way, whatever the coupling.
Kaplan et al. 2020 write ((N_c / N)^(alpha_N / alpha_D) + D_c / D)^alpha_D: the exponent inside is 1 for the data, so it
is this family with a = 1, that is k = alpha; the mirror image has b = 1, k = beta. Free k is Videau et al. 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from reconscale.arrays import Floats

COUPLINGS = ("additive", "kaplan", "free")
"""The forms that are averaged, each with the same weight before any data."""
NO_FLOOR = 0.25
"""Probability, before any data, that the error falls without end."""
MOST_SHARE = 1.0 - 1e-6
EXPONENT, EXPONENT_SPREAD = 0.3, 1.0
"""Median of the exponents alpha and beta, and the spread of their logarithms."""
BALANCE_SPREAD = 1.5
"""Spread of ln of the ratio of the two terms in the middle of the data."""
COUPLING, COUPLING_SPREAD = 0.5, 1.0
"""Median of the free k, and the spread of its logarithm."""


@dataclass(frozen=True)
class Form:
    """One member of the family.

    Attributes:
        coupling: one of :data:`COUPLINGS`.
        tied: 0 or 1 where k is the exponent alpha or beta ("kaplan"), else -1.
        floor: whether the error has a floor above 0.
        weight: probability before any data.
    """

    coupling: str
    tied: int
    floor: bool
    weight: float

    @property
    def dimensions(self) -> int:
        """Number of parameters, the level aside."""
        return 3 + self.floor + (self.coupling == "free")


def _forms() -> tuple[Form, ...]:
    ties = [("additive", -1, 1.0), ("kaplan", 0, 0.5), ("kaplan", 1, 0.5), ("free", -1, 1.0)]
    odds = [(True, 1.0 - NO_FLOOR), (False, NO_FLOOR)]
    return tuple(
        Form(name, tied, floor, part * chance / len(COUPLINGS)) for name, tied, part in ties for floor, chance in odds
    )


FORMS = _forms()


@dataclass(frozen=True, eq=False)
class SurfaceDraws:
    """D surfaces, but for their level; ln n and ln p are counted from the middle of the data.

    Attributes:
        alpha: (D, 1) exponent of n where p is plenty.
        beta: (D, 1) exponent of p where n is plenty.
        balance: (D, 1) ln of the p-term over the n-term, before the coupling, in the middle of the data.
        k: (D, 1) coupling.
        share: (D, 1) the floor's part of the error in the middle of the data, 0 or more.
    """

    alpha: Floats
    beta: Floats
    balance: Floats
    k: Floats
    share: Floats

    def log(self, x: Floats, y: Floats) -> Floats:
        """(D, N) ln of the error over the error in the middle, at x and y, (N,) or (D, N)."""
        falling = self.falling(x, y) - self.falling(np.zeros(1), np.zeros(1))
        return np.asarray(np.log(self.share + (1.0 - self.share) * np.exp(np.clip(falling, -690.0, 690.0))))

    def falling(self, x: Floats, y: Floats) -> Floats:
        """(D, N) ln of (n^-a + R p^-b)^k."""
        u = -self.alpha * x
        apart = self.balance - self.beta * y - u
        return np.asarray(u + np.maximum(apart, 0.0) + self.k * np.log1p(np.exp(-np.abs(apart) / self.k)))


def surfaces_from_normals(form: Form, v: Floats) -> SurfaceDraws:
    """The surfaces of parameters v (D, Q), standard normal a priori."""
    alpha, beta = EXPONENT * np.exp(EXPONENT_SPREAD * np.clip(v[:, :2].T, -9.0, 5.0))
    share = MOST_SHARE * ndtr(v[:, 3]) if form.floor else np.zeros(len(v))
    if form.coupling == "free":
        k = COUPLING * np.exp(COUPLING_SPREAD * np.clip(v[:, -1], -6.0, 6.0))
    else:
        k = (alpha, beta, np.ones(len(v)))[form.tied]
    return SurfaceDraws(*(part[:, None] for part in (alpha, beta, BALANCE_SPREAD * v[:, 2], k, share)))


def concatenate(parts: Sequence[SurfaceDraws]) -> SurfaceDraws:
    """All surfaces of several groups, in order."""
    columns = zip(*((s.alpha, s.beta, s.balance, s.k, s.share) for s in parts), strict=True)
    return SurfaceDraws(*(np.concatenate(column) for column in columns))
