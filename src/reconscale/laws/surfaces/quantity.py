"""A number that is not known exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Quantity:
    """N uncertain numbers; a row of draws is one coherent possibility.

    Attributes:
        draws: (D, N) equally likely values; inf where there is none within reach.
    """

    draws: Floats

    @property
    def median(self) -> Floats:
        """(N,) the middle value."""
        return self.quantile(0.5)

    def quantile(self, q: float) -> Floats:
        """(N,) the value that is not exceeded with probability ``q``; a draw, so that infinite ones do no harm.

        Raises:
            Mistake: ``q`` is not between 0 and 1.
        """
        return np.asarray(np.sort(self.draws, axis=0)[round(checked_level(q) * (len(self.draws) - 1))])

    def interval(self, level: float = 0.9) -> tuple[Floats, Floats]:
        """(N,), (N,) the central interval that holds the number with probability ``level``.

        Raises:
            Mistake: ``level`` is not between 0 and 1.
        """
        tail = 0.5 * (1.0 - checked_level(level))
        return self.quantile(tail), self.quantile(1.0 - tail)

    def chance(self, above: float) -> Floats:
        """(N,) probability that the number is larger than ``above``."""
        return np.asarray((self.draws > above).mean(0))


def checked_level(level: float) -> float:
    """``level`` itself.

    Raises:
        Mistake: it is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise Mistake("level", f"found {level}", "a probability between 0 and 1 is expected")
    return float(level)
