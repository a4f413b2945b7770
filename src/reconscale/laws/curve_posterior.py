"""The posterior over the curve of some points, and coherent draws of it at and beyond the data."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.laws.curve.ensemble import Ensemble, fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.grouping import SizeMeans, group_by_size, image_bootstrap_shift
from reconscale.laws.named.registry import bounded
from reconscale.laws.points import Points
from reconscale.laws.repeated_rows import without_repeats
from reconscale.laws.steps.law import StepsLaw, infer_steps
from reconscale.laws.surface.cells import has_surface
from reconscale.laws.surface.posterior import infer_surface
from reconscale.laws.surface.surface import Surface
from reconscale.laws.width_selection import select_width

DRAWS = 4000
"""Curves drawn."""


@dataclass(frozen=True, eq=False)
class CurvePosterior:
    """What is believed about one curve.

    Attributes:
        points: the measurements.
        ensemble: the posterior over curves, averaged with naive forecasts and with the named laws that were asked for.
        seed: of everything that is drawn.
        curve_seed: seed of the curves, so that the same question has the same answer.
        image_seed: seed of the draws of test images; curves that share it are seen on the same images.
    """

    points: Points
    ensemble: Ensemble
    seed: int
    curve_seed: tuple[int, ...]
    image_seed: tuple[int, ...]
    _after: np.random.Generator

    @classmethod
    def infer(cls, points: Points, seed: int = 0, laws: str | Sequence[str] = ()) -> Self:
        """Infer the curve of ``points``, of the width selected for each n.

        Args:
            points: the measurements, two or more distinct n.
            seed: the same seed gives the same bits.
            laws: names of laws that become members of the ensemble.

        Raises:
            UserError: there are fewer than two distinct n, or too few for a law, or there is no such law.
        """
        rng, points = np.random.default_rng(seed), without_repeats(points)
        ensemble = fit_ensemble(group_by_size(points, MOST_LEVELS), rng, laws)
        return cls(points, ensemble, seed, (seed, 1), (seed, 2), rng)

    @property
    def level(self) -> SizeMeans:
        """Mean and spread at each n: what all of it was learnt from."""
        return self.ensemble.level

    @property
    def last(self) -> float:
        """Ln of the largest n."""
        return float(self.level.x[-1])

    @property
    def largest(self) -> float:
        """The largest n that was measured."""
        return float(self.points.n.max())

    @cached_property
    def best(self) -> Points:
        """The runs of the width that was selected for their n."""
        return select_width(self.points)

    @cached_property
    def p(self) -> float | None:
        """Parameters of the network chosen at the largest n, or None where they are not known."""
        best = self.best
        return None if best.p is None else float(np.median(best.p[best.n == best.n.max()]))

    @property
    def dial(self) -> float | None:
        """What tells the network chosen at the largest n from others: p, or the width where p is not known, or None."""
        best = self.best
        if best.p is not None or best.width is None:
            return self.p
        return float(np.median(best.width[best.n == best.n.max()]))

    @cached_property
    def surface(self) -> Surface | None:
        """Quality over n and p, inferred when it is first asked for; None where there are too few cells (n, p)."""
        return infer_surface(self.points, self.seed) if has_surface(self.points) else None

    @cached_property
    def steps_law(self) -> StepsLaw | None:
        """What more steps give, inferred when it is first asked for; None where no run was measured at several."""
        trainings = self.points.trainings
        return None if trainings is None else infer_steps(trainings, self.points, seed=self.seed)

    @cached_property
    def steps(self) -> float | None:
        """Steps of the network chosen at the largest n: the median over its runs, or None where they are not known."""
        best = self.best
        return None if best.steps is None else float(np.median(best.steps[best.n == best.n.max()]))

    def generator(self) -> np.random.Generator:
        """Where the inference left its random numbers: a forecast goes on from there, each time from the same place."""
        return deepcopy(self._after)

    def draw(self, x: Floats, *, images: bool = True) -> Floats:
        """(DRAWS, N) ln of the expected error at x = ln n (N,); a row is one coherent curve.

        Args:
            x: places, in any order.
            images: whether the test images count as drawn from many, or as all there are.
        """
        drawn, _ = self.curves(x, DRAWS, np.random.default_rng(self.curve_seed))
        if images:
            drawn = drawn + image_bootstrap_shift(self.level, x, DRAWS, np.random.default_rng(self.image_seed))
        return bounded(drawn)

    def curves(self, x: Floats, count: int, rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
        """Draws of the expected ln(error) on these test images, each row one coherent curve.

        Where widths were measured, what happens beyond the largest n is read from the surface over n and p as well, at
        the network selected last, and averaged with what the curve itself says.

        Args:
            x: (N,) ln n, in any order.
            count: number of rows (C).
            rng: source of the draws.

        Returns:
            (C, N) curves, and (C,) the draw of the posterior that each belongs to.
        """
        if self.p is None or self.surface is None or not (x > self.last).any():
            return self.ensemble.curves(x, count, rng)
        drawn, owner = self.ensemble.curves(np.concatenate([x, [self.last]]), count, rng)
        curves, ahead = drawn[:, :-1], x > self.last
        over = self.surface.log_error(np.exp([self.last, *x[ahead]]), np.full(1 + int(ahead.sum()), self.p))
        curves[:, ahead] = average_changes(curves[:, ahead], drawn[:, -1:], over[:, 1:] - over[:, :1])
        return curves, owner

    def stretch(self, x: float) -> float:
        """By how much the calibration stretches what is believed at x = ln n."""
        spread = []
        for calibrated in (True, False):
            rng = np.random.default_rng(self.curve_seed)
            drawn, _ = self.ensemble.curves(np.array([x]), DRAWS, rng, calibrated=calibrated)
            spread.append(float(np.subtract(*np.quantile(drawn, [0.75, 0.25]))))
        return spread[0] / spread[1]

    def noise(self, x: Floats) -> Floats:
        """(N,) standard deviation of ln(error) of one new run at x = ln n."""
        return np.asarray(np.sqrt((self.ensemble.curve.noise(x) ** 2).mean(0)))


def average_changes(curves: Floats, at_last: Floats, others: Floats) -> Floats:
    """Curves (C, N) whose change since ``at_last`` (C, 1) is averaged with that of other draws (D, N), by quantiles.

    The quantiles of the change are averaged (Ratcliff 1979), so that where the two beliefs differ the answer lies
    between them and is no wider; a curve keeps its rank among the others at each place.
    """
    changes, levels = curves - at_last, (np.arange(len(curves)) + 0.5) / len(curves)
    order = np.argsort(changes, axis=0, kind="stable")
    other = np.quantile(others, levels, axis=0)
    average = np.empty_like(changes)
    rows = np.take_along_axis(changes, order, axis=0)
    np.put_along_axis(average, order, 0.5 * (rows + other), axis=0)
    return np.asarray(at_last + average)
