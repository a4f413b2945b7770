"""What an answer may cost: time, or a number of runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconscale.errors import UserError
from reconscale.format import duration, times

SECONDS = {"s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
"""Units of time."""


@dataclass(frozen=True)
class Budget:
    """What may be spent until a verdict is settled; without any limit the whole grid.

    Attributes:
        seconds: wall time, on the workers that there are; of earlier calls as well. None: no limit.
        runs: results, those of earlier calls included; None: no limit.
    """

    seconds: float | None = None
    runs: int | None = None

    @property
    def words(self) -> str:
        """What was allowed, in words."""
        said = [] if self.seconds is None else [duration(self.seconds)]
        said += [] if self.runs is None else [times(self.runs, "run")]
        return " or ".join(said) or "the whole grid"


def parse_budget(text: str, where: str = "--budget") -> Budget:
    """A budget as a person writes it.

    Args:
        text: for instance ``2h``, ``90min``, ``1.5 h``, ``2h30m``, ``40runs``; ``decided`` for no limit but the grid.
        where: what messages call it.

    Raises:
        UserError: it is something else, or nothing could be done with it.

    >>> parse_budget("90min"), parse_budget("40 runs")
    (Budget(seconds=5400.0, runs=None), Budget(seconds=None, runs=40))
    """
    if text.strip() == "decided":
        return Budget()
    parts = re.fullmatch(r"\s*([0-9]{1,4})\s*(d|h)\s*([0-9]{1,4})\s*(h|min|m)\s*", text)
    if parts and parts[2] != parts[4]:
        return Budget(seconds=int(parts[1]) * SECONDS[parts[2]] + int(parts[3]) * SECONDS[parts[4]])
    found = re.fullmatch(r"\s*([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(s|min|m|h|d|runs?)\s*", text)
    if not found or not float(found[1]) > 0:
        raise UserError(where, f"found '{text}'", "give a time or a number of runs, for instance 2h, 90min or 40runs")
    value, unit = float(found[1]), found[2]
    if unit in SECONDS:
        return Budget(seconds=value * SECONDS[unit])
    if value != int(value):
        raise UserError(where, f"found '{text}'", "give a whole number of runs")
    return Budget(runs=int(value))
