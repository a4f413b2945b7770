"""By how much intervals are stretched so that they hold, learnt on real and simulated curves (split conformal).

Curves are exchangeable at best with their like, so there are groups: image reconstruction, where curves flatten
quietly, and any other error, where learners may change their ways at some n; each with and without replicates. Between
the groups with and without replicates the factor moves gradually with the degrees of freedom, and it fades to 1 where a
curve has many sizes: one more run or one more size never changes an interval by a jump.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.findings import Finding, finding
from reconscale.laws.grouping import SizeMeans
from reconscale.laws.metrics import METRICS

IMAGES = ("ssim", "nmse", "nrmse", "lpips")
"""Metrics of image reconstruction, beside those in dB."""
RECONSTRUCTION, OTHER = "reconstruction", "other"
SINGLE, REPLICATED = "single", "replicated"
HALF_KNOWN = 4.0
"""At this number of degrees of freedom a curve counts half as one with replicates."""
FADES = (7.0, 12.0)
"""Up to the first many sizes the factor is the one learnt; from the second on it is 1."""


@cache
def calibration() -> dict[str, Any]:
    """What was learnt: version, command, curves, factors by group and multiple of the largest n, range of features."""
    text = files("reconscale.laws.curve").joinpath("calibration.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)
    return value


def domain_of(metric: str) -> str:
    """``reconstruction`` for a metric of images, ``other`` for an error of any kind."""
    return RECONSTRUCTION if METRICS[metric].unit == "dB" or metric in IMAGES else OTHER


def known_share(level: SizeMeans) -> float:
    """How far replicates say what the noise is: 0 without any, 1 with many."""
    return level.seed_dof / (level.seed_dof + HALF_KNOWN)


def stretch_factor(x: Floats, level: SizeMeans) -> Floats:
    """(N,) factor at x = ln n (N,); 1 within the data."""
    known = known_share(level)
    logs = np.zeros(len(x))
    for kind, share in ((SINGLE, 1.0 - known), (REPLICATED, known)):
        learnt = calibration()["factor"][f"{domain_of(level.metric)} {kind}"]
        logs += share * np.interp(x - level.x[-1], np.log(learnt["multiple"]), np.log(learnt["by"]))
    return np.exp(logs * np.interp(len(level.x), FADES, (1.0, 0.0)))


def conformal_stretch(drawn: Floats, x: Floats, level: SizeMeans) -> Floats:
    """Draws (D, N) of ln(error) at x = ln n, their distance from the median multiplied by what was learnt."""
    middle = np.median(drawn, axis=0)
    return np.asarray(middle + stretch_factor(x, level) * (drawn - middle))


def features(level: SizeMeans, x: float) -> dict[str, float]:
    """What places a curve, and a forecast at x = ln n, among those that the calibration was learnt on."""
    return {
        "number of sizes": float(len(level.x)),
        "range of n in decades": float(np.ptp(level.x) / np.log(10.0)),
        "multiple of the largest n": float(np.exp(x - level.x[-1])),
        "change of ln(error)": float(np.ptp(level.z)),
    }


def out_of_calibration(level: SizeMeans, x: float) -> list[Finding]:
    """The finding that a curve, or the distance of its forecast, lies outside what the calibration was learnt on."""
    away = []
    for name, value in features(level, x).items():
        low, high = calibration()["range"][name]
        if not low * (1 - 1e-9) <= value <= high * (1 + 1e-9):
            away.append(f"{name} {value:.3g} (learnt on {low:.3g} to {high:.3g})")
    return [finding("outside-calibration", what="; ".join(away))] if away else []
