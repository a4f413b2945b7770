"""The complete analysis of one set of points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws import (
    USUAL,
    BacktestRow,
    CostEstimate,
    Costs,
    Decision,
    Exchange,
    Experiment,
    Finding,
    Fit,
    Forecast,
    Gain,
    NoiseLevel,
    Points,
    Price,
    RequiredSize,
    Surface,
    backtest,
    decide,
    exchanges,
    fit,
    forecast,
    likelihood_words,
    next_experiments,
    price,
    required_n,
    select_width,
)
from reconscale.laws.decisions.decide import has_surface
from reconscale.laws.decisions.prediction import surface_of
from reconscale.laws.findings import unique_findings
from reconscale.laws.grouping import LEAST_SIZES
from reconscale.report.format import MetricFormat


def hours_unknown(n: float, p: float | None) -> float:
    """Hours of a run where nobody measured them: prices of images are counted, and nothing is said about hours."""
    return 0.0


@dataclass(frozen=True, eq=False)
class DecisionSummary:
    """What to do, and why.

    Attributes:
        decision: the verdict with its gains.
        needed: the n that the target needs, or None without one.
        price: what the next 0.1 dB (0.01 SSIM) costs.
        experiments: what to run next.
        costs: prices and measured hours; hours are ``hours_unknown`` where nobody measured them.
    """

    decision: Decision
    needed: RequiredSize | None
    price: Price
    experiments: tuple[Experiment, ...]
    costs: Costs

    @property
    def timed(self) -> bool:
        """Whether the hours of a run are known."""
        return self.costs.hours is not hours_unknown

    @property
    def gains(self) -> list[tuple[str, Gain]]:
        """``n`` or ``p``, and what more of it adds, in the order in which they are shown."""
        more = [("n", self.decision.gain_n), ("n", self.decision.gain_tenfold)]
        return more if self.decision.gain_p is None else [*more, ("p", self.decision.gain_p)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Cautions, each code once."""
        needed = () if self.needed is None else self.needed.findings
        return unique_findings(self.decision.findings, needed, self.price.findings)

    def bill(self, what: str, factor: float) -> CostEstimate:
        """What ``factor`` times the n, or the p, costs: the images and one run there."""
        n, p = self.decision.n, self.decision.p
        if what == "n":
            return self.costs.bill(factor * n, p, n)
        return self.costs.bill(n, None if p is None else factor * p, n)


def summarise_decision(
    points: Points,
    *,
    worthwhile: float = 0.1,
    double: str = "n",
    target: float | None = None,
    costs: Costs | None = None,
) -> DecisionSummary:
    """Ask for everything that a decision needs.

    Args:
        points: the measurements, two or more distinct n.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        double: which is looked at first, ``n`` or ``p``.
        target: a value of the metric whose n is asked for.
        costs: prices and hours; none: nothing is known about either.

    Raises:
        UserError: there are fewer than two distinct n, or an argument is out of range.
    """
    known = costs or Costs(hours_unknown)
    timed = None if known.hours is hours_unknown else known
    return DecisionSummary(
        decision=decide(points, double=double, worthwhile=worthwhile),
        needed=None if target is None else required_n(points, target),
        price=price(points, known),
        experiments=next_experiments(points, timed, worthwhile=worthwhile),
        costs=known,
    )


