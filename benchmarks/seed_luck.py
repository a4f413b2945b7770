"""Luck of seeds at a width: what is said of doubling p where nothing helps, and where a larger network does.

Used by ``python benchmarks/verdicts.py null``. Sizes n are 10 to 1,000, widths 8, 16 and 32, p = 455 width^2.

- *Null*: neither n nor p has an effect. A seed at a width is lucky or not at all n alike (a normal effect, 0.5 to
  2 dB); runs scatter by 0.05 dB about that.
- *Gains*: MSE = E + A n^-a + B p^-b, exponents uniform from 0.2 to 0.5, amplitudes log-uniform, so that doubling p
  gains nothing or much; three or four widths; seeds scatter by 0.05 to 0.3 dB, of which no part, half or 95 % of the
  variance is alike at all n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import Points, decide
from reconscale.laws.decisions.intervals import LIKELY

Floats = NDArray[np.float64]

SIZES = (10, 30, 100, 300, 1000)
LUCK, SEEDS = (0.5, 1.0, 2.0), (2, 3)
RUN, CHECK = 0.05, 0.02
"""Standard deviations, in dB, of one run about its seed's effect (null), and of the validation value about the test."""
WORTHWHILE = 0.1


@dataclass(frozen=True)
class Said:
    """What was said of doubling p in one study, and what is true.

    Attributes:
        source: what the gain rests on.
        low, median, high, probability: of the gain.
        true: the gain, in dB.
        verdict: on the curve.
        given: the one that is given: UNDECIDED where the edge of the widths leaves the question open.
        right: whether the verdict on the curve is; None for UNDECIDED.
    """

    source: str
    low: float
    median: float
    high: float
    probability: float
    true: float
    verdict: str
    given: str
    right: bool | None


def runs(
    mean: Floats, luck: float, noise: float, seeds: int, widths: Sequence[int], rng: np.random.Generator
) -> Points:
    """Points of PSNR ``mean`` (sizes, widths), with an effect of (seed, width) that is the same at all n."""
    shared = luck * rng.standard_normal((seeds, len(widths)))
    n, width, seed = (part.ravel() for part in np.meshgrid(SIZES, widths, np.arange(seeds), indexing="ij"))
    y = mean[:, :, None] + shared.T + noise * rng.standard_normal((*mean.shape, seeds))
    y = y.ravel()
    validation = y + CHECK * rng.standard_normal(len(y))
    return Points(n, y, seed, 455.0 * width**2, "psnr", width=width, validation=validation)


def null_study(luck: float, seeds: int, index: int) -> Points:
    """A study in which neither n nor p has an effect; the same one for the same arguments."""
    rng = np.random.default_rng([index, seeds, round(100 * luck)])
    return runs(np.full((len(SIZES), 3), 30.0), luck, RUN, seeds, (8, 16, 32), rng)


def judged_null(luck: float, seeds: int, index: int) -> Said:
    """What is said of one of them."""
    answer = decide(null_study(luck, seeds, index), worthwhile=WORTHWHILE)
    gain, verdict = answer.gain_p, answer.curve_verdict
    assert gain is not None
    right = None if verdict == "UNDECIDED" else verdict == "STOP"
    return Said(
        answer.gain_p_from, gain.low, gain.median, gain.high, gain.probability, 0.0, verdict, answer.verdict, right
    )


def gain_study(index: int) -> tuple[Points, Callable[[float, float], float]]:
    """One study in which larger networks help, or do not, and its true PSNR at n and p."""
    rng = np.random.default_rng([index, 777])
    widths = ((8, 16, 32), (8, 16, 32, 64))[rng.integers(2)]
    seeds, alike = int(rng.integers(2, 4)), float(rng.choice([0.0, 0.5, 0.95]))
    a, b = rng.uniform(0.2, 0.5, 2)
    spread = float(np.exp(rng.uniform(np.log(0.05), np.log(0.3))))
    floor, by_n, by_p = 10.0 ** rng.uniform([-4.0, -3.5, -5.0], [-3.0, -2.5, -2.5])

    def psnr(n: float, p: float) -> float:
        return float(-10.0 * np.log10(floor + by_n * (n / 100.0) ** -a + by_p * (p / 455.0 / 16.0**2) ** -b))

    mean = np.array([[psnr(n, 455.0 * width**2) for width in widths] for n in SIZES])
    return runs(mean, spread * np.sqrt(alike), spread * np.sqrt(1.0 - alike), seeds, widths, rng), psnr


