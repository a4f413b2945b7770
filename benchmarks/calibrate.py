"""Learn by how much intervals must be stretched to hold on real curves, and freeze it beside the engine.

    python benchmarks/calibrate.py        # a few minutes on two cores; writes laws/posterior/calibration.json

Learnt on the tuning half (by data set) of the even OpenML ids of LCDB, with and without replicates, and on simulated
studies; the other half, and the vision and language curves, are for reporting. Split conformal: in each group and at
each multiple of the largest n, the factor by which the 90 % interval must be stretched to hold 90 % of the curves,
with the finite-sample correction (1 + 1 / curves).
"""

from __future__ import annotations

import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reconscale.laws.curve
from curves import Curve, halves, lcdb
from reconscale.laws import Points
from reconscale.laws.curve.ensemble import calibration_group, features, fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.grouping import group_by_size
from simulated import studies

Floats = NDArray[np.float64]
LEVEL, DRAWS, LEAST = 0.9, 2000, 40
STUDIES, SEED = 1000, 1000
MULTIPLES = (2.0, 4.0, 8.0, 16.0)
ALIKE = [4, 7]
BOUNDS = (0.6, 4.0)
"""No factor outside is believed."""


def needed(curve: Curve) -> tuple[str, dict[float, float], dict[str, float]]:
    """Group, the factor that the 90 % interval needs at each multiple, and the features of one curve."""
    points = Points(curve.n, curve.y, curve.seed)
    level = group_by_size(points, MOST_LEVELS)
    rng = np.random.default_rng(0)
    made = fit_ensemble(level, rng)
    x = np.log(curve.ahead)
    drawn, owner = made.curves(x, DRAWS, rng, calibrated=False)
    noise = made.curve.noise(x)[owner]
    middle = np.median(drawn, axis=0)
    truth = np.log(curve.truth)
    tail = np.where(truth > middle, 0.5 + 0.5 * LEVEL, 0.5 - 0.5 * LEVEL)
    reach = np.array([np.quantile(drawn[:, i], tail[i]) for i in range(len(x))]) - middle
    beside = 1.645 * np.sqrt((noise**2).mean(0)) if curve.domain != "LCDB" else np.zeros(len(x))
    factor = np.sqrt(np.maximum((truth - middle) ** 2 - beside**2, 0.0)) / np.maximum(np.abs(reach), 1e-9)
    multiple = np.round(curve.ahead / curve.n.max(), 3)
    return (
        calibration_group(level, made.curve.surprise),
        dict(zip(multiple.tolist(), factor.tolist(), strict=True)),
        features(level, float(x[-1])),
    )


def simulated() -> list[Curve]:
    """Simulated studies as curves; the sizes ahead are measured once, with noise."""
    made = []
    for index, study in enumerate(studies(STUDIES, SEED)):
        points = study.points
        ahead = points.n.max() * np.array(MULTIPLES)
        rng = np.random.default_rng([SEED, index])
        truth = study.truth(ahead) * np.exp(study.noise * rng.standard_normal(len(ahead)))
        seen = (points.n, points.error, points.seed)
        made.append(Curve("SIM", study.kind, str(index), *seen, ahead, truth, np.zeros(len(ahead))))
    return made


def main() -> None:
    curves = [*halves(lcdb(True))[0], *halves(lcdb(False))[0], *simulated()]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(needed, curves, chunksize=20))
    factors: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for group, by, _ in found:
        for multiple, value in by.items():
            factors[group][multiple].append(value)
            if " " in group:
                factors[group.split()[0]][multiple].append(value)
    learnt = {}
    for group, by in sorted(factors.items()):
        kept = {m: values for m, values in sorted(by.items()) if m in MULTIPLES and len(values) >= LEAST}
        learnt[group] = {
            "multiple": [1.0, *kept],
            "by": [1.0, *(conformal(values) for values in kept.values())],
            "curves": max(map(len, kept.values())),
        }
        print(group, {m: (round(conformal(v), 2), len(v)) for m, v in kept.items()})
    names = found[0][2]
    span = {name: [min(f[name] for *_, f in found), max(f[name] for *_, f in found)] for name in names}
    record = {
        "version": 1,
        "command": "python benchmarks/calibrate.py",
        "curves": len(found),
        "level": LEVEL,
        "factor": learnt,
        "range": {name: [float(f"{low:.3g}"), float(f"{high:.3g}")] for name, (low, high) in span.items()},
    }
    record["range"]["multiple of the largest n"][0] = 0.0
    record["range"]["number of sizes"] = ALIKE  # learnt on five sizes; one less and two more are taken to be alike
    place = Path(reconscale.laws.curve.__path__[0]) / "calibration.json"
    place.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    print("wrote", place)


def conformal(values: list[float]) -> float:
    """The quantile that holds ``LEVEL`` of new curves, within :data:`BOUNDS`."""
    share = min(1.0, np.ceil((len(values) + 1) * LEVEL) / len(values))
    return float(np.round(np.clip(np.quantile(values, share, method="higher"), *BOUNDS), 3))


if __name__ == "__main__":
    main()
