"""The complete analysis of one set of points: asked of one curve, and kept together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount, general, plain, signed
from reconscale.laws import (
    LAWS,
    METRICS,
    USUAL,
    BacktestRow,
    CostEstimate,
    Costs,
    Curve,
    Decision,
    Exchange,
    Experiment,
    Finding,
    Fit,
    Forecast,
    Gain,
    Metric,
    NoiseLevel,
    Points,
    Price,
    RequiredSize,
    Surface,
    fit,
    infer,
    likelihood_words,
    select_width,
)
from reconscale.laws.decisions.costs import hours_unknown
from reconscale.laws.findings import unique_findings
from reconscale.laws.grouping import LEAST_SIZES
from reconscale.study.profiles import PROFILES

NEAR, FAR = 4.0, 10.0
"""Multiples of the largest n up to which the band is drawn shaded, and hatched."""
INSIDE, BEYOND = 17, 5
"""Sizes at which the band is computed within the data, and in each of the two stretches beyond."""
ON_REQUEST = ("M4", "bnsl-1", "bnsl-2", "paper-2")
"""Laws with more parameters than most studies have sizes: `reconscale fit --law` fits them, a report does not."""


@dataclass(frozen=True)
class MetricFormat:
    """What is measured, and how it is spelt.

    Attributes:
        metric: a key of ``METRICS``: ``psnr``, ``ssim``, ``error`` and others.
        profile: name of the metric profile; may be empty.
        unit: what n counts.
    """

    metric: str
    profile: str
    unit: str

    @property
    def known(self) -> Metric:
        """The metric itself."""
        return METRICS[self.metric]

    @property
    def title(self) -> str:
        """The name of the metric on an axis."""
        return self.known.title

    @property
    def sentence(self) -> str:
        """What the profile means."""
        known = PROFILES.get(self.profile)
        if known is not None:
            return known.description
        if self.metric == "error":
            return "an error, as it was given; smaller is better"
        named = f"{self.known.label or self.metric}{' in dB' if self.known.unit == 'dB' else ''}"
        return f"{named}, as it was given; {'smaller' if self.known.is_error else 'larger'} is better"

    @property
    def digits(self) -> int:
        """Decimals of a value."""
        return 2 if self.known.unit == "dB" else 4

    def say(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.bare(value)} dB" if self.known.unit == "dB" else self.bare(value)

    def bare(self, value: float) -> str:
        """A value without its unit."""
        return general(value) if self.known.is_error else plain(value, self.digits)

    def gain(self, value: float) -> str:
        """A difference in quality with its unit; of errors in per cent, above 0 where the error is smaller."""
        return f"{signed(value, self.known.digits)} {self.known.unit}"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better image."""
        return self.known.better == "higher"

    def counted(self, n: float) -> str:
        """A size with what it counts: "600 images"."""
        noun = self.unit
        if n == 1 and noun.endswith("s"):
            noun = noun[:-1]
        return f"{amount(n)} {noun}"


