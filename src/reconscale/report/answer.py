"""Everything that the laws have to say about one set of points, asked once and kept together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.laws import (
    LAWS,
    Decision,
    Finding,
    Fit,
    Forecast,
    Held,
    Points,
    backtest,
    decide,
    fit,
    forecast,
    frontier,
)
from reconscale.laws.findings import merged
from reconscale.mistakes import Mistake
from reconscale.report.wording import Quantity

Floats = NDArray[np.float64]

LEAST_SIZES = 3
"""Fewer distinct n than this have no curve."""
NEAR, FAR = 4.0, 10.0
"""Multiples of the largest n up to which the band is drawn shaded, and hatched."""
INSIDE, BEYOND = 25, 9
"""Sizes at which the band is computed within the data, and in each of the two stretches beyond."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known and expected.

    Attributes:
        points: every measured run.
        best: those of the width that was selected for their n.
        worthwhile: the smallest gain worth paying for.
        asked: sizes whose forecast was asked for.
        fits: the laws that could be fitted.
        curve: the law that carries most weight in the forecast, fitted on these very test images: what is drawn through
            the measurements; none without a curve.
        unfitted: law -> why it could not be fitted.
        outlook: the forecast at all sizes of the band and at those asked for; none without a curve.
        held: the back-test, one line a size that was held back.
        decision: the verdict; none without a curve.
        lacking: why there is no curve; empty where there is one.
    """

    points: Points
    best: Points
    worthwhile: float
    asked: tuple[float, ...]
    fits: tuple[Fit, ...] = ()
    curve: Fit | None = None
    unfitted: tuple[tuple[str, str], ...] = ()
    outlook: Forecast | None = None
    held: tuple[Held, ...] = ()
    decision: Decision | None = None
    lacking: str = ""

    @property
    def quantity(self) -> Quantity:
        """How values are spelt."""
        return Quantity(self.points.metric, self.points.profile, self.points.unit)

    @property
    def verdict(self) -> str:
        """One of COLLECT MORE, TRAIN LARGER, STOP and UNDECIDED."""
        return "UNDECIDED" if self.decision is None else self.decision.verdict.upper()

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return self.lacking if self.decision is None else self.decision.sentence

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All cautions about the answer, each code once; those about a single law stay with that law."""
        parts = [item.findings for item in (self.outlook, self.decision) if item is not None]
        return merged(self.best.findings, *parts)


def answer_of(
    points: Points,
    *,
    worthwhile: float = 0.1,
    asked: Sequence[float] = (),
    progress: Callable[[str], None] | None = None,
) -> Answer:
    """Ask the laws everything that a report needs.

    Args:
        points: the measurements.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        asked: sizes to forecast; none: 2, 4 and 10 times the largest n.
        progress: is told what is being computed.

    Raises:
        Mistake: a size asked for is not a number above 0.
    """
    say = progress or (lambda _: None)
    best = frontier(points)
    largest = float(points.n.max())
    wanted = tuple(sorted({float(n) for n in asked})) or tuple(factor * largest for factor in (2.0, 4.0, 10.0))
    if len(points.sizes) < LEAST_SIZES:
        return Answer(points, best, worthwhile, wanted, lacking=_lacking(points))
    say("fitting laws")
    fits, unfitted = [], []
    for law in LAWS:
        try:
            fits.append(fit(points, law))
        except Mistake as mistake:
            unfitted.append((law, f"{mistake.found}; {mistake.remedy}"))
    say("forecasting")
    outlook = forecast(points, np.union1d(grid_of(points), wanted))
    heaviest = max((law for law in outlook.weights if law in LAWS), key=lambda law: outlook.weights[law])
    curve = fit(replace(points, images=None), heaviest)
    say("testing the forecast against sizes held back")
    held = tuple(backtest(points))
    say("deciding")
    decision = decide(points, worthwhile=worthwhile)
    known = Answer(points, best, worthwhile, wanted, tuple(fits), curve, tuple(unfitted))
    return replace(known, outlook=outlook, held=held, decision=decision)


def grid_of(points: Points) -> Floats:
    """Sizes from the smallest n to 10 times the largest, evenly spaced on the log scale, with the ends of the bands."""
    small, large = float(points.n.min()), float(points.n.max())
    parts = [(small, large, INSIDE), (large, NEAR * large, BEYOND), (NEAR * large, FAR * large, BEYOND)]
    return np.unique(np.concatenate([np.geomspace(*part) for part in parts]))


def _lacking(points: Points) -> str:
    sizes = points.sizes
    listed = ", ".join(f"{n:g}" for n in sizes)
    done = f"{len(sizes)} training sizes are done" if len(sizes) > 1 else "one training size is done"
    return (
        f"There is no curve yet: only {done} (n = {listed}), and a curve needs at least {LEAST_SIZES}, better 4 or "
        "more. The numbers below are measurements, not a forecast."
    )
