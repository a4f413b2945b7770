"""Metrics: which side is better, how a value is read as an error, and in what a difference is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import plain

Transform = Callable[[Floats], Floats]
LEAST_PERCENT = 0.2
"""A worthwhile gain of fewer per cent of an error was meant in dB, or as a part of 1."""
MOST_DECIBELS = 20.0
"""A worthwhile gain of more dB was meant in per cent."""


def _usual(value: Floats) -> Floats:
    """Stands for the transform that goes with ``better``."""
    raise NotImplementedError


@dataclass(frozen=True)
class _Below:
    """How far a value is below the most that there is; it is its own inverse."""

    most: float

    def __call__(self, value: Floats) -> Floats:
        return np.asarray(self.most - value)


@dataclass(frozen=True)
class Metric:
    """How a metric is read as an error to be minimised, and back.

    >>> Metric("fid", "lower").unit, Metric("vmaf", "higher", "points", most=100).to_error(np.array(93.0))
    ('%', array(7.))

    Attributes:
        name: the key in :data:`METRICS`, and the name of the column.
        better: ``lower`` or ``higher``.
        unit: what a gain is told in. ``dB``: 10 log10 of the ratio of errors; ``%``: how much smaller the error is, in
            per cent of it; anything else: the difference of the values, in that unit; none: ``%``, or the name where
            higher is better.
        to_error: the error, above 0: the value itself, 10^(-PSNR/10) (the MSE for range 1), or 1 - SSIM; left out: the
            value itself, or ``most`` less the value where higher is better.
        from_error: the inverse of ``to_error`` (an SSIM is kept below 1 by one rounding error).
        worthwhile: the gain that counts as worth paying for where nobody says, in ``unit``; it is also what is priced;
            below 0: 0.1 dB, 2 %, or a hundredth of ``most``.
        label: what it is called in texts; none: its name.
        most: where higher is better and ``to_error`` is left out: the value that cannot be reached.

    Raises:
        UserError: the name is not one word, or ``better`` is neither.
    """

    name: str
    better: str
    unit: str = ""
    to_error: Transform = _usual
    from_error: Transform = _usual
    worthwhile: float = -1.0
    label: str = ""
    most: float = 1.0

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise UserError("Metric, name", f"found '{self.name}'", "one word of letters, digits and _ is expected")
        if self.better not in ("lower", "higher"):
            raise UserError("Metric, better", f"found '{self.better}'", "'lower' or 'higher' is expected")
        lower = self.better == "lower"
        usual = (_same, _same) if lower else (_from_bounded, _bounded) if self.most == 1.0 else 2 * (_Below(self.most),)
        unit = self.unit or ("%" if lower else self.label or self.name)
        worthwhile = {"%": 2.0, "dB": 0.1}.get(unit, 0.01 * self.most) if self.worthwhile < 0 else self.worthwhile
        told = {"unit": unit, "worthwhile": worthwhile}
        told |= dict(zip(("to_error", "from_error"), usual, strict=True)) if self.to_error is _usual else {}
        for name, value in told.items():
            object.__setattr__(self, name, value)

    @property
    def title(self) -> str:
        """What it is called, with the unit of its values."""
        return f"{self.label or self.name}, dB" if self.unit == "dB" else self.label or self.name

    @property
    def is_error(self) -> bool:
        """Whether smaller values are better, so that values are drawn on a logarithmic axis."""
        return self.better == "lower"

    @property
    def digits(self) -> int:
        """Decimals of a gain."""
        return 2 if self.unit in ("dB", "%") else 4

    def gain(self, before: Floats, after: Floats) -> Floats:
        """How much better ``after`` is than ``before`` (both errors), in ``unit``; below 0 it is worse."""
        if self.unit == "dB":
            return np.asarray(10.0 * (np.log10(before) - np.log10(after)))
        if self.unit == "%":
            return np.asarray(-100.0 * np.expm1(np.minimum(np.log(after) - np.log(before), 300.0)))
        if self.from_error is _bounded:
            return before - after
        sign = 1.0 if self.better == "higher" else -1.0
        return np.asarray(sign * (self.from_error(np.asarray(after)) - self.from_error(np.asarray(before))))

    def room(self, value: float) -> float:
        """The most that can be gained from ``value``, in ``unit``; infinite where nothing bounds it.

        >>> METRICS["ssim"].room(0.75), METRICS["psnr"].room(30.0)
        (0.25, inf)
        """
        return 1.0 - value if self.from_error is _bounded else float("inf")

    def slope(self, error: Floats) -> Floats:
        """|d ln(error) / d value| at ``error``, which turns a density of ln(error) into one of the value."""
        if self.to_error is _from_decibels:
            return np.full_like(error, np.log(10.0) / 10.0)
        if self.to_error in (_same, _from_bounded):
            return np.asarray(1.0 / error)
        value = self.from_error(error)
        nudge = 1e-6 * np.maximum(np.abs(value), 1e-3)
        rise = np.log(self.to_error(value + nudge)) - np.log(self.to_error(value - nudge))
        return np.asarray(np.abs(rise) / (2 * nudge))

    def check_worthwhile(self, value: float | None, measured: float) -> float:
        """The smallest gain worth paying for; that of the metric where nobody says.

        Args:
            value: in ``unit``, 0 or more; none: ``worthwhile``.
            measured: a value of the metric, for the choices in the message.

        Raises:
            UserError: it is no number of 0 or more, or none that can be meant in ``unit``.
        """
        if value is None:
            return self.worthwhile
        if not (np.isfinite(value) and value >= 0):
            raise UserError("worthwhile", f"found {value}", "a gain of 0 or more is expected")
        choices = self._choices(float(value), measured)
        if choices:
            raise UserError("worthwhile", f"found {value:g}", choices)
        return float(value)

    def _choices(self, value: float, measured: float) -> str:
        """What may have been meant by a gain that cannot be meant; nothing where it can."""
        if self.unit == "%" and 0 < value < LEAST_PERCENT:
            decibels, part = 100.0 * (1.0 - 10.0 ** (-value / 10.0)), 100.0 * value / max(abs(measured), 1e-300)
            said = f", {part:.3g} for a difference of {value:g} in the {self.name}" if part < 100 else ""
            return (
                f"gains of this metric are in per cent of the error: write {100 * value:g} for {100 * value:g} %, "
                f"{decibels:.2g} for what {value:g} dB are{said}"
            )
        if self.unit == "%" and value >= 100:
            return (
                "gains of this metric are in per cent of the error, and no error falls by 100 %: write for instance 2"
            )
        if self.unit == "dB" and value > MOST_DECIBELS:
            decibels = -10.0 * np.log10(1.0 - value / 100.0) if value < 100 else np.inf
            said = f"{value:g} % less error is {decibels:.2g} dB; " if value < 100 else ""
            return f"gains of this metric are in dB: {said}write for instance 0.1"
        if self.from_error is _bounded and value >= 1:
            return (
                f"gains of this metric are differences of values below 1: write {value / 100:g} for {value:g} "
                f"hundredths, or for instance {self.worthwhile:g}"
            )
        return ""

    def spell(self, gain: float) -> str:
        """A gain that somebody stated, with its unit."""
        return f"{gain:g} {self.unit}"

    def tell(self, what: str, gain: float) -> str:
        """What more of something is expected to do, in words.

        >>> METRICS["psnr"].tell("Doubling n", -0.09), METRICS["error"].tell("Doubling n", 2.31)
        ('Doubling n is expected to lose 0.09 dB', 'Doubling n is expected to lower the error by 2.31 %')
        """
        size = plain(abs(gain), self.digits)
        worse = gain < 0 and float(size.replace(",", "")) > 0
        if self.unit == "%":
            return f"{what} is expected to {'raise' if worse else 'lower'} the error by {size} %"
        return f"{what} is expected to {'lose' if worse else 'add'} {size} {self.unit}"


def _same(value: Floats) -> Floats:
    return value


def _from_decibels(value: Floats) -> Floats:
    return np.asarray(10.0 ** (-value / 10.0))


def _decibels(error: Floats) -> Floats:
    return np.asarray(-10.0 * np.log10(error))


def _from_bounded(value: Floats) -> Floats:
    return 1.0 - value


def _bounded(error: Floats) -> Floats:
    return np.asarray(1.0 - np.maximum(error, 2.3e-16))


def lower_is_better(name: str, label: str = "") -> Metric:
    """An error of any kind, above 0; gains are in per cent of it."""
    return Metric(name, "lower", "%", _same, _same, 2.0, label)


def higher_is_better(name: str, label: str = "") -> Metric:
    """A metric below 1, of which more is better, as an accuracy; gains are differences of values."""
    return Metric(name, "higher", label or name, _from_bounded, _bounded, 0.01, label)


METRICS = {
    "error": lower_is_better("error"),
    "psnr": Metric("psnr", "higher", "dB", _from_decibels, _decibels, 0.1, "PSNR"),
    "ssim": higher_is_better("ssim", "SSIM"),
    "accuracy": higher_is_better("accuracy"),
    "iou": higher_is_better("iou", "IoU"),
    "auc": higher_is_better("auc", "AUC"),
    "dice": higher_is_better("dice", "Dice"),
    "lpips": lower_is_better("lpips", "LPIPS"),
    "nrmse": lower_is_better("nrmse", "NRMSE"),
    "nmse": lower_is_better("nmse", "NMSE"),
}
"""The metrics that points can be in. Another one is an entry here, or a ``Metric`` given to ``Points``."""
USUAL_METRICS = frozenset(METRICS)
"""Those that every process knows."""


LEAST_PSNR = 2.0
"""dB. Reconstructions have more (images of zeros mostly have 5 and more); SSIM and most errors are below."""


def below_decibels(values: Sequence[float]) -> bool:
    """Whether all values are below what any reconstruction has in dB, and none is far below 0, as of another range.

    >>> below_decibels([-0.01, 0.91]), below_decibels([0.85, 30.1]), below_decibels([])
    (True, False, False)
    """
    return max(values, default=0.0) > 0 and all(-1 < value < LEAST_PSNR for value in values)


def spell_apart(log_ratio: float, metric: str) -> str:
    """How far apart two errors are, from the absolute logarithm of their ratio: in dB of PSNR, else in per cent.

    >>> spell_apart(0.023, "psnr"), spell_apart(0.023, "ssim")
    ('0.1 dB', '2.3 % of the error')
    """
    if METRICS[metric].unit == "dB":
        return f"{10.0 / np.log(10.0) * log_ratio:.2g} dB"
    if log_ratio > 1.0:
        return f"a factor of {np.exp(min(log_ratio, 700.0)):.2g} of the error"
    return f"{100.0 * np.expm1(log_ratio):.2g} % of the error"


def register(metric: str | Metric) -> str:
    """The name of a metric, which is entered into :data:`METRICS` where it is a new one.

    Raises:
        UserError: another metric has that name.
    """
    if isinstance(metric, str):
        return metric
    known = METRICS.setdefault(metric.name, metric)
    if (known.better, known.unit) != (metric.better, metric.unit):
        raise UserError(
            f"metric '{metric.name}'",
            f"{metric.better} is better and its unit is '{metric.unit}' here, where '{known.better}' and "
            f"'{known.unit}' are known",
            "give it another name",
        )
    return metric.name
