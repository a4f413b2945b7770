"""Intervals stretched so that they held on real curves (split conformal; curves are the units)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.findings import Finding, finding
from reconscale.laws.levels import Levels

Floats = NDArray[np.float64]


@cache
def calibration() -> dict[str, Any]:
    """What was learnt, as it is kept beside this module: version, command, curves, scales and their range."""
    text = files("reconscale.laws.posterior").joinpath("calibration.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def stretched(drawn: Floats, x: Floats, level: Levels) -> Floats:
    """Draws (D, N) of ln(error) at x, their distance from the median multiplied by the calibrated factor."""
    middle = np.median(drawn, axis=0)
    return np.asarray(middle + factor(x, level) * (drawn - middle))


def factor(x: Floats, level: Levels) -> Floats:
    """(N,) by how much intervals at x = ln n are stretched: 1 within the data, learnt beyond, by distance."""
    learnt = calibration()["scale"]["dense" if len(level.x) > calibration()["few_levels"] else "few"]
    return np.asarray(np.interp(x - level.x[-1], np.log(learnt["multiple"]), learnt["factor"]))


def features(level: Levels, x: float) -> dict[str, float]:
    """What places a curve among those that the calibration was learnt on."""
    return {
        "sizes": float(len(level.x)),
        "decades": float(np.ptp(level.x) / np.log(10.0)),
        "multiple": float(np.exp(x - level.x[-1])),
        "change": float(np.ptp(level.z)),
    }


def outside(level: Levels, x: float) -> list[Finding]:
    """The finding that a curve, or the distance of its forecast, lies outside what the calibration was learnt on."""
    spans = {
        "sizes": "number of sizes",
        "decades": "range of n in decades",
        "multiple": "multiple of the largest n",
        "change": "change of ln(error)",
    }
    away = []
    for name, value in features(level, x).items():
        low, high = calibration()["range"][name]
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            away.append(f"{spans[name]} {value:.3g} (learnt on {low:.3g} to {high:.3g})")
    return [finding("outside-calibration", what="; ".join(away))] if away else []
