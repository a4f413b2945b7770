"""Which width counts at each n: the one whose mean over seeds is best on validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.findings import Finding, finding, unique_findings
from reconscale.laws.points import METRICS, Points


def select_width(points: Points) -> Points:
    """Keep, for each n, the runs of the width whose mean validation value over seeds is best.

    The mean over seeds decides, never the best run, and all seeds of the chosen width are kept. Where there are
    no validation values the measured ones decide, and a finding says so. Where there is no width, p decides;
    where there is neither, or only one, the points come back as they are.

    Args:
        points: runs of one or more widths.

    Returns:
        The rows of the chosen (n, width), in their original order, with findings about the choice.
    """
    what, dial = _dial(points)
    if dial is None or len(np.unique(dial)) < 2:
        return points
    keep = np.zeros(len(points), dtype=bool)
    for n in points.sizes:
        at_n = points.n == n
        keep |= at_n & (dial == best_widths(points, dial, float(n)))
    several = len(np.unique(np.stack([points.n, dial]), axis=1).T) > len(points.sizes)
    found = [finding("selected-on-test", what=what)] if several and points.validation is None else []
    found += _edge(points, dial, what)
    return replace(points.rows(keep), findings=unique_findings(points.findings, tuple(found)))


def best_widths(points: Points, dial: NDArray[np.generic], n: float) -> float:
    """The value of ``dial`` (M,) whose mean selection value over seeds at ``n`` is best; the smallest on a tie."""
    chosen_by = points.y if points.validation is None else points.validation
    sign = 1.0 if METRICS[points.metric].better == "lower" else -1.0
    at_n = points.n == n
    tried = np.unique(dial[at_n])
    means = [sign * float(np.mean(chosen_by[at_n & (dial == value)])) for value in tried]
    return float(tried[int(np.argmin(means))])


def _dial(points: Points) -> tuple[str, NDArray[np.generic] | None]:
    if points.width is not None:
        return "width", points.width
    return "number of parameters", points.p


def _edge(points: Points, dial: NDArray[np.generic], what: str) -> list[Finding]:
    last = float(points.sizes[-1])
    tried = np.unique(dial[points.n == last])
    best = best_widths(points, dial, last)
    if len(tried) < 2 or best not in (tried[0], tried[-1]):
        return []
    side, direction = ("largest", "larger") if best == tried[-1] else ("smallest", "smaller")
    return [finding("width-at-edge", n=last, what=what, value=best, side=side, direction=direction)]
