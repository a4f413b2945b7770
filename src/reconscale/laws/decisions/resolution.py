"""What the test set behind some points can tell: differences between neighbouring sizes, and between methods."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, plain
from reconscale.laws.decisions.power import (
    POWER,
    SIGNIFICANCE,
    SizedTestSet,
    compute_power,
    contributions,
    count_or_most,
    resolve_difference,
    size_test_set,
)
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import METRICS, Metric
from reconscale.laws.points import Points
from reconscale.laws.unit_values import UnitValues
from reconscale.laws.width_selection import select_width

FAR = 3.0
"""Two methods that differ by more times what is to be told apart say too much about how images differ."""
NO_VALUES = "give a study, or a CSV with a column for each test image (image_1, image_2, ...) or a row for each image"


@dataclass(frozen=True, eq=False)
class Pair:
    """Two methods on one test set.

    Attributes:
        first, second: what they are called.
        values: (2, U) the metric of each unit, mean over seeds.
        units: the units.
        last: whether runs of the largest n are among them.
        floor: standard deviation over units that differences would have where the two gain nothing on each other, from
            runs that differ in their seeds alone, in the unit of gains; none where there are no such runs.
    """

    first: str
    second: str
    values: Floats
    units: UnitValues
    last: bool = True
    floor: float | None = None

    def size(
        self,
        metric: str,
        difference: float | None = None,
        *,
        paired: bool = True,
        power: float = POWER,
        significance: float = SIGNIFICANCE,
    ) -> SizedTestSet:
        """The test set that a difference between the two takes; see :func:`.power.size_test_set`."""
        made = size_test_set(
            *self.values, difference=difference, metric=metric, paired=paired, power=power,
            significance=significance, noun=self.units.noun,
        )  # fmt: skip
        if not paired or abs(made.measured) <= FAR * made.difference:
            return made
        told = METRICS[metric]
        measured = f"{plain(abs(made.measured), told.digits)} {told.unit}"
        asked = told.spell(made.difference)
        far = finding("far-pair", first=self.first, second=self.second, measured=measured, difference=asked)
        return replace(made, findings=(*made.findings, far))

    def nearest(self, metric: str, difference: float) -> float:
        """How far what was measured between the two is from ``difference``: the absolute logarithm of their ratio."""
        first, second = contributions(self.values[0], self.values[1], METRICS[metric])
        return abs(math.log(max(abs(float((second - first).mean())), 1e-3 * difference) / difference))


def unit_values(points: Points) -> UnitValues:
    """The metric of each unit of the test set: as measured, else of each image, from its error.

    Raises:
        UserError: nothing is known of single images.
    """
    if points.per_unit is not None:
        return points.per_unit
    if points.images is None:
        raise UserError("test set", "found no values of single images, only means", NO_VALUES)
    errors = np.maximum(points.images, 1e-12 * points.images.mean(1, keepdims=True))
    names = tuple(f"image {k + 1}" for k in range(errors.shape[1]))
    return UnitValues(METRICS[points.metric].from_error(errors), names)


def pair_runs(points: Points) -> list[Pair]:
    """Neighbouring sizes at the selected width, the largest first; neighbouring widths, and seeds, at the largest size.

    Raises:
        UserError: nothing is known of single images, or there is one size and one network alone.
    """
    best = select_width(points)
    chosen, units, sizes = unit_values(best), unit_values(points), best.sizes[::-1]
    made = [compare_sizes(best, small, large) for large, small in itertools.pairwise(sizes)]
    at_top = points.n == points.n.max()
    label = points.width if points.width is not None else points.p
    if label is not None:
        name, tried = "width" if points.width is not None else "p", np.unique(label[at_top])[::-1]
        for large, small in itertools.pairwise(tried):
            ends = (at_top & (label == value) for value in (small, large))
            values = np.stack([units.values[end].mean(0) for end in ends])
            made.append(Pair(f"{name} {small:g}", f"{name} {large:g}", values, units))
    last = np.flatnonzero(best.n == sizes[0])
    if best.seed is not None:
        for one, other in itertools.pairwise(last):
            names = (f"seed {best.seed[one]}", f"seed {best.seed[other]}")
            made.append(Pair(*names, chosen.values[[one, other]], chosen))
    if not made:
        raise UserError("test set", "found one size and one network alone", "give a second method with --beside")
    return made


def largest_values(points: Points) -> UnitValues:
    """The units of the test set with the runs at the largest n of the selected width, mean over seeds: (1, U).

    Raises:
        UserError: nothing is known of single images.
    """
    best = select_width(points)
    units = unit_values(best)
    mean = units.values[best.n == best.n.max()].mean(0, keepdims=True)
    return UnitValues(mean, units.names, units.noun, units.unsure)


def pair_methods(first: UnitValues, second: UnitValues, names: tuple[str, str]) -> Pair:
    """Two methods of which each unit is known, by the names of units.

    Raises:
        UserError: they were not measured on the same units.
    """
    if set(first.names) != set(second.names) or len(first.names) != len(second.names):
        alone = sorted(set(first.names) ^ set(second.names))
        which = f", such as '{alone[0]}'" if alone else ""
        raise UserError(
            "test set",
            f"found {first.counted} of {names[0]} and {second.counted} of {names[1]}, of which {len(alone)} are of one "
            f"alone{which}",
            "measure both methods on the same ones",
        )
    place = {name: index for index, name in enumerate(second.names)}
    other = second.values[0][[place[name] for name in first.names]]
    return Pair(*names, np.stack([first.values[0], other]), first)


def compare_sizes(best: Points, small: float, large: float) -> Pair:
    """Two sizes of the runs of the selected width.

    Raises:
        UserError: nothing is known of single images.
    """
    units = unit_values(best)
    rows = [units.values[best.n == size] for size in (small, large)]
    values = np.stack([part.mean(0) for part in rows])
    return Pair(f"n = {amount(small)}", f"n = {amount(large)}", values, units, large == best.n.max(),
                _floor(rows, METRICS[best.metric]))  # fmt: skip


def _floor(rows: list[Floats], metric: Metric) -> float | None:
    """What seeds alone do to the differences between two sizes, from (k, U) values of the runs at each."""
    spread = list[float | None]()
    for part in rows:
        if len(part) < 2 or part.shape[1] < 2:
            spread.append(None)
            continue
        gains = np.stack([contributions(part.mean(0), run, metric)[1] for run in part])
        away = gains - gains.mean(0)
        away = away - away.mean(1, keepdims=True)
        spread.append(float((away**2).sum() / ((len(part) - 1) * (part.shape[1] - 1))))
    known = [value for value in spread if value is not None]
    if not known:
        return None
    usual = sum(known) / len(known)
    return math.sqrt(sum((usual if s is None else s) / len(part) for s, part in zip(spread, rows, strict=True)))


def judge_test_set(best: Points, worthwhile: float) -> tuple[Finding, ...]:
    """That the test set cannot tell the gain that is called worthwhile, judged by the two largest sizes.

    Args:
        best: the runs of the selected width.
        worthwhile: the smallest gain worth paying for, in the unit of the metric.
    """
    sizes = best.sizes[-2:]
    if (best.per_unit is None and best.images is None) or len(sizes) < 2 or worthwhile <= 0:
        return ()
    units, metric = unit_values(best), METRICS[best.metric]
    if len(units.names) < 2:
        noun = units.counted.removeprefix("1 ")
        what = (
            f"the test set is one {noun} ({units.names[0]}): nothing says how another {noun} would differ, so what is "
            "said here holds for that one alone"
        )
        return (finding("test-set-too-small", what=what),)
    pair = compare_sizes(best, *sizes)
    first, second = contributions(pair.values[0], pair.values[1], metric)
    sd = _sd_at(worthwhile, second - first, pair.floor)
    if sd <= 0.0 or compute_power(worthwhile, sd, len(units.names)) >= POWER:
        return ()
    resolves, needed = resolve_difference(sd, len(units.names)), count_or_most(worthwhile, sd)
    what = (
        f"the {units.counted} of the test set can tell {plain(resolves, metric.digits)} {metric.unit} apart, not the "
        f"{metric.spell(worthwhile)} called worthwhile (paired, {100 * POWER:.0f} % power, from the runs at "
        f"{pair.first} and {amount(sizes[1])}, scaled to a gain as small); that takes about {needed:,}"
    )
    return (finding("test-set-too-small", what=what),)


def _sd_at(difference: float, gains: Floats, floor: float | None) -> float:
    """How far images would differ between two methods that differ by ``difference``.

    What one method gains on another differs between images in proportion to the gain (0.3 to 0.9 of it in the
    repository's studies), on top of what seeds do (nothing where that is not known). Two sizes with a large gain would
    else make any test set too small.

    Args:
        difference: above 0, in the unit of ``gains``.
        gains: (U,) what the one size gains on the other, by unit.
        floor: standard deviation of what seeds do to it, or None.
    """
    sd, mean = float(gains.std(ddof=1)), abs(float(gains.mean()))
    least = min(floor or 0.0, sd)
    share = min(1.0, difference / max(mean, 1e-300))
    return math.sqrt(least**2 + (sd**2 - least**2) * share**2)
