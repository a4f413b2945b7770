"""Published curves as prior knowledge about one's own, on request, with the back-test that says whether that helps.

Over all published curves it does not: ``python benchmarks/like.py`` leaves each out in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconscale.errors import UserError
from reconscale.laws.decisions.compare import are_equal
from reconscale.laws.forecasting import BacktestRow
from reconscale.laws.metrics import METRICS
from reconscale.laws.points import Points
from reconscale.laws.published_curves import PublishedCurve, select_curves
from reconscale.laws.questions import Curve, infer
from reconscale.laws.related_curves import relate_curves
from reconscale.laws.repeated_rows import without_repeats
from reconscale.laws.width_selection import select_width

LEAST = 4
"""Sizes from which on the largest can be forecast from the others."""


@dataclass(frozen=True)
class HeldBack:
    """The largest size, forecast from the smaller ones with published curves and without.

    Attributes:
        alone: without.
        like: with them.
        error_alone, error_like: |ln(error forecast / error measured)|.
    """

    alone: BacktestRow
    like: BacktestRow
    error_alone: float
    error_like: float

    @property
    def helped(self) -> bool:
        """Whether the forecast with published curves was closer to what was measured."""
        return self.error_like < self.error_alone


def curves_like(names: Sequence[str], points: Points) -> list[PublishedCurve]:
    """Published curves of these names or groups in the metric of ``points``, but for one with the same points.

    Raises:
        UserError: nothing has such a name, or none of them is in that metric, or the only one is ``points`` itself.
    """
    if METRICS[points.metric].is_error:
        raise UserError("like", f"the measured values are an error ({points.metric}), and published curves are not",
                        "measure PSNR or SSIM, or leave it out")  # fmt: skip
    found = [curve for curve in select_curves(names, points.metric) if not are_equal(curve.points, points)]
    if not found:
        raise UserError("like", f"found only your own curve in {', '.join(names)}", "name another curve or group")
    return found


def infer_like(points: Points, curves: Sequence[PublishedCurve], seed: int = 0) -> Curve:
    """The curve of ``points``, whose floor, exponent and noise may be like those of published curves.

    How alike they are is learnt from all of them (:func:`.related_curves.relate_curves`). What their n counts does not
    matter: an exponent is the same in patients and in slices.

    Args:
        points: the measurements, two or more distinct n.
        curves: in the metric of ``points``.
        seed: the same seed gives the same bits.
    """
    others = [infer(replace(curve.points, unit=points.unit), seed=seed) for curve in curves]
    return relate_curves([infer(points, seed=seed), *others], seed)[0]


def backtest_like(points: Points, curves: Sequence[PublishedCurve], seed: int = 0) -> HeldBack | None:
    """Forecast the largest size from the smaller ones, with published curves and without.

    Returns:
        None where there are fewer than four sizes.
    """
    if len(points.sizes) < LEAST:
        return None
    alone = infer(points, seed=seed).backtest()[0]
    seen = infer_like(points.rows(points.n < alone.n), curves, seed)
    best = select_width(without_repeats(points))
    made = seen.forecast([alone.n], runs=int((best.n == alone.n).sum()))
    low, high = made.interval(0.9)
    like = alone._replace(median=float(made.median[0]), low=float(low[0]), high=float(high[0]))
    to_error = METRICS[points.metric].to_error
    measured, *forecast = np.log(to_error(np.array([alone.measured, alone.median, like.median])))
    return HeldBack(alone, like, *(abs(float(value - measured)) for value in forecast))
