"""Measured values that cannot be what they are called: SSIM among PSNR, errors of two scales, another data range."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from reconscale.arrays import Floats
from reconscale.errors import UserError
from reconscale.format import amount
from reconscale.laws.findings import Finding, finding
from reconscale.laws.metrics import METRICS, below_decibels
from reconscale.laws.points import Points

CAP = 90.0
"""dB. Programs write 100 for equal images; rounding to 8 bits alone leaves 59 dB."""
ABOVE = 62.0
"""dB. What rounding to 8 bits leaves, and a little more; 14 dB and 48 dB for the wrong range is that, too."""
RANGES = (
    "images from 0 to 1 with a data range of 255 give 48.13 dB too much",
    "images from 0 to 255 with a data range of 1 give 48.13 dB too little",
)
SSIM_ENDS, PSNR_BEGINS = 1.05, 5.0
"""A value below the first beside others above the second is no PSNR; rounding may carry an SSIM a little above 1."""
FACTOR = 60.0
"""Errors that are this many times apart are of two scales (per cent and parts are 100 apart, less what n does), unless
they fall so as n grows."""
STEEPEST = 4.0
"""Errors fall no faster than n to this power, once n is beyond ``FEW``."""
FEW = 100.0
"""Below this n networks may learn nothing, and an error may fall by any factor from one n to the next."""
LOST, USUAL, LOST_FACTOR = 5.0, 15.0, 10.0
"""A PSNR (dB) up to the first beside others from the second on, 10 dB apart, may have lost a decimal or its sign."""


def find_doubtful_values(points: Points, best: Points) -> tuple[Finding, ...]:
    """That values cannot be what they are called, or are of two scales.

    Args:
        points: all runs.
        best: those of the selected networks.
    """
    if METRICS[points.metric].is_error:
        found = _errors_of_two_scales(points)
    elif points.metric == "psnr":
        found = _no_decibels(points, best)
    else:
        return ()
    return found if any(item.code in ALIEN for item in found) else (*found, *_validation_of_another_scale(points))


def check_scale(path: Path, methods: Mapping[str, Floats], metric: str) -> None:
    """Refuse values of single images that cannot be what they are called, or are of two scales.

    Args:
        path: the table, for the message.
        methods: method -> its value of every image, (M,).
        metric: what they are called; of a name that is no key of ``METRICS`` nothing is known.

    Raises:
        UserError: PSNR that are SSIM, SSIM that are PSNR, or both in one table.
    """
    kind, values = METRICS.get(metric), np.concatenate([*methods.values()])
    spans = ", ".join(f"{name}: {_span(of)}" for name, of in [*methods.items()][:8])
    if metric == "psnr":
        alien, usual = (values > -1) & (values <= SSIM_ENDS), values >= PSNR_BEGINS
        if below_decibels(values.tolist()):
            remedy = "they look like SSIM, or like an error: say --metric ssim or --metric error"
            raise UserError(path, f"has values that are no PSNR in dB ({spans})", remedy)
        if alien.any() and (alien | usual).all():
            remedy = "an SSIM or an error stands among PSNR: correct it, or leave its column or image out"
            raise UserError(path, f"has values of two scales ({spans})", remedy)
    elif kind is not None and kind.room(SSIM_ENDS) < 0 and values.max() > SSIM_ENDS:
        remedy = "say --metric psnr if they are in dB, and divide by 100 if they are in per cent"
        if any(of.max() <= SSIM_ENDS for of in methods.values()):
            remedy = "some are of another scale: correct them, or leave their columns out"
        raise UserError(path, f"has values above 1, which are no {kind.label or metric} ({spans})", remedy)


ALIEN = ("looks-like-ssim", "mixed-scales")
"""Findings after which nothing is said of ``validation``: the values beside it are doubtful themselves."""


def _no_decibels(points: Points, best: Points) -> tuple[Finding, ...]:
    y = points.y
    if below_decibels(y.tolist()):
        first = "" if y.max() < 1 else "an SSIM is below 1, so correct those that are not; then "
        return (finding("looks-like-ssim", low=float(y.min()), high=float(y.max()), first=first),)
    alien, usual = (y > -1) & (y <= SSIM_ENDS), y >= PSNR_BEGINS
    if alien.any() and (alien | usual).all():
        return (_mixed(y[alien], y[usual], "an SSIM or an error among PSNR, or a run that failed"),)
    if found := _errors_of_two_scales(points):
        return found
    y = best.y
    if y.max() >= CAP:
        return (finding("psnr-of-equal-images", count=int((y >= CAP).sum()), runs=len(y), value=float(y.max())),)
    why = RANGES[0] if y.min() > ABOVE else RANGES[1] if y.max() < 0 else ""
    return (finding("psnr-of-another-range", low=float(y.min()), high=float(y.max()), why=why),) if why else ()


def _errors_of_two_scales(points: Points) -> tuple[Finding, ...]:
    """Errors of one network that leave a gap of ``FACTOR``, where the data do not explain it; of PSNR, see ``LOST``.

    An error that falls by any factor as n grows from few images is a steep curve. Of several runs of one n the median
    counts: runs that diverged are outliers, and no other scale. (Of two PSNR the lower one: no outlier shows there.)
    """
    decibels = points.metric == "psnr"
    dial = points.width if points.width is not None else points.p
    for value in [None] if dial is None else np.unique(dial):
        rows = points if value is None else points.rows(dial == value)
        n, error = _middle_errors(rows, decibels)
        order = np.sort(error)
        ratio, low, high = max(((b / a, a, b) for a, b in pairwise(order)), default=(1.0, 0.0, 0.0))
        if ratio < (LOST_FACTOR if decibels else FACTOR):
            continue
        below, above = error <= low, error >= high
        first, last = float(n[above].max()), float(n[below].min())  # the n between which a steep curve would fall
        if first < last and (first < FEW or np.log(ratio) < STEEPEST * np.log(last / first)):
            continue
        at = "" if value is None else f" of {'width' if points.width is not None else 'p ='} {amount(float(value))}"
        if decibels:
            worse, better = rows.to_metric([high, low]) + np.array([-1e-9, 1e-9])  # logarithms may round
            if worse > LOST or better < USUAL:
                continue
            why = f"a lost decimal or a wrong sign{at}, or a run that failed"
            return (_mixed(rows.y[rows.y <= LOST], rows.y[rows.y > LOST], why),)
        few, many = (below, above) if below.sum() < above.sum() else (above, below)
        why = f"{ratio:,.0f} times apart{at}, as by another unit or data range, or a run that failed"
        return (_mixed(rows.y[np.isin(rows.n, n[few])], rows.y[np.isin(rows.n, n[many])], why),)
    return ()


def _middle_errors(points: Points, lower_psnr: bool) -> tuple[Floats, Floats]:
    """The distinct n, ascending, and the median error there; of an even number of PSNR the lower of the two."""
    log_error = np.log(points.error)
    ordered = log_error[np.lexsort((log_error, points.n))]
    n, first, count = np.unique(np.sort(points.n), return_index=True, return_counts=True)
    upper = ordered[first + count // 2]
    middle = upper if lower_psnr else 0.5 * (ordered[first + (count - 1) // 2] + upper)
    return n, np.exp(middle)


def _validation_of_another_scale(points: Points) -> tuple[Finding, ...]:
    """That values of ``validation`` cannot be the metric of the test values beside them: networks are chosen by them.

    A validation set may be easier or harder than the test set, in all rows alike. A row that is ``FACTOR`` off that is
    of another scale, where it is the validation value and not the test value that is unlike those of other rows.
    """
    if points.validation is None:
        return ()
    chosen_by, where = points.validation, " in the column 'validation'"
    if points.metric == "psnr" and np.median(points.y) >= PSNR_BEGINS:
        alien = (chosen_by > -1) & (chosen_by <= SSIM_ENDS)
        if alien.any():
            return (_mixed(chosen_by[alien], points.y, "an SSIM or an error among PSNR, or a run that failed", where),)
    validation, test = np.log(METRICS[points.metric].to_error(chosen_by)), np.log(points.error)
    apart = validation - test
    odd = np.abs(validation - np.median(validation)) > np.abs(test - np.median(test))
    alien = (np.abs(apart - np.quantile(apart, 0.5, method="lower")) >= np.log(FACTOR)) & odd
    if not alien.any():
        return ()
    return (_mixed(chosen_by[alien], points.y, "another unit, a lost decimal, or a run that failed", where),)


def _mixed(alien: Floats, usual: Floats, why: str, where: str = "") -> Finding:
    return finding("mixed-scales", alien=_span(alien) + where, usual=_span(usual), why=why)


def _span(values: Floats) -> str:
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"
