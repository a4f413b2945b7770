"""Numbers as people read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reconscale.laws.points import METRICS
from reconscale.study.profiles import PROFILES

MINUS = "−"
DAY = 86400.0


def plain(value: float, digits: int = 2) -> str:
    """A number with ``digits`` decimals, a true minus sign, and no minus before zero.

    >>> plain(-0.001), plain(1234.5678, 1)
    ('0.00', '1,234.6')
    """
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """Like :func:`plain`, with a plus before gains.

    >>> signed(0.213), signed(-0.2)
    ('+0.21', '−0.20')
    """
    text = plain(value, digits)
    return text if text.startswith(MINUS) or float(text.replace(",", "")) == 0 else f"+{text}"


def amount(value: float) -> str:
    """A size such as n, exactly where it is whole.

    >>> amount(1200), amount(12.5), amount(3e6)
    ('1,200', '12.5', '3 million')
    """
    if value >= 1e6:
        return f"{_trimmed(value / 1e6)} million" if value < 1e9 else f"{value:.3g}"
    return f"{round(value):,}" if abs(value - round(value)) < 1e-9 or value >= 100 else f"{value:.3g}"


def short(value: float) -> str:
    """A size for an axis or a table of networks.

    >>> short(46499203), short(116707), short(600), short(10000)
    ('46.5 M', '117 k', '600', '10 k')
    """
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size * 0.9995:
            return f"{_trimmed(value / (1e3 if letter == 'k' else size))} {letter}"
    return amount(value)


def duration(seconds: float) -> str:
    """A time that a person can compare.

    >>> duration(0.4), duration(95), duration(5400), duration(259200)
    ('0.4 s', '1.6 min', '1.5 h', '3 days')
    """
    for unit, name in ((DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit * (2 if name == "days" else 1):
            return f"{seconds / unit:.2g} {name}" if seconds / unit < 9.95 else f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def general(value: float) -> str:
    """A number of unknown size with four digits.

    >>> general(0.0001234), general(29.2134), general(123456.0)
    ('0.0001234', '29.21', '123,456')
    """
    if 1e4 <= abs(value) < 1e7:
        return plain(value, 0)
    return f"{value:.4g}".replace("-", MINUS) if math.isfinite(value) else "unknown"


def times(count: int, what: str) -> str:
    """A count with its noun.

    >>> times(1, "run"), times(3, "run")
    ('1 run', '3 runs')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def number(cell: str | float | None) -> float:
    """An entry of a table as a number; what is not known is NaN.

    >>> number(None), number(3)
    (nan, 3.0)
    """
    return float("nan") if cell is None else float(cell)


@dataclass(frozen=True)
class MetricFormat:
    """What is measured, and how it is spelt.

    Attributes:
        metric: ``psnr``, ``ssim`` or ``error``.
        profile: name of the metric profile; may be empty.
        unit: what n counts.
    """

    metric: str
    profile: str
    unit: str

    @property
    def title(self) -> str:
        """The name of the metric on an axis."""
        return {"psnr": "PSNR, dB", "ssim": "SSIM", "error": "error"}[self.metric]

    @property
    def sentence(self) -> str:
        """What the profile means."""
        known = PROFILES.get(self.profile)
        if known is not None:
            return known.description
        return {
            "psnr": "PSNR in dB, as it was given; larger is better",
            "ssim": "SSIM, as it was given; larger is better",
            "error": "an error, as it was given; smaller is better",
        }[self.metric]

    @property
    def digits(self) -> int:
        """Decimals of a value."""
        return 2 if self.metric == "psnr" else 4

    def say(self, value: float) -> str:
        """A value with its unit."""
        return f"{self.bare(value)} dB" if self.metric == "psnr" else self.bare(value)

    def bare(self, value: float) -> str:
        """A value without its unit."""
        return general(value) if self.metric == "error" else plain(value, self.digits)

    def gain(self, value: float) -> str:
        """A difference in quality with its unit; errors are compared in dB."""
        return f"{signed(value, 4)} SSIM" if self.metric == "ssim" else f"{signed(value)} dB"

    @property
    def larger_is_better(self) -> bool:
        """Whether a larger value is a better image."""
        return METRICS[self.metric].better == "higher"

    def counted(self, n: float) -> str:
        """A size with what it counts: "600 images"."""
        noun = self.unit
        if n == 1 and noun.endswith("s"):
            noun = noun[:-1]
        return f"{amount(n)} {noun}"


def _trimmed(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
