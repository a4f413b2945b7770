"""Cautions about a decision, beside those about its points."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from reconscale.laws.decisions.ahead import Ahead
from reconscale.laws.findings import Finding, finding

APART = 0.023
"""Naive forecasts that differ by more ln(error) than this (0.1 dB) are said to disagree."""
RARE = 0.01
"""A scatter that seeds would show less often than this is not due to seeds."""
PARAMETERS = 3
"""What the curve takes from the points: level, slope, and a bend or a floor."""


def cautions(told: Ahead) -> tuple[Finding, ...]:
    """That the points scatter more than seeds explain, and that laws disagree at twice the largest n."""
    found = _misfit(told)
    twice = told.last + float(np.log(2.0))
    apart = told.made.apart(twice)
    if apart > APART:
        found.append(finding("laws-disagree", n=float(np.exp(twice)), spread=10.0 / np.log(10.0) * apart))
    return tuple(found)


def _misfit(told: Ahead) -> list[Finding]:
    """By the curve that comes closest to the points, in a chi-square test at 1 %."""
    level, spare = told.level, len(told.level.x) - PARAMETERS
    if spare < 1 or not level.replicated:
        return []
    weight = 1.0 / level.variance
    residual = level.z - told.made.curve.shapes.log_shape(level.x - level.x[-1])
    residual = residual - (residual @ weight / weight.sum())[:, None]
    square = residual**2 @ weight
    if float(chdtrc(spare, square.min())) > RARE:
        return []
    scatter = float(np.sqrt((residual[square.argmin()] ** 2).mean()))
    seeds = float(np.sqrt(level.variance.mean()))
    return [finding("misfit", law="every curve", residual=100 * scatter, seed=100 * seeds)]
