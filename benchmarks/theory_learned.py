"""Learning curves of linear estimators by training them: what the computed curves are compared with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reconscale.errors import check_int
from reconscale.theory import Patches, Spectrum, best_flow
from reconscale.theory.images import Counts, check_counts, fold_members
from reconscale.theory.linear import learned_path, moments_of


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
    """Draw n patches (or images) with replacement, measure them, learn, stop at the best time; repeat.

    Errors are exact means over the patches and over new noise, as for ``linear_curve``: the patches are the
    whole population of both. With other patches than those of the spectrum, the curve tests the spectrum on these.

    Args:
        patches: for training and evaluation.
        spectrum: for the measurement and the mean.
        n: sizes.
        counts: what n is.
        repeats: estimators for each n, 2 or more.
        seed: of all draws.
        progress: called with (sizes done, sizes).

    Raises:
        UserError: an argument is out of range, or the patch shapes differ.
    """
    check_counts(counts)
    repeats, sizes = check_int("repeats", repeats, 2), [check_int("n", size, 1) for size in n]
    operator, rng = spectrum.operator, np.random.default_rng(check_int("seed", seed, 0))
    x = spectrum.centred(patches)
    moments = moments_of(x.T @ x / len(x), operator)
    groups = fold_members(patches.image) if counts == "images" else []
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
