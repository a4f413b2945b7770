"""Values of a metric as people read them; numbers in general are in :mod:`reconscale.format`."""

from __future__ import annotations

from dataclasses import dataclass

from reconscale.format import MINUS, amount, duration, general, number, plain, short, signed, times
from reconscale.laws.points import METRICS
from reconscale.study.profiles import PROFILES

__all__ = ["MINUS", "MetricFormat", "amount", "duration", "general", "number", "plain", "short", "signed", "times"]


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
