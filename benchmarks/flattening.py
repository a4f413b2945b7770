"""How far curves of reconstruction flatten: the part of a curve that stops, with each data set left out.

    python benchmarks/flattening.py            # a minute or two on one core

Published CT curves, and the repository's own studies, seed by seed. For every share of a curve that stops (``FAR_LAST``
of ``laws/curve/member_weights.py``): the mean absolute error of the median, by data set and metric. The last columns
are the share that is best on all other data sets, by the mean ln of the errors, and its error on the one that was left
out; below are the same means for peers.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curves import Curve, study_curves, tomography
from laws import last_value, named
from reconscale.laws import METRICS
from reconscale.laws.curve.ensemble import Ensemble, fit_ensemble
from reconscale.laws.curve.member_weights import NEAR_LINE, MemberWeights
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.grouping import group_by_size

Floats = NDArray[np.float64]
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
DRAWS = 1000
Key = tuple[str, str]


def weighed(share: float) -> MemberWeights:
    """The shares of members with that of the curves that stop."""
    near = {"curve": 1.0 - NEAR_LINE, "last value": 0.0, "line": NEAR_LINE}
    far = {"curve": (1.0 - share) * near["curve"], "last value": share, "line": (1.0 - share) * NEAR_LINE}
    return MemberWeights(near, far, stops=True)


def errors(curve: Curve) -> Floats:
    """(S,) mean absolute error of the median for each share, in units of the metric."""
    fitted = fit_ensemble(group_by_size(curve.points, MOST_LEVELS), np.random.default_rng(0))
    return np.array([_error(curve, replace(fitted, weights=weighed(share))) for share in SHARES])


def _error(curve: Curve, ensemble: Ensemble) -> float:
    drawn, _ = ensemble.curves(np.log(curve.ahead), DRAWS, np.random.default_rng(1))
    told = METRICS[curve.metric].from_error(np.exp(np.median(drawn, axis=0)))
    return float(np.abs(told - curve.truth).mean())


def data_set(curve: Curve) -> str:
    """What belongs together: CT curves are of one data set, those of a study too."""
    return "CT" if curve.domain == "CT" else curve.group.split("/")[0]


def best_share(means: dict[Key, Floats], without: str = "") -> int:
    """Which share is best on all data sets but one, by the mean ln of the errors."""
    kept = [np.log(row / row[0]) for (name, _), row in means.items() if name != without]
    return int(np.mean(kept, axis=0).argmin())


def main() -> None:
    """Print the table."""
    rows: dict[Key, list[Floats]] = defaultdict(list)
    peers: dict[Key, list[list[float]]] = defaultdict(list)
    for curve in [*tomography(), *study_curves()]:
        key = (data_set(curve), curve.metric)
        rows[key].append(errors(curve))
        told = (named(curve, "power+floor"), last_value(curve))
        peers[key].append([float(np.abs(value - curve.truth).mean()) for value in told])
    means = {key: np.mean(values, axis=0) for key, values in sorted(rows.items())}
    print(
        f"{'data set':24s}{'curves':>7s}" + "".join(f"{share:9.2f}" for share in SHARES) + "   left out: share, error"
    )
    for (name, metric), row in means.items():
        chosen = best_share(means, name)
        cells = "".join(f"{value:9.4f}" for value in row)
        print(f"{name + ' ' + metric:24s}{len(rows[name, metric]):7d}{cells}   {SHARES[chosen]:.2f} {row[chosen]:.4f}")
    print(f"best on all: {SHARES[best_share(means)]:.2f}")
    print("power + floor, last value:")
    for (name, metric), values in sorted(peers.items()):
        print(f"{name + ' ' + metric:24s}" + "".join(f"{value:9.4f}" for value in np.mean(values, axis=0)))


if __name__ == "__main__":
    main()
