"""Cautions about a decision, beside those about its points."""

from __future__ import annotations

import numpy as np

from reconscale.laws.decisions.ahead import Ahead
from reconscale.laws.findings import Finding, finding
from reconscale.laws.points import Points

APART = 0.023
"""Naive forecasts that differ by more ln(error) than this (0.1 dB) are said to disagree."""
SCATTER = 3.0
"""The points scatter more than seeds explain from this ratio of the standard deviations on."""


def cautions(points: Points, told: Ahead) -> tuple[Finding, ...]:
    """That the laws disagree at twice the largest n, and that the points scatter more than seeds explain."""
    found = []
    twice = told.last + float(np.log(2.0))
    apart = told.made.apart(twice)
    if apart > APART:
        found.append(finding("laws-disagree", n=float(np.exp(twice)), spread=10.0 / np.log(10.0) * apart))
    return tuple(found)
