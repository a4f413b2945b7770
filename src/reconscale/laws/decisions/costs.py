"""Costs of images and of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reconscale.errors import UserError
from reconscale.format import round_interval

MOST = 2.0
"""Exponents of training time beyond this, or below 0, are noise."""


@dataclass(frozen=True)
class Hours:
    """Training time as a power law.

    Attributes:
        scale: hours of a run with n = 1 and p = 1.
        by_n: exponent of n.
        by_p: exponent of p; 0 where p is not known.
    """

    scale: float
    by_n: float
    by_p: float = 0.0

    def __call__(self, n: float, p: float | None = None) -> float:
        """Hours of one run."""
        return float(self.scale * n**self.by_n * (1.0 if p is None else p**self.by_p))


def hours_unknown(n: float, p: float | None) -> float:
    """Hours of a run where nobody measured them: prices of images are counted, and nothing is said about hours."""
    return 0.0


@dataclass(frozen=True, eq=False)
class Costs:
    """Prices.

    >>> print(Costs(per_image=5, currency="EUR").bill(1500, None, have=1000))
    2,500 EUR (500 more images)

    Attributes:
        hours: of one run with n images and p parameters (None where it is not known), such as ``hours_of(n, seconds)``;
            none given: nobody measured them, and images alone have a price.
        per_hour: price of an hour, or None: hours are not priced.
        per_image: price of acquiring one more image, or None: not known.
        currency: of both.
        have: images at hand; None: the largest n measured.
        hour_unit: what the hours are called: those of a CPU are not ``GPU-hours``.

    Raises:
        UserError: a price is below 0 or not a number, images have a price and known hours have none, or hours have a
            price and are not known.
    """

    hours: Callable[[float, float | None], float] = hours_unknown
    per_hour: float | None = None
    per_image: float | None = None
    currency: str = ""
    have: float | None = None
    hour_unit: str = "GPU-hours"

    def __post_init__(self) -> None:
        for name in ("per_hour", "per_image", "have"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise UserError(f"costs, {name}", f"found {value}", "0 or more is expected")
        if self.hours is hours_unknown and self.per_hour:
            raise UserError("costs, per_hour", f"found {self.per_hour:g}, and the hours of a run are not known",
                            "give hours=hours_of(n, seconds), or leave per_hour out")  # fmt: skip
        if self.hours is hours_unknown and self.per_image is not None:
            object.__setattr__(self, "per_hour", 0.0)
        if self.per_image is not None and self.per_hour is None:
            raise UserError(
                "costs, per_hour",
                "found none",
                "images have a price, so say what an hour of training costs too (0 if nothing)",
            )

    def bill(self, n: float, p: float | None, have: float, runs: int = 1) -> CostEstimate:
        """What ``runs`` runs at n and p cost, with the images beyond those at hand.

        Args:
            n: training-set size.
            p: parameters, or None.
            have: the largest n measured; counts where ``Costs.have`` is None.
            runs: how many.

        Raises:
            UserError: ``hours`` is not a number of 0 or more.
        """
        hours = float(self.hours(n, p)) * runs
        if not (np.isfinite(hours) and hours >= 0):
            raise UserError("costs, hours", f"found {hours} for n = {n:g}", "0 or more hours are expected")
        images = max(0.0, n - (have if self.have is None else self.have))
        return CostEstimate(images, hours, self.total(images, hours), self.currency, self.hour_unit)

    def total(self, images: float, hours: float) -> float | None:
        """In the currency, or None where hours are not priced."""
        if self.per_hour is None:
            return None
        return images * (self.per_image or 0.0) + hours * self.per_hour


@dataclass(frozen=True)
class CostEstimate:
    """What something costs.

    Attributes:
        images: to be acquired.
        hours: of training.
        total: in the currency, or None where hours have no price.
        currency: of the total.
        hour_unit: what the hours are called.
    """

    images: float
    hours: float
    total: float | None
    currency: str
    hour_unit: str = "GPU-hours"

    def __str__(self) -> str:
        parts = [f"{round_interval(self.images)} more images"] if self.images else []
        if self.hours or not parts:
            parts.append(f"{round_interval(self.hours)} {self.hour_unit}")
        said = " and ".join(parts)
        return (
            said if self.total is None else f"{round_interval(self.total)} {self.currency} ({said})".replace("  ", " ")
        )


def hours_of(n: ArrayLike, seconds: ArrayLike, p: ArrayLike | None = None) -> Hours:
    """Training time as a power law of n (and p), by least squares of the logarithms of what was measured.

    Runs weigh as their n: what is asked for is the time of runs at the largest n and beyond, and small ones may say
    little about it, as where few images are learnt in few steps.

    Args:
        n: (M,) training-set sizes.
        seconds: (M,) measured time of each run.
        p: (M,) parameters, or None.

    Returns:
        The law; an exponent that the runs do not show (a single n, or a single p) is 1 for p and 0 for n, because
        budgets are usually steps.

    Raises:
        UserError: lengths differ, or a number is not finite and above 0.
    """
    columns = [np.asarray(values, dtype=np.float64) for values in (n, seconds, *([] if p is None else [p]))]
    for name, column in zip(("n", "seconds", "p"), columns, strict=False):
        if column.ndim != 1 or column.shape != columns[0].shape or not column.size:
            raise UserError(f"hours_of, {name}", f"found shape {column.shape}", "one number a run is expected")
        if not (np.isfinite(column) & (column > 0)).all():
            raise UserError(f"hours_of, {name}", "found a number that is not above 0", "leave out runs without a time")
    x, z, *more = (np.log(column) for column in columns)
    design, fixed, shown = [np.ones_like(x)], np.zeros_like(x), []
    assumed = {"n": 0.0, "p": 1.0 if more else 0.0}
    for name, column in zip("np", [x, *more], strict=False):
        if np.ptp(column) > 1e-9:
            design.append(column)
            shown.append(name)
        else:
            fixed = fixed + assumed[name] * column
    weight = np.exp(x - x.max())
    root = np.sqrt(weight)
    found = np.linalg.lstsq(np.stack(design, axis=1) * root[:, None], (z - fixed) * root, rcond=None)[0]
    powers = assumed | {name: float(np.clip(found[i + 1], 0.0, MOST)) for i, name in enumerate(shown)}
    scale = np.average(z - powers["n"] * x - (powers["p"] * more[0] if more else 0.0), weights=weight)
    return Hours(float(np.exp(scale) / 3600.0), powers["n"], powers["p"])
