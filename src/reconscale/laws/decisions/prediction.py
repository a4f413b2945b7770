"""Coherent draws of the curve at and beyond the data, as all decisions see it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.laws.curve.ensemble import Ensemble, fit_ensemble
from reconscale.laws.curve.posterior import MOST_LEVELS
from reconscale.laws.grouping import SizeMeans, group_by_size, image_bootstrap_shift
from reconscale.laws.named.registry import bounded
from reconscale.laws.points import METRICS, Points
from reconscale.laws.surface.optimum import first_below
from reconscale.laws.surface.posterior import infer_surface
from reconscale.laws.surface.surface import Surface

DRAWS = 4000
"""Curves drawn."""
REACH = 1000.0
"""What is not reached by this multiple of the largest n is never reached."""
RUNGS = 46
"""Sizes on the way there; this many, and two more, are drawn jointly; between them curves are straight in log-log."""


@dataclass(frozen=True, eq=False)
class CurvePosterior:
    """What is believed about one curve.

    Attributes:
        made: the posterior, averaged with naive forecasts.
        generator: seed of every draw, so that the same question has the same answer.
        again: seed of the draws of test images; curves that share it are seen on the same images.
    """

    made: Ensemble
    generator: tuple[int, ...]
    again: tuple[int, ...]

    @property
    def level(self) -> SizeMeans:
        """What all of it was learnt from."""
        return self.made.level

    @property
    def last(self) -> float:
        """Ln of the largest n."""
        return float(self.level.x[-1])

    def curves(self, x: Floats, *, images: bool = True) -> Floats:
        """(DRAWS, N) ln of the expected error at x = ln n (N,); a row is one coherent curve.

        Args:
            x: places, in any order.
            images: whether the test images count as drawn from many, or as all there are.
        """
        drawn, _ = self.made.curves(x, DRAWS, np.random.default_rng(self.generator))
        if images:
            drawn = drawn + image_bootstrap_shift(self.level, x, DRAWS, np.random.default_rng(self.again))
        return bounded(drawn)

    def stretch(self, x: float) -> float:
        """By how much the calibration stretches what is believed at x = ln n."""
        spread = []
        for calibrated in (True, False):
            rng = np.random.default_rng(self.generator)
            drawn, _ = self.made.curves(np.array([x]), DRAWS, rng, calibrated=calibrated)
            spread.append(float(np.subtract(*np.quantile(drawn, [0.75, 0.25]))))
        return spread[0] / spread[1]

    def noise(self, x: Floats) -> Floats:
        """(N,) standard deviation of ln(error) of one new run at x = ln n."""
        return np.asarray(np.sqrt((self.made.curve.noise(x) ** 2).mean(0)))


@lru_cache(maxsize=4)
def infer_curve(points: Points, seed: int = 0) -> CurvePosterior:
    """Infer the curve of ``points`` (first reduced to their frontier), once for all questions about the same points.

    Args:
        points: the measurements, two or more distinct n.
        seed: the same seed gives the same bits.

    Raises:
        UserError: there are fewer than two distinct n.
    """
    return CurvePosterior(
        fit_ensemble(group_by_size(points, MOST_LEVELS), np.random.default_rng(seed)), (seed, 1), (seed, 2)
    )


@lru_cache(maxsize=4)
def surface_of(points: Points, seed: int = 0) -> Surface:
    """The surface over n and p, once for all questions about the same points."""
    return infer_surface(points, seed)


def n_grid(first: float, last: float) -> Floats:
    """(RUNGS,) ln n from ``first`` to ``REACH`` times beyond ``last``; half of them within ten times of it."""
    near = np.linspace(first, last + np.log(10.0), RUNGS // 2, endpoint=False)
    return np.concatenate([near, np.linspace(last + np.log(10.0), last + np.log(REACH), RUNGS - len(near))])


def first_n_reaching(rungs: Floats, values: Floats) -> Floats:
    """(D,) the n at which each row of values (D, L) first comes down to 0; inf where it does not by the last rung."""
    return first_below(rungs, values, 0.0)


def error_of(value: float, metric: str, where: str) -> float:
    """A value of the metric as an error.

    Raises:
        UserError: it is not a value of the metric.
    """
    if np.isfinite(value):
        with np.errstate(over="ignore", under="ignore"):
            error = float(METRICS[metric].to_error(np.array([value], dtype=np.float64))[0])
        if 1e-100 < error < 1e100:
            return error
    remedy = {
        "error": "an error above 0 is expected",
        "psnr": "a PSNR in dB is expected",
        "ssim": "an SSIM below 1 is expected",
    }[metric]
    raise UserError(where, f"found {value}", remedy)
