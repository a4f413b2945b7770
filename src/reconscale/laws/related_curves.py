"""Curves that were inferred together, and what they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np

from reconscale.errors import UserError
from reconscale.laws.curve.shared_ensemble import share_ensemble
from reconscale.laws.curve.shared_shape import SHARING, SharingPrior, share_shape
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.compare import are_equal, may_be_equal
from reconscale.laws.points import Points

C = TypeVar("C", bound=CurvePosterior)
SPEAKS = 3.0
"""From these odds on, or below their inverse, the measurements speak for sharing, or against it."""


@dataclass(frozen=True, eq=False)
class RelatedCurves(Generic[C]):
    """Two or more curves, each inferred with a look at the others.

    It is unpacked and indexed as a tuple is. Rows of draws of the curves are joint ones.

    Attributes:
        curves: in the order of the points.
        degree: quantity -> mean degree of sharing, from 0 (each curve alone) to 0.8.
        odds: quantity -> Bayes factor of any sharing against none.
    """

    curves: tuple[C, ...]
    degree: dict[str, float]
    odds: dict[str, float]

    def __len__(self) -> int:
        return len(self.curves)

    def __iter__(self) -> Iterator[C]:
        return iter(self.curves)

    def __getitem__(self, index: int) -> C:
        return self.curves[index]

    @property
    def words(self) -> str:
        """What is shared, and how strongly."""
        return " ".join(_sentence(name, self.degree[name], odds) for name, odds in self.odds.items())

    def __repr__(self) -> str:
        shared = ", ".join(f"{name} {degree:.2f}" for name, degree in self.degree.items())
        return f"RelatedCurves({len(self)} curves; shared from 0 to 0.8: {shared})"


def relate_curves(curves: Sequence[C], seed: int = 0, belief: SharingPrior = SHARING) -> RelatedCurves[C]:
    """Couple curves that were inferred alone (:mod:`.curve.shared_shape`); no interval becomes narrower.

    Args:
        curves: two or more.
        seed: the same seed gives the same bits.
        belief: about the degrees of sharing.

    Raises:
        UserError: there are fewer than two, their n count different things, or two hold the same points.
    """
    if len(curves) < 2:
        raise UserError("infer", f"found {len(curves)} sets of points", "give two or more, or one without brackets")
    for a, b in combinations([curve.points for curve in curves], 2):
        _check_related(a, b)
    made = share_shape([curve.ensemble.curve for curve in curves], np.random.default_rng((seed, 7)), belief)
    pairs = zip(curves, made.posteriors, strict=True)
    coupled = tuple(replace(one, ensemble=share_ensemble(one.ensemble, shape)) for one, shape in pairs)
    return RelatedCurves(coupled, made.degree, made.odds)


def _check_related(a: Points, b: Points) -> None:
    if a.unit != b.unit and not may_be_equal("unit", {a.unit, b.unit}):
        raise UserError("infer", f"found unit '{a.unit}' and '{b.unit}'", "n of related curves must count the same")
    if are_equal(a, b):
        raise UserError("infer", "found the same points twice", "what counts twice would look twice as certain")


def _sentence(name: str, degree: float, odds: float) -> str:
    if odds >= SPEAKS:
        said = f"is alike (odds {odds:.3g} to 1)"
    elif odds <= 1.0 / SPEAKS:
        said = f"is not alike (odds {1.0 / odds:.3g} to 1 against)"
    else:
        said = "may be alike or not (the measurements hardly tell)"
    return f"The {name} {said}; degree of sharing {degree:.2f}."
