"""The laws of mixtures: error over how many images there are of each source, the target source first.

All have a floor E and an exponent a of the target; r is the typical number of images of a run, q_j the share of source
j among the images of a run. They differ in what the images of another source do:

- ``additive``: E + A N^-a with the effective data N = n_0 + sum_j w_j n_j. An image of source j is worth w_j of the
  target, everywhere. Hashimoto 2021 (Model Performance Scaling with Multiple Data Sources) has a sum of such terms, a
  rational function of the shares.
- ``transfer``: E + A N^-a with N = n_0 + sum_j w_j r (n_j / r)^c_j (n_0 / r)^d_j: the effective data transferred, a
  power law in both. Hernandez et al. 2021 (Scaling Laws for Transfer) have n_0^d times a power of the number of
  parameters, at one size of the source; here the power is of n_j. Without the target n_0 counts as one image.
- ``multiplicative``: E + A (1 + n_0 / m_0)^-a prod_j (g_j + (1 - g_j) (1 + n_j / m_j)^-b_j). Mikami et al. 2021 (A
  Scaling Law for Synthetic-to-Real Transfer) have (g + n_1^-b) n_0^-a for n_1 images of pre-training, with the transfer
  gap g; Barnett 2024 (An Empirical Study of Scaling Laws for Transfer) adds E. The 1 and m keep it finite at 0.
- ``biased``: E + A N^-a + B sum_j h_j q_j^t, N as in ``additive``: a source draws the network towards its own images.
  It has a floor of its own, and where the target is plenty more of it harms. For the mean of two populations t is 2;
  the bound of Ben-David et al. 2010 (A theory of learning from different domains) has t = 1.
- ``shares``: E + A N^-a exp(sum_j k_j q_j), N as in ``additive``, k of either sign. Ye et al. 2024 (Data Mixing Laws)
  have E + A exp(sum_j k_j q_j) at one size.

With p, A times the falling term becomes A ((1 - s) falling + s (p / p_ref)^-b), as the additive law of the surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from reconscale.arrays import Floats

EXPONENT, EXPONENT_SPREAD = 0.35, 0.8
"""Median of exponents, and the spread of their logarithms."""
NO_FLOOR, MOST_SHARE = 0.15, 0.98
"""Probability that the error falls without end; the most that a floor can be of the error in the typical mix."""
WEIGHT, WEIGHT_SPREAD = 0.3, 1.7
"""Median of what an image of another source is worth, and the spread of its logarithm: 0.018 to 4.9 in 90 %."""
TRANSFER, COUPLED = (0.2, 1.2), (0.0, 0.5)
"""Ranges of the exponents c and d of transfer."""
START_SPREAD = 2.0
"""Spread of ln(m / r), the number of images from which on a source counts in the multiplicative law."""
BIAS, BIAS_SPREAD = 0.15, 1.5
"""Median of h, the floor of a source alone over what falls in the typical mix, and the spread of its logarithm."""
PULL_SPREAD = 0.5
"""Spread of k of the law of shares."""
POWERS = (1.0, 2.0)
"""Range of the exponent t of shares."""
LIMIT = 300.0

FORMS = ("additive", "transfer", "multiplicative", "biased", "shares")
"""The laws that are averaged; all have the same weight before any data."""
OWN = {"additive": 1, "transfer": 3, "multiplicative": 3, "biased": 2, "shares": 2}
"""Parameters of each further source."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What numbers are counted from.

    Attributes:
        mix: (K,) the typical mix.
        p: typical number of parameters, or None where p does not vary.
    """

    mix: Floats
    p: float | None

    @property
    def total(self) -> float:
        """Images of the typical run."""
        return float(self.mix.sum())


@dataclass(frozen=True, eq=False)
class MixtureDraws:
    """D laws of one form, but for their level.

    Attributes:
        form: one of :data:`FORMS`.
        share: (D, 1) the floor's part of the error in the typical mix, without what bias adds.
        parameters: name -> (D, 1) or, of further sources, (D, K - 1).
        reference: what they are counted from.
    """

    form: str
    share: Floats
    parameters: dict[str, Floats]
    reference: Reference

    def __len__(self) -> int:
        return len(self.share)

    def log(self, mixes: Floats, p: Floats | None = None) -> Floats:
        """(D, N) ln of the error over that in the typical mix, at mixes (N, K) and parameters (N,)."""
        falling = self._falling(mixes) - self._falling(self.reference.mix[None])
        fall = np.exp(np.clip(falling, -LIMIT, LIMIT))
        if self.reference.p is not None and p is not None:
            part, b = self.parameters["s"], self.parameters["b_p"]
            fall = (1.0 - part) * fall + part * np.exp(-b * np.log(p / self.reference.p))
        if self.form == "biased":
            fall = fall + self._bias(mixes)
        return np.asarray(np.log(self.share + (1.0 - self.share) * fall))

    def _falling(self, mixes: Floats) -> Floats:
        """(D, N) ln of the term that falls."""
        if self.form == "multiplicative":
            return self._product(mixes)
        value = -self.parameters["a"] * np.log(np.maximum(self._effective(mixes), 1e-30))
        return np.asarray(value + self.parameters["k"] @ _shares(mixes).T if self.form == "shares" else value)

    def _effective(self, mixes: Floats) -> Floats:
        """(D, N) images of the target that are worth as much."""
        w, own, r = self.parameters["w"], mixes[:, 0], self.reference.total
        total = np.broadcast_to(own, (len(w), len(own)))
        for j in range(w.shape[1]):
            other = mixes[:, j + 1]
            if self.form == "transfer":
                c, d = self.parameters["c"][:, j : j + 1], self.parameters["d"][:, j : j + 1]
                worth = r * np.exp(c * np.log(np.maximum(other, 1e-12) / r) + d * np.log(np.maximum(own, 1.0) / r))
                other = np.where(other > 0, worth, 0.0)
            total = total + w[:, j : j + 1] * other
        return np.asarray(total)

    def _product(self, mixes: Floats) -> Floats:
        """(D, N) ln of the product of what each source leaves."""
        known = self.parameters
        value = -known["a"] * np.log1p(mixes[:, 0] / known["m_0"])
        for j in range(known["b"].shape[1]):
            g, m, b = (known[name][:, j : j + 1] for name in ("g", "m", "b"))
            value = value + np.log(g + (1.0 - g) * np.exp(-b * np.log1p(mixes[:, j + 1] / m)))
        return np.asarray(value)

    def _bias(self, mixes: Floats) -> Floats:
        """(D, N) what other sources add, over what falls in the typical mix."""
        shares = _shares(mixes)
        value = np.zeros((len(self.share), len(mixes)))
        for j in range(shares.shape[1]):
            q = np.log(np.maximum(shares[:, j], 1e-12))
            value += np.where(
                shares[:, j] > 0, self.parameters["h"][:, j : j + 1] * np.exp(self.parameters["t"] * q), 0.0
            )
        return value


def dimensions(form: str, sources: int, *, sized: bool) -> int:
    """Number of parameters of a form, the level aside."""
    return 2 + (form in ("multiplicative", "biased")) + OWN[form] * (sources - 1) + 2 * sized


def laws_from_normals(form: str, v: Floats, reference: Reference) -> MixtureDraws:
    """The laws of parameters v (D, Q), standard normal a priori."""
    others = len(reference.mix) - 1
    take = _Taker(v)
    share = MOST_SHARE * np.maximum(ndtr(take(1)) - NO_FLOOR, 0.0) / (1.0 - NO_FLOOR)
    exponent = EXPONENT * np.exp(EXPONENT_SPREAD * take(1))
    known: dict[str, Floats] = {"a": exponent}
    r = reference.total
    if form == "multiplicative":
        known["m_0"] = 0.05 * r * np.exp(START_SPREAD * take(1))
        known["g"] = ndtr(take(others))
        known["m"] = 0.1 * r * np.exp(START_SPREAD * take(others))
        known["b"] = EXPONENT * np.exp(EXPONENT_SPREAD * take(others))
    else:
        known["w"] = WEIGHT * np.exp(WEIGHT_SPREAD * take(others))
    if form == "transfer":
        known["c"], known["d"] = (low + (high - low) * ndtr(take(others)) for low, high in (TRANSFER, COUPLED))
    if form == "biased":
        known["h"] = BIAS * np.exp(BIAS_SPREAD * take(others))
        known["t"] = POWERS[0] + (POWERS[1] - POWERS[0]) * ndtr(take(1))
    if form == "shares":
        known["k"] = PULL_SPREAD * take(others)
    if reference.p is not None:
        known["s"] = ndtr(take(1))
        known["b_p"] = EXPONENT * np.exp(EXPONENT_SPREAD * take(1))
    return MixtureDraws(form, share, known, reference)


def _shares(mixes: Floats) -> Floats:
    """(N, K - 1) of the other sources among the images of each mix."""
    return np.asarray(mixes[:, 1:] / np.maximum(mixes.sum(1, keepdims=True), 1e-300))


class _Taker:
    """Hands out the columns of an array one after the other, far ones pulled in."""

    def __init__(self, v: Floats) -> None:
        self._v, self._next = v, 0

    def __call__(self, count: int) -> Floats:
        first, self._next = self._next, self._next + count
        return np.clip(self._v[:, first : self._next], -8.0, 8.0)
