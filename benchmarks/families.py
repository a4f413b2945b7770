"""Learning curves that belong together: networks on one task, widths of one study, metrics of the same runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curves import Curve, lcdb, revisiting, study_curves, study_replicates, tomography
from reconscale.laws.decisions.compare import are_equal
from simulated import Truth

NETWORKS, WIDTHS, METRICS, TASKS = "networks", "widths", "metrics", "tasks"
"""What the curves of a family differ in. Of metrics the runs are the same, of tasks the networks."""
PAIRS = (
    ("self-supervised/mse", "self-supervised/neighbor2neighbor"),
    ("denoising-swinir/swinir", "denoising-swinir/unet"),
    ("superresolution-photos/edsr-2x", "superresolution-photos/swinir-2x"),
)
"""The repository's studies of two methods on the same images."""
LEARNERS = 4
"""Learners of a data set of LCDB, drawn at random."""


@dataclass(frozen=True, eq=False)
class Family:
    """Curves that belong together.

    Attributes:
        source: CT, studies (single runs), studies with seeds, vision or LCDB.
        kind: what the curves differ in.
        curves: two or more.
    """

    source: str
    kind: str
    curves: list[Curve]


def published() -> list[Family]:
    """All families of the development curves."""
    return [*_tomography(), *_studies(), *_vision(), *_learners()]


def _tomography() -> Iterator[Family]:
    curves = tomography()
    yield from _by("CT", NETWORKS, curves, lambda curve: curve.metric)
    yield from _by("CT", METRICS, curves, lambda curve: curve.group)


def _studies() -> Iterator[Family]:
    single = [curve for curve in study_curves() if curve.name.endswith("seed 0")]
    for source, curves in (("studies", single), ("studies with seeds", study_replicates())):
        yield from _by(source, WIDTHS, curves, lambda curve: curve.name.split()[:2])
        yield from _by(source, METRICS, curves, lambda curve: [curve.group, *curve.name.split()[2:]])
        for pair in PAIRS:
            last = {(curve.group, curve.name.split()[1]): curve for curve in curves}
            columns = sorted({column for study, column in last if study == pair[0]})
            for column in columns:
                both = [last[study, column] for study in pair if (study, column) in last]
                if len(both) == 2:
                    yield Family(source, NETWORKS, both)


def _vision() -> Iterator[Family]:
    curves = revisiting("revisiting_nsl_vision_birds_cifar.csv")
    yield from _by("vision", NETWORKS, curves, lambda curve: curve.group)
    yield from _by("vision", TASKS, curves, lambda curve: [curve.group.split("_")[0], curve.name.split()[1]])


def _learners() -> Iterator[Family]:
    rng = np.random.default_rng(0)
    for family in _by("LCDB", NETWORKS, lcdb(False), lambda curve: curve.group):
        if len(family.curves) >= LEARNERS:
            chosen = rng.permutation(len(family.curves))[:LEARNERS]
            yield Family("LCDB", NETWORKS, [family.curves[k] for k in chosen])


def _by(source: str, kind: str, curves: Sequence[Curve], key: Callable[[Curve], object]) -> Iterator[Family]:
    groups: dict[str, list[Curve]] = defaultdict(list)
    for curve in curves:
        groups[str(key(curve))].append(curve)
    for _, group in sorted(groups.items()):
        apart = [curve for k, curve in enumerate(group) if not any(_equal(curve, other) for other in group[:k])]
        if len(apart) > 1:
            yield Family(source, kind, apart)


def _equal(a: Curve, b: Curve) -> bool:
    """Whether two metrics of the same runs are one: a volume of one slice."""
    return are_equal(a.points, b.points)


SHARED, PARTLY, APART = "the same shape", "the same exponent", "nothing in common"
SIZES, NOISE = 5, 0.02


def simulated(count: int, seeds: int, seed: int = 0) -> Iterator[Family]:
    """``count`` pairs of each kind: the same shape at another level, the same exponent with other floors, or nothing.

    Sizes are 100 and on, three times apart; what is ahead is one run at ten times the largest.
    """
    for index in range(count):
        for kind in (SHARED, PARTLY, APART):
            rng = np.random.default_rng([seed, index, seeds])
            one = _truth(rng)
            other = _truth(rng)
            if kind != APART:
                other = replace(one, level=other.level, share=one.share if kind == SHARED else other.share)
            yield Family(kind, f"seeds: {seeds}", [_measured(law, seeds, rng) for law in (one, other)])


def _truth(rng: np.random.Generator) -> Truth:
    last = 100.0 * 3.0 ** (SIZES - 1)
    exponent = 0.35 * np.exp(0.6 * rng.standard_normal())
    share, level = rng.uniform(0.0, 0.9) * rng.integers(2), 10.0 ** rng.uniform(-4.0, -2.0)
    after = exponent * np.exp(rng.uniform(-1.0, 1.0) * rng.integers(2))
    return Truth("break", last, level, share, exponent, after, rng.uniform(-3.0, 1.5), 0.5, 1.0)


def _measured(law: Truth, seeds: int, rng: np.random.Generator) -> Curve:
    n = 100.0 * 3.0 ** np.arange(SIZES)
    points = law.measured(n, rng, seeds=seeds, noise=NOISE)
    ahead = np.array([10.0 * n[-1]])
    run = law.measured(ahead, rng, seeds=1, noise=NOISE).y
    seed = points.seed if seeds > 1 else None
    return Curve("simulated", law.kind, law.kind, points.n, points.y, seed, ahead, run, np.zeros(1), "psnr")
