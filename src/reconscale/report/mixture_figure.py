"""The figure of a mixture: expected quality over the images of two sources, with lines of equal quality."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconscale.arrays import Floats
from reconscale.format import amount, general
from reconscale.laws import MixtureCurve
from reconscale.report.analysis import MetricFormat
from reconscale.report.axes import AxesSpec, Ticks, contours, log_ticks
from reconscale.report.colours import MAP_RAMP
from reconscale.report.marks import Box, Figure, Series, Surface

STEPS = 33
BEYOND = 4.0
"""The map goes to this multiple of the largest number of images that was measured."""
NONE = 3.0
"""Mixes without a source stand at the smallest number that was measured over this."""


def mixture_figure(curve: MixtureCurve, other: str = "") -> Figure:
    """Expected quality over the images of the target and of one other source; further sources as in the largest mix.

    Args:
        curve: the laws.
        other: the other source; empty: the first.
    """
    points = curve.points
    quantity = MetricFormat(points.metric, "", points.unit)
    names = points.sources
    chosen = names.index(other) if other else 1
    own, theirs = (points.mixes[:, k] for k in (0, chosen))
    across, up = _ladder(own), _ladder(theirs)
    rest = np.array(list(curve.base.values()))
    mixes = np.tile(rest, (len(across) * len(up), 1))
    mixes[:, 0], mixes[:, chosen] = (grid.ravel() for grid in np.meshgrid(_images(across), _images(up)))
    values = curve.median(mixes, law=True).reshape(len(up), len(across))
    values, told = _within(values, mixes, points.counts)
    levels = contours(values.ravel().tolist(), points.metric)
    labels = [quantity.bare(level) if quantity.known.is_error else general(level) for level in levels]
    ramp = MAP_RAMP if quantity.larger_is_better else (MAP_RAMP[1], MAP_RAMP[0])
    texts = [
        [f"{amount(round(n))} of {names[0]}, {amount(round(m))} of {names[chosen]}\n"
         + (f"expected {quantity.say(value)}" if sure else "fewer than in any run: not said")
         for n, value, sure in zip(_images(across).tolist(), row.tolist(), known, strict=True)]
        for m, row, known in zip(_images(up).tolist(), values, told.reshape(values.shape).tolist(), strict=True)
    ]  # fmt: skip
    surface = Surface(across.tolist(), up.tolist(), values.tolist(), levels, labels, ramp, texts)
    x, y = np.maximum(own, across[0]), np.maximum(theirs, up[0])
    measured = Series(x.tolist(), y.tolist(), "measured", "measured", marker="o", size=5)
    box = Box((float(x.min()), float(x.max())), (float(y.min()), float(y.max())))
    title = "images of {}" if points.unit == "training images" else f"{points.unit} of {{}}"
    ends = [(float(part[0]) / 1.08, float(part[-1])) for part in (across, up)]
    ticks = [_ticks(part, end) for part, end in zip((own, theirs), ends, strict=True)]
    named = [title.format(names[k]) for k in (0, chosen)]
    axes = AxesSpec(ends[0], ends[1], ticks[0], ticks[1], named[0], named[1], log_y=True)
    return Figure(axes, (surface, box, measured), 5.6)


def _within(values: Floats, mixes: Floats, measured: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Values of mixes (N, K) with as many images as the smallest run or more; of the others the nearest of these.

    Without this a corner without any images, where nothing is known, would take all the lines.
    """
    told = mixes.sum(1) >= measured.sum(1).min() * (1 - 1e-9)
    inside = values.ravel()[told]
    return np.clip(values, inside.min(), inside.max()), told


def _ladder(counts: Floats) -> Floats:
    """(STEPS,) places on a logarithmic axis; where some mix has none, the first of them stands for 0."""
    some = counts[counts > 0]
    ladder = np.geomspace(some.min(), some.max() * BEYOND, STEPS - 1)
    return np.concatenate([[some.min() / NONE if (counts == 0).any() else some.min() / 1.05], ladder])


def _images(ladder: Floats) -> Floats:
    """The numbers of images that the places stand for."""
    gap = ladder[1] / ladder[0] > 0.99 * NONE
    return np.concatenate([[0.0], ladder[1:]]) if gap else ladder


def _ticks(counts: Floats, ends: tuple[float, float]) -> Ticks:
    some = float(counts[counts > 0].min())
    zero = ((some / NONE, "0"),) if (counts == 0).any() else ()
    return (*zero, *log_ticks(some, ends[1]))
