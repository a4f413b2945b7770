"""What doubling n adds, read from the curve over n, from the surface over n and p, and from both averaged.

    python benchmarks/gains.py [worlds]

Simulated worlds of two kinds, three widths each. *Inside*: error = E + A n^-c + B p^-e, half of them plain, a quarter
with a break, a quarter overfitting. *Outside*, where no surface of ours is right: an exponent of n that depends on p, a
power of a logarithm, a sharp break near the largest n, and runs with heavy tails. Each is measured on a full grid (six
n, three seeds) and on a small one (three n, one seed). The truth is that of the network selected at the largest n; 0.1
dB is worthwhile, and "right" counts chances of at least 80 % and at most 20 % that agree with it.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import METRICS, Curve, Points, infer
from reconscale.laws.curve_posterior import DRAWS
from reconscale.laws.decisions.intervals import LIKELY, UNLIKELY

Floats = NDArray[np.float64]

WIDTHS, LARGEST, DECIBEL = (16, 32, 64), 1000.0, 10 / np.log(10)
GRIDS = {"6 n, 3 seeds": ((10, 25, 63, 158, 398, 1000), 3), "3 n, 1 seed": ((63, 250, 1000), 1)}
FACTORS, WORTHWHILE = (2.0, 10.0), 0.1
READINGS = ("curve", "surface", "both")


def parameters(width: float) -> float:
    return 60.0 * width**2


@dataclass(frozen=True)
class World:
    """ln(error) over n and p: see the top."""

    index: int
    inside: bool

    def log_error(self, n: Floats | float, p: float) -> Floats:
        """The truth at n, for one p."""
        rng = np.random.default_rng([99, self.index])
        c, e = np.exp(rng.uniform(np.log(0.03), np.log(0.5), 2))
        floor = 0.0 if rng.random() < 0.3 else rng.uniform(0.05, 0.6)
        data = rng.uniform(0.15, 0.85)
        after, place = c * np.exp(rng.uniform(-np.log(3), np.log(3))), rng.uniform(-3, 0)
        overfitting, level = np.exp(rng.uniform(np.log(0.03), np.log(0.4))), 10 ** rng.uniform(-4, -2)
        origin, tilt = rng.uniform(1, 4), rng.uniform(-0.25, 0.25)
        u, q, extra = np.log(np.asarray(n, dtype=float) / LARGEST), p / parameters(32), 0.0
        falling = np.exp(-c * u)
        if self.inside:
            kind = ("plain", "break", "overfitting", "plain")[self.index % 4]
            falling = broken(u, c, after, place, 0.3) if kind == "break" else falling
            extra = overfitting * np.sqrt(q / np.exp(u)) if kind == "overfitting" else 0.0
        else:
            kind = ("tilted", "logarithm", "break")[self.index % 3]
            if kind == "tilted":
                falling = np.exp(-c * np.clip(1 + tilt * np.log(q), 0.2, 3) * u)
            elif kind == "logarithm":
                falling = np.maximum(1 + u / (8.4 - origin), 0.05) ** (-6 * c)
            else:
                falling = broken(u, c, after, -0.4, 0.15)
        return np.asarray(np.log(level * (floor + (1 - floor) * (data * falling + (1 - data) * q**-e) + extra)))

    def measured(self, sizes: Sequence[int], seeds: int) -> Points:
        """A study of this world, in PSNR."""
        rng = np.random.default_rng([7, self.index, self.inside])
        spread = rng.uniform(0.01, 0.03)
        n, width, seed = (each.ravel() for each in np.meshgrid(sizes, WIDTHS, range(seeds), indexing="ij"))
        luck = rng.standard_normal(len(n)) if self.inside else rng.standard_t(4, len(n)) / np.sqrt(2)
        z = [float(self.log_error(a, parameters(b))) for a, b in zip(n, width, strict=True)]
        z = np.array(z) + spread * (n / LARGEST) ** -0.2 * luck
        validation = z + 0.003 * rng.standard_normal(len(n))
        return Points(
            n, -DECIBEL * z, seed, parameters(width), "psnr", width=width, validation=-DECIBEL * validation
        )  # fmt: skip


def broken(u: Floats, before: float, after: float, place: float, width: float) -> Floats:
    bend = np.logaddexp(0, (u - place) / width) - np.logaddexp(0, -place / width)
    return np.exp(-before * u - (after - before) * width * bend)


def readings(curve: Curve) -> dict[str, list[Floats]]:
    """Reading -> draws of the gain of each factor, in dB."""
    n = LARGEST * np.array([1.0, *FACTORS])
    assert curve.surface is not None and curve.p is not None
    alone, _ = curve.ensemble.curves(np.log(n), DRAWS, np.random.default_rng(curve.curve_seed))
    drawn = {
        "curve": alone,
        "surface": curve.surface.log_error(n, np.full(len(n), curve.p)),
        "both": curve.draw(np.log(n)),
    }
    gain = METRICS["psnr"].gain
    return {
        name: [gain(np.exp(z[:, 0]), np.exp(z[:, k + 1])) for k in range(len(FACTORS))] for name, z in drawn.items()
    }


def judge(task: tuple[World, str]) -> dict[tuple[str, float], tuple[float, ...]]:
    """(reading, factor) -> error of the median, inside, width, right, wrong."""
    world, grid = task
    curve = infer(world.measured(*GRIDS[grid]))
    assert curve.p is not None
    before = float(world.log_error(LARGEST, curve.p))
    judged = {}
    for name, gains in readings(curve).items():
        for factor, gain in zip(FACTORS, gains, strict=True):
            true = DECIBEL * (before - float(world.log_error(factor * LARGEST, curve.p)))
            low, median, high = np.quantile(gain, [0.05, 0.5, 0.95])
            chance = float((gain > WORTHWHILE).mean())
            said = None if UNLIKELY < chance < LIKELY else chance >= LIKELY
            right, wrong = said == (true > WORTHWHILE), said is not None and said != (true > WORTHWHILE)
            judged[name, factor] = (median - true, low <= true <= high, high - low, right, wrong)
    return judged


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print("kind     grid          reading  factor  right %  wrong %  error rms  mean dB  inside %  width dB")
    with ProcessPoolExecutor(2, mp_context=get_context("forkserver")) as pool:
        for inside in (True, False):
            for grid in GRIDS:
                found = list(pool.map(judge, [(World(index, inside), grid) for index in range(count)]))
                for name in READINGS:
                    for factor in FACTORS:
                        each = np.array([judged[name, factor] for judged in found], float)
                        error, held, width, right, wrong = each.T
                        print(
                            f"{'inside' if inside else 'outside':8} {grid:13} {name:8} {factor:6g} "
                            f"{100 * right.mean():8.0f} {100 * wrong.mean():8.0f} {np.sqrt((error**2).mean()):10.3f} "
                            f"{error.mean():+8.3f} {100 * held.mean():9.0f} {np.median(width):9.2f}", flush=True,
                        )  # fmt: skip


if __name__ == "__main__":
    main()