@dataclass(frozen=True, eq=False)
class Analysis:
    """What is known and expected.

    The curve is inferred when it is first needed, once; each answer below is asked of it then, and kept. Where there is
    but one training size there is no curve (``has_curve``), and asking for it raises a UserError.

    Attributes:
        points: every measured run.
        worthwhile: the smallest gain worth paying for, in the unit of the metric.
        requested_n: sizes whose forecast was asked for.
        double: which is preferred where both are worthwhile: ``n``, ``p``, or ``auto``: the one that gains more.
        target: a value of the metric whose n is asked for, or None.
        costs: prices and measured hours; hours are ``hours_unknown`` where nobody measured them.
        noise: the networks at the largest n at other levels of noise, or None.
        known_curve: the curve, where it is inferred already.
        pace: hours of one optimisation step by p, where they were measured.
    """

    points: Points
    worthwhile: float
    requested_n: tuple[float, ...]
    double: str
    target: float | None
    costs: Costs
    noise: NoiseLevel | None
    known_curve: Curve | None = None
    pace: Callable[[float], float] | None = None

    @property
    def has_curve(self) -> bool:
        """Whether there are sizes enough for a curve."""
        return len(self.points.sizes) >= LEAST_SIZES

    @cached_property
    def curve(self) -> Curve:
        """The curve that everything is asked of."""
        return self.known_curve or infer(self.points)

    @cached_property
    def best(self) -> Points:
        """The runs of the width that was selected for their n."""
        return self.curve.best if self.has_curve else select_width(self.points)

    @cached_property
    def decision(self) -> Decision:
        """The verdict with its gains, and whether the images at hand allow twice the largest n."""
        costs = self.costs if self.costs.per_image is not None else None  # hours alone do not say what data cost
        made = self.curve.decide(double=self.double, worthwhile=self.worthwhile, costs=costs)
        at_hand = _at_hand(2 * made.n, self.costs.have, self.quantity)
        return replace(made, sentence=f"{made.sentence} {at_hand}".rstrip())

    @cached_property
    def required(self) -> RequiredSize | None:
        """The n that the target needs, or None without one."""
        return None if self.target is None else self.curve.required_n(self.target)

    @cached_property
    def price(self) -> Price:
        """What the next 0.1 dB (2 % of an error, 0.01 SSIM) costs."""
        return self.curve.price(self.costs)

    @cached_property
    def experiments(self) -> tuple[Experiment, ...]:
        """What to run next."""
        return self.curve.next_experiments(self.costs if self.timed else None, worthwhile=self.worthwhile)

    @cached_property
    def forecast(self) -> Forecast:
        """The forecast at all sizes of the band and at those asked for."""
        return self.curve.forecast(grid_of(self.points, self.requested_n))

    @cached_property
    def backtest(self) -> tuple[BacktestRow, ...]:
        """What would have been forecast of the largest sizes: one line a size that was held back."""
        return tuple(self.curve.backtest()) if self.has_curve else ()

    @cached_property
    def exchange(self) -> tuple[Exchange, ...]:
        """What one step of quality is worth in images, parameters and noise."""
        return tuple(self.curve.exchanges(self.noise)) if self.has_curve else ()

    @property
    def surface(self) -> Surface | None:
        """Quality over n and p; None where there are too few cells."""
        return self.curve.surface if self.has_curve else None

    @cached_property
    def _fits(self) -> tuple[tuple[Fit, ...], tuple[tuple[str, str], ...]]:
        return fit_laws(self.points) if self.has_curve else ((), ())

    @property
    def fits(self) -> tuple[Fit, ...]:
        """The named laws, as far as they could be fitted."""
        return self._fits[0]

    @property
    def unfitted(self) -> tuple[tuple[str, str], ...]:
        """Law -> why it could not be fitted."""
        return self._fits[1]

    @property
    def quantity(self) -> MetricFormat:
        """How values are spelt."""
        return MetricFormat(self.points.metric, self.points.profile, self.points.unit)

    @property
    def verdict(self) -> str:
        """One of COLLECT MORE, TRAIN LARGER, STOP, UNDECIDED, TRAIN LONGER FIRST and FIX FIRST."""
        return self.decision.verdict if self.has_curve else "UNDECIDED"

    @property
    def surety(self) -> str:
        """How sure the verdict is, in fixed words; empty where it is that nothing is sure."""
        sure = self.has_curve and self.verdict != "UNDECIDED" and not self.decision.first_step
        return likelihood_words(self.decision.probability) if sure else ""

    @property
    def reservation(self) -> str:
        """Why the verdict is not to be acted on yet; empty where nothing speaks against it."""
        return self.decision.reservation if self.has_curve else ""

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return self.decision.sentence if self.has_curve else _missing(self.points)

    @property
    def timed(self) -> bool:
        """Whether the hours of a run are known."""
        return self.costs.hours is not hours_unknown

    @property
    def gains(self) -> list[tuple[str, Gain]]:
        """``n``, ``p`` or ``steps``, and what more of it adds, in the order in which they are shown."""
        return gains_of(self.decision)

    def bill(self, what: str, factor: float) -> CostEstimate:
        """What ``factor`` times the n, the p or the steps costs: the images and one run there."""
        n, p = self.decision.n, self.decision.p
        if what == "steps":
            bill = self.costs.bill(n, p, n)
            return replace(bill, hours=factor * bill.hours, total=self.costs.total(bill.images, factor * bill.hours))
        if what == "n":
            return self.costs.bill(factor * n, p, n)
        return self.costs.bill(n, None if p is None else factor * p, n)

    @property
    def decision_findings(self) -> tuple[Finding, ...]:
        """Cautions about the decision, the target and the price, each code once."""
        required = () if self.required is None else self.required.findings
        return unique_findings(self.decision.findings, required, self.price.findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All cautions about the answer, each code once; those about a single law stay with that law."""
        if not self.has_curve:
            return unique_findings(self.best.findings)
        surface = () if self.surface is None else self.surface.findings
        return unique_findings(self.best.findings, self.forecast.findings, self.decision_findings, surface)

    def complete(self, progress: Callable[[str], None]) -> None:
        """Ask everything now, and say what is being computed.

        Raises:
            UserError: a size asked for is not a number above 0, or the target is not a value of the metric.
        """
        if self.has_curve:
            for said, ask in STAGES.items():
                progress(said)
                ask(self)


def gains_of(decision: Decision) -> list[tuple[str, Gain]]:
    """``n``, ``p`` or ``steps``, and what more of it adds; what is not known is left out."""
    known = [
        ("n", decision.gain_n),
        ("n", decision.gain_tenfold),
        ("p", decision.gain_p),
        ("steps", decision.gain_steps),
    ]
    return [(what, gain) for what, gain in known if gain is not None]


STAGES: dict[str, Callable[[Analysis], object]] = {
    "deciding": lambda answer: (answer.decision_findings, answer.experiments),
    "forecasting": lambda answer: answer.forecast,
    "testing the forecast against sizes held back": lambda answer: answer.backtest,
    "fitting laws": lambda answer: (answer.fits, answer.exchange, answer.surface),
}


def analyse(
    points: Points,
    *,
    worthwhile: float | None = None,
    requested_n: Sequence[float] = (),
    double: str = "auto",
    target: float | None = None,
    costs: Costs | None = None,
    noise: NoiseLevel | None = None,
) -> Analysis:
    """What can be asked about points; nothing is computed before it is asked for.

    Args:
        points: the measurements.
        worthwhile: the smallest gain worth paying for, in the unit of the metric; none: that of the metric.
        requested_n: sizes to forecast; none: 2, 4 and 10 times the largest n.
        double: which is preferred where both are worthwhile: ``n``, ``p``, or ``auto``: the one that gains more.
        target: a value of the metric whose n is asked for.
        costs: prices and hours; none: nothing is known about either.
        noise: the networks at the largest n at other levels of noise, or None.
    """
    largest = float(points.n.max())
    wanted = tuple(sorted({float(n) for n in requested_n})) or tuple(factor * largest for factor in (2.0, 4.0, 10.0))
    least = METRICS[points.metric].worthwhile if worthwhile is None else worthwhile
    return Analysis(points, least, wanted, double, target, costs or Costs(hours_unknown), noise)


def _at_hand(twice: float, have: float | None, quantity: MetricFormat) -> str:
    """Whether the study's images allow ``twice`` the largest n; empty where nobody says how many there are."""
    if have is None:
        return ""
    more = math.ceil(twice - have - 1e-6)
    if more <= 0:
        return f"The study's images allow n up to {amount(have)}, so none must be collected for twice the data."
    return (
        f"The study's images allow n up to {amount(have)}: for twice the data {quantity.counted(more)} must be "
        "collected beyond these."
    )


def _missing(points: Points) -> str:
    """Why there is no curve."""
    return (
        f"There is no curve yet: only one training size is done (n = {float(points.n.max()):g}), and a curve needs at "
        f"least {LEAST_SIZES}, better 4 or more. The numbers below are measurements, not a forecast."
    )


def fit_laws(points: Points) -> tuple[tuple[Fit, ...], tuple[tuple[str, str], ...]]:
    """The usual laws and those that a user registered through the points, and why some could not be fitted."""
    fits, unfitted = [], []
    registered = (law for law in LAWS if law not in USUAL and law not in ON_REQUEST)
    for law in (*USUAL, *registered):
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


def decision_record(answer: Analysis) -> dict[str, Any]:
    """The decision, what the target and the next step need, and what to run next."""
    return {
        "decision": asdict(answer.decision),
        "target": None if answer.required is None else asdict(answer.required),
        "price": asdict(answer.price),
        "next": [asdict(item) for item in answer.experiments],
    }


PLAIN = (str, int, bool, type(None))
"""What JSON can always spell; asked first, as tables have millions of cells."""


def json_safe(value: Any) -> Any:
    """The same with None for what JSON cannot spell: infinite (never reached) and unknown numbers."""
    if isinstance(value, dict):
        finite = math.isfinite
        return {
            key: item if type(item) in PLAIN or (type(item) is float and finite(item)) else json_safe(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