def judged_gain(index: int) -> Said:
    """What is said of one of them."""
    points, psnr = gain_study(index)
    answer = decide(points, worthwhile=WORTHWHILE)
    gain, n, p = answer.gain_p, answer.n, answer.p
    assert gain is not None and p is not None
    by_larger, by_more = psnr(n, 2 * p) - psnr(n, p), psnr(2 * n, p) - psnr(n, p)
    true = {"TRAIN LARGER": by_larger > WORTHWHILE, "COLLECT MORE": by_more > WORTHWHILE}
    right = {**true, "STOP": not any(true.values())}.get(answer.curve_verdict)
    said = (gain.low, gain.median, gain.high, gain.probability)
    return Said(answer.gain_p_from, *said, by_larger, answer.curve_verdict, answer.verdict, right)


def coverage(said: Sequence[Said]) -> float:
    """Share of the studies whose true gain lies in the 90 % interval."""
    return float(np.mean([item.low <= item.true <= item.high for item in said]))


def claims(said: Sequence[Said]) -> float:
    """Share of the studies with a verdict other than UNDECIDED or STOP."""
    return float(np.mean([item.verdict not in ("UNDECIDED", "STOP") for item in said]))


def _line(said: Sequence[Said]) -> str:
    low = np.mean([item.high < item.true for item in said])
    high = np.mean([item.low > item.true for item in said])
    width = np.median([item.high - item.low for item in said])
    return f"{len(said):7d} {100 * coverage(said):8.1f} {100 * low:10.1f} {100 * high:10.1f} {width:8.2f}"


def print_seed_luck(count: int, workers: int) -> None:
    """Both tables, of ``count`` studies a row."""
    head = "studies  holds %  too low %  too high %  width dB"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        print("Neither n nor p has an effect: the 90 % interval of what doubling p gains")
        print(f"sd dB  seeds  rests on  {head}  verdicts other than UNDECIDED and STOP %")
        for luck in LUCK:
            for seeds in SEEDS:
                said = list(pool.map(partial(judged_null, luck, seeds), range(count), chunksize=8))
                print(f"{luck:5.1f} {seeds:6d}  all      {_line(said)} {100 * claims(said):10.1f}", flush=True)
                for source in sorted({item.source for item in said}):
                    print(f"{'':14s}{source:9s}{_line([item for item in said if item.source == source])}")
        said = list(pool.map(judged_gain, range(count), chunksize=8))
    print(f"\nLarger networks help, or do not (seeds scatter by 0.05 to 0.3 dB)\nrests on  {head}")
    for source in ("all", *sorted({item.source for item in said})):
        print(f"{source:9s}{_line([item for item in said if source in ('all', item.source)])}")
    _print_verdicts(said)


def _print_verdicts(said: Sequence[Said]) -> None:
    happened = np.array([item.true > WORTHWHILE for item in said])
    stated = np.array([item.probability for item in said])
    error = np.array([item.median - item.true for item in said])
    print(
        f"median less truth, root mean square {np.sqrt((error**2).mean()):.3f} dB, mean {error.mean():+.3f} dB; ",
        end="",
    )
    sure = stated >= LIKELY
    right = f"worthwhile in {100 * happened[sure].mean():.0f} %" if sure.any() else "never said"
    print(f"Brier score {((stated - happened) ** 2).mean():.3f}; chance of at least 80 %: {sure.sum()}, {right}")
    for verdict in ("COLLECT MORE", "TRAIN LARGER", "STOP", "UNDECIDED"):
        found = [item for item in said if item.verdict == verdict]
        right = np.mean([bool(item.right) for item in found]) if found and verdict != "UNDECIDED" else np.nan
        kept = sum(item.given == verdict for item in found)
        share = "" if np.isnan(right) else f", right in {100 * right:.0f} %; {kept} are given"
        print(f"{verdict:13s} {len(found)}{share}")
