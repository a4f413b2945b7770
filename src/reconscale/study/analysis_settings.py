"""What a study asks of its results."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from reconscale.errors import UserError
from reconscale.laws.points import METRICS
from reconscale.study.base import FrozenModel, suggest_own
from reconscale.study.profiles import PROFILES


class Analysis(FrozenModel):
    """What is asked of the results.

    Attributes:
        profile: the metric that curves are drawn in, a name in ``PROFILES``; of a study file that does not say: the
            usual one of its problem.
        worthwhile: the smallest gain worth paying for, in the unit of the metric: dB of PSNR, per cent of an error,
            SSIM; of a study file that does not say: 0.1 dB, 2 %, 0.01 SSIM.
        forecast: sizes to forecast; none: 2, 4 and 10 times the largest n.
        baseline_images: test images that reconstructions without learning are measured on at most, spread evenly; of
            volumes whole ones, and four at least.
    """

    profile: str = "psnr-rgb-clip"
    worthwhile: float = Field(default=0.1, gt=0)
    forecast: tuple[float, ...] = ()
    baseline_images: int = Field(default=32, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, content: Any) -> Any:
        """What is worthwhile in another metric than PSNR."""
        profile = PROFILES.get(str(content.get("profile"))) if isinstance(content, Mapping) else None
        if profile is None or profile.kind == "psnr":
            return content
        return {"worthwhile": METRICS[profile.kind].worthwhile, **content}

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.profile not in PROFILES:
            raise ValueError(f"profile: found '{self.profile}'; {suggest_own(self.profile, PROFILES)}")
        try:
            METRICS[PROFILES[self.profile].kind].check_worthwhile(self.worthwhile, math.nan)
        except UserError as mistake:
            raise ValueError(f"worthwhile: {mistake.found}; {mistake.remedy}") from mistake
        if any(n <= 0 for n in self.forecast):
            raise ValueError("forecast: sizes must be above 0; leave out what is not")
        return self
