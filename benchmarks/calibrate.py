"""Learn by how much intervals must be stretched to hold on real curves, and freeze it beside the engine.

    python benchmarks/calibrate.py            # a few minutes on two cores; writes laws/curve/calibration.json

It also says how often the intervals of each source hold with factors that were learnt without it.

Learnt on the tuning half (by data set) of the even OpenML ids of LCDB, as means and as raw seeds, on published CT
curves, on the repository's own studies (seed by seed, and with their replicates) and on simulated studies. Split
conformal: in each group, and where there are enough curves at each multiple of the largest n, the factor by which the
90 % interval must be stretched to hold 90 % of the curves. Every kind of source counts the same, however many curves it
has, but for those with a handful of them, which are left out. Studies with runs that had not converged are left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reconscale.laws.curve
from curves import Curve, halves, is_trained_out, lcdb, lcdb_seeds, study_curves, study_replicates, tomography
from reconscale.laws.curve.calibration import REPLICATED, SINGLE, domain_of, features
from reconscale.laws.curve.ensemble import fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.grouping import group_by_size
from simulated import designs, studies

Floats = NDArray[np.float64]
LEVEL, DRAWS = 0.9, 1000
STUDIES, SEED = 100, 1000
MULTIPLES = (2.0, 4.0, 8.0, 16.0)
LEAST = 40
"""With fewer curves at a multiple the factor is that of the nearest one that has as many."""
FULL = 10
"""A kind of source with fewer curves at a multiple is left out there: four curves do not outvote hundreds."""
ALIKE = [3, 8]
BOUNDS = (1.0, 3.0)
"""No factor outside is believed: what held too often on some curves is no reason to promise more on others."""


@dataclass(frozen=True)
class Needed:
    """What one curve needs at one distance.

    Attributes:
        group: of the calibration.
        source: where the curve comes from.
        multiple: of the largest n, the nearest of :data:`MULTIPLES`.
        factor: by which the 90 % interval of the expected curve must be stretched to reach the measured value.
        features: what places the curve.
    """

    group: str
    source: str
    multiple: float
    factor: float
    features: dict[str, float]


def needed(curve: Curve) -> list[Needed]:
    """What a curve needs at each size ahead."""
    level = group_by_size(curve.points, MOST_LEVELS)
    rng = np.random.default_rng(0)
    made = fit_ensemble(level, rng)
    sizes = np.unique(curve.ahead)
    x = np.log(sizes)
    drawn, owner = made.curves(x, DRAWS, rng, calibrated=False)
    noise = made.curve.noise(x)[owner]
    truth = np.array([curve.logs(curve.truth[curve.ahead == n]).mean() for n in sizes])
    middle = np.median(drawn, axis=0)
    reach = np.array(
        [np.quantile(drawn[:, i], 0.5 + 0.5 * LEVEL * np.sign(truth[i] - middle[i])) for i in range(len(x))]
    )
    runs = np.array([np.sum(curve.ahead == n) for n in sizes])
    beside = 0.0 if curve.domain == "LCDB" else 1.645 * np.sqrt((noise**2).mean(0) / runs)
    factor = np.sqrt(np.maximum((truth - middle) ** 2 - beside**2, 0.0)) / np.maximum(np.abs(reach - middle), 1e-9)
    group = f"{domain_of(curve.metric)} {REPLICATED if level.replicated else SINGLE}"
    near = [min(MULTIPLES, key=lambda m: abs(np.log(m * curve.n.max() / n))) for n in sizes]
    source = curve.domain.split()[0] + (" " + curve.group if curve.domain == "studies" else "")
    found = features(level, float(x[-1]))
    return [Needed(group, source, m, float(f), found) for m, f in zip(near, factor, strict=True)]


def simulated() -> list[Curve]:
    """Simulated studies as curves; the sizes ahead are measured once, with noise."""
    made = []
    for index, study in enumerate([*studies(STUDIES, SEED), *designs(2 * STUDIES, SEED)]):
        points = study.points
        ahead = points.n.max() * np.array([2.0, 10.0])
        noise = study.noise * np.random.default_rng([SEED, index]).standard_normal(2)
        truth = -10.0 * np.log10(study.truth(ahead) * np.exp(noise))
        seen = (points.n, points.y, points.seed)
        made.append(Curve("simulated", study.kind, str(index), *seen, ahead, truth, np.zeros(2), "psnr"))
    return made


def learn(found: Sequence[Needed]) -> dict[str, dict[str, object]]:
    """The factors of each group."""
    groups: dict[str, list[Needed]] = defaultdict(list)
    for item in found:
        groups[item.group].append(item)
    learnt: dict[str, dict[str, object]] = {}
    for group, items in sorted(groups.items()):
        by = {m: [item for item in items if item.multiple == m] for m in MULTIPLES}
        many = [m for m in MULTIPLES if len(by[m]) >= LEAST]
        nearest = [min(many, key=lambda other: abs(np.log(other / m)), default=None) for m in MULTIPLES]
        factors = [conformal(by[m] if m else items) for m in nearest]
        learnt[group] = {"multiple": [1.0, *MULTIPLES], "by": [1.0, *factors], "curves": len(items)}
    return learnt


def conformal(items: Sequence[Needed]) -> float:
    """The quantile that holds ``LEVEL`` of new curves, each kind of source with the same weight, within ``BOUNDS``."""
    named = [item.source.split()[0] for item in items]
    kept = {kind for kind in named if named.count(kind) >= FULL} or set(named)
    factor = np.array([item.factor for item, kind in zip(items, named, strict=True) if kind in kept])
    weight = np.array([1.0 / named.count(kind) for kind in named if kind in kept])
    order = np.argsort(factor)
    place = (np.cumsum(weight[order]) - 0.5 * weight[order]) / weight.sum()
    level = min(1.0, LEVEL * (1.0 + 1.0 / len(items)))
    return float(np.round(np.clip(np.interp(level, place, factor[order]), *BOUNDS), 3))


def held(found: Sequence[Needed], source: str) -> float:
    """The part of the intervals of one source that hold with factors that were learnt without it."""
    learnt = learn([item for item in found if item.source.split()[0] != source])
    mine = [item for item in found if item.source.split()[0] == source and item.group in learnt]
    inside = [item.factor <= learnt[item.group]["by"][1 + MULTIPLES.index(item.multiple)] for item in mine]  # type: ignore[index]
    return float(np.mean(inside)) if inside else float("nan")


def main() -> None:
    own = [curve for curve in (*study_curves(), *study_replicates()) if is_trained_out(curve.group)]
    curves = [*halves(lcdb(False))[0][::2], *halves(lcdb_seeds())[0], *tomography(), *own, *simulated()]
    with ProcessPoolExecutor(2) as pool:
        found = [item for items in pool.map(needed, curves, chunksize=20) for item in items]
    learnt = learn(found)
    for group, entry in learnt.items():
        print(group, entry)
    for source in sorted({item.source.split()[0] for item in found}):
        print(f"{source}: {100 * held(found, source):.0f} % hold with factors learnt without it")
    names = found[0].features
    span = {
        name: [min(item.features[name] for item in found), max(item.features[name] for item in found)] for name in names
    }
    record = {
        "version": 4,
        "command": "python benchmarks/calibrate.py",
        "curves": len(curves),
        "level": LEVEL,
        "factor": learnt,
        "range": {name: [float(f"{low:.3g}"), float(f"{high:.3g}")] for name, (low, high) in span.items()},
    }
    record["range"]["multiple of the largest n"][0] = 0.0  # type: ignore[index]
    record["range"]["number of sizes"] = ALIKE  # type: ignore[index]
    place = Path(reconscale.laws.curve.__path__[0]) / "calibration.json"
    place.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    print("wrote", place)


if __name__ == "__main__":
    main()
