"""Whether forecasts of curves with many sizes are too wide or too narrow, and what else would change it.

    python benchmarks/many_sizes.py            # one to two minutes on one core

Vision and language: the mean log density of single measurements (of the error), and the shares of them inside the
central 50 and 90 %, as things are and with another width of the expected curve (``stretch``), another noise of single
measurements, and other constants of ``laws/curve/ensemble.py``. The last lines are where the width comes from.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from curves import Curve, revisiting
from reconscale.laws.curve.calibration import stretch_factor
from reconscale.laws.curve.ensemble import ALWAYS_WRONG, BEND_TAILS, BENDS, extrapolate_line
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.forecasting import TAILS

Floats = NDArray[np.float64]
DRAWS, MOST = 2000, 40


@dataclass(frozen=True, eq=False)
class Drawn:
    """Draws of one curve's continuation, without its discrepancy.

    Attributes:
        away: (N,) ln n beyond the data.
        centre: (D, N) ln of the expected error.
        noise: (D, N) spread of one measurement.
        factor: (N,) by which the calibration stretches them.
        slope: of the straight line through the last third.
        truth: of each place, ln of the measured errors.
    """

    away: Floats
    centre: Floats
    noise: Floats
    factor: Floats
    slope: float
    truth: list[Floats]


def draw(curve: Curve) -> Drawn:
    """Draw a curve at some of the sizes ahead."""
    sizes = np.unique(curve.ahead)
    sizes = sizes[:: max(1, len(sizes) // MOST)]
    told, x = CurvePosterior.infer(curve.points), np.log(sizes)
    still = replace(told.ensemble, drift=0.0)
    centre, owner = still.curves(x, DRAWS, told.generator(), calibrated=False)
    truth = [np.log(curve.truth[curve.ahead == n]) for n in sizes]
    factor, slope = stretch_factor(x, told.level), extrapolate_line(told.level).mean[1]
    return Drawn(x - told.last, centre, still.curve.noise(x)[owner], factor, slope, truth)


def score(
    drawn: Drawn, stretch: float = 1.0, noise: float = 1.0, always: float = ALWAYS_WRONG, bends: float = BENDS,
    tails: float = BEND_TAILS,
) -> tuple[float, float, float]:  # fmt: skip
    """Mean log density of the measured errors, and the shares of them inside the central 50 and 90 %."""
    rng = np.random.default_rng(0)
    drift = float(np.hypot(always, bends * np.clip(drawn.slope, -2.0, 2.0)))
    centre = drawn.centre + drift * rng.standard_t(tails, (len(drawn.centre), 1)) * drawn.away
    middle = np.median(centre, axis=0)
    centre = middle + stretch * drawn.factor * (centre - middle)
    sd = noise * drawn.noise * np.sqrt((TAILS - 2) / TAILS)
    run, scale = centre + sd * rng.standard_t(TAILS, centre.shape), np.hypot(sd, 0.15 * centre.std(axis=0))
    constant = gammaln((TAILS + 1) / 2) - gammaln(TAILS / 2) - 0.5 * np.log(TAILS * np.pi)
    density, place = [], []
    for i, values in enumerate(drawn.truth):
        z = (values[:, None] - centre[:, i]) / scale[:, i]
        kernel = constant - np.log(scale[:, i]) - 0.5 * (TAILS + 1) * np.log1p(z**2 / TAILS)
        density += (logsumexp(kernel, axis=1) - np.log(kernel.shape[1]) - values).tolist()
        place += (run[:, i] < values[:, None]).mean(axis=1).tolist()
    off = np.abs(np.array(place) - 0.5)
    return float(np.mean(density)), float(np.mean(off < 0.25)), float(np.mean(off < 0.45))


def main() -> None:
    """Print the table."""
    sets: dict[str, list[Drawn]] = {"birds": [], "CIFAR": [], "NMT": [], "LM": [], "BB": []}
    for curve in [*revisiting("revisiting_nsl_vision_birds_cifar.csv"), *revisiting("revisiting_nsl_lang.csv")]:
        vision = "birds" if curve.group.startswith("bird") else "CIFAR"
        sets[curve.domain if curve.domain in sets else vision].append(draw(curve))
    trials = {"as it is": score}
    trials |= {f"stretch {value:g}": partial(score, stretch=value) for value in (0.5, 0.7, 0.85, 1.2)}
    trials |= {f"noise x {value:g}": partial(score, noise=value) for value in (0.7, 1.4, 2.0)}
    trials |= {f"ALWAYS_WRONG {value:g}": partial(score, always=value) for value in (0.001, 0.002, 0.008)}
    trials |= {f"BENDS {value:g}": partial(score, bends=value) for value in (0.08, 0.25)}
    trials |= {f"BEND_TAILS {value:g}": partial(score, tails=value) for value in (2.0, 5.0, 30.0)}
    print(f"{'log density, inside 50, 90 %':30s}" + "".join(f"{f'{k} ({len(v)})':>22s}" for k, v in sets.items()))
    for name, trial in trials.items():
        rows = {key: np.mean([trial(item) for item in drawn], axis=0) for key, drawn in sets.items()}
        cells = (f"{ld:12.3f} {100 * half:4.0f} {100 * most:4.0f}" for ld, half, most in rows.values())
        print(f"{name:30s}" + "".join(cells), flush=True)
    print("at the farthest size: spread of the curve, of its discrepancy, of one measurement, mean error of the median")
    for key, drawn in sets.items():
        rows = [
            (item.centre[:, -1].std(), np.hypot(ALWAYS_WRONG, BENDS * item.slope) * item.away[-1],
             np.sqrt((item.noise[:, -1] ** 2).mean()), abs(np.median(item.centre[:, -1]) - item.truth[-1].mean()))
            for item in drawn
        ]  # fmt: skip
        print(f"{key:30s}" + "".join(f"{value:9.4f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
