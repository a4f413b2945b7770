"""Simulated studies whose truth is known: for reliability of verdicts, value of designs, coverage of intervals.

The population is broad on purpose, and is not the prior that the forecasts are made with. Per study: the smallest n is
10 to 1000, sizes are 2 to 4 times apart, the exponent has median 0.35 and log spread 0.6 (0.13 to 0.94 for 90 %), the
floor's share of the error at the largest n is uniform from 0.05 to 0.95. Kinds take turns:

- ``power``: no floor, no break.
- ``floor``: a power law and a floor.
- ``break``: the exponent changes by a factor 0.3 to 3 within the sizes, within 0.1 to 1 of ln n; half have a floor.
- ``break ahead``: the same, 1 to 10 times beyond the largest size: nothing in the data shows it.
- ``slow``: a power of a logarithm, ever slower; no form of the family has it.

:func:`designs` draws studies of other shapes too: 3 to 8 sizes, 1 to 5 seeds, exponents from 0.01 to 1 (image
reconstruction has 0.03), noise of 0.4 to 4 %, constant or falling with n.

``python benchmarks/simulated.py`` prints what the population looks like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.laws import Points

Floats = NDArray[np.float64]

KINDS = ("power", "floor", "break", "break ahead", "slow")
SIZES, SEEDS, NOISE = 5, 3, 0.02


@dataclass(frozen=True)
class Truth:
    """One curve: error = level * (share + (1 - share) h), with u = ln(n / largest) and
    ln h = -c u - (c_after - c) f (softplus((u - d) / f) - softplus(-d / f)).

    For ``slow`` it is level * (ln(n / origin) / ln(largest / origin))^-c instead.

    Attributes:
        kind: one of :data:`KINDS`.
        largest: n at which ``share`` holds and u = ln(n / largest) is 0.
        level: error there.
        share: the floor's part of it.
        exponent, after: c before and after the break; equal without one.
        place, width: d and f, in ln n.
        origin: of the logarithm; for ``slow`` only.
    """

    kind: str
    largest: float
    level: float
    share: float
    exponent: float
    after: float
    place: float
    width: float
    origin: float

    def log_error(self, n: ArrayLike) -> Floats:
        """(N,) ln of the expected error at n."""
        u = np.log(np.asarray(n, dtype=np.float64) / self.largest)
        if self.kind == "slow":
            reach = np.log(self.largest / self.origin)
            return np.asarray(np.log(self.level) - self.exponent * reach * np.log1p(np.maximum(u / reach, -0.999)))
        bend = np.logaddexp(0.0, (u - self.place) / self.width) - np.logaddexp(0.0, -self.place / self.width)
        falling = np.exp(-self.exponent * u - (self.after - self.exponent) * self.width * bend)
        return np.asarray(np.log(self.level) + np.log(self.share + (1.0 - self.share) * falling))

    def measured(self, n: ArrayLike, rng: np.random.Generator, *, seeds: int = SEEDS, noise: float = NOISE) -> Points:
        """A study of this truth: ``seeds`` runs at each n, with log-normal noise, in PSNR."""
        sizes = np.repeat(np.asarray(n, dtype=np.float64), seeds)
        log_error = self.log_error(sizes) + noise * rng.standard_normal(len(sizes))
        labels = np.tile(np.arange(seeds), len(sizes) // seeds)
        return Points(sizes, -10.0 / np.log(10.0) * log_error, labels, metric="psnr", unit="images")


@dataclass(frozen=True, eq=False)
class Simulated:
    """One study and what is true.

    Attributes:
        kind: one of :data:`KINDS`.
        points: what was measured, in PSNR.
        law: the truth.
        noise: standard deviation of ln(error) of one run.
    """

    kind: str
    points: Points
    law: Truth
    noise: float

    @property
    def truth(self) -> Callable[[ArrayLike], Floats]:
        """From n (N,) to the expected error (N,): exp of the mean of ln(error) over seeds."""
        return lambda n: np.exp(self.law.log_error(n))

    def gain(self, factor: float) -> float:
        """What ``factor`` times the largest n truly adds, in dB."""
        last = float(self.points.n.max())
        before, after = self.law.log_error([last, factor * last])
        return float(10.0 / np.log(10.0) * (before - after))


def studies(
    count: int, seed: int = 0, *, sizes: int = SIZES, seeds: int = SEEDS, noise: float = NOISE
) -> list[Simulated]:
    """``count`` studies; the first ones are the same whatever ``count`` is.

    Args:
        count: how many.
        seed: the same seed gives the same bits.
        sizes: training sizes of a study.
        seeds: runs at each.
        noise: standard deviation of ln(error) between seeds.
    """
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        n = np.round(10.0 ** rng.uniform(1.0, 3.0) * rng.uniform(2.0, 4.0) ** np.arange(sizes))
        law = truth(KINDS[index % len(KINDS)], n, rng)
        made.append(Simulated(law.kind, law.measured(n, rng, seeds=seeds, noise=noise), law, noise))
    return made


def designs(count: int, seed: int = 0) -> list[Simulated]:
    """``count`` studies of many shapes; the first ones are the same whatever ``count`` is."""
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, index, 1])
        sizes, seeds = int(rng.integers(3, 9)), int(rng.integers(1, 6))
        n = np.round(10.0 ** rng.uniform(1.0, 3.0) * rng.uniform(2.0, 5.0) ** np.arange(sizes))
        law = truth(KINDS[index % len(KINDS)], n, rng)
        exponent = 10.0 ** rng.uniform(-2.0, 0.0)
        law = replace(law, exponent=exponent, after=exponent * law.after / law.exponent)
        noise, falls = 10.0 ** rng.uniform(-2.4, -1.4), rng.choice([0.0, 0.2, 0.4])
        every = np.repeat(n, seeds)
        spread = noise * (every / n[-1]) ** -falls
        log_error = law.log_error(every) + spread * rng.standard_normal(len(every))
        labels = np.tile(np.arange(seeds), sizes) if seeds > 1 else None
        points = Points(every, -10.0 / np.log(10.0) * log_error, labels, metric="psnr", unit="images")
        made.append(Simulated(law.kind, points, law, float(noise)))
    return made


def truth(kind: str, n: Floats, rng: np.random.Generator) -> Truth:
    """One truth of the population, for a study at sizes n (K,)."""
    first, last = float(n[0]), float(n[-1])
    exponent = 0.35 * np.exp(0.6 * rng.standard_normal())
    floored = kind == "floor" or (kind.startswith("break") and rng.random() < 0.5)
    share = rng.uniform(0.05, 0.95) if floored else 0.0
    change = np.exp(rng.uniform(-np.log(3.0), np.log(3.0)))
    across = np.log(last / first)
    place = rng.uniform(0.0, np.log(10.0)) if kind == "break ahead" else rng.uniform(-across, 0.0)
    width, level = rng.uniform(0.1, 1.0), 10.0 ** rng.uniform(-4.0, -2.0)
    after = exponent * change if kind.startswith("break") else exponent
    origin = first * np.exp(-rng.uniform(0.5, 5.0))
    return Truth(kind, last, level, share, exponent, after, place, width, origin)


def main() -> None:
    """Print the population."""
    known = studies(1000)
    print("true gain in dB of twice and of ten times the largest n: 10, 50 and 90 % of the studies")
    for kind in KINDS:
        chosen = [study for study in known if study.kind == kind]
        parts = [np.quantile([study.gain(factor) for study in chosen], [0.1, 0.5, 0.9]) for factor in (2.0, 10.0)]
        print(f"{kind:12s}", *(" ".join(f"{value:6.2f}" for value in part) for part in parts), sep="   ")


if __name__ == "__main__":
    main()
