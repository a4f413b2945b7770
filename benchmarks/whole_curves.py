"""Draws of whole curves, seen and foreseen sizes together, and how likely they are under another prior.

The coordinates of the sampler are standard normal, so a prior is a density of the parameters that they are read off.
Draws that were made once under a broad prior say of any other one how much more evidence it has: the mean of the ratio
of both densities over the draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from curves import Curve
from reconscale.laws import smc
from reconscale.laws.curve.model import (
    DIMENSIONS,
    build_discrepancy,
    curves_from_normals,
    marginalise,
    noise_nodes,
)
from reconscale.laws.curve.posterior import LEAST_CHANGE, MOST_LEVELS, many_share, pick_combinations, unit_sd
from reconscale.laws.curve.prior import Belief, NoisePrior, Prior
from reconscale.laws.grouping import SizeMeans, group_by_size
from reconscale.laws.seed_noise import SLOPE

Floats = NDArray[np.float64]
START, CLOUD, KEPT = 12000, 1200, 400
"""Draws of the prior, of the posterior, and of those that are kept."""
MOST_AHEAD = 8
"""More sizes ahead are merged with their neighbours."""
CURVE = ("floor", "shift", "floor_bend", "exponent", "exponent_sd", "second", "before", "after", "sharpness",
         "sharpness_sd")  # fmt: skip
NOISE = ("noise", "noise_sd", "rough", "rough_sd", "length", "length_sd")
KINDS = ("saturating", "speeding up", "slowing down")
LOGITS = ("floor", "shift", "second")
NAMES = (*CURVE, *KINDS, *NOISE)
"""Coordinates of a belief: logits of probabilities, logs of odds against no break, logs of everything else."""


@dataclass(frozen=True, eq=False)
class Draws:
    """D draws of one whole curve.

    Attributes:
        first: ln(smallest n / largest n seen).
        share: how much the curve counts as one of many sizes.
        base: the belief that they were made under.
        columns: parts: ``seen`` (the posterior of what was seen) and ``whole``; of each, name -> (D,) values.
    """

    first: float
    share: float
    base: Belief
    columns: dict[str, dict[str, NDArray[np.generic]]]


def broadened(belief: Belief) -> Belief:
    """A belief with wider spreads and more combinations: its draws reach where others want them."""
    curve, noise = belief.curve, belief.noise
    wide = replace(
        curve, floor=0.8, shift=0.7, floor_bend=0.8, exponent_sd=1.0, kinds=(0.3, 0.25, 0.2, 0.25), before=1.3,
        after=1.5, sharpness_sd=0.8, second=0.25 if curve.second else 0.0,
    )  # fmt: skip
    return Belief(wide, replace(noise, noise_sd=1.3, rough_sd=1.2, length_sd=0.8, count=96))


def draw_whole(curve: Curve, belief: Belief) -> Draws:
    """Draw the curve under a belief, anchored at the largest n seen, from what was seen and from all of it."""
    level = group_by_size(curve.points, MOST_LEVELS)
    x, z, variance = _joined(curve, level)
    u, first = x - level.x[-1], float(level.x[0] - level.x[-1])
    change = float(np.hypot(np.ptp(level.z), LEAST_CHANGE))
    typical = float(level.sd[-1]) if level.replicated else 1.0
    known = level.largest_dof / max(level.seed_dof, 1.0)
    noise = noise_nodes(level.largest_dof, known * level.seed_squares, typical, belief.noise)
    parts = build_discrepancy(u, variance, change, noise, belief.noise)
    likelihood, rng = parts.likelihood((len(level.x), len(u))), np.random.default_rng(0)

    def logs(v: Floats) -> Floats:
        return likelihood(z - curves_from_normals(v, first, belief.curve).log_shape(u))

    start = smc.normal_sequence(START, DIMENSIONS)
    clouds = smc.smc_sample(lambda v: marginalise(logs(v)), start, rng, moves=2, count=CLOUD)
    columns: dict[str, dict[str, NDArray[np.generic]]] = {}
    for stage, name in enumerate(("seen", "whole")):
        v = rng.permutation(clouds[stage].v)[:KEPT]
        which = pick_combinations(logs(v)[stage].T, rng)
        nodes = {"noise": noise[which] * typical, "rough": parts.rough[which] / change, "length": parts.length[which]}
        columns[name] = _columns(v, first, belief.curve) | {key: np.log(value) for key, value in nodes.items()}
    return Draws(first, many_share(len(level.x)), belief, columns)


def _joined(curve: Curve, level: SizeMeans) -> tuple[Floats, Floats, Floats]:
    """Ln n, ln(error) and variance in units of the noise, of the levels seen and of those ahead."""
    sizes, back = np.unique(np.log(curve.ahead), return_inverse=True)
    if len(sizes) > MOST_AHEAD:
        edges = np.linspace(sizes[0], sizes[-1], MOST_AHEAD + 1)[1:-1]
        back = np.unique(np.searchsorted(edges, np.log(curve.ahead)), return_inverse=True)[1]
    count = np.bincount(back).astype(float)
    x = np.bincount(back, np.log(curve.ahead)) / count
    z = np.bincount(back, curve.logs(curve.truth)) / count
    falls = 0.0 if level.replicated else 0.5 * SLOPE * (1.0 - many_share(len(level.x)))
    sd = unit_sd(level)
    ahead = sd[-1] * np.exp(falls * (x - level.x[-1]))
    variance = np.concatenate([sd**2 / level.count, ahead**2 / count])
    return np.concatenate([level.x, x]), np.concatenate([level.z, z]), variance


def _columns(v: Floats, first: float, belief: Prior) -> dict[str, NDArray[np.generic]]:
    """The parameters that have a density, and which of them are in use."""
    unit, drawn = ndtr(v), curves_from_normals(v, first, belief)
    kind = np.searchsorted(np.cumsum(belief.kinds)[:-1], unit[:, 2], side="right")
    floored = unit[:, 0] < belief.floor
    return {
        "floored": floored,
        "shifted": floored & (unit[:, 9] < belief.shift),
        "kind": kind,
        "second": (kind > 1) & (unit[:, 7] < belief.second),
        "rest": np.log1p(-drawn.share),
        "exponent": np.log(drawn.exponents[:, 2]),
        "place": drawn.places[:, 1],
        "other place": drawn.places[:, 0],
        "width": np.log(drawn.widths[:, 1]),
        "other width": np.log(drawn.widths[:, 0]),
    }


def log_density(drawn: dict[str, NDArray[np.generic]], first: Floats, belief: Belief) -> tuple[Floats, Floats]:
    """The log density of draws, but for what all beliefs share, and its slopes.

    Args:
        drawn: columns (C, D) of C curves.
        first: (C, 1).
        belief: under which.

    Returns:
        (C, D) log density, and (C, D, P) its derivatives by the numbers of the belief: :data:`CURVE`, the four kinds,
        :data:`NOISE`.
    """
    p, kind = belief.curve, drawn["kind"]
    broken, bent, second = (kind > 0) * 1.0, (kind > 1) * 1.0, drawn["second"] * 1.0
    low, slopes = first - p.before, {}
    total = _coin(drawn["floored"], np.ones_like(bent), p.floor, "floor", slopes)
    total += _coin(drawn["shifted"], drawn["floored"] * 1.0, p.shift, "shift", slopes)
    total += drawn["floored"] * (np.log(p.floor_bend) + (p.floor_bend - 1.0) * drawn["rest"])
    slopes["floor_bend"] = drawn["floored"] * (1.0 / p.floor_bend + drawn["rest"])
    total += _normal(drawn["exponent"], np.ones_like(bent), p, "exponent", slopes)
    total += _coin(drawn["second"], bent, p.second, "second", slopes)
    total -= (broken + second) * np.log(p.after - low)
    slopes["before"] = slopes["after"] = -(broken + second) / (p.after - low)
    for key, used in (("place", broken), ("other place", second)):
        outside = (drawn[key] < low - 1e-9) | (drawn[key] > p.after + 1e-9)
        total = np.where((used > 0) & outside, -np.inf, total)
    for key, used in (("width", bent), ("other width", second)):
        more: dict[str, Floats] = {}
        total = total + _normal(drawn[key], used, p, "sharpness", more)
        for name, slope in more.items():
            slopes[name] = slopes.get(name, 0.0) + slope
    total = total + np.log(np.asarray(p.kinds))[kind]
    kinds = [(kind == k) / p.kinds[k] for k in range(4)]
    for name in NOISE[::2]:
        total = total + _normal(drawn[name], np.ones_like(bent), belief.noise, name, slopes)
    columns = [slopes[name] for name in CURVE] + kinds + [slopes[name] for name in NOISE]
    return total, np.stack(np.broadcast_arrays(*columns), axis=-1)


def _coin(side: NDArray[np.generic], used: Floats, p: float, name: str, slopes: dict[str, Floats]) -> Floats:
    if p <= 0.0:
        slopes[name] = np.zeros_like(used)
        return np.zeros_like(used)
    rest = max(1.0 - p, 1e-9)
    slopes[name] = used * np.where(side, 1.0 / p, -1.0 / rest)
    return np.asarray(used * np.where(side, np.log(p), np.log(rest)))


def _normal(value: Floats, used: Floats, belief: Prior | NoisePrior, name: str, slopes: dict[str, Floats]) -> Floats:
    middle, sd = getattr(belief, name), getattr(belief, f"{name}_sd")
    z = (value - np.log(middle)) / sd
    slopes[name], slopes[f"{name}_sd"] = used * z / sd / middle, used * (z**2 - 1.0) / sd
    return np.asarray(used * (-0.5 * z**2 - np.log(sd)))


def numbers_of(belief: Belief) -> Floats:
    """(P,) the numbers of a belief, in the order of the slopes of :func:`log_density`."""
    curve = [getattr(belief.curve, name) for name in CURVE]
    return np.array([*curve, *belief.curve.kinds, *(getattr(belief.noise, name) for name in NOISE)])


def coordinates_of(belief: Belief) -> Floats:
    """(Q,) coordinates without bounds, in the order of :data:`NAMES`."""
    given = dict(zip(CURVE, numbers_of(belief), strict=False)) | {name: getattr(belief.noise, name) for name in NOISE}
    given |= {name: belief.curve.kinds[k + 1] / belief.curve.kinds[0] for k, name in enumerate(KINDS)}
    return np.array([logit(max(given[key], 1e-6)) if key in LOGITS else np.log(given[key]) for key in NAMES])


def belief_at(place: Floats, like: Belief) -> Belief:
    """The belief at a place (Q,); a second break stays impossible where ``like`` has it so."""
    given = {k: float(expit(v)) if k in LOGITS else float(np.exp(v)) for k, v in zip(NAMES, place, strict=True)}
    odds = np.array([1.0, *(given[name] for name in KINDS)])
    curve = {name: given[name] for name in CURVE}
    curve["second"] = given["second"] if like.curve.second else 0.0
    kinds = tuple((odds / odds.sum()).tolist())
    return Belief(Prior(**curve, kinds=kinds), replace(like.noise, **{name: given[name] for name in NOISE}))
