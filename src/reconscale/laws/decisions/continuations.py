"""Draws of two curves, paired so that what both miss beyond the data is alike.

Two methods that reconstruct the same images are mostly forecast wrong in the same direction: both flatten where the
images run out of news, or both go on. Their difference is known better than if each went its own way. How each curve
continues alone is left as it is; only which draw of one goes with which draw of the other changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reconscale.arrays import Floats

ALIKE = 0.3
"""Rank correlation, as normal scores, of how two related curves continue (``python benchmarks/related.py differences``
measures what smaller and larger ones do to forecasts of differences)."""
STRATA = 40
"""Groups of draws with nearly the same level, in each of which the continuations are paired."""


def pair_continuations(
    one: Floats, other: Floats, columns: tuple[int, int], rng: np.random.Generator, alike: float = ALIKE
) -> NDArray[np.int64]:
    """(D,) an order of the rows of ``other`` in which its change goes with that of ``one``, row by row.

    Rows move among those whose partners have nearly the same level, so that levels that were paired stay so.

    Args:
        one: (D, N) draws of ln(error) of the first curve.
        other: (D, N) of the second.
        columns: before the change, and after it.
        rng: source of what is not alike.
        alike: correlation of the changes, 0 to 1.
    """
    order, (level, later) = np.arange(len(other)), columns
    change, follows = one[:, later] - one[:, level], other[:, later] - other[:, level]
    for rows in np.array_split(np.argsort(one[:, level], kind="stable"), STRATA):
        own = np.sqrt(1.0 - alike**2) * rng.standard_normal(len(rows))
        wanted = alike * ndtri((_ranks(change[rows]) + 0.5) / len(rows)) + own
        order[rows] = rows[as_ranked(follows[rows], wanted)]
    return order


def as_ranked(value: Floats, like: Floats) -> NDArray[np.int64]:
    """The rows of ``value`` (D,) in an order that has the ranks of ``like`` (D,)."""
    return np.asarray(np.argsort(value, kind="stable")[_ranks(like)])


def _ranks(value: Floats) -> NDArray[np.int64]:
    return np.asarray(np.argsort(np.argsort(value, kind="stable"), kind="stable"))
