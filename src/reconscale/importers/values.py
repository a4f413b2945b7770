"""Choose the measured value of a run: its tag and its step."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconscale.errors import UserError, suggest
from reconscale.importers.log import RunLog, SkippedRun
from reconscale.laws.column_names import FURTHER_METRICS, METRIC_COLUMNS, METRIC_NAMES, is_extreme, words_of
from reconscale.laws.metrics import below_decibels

HIGHER = ("psnr", "ssim", "accuracy", "acc", "iou", "miou", "auc", "auroc", "dice")
LOWER = ("mse", "nmse", "error", "loss", "mae", "rmse", "nrmse", "l1", "l2", "lpips")


@dataclass(frozen=True)
class MetricSelection:
    """What to read from a run.

    Attributes:
        metric: the column that it becomes, a key of ``METRIC_NAMES``.
        tag: the series.
        take: ``last``, ``best`` or a step.
        choose_by: the series on whose best step ``tag`` is read, or none.
    """

    metric: str
    tag: str
    take: str | float = "last"
    choose_by: str = ""

    @property
    def validation(self) -> bool:
        """Whether the choosing series is in the same metric, so that it is the column ``validation``."""
        return bool(self.choose_by) and self.choose_by != self.tag and metric_in(self.choose_by) == self.metric

    @property
    def on_itself(self) -> bool:
        """Whether the step is chosen on the reported values themselves."""
        return self.take == "best" or self.choose_by == self.tag

    def __str__(self) -> str:
        if is_extreme(self.tag) and self.take == "last" and not self.choose_by:
            return f"{self.metric} is '{self.tag}', an extreme of each run, as it was logged"
        how = f"where '{self.choose_by}' is best" if self.choose_by else f"the {self.take} value"
        return f"{self.metric} is '{self.tag}', {how if isinstance(self.take, str) else f'at step {self.take:g}'}"


@dataclass(frozen=True)
class MetricValue:
    """The value of a run, the step it is from (NaN where steps mean nothing), and the choosing value (or NaN)."""

    value: float
    step: float
    chosen_by: float = math.nan


def metric_in(tag: str) -> str | None:
    """The metric that a tag names, or None.

    >>> metric_in("val/PSNR"), metric_in("test_ssim_epoch"), metric_in("lr"), metric_in("psnr_loss")
    ('psnr', 'ssim', None, 'loss')
    """
    words = words_of(tag)
    found = [word for word in words if word in METRIC_COLUMNS] or [word for word in words if word in FURTHER_METRICS]
    return found[-1] if found else None


def parse_take(text: str | None) -> str | float:
    """``last``, ``best`` or a step (``5000`` or ``at 5000``).

    Raises:
        UserError: it is none of them.
    """
    if text is None or text in ("last", "best"):
        return text or "last"
    match = re.fullmatch(r"(?:at\s+)?(\d+(?:\.\d+)?)", text.strip())
    if not match:
        raise UserError("--take", f"found '{text}'", "say last, best, or a step such as 'at 5000'")
    return float(match[1])


def select_metric(
    runs: Sequence[RunLog], metric: str | None, value: str | None, rest: MetricSelection
) -> MetricSelection:
    """Fill in tag and metric of ``rest`` from what was asked and what the runs hold.

    Raises:
        UserError: nothing fits, several tags fit and none was asked for, or what was asked is contradictory.
    """
    if metric is not None and metric not in METRIC_NAMES:
        raise UserError("--metric", f"found '{metric}'", suggest(metric, METRIC_NAMES))
    tags = Counter(tag for run in runs for tag in run.series)
    for option, tag in (("--value", value), ("--choose-by", rest.choose_by)):
        if tag and tag not in tags:
            raise UserError(option, f"no run has a series '{tag}'", _there(tag, tags))
    tag = value or _no_psnr(runs, metric) or _only_tag(tags, metric, len(runs))
    named = metric_in(tag)
    if metric and named == "psnr" and _is_no_psnr(runs, tag):
        named = metric  # the values say that the name is wrong, and the user says what they are
    if metric is None and named is None:
        raise UserError(
            "--value", f"'{tag}' does not say what it is", "add --metric psnr, ssim, or error for any error"
        )
    if metric and named and METRIC_NAMES[metric] != METRIC_NAMES[named] and not (metric == "error" and named in LOWER):
        raise UserError("--metric", f"found {metric} for '{tag}', which is named {named}", "leave --metric out")
    return MetricSelection(metric or named or "", tag, rest.take, rest.choose_by)


def read_metric(run: RunLog, measure: MetricSelection) -> MetricValue | SkippedRun:
    """The measured value of a run, or why there is none.

    Raises:
        UserError: a step was asked for and the source has one value a run.
    """
    values = run.series.get(measure.tag)
    if not values:
        return SkippedRun(run.name, f"it has no '{measure.tag}'")
    if not run.steps and (measure.take != "last" or measure.choose_by == measure.tag):
        raise UserError("--take", f"found {measure.take}, and the source holds one value a run", "leave it out")
    chosen_by = math.nan
    if measure.choose_by:
        by = run.series.get(measure.choose_by, {})
        step = best_step(by, measure.choose_by)
        if step is None:
            return SkippedRun(run.name, f"it has no finite '{measure.choose_by}'")
        chosen_by = by[step]
        # A value measured once, after the training, was measured on whatever was chosen then.
        step = step if len(values) > 1 else next(iter(values))
    elif measure.take == "best":
        step = best_step(values, measure.metric)
    else:
        step = max(values) if measure.take == "last" else float(measure.take)
    return _at(run, measure.tag, step, chosen_by)


def best_step(values: Mapping[float, float], named: str) -> float | None:
    """The first step at which the values are best (NaN and infinity left out), or None where none is finite.

    Raises:
        UserError: the name does not say whether higher or lower is better.
    """
    words = words_of(named)
    side = next((1.0 if word in HIGHER else -1.0 for word in reversed(words) if word in HIGHER + LOWER), None)
    if side is None:
        known = ", ".join(HIGHER + LOWER)
        raise UserError("--choose-by", f"'{named}' does not say which side is better", f"it must name one of: {known}")
    finite = {step: value for step, value in values.items() if math.isfinite(value)}
    return max(finite, key=lambda step: side * finite[step], default=None)


def _at(run: RunLog, tag: str, step: float | None, chosen_by: float) -> MetricValue | SkippedRun:
    values = run.series[tag]
    if step is None:
        return SkippedRun(run.name, f"its '{tag}' is never finite")
    if step not in values:
        near = min(values, key=lambda other: abs(other - step))
        return SkippedRun(run.name, f"it has no '{tag}' at step {step:g}; the nearest is at {near:g}")
    if not math.isfinite(values[step]):
        at = f" at step {step:g}" if run.steps else ""
        return SkippedRun(run.name, f"its '{tag}' is {values[step]}{at}")
    return MetricValue(values[step], step if run.steps else math.nan, chosen_by)


def _no_psnr(runs: Sequence[RunLog], metric: str | None) -> str | None:
    """The only series named after PSNR, with values below any, where no series is named after what is asked for."""
    tags = {tag: metric_in(tag) for run in runs for tag in run.series}
    fitting = [tag for tag, named in tags.items() if named == "psnr"]
    if metric is None or metric == "psnr" or metric in tags.values() or len(fitting) != 1:
        return None
    return fitting[0] if _is_no_psnr(runs, fitting[0]) else None


def _is_no_psnr(runs: Sequence[RunLog], tag: str) -> bool:
    return below_decibels([value for run in runs for value in run.series.get(tag, {}).values() if value == value])


def _only_tag(tags: Counter[str], metric: str | None, runs: int) -> str:
    fitting = {tag: count for tag, count in tags.items() if (metric_in(tag) == metric if metric else metric_in(tag))}
    usual = {tag: count for tag, count in fitting.items() if metric_in(tag) in METRIC_COLUMNS}
    fitting = usual or fitting
    if len(fitting) == 1:
        return next(iter(fitting))
    what = metric or "a metric"
    if not fitting:
        raise UserError("--metric", f"no series is named after {what}", _there(metric or "", tags))
    counts = ", ".join(f"{tag} ({count} of {runs} runs)" for tag, count in sorted(fitting.items()))
    raise UserError(
        "--value", f"{len(fitting)} series could be {what}: {counts}", f"say which, e.g. --value '{min(fitting)}'"
    )


def _there(asked: str, tags: Counter[str]) -> str:
    if not tags:
        return "the runs hold no series at all"
    names = sorted(tags)
    if len(names) > 20:
        close = suggest(asked, names)
        return close if close.startswith("did") else f"there are {len(names)}, such as: {', '.join(names[:20])}"
    return f"there are: {', '.join(names)}"
