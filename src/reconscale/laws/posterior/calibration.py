"""Intervals stretched so that they held on real curves: split conformal, with curves as the units.

Curves are told apart by what they say themselves (Mondrian): few sizes or many, with or without replicates, whether
their change stands out clearly from the noise between replicates, and by how much the last size surprised the forecast
from those before. The factors are learnt by
``python benchmarks/calibrate.py`` on development curves and frozen in ``calibration.json`` beside this module.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.findings import Finding, finding
from reconscale.laws.levels import Levels
from reconscale.laws.posterior.discrepancy import FEW

Floats = NDArray[np.float64]

CLEAR = 40.0
"""A curve is clear when its ln(error) changes by more than so many standard deviations of one run, else faint."""
SURPRISES = (0.5, 1.0)
"""Bounds between curves whose last size came as foreseen, somewhat as foreseen, and not."""


@cache
def calibration() -> dict[str, Any]:
    """What was learnt: version, command, curves, factors by group and multiple of the largest n, range of features."""
    text = files("reconscale.laws.posterior").joinpath("calibration.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def group_of(level: Levels, surprise: float) -> str:
    """Which group of curves a curve belongs to; ``surprise`` is NaN where nothing was held back."""
    if len(level.x) > FEW:
        return "many"
    kind = "single"
    if level.replicated:
        kind = "clear" if np.ptp(level.z) > CLEAR * np.sqrt(np.mean(level.sd**2)) else "faint"
    return kind if np.isnan(surprise) else f"{kind} {int(np.searchsorted(SURPRISES, surprise))}"


def stretched(drawn: Floats, x: Floats, level: Levels, surprise: float) -> Floats:
    """Draws (D, N) of ln(error) at x = ln n, their distance from the median multiplied by what was learnt.

    The factor is 1 within the data and beyond them a function of the multiple of the largest n.
    """
    learnt = calibration()["factor"].get(group_of(level, surprise), {"multiple": [1.0], "by": [1.0]})
    factor = np.interp(x - level.x[-1], np.log(learnt["multiple"]), learnt["by"])
    middle = np.median(drawn, axis=0)
    return np.asarray(middle + factor * (drawn - middle))


def features(level: Levels, x: float) -> dict[str, float]:
    """What places a curve, and a forecast at x = ln n, among those that the calibration was learnt on."""
    return {
        "number of sizes": float(len(level.x)),
        "range of n in decades": float(np.ptp(level.x) / np.log(10.0)),
        "multiple of the largest n": float(np.exp(x - level.x[-1])),
        "change of ln(error)": float(np.ptp(level.z)),
    }


def outside(level: Levels, x: float) -> list[Finding]:
    """The finding that a curve, or the distance of its forecast, lies outside what the calibration was learnt on."""
    away = []
    for name, value in features(level, x).items():
        low, high = calibration()["range"][name]
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            away.append(f"{name} {value:.3g} (learnt on {low:.3g} to {high:.3g})")
    return [finding("outside-calibration", what="; ".join(away))] if away else []
