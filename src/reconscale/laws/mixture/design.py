"""What the mixes that were measured cannot tell, whatever came out."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from reconscale.arrays import Floats
from reconscale.laws.findings import Finding, finding

SAME_RATIO = 1.5
"""Two sources rise together where their ratio changes by less than this factor."""
FEW_MIXES = 6


def design_findings(sources: tuple[str, ...], mixes: Floats) -> tuple[Finding, ...]:
    """Cautions about mixes (C, K): shares that do not vary, sources of one size, few mixes."""
    found = [
        finding("source-of-one-size", source=name, n=float(mixes[0, k]))
        for k, name in enumerate(sources)
        if len(np.unique(mixes[:, k])) == 1
    ]
    for one, other in combinations(range(len(sources)), 2):
        span = _ratios(mixes[:, one], mixes[:, other])
        if not ((mixes[:, one] > 0) & (mixes[:, other] > 0)).any():
            found.append(finding("sources-apart", one=sources[one], other=sources[other]))
        if span is not None:
            found.append(finding("sources-together", one=sources[one], other=sources[other], low=span[0], high=span[1]))
    if len(np.unique(mixes, axis=0)) < FEW_MIXES:
        found.append(finding("few-mixes", count=len(np.unique(mixes, axis=0))))
    return tuple(found)


def untold(sources: tuple[str, ...], mixes: Floats) -> set[str]:
    """The sources beside the target whose images cannot be told apart from others, or were never varied."""
    alone = {name for k, name in enumerate(sources) if len(np.unique(mixes[:, k])) == 1}
    if sources[0] in alone:
        alone = set(sources)
    for one, other in combinations(range(len(sources)), 2):
        if _ratios(mixes[:, one], mixes[:, other]) is not None:
            alone |= {sources[one], sources[other]}
    return alone - {sources[0]}


def _ratios(one: Floats, other: Floats) -> tuple[float, float] | None:
    """The range of the ratio of two sources that rise together, or None where they do not."""
    either = (one > 0) | (other > 0)
    both = (one > 0) & (other > 0)
    if not both.any() or (either & ~both).any():
        return None
    ratio = other[both] / one[both]
    low, high = float(ratio.min()), float(ratio.max())
    varied = np.ptp(one[both]) > 0 and np.ptp(other[both]) > 0
    return (low, high) if high < SAME_RATIO * low and varied else None
