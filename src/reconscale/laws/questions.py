"""Everything that can be asked about measured points. The curve is inferred once, and every question is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

from numpy.typing import ArrayLike

from reconscale.errors import UserError
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.compare import NAMES, Comparison, Crossing, compare_curves, find_crossing
from reconscale.laws.decisions.costs import Costs
from reconscale.laws.decisions.decide import Decision
from reconscale.laws.decisions.gate import make_gated_decision
from reconscale.laws.decisions.next_experiments import Experiment, choose_experiments
from reconscale.laws.decisions.requirements import (
    Exchange,
    NoiseLevel,
    Price,
    RequiredSize,
    price_next_step,
    size_for_target,
    worth_of_step,
)
from reconscale.laws.decisions.value_of_information import Candidate
from reconscale.laws.forecasting import BacktestRow, Forecast, backtest, forecast_curve
from reconscale.laws.points import Points
from reconscale.laws.related_curves import RelatedCurves, relate_curves
from reconscale.laws.steps.budget import StepsSurface
from reconscale.shown import Drawn


@dataclass(frozen=True, eq=False)
class Curve(CurvePosterior, Drawn):
    """The curve behind some points, inferred once by :func:`infer`, with all that can be asked of it.

    A question asked twice has the same answer, to the bit. ``surface``, quality over n and p, is inferred when it is
    first needed, and kept.

    >>> points = Points(n=[10, 30, 100, 300], y=[2.9e-3, 2.4e-3, 2.1e-3, 1.95e-3], metric="error")
    >>> curve = infer(points)
    >>> curve.forecast(n=[600, 1200]).median.shape
    (2,)
    >>> curve.decide(worthwhile=15).verdict  # per cent of the error
    'STOP'
    """

    def __repr__(self) -> str:
        return f"Curve({self.points.words})"

    # the first argument of each of these functions is the curve
    forecast = forecast_curve
    decide = make_gated_decision
    required_n = size_for_target
    price = price_next_step
    exchanges = worth_of_step
    next_experiments = choose_experiments
    crossing = find_crossing
    compare = compare_curves

    @cached_property
    def over_steps(self) -> StepsSurface:
        """L(n, p, steps): quality at other numbers of steps, and the best p and steps for a budget.

        Raises:
            UserError: no run was measured at several numbers of steps.
        """
        return StepsSurface(self)

    def backtest(self) -> list[BacktestRow]:
        """Forecast the largest sizes from the smaller ones; see :func:`reconscale.laws.backtest`."""
        return backtest(self.points, seed=self.seed, laws=tuple(self.ensemble.laws))


@overload
def infer(points: Points, *, seed: int = 0, laws: str | Sequence[str] = ()) -> Curve: ...
@overload
def infer(points: Sequence[Points], *, seed: int = 0, laws: str | Sequence[str] = ()) -> RelatedCurves[Curve]: ...
def infer(
    points: Points | Sequence[Points], *, seed: int = 0, laws: str | Sequence[str] = ()
) -> Curve | RelatedCurves[Curve]:
    """Infer the curve of ``points``, once for every question.

    ``infer([a, b])`` infers the curves of related methods together, for instance of networks that learn the same task
    from runs of their own: each learns from the others how fast it goes on, as far as the measurements say that they
    are alike, and no interval becomes narrower. Networks of tomography are forecast better so, most other curves about
    as well as alone (``python benchmarks/related.py``). Widths, metrics and test sets of the same runs repeat each
    other's evidence: infer those one by one.

    Args:
        points: the measurements, two or more distinct n; or a list of them, for curves that are inferred together.
        seed: the same seed gives the same bits.
        laws: names of laws (keys of :data:`LAWS <.named.registry.LAWS>` or aliases). Each is fitted and becomes one
            more member of the ensemble behind every answer, weighted by how well it predicted the largest sizes.

    Raises:
        UserError: there are fewer than two distinct n, or too few for a law, or there is no such law; of a list: it
            holds fewer than two sets of points, or the same ones twice, or their n count different things.
    """
    if isinstance(points, Points):
        return Curve.infer(points, seed, laws)
    for each in points:
        if not isinstance(each, Points):
            raise UserError("infer", f"found {type(each).__name__}", "give points, or a list of points")
    return relate_curves([Curve.infer(each, seed, laws) for each in points], seed)


# The same questions asked of points, for one question alone. They raise what the method raises, and a UserError where
# there are fewer than two distinct n.


def forecast(points: Points, n: ArrayLike, *, seed: int = 0, laws: str | Sequence[str] = ()) -> Forecast:
    """Forecast the metric at other training-set sizes: :func:`Curve.forecast <.forecasting.forecast_curve>`."""
    return infer(points, seed=seed, laws=laws).forecast(n)


def decide(
    points: Points, *, double: str = "auto", worthwhile: float | None = None, costs: Costs | None = None, seed: int = 0
) -> Decision:
    """Say whether more data, or a larger network, is worth it: :func:`.decisions.gate.make_gated_decision`."""
    return infer(points, seed=seed).decide(double=double, worthwhile=worthwhile, costs=costs)


def required_n(points: Points, target: float, *, seed: int = 0) -> RequiredSize:
    """The n at which the metric reaches ``target``: :func:`.decisions.requirements.size_for_target`."""
    return infer(points, seed=seed).required_n(target)


def price(points: Points, costs: Costs, *, seed: int = 0) -> Price:
    """Price the next 0.1 dB (or 2 % of an error): :func:`.decisions.requirements.price_next_step`."""
    return infer(points, seed=seed).price(costs)


def exchanges(points: Points, noise: NoiseLevel | None = None, *, seed: int = 0) -> list[Exchange]:
    """What 0.1 dB (or 2 % of an error) is worth: :func:`.decisions.requirements.worth_of_step`."""
    return infer(points, seed=seed).exchanges(noise)


def next_experiments(
    points: Points,
    costs: Costs | None = None,
    *,
    candidates: Sequence[Candidate] | None = None,
    worthwhile: float | None = None,
    forecast_at: float | None = None,
    count: int = 3,
    seed: int = 0,
) -> tuple[Experiment, ...]:
    """Choose the runs that teach most for their cost: :func:`.decisions.next_experiments.choose_experiments`."""
    return infer(points, seed=seed).next_experiments(
        costs, candidates=candidates, worthwhile=worthwhile, forecast_at=forecast_at, count=count
    )


def crossing(points_a: Points, points_b: Points, *, names: tuple[str, str] = NAMES, seed: int = 0) -> Crossing:
    """Where one method overtakes another: :func:`.decisions.compare.find_crossing`."""
    return infer(points_a, seed=seed).crossing(infer(points_b, seed=seed), names=names)


def comparison(points_a: Points, points_b: Points, *, names: tuple[str, str] = NAMES, seed: int = 0) -> Comparison:
    """Compare two methods on the same test set: :func:`.decisions.compare.compare_curves`."""
    return infer(points_a, seed=seed).compare(infer(points_b, seed=seed), names=names)