NEAR, FAR = 4.0, 10.0
"""Multiples of the largest n up to which the band is drawn shaded, and hatched."""
INSIDE, BEYOND = 17, 5
"""Sizes at which the band is computed within the data, and in each of the two stretches beyond."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known and expected.

    Attributes:
        points: every measured run.
        best: those of the width that was selected for their n.
        worthwhile: the smallest gain worth paying for.
        asked: sizes whose forecast was asked for.
        fits: the usual named laws, as far as they could be fitted.
        unfitted: law -> why it could not be fitted.
        outlook: the forecast at all sizes of the band and at those asked for; none without a curve.
        held: the back-test, one line a size that was held back.
        choice: the verdict, and what to do; none without a curve.
        rates: what one step of quality is worth in images, parameters and noise.
        surface: quality over n and p; none where there are too few cells.
        lacking: why there is no curve; empty where there is one.
    """

    points: Points
    best: Points
    worthwhile: float
    asked: tuple[float, ...]
    fits: tuple[Fit, ...] = ()
    unfitted: tuple[tuple[str, str], ...] = ()
    outlook: Forecast | None = None
    held: tuple[BacktestRow, ...] = ()
    choice: DecisionSummary | None = None
    rates: tuple[Exchange, ...] = ()
    surface: Surface | None = None
    lacking: str = ""

    @property
    def quantity(self) -> MetricFormat:
        """How values are spelt."""
        return MetricFormat(self.points.metric, self.points.profile, self.points.unit)

    @property
    def decision(self) -> Decision | None:
        """The verdict with its gains."""
        return None if self.choice is None else self.choice.decision

    @property
    def verdict(self) -> str:
        """One of COLLECT MORE, TRAIN LARGER, STOP and UNDECIDED."""
        return "UNDECIDED" if self.decision is None else self.decision.verdict

    @property
    def surety(self) -> str:
        """How sure the verdict is, in fixed words; empty where it is that nothing is sure."""
        return (
            "" if self.decision is None or self.verdict == "UNDECIDED" else likelihood_words(self.decision.probability)
        )

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return self.lacking if self.decision is None else self.decision.sentence

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All cautions about the answer, each code once; those about a single law stay with that law."""
        parts = [item.findings for item in (self.outlook, self.choice, self.surface) if item is not None]
        return unique_findings(self.best.findings, *parts)


def analyse(
    points: Points,
    *,
    worthwhile: float = 0.1,
    asked: Sequence[float] = (),
    target: float | None = None,
    costs: Costs | None = None,
    noise: NoiseLevel | None = None,
    progress: Callable[[str], None] | None = None,
) -> Analysis:
    """Ask the laws everything that a report needs.

    Args:
        points: the measurements.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        asked: sizes to forecast; none: 2, 4 and 10 times the largest n.
        target: a value of the metric whose n is asked for.
        costs: prices and hours; none: nothing is known about either.
        noise: the networks at the largest n at other levels of noise, or None.
        progress: is told what is being computed.

    Raises:
        UserError: a size asked for is not a number above 0, or the target is not a value of the metric.
    """
    say = progress or (lambda _: None)
    best = select_width(points)
    largest = float(points.n.max())
    wanted = tuple(sorted({float(n) for n in asked})) or tuple(factor * largest for factor in (2.0, 4.0, 10.0))
    if len(points.sizes) < LEAST_SIZES:
        return Analysis(points, best, worthwhile, wanted, lacking=_lacking(points))
    say("deciding")
    choice = summarise_decision(points, worthwhile=worthwhile, target=target, costs=costs)
    say("forecasting")
    outlook = forecast(points, grid_of(points, wanted))
    say("testing the forecast against sizes held back")
    held = tuple(backtest(points))
    say("fitting laws")
    fits, unfitted = usual_fits(points)
    rates = tuple(exchanges(points, noise))
    known = Analysis(points, best, worthwhile, wanted, fits, unfitted, outlook, held, choice, rates)
    return replace(known, surface=surface_of(points, 0)) if has_surface(points) else known


def usual_fits(points: Points) -> tuple[tuple[Fit, ...], tuple[tuple[str, str], ...]]:
    """The usual named laws through the points, and why others of them could not be fitted."""
    fits, unfitted = [], []
    for law in USUAL:
        try:
            fits.append(fit(points, law))
        except UserError as mistake:
            unfitted.append((law, f"{mistake.found}; {mistake.remedy}"))
    return tuple(fits), tuple(unfitted)


def grid_of(points: Points, asked: Sequence[float]) -> Floats:
    """Sizes from the smallest n to 10 times the largest, evenly spaced on the log scale, with those ``asked`` for.

    The ends of the bands are among them; of sizes that are equal but for rounding the one asked for is kept.
    """
    small, large = float(points.n.min()), float(points.n.max())
    parts = [(small, large, INSIDE), (large, NEAR * large, BEYOND), (NEAR * large, FAR * large, BEYOND)]
    grid = np.unique(np.concatenate([np.geomspace(*part) for part in parts]))
    apart = np.abs(np.log(grid[:, None] / np.array(asked))).min(axis=1)
    return np.union1d(grid[apart > 1e-6], asked)


def _lacking(points: Points) -> str:
    return (
        f"There is no curve yet: only one training size is done (n = {float(points.n.max()):g}), and a curve needs at "
        f"least {LEAST_SIZES}, better 4 or more. The numbers below are measurements, not a forecast."
    )


def choice_record(choice: DecisionSummary) -> dict[str, Any]:
    """The decision, what the target and the next step need, and what to run next."""
    return {
        "decision": asdict(choice.decision),
        "target": None if choice.needed is None else asdict(choice.needed),
        "price": asdict(choice.price),
        "next": [asdict(item) for item in choice.experiments],
    }


def json_safe(value: Any) -> Any:
    """The same with None for what JSON cannot spell: infinite (never reached) and unknown numbers."""
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
