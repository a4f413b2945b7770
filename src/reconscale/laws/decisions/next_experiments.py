"""What to run next: the most information per cost, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reconscale.errors import UserError
from reconscale.format import amount, format_chance, round_interval, short
from reconscale.laws.curve_posterior import CurvePosterior
from reconscale.laws.decisions.costs import CostEstimate, Costs
from reconscale.laws.decisions.decide import UNDECIDED, check_worthwhile, make_decision
from reconscale.laws.decisions.value_of_information import (
    Candidate,
    ExpectedLoss,
    ScenarioDraws,
    Scenarios,
    candidates_of,
    check_candidate,
    draws_1d,
    draws_2d,
    simulate_scenarios,
)

SETTLED = 0.05
"""A decision is settled when its expected regret is below this part of what is worthwhile."""
CHANGES = 0.1
"""A candidate that lowers the expected regret by less than this part does not change the decision."""
TELLING = 0.5
"""Candidates that teach less than this part of what the best one does are too little to bother with, however cheap."""


@dataclass(frozen=True)
class Experiment:
    """Runs to make next, or to stop.

    Attributes:
        kind: ``new size``, ``repeat`` (more seeds of a measured cell), ``other width`` or ``stop``.
        n: training-set size; None for ``stop``.
        p: parameters of the network, or None.
        width: its width dial, or None.
        seeds: runs; 0 for ``stop``.
        reduction: share of the present variance of the aim that this one is expected to remove beyond those before it.
        regret: expected regret of the decision that is left after this and those before it, in dB (or SSIM); of
            ``stop``, what there is now; None where a forecast is the aim.
        cost: in ``cost_unit``.
        cost_unit: the currency where hours have a price, else ``Costs.hour_unit``; without costs, runs at largest n.
        bill: images, hours and money, or None without costs.
        why: one sentence.
    """

    kind: str
    n: float | None
    p: float | None
    width: int | None
    seeds: int
    reduction: float
    regret: float | None
    cost: float
    cost_unit: str
    bill: CostEstimate | None
    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, eq=False)
class _Plan:
    curve: CurvePosterior
    costs: Costs | None
    candidates: tuple[Candidate, ...]
    worthwhile: float | None
    forecast_at: float | None
    undecided: bool


def choose_experiments(
    curve: CurvePosterior,
    costs: Costs | None = None,
    *,
    candidates: Sequence[Candidate] | None = None,
    worthwhile: float | None = None,
    forecast_at: float | None = None,
    count: int = 3,
) -> tuple[Experiment, ...]:
    """The next experiments, greedily by expected reduction of variance per cost, each given those before it.

    The aim is the decision: the variance of the gain of doubling n (and of doubling p where a surface over n and p
    exists). With ``forecast_at`` the aim is ln(error) there. What a candidate teaches is found by reweighting draws of
    the posterior in simulated scenarios, see :mod:`reconscale.laws.decisions.value_of_information`; the test images
    stay as they are.

    ``stop`` comes alone, where the decision is the aim and (a) the verdict is not UNDECIDED and the expected regret,
    how much the best choice now is expected to fall short of the best choice if all were known, is below 5 % of
    ``worthwhile``; or (b) no candidate lowers it by 10 %; or (c) images and hours have a price, and what every
    candidate takes off the regret, at the price of doubling n a ``worthwhile``, is less than the candidate costs.

    Args:
        curve: the curve, inferred from points.
        costs: prices; none: a run costs in proportion to n (and p).
        candidates: what may be run; none: see :func:`~reconscale.laws.decisions.value_of_information.candidates_of`.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: that of the metric.
        forecast_at: an n whose forecast is the aim instead of the decision.
        count: choices, at most; a cell that is chosen again is one experiment with more seeds.

    Raises:
        UserError: an argument is out of range.
    """
    worthwhile = check_worthwhile(worthwhile, curve.points)
    if forecast_at is not None and not (np.isfinite(forecast_at) and forecast_at > 0):
        raise UserError("forecast_at", f"found {forecast_at}", "a number above 0 is expected")
    if count < 1:
        raise UserError("count", f"found {count}", "1 or more is expected")
    offered = candidates_of(curve.points) if candidates is None else check_candidate(candidates, curve.points)
    undecided = forecast_at is None and make_decision(curve, worthwhile=worthwhile).verdict == UNDECIDED
    plan = _Plan(curve, costs, offered, None if forecast_at is not None else worthwhile, forecast_at, undecided)
    rng = np.random.default_rng((curve.seed, 9))
    now = simulate_scenarios(_belief(plan, rng), rng)
    return _chosen(plan, now, count, rng)


def _belief(plan: _Plan, rng: np.random.Generator) -> ScenarioDraws:
    curve = plan.curve
    if curve.surface is not None and curve.p is not None:
        return draws_2d(curve.surface, plan.candidates, curve.points, plan.forecast_at, curve.p, rng)
    return draws_1d(curve, plan.candidates, plan.forecast_at, rng)


def _chosen(plan: _Plan, now: Scenarios, count: int, rng: np.random.Generator) -> tuple[Experiment, ...]:
    start = before = now.left(plan.worthwhile)
    chosen: list[Experiment] = []
    have = plan.curve.largest
    for _ in range(count):
        settled = _settled(plan, before)
        if settled:
            return tuple(chosen) or (_stop(plan, before, settled),)
        tried = now.tried(rng)
        left = [scenarios.left(plan.worthwhile) for scenarios in tried]
        best, reason = _best(plan, before, left, have)
        if best is None:
            return tuple(chosen) or (_stop(plan, before, reason),)
        item = plan.candidates[best]
        share = (before.variance - left[best].variance) / max(start.variance, 1e-300)
        again = next((old for old in chosen if (old.n, old.p) == (item.n, item.p)), None)
        if again is None:
            chosen.append(_experiment(plan, item, share, left[best], have))
        else:
            more = replace(item, seeds=item.seeds + again.seeds)
            made = _experiment(plan, more, again.reduction + share, left[best], have)
            chosen[chosen.index(again)] = made
        now, before, have = tried[best], left[best], max(have, item.n)
    return tuple(chosen)


def _settled(plan: _Plan, left: ExpectedLoss) -> str:
    """Why to stop, or nothing. An undecided verdict is not settled however little hangs on it."""
    if plan.undecided or plan.worthwhile is None or left.regret >= SETTLED * plan.worthwhile:
        return ""
    return "Whether to double is settled."


def _best(plan: _Plan, before: ExpectedLoss, left: list[ExpectedLoss], have: float) -> tuple[int | None, str]:
    """The candidate that removes the most variance per cost, or None and why there is none."""
    gained = np.array([max(0.0, np.log(before.variance / max(item.variance, 1e-300))) for item in left])
    cost = np.array([_cost(plan, item, have)[0] for item in plan.candidates])
    allowed = np.ones(len(cost), dtype=bool)
    if plan.worthwhile is not None:
        spared = np.array([before.regret - item.regret for item in left])
        allowed = spared >= CHANGES * before.regret
        if not allowed.any():
            return None, "No run considered would change the decision."
        worth = _worth(plan)
        if worth is not None:
            allowed &= spared * worth >= cost
            if not allowed.any():
                return None, "Every run that may change the decision costs more than it is expected to save."
    allowed &= gained >= TELLING * gained[allowed].max()
    rate = np.where(allowed, gained / np.maximum(cost, 1e-300), -np.inf)
    return int(rate.argmax()), ""


def _worth(plan: _Plan) -> float | None:
    """What a unit of gain is worth in the currency: doubling n costs as much as a worthwhile gain is worth."""
    if plan.costs is None or plan.costs.per_image is None or not plan.worthwhile:
        return None
    last = plan.curve.largest
    total = plan.costs.bill(2.0 * last, plan.curve.p, last).total
    return None if total is None else total / plan.worthwhile


def _cost(plan: _Plan, item: Candidate, have: float) -> tuple[float, str, CostEstimate | None]:
    """Cost, its unit, and the bill."""
    if plan.costs is None:
        last, usual = plan.curve.largest, plan.curve.p
        larger = 1.0 if item.p is None or usual is None else item.p / usual
        return item.seeds * item.n / last * larger, f"runs at n = {amount(last)}", None
    bill = plan.costs.bill(item.n, item.p, have, item.seeds)
    if bill.total is None:
        return bill.hours, bill.hour_unit, bill
    return bill.total, bill.currency, bill


def _experiment(plan: _Plan, item: Candidate, share: float, left: ExpectedLoss, have: float) -> Experiment:
    cost, unit, bill = _cost(plan, item, have)
    kind = _kind(plan.curve, item)
    runs = "one run" if item.seeds == 1 else f"{item.seeds} runs"
    network = "" if kind != "other width" else _named(item)
    place = {
        "repeat": f"{runs} more at n = {amount(item.n)}, already measured,",
        "new size": f"{runs} at the new size n = {amount(item.n)}",
        "other width": f"{runs} at n = {amount(item.n)} with {network}",
    }[kind]
    why = (
        f"{place} should remove {format_chance(share)} of the variance of {_aim(plan)}, for {_price(cost, unit, bill)}"
    )
    regret = None if plan.worthwhile is None else left.regret
    return Experiment(
        kind, item.n, item.p, item.width, item.seeds, share, regret, cost, unit, bill, f"{why[0].upper()}{why[1:]}."
    )


def _stop(plan: _Plan, left: ExpectedLoss, reason: str) -> Experiment:
    unit = _cost(plan, plan.candidates[0], plan.curve.largest)[1]
    return Experiment("stop", None, None, None, 0, 0.0, left.regret, 0.0, unit, None, reason)


def _kind(curve: CurvePosterior, item: Candidate) -> str:
    points, best = curve.points, curve.best
    at = np.abs(np.log(points.n / item.n)) < 1e-6
    same = at if item.p is None or points.p is None else at & (np.abs(np.log(points.p / item.p)) < 1e-6)
    if same.any():
        return "repeat"
    usual = item.p is None or best.p is None or bool((np.abs(np.log(best.p / item.p)) < 1e-6).any())
    return "new size" if usual and not at.any() else "other width"


def _named(item: Candidate) -> str:
    return f"width {item.width}" if item.width is not None else f"p = {short(item.p or 0.0)}"


def _aim(plan: _Plan) -> str:
    if plan.forecast_at is not None:
        return f"the forecast at n = {amount(plan.forecast_at)}"
    return "the gains of doubling n and p" if plan.curve.surface is not None else "the gain of doubling n"


def _price(cost: float, unit: str, bill: CostEstimate | None) -> str:
    return str(bill) if bill is not None else f"the cost of {round_interval(cost)} {unit}"
