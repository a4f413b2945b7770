"""The learning curve of a linear estimator by really learning it from subsets of the patches: what theory must meet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconscale.theory.images import Counts, Spectrum, check_counts, members
from reconscale.theory.linear import learned_path, moments_of
from reconscale.theory.patches import Patches
from reconscale.theory.sizes import whole
from reconscale.theory.stopping import best_flow

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearnedCurve:
    """The mean of estimators that were learned.

    Attributes:
        counts: what n is: patches, or images with all of their patches.
        n: sizes.
        mse: the mean error of the early-stopped estimators at each n.
        error: the standard error of this mean.
        repeats: how many estimators were learned at each n.
    """

    counts: Counts
    n: tuple[int, ...]
    mse: tuple[float, ...]
    error: tuple[float, ...]
    repeats: int


def learned_curve(
    patches: Patches, spectrum: Spectrum, n: Sequence[int], *, counts: Counts = "patches", repeats: int = 8,
    seed: int = 0, progress: Callable[[int, int], None] | None = None,
) -> LearnedCurve:  # fmt: skip
    """Draw n patches (or images) with replacement, measure them, learn, stop at the best time; and again.

    Errors are exact means over the patches and over new noise, as for ``linear_curve``: both speak of the same
    population, which the patches are the whole of. They may be other patches than those of the spectrum: then the
    curve says what the spectrum is worth elsewhere.

    Args:
        patches: drawn from, and judged by.
        spectrum: for the measurement and the mean.
        n: sizes.
        counts: what n is.
        repeats: estimators for each n, 2 or more.
        seed: of all draws.
        progress: called with (sizes done, sizes).

    Raises:
        Mistake: an argument is out of range, or the patch shapes differ.
    """
    check_counts(counts)
    repeats, sizes = whole("repeats", repeats, 2), [whole("n", size, 1) for size in n]
    operator, rng = spectrum.operator, np.random.default_rng(whole("seed", seed, 0))
    x = spectrum.centred(patches)
    moments = moments_of(x.T @ x / len(x), operator)
    groups = members(patches.image) if counts == "images" else []
    mse, error = [], []
    for done, size in enumerate(sizes, 1):
        risks = []
        for _ in range(repeats):
            chosen = rng.integers(0, len(groups) or len(x), size)
            pick = np.concatenate([groups[i] for i in chosen]) if groups else chosen
            noise = operator.sigma * rng.standard_normal((len(pick), operator.measurements))
            risks.append(best_flow(learned_path(x[pick], x[pick] @ operator.matrix.T + noise, moments)).risk)
        mse.append(float(np.mean(risks)))
        error.append(float(np.std(risks, ddof=1)) / math.sqrt(repeats))
        if progress is not None:
            progress(done, len(sizes))
    return LearnedCurve(counts, tuple(sizes), tuple(mse), tuple(error), repeats)
