"""How many test images, or patients, it takes to tell a difference apart, and what a test set can tell."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

from reconscale.arrays import Floats
from reconscale.errors import UserError, check_real
from reconscale.format import plain
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import METRICS, Metric
from reconscale.laws.unit_values import count_units, mean_by_group
from reconscale.shown import Shown

POWER, SIGNIFICANCE = 0.9, 0.05
MOST = 10**9
"""Units beyond which nobody asks for the exact number."""
FEW = 10
"""Fewer units hardly tell how far units differ."""
COCHRAN = 25.0
"""A t-test keeps its promise from this many times the squared skewness on (Cochran, Sampling Techniques, 1977)."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(200)


@dataclass(frozen=True)
class SizedTestSet(Shown):
    """How many units of a test set a difference between two methods takes, and what the given ones can tell.

    Attributes:
        units: how many there are, or of unpaired test sets in each.
        difference: what is to be told apart, in ``unit``; above 0.
        unit: of differences: ``dB``, ``%`` of an error, else that of the values.
        measured: the second less the first method, in ``unit``; above 0 where the second is better.
        sd: standard deviation over units: of the differences where ``paired``, else of the values.
        skewness: of the same over units; none of fewer than three.
        needed: the least number of units that tells ``difference`` apart; of unpaired test sets in each of the two.
        needed_low, needed_high: 90 % interval of that, from how well ``units`` units tell ``sd``.
        resolves: the smallest difference that the given units tell apart.
        power: the chance of seeing it.
        significance: the chance of seeing a difference where there is none, two-sided.
        paired: whether both methods are measured on the same units.
        noun: what the units are.
        findings: cautions.
    """

    units: int
    difference: float
    unit: str
    measured: float
    sd: float
    skewness: float | None
    needed: int
    needed_low: int
    needed_high: int
    resolves: float
    power: float
    significance: float
    paired: bool
    noun: str
    findings: tuple[Finding, ...] = ()

    @property
    def enough(self) -> bool:
        """Whether the given units tell ``difference`` apart."""
        return self.units >= self.needed

    @property
    def sentence(self) -> str:
        """Both answers in words."""
        digits = 3 if self.unit in ("dB", "%") else 5
        each, design = ("", "paired") if self.paired else (" in each test set", "unpaired")
        promise = f"{100 * self.power:g} % power, {100 * self.significance:g} % two-sided, {design}"
        bounds = "" if self.needed_low == self.needed_high else f" (90 % interval {self.needed_low:,} to "
        bounds += f"{self.needed_high:,})" if bounds else ""
        needed = ("more than " if self.needed >= MOST else "") + count_units(self.needed, self.noun)
        return (
            f"To tell {self.difference:g} {self.unit} apart takes {needed}{each}{bounds}; "
            f"the present {count_units(self.units, self.noun)} can tell {plain(self.resolves, digits)} {self.unit} "
            f"apart ({promise})."
        )

    def __str__(self) -> str:
        return "\n".join([self.sentence, *map(str, self.findings)])


def compute_power(
    difference: float, sd: float, units: int, *, significance: float = SIGNIFICANCE, paired: bool = True
) -> float:
    """The chance that a two-sided t-test sees a difference; exact for values of a normal distribution.

    T = Z / S with Z normal about the noncentrality and S the root of a chi-square over its degrees of freedom, so the
    chance is a mean over S (Gauss-Legendre, 200 nodes over the quantiles). ``scipy.stats.nct`` is the same distribution
    and the check in the tests; it is not used here, as its lower tail is not a number from noncentralities of 10 on.

    >>> round(compute_power(0.5, 1.0, 44), 4)  # half a standard deviation, 44 pairs
    0.9

    Args:
        difference: the true mean difference, any sign.
        sd: standard deviation over units: of the differences, or, unpaired, of the values; above 0.
        units: pairs, or units in each of two test sets; 2 or more.
        significance: two-sided level.
        paired: whether both methods are measured on the same units.
    """
    dof = units - 1 if paired else 2 * units - 2
    shift = abs(difference) / sd * np.sqrt(units if paired else units / 2.0)
    bound = t.isf(significance / 2.0, dof)
    scale = np.sqrt(chi2.ppf((NODES + 1.0) / 2.0, dof) / dof)
    seen = norm.sf(bound * scale - shift) + norm.cdf(-bound * scale - shift)
    return float(np.clip(seen @ WEIGHTS / 2.0, 0.0, 1.0))


