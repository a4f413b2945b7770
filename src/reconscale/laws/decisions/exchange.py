"""Exchange rates: one step of quality in images, in parameters and in noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.curve_posterior import DRAWS, CurvePosterior
from reconscale.laws.decisions.intervals import Interval, summarise
from reconscale.laws.decisions.requirements import REACH, STEP, draw_next_step, first_n_reaching
from reconscale.laws.grouping import best_widths
from reconscale.laws.points import METRICS

FACTORS = 24
"""Sizes of network that are tried up to ``REACH`` times the one chosen."""


@dataclass(frozen=True)
class NoiseLevel:
    """The same networks at other levels of noise.

    Attributes:
        sigma: (K,) levels, rising.
        y: (R, K) the metric of R runs at each.
        trained: the level that they were trained at, one of them.
    """

    sigma: tuple[float, ...]
    y: tuple[tuple[float, ...], ...]
    trained: float


@dataclass(frozen=True)
class Exchange:
    """What brings one step of quality, with nothing else changed.

    Attributes:
        what: ``n`` images, ``p`` parameters, or ``sigma`` noise.
        step: the gain, in ``unit``.
        unit: ``dB`` or ``SSIM``.
        factor: by which it is multiplied: above 1 of images and parameters, below 1 of noise; its ``never`` is the
            chance that no factor up to 1000 (of noise: no less noise) brings the step.
        basis: what it is computed from.
    """

    what: str
    step: float
    unit: str
    factor: Interval
    basis: str


def exchange_rates(curve: CurvePosterior, noise: NoiseLevel | None = None) -> list[Exchange]:
    """What 0.1 dB (0.01 SSIM) is worth at the largest n, for the network chosen there.

    Args:
        curve: the curve, inferred from points.
        noise: the runs at the largest n at other levels of noise; none: nothing is said about noise.
    """
    metric, seed = curve.points.metric, curve.seed
    unit = METRICS[metric].unit
    step = STEP[unit]
    n = draw_next_step(curve) / np.exp(curve.last)
    found = [Exchange("n", step, unit, summarise(n), "the curve over n")]
    along = _parameters(curve, step)
    if along is not None:
        found.append(Exchange("p", step, unit, summarise(along[0]), along[1]))
    if noise is not None and len(noise.sigma) > 1:
        found.append(Exchange("sigma", step, unit, summarise(_noise(noise, metric, step, seed)), _levels(noise)))
    return found


def _parameters(curve: CurvePosterior, step: float) -> tuple[Floats, str] | None:
    """The factors of p that bring the step at the largest n, and what they rest on; none where p was not varied."""
    points, last, p = curve.points, curve.largest, curve.p
    if p is None:
        return None
    there = points.rows(points.n == last)
    assert there.p is not None
    sizes = np.unique(there.p)
    if curve.surface is not None:
        places = np.linspace(0.0, np.log(REACH), FACTORS)
        error = np.exp(curve.surface.log_error([last] * FACTORS, (p * np.exp(places)).tolist()))
        gain = METRICS[points.metric].gain(error[:, :1], error)
        return first_n_reaching(places, step - gain), "the surface over n and p"
    if len(sizes) < 2:
        return None
    chosen = float(best_widths(there, there.p, last))
    ends = (sizes[sizes < chosen].max(), chosen) if (sizes < chosen).any() else (chosen, sizes[1])
    low, high = (np.asarray(there.error[there.p == size]) for size in ends)
    reference, metric = np.full(1, low.mean()), METRICS[points.metric]
    slope = _slopes(metric.gain(reference, low), metric.gain(reference, high), curve.seed)
    slope = slope / np.log(ends[1] / ends[0])
    return _factor(step, slope), "a straight line between two measured networks"


def _slopes(low: Floats, high: Floats, seed: int) -> Floats:
    """(DRAWS,) differences of two means over seeds, by Student's t; two seeds at least say how sure they are."""
    difference = float(np.mean(high) - np.mean(low))
    if min(len(low), len(high)) < 2:
        return np.full(DRAWS, difference)
    error = np.sqrt(np.var(low, ddof=1) / len(low) + np.var(high, ddof=1) / len(high))
    spare = len(low) + len(high) - 2
    drawn = np.random.default_rng((seed, 11)).standard_t(spare, size=DRAWS)
    return np.asarray(difference + error * drawn)


def _noise(noise: NoiseLevel, metric: str, step: float, seed: int) -> Floats:
    """Factors of sigma below 1 that bring the step, from the slope towards the next lower level (else the higher)."""
    here = noise.sigma.index(noise.trained)
    other = here - 1 if here > 0 else here + 1
    error = METRICS[metric].to_error(np.array(noise.y, dtype=np.float64))
    gain = METRICS[metric].gain(error[:, here], error[:, other])
    slope = _mean_draws(gain, seed) / np.log(noise.sigma[here] / noise.sigma[other])
    return np.asarray(np.where(slope > 0, np.exp(-step / np.maximum(slope, 1e-12)), 0.0))


def _mean_draws(values: Floats, seed: int) -> Floats:
    """(DRAWS,) of the mean of paired differences over runs, by Student's t."""
    mean = float(values.mean())
    if len(values) < 2:
        return np.full(DRAWS, mean)
    drawn = np.random.default_rng((seed, 12)).standard_t(len(values) - 1, size=DRAWS)
    return np.asarray(mean + np.std(values, ddof=1) / np.sqrt(len(values)) * drawn)


def _factor(step: float, slope: Floats) -> Floats:
    """Factors above 1; infinite where there is no slope or ``REACH`` is not enough."""
    with np.errstate(over="ignore"):
        factor = np.exp(step / np.maximum(slope, 1e-12))
    return np.asarray(np.where((slope > 0) & (factor <= REACH), factor, np.inf))


def _levels(noise: NoiseLevel) -> str:
    here = noise.sigma.index(noise.trained)
    other = here - 1 if here > 0 else here + 1
    return f"the same networks at sigma {noise.trained:g} and {noise.sigma[other]:g}"


def exchange_sentence(found: Sequence[Exchange], unit: str = "images") -> str:
    """The rates in one sentence, as "+0.1 dB = ...".

    Args:
        found: of one curve.
        unit: what n counts.
    """
    if not found:
        return ""
    parts = [_said(item, unit) for item in found]
    return f"+{found[0].step:g} {found[0].unit} = {' = '.join(parts)}."


def _said(item: Exchange, unit: str) -> str:
    factor = item.factor
    if item.what == "sigma":
        less = [100 * (1 - value) for value in (factor.median, factor.high, factor.low)]
        return f"{less[0]:.2g} % less noise ({less[1]:.2g} to {less[2]:.2g} %)"
    noun = unit if item.what == "n" else "parameters"
    if np.isinf(factor.median):
        return f"no number of {noun} up to {REACH:,.0f} times"
    high = "more than 1,000" if np.isinf(factor.high) else f"{factor.high:.3g}"
    return f"{factor.median:.3g} times the {noun} ({factor.low:.3g} to {high})"
