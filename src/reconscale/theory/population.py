"""What the learning curve of a linear estimator depends on, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """A linear inverse problem as a regression of x on y: x = V y + rest, the rest uncorrelated with y.

    V = Cov(x, y) Cov(y)^-1 is the Wiener filter. For Gaussian x and noise the rest is independent of y, and the law
    of every risk along the learning path depends on the four arrays below alone (``docs/explanation/theory.md``).

    Attributes:
        variances: (L,) distinct or repeated eigenvalues of Cov(y), above 0.
        counts: (L,) how many directions have this eigenvalue, above 0.
        signal: (L,) sum over these directions u of ||V u||^2, 0 or more.
        floor: E ||x - V y||^2, the total risk of the best linear estimator, 0 or more.
        outputs: what risks are divided by, for instance the number of pixels of x.
        leverage: (L,) sum over these directions u of E[||x - V y||^2 (u^T y)^2] / (variance * floor), the
            count itself where the rest is independent of y; None: that.

    Raises:
        Mistake: lengths differ, a number is not finite or out of range.
    """

    variances: Floats
    counts: Floats
    signal: Floats
    floor: float
    outputs: float = 1.0
    leverage: Floats | None = None

    def __init__(
        self,
        variances: ArrayLike,
        counts: ArrayLike,
        signal: ArrayLike,
        floor: float,
        outputs: float = 1.0,
        leverage: ArrayLike | None = None,
    ) -> None:
        columns = {"variances": variances, "counts": counts, "signal": signal}
        if leverage is not None:
            columns["leverage"] = leverage
        for name, values in columns.items():
            object.__setattr__(self, name, _column(name, values, strict=name in ("variances", "counts")))
            if len(getattr(self, name)) != len(self.variances):
                raise Mistake(f"Population, {name}", f"holds {len(getattr(self, name))} numbers",
                              f"variances hold {len(self.variances)}")  # fmt: skip
        if leverage is None:
            object.__setattr__(self, "leverage", None)
        for name, value, least in (("floor", floor, 0.0), ("outputs", outputs, np.nextafter(0.0, 1.0))):
            if not np.isfinite(value) or value < least:
                raise Mistake(f"Population, {name}", f"found {value}", "a finite number of 0 or more is expected")
            object.__setattr__(self, name, float(value))

    @property
    def measurements(self) -> float:
        """The rank of Cov(y): the number of directions in which measurements vary."""
        return float(self.counts.sum())

    @property
    def power(self) -> float:
        """E ||x||^2 / outputs, the risk of the estimator that always answers 0 (the mean)."""
        return (float(self.signal @ self.variances) + self.floor) / self.outputs


def _column(name: str, values: ArrayLike, strict: bool) -> Floats:
    array = np.array(values, dtype=np.float64).reshape(-1)
    if not len(array):
        raise Mistake(f"Population, {name}", "is empty", "give at least one level")
    if not np.isfinite(array).all() or (array <= 0 if strict else array < 0).any():
        wrong = array[~np.isfinite(array) | (array <= 0 if strict else array < 0)][0]
        expected = "numbers above 0 are expected" if strict else "numbers of 0 or more are expected"
        raise Mistake(f"Population, {name}", f"found {wrong:g}", expected)
    array.setflags(write=False)
    return array