def count_needed(
    difference: float,
    sd: float,
    *,
    power: float = POWER,
    significance: float = SIGNIFICANCE,
    paired: bool = True,
) -> int:
    """The least number of units whose t-test sees ``difference`` with ``power``; see :func:`compute_power`.

    >>> count_needed(0.5, 1.0), count_needed(0.5, 1.0, paired=False)
    (44, 86)

    Raises:
        UserError: it takes more than a thousand million.
    """

    def enough(units: int) -> bool:
        return compute_power(difference, sd, units, significance=significance, paired=paired) >= power

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > MOST:
            raise UserError("difference", f"found {difference:g}, where units differ by {sd:.3g}",
                            "no test set tells that apart: give a larger difference")  # fmt: skip
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def resolve_difference(
    sd: float, units: int, *, power: float = POWER, significance: float = SIGNIFICANCE, paired: bool = True
) -> float:
    """The smallest difference that ``units`` units tell apart with ``power``, in the unit of ``sd``.

    >>> round(resolve_difference(1.0, 44), 3)
    0.5
    """

    def short(difference: float) -> float:
        return compute_power(difference, sd, units, significance=significance, paired=paired) - power

    top = sd
    while short(top) < 0.0:
        top *= 2.0
    return float(brentq(short, 0.0, top, xtol=1e-9 * sd, rtol=1e-9))


def size_test_set(  # noqa: PLR0913 - options
    first: ArrayLike,
    second: ArrayLike,
    *,
    difference: float | None = None,
    metric: str = "error",
    groups: Sequence[Hashable] | None = None,
    paired: bool = True,
    power: float = POWER,
    significance: float = SIGNIFICANCE,
    noun: str = "images",
) -> SizedTestSet:
    """How large a test set must be, from the values of two methods on the test images at hand.

    >>> rng = np.random.default_rng(0)
    >>> one = 30 + 2 * rng.standard_normal(40)
    >>> other = one + 0.1 + 0.2 * rng.standard_normal(40)
    >>> made = size_test_set(one, other, difference=0.1, metric="psnr")
    >>> made.needed, made.enough
    (53, False)
    >>> size_test_set(one, other, difference=0.1, metric="psnr", paired=False).needed > 5000
    True

    Args:
        first: (K,) values of the metric, one for each test image, of one method.
        second: (K,) of the other; the same images in the same order where ``paired``, else any number of them.
        difference: what is to be told apart, in the metric's own unit: dB of PSNR, per cent of an error, else that of
            the values; none: what is worthwhile in it.
        metric: a key of ``METRICS``.
        groups: (K,) the unit, for instance the patient, that each image belongs to; units count, not images.
        paired: whether the methods are to be compared on the same units, or each on a test set of its own.
        power: the chance of seeing the difference, between 0.5 and 1.
        significance: the chance of seeing one where there is none, two-sided, between 0 and 0.5.
        noun: what the units are called.

    Raises:
        UserError: there are fewer than two units, nothing differs between them, or an argument is out of range.
    """
    known, power, significance = METRICS[metric], *check_promise(power, significance)
    values = [_checked(name, given, groups) for name, given in (("first", first), ("second", second))]
    least = min(map(len, values))
    if least < 2:
        remedy = (
            "nothing says how another one would differ; two or more are needed, and ten to tell how far they differ"
        )
        raise UserError("test set", f"found {count_units(least, noun)}", remedy)
    if paired and len(values[0]) != len(values[1]):
        raise UserError("test set", f"found {len(values[0])} and {len(values[1])} {noun}",
                        "paired methods are measured on the same ones; else compare them unpaired")  # fmt: skip
    asked = check_difference(difference, known, float(np.median(values[0])))
    if known.is_error and min(float(part.min()) for part in values) < 0:
        raise UserError("test set", "found an error below 0", "give errors of 0 or more, or say which metric it is")
    parts = contributions(values[0], values[1], known)
    measured = float(parts[1].mean() - parts[0].mean())
    over = parts[1] - parts[0] if paired else None
    sd = float(over.std(ddof=1)) if over is not None else float(np.sqrt(np.mean([part.var(ddof=1) for part in parts])))
    if sd <= 1e-12 * max(abs(values[0]).max(), abs(values[1]).max()):
        what = "the two differ by the same on all of them" if paired else "all values are equal"
        raise UserError("test set", f"found {count_units(least, noun)}, and {what}",
                        "give values of two different runs, one for each image")  # fmt: skip
    dof = least - 1 if paired else sum(map(len, values)) - 2
    bounds = [sd * np.sqrt(dof / chi2.ppf(chance, dof)) for chance in (0.95, 0.05)]
    needed, low, high = (
        count_or_most(asked, spread, power=power, significance=significance, paired=paired) for spread in (sd, *bounds)
    )
    skewness = [_skewness(part) for part in ((over,) if over is not None else parts)]
    answer = SizedTestSet(
        units=least,
        difference=asked,
        unit=known.unit,
        measured=measured,
        sd=sd,
        skewness=max(skewness, key=lambda value: abs(value or 0.0)),
        needed=needed,
        needed_low=low,
        needed_high=high,
        resolves=resolve_difference(sd, least, power=power, significance=significance, paired=paired),
        power=power,
        significance=significance,
        paired=paired,
        noun=noun,
    )
    return _with_findings(answer)


