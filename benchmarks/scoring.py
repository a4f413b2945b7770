"""How good a forecast was: its error, its distribution, and whether its intervals held. Curves are the units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curves import Curve
from reconscale.laws import METRICS, infer
from reconscale.laws import Curve as Inferred

Floats = NDArray[np.float64]
LEVELS = (0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True, eq=False)
class Score:
    """One curve.

    Attributes:
        rmsle: root mean square of ln(forecast / truth) over the sizes ahead.
        crps: continuous ranked probability score of ln(error), mean over the sizes ahead; of a point forecast, its
            absolute error.
        density: mean log density of the measured errors; NaN for a point forecast.
        place: where the truth at the farthest size lies in the forecast, 0 to 1; NaN for a point forecast.
        places: the same at each distinct size ahead.
        seconds: spent on the curve.
        miss: mean absolute error of the median, in units of the metric.
        width: of the 90 % interval at the farthest size, in units of the metric; NaN for a point forecast.
        penalty: interval score of that interval (Gneiting and Raftery 2007), in units of the metric.
    """

    rmsle: float
    crps: float
    density: float = float("nan")
    place: float = float("nan")
    places: Floats | None = None
    seconds: float = float("nan")
    miss: float = float("nan")
    width: float = float("nan")
    penalty: float = float("nan")


def score_ours(curve: Curve, known: Inferred | None = None) -> Score:
    """Forecast the sizes ahead from what may be seen (or from a curve that is inferred already), and compare."""
    import time

    began = time.perf_counter()
    sizes, back = np.unique(curve.ahead, return_inverse=True)
    told = (known or infer(curve.points)).forecast(sizes)
    median = told.median[back]
    seconds = time.perf_counter() - began
    truth, slope = curve.truth, METRICS[curve.metric].slope(METRICS[curve.metric].to_error(curve.truth))
    density = [told.logpdf(_at(sizes, back, truth, k)) for k in range(_most(back))]
    logs = np.concatenate([row[np.isfinite(row)] for row in density])
    if curve.metric != "error":  # a density of ln(error), which is comparable between metrics
        logs = logs - np.log(slope).mean()
    draws, at = curve.logs(told.draws), curve.logs(truth)
    crps = [_crps(draws[:, i], value) for i, value in zip(back, at, strict=True)]
    places = np.array([np.mean(told.draws[:, i] < truth[back == i].mean()) for i in range(len(sizes))])
    low, high = (end[-1] for end in told.interval(0.9))
    last = truth[back == len(sizes) - 1].mean()
    outside = max(low - last, last - high, 0.0)
    return Score(
        _rms(curve.logs(median) - at),
        float(np.mean(crps)),
        float(logs.mean()),
        places[-1],
        places,
        seconds,
        float(np.abs(median - truth).mean()),
        float(high - low),
        float(high - low + 2.0 / 0.1 * outside),
    )


def score_point(curve: Curve, predict: Callable[[Curve], Floats]) -> Score:
    """Compare a point forecast."""
    import time

    began = time.perf_counter()
    told = predict(curve)
    if curve.metric == "error":
        told = np.maximum(told, 1e-9)
    away = curve.logs(told) - curve.logs(curve.truth)
    seconds, miss = time.perf_counter() - began, float(np.abs(told - curve.truth).mean())
    return Score(_rms(away), float(np.abs(away).mean()), seconds=seconds, miss=miss)


def coverage(scores: Sequence[Score]) -> list[float]:
    """At the farthest size, the share of curves inside the central intervals of :data:`LEVELS`."""
    place = np.array([score.place for score in scores])
    return [float(np.mean(np.abs(place - 0.5) < level / 2)) for level in LEVELS]


def row_of(name: str, scores: Sequence[Score]) -> list[str]:
    """A row of a table: mean, median and worst-decile RMSLE, CRPS, log density, coverage, seconds."""
    errors = np.sort([score.rmsle for score in scores])
    worst = errors[-max(1, len(errors) // 10) :].mean()
    cells = [f"{errors.mean():.4f}", f"{np.median(errors):.4f}", f"{worst:.4f}"]
    cells.append(f"{np.mean([score.crps for score in scores]):.4f}")
    density = float(np.mean([score.density for score in scores]))
    told = np.isfinite(density)
    cells.append(f"{density:.3f}" if told else "-")
    cells.append(" ".join(f"{100 * share:.0f}" for share in coverage(scores)) if told else "-")
    return [name, *cells, f"{np.mean([score.seconds for score in scores]):.3f}"]


def metric_row(name: str, scores: Sequence[Score]) -> list[str]:
    """A row of a table in units of the metric: errors, coverage, width, interval score, CRPS, seconds."""
    miss = np.array([score.miss for score in scores])
    cells = [f"{miss.mean():.4g}", f"{np.median(miss):.4g}"]
    width = float(np.median([score.width for score in scores]))
    told = np.isfinite(width)
    cells.append(" ".join(f"{100 * share:.0f}" for share in coverage(scores)) if told else "-")
    cells.append(f"{width:.3g}" if told else "-")
    cells.append(f"{np.mean([score.penalty for score in scores]):.3g}" if told else "-")
    cells.append(f"{np.mean([score.crps for score in scores]):.4f}")
    cells.append(f"{np.mean([score.density for score in scores]):.3f}" if told else "-")
    return [name, *cells, f"{np.mean([score.seconds for score in scores]):.3f}"]


METRIC_HEADER = (
    "forecaster", "abs. error", "median", "cover 50/80/90/95", "width 90 %", "interval score", "CRPS", "LL",
    "s a curve",
)  # fmt: skip
HEADER = ("forecaster", "RMSLE mean", "median", "worst 10 %", "CRPS", "LL", "cover 50/80/90/95", "s a curve")


def _most(back: NDArray[np.int64]) -> int:
    return int(np.bincount(back).max())


def _at(sizes: Floats, back: NDArray[np.int64], truth: Floats, k: int) -> Floats:
    """The k-th truth of each size; NaN where there are fewer."""
    values = np.full(len(sizes), np.nan)
    for i in range(len(sizes)):
        mine = truth[back == i]
        if k < len(mine):
            values[i] = mine[k]
    return values


def _crps(draws: Floats, truth: float) -> float:
    """Sample formula, E|Z - y| - E|Z - Z'| / 2."""
    ordered, count = np.sort(draws), len(draws)
    spread = (2 * np.arange(1, count + 1) - count - 1) @ ordered / count**2
    return float(np.abs(draws - truth).mean() - spread)


def _rms(away: Floats) -> float:
    return float(np.sqrt(np.mean(away**2)))
