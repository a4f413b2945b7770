"""What ``forecast --like`` says: which published curves a forecast leans on, and whether that helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconscale.format import amount, times

if TYPE_CHECKING:
    from reconscale.laws import Curve, Points
    from reconscale.laws.published_prior import HeldBack

IN_GENERAL = (
    "Of published curves that were left out in turn, most were forecast no better with the others: "
    "see the page on published curves."
)


@dataclass(frozen=True)
class PublishedPrior:
    """A curve that was inferred beside published ones.

    Attributes:
        curve: the user's.
        names: of the published curves.
        tested: the largest size, held back; None where there are too few sizes.
    """

    curve: Curve
    names: tuple[str, ...]
    tested: HeldBack | None

    @classmethod
    def of(cls, points: Points, names: Sequence[str]) -> PublishedPrior:
        """Infer and test it.

        Raises:
            UserError: no published curve has such a name, or none is in that metric.
        """
        from reconscale.laws.published_prior import backtest_like, curves_like, infer_like

        curves = curves_like(names, points)
        tested = backtest_like(points, curves)
        return cls(infer_like(points, curves), tuple(curve.name for curve in curves), tested)

    def lines(self, say: Callable[[float], str]) -> list[str]:
        """In sentences; ``say`` spells a value of the metric."""
        known = f"This forecast leans on {times(len(self.names), 'published curve')}: {', '.join(self.names)}."
        if self.tested is None:
            return [known, "Whether that helps cannot be tested with fewer than four sizes.", IN_GENERAL]
        alone, like = self.tested.alone, self.tested.like
        closer = "closer with them" if self.tested.helped else "closer without them: leave --like out"
        if say(alone.median) == say(like.median):
            closer = "the same with them and without"
        return [
            known,
            f"Had you stopped at n = {amount(alone.seen)}, it would have forecast {say(like.median)} "
            f"({say(like.low)} to {say(like.high)}) at n = {amount(alone.n)}, and {say(alone.median)} "
            f"({say(alone.low)} to {say(alone.high)}) without them; measured: {say(alone.measured)}, {closer}.",
            IN_GENERAL,
        ]

    def record(self) -> dict[str, Any]:
        """As ``--json`` has it."""
        if self.tested is None:
            return {"curves": list(self.names), "backtest": None}
        rows = {"alone": self.tested.alone._asdict(), "like": self.tested.like._asdict()}
        return {"curves": list(self.names), "backtest": rows | {"helped": self.tested.helped}}