def contributions(first: Floats, second: Floats, metric: Metric) -> tuple[Floats, Floats]:
    """What each unit adds to the quality of either method, in the unit of gains.

    The mean of the second less that of the first is the gain, and its standard error follows from the spread over
    units. Gains in per cent of an error, or in dB of an error, are of mean errors: they are linearised about these.
    """
    a, b = first.mean(), second.mean()
    if metric.unit == "%":
        gain = 100.0 * (a - b) / a
        return 100.0 * (a - first) * b / a**2, gain + 100.0 * (b - second) / a
    if metric.unit == "dB" and metric.is_error:
        return 10.0 / np.log(10.0) * (1.0 - first / a), 10.0 * np.log10(a / b) + 10.0 / np.log(10.0) * (1 - second / b)
    sign = -1.0 if metric.is_error else 1.0
    return sign * first, sign * second


def check_difference(value: float | None, metric: Metric, measured: float) -> float:
    """A difference to be told apart, in the unit of the metric; none: what is worthwhile in it.

    Raises:
        UserError: it is not above 0, or none that can be meant in that unit.
    """
    if value is not None and not (np.isfinite(value) and value > 0):
        remedy = f"a difference above 0 is expected, in {metric.unit}: no test set tells two equal methods apart"
        raise UserError("difference", f"found {value:g}", remedy)
    try:
        return metric.check_worthwhile(value, measured)
    except UserError as mistake:
        raise UserError("difference", mistake.found, mistake.remedy) from mistake


def check_promise(power: float, significance: float) -> tuple[float, float]:
    """The power and the significance level.

    Raises:
        UserError: the power is not in [0.5, 1), or the level not in (0, 0.5].
    """
    if not 0.5 <= check_real("power", power) < 1.0:
        raise UserError("power", f"found {power:g}", "a chance from 0.5 to below 1 is expected, for instance 0.9")
    if not 0.0 < check_real("significance", significance) <= 0.5:
        raise UserError("significance", f"found {significance:g}", "a chance above 0, for instance 0.05, is expected")
    return float(power), float(significance)


def _checked(name: str, given: ArrayLike, groups: Sequence[Hashable] | None) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise UserError(name, f"found shape {values.shape}, or a value that is not finite", "give one value an image")
    if groups is None:
        return values
    if len(groups) != len(values):
        raise UserError("groups", f"found {len(groups)} for {len(values)} images", "give the unit of each image")
    return mean_by_group(values, groups)[0]


def count_or_most(
    difference: float, sd: float, *, power: float = POWER, significance: float = SIGNIFICANCE, paired: bool = True
) -> int:
    """The same as :func:`count_needed`, or :data:`MOST` where it takes more."""
    try:
        return count_needed(difference, sd, power=power, significance=significance, paired=paired)
    except UserError:
        return MOST


def _skewness(values: Floats) -> float | None:
    """The adjusted Fisher-Pearson coefficient; none of fewer than three values, or of equal ones."""
    many, away = len(values), values - values.mean()
    spread = float(np.sqrt((away**2).mean()))
    if many < 3 or spread == 0.0:
        return None
    return float((away**3).mean() / spread**3 * np.sqrt(many * (many - 1.0)) / (many - 2.0))


def _with_findings(answer: SizedTestSet) -> SizedTestSet:
    found, noun, units = list[Finding](), answer.noun, answer.units
    if units < FEW:
        ratio = max(answer.needed_high / answer.needed, answer.needed / answer.needed_low)
        found.append(finding("few-test-units", count=count_units(units, noun), ratio=f"{ratio:.2g}"))
    skewness = answer.skewness or 0.0
    asked = COCHRAN * skewness**2
    skewed = answer.paired and units >= FEW and abs(skewness) > max(1.0, 2.0 * np.sqrt(6.0 / units))
    if skewed and min(answer.needed, units) < asked:
        often = "more" if skewness * answer.measured > 0 else "less"
        found.append(finding("skewed-differences", noun=noun, skewness=skewness, asked=np.ceil(asked), often=often))
    return replace(answer, findings=tuple(found))
