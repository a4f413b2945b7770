"""What the points say to do: the verdict, what a target and the next step need, and what to run next."""

from __future__ import annotations

from dataclasses import dataclass

from reconscale.laws import (
    Bill,
    Costs,
    Decision,
    Experiment,
    Finding,
    Gain,
    Needed,
    Points,
    Price,
    decide,
    n_for,
    next_experiments,
    price,
)
from reconscale.laws.findings import merged


def untimed(n: float, p: float | None) -> float:
    """Hours of a run where nobody measured them: prices of images are counted, and nothing is said about hours."""
    return 0.0


@dataclass(frozen=True, eq=False)
class Choice:
    """What to do, and why.

    Attributes:
        decision: the verdict with its gains.
        needed: the n that the target needs, or None without one.
        price: what the next 0.1 dB (0.01 SSIM) costs.
        experiments: what to run next.
        costs: prices and measured hours; hours are ``untimed`` where nobody measured them.
    """

    decision: Decision
    needed: Needed | None
    price: Price
    experiments: tuple[Experiment, ...]
    costs: Costs

    @property
    def timed(self) -> bool:
        """Whether the hours of a run are known."""
        return self.costs.hours is not untimed

    @property
    def gains(self) -> list[tuple[str, Gain]]:
        """``n`` or ``p``, and what more of it adds, in the order in which they are shown."""
        more = [("n", self.decision.gain_n), ("n", self.decision.gain_tenfold)]
        return more if self.decision.gain_p is None else [*more, ("p", self.decision.gain_p)]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Cautions, each code once."""
        needed = () if self.needed is None else self.needed.findings
        return merged(self.decision.findings, needed, self.price.findings)

    def bill(self, what: str, factor: float) -> Bill:
        """What ``factor`` times the n, or the p, costs: the images and one run there."""
        n, p = self.decision.n, self.decision.p
        if what == "n":
            return self.costs.bill(factor * n, p, n)
        return self.costs.bill(n, None if p is None else factor * p, n)


def choice_of(
    points: Points,
    *,
    worthwhile: float = 0.1,
    double: str = "n",
    target: float | None = None,
    costs: Costs | None = None,
) -> Choice:
    """Ask for everything that a decision needs.

    Args:
        points: the measurements, two or more distinct n.
        worthwhile: the smallest gain worth paying for, in dB, or in SSIM for SSIM.
        double: which is looked at first, ``n`` or ``p``.
        target: a value of the metric whose n is asked for.
        costs: prices and hours; none: nothing is known about either.

    Raises:
        Mistake: there are fewer than two distinct n, or an argument is out of range.
    """
    known = costs or Costs(untimed)
    timed = None if known.hours is untimed else known
    return Choice(
        decision=decide(points, double=double, worthwhile=worthwhile),
        needed=None if target is None else n_for(points, target),
        price=price(points, known),
        experiments=next_experiments(points, timed, worthwhile=worthwhile),
        costs=known,
    )
