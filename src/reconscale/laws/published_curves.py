"""Learning curves of image reconstruction that were published and may be redistributed, each with its source."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from reconscale.errors import UserError, suggest
from reconscale.laws.metrics import METRICS
from reconscale.laws.points import Points

FILES = ("literature.toml", "studies.toml")


@dataclass(frozen=True)
class PublishedCurve:
    """Quality against n of one network, as it was published.

    Attributes:
        name: the key, one word.
        group: what kind of problem it is: ``ct``, ``mri``, ``denoising``, ``superresolution``.
        task: the problem in words.
        network: what was trained.
        metric: a key of ``METRICS``.
        convention: how values were measured.
        unit: what n counts.
        n: sizes of the training set, ascending.
        value: the metric at each.
        source: where the numbers stand: a repository at a commit and a file, a paper.
        licence: under which they may be redistributed, as an SPDX identifier, and whose copyright it is.
        note: what stands between the numbers and what one would like to read from them.
    """

    name: str
    group: str
    task: str
    network: str
    metric: str
    convention: str
    unit: str
    n: tuple[float, ...]
    value: tuple[float, ...]
    source: str
    licence: str
    note: str = ""

    @property
    def sha256(self) -> str:
        """The digest of everything that it says."""
        said = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(said.encode()).hexdigest()

    @property
    def points(self) -> Points:
        """The curve as measurements, one run a size."""
        return Points(np.array(self.n), np.array(self.value), metric=self.metric, unit=self.unit)


@cache
def published_curves() -> dict[str, PublishedCurve]:
    """All of them by name, those of the literature first.

    Raises:
        UserError: a file of the package was changed: a digest is not that of its curve.
    """
    found: dict[str, PublishedCurve] = {}
    for name in FILES:
        text = (files("reconscale.laws") / "published" / name).read_text(encoding="utf-8")
        for record in tomllib.loads(text).get("curve", []):
            curve = curve_of(record)
            if record.get("sha256") != curve.sha256:
                raise UserError(name, f"the curve '{curve.name}' has been changed", "install reconscale again")
            found[curve.name] = curve
    return found


def curve_of(record: dict[str, Any]) -> PublishedCurve:
    """A curve from its record in a file."""
    known = {name: value for name, value in record.items() if name != "sha256"}
    known |= {name: tuple(float(number) for number in known[name]) for name in ("n", "value")}
    return PublishedCurve(**known)


def select_curves(names: Sequence[str] = (), metric: str | None = None) -> list[PublishedCurve]:
    """The curves of these names or groups; none: all.

    Args:
        names: names of curves, or of groups as ``ct``.
        metric: a key of ``METRICS``: those in it alone; none: of any.

    Raises:
        UserError: nothing has such a name, or none of them is in ``metric``.
    """
    every = published_curves()
    groups = {curve.group for curve in every.values()}
    for name in names:
        if name not in every and name not in groups:
            close = suggest(name, [*groups, *every])
            known = (
                close
                if close.endswith("?")
                else f"groups are {', '.join(sorted(groups))}; `reconscale curves` lists all"
            )
            raise UserError("curves", f"found '{name}'", known)
    chosen = [curve for curve in every.values() if not names or {curve.name, curve.group} & {*names}]
    fitting = [curve for curve in chosen if metric in (None, curve.metric)]
    if not fitting:
        known = ", ".join(sorted({curve.metric for curve in chosen}))
        raise UserError("curves", f"found none in {metric}", f"these are in {known}: choose others, or another metric")
    return fitting


def step_gains(points: Points) -> list[tuple[float, float, float]]:
    """What was gained from each size to the next, for a doubling: (n, next n, gain), by the means over runs.

    >>> curve = Points([100, 400, 1600], [30.0, 31.0, 31.4], metric="psnr")
    >>> [(low, high, round(gain, 2)) for low, high, gain in step_gains(curve)]
    [(100.0, 400.0, 0.5), (400.0, 1600.0, 0.2)]

    Returns:
        Gains in the unit of the metric: dB, per cent of an error, else as the values.
    """
    metric, sizes = METRICS[points.metric], points.sizes
    means = metric.to_error(np.array([points.y[points.n == size].mean() for size in sizes]))
    doublings = np.log2(sizes[1:] / sizes[:-1])
    if metric.unit == "%":  # of an error that falls by the same part with each doubling
        gains = 100.0 * (1.0 - (means[1:] / means[:-1]) ** (1.0 / doublings))
    else:
        gains = metric.gain(means[:-1], means[1:]) / doublings
    return list(zip(sizes[:-1].tolist(), sizes[1:].tolist(), gains.tolist(), strict=True))


def gain_near(points: Points, n: float) -> tuple[float, bool]:
    """The measured gain of a doubling between the sizes about ``n``, and whether ``n`` lies between measured sizes.

    Where ``n`` is one of the sizes, the step that leads to it counts.
    """
    steps = step_gains(points)
    inside = [gain for low, high, gain in steps if low < n <= high]
    if inside:
        return inside[0], True
    return (steps[0][2] if n <= steps[0][0] else steps[-1][2]), False
