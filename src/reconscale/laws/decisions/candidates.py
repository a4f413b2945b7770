"""Runs that could be made next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reconscale.laws.decisions.gains import has_surface
from reconscale.laws.frontier import frontier
from reconscale.laws.points import Points
from reconscale.mistakes import Mistake

Floats = NDArray[np.float64]

FARTHER = (1.5, 2.0, 3.0, 4.0)
"""Multiples of the largest n that are considered; a forecast reaches no farther with confidence."""
GAP = 1.7
"""Neighbouring sizes further apart than this factor have a candidate between them."""
MOST_SIZES = 8
"""So many of the measured sizes, and of the gaps between them, are considered."""
SEEDS = (1, 3)
"""Runs of one candidate."""


@dataclass(frozen=True)
class Candidate:
    """Runs that could be made.

    Attributes:
        n: training-set size.
        p: parameters of the network, or None where there is but one.
        width: its width dial, or None.
        seeds: runs.
    """

    n: float
    p: float | None = None
    width: int | None = None
    seeds: int = 1


def candidates_of(points: Points) -> tuple[Candidate, ...]:
    """What is considered where the user names nothing.

    One or three runs at the measured sizes, at sizes between them, and at 1.5 to 4 times the largest, each with the
    network chosen at the nearest measured n; nothing below the smallest, where training goes by other rules. Where a
    surface over n and p exists, also the other networks at the largest n, and the three largest, with one of twice
    the largest width (four times the largest p), at twice that n.
    """
    best = frontier(points)
    places = [_network(best, n) for n in _sizes(best.sizes)]
    if has_surface(points):
        last = float(best.n.max())
        known = {(place.n, place.p) for place in places}
        networks = _networks(points)
        places += [
            replace(place, n=n)
            for n in (last, _whole(2.0 * last))
            for place in networks
            if (n, place.p) not in known and (n == last or place in networks[-3:])
        ]
    return tuple(replace(place, seeds=seeds) for place in places for seeds in SEEDS)


def checked(candidates: Sequence[Candidate], points: Points) -> tuple[Candidate, ...]:
    """The user's candidates, with the network chosen at the nearest n where they name none.

    Raises:
        Mistake: there are none, or a number is not above 0.
    """
    if not candidates:
        raise Mistake("candidates", "found none", "name one or more, or leave them out")
    best = frontier(points)
    filled = []
    for item in candidates:
        for name in ("n", "p", "width", "seeds"):
            value = getattr(item, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise Mistake(f"candidates, {name}", f"found {value}", "a number above 0 is expected")
        usual = _network(best, item.n)
        if item.p is None and item.width is not None and item.width != usual.width:
            item = replace(item, p=_p_of(points, item.width))
        elif item.p is None:
            item = replace(item, p=usual.p, width=usual.width)
        filled.append(item)
    return tuple(filled)


def _sizes(sizes: Floats) -> list[float]:
    """Ascending, without near doubles of measured ones."""
    last = float(sizes[-1])
    measured = sizes[np.unique(np.linspace(0, len(sizes) - 1, MOST_SIZES).astype(int))]
    ratio = sizes[1:] / sizes[:-1]
    wide = np.sort(np.argsort(-ratio, kind="stable")[:MOST_SIZES])
    new = [math.sqrt(sizes[k] * sizes[k + 1]) for k in wide if ratio[k] > GAP]
    new += [factor * last for factor in FARTHER]
    fresh = {_whole(n) for n in new} - {float(n) for n in sizes}
    return sorted(fresh | {float(n) for n in measured})


def _whole(n: float) -> float:
    """Two leading digits, and at least a whole number."""
    digits = max(0, math.floor(math.log10(max(n, 1.0))) - 1)
    return max(1.0, float(round(n / 10**digits) * 10**digits))


def _network(best: Points, n: float) -> Candidate:
    """The network chosen at the measured size nearest to n."""
    near = int(np.abs(np.log(best.n / n)).argmin())
    p = None if best.p is None else float(best.p[near])
    return Candidate(n, p, None if best.width is None else int(best.width[near]))


def _networks(points: Points) -> list[Candidate]:
    """Every network measured, by p, and a larger one."""
    assert points.p is not None
    each = sorted({(float(p), None if points.width is None else int(points.width[i])) for i, p in enumerate(points.p)})
    p, width = each[-1]
    larger = None if width is None else 2 * width
    beyond = 4.0 * p if larger is None else _p_of(points, larger)
    return [Candidate(1.0, p, width) for p, width in [*each, (beyond, larger)] if p is not None]


def _p_of(points: Points, width: int) -> float | None:
    """Parameters at a width, by a power law through those measured; p ~ width^2 where there is but one."""
    if points.p is None or points.width is None:
        return None
    x, y = np.log(points.width), np.log(points.p)
    slope = 2.0 if np.ptp(x) == 0 else float(np.polyfit(x, y, 1)[0])
    near = int(np.abs(x - np.log(width)).argmin())
    return float(np.exp(y[near] + slope * (np.log(width) - x[near])))
